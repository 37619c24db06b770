package dhcpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// importOffice leases .10 to .99 but .50, and .5 to client 5.
func importOffice() Config {
	c := office()
	c.Networks[0].Exclude = []netip.Addr{netip.MustParseAddr("192.0.2.50")}
	c.Networks[0].Routers = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	c.Networks[0].Hosts = []Host{{MAC: testClient(5), Address: netip.MustParseAddr("192.0.2.5")}}
	return c
}

// foreign is another server's lease of a client: since and for so long.
func foreign(now time.Time, client int, last byte, state lease.State, since, rest time.Duration) lease.Lease {
	return lease.Lease{
		Addr: netip.AddrFrom4([4]byte{192, 0, 2, last}), MAC: testClient(client), State: state,
		Start: lease.TimeOf(now).Add(-since), Expiry: lease.TimeOf(now).Add(rest),
	}
}

// shown gives the verdicts a line each.
func shown(leases []lease.Lease, verdicts []Verdict) string {
	var b strings.Builder
	for i, v := range verdicts {
		fmt.Fprintf(&b, "%v %s\n", leases[i].Addr, reasonOr(v))
	}
	return b.String()
}

func reasonOr(v Verdict) string {
	if v.Outcome == LeftOut {
		return v.Reason
	}
	return string(v.Outcome)
}

func TestImport(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	const leased, ended, declined = lease.Leased, lease.Released, lease.Declined
	unknownStart := foreign(now, 1, 10, leased, 0, time.Hour)
	unknownStart.Start = 0
	endless := foreign(now, 1, 10, leased, time.Hour, 0)
	endless.Expiry = 0
	byID := foreign(now, 1, 10, leased, time.Hour, 2*time.Hour)
	byID.ClientID = "\x01id"
	elsewhere := foreign(now, 1, 10, leased, time.Hour, time.Hour)
	elsewhere.Addr = netip.MustParseAddr("198.51.100.10")
	for _, c := range []struct {
		name         string
		ours, theirs []lease.Lease
		want         string
	}{
		{
			"active", nil,
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Hour), foreign(now, 2, 11, leased, time.Hour, time.Hour)},
			"192.0.2.10 imported\n192.0.2.11 imported\n",
		},
		{"start unknown", nil, []lease.Lease{unknownStart}, "192.0.2.10 imported\n"},
		{"without end", nil, []lease.Lease{endless}, "192.0.2.10 imported\n"},
		{"not ours to give", nil, []lease.Lease{
			elsewhere,
			foreign(now, 2, 50, leased, time.Hour, time.Hour),
			foreign(now, 3, 100, leased, time.Hour, time.Hour),
			foreign(now, 4, 5, leased, time.Hour, time.Hour),
			foreign(now, 6, 1, leased, time.Hour, time.Hour),
		}, "198.51.100.10 lies in no network\n" +
			"192.0.2.50 is excluded\n" +
			"192.0.2.100 is outside of the ranges of network office\n" +
			"192.0.2.5 is reserved for 00:00:5e:00:53:05\n" +
			"192.0.2.1 is a router's\n"},
		{"reserved for the client", nil, []lease.Lease{foreign(now, 5, 5, leased, time.Hour, time.Hour)}, "192.0.2.5 imported\n"},
		{
			"another has it here",
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Minute)},
			[]lease.Lease{foreign(now, 2, 10, leased, 0, 24*time.Hour)},
			"192.0.2.10 is leased to 00:00:5e:00:53:01 until 2026-03-01T08:01:00Z\n",
		},
		{
			"another had it here since",
			[]lease.Lease{foreign(now, 1, 10, ended, time.Minute, -time.Second)},
			[]lease.Lease{foreign(now, 2, 10, leased, time.Hour, time.Hour)},
			"192.0.2.10 was leased to 00:00:5e:00:53:01 here since, until 2026-03-01T07:59:59Z\n",
		},
		{
			"another had it here before",
			[]lease.Lease{foreign(now, 1, 10, ended, 2*time.Hour, -time.Hour)},
			[]lease.Lease{foreign(now, 2, 10, leased, time.Minute, time.Hour)},
			"192.0.2.10 imported\n",
		},
		{
			"its client is elsewhere here",
			[]lease.Lease{foreign(now, 1, 11, leased, time.Hour, time.Minute)},
			[]lease.Lease{foreign(now, 1, 10, leased, 0, 24*time.Hour)},
			"192.0.2.10 is of a client that has 192.0.2.11 here\n",
		},
		{
			"its client was elsewhere here",
			[]lease.Lease{foreign(now, 1, 11, ended, 2*time.Hour, -time.Hour)},
			[]lease.Lease{foreign(now, 1, 10, leased, 0, 24*time.Hour)},
			"192.0.2.10 imported\n",
		},
		{"two of one client", nil, []lease.Lease{
			foreign(now, 1, 10, leased, time.Hour, time.Hour),
			foreign(now, 1, 11, leased, time.Hour, 2*time.Hour),
			foreign(now, 1, 12, ended, time.Hour, -time.Hour),
		}, "192.0.2.10 is of a client that has 192.0.2.11 for longer\n192.0.2.11 imported\n192.0.2.12 is of a client that has 192.0.2.11 for longer\n"},
		{
			"longer than ours",
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Minute)},
			[]lease.Lease{foreign(now, 1, 10, leased, 0, time.Hour)},
			"192.0.2.10 imported\n",
		},
		{
			"not longer than ours",
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Hour)},
			[]lease.Lease{foreign(now, 1, 10, leased, 0, time.Minute)},
			"192.0.2.10 unchanged\n",
		},
		{
			"ours knows the client identifier",
			[]lease.Lease{byID},
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Hour)},
			"192.0.2.10 unchanged\n",
		},
		{"ended", nil, []lease.Lease{
			foreign(now, 1, 10, ended, 2*time.Hour, -time.Hour),
			foreign(now, 2, 11, ended, 2*time.Hour, time.Hour),
			foreign(now, 3, 12, leased, 2*time.Hour, -time.Hour),
		}, "192.0.2.10 imported\n192.0.2.11 imported\n192.0.2.12 imported\n"},
		{
			"declined", nil,
			[]lease.Lease{foreign(now, 1, 10, declined, 2*time.Hour, time.Hour), foreign(now, 2, 11, declined, 2*time.Hour, -time.Hour), foreign(now, 3, 12, declined, time.Hour, 2400*time.Hour)},
			"192.0.2.10 imported\n192.0.2.11 was in use by an unknown device, until 2026-03-01T07:00:00Z\n192.0.2.12 imported\n",
		},
		{
			"declined there, leased here",
			[]lease.Lease{foreign(now, 1, 10, leased, time.Hour, time.Hour)},
			[]lease.Lease{foreign(now, 2, 10, declined, time.Hour, time.Hour)},
			"192.0.2.10 is leased to 00:00:5e:00:53:01 until 2026-03-01T09:00:00Z\n",
		},
		{
			"declined here, leased there",
			[]lease.Lease{foreign(now, 1, 10, declined, time.Hour, time.Hour)},
			[]lease.Lease{foreign(now, 2, 10, leased, time.Hour, time.Hour)},
			"192.0.2.10 is in use by an unknown device, and kept from everyone until 2026-03-01T09:00:00Z\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, store := newTestServer(t, importOffice(), io.Discard)
			s.now = func() time.Time { return now }
			if _, err := s.Import(t.Context(), c.ours, false); err != nil {
				t.Fatal(err)
			}
			before := store.View().Snapshot()
			run := func(dry bool) string {
				t.Helper()
				verdicts, err := s.Import(t.Context(), c.theirs, dry)
				if err != nil {
					t.Fatal(err)
				}
				return shown(c.theirs, verdicts)
			}
			if diff := cmp.Diff(c.want, run(true)); diff != "" {
				t.Errorf("dry (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, store.View().Snapshot(), byText); diff != "" {
				t.Errorf("a dry import changed something (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, run(false)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			after := store.View().Snapshot()
			now := now.Add(time.Second)
			s.now = func() time.Time { return now }
			if again := run(false); strings.Contains(again, "imported") {
				t.Errorf("a second import changes something:\n%s", again)
			}
			onDisk, err := store.Load()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(after, onDisk, byText, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("on the disk (-want +got):\n%s", diff)
			}
		})
	}
}

// byText compares what leases show of themselves: their times are of one
// second, the zones are not.
var byText = cmp.Transformer("text", func(l lease.Lease) string {
	return fmt.Sprint(l.Addr, l.MAC, l.State, l.ClientID, l.HostName, l.VendorClass, l.Start, l.Recorded)
})

// TestImportProperties imports anything into anything: nobody loses an active
// lease, no client comes to two, a second time changes nothing.
func TestImportProperties(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	leases := rapid.Custom(func(t *rapid.T) []lease.Lease {
		var out []lease.Lease
		// An address comes once in a file.
		for _, last := range rapid.SliceOfNDistinct(rapid.ByteRange(4, 16), 0, 8, rapid.ID).Draw(t, "addresses") {
			client := rapid.IntRange(1, 6).Draw(t, "client")
			l := foreign(now, client, last, rapid.SampledFrom([]lease.State{lease.Leased, lease.Leased, lease.Released, lease.Declined}).Draw(t, "state"),
				time.Duration(rapid.IntRange(0, 120).Draw(t, "since"))*time.Minute, time.Duration(rapid.IntRange(-60, 600).Draw(t, "rest"))*time.Minute)
			if rapid.Bool().Draw(t, "identified") {
				l.ClientID = string(rune('0' + client))
			}
			if rapid.IntRange(0, 5).Draw(t, "unknown") == 0 {
				l.Start, l.Expiry = 0, 0
			}
			out = append(out, l)
		}
		return out
	})
	// One server a run: a database for each example would take too long.
	store := openStore(t, false)
	rapid.Check(t, func(rt *rapid.T) {
		s, err := New(importOffice(), store, slog.New(slog.DiscardHandler))
		if err != nil {
			rt.Fatal(err)
		}
		s.now = func() time.Time { return now }
		s.store = forgetful{store}
		s.handler.table = lease.NewTable(nil)
		s.handler.configure(s.plan, nil)
		run := func(leases []lease.Lease) []Verdict {
			verdicts, err := s.Import(t.Context(), leases, false)
			if err != nil {
				rt.Fatal(err)
			}
			return verdicts
		}
		ours, theirs := leases.Draw(rt, "ours"), leases.Draw(rt, "theirs")
		run(ours)
		before := map[netip.Addr]*lease.Lease{}
		for last := range 256 {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(last)})
			before[a] = s.handler.table.At(a)
		}
		run(theirs)
		addresses := map[lease.Key]netip.Addr{}
		for a, was := range before {
			is := s.handler.table.At(a)
			if was.Active(now) && (!is.Active(now) || is.Key() != was.Key() || is.Expiry < was.Expiry) {
				rt.Errorf("%+v became %+v", was, is)
			}
			if !is.Active(now) {
				continue
			}
			if other, ok := addresses[is.Key()]; ok {
				rt.Errorf("%+v leases %v, too", is, other)
			}
			addresses[is.Key()] = a
		}
		for i, v := range run(theirs) {
			// One that is over may find its client without an address by now.
			over := theirs[i].State == lease.Released || theirs[i].Expiry != 0 && theirs[i].Expiry <= lease.TimeOf(now)
			if v.Outcome == Imported && !over {
				rt.Errorf("a second import takes %+v", theirs[i])
			}
		}
	})
}

// forgetful is a store that keeps nothing.
type forgetful struct{ journal }

func (forgetful) Write([]lease.Change) error { return nil }
func (forgetful) Publish([]lease.Change)     {}

// TestImportIsFit holds what is kept to what a client's own words become.
func TestImportIsFit(t *testing.T) {
	t.Parallel()
	s, store := newTestServer(t, importOffice(), io.Discard)
	now := time.Now()
	l := foreign(now, 1, 10, lease.Leased, -time.Hour, 9000*time.Hour)
	l.HostName, l.VendorClass = "Front_Desk.office.example", strings.Repeat("x", 255)
	if _, err := s.Import(t.Context(), []lease.Lease{l}, false); err != nil {
		t.Fatal(err)
	}
	got := store.View().Snapshot()[0]
	if got.HostName != "front-desk" || len(got.VendorClass) != maxVendorClass || got.Start > lease.TimeOf(time.Now()) || got.Expiry > lease.TimeOf(time.Now().Add(importTime)) {
		t.Errorf("%+v", got)
	}
}

// TestImportWhileServing takes leases over between two groups of packets: they
// are on the disk before the answer, and a client renews what it had.
func TestImportWhileServing(t *testing.T) {
	t.Parallel()
	s, store := newTestServer(t, importOffice(), io.Discard)
	held := &heldStore{store, make(chan chan error)}
	s.store = held
	w := start(t, s)
	now := time.Now()
	theirs := []lease.Lease{foreign(now, 1, 77, lease.Leased, time.Hour, time.Hour)}
	type answer struct {
		verdicts []Verdict
		err      error
	}
	imported := make(chan answer)
	do := func(ctx context.Context) {
		v, err := s.Import(ctx, theirs, false)
		imported <- answer{v, err}
	}

	go do(t.Context())
	(<-held.writes) <- errors.New("no space left on device")
	if a := <-imported; a.err == nil || !strings.HasPrefix(a.err.Error(), "importing leases: ") {
		t.Errorf("error: %v", a.err)
	}
	if len(store.View().Snapshot()) != 0 {
		t.Error("a lease is seen that was not written")
	}

	go do(t.Context())
	result := <-held.writes
	select {
	case <-imported:
		t.Error("the answer came before the write had ended")
	default:
	}
	// Whoever does not wait for its answer is not waited for.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	go do(gone)
	if a := <-imported; !errors.Is(a.err, context.Canceled) {
		t.Errorf("error: %v", a.err)
	}
	result <- nil
	if a := <-imported; a.err != nil || a.verdicts[0].Outcome != Imported {
		t.Errorf("%+v", a)
	}
	if m, _, _ := store.View().Client(theirs[0].Addr); m != testClient(1) {
		t.Error("the lease is not seen")
	}

	w.in <- from(1, dhcpv4.MessageTypeDiscover)
	r := w.next(t)
	if got := netip.AddrFrom4([4]byte(r.payload[offYIAddr:])); r.kind() != dhcpv4.MessageTypeOffer || got != theirs[0].Addr {
		t.Errorf("%v of %v", r.kind(), got)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	s, store := newTestServer(t, importOffice(), io.Discard)
	now := time.Now()
	theirs := []lease.Lease{
		foreign(now, 1, 10, lease.Leased, time.Hour, time.Hour),
		foreign(now, 2, 11, lease.Declined, time.Hour, time.Hour),
		foreign(now, 3, 12, lease.Released, time.Hour, -time.Hour),
	}
	if _, err := s.Import(t.Context(), theirs, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l    int
		m    mac.Addr
		want bool
	}{
		{0, testClient(2), false}, // another's by now
		{0, testClient(1), true},
		{0, testClient(1), false}, // over already
		{1, testClient(2), true},
		{2, testClient(3), false},
	} {
		got, err := s.Release(t.Context(), theirs[c.l].Addr, c.m)
		if err != nil || got != c.want {
			t.Errorf("%v of %v: %v, %v", theirs[c.l].Addr, c.m, got, err)
		}
	}
	for _, l := range store.View().Snapshot() {
		if l.State != lease.Released {
			t.Errorf("%v is %v", l.Addr, l.State)
		}
	}
}
