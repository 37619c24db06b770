package lease

import (
	"net/netip"
	"slices"
	"sync"

	"dialtone/internal/mac"
)

// View is what goroutines other than the owner of the table may read: leases
// as they are on the disk.
type View struct {
	clock *clock

	mu     sync.RWMutex
	byAddr pages[Lease]
}

func newView(c *clock) *View {
	return &View{clock: c, byAddr: newPages[Lease]()}
}

// Client gives the MAC that an address is leased to now, and the vendor class
// (option 60) that it sent: as sent, so hostile.
func (v *View) Client(a netip.Addr) (m mac.Addr, vendorClass string, ok bool) {
	if !a.Is4() {
		return mac.Addr{}, "", false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if l := v.byAddr.get(a.As4()); l.Active(v.clock.Now()) {
		return l.MAC, l.VendorClass, true
	}
	return mac.Addr{}, "", false
}

// Snapshot gives a copy of every lease, ended and declined ones too, by
// address. Its times are the wall clock's.
func (v *View) Snapshot() []Lease {
	v.mu.RLock()
	leases := make([]Lease, 0, v.byAddr.n)
	for l := range v.byAddr.all {
		c := *l
		c.Start, c.Expiry, c.Recorded = v.clock.wall(c.Start), v.clock.wall(c.Expiry), v.clock.wall(c.Recorded)
		leases = append(leases, c)
	}
	v.mu.RUnlock()
	slices.SortFunc(leases, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return leases
}
