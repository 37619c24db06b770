package lease

import (
	"bytes"
	"container/heap"
	"net/netip"
	"slices"
	"time"
)

// Range is a run of addresses, both ends in it.
type Range struct{ First, Last netip.Addr }

// Scope is what a table gives out in one network.
type Scope struct {
	Subnet netip.Prefix
	Ranges []Range
	// Excluded are addresses that the ranges do not give out: the server's, the
	// routers', reserved ones.
	Excluded map[netip.Addr]bool
	// Port names the port of a relay or switch by what it says (option 82), ""
	// where that names none. Where Port is nil, leases are not counted by port.
	Port func(relayInfo string) string
}

// Table holds every lease and offer in memory. One goroutine owns it. Changes
// are in effect at once and listed as pending until Commit or Rollback.
type Table struct {
	entries pages[entry]
	pools   []*pool
	pending []Change
	unsure  []*entry
	classes texts // vendor classes
	limits  limits
}

// limits are how many addresses of a network the table has records of. Those that
// nobody leases any more are kept for their clients, as long as there are not
// plenty: then they are given to others, and addresses that were never touched
// stay untouched, however large the network is. There are never more than most:
// that is all there are, as far as anybody can see.
type limits struct{ plenty, most int }

// usualLimits have room for every address of a /16, and for as many clients again
// as any office has.
var usualLimits = limits{plenty: 1 << 16, most: 1 << 19}

// Change is a lease that was replaced by another.
type Change struct {
	Before *Lease // nil where the address had none
	After  *Lease
	// Write says that the change has to be in the store before anyone hears of
	// it. A renewal within the recorded expiry does not.
	Write bool
	entry *entry
	other *entry // where the client was known before, nil where it was here or nowhere
}

// entry is an address that is offered, or was leased at least once. There are as
// many as there are leases, so it is kept small. One whose offer has ended without
// a lease says nothing: it goes, unless Next has been by and would not find the
// address again.
type entry struct {
	lease *Lease
	offer *offer // nil where nobody has one
	pool  *pool  // nil where no network has the address
	// free is the time by which the entry is sorted in its queue, which is never
	// after the time at which the address becomes free; index is where it stands.
	free  Time
	index int32
	addr4 [4]byte
	in    place // where the pool looks for free addresses: nowhere unless given is set
	given bool  // the ranges of the pool give it out
	heard bool  // its client has renewed the lease, or got it, since the start
	dirty bool  // a change of it is pending that has to be written
	// unsure says that the store may have it that the lease has ended, or is
	// another's, after a write that failed.
	unsure bool
}

func (e *entry) addr() netip.Addr { return netip.AddrFrom4(e.addr4) }

// place is a queue of a pool.
type place uint8

const (
	nowhere place = iota
	inTried
	inUsed
)

// offer is an address that waits for its client.
type offer struct {
	client Key
	until  Time
	// turn is where it is in the line of its standing. What is for a known client
	// stands in none.
	turn     uint64
	standing Standing
}

// pool is one network's part of the table.
type pool struct {
	Scope
	clients index[Key, entry]
	offers  map[Key]*entry
	lines   [Known]line
	turn    uint64 // that was given last
	claims  claims
	size    int
	held    [holds]ends
	groups  groups
	// next and inRange are the first address that was never touched, and its
	// range.
	next    netip.Addr
	inRange int
	tried   queue // offered, never leased
	used    queue // leased at some time
}

// queue gives the queue that an entry stands in, nil where it is in none.
func (p *pool) queue(in place) *queue {
	switch in {
	case inTried:
		return &p.tried
	case inUsed:
		return &p.used
	default:
		return nil
	}
}

// NewTable makes a table of leases as a store had them. Where two records have
// one address the later stands.
func NewTable(leases []Lease) *Table {
	t := &Table{entries: newPages[entry](), classes: texts{}, limits: usualLimits}
	for i := range leases {
		l := &leases[i]
		t.entries.put(l.Addr.As4(), &entry{addr4: l.Addr.As4(), lease: l})
	}
	return t
}

// entry gives that of an address, nil where it is not offered and was never leased.
func (t *Table) entry(a netip.Addr) *entry {
	if !a.Is4() {
		return nil
	}
	return t.entries.get(a.As4())
}

// Configure sets what the table gives out; networks are then named by their
// index in scopes. Leases outside all of them are kept and do nothing. Offers
// are forgotten, claims are not. No change may be pending.
func (t *Table) Configure(scopes []Scope) {
	before := t.pools
	t.pools = nil
	for _, s := range scopes {
		p := &pool{
			Scope: s, clients: newIndex(func(e *entry) Key { return e.lease.Key() }), offers: map[Key]*entry{},
		}
		for i := range p.lines {
			p.lines[i].quota = quota(s.Ranges)
		}
		p.size = min(s.size(), t.limits.most)
		p.claims.quota = claimQuota(p.size)
		for _, old := range before {
			if old.Subnet == s.Subnet {
				p.claims.held = old.claims.held
			}
		}
		if len(s.Ranges) > 0 {
			p.next = s.Ranges[0].First
		}
		t.pools = append(t.pools, p)
	}
	old := t.entries
	t.entries = newPages[entry]()
	for e := range old.all {
		if e.lease == nil {
			continue
		}
		l := e.lease
		*e = entry{addr4: e.addr4, lease: l, heard: e.heard, unsure: e.unsure}
		t.entries.put(e.addr4, e)
		for _, p := range t.pools {
			if p.Subnet.Contains(e.addr()) {
				e.lease, e.pool, e.given = nil, p, p.gives(e.addr())
				p.place(e, l)
				break
			}
		}
	}
}

// gives reports whether the ranges of p give out an address.
func (p *pool) gives(a netip.Addr) bool {
	if p.Excluded[a] || !p.Subnet.Contains(a) || unfit(p.Subnet, a) {
		return false
	}
	return slices.ContainsFunc(p.Ranges, func(r Range) bool {
		return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
	})
}

// unfit reports whether an address is the network's own or its broadcast
// address, or ends in .0 or .255 in a network larger than /24, where old
// clients take it for one of these.
func unfit(subnet netip.Prefix, a netip.Addr) bool {
	if subnet.Bits() >= 31 {
		return false
	}
	host := a.As4()
	last := host[3]
	if subnet.Bits() < 24 {
		return last == 0 || last == 255
	}
	mask := byte(0xff) >> (subnet.Bits() - 24)
	return last&mask == 0 || last&mask == mask
}

// Gives reports whether the ranges of a network give out an address, free or
// not.
func (t *Table) Gives(network int, a netip.Addr) bool { return t.pools[network].gives(a) }

// Grants reports whether a network gives an address, free or not, to a client that
// names it: one that was never touched only while there are not plenty of others.
func (t *Table) Grants(network int, a netip.Addr) bool {
	p := t.pools[network]
	return p.gives(a) && (p.records() < t.limits.plenty || t.entry(a) != nil)
}

// records counts the addresses of the ranges that are, or may be, in use.
func (p *pool) records() int { return len(p.tried.entries) + len(p.used.entries) }

// Binding gives the last lease of a client in a network, nil where it had
// none. It may have ended since, and the address may be another's by now.
func (t *Table) Binding(network int, k Key) *Lease {
	if e := t.pools[network].clients.get(k); e != nil {
		return e.lease
	}
	return nil
}

// At gives the last lease of an address, nil where it had none.
func (t *Table) At(a netip.Addr) *Lease {
	if e := t.entry(a); e != nil {
		return e.lease
	}
	return nil
}

// Free reports whether an address may be given to a client: nobody else leases
// it or was offered it, and it is not declined.
func (t *Table) Free(a netip.Addr, k Key, now time.Time) bool {
	e := t.entry(a)
	if e == nil {
		return true
	}
	if e.offer != nil && e.offer.client != k && TimeOf(now) < e.offer.until {
		return false
	}
	return !e.lease.held(now) || e.lease.State == Leased && e.lease.Key() == k
}

// Offered gives the address that a client was offered and may still ask for.
func (t *Table) Offered(network int, k Key, now time.Time) (netip.Addr, bool) {
	e := t.pools[network].offers[k]
	if e == nil || TimeOf(now) >= e.offer.until {
		return netip.Addr{}, false
	}
	return e.addr(), true
}

// Offer keeps an address for a client until then. The client's earlier offer
// ends. For one that nobody knows there has to be Room. Offers live in memory
// alone: a flood of them costs no write.
func (t *Table) Offer(network int, a netip.Addr, k Key, standing Standing, now, until time.Time) {
	p := t.pools[network]
	e := t.touch(p, a, TimeOf(until))
	t.withdraw(p, k, e)
	p.forget(e)
	e.offer = &offer{client: k, until: TimeOf(until), standing: Known}
	p.offers[k] = e
	if standing != Known {
		p.wait(e, standing, now)
	}
}

// Withdraw ends the offer to a client, if there is one.
func (t *Table) Withdraw(network int, k Key) { t.withdraw(t.pools[network], k, nil) }

// withdraw ends the offer to a client, if there is one, of another address than
// that of keep.
func (t *Table) withdraw(p *pool, k Key, keep *entry) {
	if e := p.offers[k]; e != nil && e != keep {
		t.end(e)
	}
}

// end ends the offer of an address, and forgets the address where that was all
// there is to say of it.
func (t *Table) end(e *entry) {
	e.pool.forget(e)
	t.discard(e)
}

// discard forgets an address that says nothing.
func (t *Table) discard(e *entry) {
	if e.offer != nil || e.lease != nil || e.given && !e.pool.ahead(e.addr()) {
		return
	}
	e.leave()
	t.entries.remove(e.addr4)
}

// forget ends the offer of an address, if there is one.
func (p *pool) forget(e *entry) {
	if e.offer == nil {
		return
	}
	delete(p.offers, e.offer.client)
	p.leave(e.offer)
	e.offer = nil
	e.sooner()
}

// touch gives the entry of an address, made where it is missing.
func (t *Table) touch(p *pool, a netip.Addr, free Time) *entry {
	e := t.entry(a)
	if e == nil {
		e = &entry{addr4: a.As4(), pool: p, given: p.gives(a), free: free}
		t.entries.put(e.addr4, e)
		if e.given {
			p.join(e, inTried)
		}
	}
	return e
}

// ahead reports whether Next has yet to come by an address that was never touched.
func (p *pool) ahead(a netip.Addr) bool {
	for i := p.inRange; i < len(p.Ranges); i++ {
		r := p.Ranges[i]
		if i == p.inRange {
			r.First = p.next
		}
		if r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 {
			return true
		}
	}
	return false
}

// Next gives a free address of a network: one that lapsed without ever being
// leased, else one never touched, else the one that has been free the longest.
// Where there are plenty of addresses it is the other way round: one that has been
// free before one never touched. It reports false where none is left.
func (t *Table) Next(network int, now time.Time) (netip.Addr, bool) {
	p := t.pools[network]
	if e := p.tried.first(now); e != nil {
		return e.addr(), true
	}
	n := p.records()
	if n >= t.limits.plenty {
		if e := p.used.first(now); e != nil {
			return e.addr(), true
		}
	}
	for p.inRange < len(p.Ranges) && n < t.limits.most {
		if t.entry(p.next) == nil && p.gives(p.next) {
			return p.next, true
		}
		if p.next != p.Ranges[p.inRange].Last {
			p.next = p.next.Next()
			continue
		}
		if p.inRange++; p.inRange < len(p.Ranges) {
			p.next = p.Ranges[p.inRange].First
		}
	}
	if e := p.used.first(now); e != nil {
		return e.addr(), true
	}
	return netip.Addr{}, false
}

// Bind leases l.Addr to a client from l.Start, which is now. The horizon is the
// expiry to record where the change has to be written: later than the granted one,
// so that the renewals until then need no write. A renewal that is written takes
// its neighbours along. Any other address of the client in the network is released.
// Bind reports whether the change has to be durable before the client hears of it.
func (t *Table) Bind(network int, l Lease, horizon time.Time) (wait bool) {
	delete(t.pools[network].claims.held, l.Key())
	return t.bind(network, l, horizon)
}

func (t *Table) bind(network int, l Lease, horizon time.Time) (wait bool) {
	p := t.pools[network]
	k := l.Key()
	e := t.touch(p, l.Addr, l.Expiry)
	t.withdraw(p, k, e)
	if old := p.clients.get(k); old != nil && old.addr() != l.Addr && old.lease.State == Leased {
		t.release(old, l.Start)
	}
	p.forget(e)
	l.State = Leased
	l.Recorded = TimeOf(horizon)
	l.VendorClass = t.classes.one(l.VendorClass)
	now, write, renewal := l.Start, true, false
	if old := e.lease; old != nil && old.State == Leased && old.Key() == k {
		if renewal = l.Start < old.Expiry; renewal {
			l.Start = old.Start
		}
		if old.MAC == l.MAC && old.HostName == l.HostName && old.VendorClass == l.VendorClass && old.RelayInfo == l.RelayInfo && l.Expiry <= old.Recorded && !e.unsure {
			write, l.Recorded = false, old.Recorded
		}
	}
	t.change(e, &l, write)
	e.heard = true
	if write && renewal {
		t.carry(e, now, l.Recorded.Sub(l.Expiry))
	}
	return e.dirty
}

// carry records longer what is leased beside an address that is written now, most
// likely in the same page of the disk: what a page costs is the same for one lease
// and for all in it. Recorded is what a renewal of each at its last time would have
// recorded, had it been written: nobody has an address for longer by it.
func (t *Table) carry(e *entry, now Time, ahead time.Duration) {
	for _, n := range t.entries.beside(e.addr4) {
		if n == nil || n == e || n.pool != e.pool || !n.heard || n.dirty || n.unsure || n.lease == nil || n.lease.State != Leased || n.lease.Expiry <= now {
			continue
		}
		if _, claimed := n.pool.claims.held[n.lease.Key()]; claimed {
			continue
		}
		if at := n.lease.Expiry.Add(ahead); at.Sub(n.lease.Recorded) >= ahead/2 {
			l := *n.lease
			l.Recorded = at
			t.change(n, &l, true)
		}
	}
}

// Adopt puts a lease, an ended one or a declined address where it was under
// another server. The caller has seen to it that nobody else is there, and that
// its client is nowhere else.
func (t *Table) Adopt(network int, l Lease) {
	p := t.pools[network]
	e := t.touch(p, l.Addr, l.Expiry)
	p.forget(e)
	e.heard = false
	t.change(e, &l, true)
}

// Release ends the lease of an address, or its quarantine, if it has one.
func (t *Table) Release(a netip.Addr, now time.Time) {
	if e := t.entry(a); e != nil && e.lease != nil && e.lease.State != Released && e.pool != nil {
		t.release(e, TimeOf(now))
	}
}

// Decline keeps an address from everyone until then. The client is on record
// as the one that found the address in use.
func (t *Table) Decline(network int, l Lease, until time.Time) {
	p := t.pools[network]
	e := t.touch(p, l.Addr, TimeOf(until))
	p.forget(e)
	l.State, l.Expiry, l.Recorded = Declined, TimeOf(until), TimeOf(until)
	t.change(e, &l, true)
}

// release ends a lease now, or leaves it at the end that it has had.
func (t *Table) release(e *entry, now Time) {
	l := *e.lease
	l.Expiry = min(l.Expiry, now)
	l.State, l.Recorded = Released, l.Expiry
	t.change(e, &l, true)
}

func (t *Table) change(e *entry, after *Lease, write bool) {
	c := Change{Before: e.lease, After: after, Write: write, entry: e}
	if other := e.pool.clients.get(after.Key()); other != e {
		c.other = other
	}
	t.pending = append(t.pending, c)
	e.dirty = e.dirty || write
	e.pool.place(e, after)
}

// undo puts back what was before a change.
func (t *Table) undo(c *Change) {
	e, p := c.entry, c.entry.pool
	p.place(e, c.Before)
	if k := c.After.Key(); c.other != nil && c.other.lease.Key() == k && p.clients.get(k) == nil {
		p.clients.put(c.other)
	}
	if l := c.Before; l != nil && (l.State == Declined || l.State == Leased && e.offer != nil && e.offer.client != l.Key()) {
		// It was free for a moment, and may have been offered to somebody.
		p.forget(e)
	}
	t.discard(e)
}

// place makes l the lease of e, in the index of clients and in the queue of
// the addresses that become free.
func (p *pool) place(e *entry, l *Lease) {
	p.count(e.given, e.lease, l)
	p.group(e.lease, l)
	if e.lease != nil {
		if k := e.lease.Key(); p.clients.get(k) == e {
			p.clients.remove(k)
		}
	}
	e.lease = l
	if l != nil && l.State != Declined {
		if other := p.clients.get(l.Key()); other == nil || !newer(other.lease, l) {
			p.clients.put(e)
		}
	}
	if !e.given {
		return
	}
	into := inUsed
	if l == nil {
		into = inTried
	}
	if e.in != into {
		e.leave()
		e.free = e.freeAt()
		p.join(e, into)
		return
	}
	e.sooner()
}

// join puts an entry into a queue. It stands in none.
func (p *pool) join(e *entry, into place) {
	heap.Push(p.queue(into), e)
	e.in = into
}

// leave takes an entry out of the queue that it stands in, if it is in one.
func (e *entry) leave() {
	if e.in != nowhere {
		heap.Remove(e.pool.queue(e.in), int(e.index))
	}
}

// sooner puts the address where it belongs in its queue when it has become
// free earlier than it was sorted by. A later time is seen to when it matters,
// in queue.first, so that a renewal costs nothing here.
func (e *entry) sooner() {
	if e.in == nowhere {
		return
	}
	if at := e.freeAt(); at < e.free {
		e.free = at
		heap.Fix(e.pool.queue(e.in), int(e.index))
	}
}

// newer reports whether a, rather than b, is where their client belongs.
func newer(a, b *Lease) bool {
	if (a.State == Leased) != (b.State == Leased) {
		return a.State == Leased
	}
	return a.Expiry > b.Expiry
}

// freeAt is when nobody has a claim to the address any longer.
func (e *entry) freeAt() Time {
	var at Time
	if e.offer != nil {
		at = e.offer.until
	}
	if e.lease != nil {
		at = max(at, e.lease.Expiry)
	}
	return at
}

// Pending lists the changes since the last Commit or Rollback, oldest first.
// It is valid until the next one.
func (t *Table) Pending() []Change { return t.pending }

// Commit says that the first n pending changes are durable.
func (t *Table) Commit(n int) { t.settle(n) }

// Sure says that the store has nothing in it but what was committed.
func (t *Table) Sure() {
	for _, e := range t.unsure {
		e.unsure = false
	}
	clear(t.unsure)
	t.unsure = t.unsure[:0]
}

// Rollback undoes the pending changes that had to be written, and gives those
// that stand: renewals that needed no write have been granted. The first n may
// be in the store all the same: until Sure, no renewal goes without a write that
// the store might not bear out.
func (t *Table) Rollback(n int) (stand []Change) {
	for i, c := range slices.Backward(t.pending) {
		if !c.Write {
			continue
		}
		if i < n && !c.After.covers(c.Before) {
			c.entry.unsure = true
			t.unsure = append(t.unsure, c.entry)
		}
		t.undo(&c)
	}
	for _, c := range t.pending {
		if c.entry.lease == c.After {
			stand = append(stand, c)
		}
	}
	t.settle(len(t.pending))
	return stand
}

// covers reports whether a record of l holds what one of before has promised.
func (l *Lease) covers(before *Lease) bool {
	return before == nil || before.State != Leased ||
		l.State == Leased && l.Key() == before.Key() && l.Recorded >= before.Recorded
}

// Undo undoes the pending changes after the first n, whatever they are.
func (t *Table) Undo(n int) {
	for _, c := range slices.Backward(t.pending[n:]) {
		t.undo(&c)
		c.entry.dirty = false
	}
	t.pending = slices.Delete(t.pending, n, len(t.pending))
	t.mark()
}

// settle forgets the first n pending changes.
func (t *Table) settle(n int) {
	for _, c := range t.pending[:n] {
		c.entry.dirty = false
	}
	t.pending = slices.Delete(t.pending, 0, n)
	t.mark()
}

// mark has the entries know again of the changes that are pending.
func (t *Table) mark() {
	for _, c := range t.pending {
		c.entry.dirty = c.entry.dirty || c.Write
	}
}

// queue is a heap of addresses by the time at which they become free.
type queue struct{ entries []*entry }

// first gives the address that has been free the longest, nil where none is.
// Times that moved on since they were sorted are put right on the way.
func (q *queue) first(now time.Time) *entry {
	for len(q.entries) > 0 {
		e := q.entries[0]
		if e.free > TimeOf(now) {
			return nil
		}
		at := e.freeAt()
		if at <= e.free {
			return e
		}
		e.free = at
		heap.Fix(q, 0)
	}
	return nil
}

func (q *queue) Len() int { return len(q.entries) }

func (q *queue) Less(i, j int) bool {
	a, b := q.entries[i], q.entries[j]
	if a.free != b.free {
		return a.free < b.free
	}
	return bytes.Compare(a.addr4[:], b.addr4[:]) < 0
}

func (q *queue) Swap(i, j int) {
	q.entries[i], q.entries[j] = q.entries[j], q.entries[i]
	q.entries[i].index, q.entries[j].index = int32(i), int32(j)
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = int32(len(q.entries))
	q.entries = append(q.entries, e)
}

func (q *queue) Pop() any {
	e := q.entries[len(q.entries)-1]
	q.entries[len(q.entries)-1] = nil
	q.entries = q.entries[:len(q.entries)-1]
	e.in = nowhere
	return e
}
