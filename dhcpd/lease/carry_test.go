package lease

import (
	"net/netip"
	"testing"
	"time"

	"dialtone/internal/mac"
)

// TestCarry has a phone renew past its record, beside other leases of all kinds,
// and holds what that writes of them.
func TestCarry(t *testing.T) {
	t.Parallel()
	const ahead = 2 * time.Hour
	at := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
	client := func(i byte) Key { return Key{MAC: mac.Addr{0, 0, 0x5e, 0, 0x53, i}} }
	hours := func(n float64) time.Time { return start.Add(time.Duration(n * float64(time.Hour))) }
	lease := func(i byte, from, to float64) Lease {
		return Lease{Addr: at(i), MAC: client(i).MAC, State: Leased, Start: TimeOf(hours(from)), Expiry: TimeOf(hours(to))}
	}
	scope := func(first, last byte) Scope {
		return Scope{Subnet: netip.PrefixFrom(at(first), 29).Masked(), Ranges: []Range{{at(first), at(last)}}}
	}
	// As another run of the program left it: nobody knows whether its client is still
	// there.
	before := lease(33, -1, 3)
	before.Recorded = before.Expiry
	table := NewTable([]Lease{before})
	table.Configure([]Scope{scope(33, 38), scope(40, 46)})
	bind := func(network int, i byte, from, to float64) {
		l := lease(i, from, to)
		table.Bind(network, l, l.Expiry.Add(ahead).Time())
	}
	bind(0, 34, 0, 2)                            // it renews
	bind(0, 35, 0, 2)                            // beside it, and has renewed without a write
	table.Bind(0, lease(36, 0, 1.5), hours(1.5)) // has ended
	table.BindClaim(0, lease(37, 0, 2), hours(2), hours(3))
	bind(0, 38, 0, 2)
	table.Decline(0, Lease{Addr: at(38), MAC: client(38).MAC, Start: TimeOf(start)}, hours(24))
	bind(1, 40, 0, 2) // of another network
	table.Commit(len(table.Pending()))
	bind(0, 35, 1, 3)
	bind(1, 40, 1, 3)
	if n := len(table.Pending()); n != 2 || table.Pending()[0].Write || table.Pending()[1].Write {
		t.Fatalf("%d renewals within the record, written", n)
	}
	table.Commit(2)

	renew := func() (carried []Change) {
		t.Helper()
		bind(0, 34, 1.9, 4.1)
		changes := table.Pending()
		if len(changes) != 2 || !changes[0].Write || changes[0].After.Addr != at(34) {
			t.Fatalf("%+v", changes)
		}
		return changes[1:]
	}
	want := lease(35, 0, 3)
	want.Recorded = want.Expiry.Add(ahead)
	if c := renew()[0]; !c.Write || *c.After != want {
		t.Errorf("carried: %+v, want %+v", *c.After, want)
	}
	table.Rollback(0)
	if l := table.At(at(35)); l.Recorded != TimeOf(hours(4)) {
		t.Errorf("the write has failed, and %v is recorded", l.Recorded)
	}
	renew()
	if !table.Bind(0, lease(35, 2, 5), hours(7)) {
		t.Error("a renewal within a record that is not durable does not wait")
	}
	table.Commit(len(table.Pending()))
	if table.Bind(0, lease(35, 2, 5), hours(7)) {
		t.Error("a renewal within the carried record waits")
	}
	table.Commit(len(table.Pending()))
	bind(0, 34, 3.9, 6.25)
	if n := len(table.Pending()); n != 2 {
		t.Errorf("%d changes, where the record of the other is used up", n)
	}
	table.Commit(len(table.Pending()))
	again := lease(34, 4, 6.25)
	again.HostName = "lobby"
	table.Bind(0, again, hours(8.25))
	if n := len(table.Pending()); n != 1 {
		t.Errorf("%d changes, where the record of the other has just been made longer", n)
	}
	table.Commit(1)
	table.Configure([]Scope{scope(33, 38), scope(40, 46)})
	bind(0, 34, 6.1, 8.3)
	if n := len(table.Pending()); n != 1 {
		t.Errorf("%d changes, where the lease of the other has ended", n)
	}
}
