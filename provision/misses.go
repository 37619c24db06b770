package provision

import (
	"net/netip"
	"sync"
	"time"
)

// How many requests for what is another's a source may make. A phone that asks for
// what is its own is never counted, and never asked whether its source is shut out.
const (
	freeMisses = 8  // are answered at once: a person who looks, a phone whose lease ran out
	maxMisses  = 32 // until then each is answered slowly, after it the source is shut out
	// A miss is forgotten after a while.
	missForgotten = 30 * time.Second
	missSlow      = time.Second
	shutOut       = 10 * time.Minute
	// maxSlow bounds how many answers wait at a time; more are shut out at once.
	maxSlow = 64
)

// misses counts them, by source, in bounded memory.
type misses struct {
	mu      sync.Mutex
	sources map[netip.Addr]*missing
	shared  missing // of the sources that found no room in the map
	swept   time.Time
	slow    int
}

type missing struct {
	bucket
	until time.Time // shut out
}

// verdict is what becomes of a miss.
type verdict int

const (
	answered verdict = iota
	slowed           // the caller waits for missSlow, then calls waited
	shut             // from now on
	stillShut
)

// shut is about a time that may have been set back: nobody is shut out for longer
// than shutOut.
func (s *missing) shut(now time.Time) bool {
	left := s.until.Sub(now)
	return 0 < left && left <= shutOut
}

// miss counts one.
func (m *misses) miss(source netip.Addr, now time.Time) verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.of(SourceOf(source), now)
	if s.shut(now) {
		return stillShut
	}
	s.drain(now, 1/missForgotten.Seconds())
	s.used++
	switch {
	case s.used <= freeMisses:
		return answered
	case s.used <= maxMisses && m.slow < maxSlow:
		m.slow++
		return slowed
	}
	s.until = now.Add(shutOut)
	s.used = 0
	return shut
}

// barred reports whether a source is shut out, and counts nothing.
func (m *misses) barred(source netip.Addr, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sources[SourceOf(source)]
	if s == nil && len(m.sources) >= maxSources {
		s = &m.shared
	}
	return s != nil && s.shut(now)
}

// waited says that a slow answer is on its way.
func (m *misses) waited() {
	m.mu.Lock()
	m.slow--
	m.mu.Unlock()
}

// of must be called with mu held.
func (m *misses) of(source netip.Addr, now time.Time) *missing {
	if s := m.sources[source]; s != nil {
		return s
	}
	if len(m.sources) >= maxSources && now.Sub(m.swept).Abs() >= time.Second {
		m.swept = now
		for a, s := range m.sources {
			if s.drain(now, 1/missForgotten.Seconds()); s.used == 0 && !s.shut(now) {
				delete(m.sources, a)
			}
		}
	}
	if len(m.sources) >= maxSources {
		return &m.shared
	}
	if m.sources == nil {
		m.sources = make(map[netip.Addr]*missing)
	}
	s := &missing{bucket: bucket{last: now}}
	m.sources[source] = s
	return s
}
