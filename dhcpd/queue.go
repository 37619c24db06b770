package dhcpd

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// maxPacket is the longest message that is read. No client sends more, and the
// queue has to stay small when somebody does.
const maxPacket = 4096

// packet is a datagram and where it came from.
type packet struct {
	data   []byte
	port   *port
	link   *link
	source netip.AddrPort
	dest   netip.Addr
	kind   dhcpv4.MessageType // as far as the reader can tell
	holds  bool               // a REQUEST for the address that its client leases, as far as the reader can tell
	parked bool               // it waits for a probe
}

// urgency says how soon a packet has its turn. Who has an address does not stand
// behind those that claim one, and these not behind those that look for one.
type urgency uint8

const (
	holding urgency = iota
	asking          // all but DISCOVER
	looking
	urgencies
)

func (p *packet) urgency() urgency {
	switch {
	case p.holds:
		return holding
	case p.kind == dhcpv4.MessageTypeDiscover || p.kind == 0:
		return looking
	default:
		return asking
	}
}

// queue takes packets from the readers to the one goroutine that answers. It
// never makes a reader wait: when it is full the oldest packet of its interface
// and urgency goes, whose client has given up on it the soonest. Interfaces have
// their turn one after the other, so that a flood on one leaves the others alone.
type queue struct {
	wake chan struct{} // of one place

	mu      sync.Mutex
	size    int // of each ring
	lanes   []*lane
	turn    int // the lane that is next
	spare   []*packet
	dropped uint64
}

// lane is the packets of one interface.
type lane struct {
	iface string
	rings [urgencies]ring
}

// ring is a line of packets.
type ring struct {
	packets []*packet
	head, n int
}

func newQueue(size int) *queue {
	return &queue{size: size, wake: make(chan struct{}, 1)}
}

// lane gives that of a packet's interface, made where it is missing.
func (q *queue) lane(p *packet) *lane {
	name := ""
	if p.link != nil {
		name = p.link.name
	}
	for _, l := range q.lanes {
		if l.iface == name {
			return l
		}
	}
	l := &lane{iface: name}
	for c := range l.rings {
		l.rings[c].packets = make([]*packet, q.size)
	}
	q.lanes = append(q.lanes, l)
	return l
}

// remove forgets an interface that is gone, and what came by it: nobody can be
// answered there any more.
func (q *queue) remove(iface string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes = slices.DeleteFunc(q.lanes, func(l *lane) bool { return l.iface == iface })
}

// waiting counts the packets of an urgency.
func (q *queue) waiting(c urgency) int {
	n := 0
	for _, l := range q.lanes {
		n += l.rings[c].n
	}
	return n
}

func (r *ring) push(p *packet) (oldest *packet) {
	if r.n == len(r.packets) {
		oldest = r.pop()
	}
	r.packets[(r.head+r.n)%len(r.packets)] = p
	r.n++
	return oldest
}

func (r *ring) pop() *packet {
	p := r.packets[r.head]
	r.packets[r.head] = nil
	r.head = (r.head + 1) % len(r.packets)
	r.n--
	return p
}

// get puts packets to read into where there are none.
func (q *queue) get(packets []*packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, p := range packets {
		switch n := len(q.spare); {
		case p != nil:
		case n > 0:
			packets[i] = q.spare[n-1]
			q.spare = q.spare[:n-1]
		default:
			packets[i] = &packet{}
		}
	}
}

// maxSpare is how many packets are kept to be read into again: what a crowd
// needed goes with it.
const maxSpare = 1024

// put takes packets back that are done with.
func (q *queue) put(packets []*packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = append(q.spare, packets[:min(len(packets), max(0, maxSpare-len(q.spare)))]...)
}

func (q *queue) push(packets ...*packet) {
	q.mu.Lock()
	for _, p := range packets {
		if old := q.lane(p).rings[p.urgency()].push(p); old != nil {
			q.spare = append(q.spare, old) // there are as many fewer in the line
			q.dropped++
		}
	}
	q.mu.Unlock()
	q.nudge()
}

// nudge makes take return.
func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for packets, or for a nudge, and appends up to n of them to
// batch. It reports false when the context has ended.
func (q *queue) take(ctx context.Context, batch []*packet, n int) ([]*packet, bool) {
	q.mu.Lock()
	waiting := q.waiting(holding) + q.waiting(asking) + q.waiting(looking)
	q.mu.Unlock()
	if waiting == 0 {
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return batch, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	// A quarter is for each urgency, so that no crowd keeps all others waiting.
	quarter := n / 4
	for c := holding; c < urgencies; c++ {
		room := n
		for later := c + 1; later < urgencies; later++ {
			room -= min(q.waiting(later), quarter)
		}
		take := min(q.waiting(c), room)
		n -= take
		batch = q.pop(batch, c, take)
	}
	return batch, true
}

// pop appends n packets of an urgency, from each interface in its turn.
func (q *queue) pop(batch []*packet, c urgency, n int) []*packet {
	for n > 0 {
		if r := &q.lanes[q.turn%len(q.lanes)].rings[c]; r.n > 0 {
			batch = append(batch, r.pop())
			n--
		}
		q.turn = (q.turn + 1) % len(q.lanes)
	}
	return batch
}

// lost counts the packets that were dropped.
func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
