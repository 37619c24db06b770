package lease

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Reading is what a machine knows of time: what its wall clock says, which may
// be set or be wrong at any moment, and how long it has been up, which goes on
// whatever happens to the wall clock.
type Reading func() (wall time.Time, up time.Duration)

// SystemTime is the Reading of this machine.
func SystemTime() (time.Time, time.Duration) {
	now := time.Now()
	return now.Round(0), now.Sub(started) // the monotonic readings of both
}

var started = time.Now()

const (
	// maxDrift is how far the wall clock may be from where it should be before
	// that counts as a jump.
	maxDrift = time.Minute
	// maxPause is the longest that a program is believed to have been stopped: a
	// clock that has gone further on since is wrong.
	maxPause = 30 * 24 * time.Hour
)

// clock is the time that leases run by, in memory and in the store. It goes on
// with the machine's uptime, so that a jump of the wall clock neither ends a
// lease nor prolongs one. The store keeps how far the wall clock is from it, and
// how far it has come: after a restart it goes on from where the wall clock says
// that it is now, or, where the wall clock cannot be right, from where it was.
// Leases then last too long once, by as long as the program was stopped.
type clock struct {
	read Reading
	now  atomic.Pointer[reckoning]
	// unsaved says that the store does not know yet of the last jump. It belongs
	// to the writer.
	unsaved bool
}

// reckoning is how a clock follows from a Reading.
type reckoning struct {
	base   time.Time     // the time
	up     time.Duration // when the machine had been up for so long
	offset time.Duration // the wall clock less the time
}

func newClock(read Reading) *clock {
	c := &clock{read: read}
	wall, up := read()
	c.now.Store(&reckoning{base: wall, up: up})
	return c
}

// Now is the time that leases run by.
func (c *clock) Now() time.Time {
	r := c.now.Load()
	_, up := c.read()
	return r.base.Add(up - r.up)
}

// wall gives a time of leases as the wall clock has it.
func (c *clock) wall(t Time) Time {
	if t == 0 {
		return 0
	}
	return t.Add(c.now.Load().offset)
}

// follow takes notice of a jump of the wall clock.
func (c *clock) follow() {
	r := *c.now.Load()
	wall, up := c.read()
	drift := wall.Sub(r.base.Add(up-r.up)) - r.offset
	if drift.Abs() > maxDrift {
		r.offset += drift
		c.now.Store(&r)
		c.unsaved = true
	}
}

// resume goes on from where a store was left. What it says is how far the wall
// clock was ahead, and the time that it was last written at.
func (c *clock) resume(offset time.Duration, last time.Time) {
	wall, up := c.read()
	r := &reckoning{base: wall.Add(-offset), up: up, offset: offset}
	if pause := r.base.Sub(last); pause < 0 || pause > maxPause {
		r.base, r.offset = last, wall.Sub(last)
		c.unsaved = true
	}
	c.now.Store(r)
}

// clockKey is where the store has the clock: seconds of offset, seconds since
// 1970.
var clockKey = []byte("clock")

func (c *clock) save(meta *bbolt.Bucket) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(c.now.Load().offset/time.Second))
	return meta.Put(clockKey, binary.BigEndian.AppendUint64(b, uint64(c.Now().Unix())))
}

// load goes on from where the store was left, if it was ever written.
func (c *clock) load(meta *bbolt.Bucket) {
	if b := meta.Get(clockKey); len(b) == 16 {
		c.resume(time.Duration(binary.BigEndian.Uint64(b))*time.Second, time.Unix(int64(binary.BigEndian.Uint64(b[8:])), 0))
	}
}
