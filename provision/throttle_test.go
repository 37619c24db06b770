package provision

import (
	"net/netip"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	th := Throttle{SourceBurst: 2, SourceRate: 0.5, TotalBurst: 3, TotalRate: 1}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	start := time.Unix(1000, 0)
	for i, tt := range []struct {
		source netip.Addr
		at     time.Duration
		held   int
		ok     bool
	}{
		{a, 0, 0, true},
		{a, 0, 0, true},
		{a, 0, 0, false}, // a's own burst is used up
		{b, 0, 1, true},
		{b, 0, 0, false},              // that of all is
		{b, time.Second, 1, true},     // one came back to all, and b had one left
		{a, time.Second, 0, false},    // half a line
		{a, 2 * time.Second, 1, true}, // a whole one
		{b, time.Second, 0, false},    // the clock was set back
		{b, 4 * time.Second, 1, true}, // and goes on
		{b, time.Hour, 0, true},       // nothing is saved up
		{b, time.Hour, 0, true},       // beyond the burst
		{b, time.Hour, 0, false},
	} {
		held, ok := th.Allow(tt.source, start.Add(tt.at))
		if held != tt.held || ok != tt.ok {
			t.Errorf("%d: Allow = %d, %v, want %d, %v", i, held, ok, tt.held, tt.ok)
		}
	}
}

// A flood of sources takes no more memory, and leaves room for them later.
func TestThrottleManySources(t *testing.T) {
	t.Parallel()
	th := Throttle{SourceBurst: 1, SourceRate: 1, TotalBurst: 1 << 20, TotalRate: 1}
	now := time.Unix(1000, 0)
	passed := 0
	for i := range 10 * maxSources {
		if _, ok := th.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now); ok {
			passed++
		}
	}
	if len(th.sources) != maxSources || passed != maxSources+1 {
		t.Errorf("%d sources, %d lines, want %d and one more", len(th.sources), passed, maxSources)
	}
	th.Allow(netip.MustParseAddr("192.0.2.1"), now.Add(time.Minute))
	if len(th.sources) != 1 {
		t.Errorf("%d sources after a minute, want 1", len(th.sources))
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
		"fe80::1%eth0":         "fe80::",
	} {
		if got := SourceOf(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("SourceOf(%s) = %s, want %s", in, got, want)
		}
	}
}
