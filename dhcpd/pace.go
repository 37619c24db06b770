package dhcpd

import "time"

// A packet that comes alone is read at once, and its lease written at once.
// Where packets come faster than that, system calls, wake-ups of goroutines and
// syncs are better spent on several at a time: they, and not what is done with a
// packet, are most of what a packet costs.
const (
	// readEvery is how often a reader reads that does not find a full batch. The
	// receive buffer holds what comes meanwhile.
	readEvery = 250 * time.Microsecond
	// writeEvery is how often changes are written for which fewer than
	// largeGroup replies wait.
	writeEvery = 2 * time.Millisecond
	largeGroup = 24
)

// pace spaces out what could be done without a pause.
type pace struct{ last time.Time }

// left is how much of an interval has not passed since the last step.
func (p *pace) left(every time.Duration) time.Duration { return every - time.Since(p.last) }

// step says that a step is taken now.
func (p *pace) step() { p.last = time.Now() }
