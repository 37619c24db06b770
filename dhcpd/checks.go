package dhcpd

import (
	"net/netip"
	"time"

	"dialtone/internal/mac"
)

const (
	// patience is how long a client waits until an address that nobody answers
	// for is taken to be free. A machine on the wire answers within
	// milliseconds, one that saves power within a beacon or two.
	patience = 160 * time.Millisecond
	// aheadPatience is the same where nobody waits.
	aheadPatience = 400 * time.Millisecond
	// maxParked is how many clients wait for a probe at a time, and demandRate
	// how many may begin to in a second: above that an address is offered
	// unprobed, since a slow office is a sure harm and a conflict an unlikely one.
	maxParked  = 16
	demandRate = 20
	// busyGroup is how many packets in one group mean that there is no time.
	busyGroup = 32
	// probeAfter is how long an address may have been without a client before it
	// is probed again.
	probeAfter = time.Hour
	// maxPerMachine is how many addresses one machine may keep from clients. A
	// router that answers ARP for others would have them all.
	maxPerMachine = 16
	// maxSaidTaken is how many addresses may be kept from clients because somebody
	// says that they are in use: as many as no office has. Each is remembered for a
	// day, and each answer is held against those before.
	maxSaidTaken = 4096
	// maxConflicts bounds the work that one message makes.
	maxConflicts = 64
)

// finding is what is known of an address that nobody leases.
type finding uint8

const (
	// findingUnknown: the wire has to be asked.
	findingUnknown finding = iota
	findingClean
	// findingTaken: a machine that has no lease of it answers for it.
	findingTaken
	// findingSkip: there is no time to ask, or no way.
	findingSkip
)

func (v finding) String() string {
	return [...]string{"unknown", "clean", "taken", "skip"}[v]
}

// knowledge is what the handler is told of addresses.
type knowledge interface {
	// finding gives what is known now, and which machine has a taken address:
	// the zero MAC where that is not known.
	finding(a netip.Addr, now time.Time) (v finding, by mac.Addr)
}

// checks remembers what the probes of addresses have shown, and who waits for
// them. The goroutine that answers owns it.
type checks struct {
	known  map[netip.Addr]*check
	asking map[netip.Addr]*check // the part of known that is being asked for
	// soonest is not after the end of any probe. Each group of packets looks at
	// it, not at them all.
	soonest time.Time
	parked  int     // packets that wait
	busy    bool    // packets queue up
	tokens  float64 // of demandRate
	filled  time.Time
	// reaches reports whether there is a way to ask for an address.
	reaches func(a netip.Addr, now time.Time) bool
}

// check is what is known of one address.
type check struct {
	finding finding
	by      mac.Addr
	until   time.Time     // when the finding is no longer to be trusted
	keep    time.Duration // how long the next one is
	ends    time.Time     // of the probe that is on its way
	waits   *packet       // whose offer depends on that
}

func newChecks() *checks {
	return &checks{known: map[netip.Addr]*check{}, asking: map[netip.Addr]*check{}, tokens: maxParked}
}

// finding implements knowledge.
func (c *checks) finding(a netip.Addr, now time.Time) (finding, mac.Addr) {
	k := c.known[a]
	switch {
	case k != nil && now.Before(k.until):
		return k.finding, k.by
	case k != nil && k.waits != nil:
		return findingUnknown, mac.Addr{} // its client speaks again
	case c.busy || c.parked >= maxParked || c.budget(now) < 1 || !c.reaches(a, now):
		return findingSkip, mac.Addr{}
	}
	return findingUnknown, mac.Addr{}
}

// budget is how many clients may begin to wait now.
func (c *checks) budget(now time.Time) float64 {
	return min(maxParked, c.tokens+demandRate*max(0, now.Sub(c.filled).Seconds()))
}

// begin notes that the wire is asked for an address, for a finding that is
// good for so long.
func (c *checks) begin(a netip.Addr, ends time.Time, keep time.Duration) {
	k := c.known[a]
	if k == nil {
		k = &check{}
		c.known[a] = k
	}
	k.ends, k.keep = ends, keep
	if len(c.asking) == 0 || ends.Before(c.soonest) {
		c.soonest = ends
	}
	c.asking[a] = k
}

// park has a packet wait for the probe of an address, for patience at most. It
// gives back the packet that waited before: of the same client, to whom the
// address is set aside.
func (c *checks) park(a netip.Addr, p *packet, now time.Time) (before *packet) {
	k := c.asking[a]
	if end := now.Add(patience); k.ends.After(end) {
		k.ends = end
		if end.Before(c.soonest) {
			c.soonest = end
		}
	}
	before, k.waits = k.waits, p
	if before == nil {
		c.parked++
		c.tokens, c.filled = c.budget(now)-1, now
	}
	return before
}

// lift forgets what is known of an address: it has been leased, or somebody
// knows better.
func (c *checks) lift(a netip.Addr) {
	if k := c.known[a]; k != nil && k.waits == nil {
		delete(c.known, a)
		delete(c.asking, a)
	}
}

// believes reports whether a machine's answers are taken for conflicts. One
// that has answered for many addresses is a proxy, and speaks for none; where
// maxSaidTaken are taken the answers are made up, and no machine is believed.
func (c *checks) believes(by mac.Addr) bool {
	taken, its := 0, 0
	for _, k := range c.known {
		if k.finding != findingTaken {
			continue
		}
		if taken++; k.by == by {
			its++
		}
	}
	return taken < maxSaidTaken && (by.IsZero() || its < maxPerMachine)
}

// answered takes a machine's use of an address, and reports whether this
// answers a probe. The packet that waited, if any, is to be handled again.
func (c *checks) answered(a netip.Addr, by mac.Addr, now time.Time) (waited *packet, conflict bool) {
	k := c.asking[a]
	if k == nil {
		// Somebody new. Whether it stays is seen when the address is needed.
		if k = c.known[a]; k != nil && k.finding == findingClean {
			delete(c.known, a)
		}
		return nil, false
	}
	waited = c.end(a, k)
	k.finding, k.by, k.until = findingTaken, by, now.Add(declineTime)
	return waited, true
}

// expire ends the probes that nobody has answered, and appends the packets that
// waited for them.
func (c *checks) expire(buf []*packet, now time.Time) []*packet {
	if len(c.asking) == 0 || now.Before(c.soonest) {
		return buf
	}
	c.soonest = now.Add(aheadPatience) // none that begins now ends later
	for a, k := range c.asking {
		if now.Before(k.ends) {
			if k.ends.Before(c.soonest) {
				c.soonest = k.ends
			}
			continue
		}
		if p := c.end(a, k); p != nil {
			buf = append(buf, p)
		}
		k.finding, k.until = findingClean, now.Add(k.keep)
	}
	return buf
}

func (c *checks) end(a netip.Addr, k *check) (waited *packet) {
	delete(c.asking, a)
	waited, k.waits = k.waits, nil
	if waited != nil {
		c.parked--
	}
	return waited
}

// forget drops findings that have lapsed.
func (c *checks) forget(now time.Time) {
	for a, k := range c.known {
		if c.asking[a] == nil && !now.Before(k.until) {
			delete(c.known, a)
		}
	}
}

// next is when to look for probes that have ended, if any is on its way.
func (c *checks) next() (at time.Time, ok bool) { return c.soonest, len(c.asking) > 0 }
