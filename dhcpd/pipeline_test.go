package dhcpd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// TestPipeline has clients speak to the server while a write is on its way,
// which goes well, is refused, or of which nobody knows; reloads, imports, bugs
// and power cuts come between. It holds what the server says to what the disk
// has: an ACK that left is on the disk, whatever of the last write is; no
// address is two clients' at a time; what others see is durable; and when all
// is quiet the table is what a restart would find.
func TestPipeline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	fresh, err := os.ReadFile(filepath.Join(dir, state.File))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		runs++
		p := &pipeline{t: t, dir: filepath.Join(dir, fmt.Sprint(runs)), now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), grants: map[netip.Addr]grant{}, last: map[mac.Addr]netip.Addr{}, since: map[mac.Addr]int{}}
		p.start(fresh)
		defer p.stop()
		t.Repeat(map[string]func(*rapid.T){
			"packets": p.packets,
			"written": p.written,
			"reload": func(t *rapid.T) {
				p.promptly(t, func() { _ = p.s.commit() })
				p.s.handler.configure(p.s.plan, p.s.handler.own)
			},
			"import":  p.takeOver,
			"release": p.release,
			"wait": func(t *rapid.T) {
				p.now = p.now.Add(time.Duration(rapid.IntRange(1, 2400).Draw(t, "seconds")) * time.Second)
			},
			"power cut": p.powerCut,
			"quiet":     p.quiet,
			"":          p.check,
		})
	})
}

type pipeline struct {
	t      *rapid.T
	dir    string
	starts int
	now    time.Time
	log    syncBuffer

	path   string
	s      *Server
	store  *lease.Store
	close  func() error
	disk   *disk
	wire   *wire
	slow   *slowStore
	images []image // of the disk, one of which a power cut leaves

	sent   []clientMessage // by xid
	grants map[netip.Addr]grant
	last   map[mac.Addr]netip.Addr // what clients were granted, and remember
	since  map[mac.Addr]int        // the first message to which they await an answer
}

// clientMessage is what a client remembers of what it has sent.
type clientMessage struct {
	client mac.Addr
	at     time.Time
	renews netip.Addr
}

// slowStore is a store whose writes wait for the test, unless it is prompt.
type slowStore struct {
	journal
	release chan struct{}
	prompt  atomic.Bool
}

func (s *slowStore) Write(changes []lease.Change) error {
	if !s.prompt.Load() && slices.ContainsFunc(changes, func(c lease.Change) bool { return c.Write }) {
		<-s.release
	}
	return s.journal.Write(changes)
}

// start starts the program on what the disk has.
func (p *pipeline) start(disk []byte) {
	p.starts++
	dir := filepath.Join(p.dir, fmt.Sprint(p.starts))
	p.path = filepath.Join(dir, state.File)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path, disk, 0o600); err != nil {
		p.t.Fatal(err)
	}
	// No sync: how a write ends is the test's to say.
	db, err := bbolt.Open(p.path, 0o600, &bbolt.Options{NoSync: true, NoGrowSync: true, NoFreelistSync: true})
	if err != nil {
		p.t.Fatal(err)
	}
	p.close = db.Close
	if p.store, err = lease.Open(db, p.read); err != nil {
		p.t.Fatal(err)
	}
	c := office()
	c.Phones = brokenPhones{}
	c.Networks[0].Ranges[0].Last = netip.MustParseAddr("192.0.2.14")
	if p.s, err = New(c, p.store, slog.New(slog.NewTextHandler(&p.log, nil))); err != nil {
		p.t.Fatal(err)
	}
	p.s.handler.configure(p.s.plan, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
	p.slow = &slowStore{journal: p.store, release: make(chan struct{})}
	p.s.store = p.slow
	p.disk = watchDisk(p.t, db)
	p.wire = newWire()
	p.images = []image{p.copy()}
}

// image is what a disk may have, and the leases that a start finds on it.
type image struct {
	data   []byte
	leases []lease.Lease
}

func (p *pipeline) copy() image {
	b, err := os.ReadFile(p.path)
	if err != nil {
		p.t.Fatal(err)
	}
	dir := filepath.Join(p.dir, "copy")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, state.File), b, 0o600); err != nil {
		p.t.Fatal(err)
	}
	db, err := state.OpenReadOnly(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	store, err := lease.Open(db, p.read)
	if err != nil {
		p.t.Fatal(err)
	}
	leases, err := store.Load()
	if err != nil {
		p.t.Fatal(err)
	}
	return image{b, leases}
}

func (p *pipeline) read() (time.Time, time.Duration) { return p.now, time.Duration(p.now.UnixNano()) }

// stop ends the program where it is.
func (p *pipeline) stop() {
	if p.s.writing != nil {
		p.disk.fail = func(int64) (error, error) { return errors.New("the power is off"), nil }
		select {
		case p.slow.release <- struct{}{}:
			<-p.s.writing.done
		case <-p.s.writing.done:
		}
	}
	p.close()
}

// fate says what becomes of the next write.
func (p *pipeline) fate(t *rapid.T) {
	broken := errors.New("input/output error")
	switch rapid.SampledFrom([]string{"well", "well", "well", "refused", "no meta page", "unsure"}).Draw(t, "the write ends") {
	case "well":
		p.disk.fail = nil
	case "refused":
		p.disk.fail = func(int64) (error, error) { return broken, nil }
	case "no meta page":
		p.disk.fail = func(off int64) (before, after error) {
			if off < 8192 {
				before = broken
			}
			return before, after
		}
	case "unsure":
		p.disk.fail = func(off int64) (before, after error) {
			if off < 8192 {
				after = broken
			}
			return before, after
		}
	}
}

// wrote notes what the disk may have by now.
func (p *pipeline) wrote() {
	switch {
	case p.store.Failing() == nil:
		p.images = []image{p.copy()}
	case len(p.disk.writes) > 0:
		p.images = append(p.images, p.copy())
	}
	p.disk.writes = nil
}

// written ends the write that is on its way.
func (p *pipeline) written(t *rapid.T) {
	if p.s.writing == nil {
		t.Skip("nothing is written")
	}
	p.fate(t)
	p.land()
	p.s.group(nil)
	p.receive()
}

// land has the write that is on its way end.
func (p *pipeline) land() {
	p.slow.release <- struct{}{}
	p.s.writing.done <- <-p.s.writing.done
	p.wrote()
}

// promptly calls f, which waits for writes: that on its way and another.
func (p *pipeline) promptly(t *rapid.T, f func()) {
	p.fate(t)
	if p.s.writing != nil {
		p.land()
		p.fate(t)
	}
	p.slow.prompt.Store(true)
	f()
	p.slow.prompt.Store(false)
	p.wrote()
	if p.s.writing != nil {
		p.s.group(nil) // f had no need of it
	}
	p.receive()
}

// packets is a group of packets.
func (p *pipeline) packets(t *rapid.T) {
	if p.s.writing == nil {
		p.fate(t) // where it has no changes it is over at once
	}
	var batch []*packet
	for range rapid.IntRange(1, 4).Draw(t, "packets") {
		batch = append(batch, &packet{data: p.message(t), port: &port{conn: p.wire}, link: testLink, dest: broadcastAddr})
	}
	p.s.group(batch)
	if p.s.writing == nil {
		p.wrote()
	}
	p.receive()
}

func (p *pipeline) message(t *rapid.T) []byte {
	client := testClient(rapid.IntRange(1, 6).Draw(t, "client"))
	kind := rapid.SampledFrom([]dhcpv4.MessageType{
		dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline,
	}).Draw(t, "kind")
	any := byte(rapid.IntRange(10, 14).Draw(t, "address"))
	last, renew := p.last[client]
	renew = renew && rapid.Bool().Draw(t, "its own")
	m := clientMessage{client: client, at: p.now}
	var mine byte
	if renew {
		mine = last.As4()[3]
	}
	var b []byte
	switch {
	case kind == dhcpv4.MessageTypeDiscover:
		b = raw(53, 1, byte(kind), 50, 4, 192, 0, 2, any)
	case kind == dhcpv4.MessageTypeRequest && !renew:
		b = raw(53, 1, byte(kind), 50, 4, 192, 0, 2, any, 54, 4, 192, 0, 2, 1)
	case kind == dhcpv4.MessageTypeDecline && renew:
		b = raw(53, 1, byte(kind), 50, 4, 192, 0, 2, mine, 54, 4, 192, 0, 2, 1)
	case kind == dhcpv4.MessageTypeDecline:
		b = raw(53, 1, byte(kind), 50, 4, 192, 0, 2, any, 54, 4, 192, 0, 2, 1)
	case renew:
		b = edit(raw(53, 1, byte(kind)), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, int(mine))
		m.renews = last
	default:
		b = edit(raw(53, 1, byte(kind)), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, int(any))
	}
	if rapid.IntRange(0, 15).Draw(t, "bug") == 0 {
		b = append(append(b, 60, 7), "snomBUG"...)
	}
	if rapid.IntRange(0, 7).Draw(t, "named") == 0 {
		b = append(b, 12, 1, byte('a'+rapid.IntRange(0, 1).Draw(t, "name")))
	}
	copy(b[offCHAddr:], client[:])
	binary.BigEndian.PutUint32(b[4:], uint32(len(p.sent)))
	p.sent = append(p.sent, m)
	if kind != dhcpv4.MessageTypeRequest || !m.renews.IsValid() {
		p.forget(client) // it has given its address up, whatever becomes of the message
		p.since[client] = len(p.sent) - 1
	}
	return append(b, 255)
}

func (p *pipeline) forget(client mac.Addr) {
	for a, g := range p.grants {
		if g.key.MAC == client {
			delete(p.grants, a)
		}
	}
}

// receive has the clients hear what was sent to them.
func (p *pipeline) receive() {
	for len(p.wire.out) > 0 {
		r := <-p.wire.out
		xid := binary.BigEndian.Uint32(r.payload[4:])
		m := p.sent[xid]
		if int(xid) < p.since[m.client] {
			continue // it does not wait for this any more
		}
		a := netip.AddrFrom4([4]byte(r.payload[offYIAddr:]))
		switch r.kind() {
		case dhcpv4.MessageTypeNak:
			if g, ok := p.grants[m.renews]; ok && g.key.MAC == m.client && p.now.Before(g.until) {
				p.t.Fatalf("%v is refused %v, which it has until %v", m.client, m.renews, g.until)
			}
		case dhcpv4.MessageTypeAck:
			d := time.Duration(binary.BigEndian.Uint32(dhcpv4Option(p.t, r.payload, optLeaseTime))) * time.Second
			until := m.at.Add(d) // a client counts from when it asked (RFC 2131 section 4.4.1)
			if !p.now.Before(until) {
				continue // the write took longer than the lease: the address may be another's
			}
			if g, ok := p.grants[a]; ok && g.key.MAC != m.client && p.now.Before(g.until) {
				p.t.Fatalf("%v is given to %v, and is %v's until %v", a, m.client, g.key.MAC, g.until)
			}
			p.forget(m.client) // a client has one address
			p.grants[a], p.last[m.client] = grant{lease.Key{MAC: m.client}, until}, a
		}
	}
}

// takeOver imports a lease of another server.
func (p *pipeline) takeOver(t *rapid.T) {
	l := lease.Lease{
		Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(10, 14).Draw(t, "address"))}), MAC: testClient(rapid.IntRange(1, 6).Draw(t, "client")),
		State: rapid.SampledFrom([]lease.State{lease.Leased, lease.Released, lease.Declined}).Draw(t, "state"), Expiry: lease.TimeOf(p.now).Add(time.Hour),
	}
	p.promptly(t, func() {
		verdicts, err := p.s.Import(context.Background(), []lease.Lease{l}, false)
		if err == nil && verdicts[0].Outcome == Imported && l.State == lease.Leased {
			p.grants[l.Addr] = grant{l.Key(), l.Expiry.Time()}
		}
	})
}

// release has the administrator end a lease.
func (p *pipeline) release(t *rapid.T) {
	a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(10, 14).Draw(t, "address"))})
	p.promptly(t, func() {
		if l := p.s.handler.table.At(a); l != nil {
			ok, err := p.s.Release(context.Background(), a, l.MAC)
			if p.receive(); ok || err != nil {
				delete(p.grants, a) // of a failed one nobody knows
			}
		}
	})
}

// powerCut starts again on one of the disks that there may be.
func (p *pipeline) powerCut(t *rapid.T) {
	if p.s.writing != nil && rapid.Bool().Draw(t, "after the write") {
		p.fate(t)
		p.land()
		p.s.writing = nil // nobody comes to send anything
	}
	p.stop()
	p.start(p.images[rapid.IntRange(0, len(p.images)-1).Draw(t, "disk")].data)
}

// promised holds leases to what clients were told.
func (p *pipeline) promised(t *rapid.T, where string, at func(netip.Addr) *lease.Lease) {
	for a, g := range p.grants {
		if l := at(a); p.now.Before(g.until) && (!l.Active(p.now) || l.Key() != g.key || l.Expiry < lease.TimeOf(g.until)) {
			t.Fatalf("%v was promised to %v until %v, and %s it is %+v", a, g.key.MAC, g.until, where, l)
		}
	}
}

// quiet lets everything settle, and compares the table with what a restart
// would find.
func (p *pipeline) quiet(t *rapid.T) {
	p.disk.fail = nil
	for p.s.writing != nil {
		p.land()
		p.s.group(nil)
	}
	p.now = p.now.Add(2 * time.Second) // the store is tried again every second
	p.slow.prompt.Store(true)
	_ = p.s.commit()
	p.slow.prompt.Store(false)
	p.wrote()
	p.receive()
	if err := p.store.Failing(); err != nil || len(p.s.handler.table.Pending()) != 0 || len(p.s.waiting) != 0 {
		t.Fatalf("it does not settle: %v, %d changes and %d replies wait", err, len(p.s.handler.table.Pending()), len(p.s.waiting))
	}
	p.promised(t, "in the table", p.s.handler.table.At)
	found := slices.Clone(p.images[0].leases)
	fresh := handler{table: lease.NewTable(found)}
	fresh.configure(p.s.plan, p.s.handler.own)
	for last := byte(10); last <= 14; last++ {
		a := netip.AddrFrom4([4]byte{192, 0, 2, last})
		ours, theirs := p.s.handler.table.At(a), fresh.table.At(a)
		if (ours == nil) != (theirs == nil) || ours != nil && record(ours) != record(theirs) {
			t.Fatalf("in the table %v is %+v, in the store %+v", a, ours, theirs)
		}
	}
	for i := 1; i <= 6; i++ {
		k := lease.Key{MAC: testClient(i)}
		ours, theirs := p.s.handler.table.Binding(0, k), fresh.table.Binding(0, k)
		if ours.Active(p.now) && (theirs == nil || ours.Addr != theirs.Addr) {
			t.Fatalf("in the table %v is at %+v, in the store at %+v", k.MAC, ours, theirs)
		}
	}
}

// check holds every disk that there may be to what clients were told, and what
// others see to what is on the disk, as far as that is known.
func (p *pipeline) check(t *rapid.T) {
	found := map[netip.Addr]string{}
	for i, image := range p.images {
		byAddr := map[netip.Addr]*lease.Lease{}
		for _, l := range image.leases {
			byAddr[l.Addr], found[l.Addr] = &l, record(&l)
		}
		p.promised(t, fmt.Sprintf("on disk %d of %d", i+1, len(p.images)), func(a netip.Addr) *lease.Lease { return byAddr[a] })
	}
	if len(p.images) > 1 {
		return
	}
	seen := map[netip.Addr]string{}
	for _, l := range p.store.View().Snapshot() {
		l.Recorded -= l.Recorded % 1000
		seen[l.Addr] = record(&l)
	}
	if fmt.Sprint(seen) != fmt.Sprint(found) {
		t.Fatalf("seen are\n%v\non the disk are\n%v", seen, found)
	}
}
