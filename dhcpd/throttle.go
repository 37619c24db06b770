package dhcpd

import (
	"hash/maphash"
	"time"
)

const (
	// A client may send so many messages at once, and one each so often then. A
	// phone that boots sends two, twenty when its answers are lost.
	clientBurst = 32
	clientEvery = time.Second
	// portClients is for how many clients a port of a switch may send, where the
	// network does not say how many it may have: the port may be a whole VLAN.
	portClients = 1024
)

// throttle keeps whoever sends too much from being answered each time. Its
// memory is of one size: of those that share a set the one that has sent the
// least goes, so that a flood of made-up names takes no place of one that
// really sends too much, and no name is held to what another has sent.
type throttle struct {
	seed maphash.Seed
	sets [][throttleWays]sender
}

const (
	throttleSets = 2048
	throttleWays = 4
)

// sender is who has sent something. Each message costs time; clear is when all
// of it has passed, in nanoseconds since 1970 (the generic cell rate algorithm
// of ITU-T I.371).
type sender struct {
	name  uint64
	clear int64
}

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), sets: make([][throttleWays]sender, throttleSets)}
}

// name is a name of some kind as the throttle keeps it.
func (t *throttle) name(kind byte, s []byte) uint64 {
	return maphash.Bytes(t.seed, s) ^ uint64(kind)<<56
}

// find gives the place of a name, nil where it has none.
func (t *throttle) find(name uint64) *sender {
	set := &t.sets[name%throttleSets]
	for i := range set {
		if set[i].name == name {
			return &set[i]
		}
	}
	return nil
}

// burst is how far ahead of its rate a name may be.
const burst = clientBurst * clientEvery

// allows reports whether one more message of a name is within its rate: one each
// every, and as many at once as that makes in a burst.
func (t *throttle) allows(now time.Time, name uint64, every time.Duration) bool {
	s := t.find(name)
	return s == nil || s.clear-now.UnixNano() <= int64(burst-every)
}

// charge notes a message of a name.
func (t *throttle) charge(now time.Time, name uint64, every time.Duration) {
	s := t.find(name)
	if s == nil {
		set := &t.sets[name%throttleSets]
		s = &set[0]
		for i := range set {
			if set[i].clear < s.clear {
				s = &set[i]
			}
		}
		*s = sender{name: name}
	}
	// What lies further ahead than can be was noted before the clock was set back.
	at := now.UnixNano()
	s.clear = min(max(s.clear, at), at+int64(burst-every)) + int64(every)
}
