package lease

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLimits has clients come and go in a network of 20 addresses, of which the
// table keeps 5 at most, and prefers those that it has from 3 on. It holds that
// what the table has in the memory says something, that no address is lost, that a
// lease is kept until somebody else has the address, and what Next gives.
func TestLimits(t *testing.T) {
	t.Parallel()
	scope := Scope{
		Subnet: netip.MustParsePrefix("192.0.2.0/24"),
		Ranges: []Range{
			{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.109")},
			{netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("192.0.2.30")},
		},
		Excluded: map[netip.Addr]bool{netip.MustParseAddr("192.0.2.25"): true},
	}
	var all []netip.Addr
	for _, r := range scope.Ranges {
		for a := r.First; a.Compare(r.Last) <= 0; a = a.Next() {
			if !scope.Excluded[a] {
				all = append(all, a)
			}
		}
	}
	type holder struct {
		client Key
		state  State
	}
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(nil)
		table.limits = limits{plenty: 3, most: 5}
		table.Configure([]Scope{scope})
		p, now := table.pools[0], start
		committed, leases := map[netip.Addr]holder{}, map[netip.Addr]holder{}
		aKey := func(t *rapid.T) Key { return key(rapid.IntRange(1, 25).Draw(t, "client")) }
		anAddr := func(t *rapid.T) netip.Addr { return rapid.SampledFrom(all).Draw(t, "address") }
		bind := func(t *rapid.T, a netip.Addr, k Key) {
			d := time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute
			table.Bind(0, Lease{Addr: a, MAC: k.MAC, Start: TimeOf(now), Expiry: TimeOf(now).Add(d)}, now.Add(d))
			for other, l := range leases {
				if l.client == k && l.state == Leased {
					leases[other] = holder{k, Released}
				}
			}
			leases[a] = holder{k, Leased}
		}
		t.Repeat(map[string]func(*rapid.T){
			"discover": func(t *rapid.T) {
				k, standing := aKey(t), rapid.SampledFrom([]Standing{Stranger, Phone, Known}).Draw(t, "standing")
				a := anAddr(t)
				if !rapid.Bool().Draw(t, "wish") || !table.Grants(0, a) || !table.Free(a, k, now) {
					var ok bool
					if a, ok = table.Next(0, now); !ok {
						if a, ok = table.Evict(0, standing, now); !ok {
							return
						}
					}
				}
				table.Offer(0, a, k, standing, now, now.Add(time.Minute))
				if got, ok := table.Offered(0, k, now); !ok || got != a {
					t.Fatalf("offered %v, %v", got, ok)
				}
			},
			"take": func(t *rapid.T) {
				k := aKey(t)
				if a, ok := table.Offered(0, k, now); ok && table.Free(a, k, now) {
					bind(t, a, k)
				}
			},
			"claim": func(t *rapid.T) {
				if a, k := anAddr(t), aKey(t); table.Grants(0, a) && table.Free(a, k, now) {
					bind(t, a, k)
				}
			},
			"again": func(t *rapid.T) {
				k := aKey(t)
				if l := table.Binding(0, k); l != nil && table.Free(l.Addr, k, now) {
					bind(t, l.Addr, k)
				}
			},
			"release": func(t *rapid.T) {
				a := anAddr(t)
				table.Release(a, now)
				if l, ok := leases[a]; ok {
					leases[a] = holder{l.client, Released}
				}
			},
			"decline": func(t *rapid.T) {
				k := aKey(t)
				if a, ok := table.Offered(0, k, now); ok {
					table.Decline(0, Lease{Addr: a, MAC: k.MAC, Start: TimeOf(now)}, now.Add(time.Hour))
					leases[a] = holder{k, Declined}
				}
			},
			"withdraw": func(t *rapid.T) { table.Withdraw(0, aKey(t)) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "seconds")) * time.Second)
			},
			"commit": func(*rapid.T) {
				table.Commit(len(table.Pending()))
				committed = maps.Clone(leases)
			},
			"rollback": func(*rapid.T) {
				table.Rollback(0)
				leases = maps.Clone(committed)
			},
			"reload": func(*rapid.T) {
				table.Commit(len(table.Pending()))
				committed = maps.Clone(leases)
				table.Configure([]Scope{scope})
				p = table.pools[0]
			},
			"": func(t *rapid.T) {
				n := 0
				for e := range table.entries.all {
					n++
					if e.offer == nil && e.lease == nil && p.ahead(e.addr()) {
						t.Fatalf("%v is kept for nothing", e.addr())
					}
					if q := p.queue(e.in); q == nil || q.entries[e.index] != e {
						t.Fatalf("%v is not where it should be", e.addr())
					}
				}
				if n != table.entries.n || n != p.records() || n > 5 {
					t.Fatalf("%d records, counted as %d and %d", n, table.entries.n, p.records())
				}
				free := func(q *queue) (list []netip.Addr) {
					for _, e := range q.entries {
						if e.freeAt() <= TimeOf(now) {
							list = append(list, e.addr())
						}
					}
					return list
				}
				var fresh []netip.Addr
				for _, a := range all {
					e := table.entry(a)
					if e == nil {
						fresh = append(fresh, a)
						if !p.ahead(a) {
							t.Fatalf("%v is lost", a)
						}
					}
					var got holder
					if e != nil && e.lease != nil {
						got = holder{e.lease.Key(), e.lease.State}
					}
					if got != leases[a] {
						t.Fatalf("%v is %v, want %v", a, got, leases[a])
					}
					if want := e != nil || n < 3; table.Grants(0, a) != want {
						t.Fatalf("Grants(%v) = %v with %d records", a, !want, n)
					}
				}
				choices := [][]netip.Addr{free(&p.tried), fresh, free(&p.used)}
				if n >= 3 {
					choices[1], choices[2] = choices[2], choices[1]
					if n == 5 {
						choices[2] = nil
					}
				}
				got, ok := table.Next(0, now)
				if few := table.Upcoming(nil, 0, now, 1); ok != (len(few) == 1) || ok && few[0] != got {
					t.Fatalf("Next is %v, %v, and the first of Upcoming %v", got, ok, few)
				}
				for _, c := range choices {
					if len(c) > 0 {
						if !ok || !slices.Contains(c, got) {
							t.Fatalf("Next = %v, %v; want one of %v", got, ok, c)
						}
						return
					}
				}
				if ok {
					t.Fatalf("Next = %v, where there is none", got)
				}
			},
		})
	})
}
