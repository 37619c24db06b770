package dhcpd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// TestRenewalsWriteLittle has 250 phones come one by one and renew ten lease times
// long, by the clock that the server is told: each half of its lease, and up to a
// minute, after the last time, and none together with another. What is written for a
// renewal is less than 4 kB, which is a quarter of what one write is.
func TestRenewalsWriteLittle(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{time.Hour, 12 * time.Hour, 36 * time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			db, err := state.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.NoSync = true // the octets are what counts
			begin := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
			now := begin
			store, err := lease.Open(db, func() (time.Time, time.Duration) { return now, now.Sub(begin) })
			if err != nil {
				t.Fatal(err)
			}
			h := handler{table: lease.NewTable(nil)}
			c := office()
			c.Networks[0].LeaseTime = d
			c.Networks[0].Subnet = netip.MustParsePrefix("192.0.0.0/20")
			c.Networks[0].Ranges = []lease.Range{{First: netip.MustParseAddr("192.0.4.1"), Last: netip.MustParseAddr("192.0.7.254")}}
			p, err := compile(c)
			if err != nil {
				t.Fatal(err)
			}
			own := netip.MustParseAddr("192.0.2.1")
			h.configure(p, map[netip.Addr]bool{own: true})
			commits := 0
			send := func(r request) netip.Addr {
				r.link = testLink
				out := h.handle(now, &r)
				if out.wait {
					commits++
				}
				changes := h.table.Pending()
				if err := store.Write(changes); err != nil {
					t.Fatal(err)
				}
				h.table.Commit(len(changes))
				if !out.addr.IsValid() {
					t.Fatalf("%v gets %v: %s", r.mac, out.kind, out.reason)
				}
				return out.addr
			}
			const phones = 250
			type phone struct {
				request
				at  netip.Addr
				due time.Time
			}
			var office [phones]phone
			rnd := rand.New(rand.NewPCG(5, 6))
			again := func(p *phone) { p.due = now.Add(d/2 + time.Duration(rnd.Int64N(int64(time.Minute)))) }
			for i := range office {
				m := mac.Addr{0, 4, 0x13, 0, 0, byte(i)}
				r := request{mac: m, clientID: "\x01" + string(m[:]), vendorClass: "snomD785", hostName: fmt.Sprintf("snomd785-%x", m[:]), dest: broadcastAddr}
				r.kind = dhcpv4.MessageTypeDiscover
				r.requested = send(r)
				r.kind, r.serverID = dhcpv4.MessageTypeRequest, own
				office[i] = phone{request: r, at: send(r)}
				again(&office[i])
				now = now.Add(time.Duration(rnd.Int64N(int64(d) / phones)))
			}
			written := func() int64 { return db.Stats().TxStats.PageAlloc + int64(commits)*int64(db.Info().PageSize) }
			before, came, renewals := written(), commits, int64(0)
			for end := now.Add(10 * d); ; renewals++ {
				p := &office[0]
				for i := range office {
					if office[i].due.Before(p.due) {
						p = &office[i]
					}
				}
				if p.due.After(end) {
					break
				}
				now = p.due
				r := p.request
				r.requested, r.serverID, r.ciaddr, r.dest = netip.Addr{}, netip.Addr{}, p.at, own
				if got := send(r); got != p.at {
					t.Fatalf("a phone at %v renews %v", p.at, got)
				}
				again(p)
			}
			each := (written() - before) / renewals
			t.Logf("%d renewals, %d of them written, %d octets for each", renewals, commits-came, each)
			if each >= 4<<10 || renewals < 19*phones {
				t.Errorf("%d octets are written for each of %d renewals", each, renewals)
			}
		})
	}
}
