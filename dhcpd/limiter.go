package dhcpd

import "time"

// limiter keeps the log from growing with the packets of a hostile network: a
// text is logged logBurst times at once and then once a second. The texts are
// constants, so there are few.
type limiter map[string]*bucket

const logBurst = 20

type bucket struct {
	tokens     float64
	last       time.Time
	suppressed int
}

// allow reports whether to log a text now, and how often it was not since it
// was logged last.
func (l limiter) allow(text string, now time.Time) (suppressed int, ok bool) {
	b := l[text]
	if b == nil {
		b = &bucket{tokens: logBurst, last: now}
		l[text] = b
	}
	b.tokens = min(logBurst, b.tokens+max(0, now.Sub(b.last).Seconds()))
	b.last = now
	if b.tokens < 1 {
		b.suppressed++
		return 0, false
	}
	b.tokens--
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}
