package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"dialtone/internal/mac"
)

// vendorClass is what the phones say in option 60.
const vendorClass = "snomD785"

// phone is one on the wire, on its way through RFC 2131 figure 5.
type phone struct {
	mac     mac.Addr
	xid     uint32
	state   byte // discover, request, or ack where it is bound
	offered reply
	sends   int       // of the message that it waits for an answer to
	due     time.Time // when it sends again
	bound   time.Duration
	addr    netip.Addr
}

// street is phones on one wire.
type street struct {
	wire   *wire
	phones []phone
	random *rand.Rand
	resent int
	nbound int
	start  time.Time
	buf    []byte
	frame  []byte
}

// phoneMAC is the hardware address of the i-th phone on the wire.
func phoneMAC(i int) mac.Addr {
	return mac.Addr{0x00, 0x04, 0x13, byte(i >> 16), byte(i >> 8), byte(i)}
}

func newStreet(w *wire, n int) *street {
	s := &street{wire: w, phones: make([]phone, n), random: rand.New(rand.NewPCG(3, 67))}
	for i := range s.phones {
		s.phones[i] = phone{mac: phoneMAC(i), state: discover, xid: s.random.Uint32()}
	}
	return s
}

// powerOn has all phones send their DISCOVER at once, and stays until all are
// bound or limit is over.
func (s *street) powerOn(ctx context.Context, limit time.Duration) error {
	index := make(map[mac.Addr]*phone, len(s.phones))
	s.start = time.Now()
	for i := range s.phones {
		p := &s.phones[i]
		index[p.mac] = p
		if err := s.send(p, time.Now()); err != nil {
			return err
		}
	}
	swept := time.Now()
	for end := s.start.Add(limit); s.nbound < len(s.phones); {
		now := time.Now()
		if now.After(end) || ctx.Err() != nil {
			return ctx.Err()
		}
		if now.Sub(swept) > 20*time.Millisecond {
			swept = now
			if err := s.sendAgain(now); err != nil {
				return err
			}
		}
		r, ok, err := s.wire.receive(now.Add(20 * time.Millisecond))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if p := index[r.mac]; p != nil && p.xid == r.xid {
			if err := s.answer(p, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer takes a phone one step on.
func (s *street) answer(p *phone, r reply) error {
	now := time.Now()
	switch {
	case r.kind == offer && p.state == discover:
		p.offered, p.state, p.sends = r, request, 0
		return s.send(p, now)
	case r.kind == ack && p.state == request:
		p.state, p.addr, p.bound = ack, r.yiaddr, now.Sub(s.start)
		s.nbound++
	case r.kind == nak && p.state == request:
		return s.initial(p, now)
	}
	return nil
}

// initial sends a phone back to INIT.
func (s *street) initial(p *phone, now time.Time) error {
	p.state, p.sends, p.xid = discover, 0, s.random.Uint32()
	s.resent++
	return s.send(p, now)
}

func (s *street) sendAgain(now time.Time) error {
	for i := range s.phones {
		p := &s.phones[i]
		if p.state == ack || now.Before(p.due) {
			continue
		}
		// RFC 2131 §3.1 step 5 leaves the count to the client: four sends of
		// a REQUEST are its example.
		if p.state == request && p.sends == 4 {
			if err := s.initial(p, now); err != nil {
				return err
			}
			continue
		}
		s.resent++
		if err := s.send(p, now); err != nil {
			return err
		}
	}
	return nil
}

// send sends what the phone's state has it say, and sets the time of the next
// attempt: 4 s, doubled each time up to 64 s, with a second of jitter either
// way (RFC 2131 §4.1).
func (s *street) send(p *phone, now time.Time) error {
	m := message{kind: p.state, xid: p.xid, mac: p.mac, secs: uint16(now.Sub(s.start) / time.Second), class: vendorClass}
	if p.state == request {
		m.requested, m.server = p.offered.yiaddr, p.offered.server
	}
	s.buf = m.appendTo(s.buf[:0])
	s.frame = appendFrame(s.frame[:0], p.mac, s.buf)
	wait := min(4*time.Second<<min(p.sends, 4), 64*time.Second)
	p.due = now.Add(wait - time.Second + time.Duration(s.random.Int64N(int64(2*time.Second))))
	p.sends++
	if err := s.wire.send(s.frame); err != nil {
		return fmt.Errorf("sending for phone %s: %w", p.mac, err)
	}
	return nil
}

// waits are the times from power on to the ACK of the phones that got one.
func (s *street) waits() []time.Duration {
	var d []time.Duration
	for i := range s.phones {
		if s.phones[i].state == ack {
			d = append(d, s.phones[i].bound)
		}
	}
	return d
}

// duplicates counts the phones whose address another one has too.
func (s *street) duplicates() int {
	seen := make(map[netip.Addr]bool)
	n := 0
	for i := range s.phones {
		if p := &s.phones[i]; p.state == ack {
			if seen[p.addr] {
				n++
			}
			seen[p.addr] = true
		}
	}
	return n
}
