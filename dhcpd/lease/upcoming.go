package lease

import (
	"net/netip"
	"time"
)

// Upcoming appends up to n addresses of a network that Next is about to give
// out, in nearly that order. It changes nothing, and its work is bounded by n.
func (t *Table) Upcoming(buf []netip.Addr, network int, now time.Time, n int) []netip.Addr {
	p := t.pools[network]
	buf = p.tried.upcoming(buf, now, n)
	left := t.limits.most - p.records() // of those never touched
	if p.records() >= t.limits.plenty {
		buf = p.used.upcoming(buf, now, n)
	}
	next, inRange := p.next, p.inRange
	for steps := 4 * n; inRange < len(p.Ranges) && len(buf) < n && left > 0 && steps > 0; steps-- {
		if t.entry(next) == nil && p.gives(next) {
			buf = append(buf, next)
			left--
		}
		if next != p.Ranges[inRange].Last {
			next = next.Next()
		} else if inRange++; inRange < len(p.Ranges) {
			next = p.Ranges[inRange].First
		}
	}
	if p.records() >= t.limits.plenty {
		return buf
	}
	return p.used.upcoming(buf, now, n)
}

// upcoming appends addresses that are free, until buf has n. The heap's order
// is near enough: what comes next is near its root.
func (q *queue) upcoming(buf []netip.Addr, now time.Time, n int) []netip.Addr {
	for _, e := range q.entries[:min(len(q.entries), 4*n)] {
		if len(buf) >= n {
			break
		}
		if e.freeAt() <= TimeOf(now) {
			buf = append(buf, e.addr())
		}
	}
	return buf
}
