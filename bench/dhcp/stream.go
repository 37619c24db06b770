package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"dialtone/bench/internal/rig"
)

const (
	// streamWait is how long a client of a stream waits for each answer, as
	// perfdhcp's do.
	streamWait = time.Second
	// streamSlack is what a stream may be behind.
	streamSlack = 50 * time.Millisecond
	// streamEvery is how often it reads, so that it takes little of the processor
	// that the server needs. Its receive buffer holds what comes meanwhile.
	streamEvery = time.Millisecond
	// streamXID marks the transactions of a stream; the relay's have small numbers.
	streamXID = 1 << 31
)

// stream is an open loop: clients behind a relay agent of which each begins when
// it is due, whatever has become of those before. Nobody sends a message twice.
type stream struct {
	*relay
	first  int // client
	rate   int
	period time.Duration
	wait   time.Duration // streamWait
	slack  time.Duration // streamSlack
	start  time.Time
	// exchanges has room for all that are to be begun. Who sends the DISCOVERs
	// writes the time of one before it leaves; the rest is the reader's.
	exchanges []exchange
	begun     atomic.Int64
	acked     atomic.Int64
	ended     atomic.Bool // no DISCOVER will be sent
}

// exchange is what is known of a client's.
type exchange struct {
	sent  atomic.Int64 // when its last message was, in nanoseconds from the start
	state byte         // the last answer that counts
}

// newStream makes one of clients from first on, of which rate begin a second for
// the given time.
func newStream(r *relay, first, rate int, period time.Duration) *stream {
	return &stream{
		relay: r, first: first, rate: rate, period: period, wait: streamWait, slack: streamSlack,
		exchanges: make([]exchange, max(1, int(float64(rate)*period.Seconds()))),
	}
}

// run begins the exchanges, as many as it comes to in the time, and waits for
// the answers. It ends sooner where so many are lost that a hundredth of all is
// certain to be.
func (s *stream) run(ctx context.Context) (trial, error) {
	s.start = time.Now()
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return trial{}, err
	}
	var reading sync.WaitGroup
	var readErr error
	pacing, stop := context.WithTimeout(ctx, s.period+s.slack)
	defer stop()
	reading.Go(func() {
		if readErr = s.read(); readErr != nil {
			stop()
		}
	})
	var batch sending
	lost, settled := false, 0 // those before it have their ACK or will never have it
	_, err := pace(pacing, s.rate, s.slack, func(n int) error {
		now := time.Since(s.start)
		for ; settled < int(s.begun.Load()) && now-time.Duration(s.exchanges[settled].sent.Load()) > 2*s.wait; settled++ {
		}
		if float64(settled-int(s.acked.Load())) > 0.01*float64(len(s.exchanges)) {
			lost = true
			stop()
			return nil
		}
		begun := int(s.begun.Load())
		for range min(n, len(s.exchanges)-begun) {
			s.exchanges[begun].sent.Store(int64(now))
			batch.add(rig.Message{
				Kind: rig.Discover, XID: streamXID | uint32(begun), MAC: client(s.first + begun), GIAddr: s.local, ClientID: true,
			})
			begun++
		}
		s.begun.Store(int64(begun))
		if begun == len(s.exchanges) {
			stop()
		}
		return batch.send(s.relay)
	})
	s.ended.Store(true)
	last := time.Now()
	if ctx.Err() == nil && err == nil && !lost {
		last = last.Add(s.wait)
	}
	err = errors.Join(err, s.expect(last))
	reading.Wait()
	return trial{Begun: int(s.begun.Load()), Acked: int(s.acked.Load())}, errors.Join(ctx.Err(), err, readErr)
}

// expect has the reader wait for answers until last, and no longer than there is
// somebody who waits for one.
func (s *stream) expect(last time.Time) error {
	if s.acked.Load() == s.begun.Load() {
		last = time.Now()
	}
	return s.conn.SetReadDeadline(last)
}

// read hears the answers and sends the REQUESTs.
func (s *stream) read() error {
	in := make([]ipv4.Message, 512)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	var batch sending
	for {
		n, err := s.batch.ReadBatch(in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("reading answers: %w", err)
		}
		now := time.Since(s.start)
		for _, m := range in[:max(n, 0)] {
			a, ok := rig.ParseReply(m.Buffers[0][:m.N])
			if !ok || !s.hear(a, now) {
				continue
			}
			batch.add(rig.Message{
				Kind: rig.Request, XID: a.XID, MAC: client(s.first + int(a.XID&^streamXID)), GIAddr: s.local,
				Requested: a.YIAddr, Server: a.Server, ClientID: true,
			})
		}
		requested := batch.n > 0
		if err := batch.send(s.relay); err != nil {
			return err
		}
		if s.ended.Load() && (requested || s.acked.Load() == s.begun.Load()) {
			if err := s.expect(time.Now().Add(s.wait)); err != nil {
				return err
			}
		}
		if n < len(in) {
			time.Sleep(streamEvery)
		}
	}
}

// hear takes an answer, and reports whether it is an OFFER to be taken. What
// comes too late, or a second time, does not count.
func (s *stream) hear(a rig.Reply, now time.Duration) (request bool) {
	i := int(a.XID &^ streamXID)
	if a.XID&streamXID == 0 || i >= int(s.begun.Load()) {
		return false
	}
	e := &s.exchanges[i]
	if now-time.Duration(e.sent.Load()) > s.wait {
		return false
	}
	switch {
	case a.Kind == rig.Offer && e.state == 0:
		e.sent.Store(int64(now))
		e.state = rig.Offer
		return true
	case a.Kind == rig.ACK && e.state == rig.Offer:
		e.state = rig.ACK
		s.acked.Add(1)
	}
	return false
}

// sending is messages that leave together, one goroutine's.
type sending struct {
	messages []ipv4.Message // those beyond n are for later use
	n        int
}

func (b *sending) add(m rig.Message) {
	if b.n == len(b.messages) {
		b.messages = append(b.messages, ipv4.Message{Buffers: [][]byte{nil}})
	}
	buf := &b.messages[b.n].Buffers[0]
	*buf = m.AppendTo((*buf)[:0])
	b.n++
}

func (b *sending) send(r *relay) error {
	to := net.UDPAddrFromAddrPort(r.server)
	out := b.messages[:b.n]
	b.n = 0
	for i := range out {
		out[i].Addr = to
	}
	for len(out) > 0 {
		n, err := r.batch.WriteBatch(out, 0)
		if err != nil {
			return fmt.Errorf("sending to the server: %w", err)
		}
		out = out[n:]
	}
	return nil
}
