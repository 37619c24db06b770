package dhcpd

import (
	"context"
	"net/netip"
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
	parked bool               // it waits for a probe
}

// queue takes packets from the readers to the one goroutine that answers. It
// never makes a reader wait: when it is full the oldest packet goes, whose
// client has given up on it the soonest. Who has an address, or was offered one,
// does not stand behind those that look for one.
type queue struct {
	wake chan struct{} // of one place

	mu      sync.Mutex
	urgent  ring // all but DISCOVER
	rest    ring
	spare   []*packet
	dropped uint64
}

// ring is a line of packets.
type ring struct {
	packets []*packet
	head, n int
}

func newQueue(size int) *queue {
	return &queue{urgent: ring{packets: make([]*packet, size)}, rest: ring{packets: make([]*packet, size)}, wake: make(chan struct{}, 1)}
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

// put takes packets back that are done with.
func (q *queue) put(packets []*packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = append(q.spare, packets...)
}

func (q *queue) push(packets ...*packet) {
	q.mu.Lock()
	for _, p := range packets {
		r := &q.urgent
		if p.kind == dhcpv4.MessageTypeDiscover || p.kind == 0 {
			r = &q.rest
		}
		if old := r.push(p); old != nil {
			q.spare = append(q.spare, old)
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
	waiting := q.urgent.n + q.rest.n
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
	// A quarter is for the rest, so that no crowd keeps all others waiting.
	rest := min(q.rest.n, max(n/4, n-q.urgent.n))
	for ; n > rest && q.urgent.n > 0; n-- {
		batch = append(batch, q.urgent.pop())
	}
	for ; n > 0 && q.rest.n > 0; n-- {
		batch = append(batch, q.rest.pop())
	}
	return batch, true
}

// lost counts the packets that were dropped.
func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
