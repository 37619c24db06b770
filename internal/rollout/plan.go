// Package rollout decides which phones may load new firmware now: canaries
// first, then wave after wave, each only when the one before it came back with
// the new version. Plan and time come in, a decision goes out; Keeper is the page
// around that which makes every decision durable before it counts.
package rollout

import (
	"fmt"
	"slices"
	"time"

	"dialtone/internal/mac"
)

// Plan is what the configuration says of a rollout.
type Plan struct {
	Name     string
	Firmware string // the target; another one begins anew
	// Canaries are the phones that go first. Where it is empty, the first
	// CanaryCount that ask are.
	Canaries    []mac.Addr
	CanaryCount int
	Wave        int // phones of each later wave; 0 for Percent
	Percent     int // of Phones
	Window      Window
	Downloads   int           // phones that load at once
	Patience    time.Duration // for a phone to load what it was told of, and again to come back with it
	Phones      []mac.Addr    // that the configuration names and this covers
	// Covers reports whether a phone is one of Phones, or one that the configuration
	// does not name; nil for all.
	Covers func(mac.Addr) bool
}

// Tries is how often a phone may load an image and come back without it.
const Tries = 2

// waveSize is how many phones a wave has: at least one.
func (p Plan) waveSize() int {
	if p.Wave > 0 {
		return p.Wave
	}
	return max(1, (len(p.Phones)*p.Percent+99)/100)
}

func (p Plan) isCanary(m mac.Addr) bool { return slices.Contains(p.Canaries, m) }

// Window is the part of the day in which phones are let in: minutes since
// midnight, local time. One that ends before it begins goes past midnight; the
// zero Window is always open.
type Window struct{ From, To int }

// Open reports whether t is within the window.
func (w Window) Open(t time.Time) bool {
	minute := t.Hour()*60 + t.Minute()
	switch {
	case w.From == w.To:
		return true
	case w.From < w.To:
		return w.From <= minute && minute < w.To
	}
	return minute >= w.From || minute < w.To
}

func (w Window) String() string {
	return fmt.Sprintf("%02d:%02d to %02d:%02d", w.From/60, w.From%60, w.To/60, w.To%60)
}

// Report is a request of a phone, as far as its firmware goes.
type Report struct {
	MAC     mac.Addr // zero where nobody can tell who asks
	Known   bool     // the configuration names it, or the lease table proved it
	Version string   // that it says it runs, "" where it says none
	Reached bool     // that is the target
	// Image is what it would load next, the last where one pulls another; "" for
	// nothing: it is there, or must stay as it is.
	Image string
	Ready bool // every image of the step can be had
	Asks  bool // it asks what firmware to load; else for something else
}
