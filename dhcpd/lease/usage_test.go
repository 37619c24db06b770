package lease

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSize counts what ranges give out one address at a time.
func TestSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 0, 0}), rapid.IntRange(20, 30).Draw(t, "bits"))
		number := 1 << (32 - subnet.Bits())
		at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}) }
		s := Scope{Subnet: subnet, Excluded: map[netip.Addr]bool{}}
		for first := 0; first < number && len(s.Ranges) < 3; {
			first += rapid.IntRange(0, number-1-first).Draw(t, "first")
			last := rapid.IntRange(first, number-1).Draw(t, "last")
			s.Ranges = append(s.Ranges, Range{at(first), at(last)})
			first = last + 1
		}
		for range rapid.IntRange(0, 8).Draw(t, "excluded") {
			s.Excluded[at(rapid.IntRange(0, number+5).Draw(t, "out"))] = true
		}
		p := pool{Scope: s}
		want := 0
		for i := range number {
			if p.gives(at(i)) {
				want++
			}
		}
		if got := s.size(); got != want {
			t.Fatalf("%v without %v in %v: %d, want %d", s.Ranges, s.Excluded, subnet, got, want)
		}
	})
}

// TestUsageEnds has leases that end in the middle of a second, after a jump of
// the clock and before the table was configured.
func TestUsageEnds(t *testing.T) {
	t.Parallel()
	old := Lease{Addr: netip.MustParseAddr("192.0.2.13"), MAC: key(3).MAC, State: Leased, Expiry: TimeOf(start).Add(-time.Hour)}
	out := Lease{Addr: netip.MustParseAddr("192.0.2.99"), MAC: key(4).MAC, State: Declined, Expiry: TimeOf(start).Add(time.Hour)}
	table := NewTable([]Lease{old, out})
	table.Configure([]Scope{office()})
	table.Bind(0, Lease{Addr: netip.MustParseAddr("192.0.2.10"), MAC: key(1).MAC, Start: TimeOf(start), Expiry: TimeOf(start).Add(1500 * time.Millisecond)}, start)
	table.Bind(0, Lease{Addr: netip.MustParseAddr("192.0.2.11"), MAC: key(2).MAC, Start: TimeOf(start), Expiry: TimeOf(start).Add(10 * time.Second)}, start)
	for _, c := range []struct {
		after        time.Duration
		leased, rest int
	}{{0, 2, 1}, {time.Second, 2, 1}, {2 * time.Second, 1, 1}, {9 * time.Second, 1, 1}, {10 * time.Second, 0, 1}, {240 * time.Hour, 0, 0}} {
		want := Usage{Size: 5, Leased: c.leased, Free: 5 - c.leased, ReservedDeclined: c.rest}
		if got := table.Usage(0, start.Add(c.after)); got != want {
			t.Errorf("after %v: %+v, want %+v", c.after, got, want)
		}
	}
}
