package lease

import (
	"net/netip"
	"slices"
	"time"

	"dialtone/internal/mac"
)

// groups are the leases of a network by what may have only so many of them.
type groups struct {
	// byMAC has clients whose identifier is not their MAC. The others are one or
	// two to a MAC, and in the index of clients.
	byMAC  map[mac.Addr][]netip.Addr
	byPort map[string][]netip.Addr
}

// plainNames is how many names a client has that names itself by its MAC.
const plainNames = 2

func plain(m mac.Addr) [plainNames]Key { return [2]Key{{MAC: m}, {ID: "\x01" + string(m[:])}} }

// group has the change of a lease in the groups.
func (p *pool) group(before, after *Lease) {
	if m, ok := named(before); ok {
		p.groups.byMAC = drop(p.groups.byMAC, m, before.Addr)
	}
	if m, ok := named(after); ok {
		p.groups.byMAC = add(p.groups.byMAC, m, after.Addr)
	}
	if p.Port == nil {
		return
	}
	if port := p.port(before); port != "" {
		p.groups.byPort = drop(p.groups.byPort, port, before.Addr)
	}
	if port := p.port(after); port != "" {
		p.groups.byPort = add(p.groups.byPort, port, after.Addr)
	}
}

// named gives the MAC of a lease whose client has another name than that.
func named(l *Lease) (mac.Addr, bool) {
	if l == nil || l.State != Leased || l.ClientID == "" || len(l.ClientID) == 7 && l.ClientID[0] == 1 && l.ClientID[1:] == string(l.MAC[:]) {
		return mac.Addr{}, false
	}
	return l.MAC, true
}

func (p *pool) port(l *Lease) string {
	if l == nil || l.State != Leased || l.RelayInfo == "" {
		return ""
	}
	return p.Port(l.RelayInfo)
}

func add[K comparable](m map[K][]netip.Addr, k K, a netip.Addr) map[K][]netip.Addr {
	if m == nil {
		m = map[K][]netip.Addr{}
	}
	m[k] = append(m[k], a)
	return m
}

func drop[K comparable](m map[K][]netip.Addr, k K, a netip.Addr) map[K][]netip.Addr {
	list := m[k]
	if i := slices.Index(list, a); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if m[k] = list; len(list) == 0 {
		delete(m, k)
	}
	return m
}

// MACHas reports whether a machine has so many leases in a network, whatever it
// calls itself.
func (t *Table) MACHas(network int, m mac.Addr, limit int, now time.Time) bool {
	// Most have none but under their own name.
	return len(t.pools[network].groups.byMAC[m])+plainNames >= limit && t.ofMAC(network, m, now) >= limit
}

func (t *Table) ofMAC(network int, m mac.Addr, now time.Time) int {
	p := t.pools[network]
	n := t.active(p.groups.byMAC[m], now)
	for _, k := range plain(m) {
		if l := t.Binding(network, k); l.Active(now) && l.MAC == m {
			n++
		}
	}
	return n
}

// OfPort counts the leases of a port in a network, by the name that Scope.Port
// gives.
func (t *Table) OfPort(network int, port string, now time.Time) int {
	return t.active(t.pools[network].groups.byPort[port], now)
}

func (t *Table) active(list []netip.Addr, now time.Time) int {
	n := 0
	for _, a := range list {
		if t.At(a).Active(now) {
			n++
		}
	}
	return n
}
