package dhcpd

import (
	"context"
	"net/netip"
	"sync"
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
	parked bool // it waits for a probe
}

// queue takes packets from the readers to the one goroutine that answers. It
// never makes a reader wait: when it is full the oldest packet goes, whose
// client has given up on it the soonest.
type queue struct {
	wake chan struct{} // of one place

	mu      sync.Mutex
	ring    []*packet
	head, n int
	spare   []*packet
	dropped uint64
}

func newQueue(size int) *queue {
	return &queue{ring: make([]*packet, size), wake: make(chan struct{}, 1)}
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
		if q.n == len(q.ring) {
			q.spare = append(q.spare, q.ring[q.head])
			q.head = (q.head + 1) % len(q.ring)
			q.n--
			q.dropped++
		}
		q.ring[(q.head+q.n)%len(q.ring)] = p
		q.n++
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
	waiting := q.n
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
	for ; n > 0 && q.n > 0; n-- {
		batch = append(batch, q.ring[q.head])
		q.ring[q.head] = nil
		q.head = (q.head + 1) % len(q.ring)
		q.n--
	}
	return batch, true
}

// lost counts the packets that were dropped.
func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
