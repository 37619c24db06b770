package provision

import (
	"net/netip"
	"sync"
	"time"
)

// maxSources bounds the memory of a Throttle. Sources beyond it share one bucket.
const maxSources = 4096

// Throttle keeps clients from filling the log: so many lines at once for one
// source and for all, then so many per second. The zero value lets nothing pass.
type Throttle struct {
	SourceBurst, TotalBurst int     // lines at once
	SourceRate, TotalRate   float64 // lines per second after that

	mu      sync.Mutex
	total   bucket
	shared  bucket // of the sources that found no room in the map
	sources map[netip.Addr]*bucket
	swept   time.Time
	held    int
}

// bucket is a token bucket that starts full.
type bucket struct {
	used float64 // tokens taken and not yet given back
	last time.Time
}

// drain gives back what has accrued since the last visit.
func (b *bucket) drain(now time.Time, rate float64) {
	// A clock that is set back must not empty the bucket for good.
	if d := now.Sub(b.last); d > 0 {
		b.used = max(0, b.used-d.Seconds()*rate)
	}
	b.last = now
}

// SourceOf gives what limits count as one source: an IPv4 address, but the /64 of
// an IPv6 address, as whoever has one has all of them.
func SourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is never too long for IPv6
		return p.Addr()
	}
	return a
}

// Allow reports whether a line about source may be written now, and how many
// lines were held back since the last one that was.
func (t *Throttle) Allow(source netip.Addr, now time.Time) (held int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketOf(SourceOf(source), now)
	b.drain(now, t.SourceRate)
	t.total.drain(now, t.TotalRate)
	if b.used+1 > float64(t.SourceBurst) || t.total.used+1 > float64(t.TotalBurst) {
		t.held++
		return 0, false
	}
	b.used++
	t.total.used++
	held, t.held = t.held, 0
	return held, true
}

// bucketOf must be called with mu held.
func (t *Throttle) bucketOf(source netip.Addr, now time.Time) *bucket {
	if b := t.sources[source]; b != nil {
		return b
	}
	if len(t.sources) >= maxSources {
		// One sweep a second is enough: a flood of sources must not buy a walk
		// through the map with each packet.
		if now.Sub(t.swept) >= time.Second {
			t.swept = now
			for a, b := range t.sources {
				if b.drain(now, t.SourceRate); b.used == 0 {
					delete(t.sources, a)
				}
			}
		}
		if len(t.sources) >= maxSources {
			return &t.shared
		}
	}
	if t.sources == nil {
		t.sources = make(map[netip.Addr]*bucket)
	}
	b := &bucket{last: now}
	t.sources[source] = b
	return b
}
