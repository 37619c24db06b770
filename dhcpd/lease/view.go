package lease

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"dialtone/internal/mac"
)

// View is what goroutines other than the owner of the table may read: leases
// as they are on the disk.
type View struct {
	now func() time.Time

	mu     sync.RWMutex
	byAddr map[netip.Addr]*Lease
	byMAC  map[mac.Addr]*Lease // the newest of each
}

func newView(now func() time.Time) *View {
	return &View{now: now, byAddr: map[netip.Addr]*Lease{}, byMAC: map[mac.Addr]*Lease{}}
}

// publish replaces one lease by another of the same address. v.mu is locked,
// or nobody reads yet.
func (v *View) publish(before, after *Lease) {
	if before != nil {
		if l := v.byMAC[before.MAC]; l != nil && l.Addr == before.Addr {
			delete(v.byMAC, before.MAC)
		}
	}
	v.byAddr[after.Addr] = after
	if after.State != Leased {
		return
	}
	if other := v.byMAC[after.MAC]; other == nil || !after.Start.Before(other.Start) {
		v.byMAC[after.MAC] = after
	}
}

// Lease gives the address that is leased to a MAC now, the newest if there are
// several.
func (v *View) Lease(m mac.Addr) (netip.Addr, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if l := v.byMAC[m]; l.Active(v.now()) {
		return l.Addr, true
	}
	return netip.Addr{}, false
}

// Client gives the MAC that an address is leased to now, and the vendor class
// (option 60) that it sent: as sent, so hostile.
func (v *View) Client(a netip.Addr) (m mac.Addr, vendorClass string, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if l := v.byAddr[a]; l.Active(v.now()) {
		return l.MAC, l.VendorClass, true
	}
	return mac.Addr{}, "", false
}

// Snapshot gives a copy of every lease, ended and declined ones too, by
// address.
func (v *View) Snapshot() []Lease {
	v.mu.RLock()
	leases := make([]Lease, 0, len(v.byAddr))
	for _, l := range v.byAddr {
		leases = append(leases, *l)
	}
	v.mu.RUnlock()
	slices.SortFunc(leases, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return leases
}
