package lease

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Usage is what the addresses of a network are doing. Each address that the
// ranges give out is leased, declined, offered or free.
type Usage struct {
	Size     int // addresses that the ranges give out
	Leased   int
	Declined int // by a client, or found in use
	Offered  int
	Free     int
	// The same of addresses that no range gives out: reserved ones.
	ReservedLeased   int
	ReservedDeclined int
}

// Usage counts the addresses of a network. It costs as much as there are offers.
// Time may not run backwards between two calls.
func (t *Table) Usage(network int, now time.Time) Usage {
	p := t.pools[network]
	for i := range p.held {
		p.held[i].pass(now)
	}
	u := Usage{
		Size:   p.size,
		Leased: p.held[heldLeased].n, Declined: p.held[heldDeclined].n,
		ReservedLeased: p.held[heldReserved+heldLeased].n, ReservedDeclined: p.held[heldReserved+heldDeclined].n,
	}
	for _, e := range p.offers {
		if e.given && e.offer != nil && TimeOf(now) < e.offer.until && !e.lease.held(now) {
			u.Offered++
		}
	}
	u.Free = max(0, u.Size-u.Leased-u.Declined-u.Offered)
	return u
}

// Declined counts the addresses of the ranges of a network that are declined.
func (t *Table) Declined(network int, now time.Time) (declined, of int) {
	p := t.pools[network]
	p.held[heldDeclined].pass(now)
	return p.held[heldDeclined].n, p.size
}

// What a lease counts as: its state, and whether a range gives its address out.
const (
	heldLeased = iota
	heldDeclined
	heldReserved // plus one of these
	holds        = 2 * heldReserved
)

// count has the change of a lease in the usage of the network.
func (p *pool) count(given bool, before, after *Lease) {
	if h := p.hold(given, before); h != nil {
		h.drop(before.Expiry)
	}
	if h := p.hold(given, after); h != nil {
		h.add(after.Expiry)
	}
}

func (p *pool) hold(given bool, l *Lease) *ends {
	if l == nil || l.State == Released {
		return nil
	}
	i := heldLeased
	if l.State == Declined {
		i = heldDeclined
	}
	if !given {
		i += heldReserved
	}
	return &p.held[i]
}

// ends counts what has not ended yet by the second in which it does.
type ends struct {
	n      int
	at     map[int64]int32
	passed int64 // the second that was passed last
}

func second(t Time) int64 { return int64(t+999) / 1000 }

func (e *ends) add(t Time) {
	if s := second(t); s > e.passed {
		if e.at == nil {
			e.at = map[int64]int32{}
		}
		e.at[s]++
		e.n++
	}
}

func (e *ends) drop(t Time) {
	s := second(t)
	if s <= e.passed {
		return
	}
	e.n--
	if e.at[s]--; e.at[s] == 0 {
		delete(e.at, s)
	}
}

// pass forgets what has ended by now.
func (e *ends) pass(now time.Time) {
	to := now.Unix()
	if to-e.passed > int64(len(e.at)) {
		for s, n := range e.at {
			if s <= to {
				e.n -= int(n)
				delete(e.at, s)
			}
		}
	} else {
		for s := e.passed + 1; s <= to; s++ {
			e.n -= int(e.at[s])
			delete(e.at, s)
		}
	}
	e.passed = max(e.passed, to)
}

// size counts the addresses that the ranges give out.
func (s *Scope) size() int {
	n := int64(0)
	for _, r := range s.Ranges {
		first, last := position(r.First), position(r.Last)
		n += last - first + 1
		if s.Subnet.Bits() < 24 {
			n -= endingIn(first, last, 0) + endingIn(first, last, 255)
		} else if s.Subnet.Bits() < 31 {
			network := position(s.Subnet.Addr())
			for _, a := range []int64{network, network + 1<<(32-s.Subnet.Bits()) - 1} {
				if first <= a && a <= last {
					n--
				}
			}
		}
	}
	for a := range s.Excluded {
		if s.inRange(a) && !unfit(s.Subnet, a) {
			n--
		}
	}
	return int(n)
}

// position counts the addresses before an address.
func position(a netip.Addr) int64 {
	a4 := a.As4()
	return int64(binary.BigEndian.Uint32(a4[:]))
}

// endingIn counts the addresses from first to last that end in an octet.
func endingIn(first, last, octet int64) int64 {
	before := func(n int64) int64 { return (n - octet + 255) >> 8 }
	return before(last+1) - before(first)
}

func (s *Scope) inRange(a netip.Addr) bool {
	for _, r := range s.Ranges {
		if r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 {
			return true
		}
	}
	return false
}
