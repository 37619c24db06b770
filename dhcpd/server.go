// Package dhcpd is the DHCP server (RFC 2131). What it answers is decided by a
// handler that is a function of message, time and leases; where the answer
// goes by route; when it may leave by the store. One goroutine owns the leases
// and answers in groups: every change of a group is on the disk, in one sync,
// before the first ACK that rests on it leaves.
package dhcpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sync/errgroup"

	"dialtone/dhcpd/lease"
	"dialtone/dhcpd/probe"
	"dialtone/internal/mac"
)

const (
	// queueSize is how many packets wait while others are answered: more than the
	// receive buffer holds, so that 5,000 phones may be powered on at once.
	queueSize = 8192
	// groupSize is how many packets share one sync at most.
	groupSize = 256
	// readSize is how many packets a reader takes at a time at most.
	readSize = 64
	// watchEvery is how often interfaces are looked at.
	watchEvery = time.Second
)

// The keys of the log.
const (
	keyMAC   = "mac"
	keyIP    = "ip"
	keyIface = "iface"
	keyXID   = "xid"
	keyErr   = "err"
)

// conn is a socket on one interface.
type conn interface {
	// receive waits for packets, and reads those that are there: n, not more than
	// there is room for. One goroutine calls it.
	receive(packets []*packet) (n int, err error)
	// send sends the first n of some replies, one at least. The error is why the
	// next one cannot be sent; where it is nil, the others may be. Another
	// goroutine calls it. Payloads are not to be kept.
	send(replies []outgoing) (n int, err error)
	Close() error
}

// port is an interface that the server listens on.
type port struct {
	conn conn
	arp  asker // nil where there is no way to ask
	link atomic.Pointer[link]
}

// journal is what the server needs of a lease.Store.
type journal interface {
	Write([]lease.Change) error
	Mark() error
	Failing() error
	Time(wall lease.Time) lease.Time
	Publish([]lease.Change)
	View() *lease.View
}

// Server answers DHCP clients. Make it with New.
type Server struct {
	log      *slog.Logger
	now      func() time.Time
	store    journal
	queue    *queue
	counters counters

	// How interfaces are found and opened.
	look func(name string) (*net.Interface, *link, error)
	open func(*net.Interface) (conn, error)
	// How a wire is asked who has an address, and who serves it; nil where it is
	// not asked.
	openARP    func(*net.Interface) (asker, error)
	openEcho   func() (asker, error)
	openSeeker func(*net.Interface, mac.Addr) (seeker, error)

	answers answers
	others  *others
	judging sync.Mutex
	told    map[string]bool // what the log has of networks; held by judging
	alone   atomic.Pointer[map[string]bool]
	client  mac.Addr // as which other servers are looked for
	usage   atomic.Pointer[[]NetworkUsage]

	mu        sync.Mutex
	plan      *plan
	links     map[string]*link
	listening map[string]*port
	next      atomic.Pointer[setup] // for the owner to put into effect
	changed   chan struct{}         // of one place: the interfaces may be others
	jobs      chan func()           // for the owner, between two groups

	// The rest belongs to the goroutine that answers, which holds owner.
	owner     sync.Mutex
	handler   handler
	limiter   limiter
	ready     []outgoing // replies that rest on no change
	waiting   []outgoing
	writing   *writing // nil where nothing is
	ports     map[string]*port
	echo      asker
	checks    *checks
	mute      map[string]time.Time // until when no address of a network is asked for
	lookAhead time.Time            // when to look ahead again
	// When to look at how full networks are, and what has been said of it.
	nextSurvey time.Time
	marks      marks
	alarm      *time.Timer
	writes     pace
	later      *time.Timer // wakes the owner when a write is due
	// Scratch.
	request  request // that is answered: one on the heap each time is half of all garbage
	heard    []probe.Answer
	upcoming []netip.Addr
}

// setup is what the handler is configured with.
type setup struct {
	plan  *plan
	own   map[netip.Addr]bool
	ports map[string]*port
}

// writing is a write that is on its way, of the first changes that are pending,
// and the replies that wait for it.
type writing struct {
	changes []lease.Change
	replies []outgoing
	failing error      // what the store said before
	done    chan error // of one place
}

// outgoing is a reply that waits for the disk.
type outgoing struct {
	port *port
	result
	mac mac.Addr
}

// New makes a server of a configuration and the leases of a store. Records of
// the store that cannot be read are logged and cost an address each, no more.
func New(c Config, store *lease.Store, log *slog.Logger) (*Server, error) {
	p, err := compile(c)
	if err != nil {
		return nil, fmt.Errorf("configuring DHCP: %w", err)
	}
	leases, err := store.Load()
	if err != nil {
		if leases == nil {
			return nil, err
		}
		log.Error("some leases cannot be read: their addresses are kept from clients for a day", keyErr, err)
	}
	s := &Server{
		log: log, now: store.Now, store: store,
		queue: newQueue(queueSize),
		look:  lookInterface, open: openSocket,
		plan: p, links: map[string]*link{}, listening: map[string]*port{}, changed: make(chan struct{}, 1),
		jobs:    make(chan func(), 1),
		handler: handler{table: lease.NewTable(leases), pace: newThrottle()},
		limiter: limiter{},
		openARP: openARP, openEcho: openEcho, openSeeker: openSeeker,
		others: newOthers(), told: map[string]bool{}, client: probe.RandomMAC(), checks: newChecks(), mute: map[string]time.Time{}, marks: marks{},
	}
	s.later = time.AfterFunc(time.Hour, s.queue.nudge)
	s.later.Stop() // until there is a write to wait for
	s.checks.reaches = s.reaches
	s.handler.known = s.checks
	s.handler.configure(p, nil)
	usage := s.handler.usage(s.now())
	s.usage.Store(&usage)
	return s, nil
}

// Reload puts another configuration into effect, between two groups of
// packets. Leases stay; offers that are not taken yet are forgotten.
func (s *Server) Reload(c Config) error {
	p, err := compile(c)
	if err != nil {
		return fmt.Errorf("configuring DHCP: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = p
	s.announce()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// announce tells the owner of plan and links. s.mu is locked.
func (s *Server) announce() {
	own := map[netip.Addr]bool{}
	for _, l := range s.links {
		for _, a := range l.addrs {
			own[a.Addr()] = true
		}
	}
	s.next.Store(&setup{plan: s.plan, own: own, ports: maps.Clone(s.listening)})
	s.queue.nudge()
}

// setLink makes an interface known, or unknown where l is nil.
func (s *Server) setLink(name string, p *port, l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l == nil {
		delete(s.links, name)
		delete(s.listening, name)
	} else {
		s.links[name], s.listening[name] = l, p
	}
	s.announce()
}

// interfaces lists what the configuration wants to be listened on.
func (s *Server) interfaces() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, n := range s.plan.networks {
		if !slices.Contains(names, n.Interface) {
			names = append(names, n.Interface)
		}
	}
	return names
}

// Stats gives the counters as they are now.
func (s *Server) Stats() Stats {
	st := s.counters.stats()
	st.QueueDropped = s.queue.lost()
	if err := s.store.Failing(); err != nil {
		st.Degraded = err.Error()
	}
	st.Networks = *s.usage.Load()
	return st
}

// Run serves until the context ends, and returns nil then. It calls ready once,
// when every interface of the configuration listens; an interface that is
// missing, or has no address yet, is waited for. That the port is taken, or may
// not be taken, is an error at the start.
func (s *Server) Run(ctx context.Context, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		s.answer(ctx)
		return nil
	})
	g.Go(func() error {
		stop := map[string]context.CancelFunc{}
		waitFor := s.interfaces()
		up := make(chan string)
		if len(waitFor) == 0 {
			ready()
		}
		s.supervise(ctx, g, stop, up, true)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-s.changed:
				s.supervise(ctx, g, stop, up, false)
			case name := <-up:
				if i := slices.Index(waitFor, name); i >= 0 {
					if waitFor = slices.Delete(waitFor, i, i+1); len(waitFor) == 0 {
						ready()
					}
				}
			}
		}
	})
	return g.Wait()
}

// supervise starts a watch over every interface that has none and ends those
// that the configuration does not want any more.
func (s *Server) supervise(ctx context.Context, g *errgroup.Group, stop map[string]context.CancelFunc, up chan<- string, start bool) {
	names := s.interfaces()
	for _, name := range names {
		if stop[name] == nil {
			watching, cancel := context.WithCancel(ctx)
			stop[name] = cancel
			g.Go(func() error { return s.watch(watching, name, up, start) })
		}
	}
	for name, cancel := range stop {
		if !slices.Contains(names, name) {
			cancel()
			delete(stop, name)
		}
	}
}

// watch keeps a port open on an interface, whatever becomes of the interface.
// Only at the start of the server is it an error that it cannot be opened.
func (s *Server) watch(ctx context.Context, name string, up chan<- string, start bool) error {
	log := s.log.With(keyIface, name)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	said := ""
	for {
		ifi, l, err := s.look(name)
		if err == nil {
			var c conn
			c, err = s.open(ifi)
			if errors.Is(err, errNoRaw) {
				log.Warn("no right to send raw frames: phones that have no address yet are answered by broadcast, until the service has CAP_NET_RAW", keyErr, err)
				err = nil
			}
			if err != nil && start {
				return err
			}
			if err == nil {
				start, said = false, ""
				err = s.listen(ctx, log, name, ifi, l, c, up, tick.C)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if said != err.Error() {
			said = err.Error()
			log.Warn("waiting for the interface", keyErr, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// listen reads from a port until the interface is another, and says why.
func (s *Server) listen(ctx context.Context, log *slog.Logger, name string, ifi *net.Interface, l *link, c conn, up chan<- string, tick <-chan time.Time) error {
	p := &port{conn: c}
	p.link.Store(l)
	s.openWire(log, p, ifi)
	s.setLink(name, p, l)
	s.warnLink(log, name, l)
	ctx, cancel := context.WithCancel(ctx)
	var busy sync.WaitGroup
	busy.Go(func() { s.read(ctx, p) })
	if p.arp != nil {
		busy.Go(func() { s.hear(ctx, p.arp) })
	}
	if s.openSeeker != nil {
		busy.Go(func() { s.seek(ctx, log, ifi) })
	}
	defer func() {
		cancel()
		c.Close()
		if p.arp != nil {
			p.arp.Close()
		}
		busy.Wait()
		s.queue.remove(name)
		s.setLink(name, nil, nil)
	}()
	log.Info("listening for DHCP", "addresses", l.addrs)
	select {
	case up <- name:
	case <-ctx.Done():
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
		now, fresh, err := s.look(name)
		if err != nil {
			return err
		}
		if now.Index != ifi.Index {
			return fmt.Errorf("interface %s was made anew", name)
		}
		if !slices.Equal(fresh.addrs, l.addrs) || fresh.mtu != l.mtu {
			l = fresh
			p.link.Store(l)
			s.setLink(name, p, l)
			s.warnLink(log, name, l)
			log.Info("interface has changed", "addresses", l.addrs)
		}
	}
}

// warnLink says which networks of an interface have clients behind relays only.
func (s *Server) warnLink(log *slog.Logger, name string, l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.plan.networks {
		if _, ok := l.at(n.Subnet); n.Interface == name && !ok {
			log.Warn("interface has no address in the network: only relayed requests are answered", "network", n.Name, "subnet", n.Subnet)
		}
	}
}

// lookInterface finds an interface and its addresses. One that is down, or has
// no address but a link-local one, is not ready.
func lookInterface(name string) (*net.Interface, *link, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for interface %s: %w", name, err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, nil, fmt.Errorf("reading addresses of %s: %w", name, err)
	}
	l := &link{name: name, mtu: ifi.MTU}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLinkLocalUnicast() {
			l.addrs = append(l.addrs, prefix)
		}
	}
	switch {
	case ifi.Flags&net.FlagUp == 0:
		return nil, nil, fmt.Errorf("interface %s is down", name)
	case len(l.addrs) == 0:
		return nil, nil, fmt.Errorf("interface %s has no IPv4 address", name)
	}
	return ifi, l, nil
}

// read moves packets from a port to the queue, and does as little else as it
// can: what it does not read in time the kernel throws away.
func (s *Server) read(ctx context.Context, port *port) {
	packets, good := make([]*packet, readSize), make([]*packet, 0, readSize)
	var reads pace
	for {
		s.queue.get(packets)
		n, err := port.conn.receive(packets)
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			// An interface that goes down says so once; should it say so for ever,
			// this is no reason to use a whole processor.
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		link := port.link.Load()
		good = good[:0]
		for i, p := range packets[:n] {
			kind, err := admit(p.data)
			if err != nil {
				// Junk is not to crowd out what comes from clients.
				s.counters.malformed.Add(1)
				continue
			}
			p.port, p.link, p.kind, p.holds = port, link, kind, s.holds(kind, p.data)
			good = append(good, p)
			packets[i] = nil
		}
		s.queue.push(good...)
		if n < len(packets) {
			time.Sleep(reads.left(readEvery))
		}
		reads.step()
	}
}

// holds reports whether a packet asks for the address that its client leases.
func (s *Server) holds(kind dhcpv4.MessageType, packet []byte) bool {
	if kind != dhcpv4.MessageTypeRequest {
		return false
	}
	a := netip.AddrFrom4([4]byte(packet[offCIAddr:]))
	if a.IsUnspecified() {
		return false
	}
	m, _, ok := s.store.View().Client(a)
	return ok && m == mac.Addr(packet[offCHAddr:])
}

// answer is the goroutine that owns the leases.
func (s *Server) answer(ctx context.Context) {
	s.owner.Lock()
	defer s.owner.Unlock()
	defer func() {
		_ = s.commit()
		if err := s.store.Mark(); err != nil {
			s.log.Warn("the time of the leases cannot be kept", keyErr, err)
		}
	}()
	s.alarm = time.AfterFunc(idleEvery, s.queue.nudge)
	defer s.alarm.Stop()
	defer s.later.Stop()
	if s.echo = s.openEchoes(ctx); s.echo != nil {
		defer s.echo.Close()
	}
	var batch []*packet
	for {
		var ok bool
		if batch, ok = s.queue.take(ctx, batch[:0], groupSize); !ok {
			return
		}
		if next := s.next.Swap(nil); next != nil {
			_ = s.commit()
			s.handler.configure(next.plan, next.own)
			s.ports = next.ports
			s.nextSurvey = time.Time{}
		}
		if alone := s.alone.Load(); alone != nil {
			s.handler.alone = *alone
		}
		batch = s.probing(batch)
		s.group(batch)
		s.queue.put(slices.DeleteFunc(batch, func(p *packet) bool { return p.parked }))
		s.probeAhead()
		s.survey(s.now())
		select {
		case job := <-s.jobs:
			job()
		default:
		}
	}
}

// group answers packets that share one write. Replies that rest on no change
// leave at once. While the changes of one group are written the next is
// answered already; its own wait until that is over, and so do packets when
// there are many.
func (s *Server) group(batch []*packet) {
	now := s.now()
	for _, p := range batch {
		s.one(now, p)
	}
	s.ready = s.send(now, s.ready)
	if s.writing != nil {
		select {
		case err := <-s.writing.done:
			_ = s.finish(err)
		default:
			if len(s.handler.table.Pending())-len(s.writing.changes) < groupSize {
				return
			}
			_ = s.finish(<-s.writing.done)
		}
	}
	if n := len(s.waiting); 0 < n && n < largeGroup {
		if left := s.writes.left(writeEvery); left > 0 {
			s.later.Reset(left)
			return
		}
	}
	_ = s.begin()
}

// begin writes what is pending. Nothing else is being written. Where no change
// has to be, it is over at once, and the error is what came of it.
func (s *Server) begin() error {
	w := &writing{changes: s.handler.table.Pending(), replies: s.waiting, failing: s.store.Failing(), done: make(chan error, 1)}
	s.writing, s.waiting = w, nil
	if !slices.ContainsFunc(w.changes, func(c lease.Change) bool { return c.Write }) {
		return s.finish(s.store.Write(w.changes))
	}
	s.writes.step()
	go func() {
		w.done <- s.store.Write(w.changes)
		s.queue.nudge()
	}()
	return nil
}

// commit makes all pending changes durable, or undoes them.
func (s *Server) commit() error {
	if s.writing != nil {
		if err := s.finish(<-s.writing.done); err != nil {
			return err
		}
	}
	if err := s.begin(); err != nil || s.writing == nil {
		return err
	}
	return s.finish(<-s.writing.done)
}

// finish sends the replies that rest on a write. Where it failed, all that is
// pending is undone: what came since may rest on it.
func (s *Server) finish(err error) error {
	w := s.writing
	s.writing = nil
	if err != nil {
		unsure := 0
		if errors.Is(err, lease.ErrUnsure) {
			unsure = len(w.changes)
		}
		s.store.Publish(s.handler.table.Rollback(unsure))
		s.counters.writeErrors.Add(1)
		s.counters.writeDropped.Add(uint64(len(w.replies) + len(s.waiting)))
		s.waiting = empty(s.waiting)
		if w.failing == nil {
			s.log.Error("leases cannot be written: known clients renew, new ones get no answer", keyErr, err)
		}
		return err
	}
	if s.store.Failing() == nil {
		s.handler.table.Sure()
		if w.failing != nil {
			s.log.Info("leases can be written again")
		}
	}
	s.store.Publish(w.changes)
	s.handler.table.Commit(len(w.changes))
	s.send(s.now(), w.replies)
	return nil
}

// one answers a packet. A panic costs that packet and what it has changed.
func (s *Server) one(now time.Time, p *packet) {
	before := len(s.handler.table.Pending())
	defer func() {
		if v := recover(); v != nil {
			s.handler.table.Undo(before)
			s.counters.panics.Add(1)
			s.limited(now, slog.LevelError, "a packet hit a bug: it gets no answer; please report this line", keyErr, fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	r := &s.request
	*r = request{link: p.link, source: p.source, dest: p.dest}
	if err := parse(p.data, r); err != nil {
		s.counters.malformed.Add(1)
		if s.verbose() {
			s.log.Debug("packet refused", keyIface, p.link.name, keyErr, err)
		}
		return
	}
	if r.mac == s.client {
		return // our own search for other servers, on a wire that two interfaces are on
	}
	if !p.parked {
		s.counters.received[r.kind].Add(1)
	}
	p.parked = false
	out := s.handler.handle(now, r)
	s.notes(now, p.link.name, r.mac, out.notes)
	if out.other.IsValid() {
		s.noticed(p.link.name, probe.Server{ID: out.other})
	}
	if out.probe.IsValid() {
		s.park(now, p, out.network, out.probe)
		return
	}
	if out.unprobed {
		s.counters.unprobed.Add(1)
	}
	if out.kind == dhcpv4.MessageTypeAck {
		s.checks.lift(out.addr)
	}
	if s.verbose() {
		s.log.Debug("message", keyMAC, r.mac, keyIface, p.link.name, keyXID, fmt.Sprintf("%x", r.xid), "type", r.kind,
			"reply", out.kind, keyIP, out.addr, "way", out.to.way, "reason", out.reason)
	}
	o := outgoing{port: p.port, result: out, mac: r.mac}
	switch {
	case out.payload == nil:
		switch out.reason {
		case reasonPace:
			s.counters.throttled.Add(1)
		case reasonCrowd, reasonClaims, reasonPerMAC, reasonPerPort, reasonDeclines:
			s.counters.overQuota.Add(1)
		}
		if r.kind == dhcpv4.MessageTypeDiscover || r.kind == dhcpv4.MessageTypeRequest || r.kind == dhcpv4.MessageTypeInform {
			s.counters.unanswered.Add(1)
		}
	case out.wait:
		s.waiting = append(s.waiting, o)
	default:
		s.ready = append(s.ready, o)
	}
}

// notes logs and counts what the administrator should know of.
func (s *Server) notes(now time.Time, iface string, client mac.Addr, notes []note) {
	for _, n := range notes {
		args := []any{keyMAC, client, keyIP, n.addr, keyIface, iface}
		switch n.text {
		case noteDropped:
			s.counters.optionsCut.Add(1)
		case notePace:
			args = []any{keyMAC, client, keyIface, iface}
		case noteFull, noteClaims, noteScarce, notePerMAC, notePerPort:
			args[2] = "subnet" // no client's address is at stake
		case noteConflict:
			s.counters.conflicts.Add(1)
			args[1] = n.by
		}
		s.limited(now, slog.LevelWarn, n.text, args...)
	}
}

// verbose reports whether every message is logged.
func (s *Server) verbose() bool { return s.log.Enabled(context.Background(), slog.LevelDebug) }

// send sends replies, and empties their list.
func (s *Server) send(now time.Time, replies []outgoing) []outgoing {
	for rest := replies; len(rest) > 0; {
		port := rest[0].port
		run := slices.IndexFunc(rest, func(o outgoing) bool { return o.port != port })
		if run < 0 {
			run = len(rest)
		}
		n, err := port.conn.send(rest[:run])
		for i := range rest[:n] {
			s.sent(now, &rest[i])
		}
		if err != nil {
			o := &rest[n]
			s.counters.sendErrors.Add(1)
			s.limited(now, slog.LevelWarn, "reply cannot be sent", keyMAC, o.mac, keyIP, o.addr, keyErr, err)
			n++
		}
		rest = rest[n:]
	}
	for i := range replies {
		s.handler.reuse(replies[i].payload)
	}
	return empty(replies)
}

// empty empties a list that is used again.
func empty(replies []outgoing) []outgoing {
	clear(replies)
	return replies[:0]
}

func (s *Server) sent(now time.Time, o *outgoing) {
	s.counters.sent[o.kind].Add(1)
	if o.wait && s.log.Enabled(context.Background(), slog.LevelInfo) {
		s.limited(now, slog.LevelInfo, "leased", keyMAC, o.mac, keyIP, o.addr)
	}
}

// limited logs what a client can cause.
func (s *Server) limited(now time.Time, level slog.Level, text string, args ...any) {
	suppressed, ok := s.limiter.allow(text, now)
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	s.log.Log(context.Background(), level, text, args...)
}
