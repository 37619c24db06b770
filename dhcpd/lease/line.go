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
	// patience is how long an unknown client has an offer for itself where too
	// many wait. One that means it answers within a second or two.
	patience = 3 * time.Second
)

// line has the offers of a network to clients that nobody knows, the oldest
// first. A flood of them must not tie up the addresses of the network: of a large
// one half is for offers, and when that, or a small one, is used up the oldest
// offer ends.
type line struct {
	quota  int
	n      int // offers
	last   uint64
	stands []stand // of offers, and of what has left since
}

type stand struct {
	entry    *entry
	stranger uint64 // of the entry's offer, as long as it stands here
	since    time.Time
}

// left reports whether the offer has gone from here.
func (s stand) left() bool { return s.entry.offer == nil || s.entry.offer.stranger != s.stranger }

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

func (l *line) join(e *entry, now time.Time) {
	if e.offer.stranger == 0 {
		l.n++
	}
	l.last++
	e.offer.stranger = l.last
	l.stands = append(l.stands, stand{e, l.last, now})
	if len(l.stands) > 2*l.n+64 {
		l.tidy()
	}
}

func (l *line) leave(o *offer) {
	if o.stranger != 0 {
		l.n--
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

// Room reports whether one more client that nobody knows may be offered an
// address of a network. Where too many offers wait it ends the oldest, if that
// has waited long enough.
func (t *Table) Room(network int, now time.Time) bool {
	p := t.pools[network]
	for p.line.n >= p.line.quota {
		if _, ok := p.evict(now, patience); !ok {
			return false
		}
	}
	return true
}

// Evict finds an address where Next finds none: it ends the offer to an unknown
// client that has waited the longest. For another unknown client that has to be
// long enough; a known one does not wait.
func (t *Table) Evict(network int, now time.Time, known bool) (netip.Addr, bool) {
	wait := patience
	if known {
		wait = 0
	}
	return t.pools[network].evict(now, wait)
}

// evict ends the oldest offer to an unknown client, if it is of that age.
func (p *pool) evict(now time.Time, age time.Duration) (netip.Addr, bool) {
	first, ok := p.line.oldest()
	if !ok || now.Sub(first.since) < age {
		return netip.Addr{}, false
	}
	p.forget(first.entry)
	return first.entry.addr(), true
}

// OfferStranger is Offer to a client that nobody knows, for which there is Room.
func (t *Table) OfferStranger(network int, a netip.Addr, k Key, now, until time.Time) {
	t.Offer(network, a, k, until)
	t.pools[network].line.join(t.entry(a), now)
}
