package rollout

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"dialtone/internal/mac"
)

// Stages of a phone.
const (
	Loading = "loading" // it was told of an image, and has not got all of it
	Loaded  = "loaded"  // it has the image, and has not come back
	Updated = "updated" // it runs the target
	Failed  = "failed"  // it was given up
)

// Phone is one that was let in, or was seen with the target.
type Phone struct {
	Stage   string    `json:"stage"`
	Wave    int       `json:"wave"` // 0 for canaries; -1 for those that ran the target before
	From    string    `json:"from,omitempty"`
	Version string    `json:"version,omitempty"` // that it said last
	Image   string    `json:"image,omitempty"`
	Since   time.Time `json:"since"` // of the stage, or of the step within it
	Steps   int       `json:"steps,omitempty"`
	Returns int       `json:"returns,omitempty"` // came back without the image that it had loaded
	Reason  string    `json:"reason,omitempty"`  // why it failed
}

func (p *Phone) inFlight() bool { return p.Stage == Loading || p.Stage == Loaded }

// State is how far a rollout has come: what has to outlive a restart.
type State struct {
	Firmware string              `json:"firmware"`
	Wave     int                 `json:"wave"` // whose turn it is
	Paused   bool                `json:"paused,omitempty"`
	Stopped  string              `json:"stopped,omitempty"` // why it stopped by itself
	Done     bool                `json:"done,omitempty"`
	Phones   map[mac.Addr]*Phone `json:"phones,omitempty"`
}

// clone gives a copy whose times are told by the clock of now: what it was set to
// when they were taken may be another.
func (s *State) clone(now time.Time) *State {
	c := *s
	c.Phones = make(map[mac.Addr]*Phone, len(s.Phones))
	for phone, p := range s.Phones {
		q := *p
		q.Since = now.Add(-now.Sub(p.Since)).Round(0)
		c.Phones[phone] = &q
	}
	return &c
}

// Event is a change that a person wants to read of, once.
type Event struct {
	MAC  mac.Addr // zero where it is of no one phone
	Text string
	Bad  bool
	Let  bool // a phone is let in, which counts when it is on the disk
}

// maxPhones bounds what a rollout remembers of phones that no configuration names.
const maxPhones = 8192

// machine is a state with what happened to it.
type machine struct {
	*State
	plan   Plan
	now    time.Time
	change change
	events []Event
	told   *Phone // the phone that asks may load what comes next for it
	let    bool   // it is let in for that just now
}

// change is what has become another in a state.
type change struct {
	anew   bool              // all of it
	self   bool              // what is of no one phone
	phones map[mac.Addr]bool // these; one that is in the state no more is forgotten
	// urgent says that it may not be lost once an answer has left that goes by it:
	// a phone that is let in or comes back, a stop, a pause. What else there is,
	// phones tell again when they ask again.
	urgent bool
}

func (c *change) isEmpty() bool { return !c.anew && !c.self && len(c.phones) == 0 }

func (c *change) phone(phone mac.Addr) {
	if c.phones == nil {
		c.phones = map[mac.Addr]bool{}
	}
	c.phones[phone] = true
}

// add takes a later change in.
func (c *change) add(later change) {
	if later.anew {
		*c = change{urgent: c.urgent} // whatever was of the state before
	}
	c.anew, c.self, c.urgent = c.anew || later.anew, c.self || later.self, c.urgent || later.urgent
	for phone := range later.phones {
		c.phone(phone)
	}
}

func (m *machine) tell(phone mac.Addr, bad bool, format string, args ...any) {
	if phone.IsZero() {
		m.change.self = true
	} else {
		m.change.phone(phone)
	}
	m.events = append(m.events, Event{MAC: phone, Text: fmt.Sprintf(format, args...), Bad: bad})
}

// begin starts anew where the target is another one.
func (m *machine) begin() {
	if m.Firmware == m.plan.Firmware {
		if m.Phones == nil { // as an empty one is read
			m.Phones = map[mac.Addr]*Phone{}
		}
		return
	}
	*m.State = State{Firmware: m.plan.Firmware, Paused: m.Paused, Phones: map[mac.Addr]*Phone{}}
	m.change.anew = true
	m.tell(mac.Addr{}, false, "it begins, towards %s", m.plan.Firmware)
}

// report takes a request of a phone and gives the reason why it may not have
// firmware now, "" where it may.
func (m *machine) report(r Report) (hold string) {
	m.begin()
	m.expire()
	m.observe(r)
	m.finish()
	if !r.Asks || r.Reached || r.Image == "" || !r.Ready {
		return "" // there is nothing to hold back
	}
	hold = m.refusal(r)
	if hold == "" {
		m.letIn(r)
		m.change.urgent = true // also that of an earlier request, of one that was let in before
	}
	return hold
}

// observe notes what a phone that was let in says that it runs.
func (m *machine) observe(r Report) {
	p := m.Phones[r.MAC]
	if r.MAC.IsZero() || !r.Known || r.Version == "" {
		return
	}
	switch {
	case p == nil && r.Reached && len(m.Phones) < maxPhones:
		p = &Phone{Stage: Updated, Wave: -1, Version: r.Version, Since: m.now}
		if m.plan.isCanary(r.MAC) {
			p.Wave = 0
		}
		m.Phones[r.MAC] = p
		m.change.phone(r.MAC)
	case p == nil:
	case r.Reached:
		if p.Stage != Updated {
			m.change.urgent = true // it may say so once, and be waited for
			p.Stage, p.Version, p.Image, p.Since, p.Reason = Updated, r.Version, "", m.now, ""
			m.tell(r.MAC, false, "it runs %s", r.Version)
		}
	case p.Stage == Updated:
		// Somebody has put other firmware on it. It is in line again.
		delete(m.Phones, r.MAC)
		m.reopen()
		m.tell(r.MAC, false, "it runs %s again", r.Version)
	case !p.inFlight():
	case r.Image == "":
		// It must not load any more.
		m.fail(r.MAC, p, fmt.Sprintf("it runs %s, from where it does not go on", r.Version))
	case r.Image != p.Image:
		p.Stage, p.Image, p.Version, p.Since, p.Returns = Loading, r.Image, r.Version, m.now, 0
		p.Steps++
		m.tell(r.MAC, false, "it runs %s, and goes on to %s", r.Version, path.Base(r.Image))
	case p.Stage == Loaded && r.Asks:
		p.Returns++
		p.Stage, p.Version, p.Since = Loading, r.Version, m.now
		m.change.phone(r.MAC)
		if p.Returns >= Tries {
			m.fail(r.MAC, p, fmt.Sprintf("it loaded %s %d times, and came back with %s each time", path.Base(p.Image), p.Returns, r.Version))
		}
	}
}

// fail gives a phone up, and stops the rollout.
func (m *machine) fail(phone mac.Addr, p *Phone, reason string) {
	p.Stage, p.Reason, p.Since = Failed, reason, m.now
	m.change.urgent = true
	m.tell(phone, true, "%s", reason)
	if m.Stopped == "" {
		m.Stopped = fmt.Sprintf("%s: %s", phone, reason)
		m.tell(mac.Addr{}, true, "it stops: %s", m.Stopped)
	}
}

// expire gives up the phones that were waited for long enough.
func (m *machine) expire() {
	for phone, p := range m.Phones {
		if !p.inFlight() || m.now.Sub(p.Since) <= m.plan.Patience {
			continue
		}
		reason := fmt.Sprintf("it was told of %s, and did not load it within %s: is its update_policy auto_update?", path.Base(p.Image), short(m.plan.Patience))
		if p.Stage == Loaded {
			reason = fmt.Sprintf("it loaded %s, and did not come back with it within %s: has it power and network?", path.Base(p.Image), short(m.plan.Patience))
		}
		m.fail(phone, p, reason)
	}
}

// short writes a duration without what is zero at its end.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// leave forgets phones that the configuration gives other firmware by now, or none.
func (m *machine) leave() {
	if m.plan.Covers == nil {
		return
	}
	for phone := range m.Phones {
		if !m.plan.Covers(phone) {
			delete(m.Phones, phone)
			m.change.urgent = true
			m.tell(phone, false, "the configuration takes it out of the rollout")
		}
	}
}

// refusal says why a phone may not load what comes next for it.
func (m *machine) refusal(r Report) string {
	p := m.Phones[r.MAC]
	switch {
	case r.MAC.IsZero() || !r.Known:
		return "it cannot be told which phone asks, so the rollout leaves it as it is"
	case p != nil && p.inFlight() && p.Steps > 0:
		return "" // it is half way, where nobody should stay
	case m.Stopped != "":
		return "the rollout has stopped: " + m.Stopped
	case m.Paused:
		return "the rollout is paused"
	case p != nil && p.inFlight():
		return ""
	case p != nil && p.Stage == Failed:
		return "the rollout has given this phone up: " + p.Reason
	case r.Version == "":
		// Over TFTP none says. It could never be seen to come back.
		return "the phone does not say which firmware it runs, so the rollout leaves it as it is"
	case m.now.Year() < 2025:
		return "the clock of the appliance is not set, so the rollout waits"
	case !m.plan.Window.Open(m.now):
		return "the rollout waits for its hours, " + m.plan.Window.String()
	case len(m.Phones) >= maxPhones:
		return "the rollout has as many phones as it can count"
	}
	m.advance()
	if m.Wave == 0 && !m.plan.isCanary(r.MAC) && m.canariesOut() {
		return "the rollout waits for its canaries"
	}
	if size, _ := m.wave(); size >= m.capacity() {
		if m.Wave == 0 {
			return "the rollout waits for its canaries to come back"
		}
		return fmt.Sprintf("the rollout waits for wave %d to come back", m.Wave)
	}
	if loading := m.loading(); loading >= m.plan.Downloads {
		return fmt.Sprintf("%d phones are loading firmware, as many as may at once", loading)
	}
	return ""
}

// capacity is how many phones the wave whose turn it is may have.
func (m *machine) capacity() int {
	switch {
	case m.Wave > 0:
		return m.plan.waveSize()
	case len(m.plan.Canaries) > 0:
		return len(m.plan.Canaries)
	}
	return m.plan.CanaryCount
}

// canariesOut reports whether a canary that is named has yet to be let in. For one
// that was given up somebody else stands in.
func (m *machine) canariesOut() bool {
	return slices.ContainsFunc(m.plan.Canaries, func(canary mac.Addr) bool { return m.Phones[canary] == nil })
}

// wave counts the phones of the wave whose turn it is, and those that are on
// their way. A named canary counts whenever it was let in, and one that was given
// up does not: no wave follows on firmware that nobody came back with.
func (m *machine) wave() (size, inFlight int) {
	for phone, p := range m.Phones {
		if m.Wave == 0 && p.Stage == Failed {
			continue
		}
		if p.Wave == m.Wave || m.Wave == 0 && m.plan.isCanary(phone) {
			size++
			if p.inFlight() {
				inFlight++
			}
		}
	}
	return size, inFlight
}

// advance gives the next wave its turn when the one before is full and back.
func (m *machine) advance() {
	for {
		size, inFlight := m.wave()
		if size < m.capacity() || inFlight > 0 {
			return
		}
		m.Wave++
		m.tell(mac.Addr{}, false, "wave %d has its turn", m.Wave)
	}
}

// loading counts the phones that have not got all of their image.
func (m *machine) loading() int {
	n := 0
	for _, p := range m.Phones {
		if p.Stage == Loading {
			n++
		}
	}
	return n
}

// letIn lets a phone in, where it is not in already.
func (m *machine) letIn(r Report) {
	m.told = m.Phones[r.MAC]
	if m.told != nil {
		return
	}
	m.told, m.let = &Phone{Stage: Loading, Wave: m.Wave, From: r.Version, Version: r.Version, Image: r.Image, Since: m.now}, true
	m.Phones[r.MAC] = m.told
	m.reopen()
	m.tell(r.MAC, false, "it is told of %s", path.Base(r.Image))
	m.events[len(m.events)-1].Let = true
}

// sent notes that a phone has got all of an image.
func (m *machine) sent(phone mac.Addr, image string) {
	p := m.Phones[phone]
	if p == nil || p.Stage != Loading || path.Base(p.Image) != path.Base(image) {
		return
	}
	p.Stage, p.Since = Loaded, m.now
	m.tell(phone, false, "it has loaded %s", path.Base(image))
}

// finish notes when every phone that the configuration names runs the target.
func (m *machine) finish() {
	if m.Done || len(m.plan.Phones) == 0 {
		return
	}
	for _, phone := range m.plan.Phones {
		if p := m.Phones[phone]; p == nil || p.Stage != Updated {
			return
		}
	}
	m.Done = true
	m.tell(mac.Addr{}, false, "all phones of the configuration run %s", m.Firmware)
}

// reopen notes that not every phone runs the target any more.
func (m *machine) reopen() {
	if m.Done {
		m.Done = false
		m.change.self = true
	}
}

// pause holds everybody back who is not half way.
func (m *machine) pause() {
	m.begin()
	if !m.Paused {
		m.Paused = true
		m.change.urgent = true
		m.tell(mac.Addr{}, false, "it is paused")
	}
}

// resume goes on after a pause or a stop. Phones that were given up stay as they
// are and are waited for no more, or are tried again.
func (m *machine) resume(retry bool) {
	m.begin()
	if m.Paused || m.Stopped != "" {
		m.Paused, m.Stopped = false, ""
		m.change.urgent = true
		m.tell(mac.Addr{}, false, "it goes on")
	}
	for phone, p := range m.Phones {
		if retry && p.Stage == Failed {
			delete(m.Phones, phone)
			m.Wave = min(m.Wave, max(p.Wave, 0))
			m.change.phone(phone)
			m.change.self, m.change.urgent = true, true
		}
	}
}

// restarted gives the phones that are on their way their patience anew: nobody
// was there to see them come back.
func (m *machine) restarted() {
	for _, p := range m.Phones {
		if p.inFlight() {
			p.Since = m.now
		}
	}
}
