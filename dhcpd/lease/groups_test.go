package lease

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestGroups counts the leases of machines and ports, one lease at a time: of
// clients that name themselves by their MAC or not, through everything that
// becomes of a lease.
func TestGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scope := office()
		scope.Port = func(relayInfo string) string { return relayInfo[1:] }
		table := NewTable(nil)
		table.Configure([]Scope{scope})
		now := start
		a := func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.SampledFrom([]int{10, 11, 13, 20, 21, 99}).Draw(t, "address"))})
		}
		client := func(t *rapid.T) (l Lease) {
			l.MAC = key(rapid.IntRange(1, 3).Draw(t, "machine")).MAC
			l.ClientID = rapid.SampledFrom([]string{"", "\x01" + string(l.MAC[:]), "one", "two", "three" + string(l.MAC[:])}).Draw(t, "name")
			l.RelayInfo = rapid.SampledFrom([]string{"", "r1", "rport", "r"}).Draw(t, "port")
			l.Addr, l.Start = a(t), TimeOf(now)
			l.Expiry = l.Start.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "minutes")) * time.Minute)
			return l
		}
		t.Repeat(map[string]func(*rapid.T){
			"bind": func(t *rapid.T) {
				if l := client(t); table.Free(l.Addr, l.Key(), now) {
					table.Bind(0, l, l.Expiry.Time().Add(time.Hour))
				}
			},
			"release": func(t *rapid.T) { table.Release(a(t), now) },
			"decline": func(t *rapid.T) {
				l := client(t)
				table.Decline(0, l, l.Expiry.Time())
			},
			"wait":     func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute) },
			"commit":   func(*rapid.T) { table.Commit(len(table.Pending())) },
			"rollback": func(*rapid.T) { table.Rollback(0) },
			"reload": func(*rapid.T) {
				table.Commit(len(table.Pending()))
				table.Configure([]Scope{scope})
			},
			"": func(t *rapid.T) {
				macs, ports := map[Key]int{}, map[string]int{}
				for e := range table.entries.all {
					if l := e.lease; l.Active(now) {
						macs[Key{MAC: l.MAC}]++
						if l.RelayInfo != "" {
							ports[l.RelayInfo[1:]]++
						}
					}
				}
				for i := 1; i <= 3; i++ {
					if got := table.ofMAC(0, key(i).MAC, now); got != macs[key(i)] {
						t.Fatalf("machine %d has %d leases, want %d", i, got, macs[key(i)])
					}
					for limit := range 8 {
						if got := table.MACHas(0, key(i).MAC, limit, now); got != (macs[key(i)] >= limit) {
							t.Fatalf("machine %d has %d leases: %v", i, limit, got)
						}
					}
				}
				for _, port := range []string{"1", "port", "none"} {
					if got := table.OfPort(0, port, now); got != ports[port] {
						t.Fatalf("port %s has %d leases, want %d", port, got, ports[port])
					}
				}
			},
		})
	})
}
