package neighbour

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// BenchmarkFlood is the cost of a request from an address that nobody knows.
func BenchmarkFlood(b *testing.B) {
	var local netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			local = p
		}
	}
	if !local.IsValid() {
		b.Skip("no interface has an address")
	}
	table := NewTable()
	addr := local.Masked().Addr()
	for b.Loop() {
		addr = addr.Next()
		if !local.Contains(addr) {
			addr = local.Masked().Addr().Next()
		}
		if _, _, err := table.Lookup(addr, local.Addr(), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
