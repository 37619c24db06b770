package dhcpd

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

const (
	// importGroup is how many leases are taken over in one write. Clients wait
	// for as long.
	importGroup = 500
	// importTime is the longest that another server's lease is held to, and how
	// long one without end is.
	importTime = 365 * 24 * time.Hour
)

// Outcome is what becomes of a lease that is imported, as a word for people.
type Outcome string

const (
	// Imported says that the lease is ours now, and durable.
	Imported Outcome = "imported"
	// Unchanged says that we know of it, or of a longer one of the same client.
	Unchanged Outcome = "unchanged"
	// LeftOut says that it cannot be ours.
	LeftOut Outcome = "left out"
)

// Verdict is an outcome and, where the lease was left out, its reason: a phrase
// that goes on after the address.
type Verdict struct {
	Outcome Outcome
	Reason  string
}

// Import takes over leases that another server has granted, and says for each
// what became of it. State is Leased, Released for one that has ended, or
// Declined; a zero Start is one that is not known, a zero Expiry none at all. An
// active lease of ours is never replaced by another client's, so a second import
// of the same leases changes none that runs. With dry set the first doesn't either.
func (s *Server) Import(ctx context.Context, leases []lease.Lease, dry bool) ([]Verdict, error) {
	order := make([]int, len(leases))
	for i := range order {
		order[i] = i
	}
	// Of two addresses of one client that which it has for longer is its own.
	end := func(l *lease.Lease) lease.Time {
		if l.Expiry == 0 {
			return math.MaxInt64
		}
		return l.Expiry
	}
	// A declined address is nobody's own any more, which may leave its client with
	// another one of this import: those come first.
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &leases[a], &leases[b]
		if x.State == lease.Declined || y.State == lease.Declined {
			return cmp.Compare(y.State, x.State)
		}
		return cmp.Or(cmp.Compare(x.State, y.State), cmp.Compare(end(y), end(x)))
	})
	verdicts := make([]Verdict, len(leases))
	in := importer{handler: &s.handler, claimed: map[claim]netip.Addr{}}
	for group := range slices.Chunk(order, importGroup) {
		var failed error
		err := s.do(ctx, func() {
			in.now = s.now()
			in.at = lease.TimeOf(in.now)
			for _, i := range group {
				theirs := leases[i]
				theirs.Start, theirs.Expiry = s.store.Time(theirs.Start), s.store.Time(theirs.Expiry)
				n, l, v := in.judge(theirs)
				verdicts[i] = v
				if v.Outcome == Imported && !dry {
					s.handler.table.Adopt(n.index, l)
				}
			}
			failed = s.commit()
		})
		if err == nil {
			err = failed // else the owner may be at it still
		}
		if err != nil {
			return nil, fmt.Errorf("importing leases: %w", err)
		}
	}
	return verdicts, nil
}

// Release ends the lease that a client has at an address, or the quarantine of
// an address that it has declined. It reports false where there is neither.
func (s *Server) Release(ctx context.Context, a netip.Addr, m mac.Addr) (bool, error) {
	found := false
	var failed error
	err := s.do(ctx, func() {
		now := s.now()
		if l := s.handler.table.At(a); l != nil && l.MAC == m && (l.Active(now) || quarantined(l, now)) {
			found = true
			s.handler.table.Release(a, now)
			s.checks.lift(a)
			failed = s.commit()
		}
	})
	if err == nil {
		err = failed // else the owner may be at it still
	}
	if err != nil {
		return false, fmt.Errorf("releasing %v: %w", a, err)
	}
	return found, nil
}

func quarantined(l *lease.Lease, now time.Time) bool {
	return l != nil && l.State == lease.Declined && lease.TimeOf(now) < l.Expiry
}

// do has the goroutine that owns the leases call f between two groups of
// packets. Where there is none, before and after Run, it calls f itself.
func (s *Server) do(ctx context.Context, f func()) error {
	if s.owner.TryLock() {
		defer s.owner.Unlock()
		f()
		return nil
	}
	done := make(chan struct{})
	select {
	case s.jobs <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.queue.nudge()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// importer judges the leases of one import, the longest first.
type importer struct {
	*handler
	now     time.Time
	at      lease.Time // the same
	claimed map[claim]netip.Addr
}

// claim is a client of a network that the import has given an address.
type claim struct {
	network string
	key     lease.Key
}

// judge says what is to become of a lease, and gives it as it is to be in the
// table of its network.
func (in *importer) judge(l lease.Lease) (*network, lease.Lease, Verdict) {
	i := slices.IndexFunc(in.plan.networks, func(n *network) bool { return n.Subnet.Contains(l.Addr) })
	if i < 0 {
		return nil, l, leftOut("lies in no network")
	}
	n := in.plan.networks[i]
	if why := in.notOurs(n, &l); why != "" {
		return n, l, Verdict{LeftOut, why}
	}
	l.HostName = hostLabel([]byte(l.HostName))
	l.VendorClass = l.VendorClass[:min(len(l.VendorClass), maxVendorClass)]
	longest := in.at.Add(importTime)
	if l.State == lease.Declined {
		longest = in.at.Add(declineTime)
	}
	endless := l.Expiry == 0 || l.Expiry > longest
	if endless {
		l.Expiry = longest
	}
	if l.Start == 0 {
		l.Start = l.Expiry.Add(-n.LeaseTime)
	}
	l.Start = min(l.Start, in.at)
	ours := in.table.At(l.Addr)
	var v Verdict
	switch {
	case l.State == lease.Declined:
		v = in.declined(&l, ours)
	case l.State == lease.Leased && in.at < l.Expiry:
		v = in.active(n, &l, ours, endless)
	default:
		v = in.ended(n, &l, ours)
	}
	l.Recorded = l.Expiry
	return n, l, v
}

func leftOut(format string, args ...any) Verdict {
	return Verdict{LeftOut, fmt.Sprintf(format, args...)}
}

// notOurs says why the client could not renew the lease here, "" where it can.
func (in *importer) notOurs(n *network, l *lease.Lease) string {
	owner, reserved := n.owners[l.Addr]
	switch {
	case in.own[l.Addr]:
		return "is an address of this machine"
	case reserved && owner != l.MAC:
		return fmt.Sprintf("is reserved for %v", owner)
	case reserved:
		return ""
	case slices.Contains(n.Routers, l.Addr):
		return "is a router's"
	case slices.Contains(n.Exclude, l.Addr):
		return "is excluded"
	case !in.table.Gives(n.index, l.Addr):
		return fmt.Sprintf("is outside of the ranges of network %s", n.Name)
	}
	return ""
}

// taken says that an address is somebody's now.
func (in *importer) taken(ours *lease.Lease) (why string, ok bool) {
	switch {
	case ours.Active(in.now):
		return fmt.Sprintf("is leased to %v until %v", ours.MAC, ours.Expiry), true
	case quarantined(ours, in.now):
		return fmt.Sprintf("is in use by an unknown device, and kept from everyone until %v", ours.Expiry), true
	}
	return "", false
}

// same reports whether two leases are one machine's. Not every server writes
// the client identifier down.
func same(a, b *lease.Lease) bool {
	return a.Key() == b.Key() || a.MAC == b.MAC && !a.MAC.IsZero()
}

func (in *importer) active(n *network, l, ours *lease.Lease, endless bool) Verdict {
	if ours.Active(in.now) && same(ours, l) {
		if endless || l.Expiry <= ours.Expiry {
			return Verdict{Outcome: Unchanged}
		}
		longer := *ours
		longer.Expiry = l.Expiry
		*l = longer
		return Verdict{Outcome: Imported}
	}
	return in.take(n, l, ours)
}

// ended judges a lease that is over: it is of use where its client comes back,
// and nobody else has had the address.
func (in *importer) ended(n *network, l, ours *lease.Lease) Verdict {
	if ours != nil && same(ours, l) {
		return Verdict{Outcome: Unchanged}
	}
	l.State = lease.Released
	l.Expiry = min(l.Expiry, in.at)
	return in.take(n, l, ours)
}

// take judges a lease of which nothing is known here.
func (in *importer) take(n *network, l, ours *lease.Lease) Verdict {
	if why, ok := in.taken(ours); ok {
		return Verdict{LeftOut, why}
	}
	if ours != nil && ours.Start >= l.Start {
		return leftOut("was leased to %v here since, until %v", ours.MAC, ours.Expiry)
	}
	k := l.Key()
	c := claim{n.Name, k}
	if a, ok := in.claimed[c]; ok {
		return leftOut("is of a client that has %v for longer", a)
	}
	last := in.table.Binding(n.index, k)
	if last != nil && last.Addr != l.Addr && (last.Active(in.now) || l.State == lease.Released) {
		return leftOut("is of a client that has %v here", last.Addr)
	}
	if !in.table.Free(l.Addr, k, in.now) {
		return leftOut("is offered to another client at the moment")
	}
	in.claimed[c] = l.Addr
	return Verdict{Outcome: Imported}
}

func (in *importer) declined(l, ours *lease.Lease) Verdict {
	switch {
	case quarantined(ours, in.now):
		return Verdict{Outcome: Unchanged}
	case ours.Active(in.now):
		why, _ := in.taken(ours)
		return Verdict{LeftOut, why}
	case in.at >= l.Expiry:
		return leftOut("was in use by an unknown device, until %v", l.Expiry)
	}
	return Verdict{Outcome: Imported}
}
