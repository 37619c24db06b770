package dhcpd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// TestThrottle has senders of all speeds among any number of made-up ones: who
// keeps to the rate is never refused, and who does not is soon.
func TestThrottle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		th := newThrottle()
		now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
		every := rapid.SampledFrom([]time.Duration{clientEvery, clientEvery / 3, clientEvery / portClients}).Draw(t, "every")
		most := float64(burst) / float64(every)
		spent := map[uint64]float64{} // of most, since when
		since := map[uint64]time.Time{}
		made := uint64(1000)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				name := th.name('m', []byte{byte(rapid.IntRange(1, 4).Draw(t, "name"))})
				for range rapid.Int64Range(1, int64(2*most)).Draw(t, "messages") {
					spent[name] = max(0, spent[name]-float64(now.Sub(since[name]))/float64(every))
					since[name] = now
					allowed := th.allows(now, name, every)
					if left := most - spent[name]; allowed && left < 0.99 || !allowed && left > 1.01 {
						t.Fatalf("allowed is %v with %v left", allowed, left)
					}
					if allowed {
						th.charge(now, name, every)
						spent[name]++
					}
				}
			case 2:
				for range rapid.IntRange(1, 20000).Draw(t, "made up") {
					made++
					name := th.name('m', binary.BigEndian.AppendUint64(nil, made))
					if !th.allows(now, name, clientEvery) {
						t.Fatal("a name that was never heard is refused")
					}
					if every == clientEvery {
						th.charge(now, name, clientEvery)
					}
				}
				// Who has sent less than those, or one message as they have, may be forgotten.
				for name, n := range spent {
					if n-float64(now.Sub(since[name]))/float64(every) <= 1 {
						delete(spent, name)
						if s := th.find(name); s != nil {
							*s = sender{}
						}
					}
				}
			case 3:
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*burst)).Draw(t, "pause")))
			}
		}
	})
}

// TestAllPhonesAtOnce has the power come back for 5,000 phones on one interface,
// behind a relay that names one port for all of them: nobody is told to wait.
func TestAllPhonesAtOnce(t *testing.T) {
	t.Parallel()
	h := handler{table: lease.NewTable(nil), pace: newThrottle()}
	subnet := netip.MustParsePrefix("10.0.0.0/16")
	p, err := compile(Config{Networks: []Network{{
		Name: "office", Interface: "eth0", Subnet: subnet, LeaseTime: time.Hour, Authoritative: AuthorityYes,
		Ranges: []lease.Range{{First: netip.MustParseAddr("10.0.1.0"), Last: netip.MustParseAddr("10.0.60.0")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	own := netip.MustParseAddr("10.0.0.1")
	h.configure(p, map[netip.Addr]bool{own: true})
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	relayInfo := []byte("\x01\x07Vlan100")
	send := func(i int, r request) result {
		r.link, r.dest, r.giaddr = testLink, own, netip.MustParseAddr("10.0.0.2")
		r.mac = mac.Addr{0, 4, 0x13, 0, byte(i >> 8), byte(i)}
		r.clientID = "\x01" + string(r.mac[:])
		r.relayInfo, r.agent = relayInfo, readAgent(relayInfo)
		copy(r.chaddr[:], r.mac[:])
		out := h.handle(now, &r)
		h.table.Commit(len(h.table.Pending()))
		return out
	}
	const phones = 5000
	var offered [phones]netip.Addr
	for i := range phones {
		for range 2 { // the first is lost
			out := send(i, request{kind: dhcpv4.MessageTypeDiscover})
			if out.kind != dhcpv4.MessageTypeOffer {
				t.Fatalf("phone %d: %v, %s", i, out.kind, out.reason)
			}
			offered[i] = out.addr
		}
	}
	for i := range phones {
		if out := send(i, request{kind: dhcpv4.MessageTypeRequest, requested: offered[i], serverID: own}); out.kind != dhcpv4.MessageTypeAck {
			t.Fatalf("phone %d: %v, %s", i, out.kind, out.reason)
		}
	}
}
