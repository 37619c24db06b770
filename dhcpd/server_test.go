package dhcpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"

	"dialtone/dhcpd/lease"
)

// wire is a conn whose other end is the test.
type wire struct {
	in     chan []byte
	out    chan sentReply
	closed chan struct{}
	once   sync.Once
}

type sentReply struct {
	to      destination
	from    netip.Addr
	payload []byte
}

func newWire() *wire {
	return &wire{in: make(chan []byte, 64), out: make(chan sentReply, 4096), closed: make(chan struct{})}
}

func (w *wire) receive(packets []*packet) (int, error) {
	var b []byte
	select {
	case b = <-w.in:
	case <-w.closed:
		return 0, net.ErrClosed
	}
	for n := 0; ; {
		packets[n].data = append(packets[n].data[:0], b...)
		packets[n].dest = broadcastAddr
		if n++; n == len(packets) {
			return n, nil
		}
		select {
		case b = <-w.in:
		default:
			return n, nil
		}
	}
}

func (w *wire) send(replies []outgoing) (int, error) {
	for _, r := range replies {
		w.out <- sentReply{r.to, r.from, slices.Clone(r.payload)}
	}
	return len(replies), nil
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// heldStore is a store whose writes wait for the test.
type heldStore struct {
	journal
	writes chan chan error // each write sends the channel that its result has to come by
}

func (s *heldStore) Write(changes []lease.Change) error {
	for _, c := range changes {
		if c.Write {
			result := make(chan error)
			s.writes <- result
			if err := <-result; err != nil {
				return err
			}
			return s.journal.Write(changes)
		}
	}
	return nil
}

func office() Config {
	return Config{
		Networks: []Network{{
			Name: "office", Interface: "eth0", Subnet: netip.MustParsePrefix("192.0.2.0/24"), LeaseTime: time.Hour, Authoritative: AuthorityYes,
			Ranges: []lease.Range{{First: netip.MustParseAddr("192.0.2.10"), Last: netip.MustParseAddr("192.0.2.99")}},
		}},
	}
}

func openStore(t testing.TB, sync bool) *lease.Store {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "dialtone.db"), 0o600, &bbolt.Options{NoSync: !sync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newTestServer(t testing.TB, c Config, log io.Writer) (*Server, *lease.Store) {
	t.Helper()
	store := openStore(t, false)
	s, err := New(c, store, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.look = func(name string) (*net.Interface, *link, error) {
		return &net.Interface{Index: 2, Name: name}, &link{name: name, mtu: 1500, addrs: testLink.addrs}, nil
	}
	s.openARP, s.openEcho, s.openSeeker = nil, nil, nil
	return s, store
}

// start runs a server on a wire until the test ends.
func start(t testing.TB, s *Server) *wire {
	t.Helper()
	w := newWire()
	var opened sync.Once
	s.open = func(*net.Interface) (conn, error) {
		c := newWire() // nobody is on the wire of a second interface
		opened.Do(func() { c = w })
		return c, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

// from is a client's packet.
func from(client int, kind dhcpv4.MessageType, options ...byte) []byte {
	b := edit(raw(append([]byte{53, 1, byte(kind)}, options...)...), offCHAddr+5, client)
	return append(b, 255)
}

func requestFor(client int, last byte) []byte {
	return from(client, dhcpv4.MessageTypeRequest, 50, 4, 192, 0, 2, last, 54, 4, 192, 0, 2, 1)
}

// tooLong is when a test that waits gives up: only one that fails waits so long,
// on a machine however busy.
const tooLong = time.Minute

func (w *wire) next(t *testing.T) sentReply {
	t.Helper()
	select {
	case r := <-w.out:
		return r
	case <-time.After(tooLong):
		t.Fatal("no reply")
		return sentReply{}
	}
}

func (r sentReply) kind() dhcpv4.MessageType { return dhcpv4.MessageType(r.payload[headerSize+2]) }

// TestAckWaitsForTheDisk holds the order of sync and ACK, and that nothing else
// waits.
func TestAckWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	s, store := newTestServer(t, office(), io.Discard)
	held := &heldStore{store, make(chan chan error)}
	s.store = held
	w := start(t, s)

	w.in <- requestFor(1, 10)
	result := <-held.writes
	if len(w.out) != 0 {
		t.Fatal("an ACK left before the write had ended")
	}
	if _, _, ok := store.View().Client(netip.MustParseAddr("192.0.2.10")); ok {
		t.Error("the lease is seen before it is durable")
	}
	// What comes meanwhile is one group. The OFFER rests on no write.
	for i := 2; i <= 20; i++ {
		w.in <- requestFor(i, byte(10+i))
	}
	w.in <- from(90, dhcpv4.MessageTypeDiscover)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeOffer {
		t.Errorf("got %v", r.kind())
	}
	result <- nil
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeAck {
		t.Errorf("got %v", r.kind())
	}
	result = <-held.writes
	if len(w.out) != 0 {
		t.Fatal("an ACK left before the write had ended")
	}
	result <- nil
	for range 19 {
		if r := w.next(t); r.kind() != dhcpv4.MessageTypeAck {
			t.Errorf("got %v", r.kind())
		}
	}
	if m, _, ok := store.View().Client(netip.MustParseAddr("192.0.2.30")); !ok || m != testClient(20) {
		t.Errorf("lease of the last: %v %v", m, ok)
	}
}

// TestNoAckWithoutTheDisk holds what a failed write leaves: nothing, of what has
// come since neither.
func TestNoAckWithoutTheDisk(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	s, store := newTestServer(t, office(), &log)
	held := &heldStore{store, make(chan chan error)}
	s.store = held
	w := start(t, s)

	w.in <- requestFor(1, 10)
	result := <-held.writes
	w.in <- requestFor(3, 12)
	w.in <- from(4, dhcpv4.MessageTypeDiscover)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeOffer {
		t.Errorf("got %v", r.kind())
	}
	result <- errors.New("no space left on device")
	for s.Stats().WriteErrors == 0 {
		time.Sleep(time.Millisecond) // the owner has no other sign of it
	}
	// The next answer is to the next packet.
	w.in <- from(2, dhcpv4.MessageTypeDiscover, 50, 4, 192, 0, 2, 10)
	r := w.next(t)
	if got := netip.AddrFrom4([4]byte(r.payload[offYIAddr:])); r.kind() != dhcpv4.MessageTypeOffer || got != netip.MustParseAddr("192.0.2.10") {
		t.Errorf("got %v of %v", r.kind(), got)
	}
	if leases := store.View().Snapshot(); len(leases) != 0 {
		t.Errorf("seen: %+v", leases)
	}
	st := s.Stats()
	if st.WriteErrors != 1 || st.WriteDropped != 2 || st.Sent.Ack != 0 {
		t.Errorf("stats %+v", st)
	}
	if !strings.Contains(log.String(), `level=ERROR msg="leases cannot be written: known clients renew, new ones get no answer" err="no space left on device"`) {
		t.Errorf("log:\n%s", &log)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// brokenPhones panics for one vendor class.
type brokenPhones struct{ testPhones }

func (b brokenPhones) SettingServer(model string, server netip.Addr) (string, string) {
	if model == "snomBUG" {
		panic("bug")
	}
	return b.testPhones.SettingServer(model, server)
}

// TestPanicCostsOnePacket holds that a bug leaves neither a lease that nobody
// was told of nor a server that is deaf.
func TestPanicCostsOnePacket(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	c := office()
	c.Phones = brokenPhones{}
	s, store := newTestServer(t, c, &log)
	w := start(t, s)
	w.in <- from(1, dhcpv4.MessageTypeRequest, append([]byte{50, 4, 192, 0, 2, 10, 54, 4, 192, 0, 2, 1, 60, 7}, "snomBUG"...)...)
	w.in <- from(2, dhcpv4.MessageTypeDiscover, 50, 4, 192, 0, 2, 10)
	if r := w.next(t); r.kind() != dhcpv4.MessageTypeOffer || r.payload[offYIAddr+3] != 10 {
		t.Errorf("got %v", r)
	}
	if _, _, ok := store.View().Client(netip.MustParseAddr("192.0.2.10")); ok || s.Stats().Panics != 1 {
		t.Errorf("lease %v, stats %+v", ok, s.Stats())
	}
	if !strings.Contains(log.String(), "a packet hit a bug") {
		t.Errorf("log:\n%s", &log)
	}
}

// TestHostileLog holds that the log does not grow with bad packets.
func TestHostileLog(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	c := office()
	c.Networks[0].Ranges = nil
	s, _ := newTestServer(t, c, &log)
	w := start(t, s)
	before := strings.Count(log.String(), "\n")
	for i := range 2000 {
		w.in <- from(i, dhcpv4.MessageTypeDiscover, 12, 3, 'a', '\n', 0x1b)
		w.in <- []byte("junk")
	}
	done := func() bool {
		st := s.Stats()
		return st.Malformed+st.Unanswered+st.QueueDropped >= 4000
	}
	for deadline := time.Now().Add(tooLong); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("stats %+v", s.Stats())
		}
	}
	if n := strings.Count(log.String(), "\n") - before; n < 1 || n > logBurst+int(tooLong.Seconds()) {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

func TestQueueDropsTheOldest(t *testing.T) {
	t.Parallel()
	q := newQueue(4)
	next := byte(0)
	for _, n := range []int{1, 3, 2, 1} { // as many as a reader had at a time
		packets := make([]*packet, n)
		q.get(packets)
		for _, p := range packets {
			p.data = append(p.data[:0], next)
			next++
		}
		q.push(packets...)
	}
	var got []byte
	batch, ok := q.take(context.Background(), nil, 3)
	more, _ := q.take(context.Background(), nil, 3)
	for _, p := range append(batch, more...) {
		got = append(got, p.data[0])
	}
	if diff := cmp.Diff([]byte{3, 4, 5, 6}, got); diff != "" || !ok || q.lost() != 3 || len(batch) != 3 {
		t.Errorf("%v, %d lost (-want +got):\n%s", ok, q.lost(), diff)
	}
	q.put(batch)
	if len(q.spare) != 5 {
		t.Errorf("%d packets can be used again, want 5", len(q.spare))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok := q.take(ctx, nil, 3); ok {
		t.Error("take after the end")
	}
}

// TestReload changes the range under a lease and an interface.
func TestReload(t *testing.T) {
	t.Parallel()
	s, store := newTestServer(t, office(), io.Discard)
	w := start(t, s)
	w.in <- requestFor(1, 10)
	w.next(t)
	bad := office()
	bad.Networks[0].LeaseTime = time.Second
	if err := s.Reload(bad); err == nil || err.Error() != `configuring DHCP: network "office": lease time 1s is not from 2m0s to 136 years` {
		t.Errorf("error: %v", err)
	}
	good := office()
	good.Networks[0].Ranges[0].Last = netip.MustParseAddr("192.0.2.11")
	good.Networks = append(good.Networks, Network{Name: "lab", Interface: "eth1", Subnet: netip.MustParsePrefix("198.51.100.0/24"), LeaseTime: time.Hour})
	if err := s.Reload(good); err != nil {
		t.Fatal(err)
	}
	w.in <- from(2, dhcpv4.MessageTypeDiscover, 50, 4, 192, 0, 2, 50)
	if r := w.next(t); r.payload[offYIAddr+3] != 11 {
		t.Errorf("got %v", r.payload[offYIAddr:offSIAddr])
	}
	if _, _, ok := store.View().Client(netip.MustParseAddr("192.0.2.10")); !ok {
		t.Error("the lease is gone")
	}
}

// TestInterfaces follows an interface that is missing at first, changes its
// address and is made anew.
func TestInterfaces(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	s, _ := newTestServer(t, office(), &log)
	type state struct {
		index int
		addr  string
		err   error
	}
	var mu sync.Mutex
	now := state{err: errors.New("no such interface")}
	set := func(st state) { mu.Lock(); now = st; mu.Unlock() }
	looked := make(chan struct{}, 100)
	s.look = func(name string) (*net.Interface, *link, error) {
		mu.Lock()
		defer mu.Unlock()
		looked <- struct{}{}
		if now.err != nil {
			return nil, nil, now.err
		}
		return &net.Interface{Index: now.index, Name: name}, &link{name: name, addrs: []netip.Prefix{netip.MustParsePrefix(now.addr)}}, nil
	}
	wires := make(chan *wire, 10)
	s.open = func(*net.Interface) (conn, error) {
		w := newWire()
		wires <- w
		return w, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	<-looked
	<-looked
	select {
	case <-ready:
		t.Fatal("ready without its interface")
	default:
	}
	set(state{index: 2, addr: "192.0.2.1/24"})
	first := <-wires
	<-ready
	offer := func(w *wire, server byte) {
		t.Helper()
		w.in <- from(1, dhcpv4.MessageTypeDiscover)
		if r := w.next(t); r.payload[headerSize+3] != optServerID || r.payload[headerSize+8] != server || r.from.As4()[3] != server {
			t.Errorf("offer from %v: % x", r.from, r.payload[headerSize:])
		}
	}
	offer(first, 1)
	set(state{index: 2, addr: "192.0.2.2/24"})
	for !strings.Contains(log.String(), "interface has changed") {
		<-looked
	}
	offer(first, 2)
	set(state{index: 3, addr: "192.0.2.3/24"})
	second := <-wires
	<-first.closed
	offer(second, 3)
	if n := strings.Count(log.String(), "no such interface"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
	set(state{err: errors.New("no such interface")})
	for strings.Count(log.String(), "no such interface") < 2 {
		<-looked
	}
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	if n := len(s.queue.lanes); n != 0 {
		t.Errorf("the queue has room for %d interfaces that are gone", n)
	}
}

func TestTakenPortIsAnError(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, office(), io.Discard)
	s.open = func(*net.Interface) (conn, error) { return nil, errors.New("address already in use") }
	err := s.Run(context.Background(), func() { t.Error("ready") })
	if err == nil || err.Error() != "address already in use" {
		t.Errorf("error: %v", err)
	}
}

func TestNoNetworksIsReady(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, Config{}, io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Run(ctx, cancel); err != nil {
		t.Error(err)
	}
}

// large is a network for benchmarks.
func large() Config {
	c := office()
	n := &c.Networks[0]
	n.Subnet = netip.MustParsePrefix("10.0.0.0/8")
	n.Ranges = []lease.Range{{First: netip.MustParseAddr("10.0.0.10"), Last: netip.MustParseAddr("10.255.255.250")}}
	n.Routers = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	n.DNSServers = n.Routers
	c.Phones = testPhones{}
	return c
}

var benchLink = &link{name: "eth0", mtu: 1500, addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}

func benchPackets(client int) (discover, request []byte) {
	common := append([]byte{61, 7, 1, 0, 4, 0x13, byte(client >> 16), byte(client >> 8), byte(client), 60, 8}, "snomD785\x37\x0e\x01\x03\x04\x06\x0c\x0f\x2a\x2b\x33\x42\x43\x78\x7d\x85"...)
	discover = from(client, dhcpv4.MessageTypeDiscover, common...)
	request = from(client, dhcpv4.MessageTypeRequest, append([]byte{54, 4, 10, 0, 0, 1, 50, 4, 0, 0, 0, 0}, common...)...)
	for _, b := range [][]byte{discover, request} {
		b[offCHAddr+3], b[offCHAddr+4] = byte(client>>16), byte(client>>8)
	}
	return discover, request
}

// BenchmarkExchange is the work of one DISCOVER and REQUEST without socket and
// disk, with so many leases in the table.
func BenchmarkExchange(b *testing.B) {
	for _, leases := range []int{0, 10_000, 50_000} {
		b.Run(fmt.Sprint(leases), func(b *testing.B) {
			p, err := compile(large())
			if err != nil {
				b.Fatal(err)
			}
			h := handler{table: lease.NewTable(nil)}
			h.configure(p, map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true})
			now := time.Now()
			exchange := func(i int) {
				discover, req := benchPackets(i)
				r := request{link: benchLink, dest: broadcastAddr}
				if err := parse(discover, &r); err != nil {
					b.Fatal(err)
				}
				out := h.handle(now, &r)
				copy(req[headerSize+11:], out.payload[offYIAddr:offSIAddr])
				if err := parse(req, &r); err != nil {
					b.Fatal(err)
				}
				if out = h.handle(now, &r); out.kind != dhcpv4.MessageTypeAck {
					b.Fatal(out)
				}
				h.table.Commit(len(h.table.Pending()))
			}
			for i := range leases {
				exchange(i)
			}
			b.ReportAllocs()
			i := leases
			for b.Loop() {
				exchange(i % 100_000)
				i++
			}
		})
	}
}

// BenchmarkPipeline is the whole way but for the kernel's: queue, handler,
// group commit with a sync each, reply; 128 clients at a time, each of which
// sends its REQUEST when it has its OFFER.
func BenchmarkPipeline(b *testing.B) {
	for _, leases := range []int{0, 50_000} {
		b.Run(fmt.Sprint(leases), func(b *testing.B) {
			s, err := New(large(), openStore(b, true), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			s.look = func(name string) (*net.Interface, *link, error) {
				return &net.Interface{Index: 2, Name: name}, benchLink, nil
			}
			s.openARP, s.openEcho, s.openSeeker = nil, nil, nil
			w := start(b, s)
			client := 0
			run := func(n int) {
				for range min(n, 128) {
					discover, _ := benchPackets(client)
					w.in <- discover
					client++
				}
				started := min(n, 128)
				for acks := 0; acks < n; {
					r := <-w.out
					if r.kind() == dhcpv4.MessageTypeOffer {
						_, req := benchPackets(int(r.payload[offCHAddr+3])<<16 | int(r.payload[offCHAddr+4])<<8 | int(r.payload[offCHAddr+5]))
						copy(req[headerSize+11:], r.payload[offYIAddr:offSIAddr])
						w.in <- req
						continue
					}
					acks++
					if started < n {
						discover, _ := benchPackets(client)
						w.in <- discover
						client++
						started++
					}
				}
			}
			run(leases)
			b.ResetTimer()
			run(b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
		})
	}
}

// TestUsageIsSaid fills a network: the statistics follow, and the log has a line
// for each mark.
func TestUsageIsSaid(t *testing.T) {
	t.Parallel()
	c := office()
	c.Networks[0].Ranges = []lease.Range{{First: netip.MustParseAddr("192.0.2.10"), Last: netip.MustParseAddr("192.0.2.25")}}
	var log syncBuffer
	s, _ := newTestServer(t, c, &log)
	if got := s.Stats().Networks; len(got) != 1 || got[0].Name != "office" || got[0].Free != 16 {
		t.Errorf("before it runs: %+v", got)
	}
	w := start(t, s)
	for i := range 16 {
		w.in <- from(i+1, dhcpv4.MessageTypeDiscover)
		a := w.next(t).payload[offYIAddr+3]
		w.in <- requestFor(i+1, a)
		w.next(t)
	}
	for deadline := time.Now().Add(tooLong); s.Stats().Networks[0].Leased < 16; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s.Stats().Networks)
		}
		time.Sleep(10 * time.Millisecond)
	}
	waitFor(t, &log, "above=95 size=16 leased=16 declined=0 free=0")
	if n := strings.Count(log.String(), "network is filling up"); n > 2 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
