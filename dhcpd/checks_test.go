package dhcpd

import (
	"net/netip"
	"testing"
	"time"

	"dialtone/internal/mac"
)

var (
	checkStart = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	someAddr   = netip.MustParseAddr("192.0.2.10")
)

func newTestChecks() *checks {
	c := newChecks()
	c.reaches = func(netip.Addr, time.Time) bool { return true }
	return c
}

func (c *checks) at(t *testing.T, a netip.Addr, now time.Time, want finding, by mac.Addr) {
	t.Helper()
	if f, m := c.finding(a, now); f != want || m != by {
		t.Errorf("after %v: %v is %v by %v, want %v by %v", now.Sub(checkStart), a, f, m, want, by)
	}
}

// TestCheckClean follows an address that nobody answers for.
func TestCheckClean(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	c.at(t, someAddr, now, findingUnknown, mac.Addr{})
	first, second := &packet{}, &packet{}
	c.begin(someAddr, now.Add(aheadPatience), time.Minute)
	if before := c.park(someAddr, first, now); before != nil {
		t.Error("somebody waited before the first")
	}
	if before := c.park(someAddr, second, now.Add(time.Millisecond)); before != first || c.parked != 1 {
		t.Errorf("%d are parked", c.parked)
	}
	if at, ok := c.next(); !ok || !at.Equal(now.Add(patience)) {
		t.Errorf("the probe ends at %v: a client waits longer than it has to", at.Sub(now))
	}
	if ready := c.expire(nil, now.Add(patience-1)); len(ready) != 0 {
		t.Error("too early")
	}
	now = now.Add(patience)
	if ready := c.expire(nil, now); len(ready) != 1 || ready[0] != second || c.parked != 0 {
		t.Errorf("%d are ready, %d parked", len(ready), c.parked)
	}
	c.at(t, someAddr, now, findingClean, mac.Addr{})
	c.at(t, someAddr, now.Add(time.Minute-1), findingClean, mac.Addr{})
	c.at(t, someAddr, now.Add(time.Minute), findingUnknown, mac.Addr{})

	// While it is renewed the old finding stands.
	c.begin(someAddr, now.Add(aheadPatience), time.Minute)
	c.at(t, someAddr, now, findingClean, mac.Addr{})
	c.expire(nil, now.Add(aheadPatience))
	c.at(t, someAddr, now.Add(time.Minute), findingClean, mac.Addr{})

	// Somebody who speaks unasked makes it unknown, and no more: to speak costs
	// nothing.
	if waited, conflict := c.answered(someAddr, testClient(9), now); waited != nil || conflict {
		t.Error("a conflict that nobody asked for")
	}
	c.at(t, someAddr, now, findingUnknown, mac.Addr{})
	c.forget(now.Add(time.Hour))
	if len(c.known)+len(c.asking) != 0 {
		t.Errorf("%d are remembered", len(c.known))
	}
}

func TestCheckTaken(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	p := &packet{}
	c.begin(someAddr, now.Add(patience), time.Minute)
	c.park(someAddr, p, now)
	waited, conflict := c.answered(someAddr, testClient(9), now)
	if waited != p || !conflict || c.parked != 0 {
		t.Errorf("%v %v", waited, conflict)
	}
	if _, again := c.answered(someAddr, testClient(8), now); again {
		t.Error("the second answer counts")
	}
	if len(c.expire(nil, now.Add(time.Hour))) != 0 {
		t.Error("a probe that was answered ends again")
	}
	c.at(t, someAddr, now.Add(declineTime-1), findingTaken, testClient(9))
	c.at(t, someAddr, now.Add(declineTime), findingUnknown, mac.Addr{})
}

// TestCheckCutOff holds that no more than a few clients wait, at a time and in
// a second, and none while packets queue up or where nobody can be asked.
func TestCheckCutOff(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	next := 0
	waits := func() bool {
		next++
		a := netip.AddrFrom4([4]byte{10, 0, byte(next >> 8), byte(next)})
		f, _ := c.finding(a, now)
		if f == findingUnknown {
			c.begin(a, now.Add(patience), time.Minute)
			c.park(a, &packet{}, now)
		}
		return f == findingUnknown
	}
	count := func(n int) (waiting int) {
		for range n {
			if waits() {
				waiting++
			}
		}
		return waiting
	}
	if n := count(1000); n != maxParked {
		t.Errorf("%d wait, want %d", n, maxParked)
	}
	now = now.Add(patience)
	c.expire(nil, now)
	if n, want := count(1000), int(demandRate*patience.Seconds()); n != want {
		t.Errorf("%d more wait after %v, want %d", n, patience, want)
	}
	now = now.Add(time.Hour)
	c.expire(nil, now)
	c.busy = true
	if count(10) != 0 {
		t.Error("clients wait while packets queue up")
	}
	c.busy = false
	c.reaches = func(netip.Addr, time.Time) bool { return false }
	if count(10) != 0 {
		t.Error("clients wait where nobody can be asked")
	}
	c.reaches = func(netip.Addr, time.Time) bool { return true }
	if n := count(1000); n != maxParked {
		t.Errorf("%d wait, want %d", n, maxParked)
	}
	c.forget(now.Add(time.Minute))
	if n := len(c.known); n != maxParked {
		t.Errorf("%d are remembered, and %d asked for", n, maxParked)
	}
}

// TestCheckProxy holds that one machine cannot keep the whole pool from clients.
func TestCheckProxy(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	for i := range maxPerMachine {
		if !c.believes(testClient(9)) {
			t.Fatalf("not believed after %d answers", i)
		}
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		c.begin(a, now.Add(patience), time.Minute)
		c.answered(a, testClient(9), now)
	}
	if c.believes(testClient(9)) {
		t.Error("believed for ever")
	}
	if !c.believes(testClient(8)) || !c.believes(mac.Addr{}) {
		t.Error("others are not believed")
	}
}

// TestCheckManyMachines holds that many machines, or one by many names, cannot
// either, nor fill the memory with what they say.
func TestCheckManyMachines(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	for i := range maxSaidTaken {
		if i%1000 == 0 && (!c.believes(testClient(9)) || !c.believes(mac.Addr{})) {
			t.Fatalf("not believed after %d answers", i)
		}
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		c.begin(a, now.Add(patience), time.Minute)
		c.answered(a, mac.Addr{2, 0, 0, 0, byte(i >> 8), byte(i)}, now)
	}
	if c.believes(testClient(9)) || c.believes(mac.Addr{}) {
		t.Error("believed for ever")
	}
	c.forget(now.Add(declineTime))
	if !c.believes(testClient(9)) {
		t.Error("disbelieved for ever")
	}
}

// TestCheckLift holds that a lease ends what a probe has shown, or was about to.
func TestCheckLift(t *testing.T) {
	t.Parallel()
	c, now := newTestChecks(), checkStart
	c.begin(someAddr, now.Add(patience), time.Minute)
	c.lift(someAddr)
	// The client announces itself.
	if _, conflict := c.answered(someAddr, testClient(1), now); conflict {
		t.Error("the client is its own conflict")
	}
	c.begin(someAddr, now.Add(patience), time.Minute)
	c.answered(someAddr, testClient(9), now)
	c.lift(someAddr)
	c.at(t, someAddr, now, findingUnknown, mac.Addr{})
}
