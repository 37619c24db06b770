package dhcpd

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// grant is an address as a client understands it: acknowledged, until then.
type grant struct {
	key   lease.Key
	until time.Time
}

// TestNoAddressTwice lets clients, right and wrong ones, do what they like with
// a small network, a disk that fails and a program that is killed, and holds
// the server to what its ACKs have promised: an address is one client's at a
// time, and a client finds its lease after any restart.
func TestNoAddressTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		w := newWorld(t, filepath.Join(dir, fmt.Sprint(runs)))
		defer func() { w.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"discover": func(t *rapid.T) { w.message(t, dhcpv4.MessageTypeDiscover) },
			"request":  func(t *rapid.T) { w.message(t, dhcpv4.MessageTypeRequest) },
			"take":     func(t *rapid.T) { w.take(t) },
			"renew":    func(t *rapid.T) { w.renew(t) },
			"release":  func(t *rapid.T) { w.message(t, dhcpv4.MessageTypeRelease) },
			"decline":  func(t *rapid.T) { w.message(t, dhcpv4.MessageTypeDecline) },
			"wait": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second)
			},
			"restart": func(*rapid.T) {
				w.db.Close()
				w.open()
			},
			"reload": func(*rapid.T) { w.handler.configure(w.handler.plan, w.handler.own) },
			"disk":   func(t *rapid.T) { w.broken = rapid.Bool().Draw(t, "broken") },
			"probe": func(t *rapid.T) {
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 9).Draw(t, "probed"))})
				w.known[a] = scripted{
					rapid.SampledFrom([]finding{findingUnknown, findingClean, findingTaken, findingSkip}).Draw(t, "finding"),
					testClient(rapid.IntRange(1, 8).Draw(t, "by")),
				}
			},
			"": w.check,
		})
	})
}

type world struct {
	t       *rapid.T
	path    string
	now     time.Time
	db      *bbolt.DB
	store   *lease.Store
	handler handler
	known   findings
	broken  bool
	grants  map[netip.Addr]grant
	offers  map[lease.Key]netip.Addr
}

func newWorld(t *rapid.T, path string) *world {
	w := &world{t: t, path: path, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), known: findings{}, grants: map[netip.Addr]grant{}, offers: map[lease.Key]netip.Addr{}}
	w.open()
	return w
}

func (w *world) open() {
	var err error
	if w.db, err = bbolt.Open(w.path, 0o600, &bbolt.Options{NoSync: true}); err != nil {
		w.t.Fatal(err)
	}
	if w.store, err = lease.Open(w.db, w.read); err != nil {
		w.t.Fatal(err)
	}
	leases, err := w.store.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	w.handler = handler{table: lease.NewTable(leases)}
	w.handler.known = w.known
	p, err := compile(Config{
		Networks: []Network{{
			Name: "office", Interface: "eth0", Subnet: netip.MustParsePrefix("192.0.2.0/24"), LeaseTime: time.Hour, Authoritative: AuthorityYes, Probe: true,
			Ranges: []lease.Range{{First: netip.MustParseAddr("192.0.2.1"), Last: netip.MustParseAddr("192.0.2.6")}},
			Hosts:  []Host{{MAC: testClient(1), Address: netip.MustParseAddr("192.0.2.3")}, {MAC: testClient(2), Address: netip.MustParseAddr("192.0.2.9")}},
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.handler.configure(p, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
}

// read is the machine's clocks, which are right.
func (w *world) read() (time.Time, time.Duration) { return w.now, time.Duration(w.now.UnixNano()) }

func testClient(i int) mac.Addr { return mac.Addr{0, 0, 0x5e, 0, 0x53, byte(i)} }

// message sends anything of a kind: from some client, about some address.
func (w *world) message(t *rapid.T, kind dhcpv4.MessageType) {
	r := w.client(t)
	r.kind = kind
	anAddr := func(what string) netip.Addr {
		if !rapid.Bool().Draw(t, "with "+what) {
			return netip.Addr{}
		}
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 10).Draw(t, what))})
	}
	r.requested, r.ciaddr, r.serverID = anAddr("requested"), anAddr("ciaddr"), anAddr("server")
	w.send(r)
}

func (w *world) client(t *rapid.T) *request {
	r := &request{link: testLink, dest: broadcastAddr, mac: testClient(rapid.IntRange(1, 6).Draw(t, "client"))}
	r.leaseTime = uint32(rapid.SampledFrom([]int{0, 0, 0, 1, 600, 86400}).Draw(t, "wish"))
	if rapid.IntRange(0, 3).Draw(t, "named") == 0 {
		r.clientID = "a name"
	}
	copy(r.chaddr[:], r.mac[:])
	return r
}

// take follows up an offer, as a right client does.
func (w *world) take(t *rapid.T) {
	r := w.client(t)
	r.kind, r.requested, r.serverID = dhcpv4.MessageTypeRequest, w.offers[r.key()], netip.MustParseAddr("192.0.2.1")
	w.send(r)
}

// renew renews a grant, as a right client does.
func (w *world) renew(t *rapid.T) {
	r := w.client(t)
	for a, g := range w.grants {
		if g.key == r.key() {
			r.kind, r.ciaddr, r.dest = dhcpv4.MessageTypeRequest, a, netip.MustParseAddr("192.0.2.1")
			w.send(r)
			return
		}
	}
}

func (w *world) send(r *request) {
	out := w.handler.handle(w.now, r)
	changes := w.handler.table.Pending()
	written := true
	for _, c := range changes {
		written = written && (!c.Write || !w.broken)
	}
	if written {
		if err := w.store.Write(changes); err != nil {
			w.t.Fatal(err)
		}
		w.store.Publish(changes)
		w.handler.table.Commit(len(changes))
	} else {
		w.store.Publish(w.handler.table.Rollback(0))
		if out.wait {
			return
		}
	}

	k := r.key()
	switch {
	case out.kind == dhcpv4.MessageTypeOffer:
		w.promise(out.addr, r)
		w.offers[k] = out.addr
	case out.kind == dhcpv4.MessageTypeAck && r.kind == dhcpv4.MessageTypeRequest:
		w.promise(out.addr, r)
		for a, g := range w.grants {
			if g.key == k {
				delete(w.grants, a) // a client has one address
			}
		}
		d := time.Duration(binary.BigEndian.Uint32(dhcpv4Option(w.t, out.payload, optLeaseTime))) * time.Second
		w.grants[out.addr] = grant{k, w.now.Add(d)}
	case r.kind == dhcpv4.MessageTypeRelease && out.reason == "" && written:
		delete(w.grants, r.ciaddr)
	case r.kind == dhcpv4.MessageTypeDecline && out.reason == "" && written:
		delete(w.grants, r.requested)
	}
}

func dhcpv4Option(t *rapid.T, payload []byte, code uint8) []byte {
	m, err := dhcpv4.FromBytes(payload)
	if err != nil {
		t.Fatal(err)
	}
	return m.Options.Get(dhcpv4.GenericOptionCode(code))
}

// promise fails when an address is another client's.
func (w *world) promise(a netip.Addr, r *request) {
	owners := map[netip.Addr]mac.Addr{netip.MustParseAddr("192.0.2.3"): testClient(1), netip.MustParseAddr("192.0.2.9"): testClient(2)}
	owner, reserved := owners[a]
	if reserved && owner != r.mac {
		w.t.Fatalf("%v is reserved, and given to %v", a, r.mac)
	}
	if last := a.As4()[3]; !reserved && (last < 2 || last > 6) {
		w.t.Fatalf("%v is not in the range", a)
	}
	if g, ok := w.grants[a]; ok && g.key != r.key() && w.now.Before(g.until) && !reserved {
		w.t.Fatalf("%v is given to %v, and is %v's", a, r.key(), g.key)
	}
}

// check compares what the rest of the program sees with what was promised.
func (w *world) check(t *rapid.T) {
	for a, g := range w.grants {
		if !w.now.Before(g.until) {
			continue
		}
		m, _, ok := w.store.View().Client(a)
		if l := w.handler.table.At(a); !ok || l.Key() != g.key || l.MAC != m {
			t.Fatalf("%v was promised to %v until %v, and is not seen so: %v %v", a, g.key, g.until, m, ok)
		}
	}
}

// FuzzHandle holds the whole way of a packet to what it may never do, whatever
// the packet: it does not panic, what it answers is the client's own, an
// address from the range and nobody else's, and of bounded size.
func FuzzHandle(f *testing.F) {
	discover := raw(53, 1, 1, 61, 7, 1, 0, 4, 0x13, 0x92, 0x2d, 0x24, 57, 2, 5, 0xdc, 60, 8, 's', 'n', 'o', 'm', 'D', '7', '8', '5',
		12, 9, 's', 'n', 'o', 'm', '-', '1', '2', '3', '4', 55, 14, 1, 3, 4, 6, 12, 15, 42, 43, 51, 66, 67, 120, 125, 133, 255)
	f.Add(append(discover, make([]byte, 64)...), false)
	f.Add(raw(53, 1, 3, 50, 4, 192, 0, 2, 10, 54, 4, 192, 0, 2, 1, 55, 3, 1, 3, 6, 255), false)
	f.Add(edit(raw(53, 1, 3, 255), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, 10), true)
	f.Add(raw(53, 1, 3, 50, 4, 10, 0, 0, 1, 255), false)
	f.Add(raw(53, 1, 4, 50, 4, 192, 0, 2, 10, 54, 4, 192, 0, 2, 1, 255), false)
	f.Add(edit(raw(53, 1, 7, 54, 4, 192, 0, 2, 1, 255), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, 10), true)
	f.Add(edit(raw(53, 1, 8, 55, 4, 43, 120, 125, 132, 255), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, 77), true)
	f.Add(edit(raw(53, 1, 1, 118, 4, 192, 0, 2, 0, 82, 14, 5, 4, 192, 0, 2, 0, 11, 4, 198, 51, 100, 1, 19, 0, 255), offGIAddr, 198, offGIAddr+1, 51, offGIAddr+2, 100, offGIAddr+3, 1), true)
	f.Add(raw(53, 1, 1, 52, 1, 3, 119, 6, 1, 'a', 0xc0, 0, 0xc0, 2, 255), false)
	p, err := compile(Config{
		Phones: testPhones{},
		Networks: []Network{{
			Name: "office", Interface: "eth0", Subnet: netip.MustParsePrefix("192.0.2.0/24"), LeaseTime: time.Hour, Authoritative: AuthorityYes, VLAN: &VLAN{20, 5},
			Ranges:  []lease.Range{{First: netip.MustParseAddr("192.0.2.10"), Last: netip.MustParseAddr("192.0.2.99")}},
			Options: []Option{{224, make([]byte, 300)}},
		}},
		Classes: []Class{{Name: "pxe", Match: "PXEClient", Options: []Option{{66, []byte("192.0.2.3")}, {67, []byte("undionly.kpxe")}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	other := lease.Lease{Addr: netip.MustParseAddr("192.0.2.11"), MAC: testClient(0x99), State: lease.Leased, Expiry: 2e12, Recorded: 2e12}
	f.Fuzz(func(t *testing.T, b []byte, unicast bool) {
		h := handler{table: lease.NewTable([]lease.Lease{other})}
		h.configure(p, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
		r := request{link: testLink, dest: broadcastAddr}
		if unicast {
			r.dest = netip.MustParseAddr("192.0.2.1")
		}
		if parse(b, &r) != nil {
			return
		}
		now := time.Unix(1772352000, 0)
		for range 2 {
			out := h.handle(now, &r)
			if out.payload == nil {
				continue
			}
			if len(out.payload) < minPayload || len(out.payload) > max(r.limit(), 800) {
				t.Fatalf("%d octets", len(out.payload))
			}
			m, err := dhcpv4.FromBytes(out.payload)
			if err != nil {
				t.Fatal(err)
			}
			if string(out.payload[4:8]) != string(b[4:8]) || string(out.payload[offCHAddr:offSName]) != string(b[offCHAddr:offSName]) {
				t.Fatal("the answer is not to this client")
			}
			yiaddr, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
			if last := yiaddr.As4()[3]; !yiaddr.IsUnspecified() && (!p.networks[0].Subnet.Contains(yiaddr) || last < 10 || last > 99) {
				t.Fatalf("yiaddr %v", yiaddr)
			}
			if yiaddr == other.Addr && r.key() != other.Key() {
				t.Fatalf("%v is another's", yiaddr)
			}
		}
	})
}
