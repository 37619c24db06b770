package dhcpd

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// TestMemoryIsFlat floods a network of 16 million addresses for half an hour, by
// the clock that the server is told, with clients that all are new and name any
// address: they look for a lease, claim one, or find the one that they were offered
// in use. What the table has in the memory afterwards follows from its quotas, not
// from how many there were.
func TestMemoryIsFlat(t *testing.T) {
	const messages, halfAnHour = 60_000, 30 * time.Minute
	anyAddr := func(rnd *rand.Rand) netip.Addr {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 10<<24|rnd.Uint32N(1<<24))
		return netip.AddrFrom4(a)
	}
	own := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		name string
		send func(rnd *rand.Rand, m mac.Addr, send func(request) result)
		most int // kilobytes
	}{
		{"DISCOVER", func(_ *rand.Rand, m mac.Addr, send func(request) result) {
			send(request{mac: m, kind: dhcpv4.MessageTypeDiscover})
		}, 8 << 10},
		{"DISCOVER with a wish", func(rnd *rand.Rand, m mac.Addr, send func(request) result) {
			send(request{mac: m, kind: dhcpv4.MessageTypeDiscover, requested: anyAddr(rnd)})
		}, 8 << 10},
		{"INIT-REBOOT", func(rnd *rand.Rand, m mac.Addr, send func(request) result) {
			send(request{mac: m, kind: dhcpv4.MessageTypeRequest, requested: anyAddr(rnd)})
		}, 16 << 10},
		{"DECLINE", func(rnd *rand.Rand, m mac.Addr, send func(request) result) {
			out := send(request{mac: m, kind: dhcpv4.MessageTypeDiscover, requested: anyAddr(rnd)})
			send(request{mac: m, kind: dhcpv4.MessageTypeDecline, requested: out.addr, serverID: own})
		}, 16 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := handler{table: lease.NewTable(nil), pace: newThrottle()}
			p, err := compile(Config{Networks: []Network{{
				Name: "large", Interface: "eth0", Subnet: netip.MustParsePrefix("10.0.0.0/8"), LeaseTime: time.Hour, Authoritative: AuthorityYes,
				Ranges: []lease.Range{{First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.255.255.254")}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			h.configure(p, map[netip.Addr]bool{own: true})
			now, rnd := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), rand.New(rand.NewPCG(3, 4))
			l := &link{name: "eth0", mtu: 1500, addrs: []netip.Prefix{netip.PrefixFrom(own, 8)}}
			var m mac.Addr
			send := func(r request) result {
				r.link, r.dest = l, broadcastAddr
				copy(r.chaddr[:], r.mac[:])
				out := h.handle(now, &r)
				h.table.Commit(len(h.table.Pending()))
				if out.payload != nil {
					h.reuse(out.payload)
				}
				return out
			}
			heap := func() int {
				var s runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&s)
				return int(s.HeapAlloc) >> 10
			}
			before := heap()
			for i := range messages {
				binary.BigEndian.PutUint32(m[2:], uint32(i))
				c.send(rnd, m, send)
				now = now.Add(halfAnHour / messages)
			}
			grown := heap() - before
			t.Logf("%d kB", grown)
			if grown > c.most {
				t.Errorf("the memory grew by %d kB, want %d at most", grown, c.most)
			}
			runtime.KeepAlive(&h)
		})
	}
}
