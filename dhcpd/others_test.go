package dhcpd

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
	"dialtone/dhcpd/probe"
	"dialtone/internal/mac"
)

var rogue = probe.Server{ID: netip.MustParseAddr("192.0.2.9"), MAC: testClient(9), Offered: netip.MustParseAddr("192.0.2.77"), Answer: true}

func TestOthers(t *testing.T) {
	t.Parallel()
	o, now := newOthers(), checkStart
	notice := func(what string, s probe.Server, wantFresh, wantTell bool) {
		t.Helper()
		if _, fresh, tell := o.noticed(now, "eth0", s); fresh != wantFresh || tell != wantTell {
			t.Errorf("%s: fresh %v, to be told %v", what, fresh, tell)
		}
	}
	alone := func(what string, want map[string]bool) {
		t.Helper()
		if got := o.alone(now); !maps.Equal(got, want) {
			t.Errorf("%s: %v", what, got)
		}
	}
	alone("at first", map[string]bool{})
	o.ask("eth0", false)
	o.ask("eth1", true)
	alone("asked on one", map[string]bool{"eth1": true})
	o.ask("eth0", true)
	alone("asked on both", map[string]bool{"eth0": true, "eth1": true})

	notice("a client's word", probe.Server{ID: rogue.ID}, true, true)
	notice("its own", rogue, false, false)
	alone("another server", map[string]bool{"eth0": false, "eth1": true})
	now = now.Add(time.Minute)
	notice("a minute later", rogue, false, false)
	list := o.list(now)
	if len(list) != 1 || list[0] != (OtherServer{"eth0", rogue.ID, rogue.MAC, rogue.Offered, checkStart, now}) {
		t.Errorf("list %+v", list)
	}
	now = now.Add(presence)
	alone("gone", map[string]bool{"eth0": true, "eth1": true})
	if len(o.list(now)) != 0 {
		t.Error("it is listed still")
	}
	notice("back", rogue, true, false)
	now = checkStart.Add(reportEvery)
	notice("an hour later", rogue, true, true)

	// Identifiers are a client's word: there is an end to what is remembered,
	// and said.
	told := 0
	for i := range 1000 {
		if _, _, tell := o.noticed(now, "eth0", probe.Server{ID: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}); tell {
			told++
		}
	}
	if len(o.seen) != maxOthers || told != maxOthers-1 {
		t.Errorf("%d servers are remembered, %d were told of", len(o.seen), told)
	}
}

// fakeWire is the rest of a wire: who has an address, and which servers answer.
type fakeWire struct {
	asked   chan netip.Addr
	answers chan probe.Answer
	servers chan probe.Server
	closed  chan struct{}
}

func newFakeWire() *fakeWire {
	return &fakeWire{make(chan netip.Addr, 1000), make(chan probe.Answer), make(chan probe.Server), make(chan struct{})}
}

type fakeAsker struct{ *fakeWire }

// unreachable is what no route leads to.
var unreachable = netip.MustParseAddr("198.51.100.99")

func (w fakeAsker) Ask(a netip.Addr) error {
	if a == unreachable {
		return errors.New("network is unreachable")
	}
	w.asked <- a
	return nil
}

func (w fakeAsker) Receive() (probe.Answer, error) {
	select {
	case a := <-w.answers:
		return a, nil
	case <-w.closed:
		return probe.Answer{}, net.ErrClosed
	}
}

func (w fakeAsker) Close() error {
	close(w.closed)
	return nil
}

type fakeSeeker struct {
	*fakeWire
	closed chan struct{}
	may    <-chan struct{} // closed when it may ask
}

func (w fakeSeeker) Discover() error {
	<-w.may
	return nil
}

func (w fakeSeeker) Receive() (probe.Server, error) {
	select {
	case s := <-w.servers:
		return s, nil
	case <-w.closed:
		return probe.Server{}, net.ErrClosed
	}
}

func (w fakeSeeker) Close() error {
	close(w.closed)
	return nil
}

// TestParkedHoldsUpNobody has one client wait for a probe while another is
// answered, and the first get another address when there is a conflict.
func TestParkedHoldsUpNobody(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	c := office()
	c.Networks[0].Probe = true
	s, store := newTestServer(t, c, &log)
	rest := newFakeWire()
	s.openARP = func(*net.Interface) (asker, error) { return fakeAsker{rest}, nil }
	var passed atomic.Int64 // of a clock that stands still otherwise
	s.now = func() time.Time { return checkStart.Add(time.Duration(passed.Load())) }
	w := start(t, s)

	w.in <- from(1, dhcpv4.MessageTypeDiscover, 50, 4, 192, 0, 2, 10)
	for a := range rest.asked {
		if a == netip.MustParseAddr("192.0.2.10") {
			break
		}
	}
	// So many that the octets of what waits would be another's by now if they were
	// not kept.
	for i := range 10 {
		w.in <- edit(from(2+i, dhcpv4.MessageTypeInform), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, 7)
		if r := w.next(t); r.kind() != dhcpv4.MessageTypeAck {
			t.Errorf("got %v", r.kind())
		}
	}
	// Time stands still: without an answer nothing ends.
	rest.answers <- probe.Answer{Addr: netip.MustParseAddr("192.0.2.10"), MAC: testClient(9)}
	for {
		select {
		case <-time.After(time.Millisecond):
			passed.Add(int64(patience))
			s.queue.nudge()
			continue
		case r := <-w.out:
			if r.kind() != dhcpv4.MessageTypeOffer || r.payload[offYIAddr+3] == 10 || r.payload[offCHAddr+5] != 1 {
				t.Errorf("got %v of %v for % x", r.kind(), r.payload[offYIAddr:offSIAddr], r.payload[offCHAddr:offCHAddr+6])
			}
		}
		break
	}
	if st := s.Stats(); st.Conflicts != 1 || st.Received.Discover != 1 || st.Probes == 0 {
		t.Errorf("stats %+v", st)
	}
	if !strings.Contains(log.String(), `ask for a lease" mac=00:00:5e:00:53:09 ip=192.0.2.10`) {
		t.Errorf("log:\n%s", &log)
	}
	// No reply waits for the record of a decline, so it may be written after the offer.
	onRecord := func() bool {
		return slices.ContainsFunc(store.View().Snapshot(), func(l lease.Lease) bool {
			return l.Addr == netip.MustParseAddr("192.0.2.10") && l.State == lease.Declined && l.MAC == testClient(9)
		})
	}
	for end := time.Now().Add(tooLong); !onRecord(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the address is not on record as declined")
		}
	}
}

// TestLeaseEndsFinding holds that what was known before a lease is not held
// against the address after it.
func TestLeaseEndsFinding(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, office(), io.Discard)
	s.handler.configure(s.plan, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
	s.checks.begin(someAddr, checkStart.Add(patience), time.Minute)
	s.group([]*packet{{data: requestFor(1, 10), port: &port{conn: newWire()}, link: testLink, dest: broadcastAddr}})
	if len(s.checks.known)+len(s.checks.asking) != 0 {
		t.Error("it is")
	}
}

// TestConflictAhead has addresses answered for that no client waits for.
func TestConflictAhead(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, office(), io.Discard)
	s.now = func() time.Time { return checkStart }
	s.handler.configure(s.plan, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
	unasked, leased := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	s.group([]*packet{{data: requestFor(1, 12), port: &port{conn: newWire()}, link: testLink, dest: broadcastAddr}})
	for _, a := range []netip.Addr{someAddr, leased} {
		s.checks.begin(a, checkStart.Add(patience), time.Minute)
	}
	for _, a := range []netip.Addr{someAddr, unasked, leased, netip.MustParseAddr("203.0.113.1")} {
		s.answers.push(probe.Answer{Addr: a, MAC: testClient(9)})
	}
	if ready := s.probing(nil); len(ready) != 0 {
		t.Errorf("%d packets", len(ready))
	}
	if l := s.handler.table.At(someAddr); l == nil || l.State != lease.Declined || l.MAC != testClient(9) {
		t.Errorf("the address is not in quarantine: %+v", l)
	}
	if l := s.handler.table.At(unasked); l != nil {
		t.Errorf("what nobody asked for is in quarantine: %+v", l)
	}
	if l := s.handler.table.At(leased); !l.Active(checkStart) || l.MAC != testClient(1) {
		t.Errorf("a lease is gone: %+v", l)
	}
	if st := s.Stats(); st.Conflicts != 1 {
		t.Errorf("%d conflicts", st.Conflicts)
	}
}

// TestProbesAhead holds that what comes next is asked for unasked, slowly, and
// once.
func TestProbesAhead(t *testing.T) {
	t.Parallel()
	c := office()
	c.Networks[0].Probe = true
	c.Networks[0].Hosts = []Host{{MAC: testClient(1), Address: netip.MustParseAddr("192.0.2.12")}}
	s, _ := newTestServer(t, c, io.Discard)
	rest := newFakeWire()
	s.ports = map[string]*port{"eth0": {arp: fakeAsker{rest}}}
	s.ports["eth0"].link.Store(testLink)
	s.handler.configure(s.plan, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
	now := checkStart
	asked := map[netip.Addr]int{}
	step := func() time.Duration {
		d := s.aheadStep(now)
		if len(rest.asked) > aheadBurst {
			t.Fatalf("%d probes at once", len(rest.asked))
		}
		for len(rest.asked) > 0 {
			asked[<-rest.asked]++
		}
		now = now.Add(d)
		s.checks.expire(nil, now)
		return d
	}
	for step() < idleEvery {
	}
	if took := now.Sub(checkStart); len(asked) != 89 || took > 2*time.Second {
		t.Errorf("%d addresses, 89 are free, asked for in %v", len(asked), took)
	}
	if asked[netip.MustParseAddr("192.0.2.12")] != 0 {
		t.Error("a reserved address is asked for")
	}
	// For most of the time there is nothing to do; then every one is renewed, one
	// after the other, and none is unknown at any time.
	for now.Sub(checkStart) < cleanOnLink*9/10 {
		step()
	}
	for end := now.Add(cleanOnLink); now.Before(end); {
		step()
		for a := range asked {
			s.checks.at(t, a, now, findingClean, mac.Addr{})
		}
	}
	for a, n := range asked {
		if n < 2 || n > 4 {
			t.Errorf("%v is asked for %d times in two terms", a, n)
		}
	}
	s.checks.busy = true
	now = now.Add(time.Hour)
	if step(); len(rest.asked) != 0 {
		t.Error("there is time to ask while packets queue up")
	}
}

// TestWaysToAsk holds who is asked by what: ARP on a wire of ours, ICMP behind
// relays, nobody where the server does not listen.
func TestWaysToAsk(t *testing.T) {
	t.Parallel()
	c := office()
	branch := c.Networks[0]
	branch.Name, branch.Subnet, branch.Ranges = "branch", netip.MustParsePrefix("198.51.100.0/24"), nil
	down := branch
	down.Name, down.Subnet, down.Interface = "down", netip.MustParsePrefix("203.0.113.0/24"), "eth1"
	c.Networks = append(c.Networks, branch, down)
	s, _ := newTestServer(t, c, io.Discard)
	wire, routed := fakeAsker{newFakeWire()}, fakeAsker{newFakeWire()}
	s.ports = map[string]*port{"eth0": {arp: wire}}
	s.ports["eth0"].link.Store(testLink)
	s.echo = routed
	for addr, want := range map[string]asker{"192.0.2.10": wire, "198.51.100.10": routed, "203.0.113.10": nil, "10.0.0.1": nil} {
		a := netip.MustParseAddr(addr)
		if got := s.reaches(a, checkStart); got != (want != nil) {
			t.Errorf("%v can be asked for: %v", a, got)
		}
		if n := s.plan.at(a); n != nil {
			if got, _ := s.asker(n); got != want {
				t.Errorf("%v is asked for by %v", a, got)
			}
			if s.ask(checkStart, n, a, patience) != (want != nil) {
				t.Errorf("%v: asked or not", a)
			}
		}
	}
	s.checks.expire(nil, checkStart.Add(patience))
	s.checks.at(t, netip.MustParseAddr("192.0.2.10"), checkStart.Add(cleanOnLink-1), findingClean, mac.Addr{})
	s.checks.at(t, netip.MustParseAddr("198.51.100.10"), checkStart.Add(cleanRelayed-1), findingClean, mac.Addr{})
	s.checks.at(t, netip.MustParseAddr("198.51.100.10"), checkStart.Add(cleanRelayed+patience), findingUnknown, mac.Addr{})
	s.checks.at(t, netip.MustParseAddr("203.0.113.10"), checkStart.Add(time.Second), findingSkip, mac.Addr{})
	// One failure is enough for a while; nothing is remembered of each address.
	if s.ask(checkStart, s.plan.at(unreachable), unreachable, patience) || s.reaches(unreachable, checkStart) || !s.reaches(unreachable, checkStart.Add(muteTime)) {
		t.Error("a network that cannot be reached")
	}
	if s.checks.known[unreachable] != nil {
		t.Error("an address that was not asked for is known")
	}
}

// TestOwnSearchIsNotAnswered has our own DISCOVER come back by another
// interface.
func TestOwnSearchIsNotAnswered(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, office(), io.Discard)
	w := start(t, s)
	b := from(1, dhcpv4.MessageTypeDiscover)
	copy(b[offCHAddr:], s.client[:])
	w.in <- b
	w.in <- from(2, dhcpv4.MessageTypeDiscover)
	if r := w.next(t); r.payload[offCHAddr+5] != 2 || s.Stats().Received.Discover != 1 {
		t.Errorf("an answer to % x", r.payload[offCHAddr:offCHAddr+6])
	}
}

// TestAuthority follows a server from its start, alone, to the appearance of
// another.
func TestAuthority(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	c := office()
	c.Networks[0].Authoritative = AuthorityAuto
	s, _ := newTestServer(t, c, &log)
	rest, may := newFakeWire(), make(chan struct{})
	s.openSeeker = func(_ *net.Interface, client mac.Addr) (seeker, error) {
		if client[0]&3 != 2 {
			t.Errorf("%v is not locally administered", client)
		}
		return fakeSeeker{rest, make(chan struct{}), may}, nil
	}
	w := start(t, s)
	ask := sync.OnceFunc(func() { close(may) })
	defer ask() // the server waits for it at its end
	// A wrong address is refused by a server that is sure, and by no other.
	wrong := func(client int) []byte { return from(client, dhcpv4.MessageTypeRequest, 50, 4, 192, 0, 2, 200) }
	w.in <- wrong(1)
	w.in <- from(2, dhcpv4.MessageTypeDiscover)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeOffer {
		t.Errorf("before the wire was asked: got %v", r.kind())
	}
	ask()
	waitFor(t, &log, "authoritative: no other DHCP server is on the wire")
	w.in <- wrong(1)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeNak {
		t.Errorf("alone: got %v", r.kind())
	}
	own := rogue
	own.ID = netip.MustParseAddr("192.0.2.1")
	rest.servers <- own
	if len(s.Others()) != 0 {
		t.Error("our own answer is another server's")
	}
	w.in <- from(3, dhcpv4.MessageTypeRequest, 50, 4, 192, 0, 2, 50, 54, 4, 192, 0, 2, 9)
	waitFor(t, &log, `"another DHCP server answers: clients may get their lease there, without our options" iface=eth0 ip=192.0.2.9`)
	waitFor(t, &log, "not authoritative: another DHCP server is on the wire")
	rest.servers <- rogue
	rest.servers <- own // the one before has been taken note of
	if o := s.Others(); len(o) != 1 || o[0].MAC != rogue.MAC || s.Stats().OtherServers != 2 {
		t.Errorf("others %+v, stats %+v", o, s.Stats())
	}
	w.in <- wrong(1)
	w.in <- from(2, dhcpv4.MessageTypeDiscover)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeOffer {
		t.Errorf("beside another: got %v", r.kind())
	}
}

func waitFor(t *testing.T, log *syncBuffer, text string) {
	t.Helper()
	for end := time.Now().Add(tooLong); !strings.Contains(log.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not say %q:\n%s", text, log)
		}
	}
}
