package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"

	"golang.org/x/net/ipv4"
)

// client is the hardware address of the i-th client behind the relay.
func client(i int) mac.Addr { return mac.Addr{0x00, 0x0c, 0x01, byte(i >> 16), byte(i >> 8), byte(i)} }

// window is how many clients the relay serves at once: as many as Kea queues,
// and fewer than the 167 messages that a socket holds by default, so that in a
// closed loop nobody loses any by design.
const window = 64

// impatience is after what time the relay's clients send again.
const impatience = time.Second

// relay is a closed loop: a fixed number of clients behind a relay agent, each
// replaced by the next one as soon as it has its ACK.
type relay struct {
	conn   *net.UDPConn
	batch  *ipv4.PacketConn
	local  netip.Addr // giaddr
	server netip.AddrPort
	out    []ipv4.Message
}

func openRelay(s *rig.Site) (*relay, error) {
	conn, err := s.Listen(netip.AddrPortFrom(s.ClientAddr, rig.ServerPort))
	if err != nil {
		return nil, err
	}
	return newRelay(conn, s.ClientAddr, netip.AddrPortFrom(s.ServerAddr, rig.ServerPort)), nil
}

func newRelay(conn *net.UDPConn, local netip.Addr, server netip.AddrPort) *relay {
	return &relay{conn: conn, batch: ipv4.NewPacketConn(conn), local: local, server: server}
}

func (r *relay) close() error { return r.conn.Close() }

// work is what a closed loop does: where leases is nil, count clients from
// first on are bound; else the clients from first on, whose leases they are,
// each renew once. It ends when all is done, or at until. So that the last
// ones are not waited for under less load, spare more clients are begun.
type work struct {
	first, count, spare int
	leases              []netip.Addr
	until               time.Time
	progress            func(done int)
}

// tally is what came of it.
type tally struct {
	done, resent, refused int
	elapsed               time.Duration
	busy                  time.Duration   // until when nobody's place was empty,
	busyDone              int             // and what was done by then
	marks                 []time.Duration // when each thousandth was done
	leases                []netip.Addr    // by client, of those that were bound
}

// rate is what was done a second, without the wait for the last ones.
func (t tally) rate() float64 {
	if t.busyDone == 0 {
		return float64(t.done) / t.elapsed.Seconds()
	}
	return float64(t.busyDone) / t.busy.Seconds()
}

const mark = 1000

// slot is one of the clients that are under way.
type slot struct {
	client int // -1 where nobody is
	xid    uint32
	renews bool
	sent   time.Time
	buf    []byte
}

// run does the work. The error is of the sockets, or the context's; what was
// done until then is counted.
func (r *relay) run(ctx context.Context, w work) (tally, error) {
	var (
		t     = tally{leases: make([]netip.Addr, w.count+w.spare)}
		slots [window]slot
		next  int
		start = time.Now()
		in    = make([]ipv4.Message, 64)
	)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	for i := range slots {
		slots[i] = slot{client: -1, xid: uint32(i)}
	}
	for {
		now := time.Now()
		idle := 0
		for i := range slots {
			s := &slots[i]
			switch {
			case s.client >= 0 && now.Sub(s.sent) > impatience:
				t.resent++
				r.queue(s, now)
			case s.client >= 0:
			case next < len(w.leases):
				r.renew(s, w, next, now)
				next++
			case next < w.count+w.spare:
				r.discover(s, w, next, now)
				next++
			default:
				idle++
			}
		}
		if err := r.flush(); err != nil {
			return t, err
		}
		t.elapsed = now.Sub(start)
		if idle == 0 {
			t.busy, t.busyDone = t.elapsed, t.done
		}
		if idle == len(slots) || w.count > 0 && t.done >= w.count || !w.until.IsZero() && now.After(w.until) {
			return t, nil
		}
		if err := ctx.Err(); err != nil {
			return t, err
		}
		if err := r.conn.SetReadDeadline(now.Add(100 * time.Millisecond)); err != nil {
			return t, err
		}
		n, err := r.batch.ReadBatch(in, 0)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			continue
		}
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return t, fmt.Errorf("reading answers: %w", err)
		}
		now = time.Now()
		for _, m := range in[:max(n, 0)] {
			a, ok := rig.ParseReply(m.Buffers[0][:m.N])
			if !ok {
				continue
			}
			s := &slots[a.XID%window]
			if s.client < 0 || s.xid != a.XID {
				continue
			}
			switch a.Kind {
			case rig.Offer:
				if !s.renews {
					r.request(s, w, a, now)
				}
			case rig.NAK:
				// Counted, and over: the one who had the number is not served.
				t.refused++
				s.client = -1
			case rig.ACK:
				if w.leases == nil {
					t.leases[s.client] = a.YIAddr
				}
				s.client = -1
				if t.done++; t.done%mark == 0 {
					t.marks = append(t.marks, now.Sub(start))
				}
				if w.progress != nil {
					w.progress(t.done)
				}
			}
		}
	}
}

func (r *relay) discover(s *slot, w work, n int, now time.Time) {
	s.xid += window
	s.client, s.renews = n, false
	s.buf = rig.Message{Kind: rig.Discover, XID: s.xid, MAC: client(w.first + n), GIAddr: r.local, ClientID: true}.AppendTo(s.buf[:0])
	r.queue(s, now)
}

func (r *relay) request(s *slot, w work, o rig.Reply, now time.Time) {
	s.buf = rig.Message{
		Kind: rig.Request, XID: s.xid, MAC: client(w.first + s.client), GIAddr: r.local,
		Requested: o.YIAddr, Server: o.Server, ClientID: true,
	}.AppendTo(s.buf[:0])
	r.queue(s, now)
}

func (r *relay) renew(s *slot, w work, n int, now time.Time) {
	s.xid += window
	s.client, s.renews = n, true
	s.buf = rig.Message{
		Kind: rig.Request, XID: s.xid, MAC: client(w.first + n), GIAddr: r.local,
		CIAddr: w.leases[n], ClientID: true,
	}.AppendTo(s.buf[:0])
	r.queue(s, now)
}

func (r *relay) queue(s *slot, now time.Time) {
	s.sent = now
	r.out = append(r.out, ipv4.Message{
		Buffers: [][]byte{s.buf},
		Addr:    net.UDPAddrFromAddrPort(r.server),
	})
}

func (r *relay) flush() error {
	for out := r.out; len(out) > 0; {
		n, err := r.batch.WriteBatch(out, 0)
		if err != nil {
			return fmt.Errorf("sending to the server: %w", err)
		}
		out = out[n:]
	}
	r.out = r.out[:0]
	return nil
}
