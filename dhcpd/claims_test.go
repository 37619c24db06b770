package dhcpd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// TestClaims floods a network with REQUESTs of clients that nobody knows, in
// every state that a client can be in, and holds the server to the quota: of
// twenty addresses ten are leased to them at most, however long it lasts, and
// a client that was leased one before finds it.
func TestClaims(t *testing.T) {
	t.Parallel()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
	rapid.Check(t, func(t *rapid.T) {
		h := handler{table: lease.NewTable(nil)}
		p, err := compile(Config{Networks: []Network{{
			Name: "office", Interface: "eth0", Subnet: netip.MustParsePrefix("192.0.2.0/24"), LeaseTime: time.Hour, Authoritative: AuthorityYes,
			Ranges:      []lease.Range{{First: at(10), Last: at(29)}},
			RapidCommit: rapid.Bool().Draw(t, "rapid commit"),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		own := map[netip.Addr]bool{at(1): true}
		h.configure(p, own)
		now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
		send := func(r request) result {
			r.link = testLink
			if !r.dest.IsValid() {
				r.dest = broadcastAddr
			}
			copy(r.chaddr[:], r.mac[:])
			out := h.handle(now, &r)
			h.table.Commit(len(h.table.Pending()))
			return out
		}
		known := testClient(1)
		out := send(request{mac: known, kind: dhcpv4.MessageTypeDiscover})
		mine := out.addr
		out = send(request{mac: known, kind: dhcpv4.MessageTypeRequest, requested: mine, serverID: at(1)})
		if out.kind != dhcpv4.MessageTypeAck {
			t.Fatal(out.kind, out.reason)
		}
		ends := now.Add(time.Hour)
		held := map[netip.Addr]time.Time{} // by the flood
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"flood": func(t *rapid.T) {
				n++
				r := request{mac: mac.Addr{2, 0, 0, 0, byte(n >> 8), byte(n)}, kind: dhcpv4.MessageTypeRequest}
				a := at(rapid.IntRange(10, 29).Draw(t, "address"))
				switch rapid.IntRange(0, 4).Draw(t, "state") {
				case 0:
					r.requested = a
				case 1:
					r.ciaddr = a
				case 2:
					r.ciaddr, r.dest = a, at(1)
				case 3:
					r.requested, r.serverID = a, at(1)
				case 4:
					r.kind, r.requested, r.rapidCommit = dhcpv4.MessageTypeDiscover, a, true
				}
				if out := send(r); out.kind == dhcpv4.MessageTypeAck {
					held[out.addr] = now.Add(claimTime)
				}
			},
			"release": func(t *rapid.T) {
				m := mac.Addr{2, 0, 0, 0, 0, byte(rapid.IntRange(0, n).Draw(t, "client"))}
				if l := h.table.Binding(0, lease.Key{MAC: m}); l.Active(now) {
					send(request{mac: m, kind: dhcpv4.MessageTypeRelease, ciaddr: l.Addr, dest: at(1)})
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
			},
			"reload": func(*rapid.T) { h.configure(p, own) },
			"renew": func(t *rapid.T) {
				if !now.Before(ends) {
					return // anybody may have it now
				}
				out := send(request{mac: known, kind: dhcpv4.MessageTypeRequest, ciaddr: mine})
				if out.kind != dhcpv4.MessageTypeAck || out.addr != mine {
					t.Fatalf("a known client gets %v (%s)", out.kind, out.reason)
				}
				ends = now.Add(time.Hour)
			},
			"": func(t *rapid.T) {
				count := 0
				for a, until := range held {
					if now.Before(until) && h.table.At(a).Active(now) {
						count++
					}
				}
				if count > 10 {
					t.Fatalf("the flood has %d addresses of 20", count)
				}
			},
		})
	})
}
