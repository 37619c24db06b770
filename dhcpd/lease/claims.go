package lease

import "time"

// claims are the leases of a network that clients which nobody knows have asked
// for without an offer. A claim is good when its client renews it; until then,
// and until it lapses, it counts against a quota.
type claims struct {
	quota int
	held  map[Key]claim
	sweep time.Time // when the next one may have lapsed
}

type claim struct{ since, until time.Time }

// sweepEvery is how often lapsed claims are looked for while there is no room.
const sweepEvery = time.Second

// room reports whether a client may claim an address where there may be so many
// claims. One that has a claim repeats it.
func (c *claims) room(k Key, quota int, now time.Time) bool {
	if _, again := c.held[k]; again || len(c.held) < quota {
		return true
	}
	if now.Before(c.sweep) {
		return false
	}
	c.forget(now)
	return len(c.held) < quota
}

// forget drops the claims that have lapsed, and finds when the next one does.
func (c *claims) forget(now time.Time) {
	c.sweep = now.Add(24 * time.Hour)
	for k, held := range c.held {
		if !now.Before(held.until) {
			delete(c.held, k)
		} else if held.until.Before(c.sweep) {
			c.sweep = held.until
		}
	}
	if soonest := now.Add(sweepEvery); c.sweep.Before(soonest) {
		c.sweep = soonest
	}
}

// note counts a claim. Its client may have had one before.
func (c *claims) note(k Key, now, until time.Time) {
	since := now
	if old, again := c.held[k]; again && now.Before(old.until) {
		since = old.since
	}
	if c.held == nil {
		c.held = map[Key]claim{}
	}
	c.held[k] = claim{since, until}
	if until.Before(c.sweep) {
		c.sweep = until
	}
}

// Claimed reports whether a client has claimed the lease that it has in a
// network and not made it good, and since when.
func (t *Table) Claimed(network int, k Key, now time.Time) (since time.Time, ok bool) {
	held, ok := t.pools[network].claims.held[k]
	return held.since, ok && now.Before(held.until)
}

// MayClaim reports whether one more client that nobody knows may have an address
// of a network that it was not offered.
func (t *Table) MayClaim(network int, k Key, now time.Time) bool {
	c := &t.pools[network].claims
	return c.room(k, c.quota, now)
}

// A network is scarce when four fifths of it are used. One of so few addresses
// never is: a part of them would be none.
const (
	scarce      = 5
	scarceAtAll = 20
)

// Scarce reports whether so few addresses of a network are left that they are
// not to go to whoever asks first.
func (t *Table) Scarce(network int, now time.Time) bool {
	p := t.pools[network]
	return p.size >= scarceAtAll && scarce*p.left(now) <= p.size
}

// left counts the addresses of the ranges that are neither leased nor declined.
func (p *pool) left(now time.Time) int {
	n := p.size
	for _, i := range []int{heldLeased, heldDeclined} {
		p.held[i].pass(now)
		n -= p.held[i].n
	}
	return n
}

// MayShare is MayClaim where the network is Scarce, for a client that is no
// phone: there are not to be more claims than addresses left.
func (t *Table) MayShare(network int, k Key, now time.Time) bool {
	p := t.pools[network]
	return p.claims.room(k, min(p.claims.quota, p.left(now)), now)
}

// BindClaim is Bind for a client that may claim the address. The claim counts
// until then, whatever becomes of the lease.
func (t *Table) BindClaim(network int, l Lease, until, horizon time.Time) (wait bool) {
	t.pools[network].claims.note(l.Key(), l.Start.Time(), until)
	return t.bind(network, l, horizon)
}
