package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dialtone/internal/mac"
)

// TestRoom holds the lines of offers to a list of them: how many there are of a
// standing, which is the oldest, and that their memory stays with them. A client
// of a higher standing takes the oldest offer of a lower one.
func TestRoom(t *testing.T) {
	t.Parallel()
	scope := Scope{Subnet: netip.MustParsePrefix("192.0.2.0/24"), Ranges: []Range{{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.73")}}}
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(nil)
		table.Configure([]Scope{scope})
		now := start
		offers := [Known]map[Key]time.Time{{}, {}}
		oldest := func(standing Standing) (k Key, at time.Time) {
			for key, s := range offers[standing] {
				if at.IsZero() || s.Before(at) {
					k, at = key, s
				}
			}
			return k, at
		}
		unknown := rapid.SampledFrom([]Standing{Stranger, Phone})
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"discover": func(t *rapid.T) {
				next++
				k := Key{MAC: mac.Addr{2, 0, 0, 0, byte(next >> 8), byte(next)}}
				standing := unknown.Draw(t, "standing")
				since := offers[standing]
				first, at := oldest(standing)
				full := len(since) >= 32
				want := !full || now.Sub(at) >= patience
				if got := table.Room(0, standing, now); got != want {
					t.Fatalf("Room = %v with %d offers, the oldest of %v", got, len(since), now.Sub(at))
				}
				if !want {
					return
				}
				if full {
					delete(since, first)
				}
				a, ok := table.Next(0, now)
				if !ok {
					t.Fatal("no address in spite of the quota")
				}
				table.Offer(0, a, k, standing, now, now.Add(time.Hour))
				since[k] = now
				now = now.Add(time.Millisecond) // so that there is one oldest
			},
			"again": func(t *rapid.T) {
				was, is := unknown.Draw(t, "was"), unknown.Draw(t, "is")
				if was != is && len(offers[is]) >= 32 {
					return
				}
				for k := range offers[was] {
					a, ok := table.Offered(0, k, now)
					if !ok {
						t.Fatalf("the offer to %v is gone", k)
					}
					table.Offer(0, a, k, is, now, now.Add(time.Hour))
					delete(offers[was], k)
					offers[is][k] = now
					now = now.Add(time.Millisecond)
					return
				}
			},
			"evict": func(t *rapid.T) {
				standing := rapid.SampledFrom([]Standing{Stranger, Phone, Known}).Draw(t, "standing")
				for s := range min(standing+1, Known) {
					k, at := oldest(s)
					if at.IsZero() || s == standing && now.Sub(at) < patience {
						continue
					}
					want, _ := table.Offered(0, k, now)
					if got, ok := table.Evict(0, standing, now); !ok || got != want {
						t.Fatalf("Evict gives %v, want %v", got, want)
					}
					delete(offers[s], k)
					return
				}
				if got, ok := table.Evict(0, standing, now); ok {
					t.Fatalf("Evict gives %v, want none", got)
				}
			},
			"withdraw": func(t *rapid.T) {
				since := offers[unknown.Draw(t, "standing")]
				for k := range since {
					table.Withdraw(0, k)
					delete(since, k)
					return
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 500).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) {
				for s, since := range offers {
					if l := &table.pools[0].lines[s]; l.n != len(since) || len(l.stands) > 2*len(since)+2*64 {
						t.Fatal(fmt.Sprintf("%d in the line, %d places, want %d", l.n, len(l.stands), len(since)))
					}
				}
			},
		})
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, last string
		want        int
	}{
		{"192.0.2.10", "192.0.2.19", 256},
		{"10.0.0.0", "10.0.3.255", 512},
		{"10.0.0.0", "10.255.255.255", maxStrangers},
	} {
		if got := quota([]Range{{netip.MustParseAddr(c.first), netip.MustParseAddr(c.last)}}); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.first, c.last, got, c.want)
		}
	}
}
