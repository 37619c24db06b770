package provision

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	p := NewPace(1000, nil)
	now := time.Unix(1_700_000_000, 0)
	for i, want := range []time.Duration{0, 500 * time.Millisecond, time.Second} {
		if got := p.Take(now, 500); got != want {
			t.Errorf("taking 500 octets for the %d. time: wait %s, want %s", i+1, got, want)
		}
	}
	// What nobody took is not saved up.
	now = now.Add(time.Hour)
	for _, want := range []time.Duration{0, time.Second} {
		if got := p.Take(now, 1000); got != want {
			t.Errorf("an hour later: wait %s, want %s", got, want)
		}
	}
}
