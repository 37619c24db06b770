package lease

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dialtone/internal/mac"
)

func office() Scope {
	return Scope{
		Subnet:   netip.MustParsePrefix("192.0.2.0/24"),
		Ranges:   []Range{{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.13")}, {netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("192.0.2.21")}},
		Excluded: map[netip.Addr]bool{netip.MustParseAddr("192.0.2.12"): true},
	}
}

func key(i int) Key { return Key{MAC: mac.Addr{0, 0, 0x5e, 0, 0x53, byte(i)}} }

// model is a table as one would write it on paper.
type model map[netip.Addr]*modelEntry

type modelEntry struct {
	offered Key
	until   time.Time
	holder  Key
	state   State // 0: never leased
	expiry  time.Time
}

func (e *modelEntry) release(now time.Time) {
	e.state = Released
	if now.Before(e.expiry) {
		e.expiry = now
	}
}

func (e *modelEntry) freeFor(k Key, now time.Time) bool {
	if now.Before(e.until) && e.offered != k {
		return false
	}
	if now.Before(e.expiry) && (e.state == Declined || e.state == Leased && e.holder != k) {
		return false
	}
	return true
}

func (e *modelEntry) freeAt() time.Time {
	if e.expiry.After(e.until) {
		return e.expiry
	}
	return e.until
}

// TestTableAgainstModel runs the table beside the model: what is free, what is
// given out next, and what a rollback leaves.
func TestTableAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scope := office()
		var addrs []netip.Addr
		want := model{}
		for _, s := range []string{"192.0.2.10", "192.0.2.11", "192.0.2.13", "192.0.2.20", "192.0.2.21"} {
			a := netip.MustParseAddr(s)
			addrs = append(addrs, a)
			want[a] = &modelEntry{}
		}
		table := NewTable(nil)
		table.Configure([]Scope{scope})
		now := start
		anAddr := func(t *rapid.T) netip.Addr { return rapid.SampledFrom(addrs).Draw(t, "addr") }
		aKey := func(t *rapid.T) Key { return key(rapid.IntRange(1, 7).Draw(t, "client")) }

		withdraw := func(k Key) {
			for _, e := range want {
				if e.offered == k {
					e.offered, e.until = Key{}, time.Time{}
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				a, k := anAddr(t), aKey(t)
				if !want[a].freeFor(k, now) {
					t.Skip()
				}
				table.Offer(0, a, k, Known, now, now.Add(time.Minute))
				withdraw(k)
				want[a].offered, want[a].until = k, now.Add(time.Minute)
			},
			"withdraw": func(t *rapid.T) {
				k := aKey(t)
				table.Withdraw(0, k)
				withdraw(k)
			},
			"bind": func(t *rapid.T) {
				a, k := anAddr(t), aKey(t)
				if !want[a].freeFor(k, now) {
					t.Skip()
				}
				d := time.Duration(rapid.IntRange(1, 120).Draw(t, "minutes")) * time.Minute
				table.Bind(0, Lease{Addr: a, MAC: k.MAC, Start: TimeOf(now), Expiry: TimeOf(now.Add(d))}, now.Add(2*d))
				withdraw(k)
				for other, e := range want {
					if other != a && e.state == Leased && e.holder == k {
						e.release(now)
					}
				}
				*want[a] = modelEntry{holder: k, state: Leased, expiry: now.Add(d)}
			},
			"release": func(t *rapid.T) {
				a := anAddr(t)
				table.Release(a, now)
				if e := want[a]; e.state == Leased || e.state == Declined {
					e.release(now)
				}
			},
			"adopt": func(t *rapid.T) {
				a, k := anAddr(t), aKey(t)
				if last := table.Binding(0, k); !want[a].freeFor(k, now) || last != nil && last.Addr != a {
					t.Skip()
				}
				l := Lease{
					Addr: a, MAC: k.MAC, Start: TimeOf(now), State: rapid.SampledFrom([]State{Leased, Released}).Draw(t, "state"),
					Expiry: TimeOf(now).Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "minutes")) * time.Minute),
				}
				if l.State == Released && l.Expiry > TimeOf(now) {
					l.Expiry = TimeOf(now)
				}
				table.Adopt(0, l)
				want[a].offered, want[a].until = Key{}, time.Time{}
				want[a].state, want[a].holder, want[a].expiry = l.State, k, l.Expiry.Time()
			},
			"decline": func(t *rapid.T) {
				a, k := anAddr(t), aKey(t)
				table.Decline(0, Lease{Addr: a, MAC: k.MAC, Start: TimeOf(now)}, now.Add(time.Hour))
				*want[a] = modelEntry{holder: k, state: Declined, expiry: now.Add(time.Hour)}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "minutes")) * time.Minute)
			},
			"commit": func(*rapid.T) {
				table.Commit(len(table.Pending()))
			},
			"reload": func(*rapid.T) {
				table.Commit(len(table.Pending()))
				table.Configure([]Scope{scope})
				for _, e := range want {
					e.offered, e.until = Key{}, time.Time{}
				}
			},
			"": func(t *rapid.T) {
				for a, e := range want {
					for i := range 8 {
						if got := table.Free(a, key(i), now); got != e.freeFor(key(i), now) {
							t.Fatalf("Free(%v, %v) = %v", a, key(i), got)
						}
					}
				}
				checkNext(t, table, want, now)
				u := Usage{Size: len(want)}
				for _, e := range want {
					switch {
					case e.state == Leased && now.Before(e.expiry):
						u.Leased++
					case e.state == Declined && now.Before(e.expiry):
						u.Declined++
					case now.Before(e.until):
						u.Offered++
					default:
						u.Free++
					}
				}
				if got := table.Usage(0, now); got != u {
					t.Fatalf("Usage = %+v, want %+v", got, u)
				}
			},
		})
	})
}

// checkNext compares Next with a search over the whole model.
func checkNext(t *rapid.T, table *Table, want model, now time.Time) {
	var fresh, used []netip.Addr
	for a, e := range want {
		switch {
		case e.freeAt().After(now):
		case e.state == 0:
			fresh = append(fresh, a)
		default:
			used = append(used, a)
		}
	}
	upcoming := table.Upcoming(nil, 0, now, 100)
	slices.SortFunc(upcoming, netip.Addr.Compare)
	all := slices.SortedFunc(slices.Values(slices.Concat(fresh, used)), netip.Addr.Compare)
	if !slices.Equal(upcoming, all) {
		t.Fatalf("Upcoming = %v, want %v in some order", upcoming, all)
	}
	got, ok := table.Next(0, now)
	if few := table.Upcoming(nil, 0, now, 1); ok && (len(few) != 1 || few[0] != got) {
		t.Fatalf("the first of Upcoming is %v, and Next is %v", few, got)
	}
	switch {
	case len(fresh)+len(used) == 0:
		if ok {
			t.Fatalf("Next = %v, where none is free", got)
		}
	case !ok:
		t.Fatalf("Next found none of %v %v", fresh, used)
	case len(fresh) > 0:
		if !slices.Contains(fresh, got) {
			t.Fatalf("Next = %v, want one of %v that was never leased", got, fresh)
		}
	default:
		oldest := slices.MinFunc(used, func(a, b netip.Addr) int {
			return cmp.Or(want[a].freeAt().Compare(want[b].freeAt()), a.Compare(b))
		})
		if got != oldest {
			t.Fatalf("Next = %v, want %v, which has been free the longest", got, oldest)
		}
	}
}

// TestRollback undoes what had to be written, and keeps what did not.
func TestRollback(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.11")
	bind := func(table *Table, addr netip.Addr, k int, at, expiry, horizon time.Duration) bool {
		return table.Bind(0, Lease{Addr: addr, MAC: key(k).MAC, Start: TimeOf(start).Add(at), Expiry: TimeOf(start).Add(expiry)}, start.Add(horizon))
	}
	for _, c := range []struct {
		name string
		do   func(*testing.T, *Table)
		want string // state of a and b, and where client 1 belongs
	}{
		{"nothing", func(*testing.T, *Table) {}, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
		{"renewal within the record", func(t *testing.T, table *Table) {
			if bind(table, a, 1, time.Minute, 90*time.Minute, 3*time.Hour) {
				t.Error("it waits for the disk")
			}
		}, "leased 1h30m0s, never, client 1 at 192.0.2.10"},
		{"renewal past the record", func(t *testing.T, table *Table) {
			if !bind(table, a, 1, time.Minute, 3*time.Hour, 4*time.Hour) {
				t.Error("it does not wait for the disk")
			}
		}, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
		{"renewal within a record that is not written yet", func(t *testing.T, table *Table) {
			bind(table, a, 1, time.Minute, 3*time.Hour, 6*time.Hour)
			if !bind(table, a, 1, time.Minute, 4*time.Hour, 8*time.Hour) {
				t.Error("it does not wait for the disk")
			}
		}, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
		{"renewal, then release", func(_ *testing.T, table *Table) {
			bind(table, a, 1, time.Minute, 90*time.Minute, 3*time.Hour)
			table.Release(a, start.Add(2*time.Minute))
		}, "leased 1h30m0s, never, client 1 at 192.0.2.10"},
		{"move", func(_ *testing.T, table *Table) { bind(table, b, 1, time.Minute, time.Hour, 2*time.Hour) }, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
		{"decline", func(_ *testing.T, table *Table) {
			table.Decline(0, Lease{Addr: a, MAC: key(1).MAC, Start: TimeOf(start)}, start.Add(24*time.Hour))
		}, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
		{"another takes it after the end", func(_ *testing.T, table *Table) { bind(table, a, 2, 2*time.Hour, 3*time.Hour, 4*time.Hour) }, "leased 1h0m0s, never, client 1 at 192.0.2.10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table := NewTable(nil)
			table.Configure([]Scope{office()})
			bind(table, a, 1, 0, time.Hour, 2*time.Hour)
			table.Commit(len(table.Pending()))
			c.do(t, table)
			table.Rollback(0)
			show := func(l *Lease) string {
				if l == nil {
					return "never"
				}
				return fmt.Sprint(l.State, " ", l.Expiry.Sub(TimeOf(start)))
			}
			got := fmt.Sprintf("%s, %s, client 1 at %v", show(table.At(a)), show(table.At(b)), table.Binding(0, key(1)).Addr)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if len(table.Pending()) != 0 {
				t.Error("changes are still pending")
			}
			if bind(table, a, 1, 0, 90*time.Minute, 2*time.Hour) {
				t.Error("a renewal within the record waits for the disk after the rollback")
			}
		})
	}
}

// TestCommitOfSome holds that changes which came after those that are durable
// are still waited for, and undone alone.
func TestCommitOfSome(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	addr := netip.MustParseAddr("192.0.2.10")
	table := NewTable(nil)
	table.Configure([]Scope{office()})
	bind := func(name string) (wait bool) {
		return table.Bind(0, Lease{Addr: addr, MAC: key(1).MAC, HostName: name, Start: TimeOf(start), Expiry: TimeOf(start).Add(time.Hour)}, start.Add(2*time.Hour))
	}
	bind("a")
	written := len(table.Pending())
	bind("b")
	table.Commit(written)
	if got := table.Pending(); len(got) != 1 || got[0].After.HostName != "b" {
		t.Errorf("pending: %+v", got)
	}
	if !bind("b") {
		t.Error("a renewal does not wait for a name that is not durable")
	}
	table.Rollback(0)
	if got := table.At(addr); got == nil || got.HostName != "a" {
		t.Errorf("after Rollback: %+v", got)
	}
	if bind("a") {
		t.Error("a renewal waits though nothing is pending")
	}
}

// TestRollbackEndsOffers holds that a lease whose end was not written is its
// client's again, although the address was offered to another meanwhile; that
// the client is known where it was before; and what a renewal then needs.
func TestRollbackEndsOffers(t *testing.T) {
	t.Parallel()
	first, second, third := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	table := NewTable(nil)
	table.Configure([]Scope{office()})
	bind := func(client int, a netip.Addr) (wait bool) {
		return table.Bind(0, Lease{Addr: a, MAC: key(client).MAC, Start: TimeOf(start), Expiry: TimeOf(start).Add(time.Hour)}, start.Add(2*time.Hour))
	}
	bind(1, first)
	bind(2, third)
	table.Release(third, start)
	table.Commit(len(table.Pending()))
	for _, written := range []int{0, 3} {
		bind(1, second)
		bind(2, netip.MustParseAddr("192.0.2.13"))
		table.Offer(0, first, key(3), Known, start, start.Add(time.Minute))
		if got := len(table.Pending()); got != 3 {
			t.Fatalf("%d changes", got)
		}
		table.Rollback(written)
		if !table.Free(first, key(1), start) || table.Free(first, key(3), start) {
			t.Error("the lease is not its client's again")
		}
		if l := table.Binding(0, key(2)); l == nil || l.Addr != third {
			t.Errorf("the second client is known at %+v", l)
		}
		if got := bind(1, first); got != (written > 0) {
			t.Errorf("%d changes may be in the store, and a renewal waits: %v", written, got)
		}
		table.Rollback(0)
		table.Sure()
		if bind(1, first) {
			t.Error("the store is sure, and a renewal waits")
		}
		table.Commit(len(table.Pending()))
	}
}

// TestNextIsFlat fills a large range: the cost of an address must not grow with
// those that are taken.
func TestNextIsFlat(t *testing.T) {
	t.Parallel()
	table := NewTable(nil)
	table.Configure([]Scope{{Subnet: netip.MustParsePrefix("10.0.0.0/8"), Ranges: []Range{{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.0.255.255")}}}})
	seen := map[netip.Addr]bool{}
	for i := 0; ; i++ {
		a, ok := table.Next(0, start)
		if !ok {
			break
		}
		if last := a.As4()[3]; seen[a] || last == 0 || last == 255 {
			t.Fatalf("address %v", a)
		}
		seen[a] = true
		table.Bind(0, Lease{Addr: a, MAC: mac.Addr{1, byte(i >> 16), byte(i >> 8), byte(i)}, Start: TimeOf(start), Expiry: TimeOf(start).Add(time.Hour)}, start.Add(time.Hour))
	}
	if want := 256 * 254; len(seen) != want {
		t.Errorf("%d addresses, want %d", len(seen), want)
	}
	if table.entries.n != len(seen) {
		t.Errorf("%d entries", table.entries.n)
	}
}
