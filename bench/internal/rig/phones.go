package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"dialtone/internal/mac"
)

// VendorClass is what the phones say in option 60.
const VendorClass = "snomD785"

// Phone is one on the wire, on its way through RFC 2131 figure 5.
type Phone struct {
	index   int
	MAC     mac.Addr
	XID     uint32
	State   byte // discover, request, or ack where it is bound
	offered Reply
	sends   int       // of the message that it waits for an answer to
	due     time.Time // when it sends again
	Took    time.Duration
	Addr    netip.Addr
}

// Street is phones on one wire.
type Street struct {
	// OnBound, where it is set, is told of each phone that has its lease; the
	// others wait meanwhile.
	OnBound func(i int, a netip.Addr)

	wire   *Wire
	Phones []Phone
	random *rand.Rand
	Resent int
	Bound  int
	start  time.Time
	buf    []byte
	frame  []byte
}

// PhoneMAC is the hardware address of the i-th phone on the wire.
func PhoneMAC(i int) mac.Addr {
	return mac.Addr{0x00, 0x04, 0x13, byte(i >> 16), byte(i >> 8), byte(i)}
}

// NewStreet makes n phones that are off.
func NewStreet(w *Wire, n int) *Street {
	s := &Street{wire: w, Phones: make([]Phone, n), random: rand.New(rand.NewPCG(3, 67))}
	for i := range s.Phones {
		s.Phones[i] = Phone{index: i, MAC: PhoneMAC(i), State: Discover, XID: s.random.Uint32()}
	}
	return s
}

// PowerOn has all phones send their DISCOVER at once, and stays until all are
// bound or limit is over.
func (s *Street) PowerOn(ctx context.Context, limit time.Duration) error {
	index := make(map[mac.Addr]*Phone, len(s.Phones))
	s.start = time.Now()
	for i := range s.Phones {
		p := &s.Phones[i]
		index[p.MAC] = p
		if err := s.send(p, time.Now()); err != nil {
			return err
		}
	}
	swept := time.Now()
	for end := s.start.Add(limit); s.Bound < len(s.Phones); {
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
		r, ok, err := s.wire.Receive(now.Add(20 * time.Millisecond))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if p := index[r.MAC]; p != nil && p.XID == r.XID {
			if err := s.answer(p, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer takes a phone one step on.
func (s *Street) answer(p *Phone, r Reply) error {
	now := time.Now()
	switch {
	case r.Kind == Offer && p.State == Discover:
		p.offered, p.State, p.sends = r, Request, 0
		return s.send(p, now)
	case r.Kind == ACK && p.State == Request:
		p.State, p.Addr, p.Took = ACK, r.YIAddr, now.Sub(s.start)
		s.Bound++
		if s.OnBound != nil {
			s.OnBound(p.index, p.Addr)
		}
	case r.Kind == NAK && p.State == Request:
		return s.initial(p, now)
	}
	return nil
}

// initial sends a phone back to INIT.
func (s *Street) initial(p *Phone, now time.Time) error {
	p.State, p.sends, p.XID = Discover, 0, s.random.Uint32()
	s.Resent++
	return s.send(p, now)
}

func (s *Street) sendAgain(now time.Time) error {
	for i := range s.Phones {
		p := &s.Phones[i]
		if p.State == ACK || now.Before(p.due) {
			continue
		}
		// RFC 2131 §3.1 step 5 leaves the count to the client: four sends of
		// a REQUEST are its example.
		if p.State == Request && p.sends == 4 {
			if err := s.initial(p, now); err != nil {
				return err
			}
			continue
		}
		s.Resent++
		if err := s.send(p, now); err != nil {
			return err
		}
	}
	return nil
}

// send sends what the phone's state has it say, and sets the time of the next
// attempt: 4 s, doubled each time up to 64 s, with a second of jitter either
// way (RFC 2131 §4.1).
func (s *Street) send(p *Phone, now time.Time) error {
	m := Message{Kind: p.State, XID: p.XID, MAC: p.MAC, Secs: uint16(now.Sub(s.start) / time.Second), Class: VendorClass}
	if p.State == Request {
		m.Requested, m.Server = p.offered.YIAddr, p.offered.Server
	}
	s.buf = m.AppendTo(s.buf[:0])
	s.frame = AppendFrame(s.frame[:0], p.MAC, s.buf)
	wait := min(4*time.Second<<min(p.sends, 4), 64*time.Second)
	p.due = now.Add(wait - time.Second + time.Duration(s.random.Int64N(int64(2*time.Second))))
	p.sends++
	if err := s.wire.Send(s.frame); err != nil {
		return fmt.Errorf("sending for phone %s: %w", p.MAC, err)
	}
	return nil
}

// Waits are the times from power on to the ACK of the phones that got one.
func (s *Street) Waits() []time.Duration {
	var d []time.Duration
	for i := range s.Phones {
		if s.Phones[i].State == ACK {
			d = append(d, s.Phones[i].Took)
		}
	}
	return d
}

// Duplicates counts the phones whose address another one has too.
func (s *Street) Duplicates() int {
	seen := make(map[netip.Addr]bool)
	n := 0
	for i := range s.Phones {
		if p := &s.Phones[i]; p.State == ACK {
			if seen[p.Addr] {
				n++
			}
			seen[p.Addr] = true
		}
	}
	return n
}
