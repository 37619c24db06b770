package lease

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// maxStrangers bounds what offers to unknown clients take of the memory,
	// however large the network is.
	maxStrangers = 8192
	// patience is how long a client has an offer for itself where too many others
	// like it wait. One that means it answers within milliseconds, or takes what it
	// was offered while nobody else was. The longer, the longer nobody else is
	// offered anything once a flood is over.
	patience = 250 * time.Millisecond
)

// Standing is what is known of a client that is offered an address. Of offers
// that are too many those to a lower one end first.
type Standing uint8

const (
	Stranger Standing = iota
	Phone             // nobody knows it, but it is a phone by what it says
	Known
)

// line has the offers of a network to clients of one standing that nobody knows,
// the oldest first. A flood of them must not tie up the addresses of the network:
// of a large one half is for offers, and when that, or a small one, is used up
// the oldest offer ends.
type line struct {
	quota  int
	n      int     // offers
	stands []stand // of offers, and of what has left since
}

type stand struct {
	entry *entry
	turn  uint64 // of the entry's offer, as long as it stands here
	since time.Time
}

// left reports whether the offer has gone from here.
func (s stand) left() bool { return s.entry.offer == nil || s.entry.offer.turn != s.turn }

// quota is half of the addresses, all of so few that an office may need them in
// the instant in which its power comes back.
func quota(ranges []Range) int {
	const few = 256
	n := 0
	for _, r := range ranges {
		n += number(r.Last) - number(r.First) + 1
	}
	return min(max(n/2, few), maxStrangers)
}

// claimQuota is half of the addresses, of the smallest network too: what is
// claimed is gone for longer than an offer.
func claimQuota(size int) int { return min((size+1)/2, maxStrangers) }

func number(a netip.Addr) int {
	a4 := a.As4()
	return int(binary.BigEndian.Uint32(a4[:]))
}

// wait puts an offer that is in no line at the end of that of its standing.
func (p *pool) wait(e *entry, standing Standing, now time.Time) {
	l := &p.lines[standing]
	p.turn++
	l.n++
	e.offer.turn, e.offer.standing = p.turn, standing
	l.stands = append(l.stands, stand{e, p.turn, now})
	if len(l.stands) > 2*l.n+64 {
		l.tidy()
	}
}

func (p *pool) leave(o *offer) {
	if o.standing != Known {
		p.lines[o.standing].n--
	}
}

// tidy drops what stands for offers that have left the line.
func (l *line) tidy() {
	kept := l.stands[:0]
	for _, s := range l.stands {
		if !s.left() {
			kept = append(kept, s)
		}
	}
	clear(l.stands[len(kept):])
	l.stands = kept
}

// oldest gives the stand of the offer that has waited the longest.
func (l *line) oldest() (stand, bool) {
	for len(l.stands) > 0 {
		if s := l.stands[0]; !s.left() {
			return s, true
		}
		l.stands[0] = stand{}
		l.stands = l.stands[1:]
	}
	return stand{}, false
}

// Room reports whether one more client of that standing may be offered an
// address of a network. Where too many offers wait it ends the oldest, if that
// has waited long enough.
func (t *Table) Room(network int, standing Standing, now time.Time) bool {
	if standing == Known {
		return true
	}
	p := t.pools[network]
	for l := &p.lines[standing]; l.n >= l.quota; {
		if _, ok := t.evict(p, standing, now, patience); !ok {
			return false
		}
	}
	return true
}

// Evict finds an address where Next finds none: it ends the offer to a client of
// a lower standing that has waited the longest, or to one of the same, if that has
// waited long enough.
func (t *Table) Evict(network int, standing Standing, now time.Time) (netip.Addr, bool) {
	p := t.pools[network]
	for lower := range min(standing, Known) {
		if a, ok := t.evict(p, lower, now, 0); ok {
			return a, true
		}
	}
	if standing == Known {
		return netip.Addr{}, false
	}
	return t.evict(p, standing, now, patience)
}

// evict ends the oldest offer to a client of that standing, if it is of that age.
func (t *Table) evict(p *pool, standing Standing, now time.Time, age time.Duration) (netip.Addr, bool) {
	first, ok := p.lines[standing].oldest()
	if !ok || now.Sub(first.since) < age {
		return netip.Addr{}, false
	}
	t.end(first.entry)
	return first.entry.addr(), true
}
