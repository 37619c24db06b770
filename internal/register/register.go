// Package register keeps what is known of every phone that was seen: what it
// is, where it is, and what it was last given. It is written to the disk late
// and in small parts, so that leases, which cannot wait, are not kept waiting.
//
// Nothing in it is secret: documents come with their secrets sealed.
package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
)

// Phone is what is known of one.
type Phone struct {
	MAC     mac.Addr   `json:"mac"`
	Model   string     `json:"model,omitempty"`
	Version string     `json:"version,omitempty"` // of its firmware, by its User-Agent
	Parts   Parts      `json:"parts,omitzero"`
	Address netip.Addr `json:"address,omitzero"`
	Local   netip.Addr `json:"local,omitzero"` // by which it reached the appliance
	// Proven says that a witness tied the request to the MAC; otherwise the request
	// alone named it. Witness is the one by which it last got its own file.
	Proven  bool   `json:"proven"`
	Witness string `json:"witness,omitempty"`
	// Weaker is when it got its own file by less than before: with no certificate or
	// credentials where it had some. It was reset, or somebody has its address. It is
	// zero again once it has shown some, or Settle was called: another witness of its
	// address, as a lease after the wire's word, is fooled by the same people.
	Weaker time.Time `json:"weaker,omitzero"`
	Strong bool      `json:"strong,omitempty"` // Witness is more than an address
	// Challenged is the last request for its own file that showed no credentials where
	// they are what it is known by, nil once it got it: it was reset, or somebody else
	// asked.
	Challenged *Stranger `json:"challenged,omitempty"`
	Configured bool      `json:"configured"` // when it was last seen
	FirstSeen  time.Time `json:"first_seen"`
	LastSeen   time.Time `json:"last_seen"`
	Starts     uint64    `json:"starts"` // how often it asked for the first file of a start
	// Documents has the last request of each slot: a kind of which a phone has one
	// document ("general", "own"), or the path of any other ("/snomd785/hold.xml").
	Documents map[string]Document `json:"documents,omitempty"`
	// Versions are those that it was seen with, the newest last, eight at most.
	Versions []Version `json:"versions,omitempty"`
	Refused  uint64    `json:"refused,omitempty"` // requests of its own
	// Misses are refused requests of others for what is this phone's.
	Misses   uint64    `json:"misses,omitempty"`
	LastMiss *Stranger `json:"last_miss,omitempty"`
}

// Parts are the versions of what old firmware keeps apart from the application.
type Parts struct {
	Linux   string `json:"linux,omitempty"`
	JFFS2   string `json:"jffs2,omitempty"`
	Ramdisk string `json:"ramdisk,omitempty"`
}

// Document is what became of a kind of document.
type Document struct {
	Path     string    `json:"path"`
	Asked    time.Time `json:"asked"` // the last request
	Status   int       `json:"status"`
	Reason   string    `json:"reason,omitempty"` // of a refusal
	Protocol string    `json:"protocol"`
	// Revision is what it last got, "" for nothing yet, and Got is when it first
	// got that. A refusal leaves both.
	Revision string    `json:"revision,omitempty"`
	Got      time.Time `json:"got,omitzero"`
}

// Version is a firmware and when it was first seen on the phone.
type Version struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
}

// Stranger is somebody who asked for what is another's, as far as anybody can tell.
type Stranger struct {
	Address netip.Addr `json:"address"`
	Time    time.Time  `json:"time"`
}

// Sighting is one request.
type Sighting struct {
	Time           time.Time
	MAC            mac.Addr // of who asked; zero where nobody can tell
	Proven         bool     // by a witness
	Witness        string   // which, "" for none
	Strong         bool     // the witness is more than an address
	Miss           bool     // it was refused what is Owner's
	Configured     bool
	Owner          mac.Addr // whose document was asked for; zero for anybody's
	Model, Version string   // "" if unknown
	Parts          Parts
	Address, Local netip.Addr
	Protocol       string
	Slot, Path     string // of the document; a slot that begins with / is one of many
	Start          bool   // it is the first file of a phone's start
	Status         int
	Reason         string
	Revision       string // "" for a file, and for a refusal
	// Content gives the document with its secrets sealed. It is called at most
	// once, soon, and from another goroutine; nil where there is none.
	Content func() []byte
}

// Bounds: of phones that the configuration does not name, of those among them
// that only claim their MAC, and of one's history; and of one's documents besides
// those of which it has one.
const (
	maxOthers   = 4096
	maxClaimed  = 256
	maxVersions = 8
	maxPaths    = 64
	// A claim does not take the place of one that was made less than this ago: a
	// flood of made-up MACs must not write to the disk for ever.
	claimStays = 10 * time.Minute
	// Nor does it change what is known of a phone that was proven less than this ago.
	proofStays = 24 * time.Hour
)

// Register is safe for concurrent use.
type Register struct {
	db   *bbolt.DB
	log  *slog.Logger
	wake chan struct{} // something that matters has changed

	mu      sync.Mutex
	phones  map[mac.Addr]*entry
	others  int                      // phones that are not configured
	claimed int                      // of these, those that are not proven
	full    time.Time                // when no place was found
	refs    map[string]int           // revisions in use
	pending map[string]func() []byte // in use, and not on the disk
	stored  map[string]bool          // on the disk
	unused  map[string]bool          // on the disk, and in use no more
	gone    map[mac.Addr]bool        // on the disk, and known no more
}

type entry struct {
	Phone
	change change
	proven time.Time // when it last was
	warned time.Time // when its last Weaker was logged
}

// A phone that comes and goes by different witnesses is no line in the log each time.
const warnAgain = time.Hour

// change says how much a record differs from the one on the disk.
type change int

const (
	unchanged change = iota
	minor            // times and counts, which can wait
	major
)

// Seen notes a request. It is quick, and writes nothing itself.
func (r *Register) Seen(s Sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Miss && !s.Owner.IsZero() && s.Owner != s.MAC {
		if e := r.phones[s.Owner]; e != nil {
			e.Misses++
			e.LastMiss = &Stranger{s.Address, s.Time}
			e.change = max(e.change, minor)
		}
	}
	if s.Status == http.StatusUnauthorized && !s.Miss {
		if e := r.phones[s.Owner]; e != nil && e.Strong {
			e.Challenged = &Stranger{s.Address, s.Time}
			e.change = max(e.change, minor)
		}
	}
	if s.MAC.IsZero() {
		return
	}
	e := r.phones[s.MAC]
	switch {
	case e == nil:
		if e = r.admit(s); e == nil {
			return
		}
	case !s.Proven && s.Time.Sub(e.proven) < proofStays:
		return
	}
	r.note(e, s)
	if e.change == major {
		r.wakeUp()
	}
}

// wakeUp has Run write what matters.
func (r *Register) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// admit makes an entry, nil where there is no room for one.
func (r *Register) admit(s Sighting) *entry {
	other, claim := !s.Configured, !s.Configured && !s.Proven
	if claim && r.claimed >= maxClaimed && !r.evict(s.Time, claimStays, func(e *entry) bool { return !e.Proven }) ||
		other && r.others >= maxOthers && !r.evict(s.Time, 0, func(*entry) bool { return true }) {
		return nil
	}
	e := &entry{Phone: Phone{MAC: s.MAC, FirstSeen: s.Time, Documents: map[string]Document{}}, change: major}
	r.phones[s.MAC] = e
	r.count(e, 1)
	delete(r.gone, s.MAC)
	return e
}

func (r *Register) count(e *entry, n int) {
	if !e.Configured {
		r.others += n
		if !e.Proven {
			r.claimed += n
		}
	}
}

// evict forgets the phone that was not seen for longest, and for longer than
// stays, of those that are not configured and that may go.
func (r *Register) evict(now time.Time, stays time.Duration, may func(*entry) bool) bool {
	if age := now.Sub(r.full); 0 <= age && age < time.Second {
		return false // a flood must not buy a walk through all with each packet
	}
	var oldest *entry
	for _, e := range r.phones {
		if !e.Configured && may(e) && (oldest == nil || e.LastSeen.Before(oldest.LastSeen)) {
			oldest = e
		}
	}
	if oldest == nil || now.Sub(oldest.LastSeen) < stays {
		r.full = now
		return false
	}
	for _, d := range oldest.Documents {
		r.release(d.Revision)
	}
	r.count(oldest, -1)
	delete(r.phones, oldest.MAC)
	r.gone[oldest.MAC] = true
	return true
}

// note writes a sighting into an entry.
func (r *Register) note(e *entry, s Sighting) {
	r.count(e, -1)
	if e.Proven != s.Proven || e.Configured != s.Configured || e.Address != s.Address || e.Local != s.Local {
		e.change = major
	}
	e.Proven, e.Configured, e.Address, e.Local = s.Proven, s.Configured, s.Address, s.Local
	r.count(e, 1)
	e.change = max(e.change, minor)
	e.LastSeen = s.Time
	if s.Proven {
		e.proven = s.Time
	}
	if s.Model != "" && s.Model != e.Model {
		e.Model, e.change = s.Model, major
	}
	if s.Version != "" && s.Version != e.Version {
		e.Version, e.change = s.Version, major
		e.Versions = append(e.Versions, Version{s.Version, s.Time})
		e.Versions = e.Versions[max(0, len(e.Versions)-maxVersions):]
	}
	if s.Version != "" && s.Parts != e.Parts {
		e.Parts, e.change = s.Parts, major
	}
	if s.Start {
		e.Starts++
	}
	ok := s.Status == http.StatusOK
	if !ok {
		e.Refused++
	}
	d, known := e.Documents[s.Slot]
	if path := strings.HasPrefix(s.Slot, "/"); s.Slot == "" || path && !known && (!ok || !r.roomForPath(e)) {
		return
	}
	if d.Path != s.Path || d.Status != s.Status || d.Protocol != s.Protocol || d.Reason != s.Reason {
		e.change = major
	}
	d.Path, d.Asked, d.Status, d.Reason, d.Protocol = s.Path, s.Time, s.Status, s.Reason, s.Protocol
	if ok && s.Owner == s.MAC && s.Proven {
		r.noteWitness(e, s)
	}
	if ok && s.Revision != d.Revision {
		e.change = major
		r.use(s.Revision, s.Content)
		r.release(d.Revision)
		d.Revision, d.Got = s.Revision, s.Time
	}
	e.Documents[s.Slot] = d
}

// noteWitness says by what a phone got its own file.
func (r *Register) noteWitness(e *entry, s Sighting) {
	e.Challenged = nil
	switch {
	case e.Strong && !s.Strong:
		e.Weaker = s.Time
		if s.Time.Sub(e.warned).Abs() > warnAgain {
			e.warned = s.Time
			r.log.Warn("phone got its own file by less than before: it was reset, or somebody has its address",
				"mac", s.MAC.String(), "ip", s.Address.String(), "witness", s.Witness, "before", e.Witness)
		}
	case s.Strong && !e.Weaker.IsZero():
		if e.Weaker.Equal(e.warned) {
			r.log.Info("phone shows again what it was known by", "mac", s.MAC.String(), "ip", s.Address.String(), "witness", s.Witness)
		}
		e.Weaker, e.change = time.Time{}, major
	}
	if s.Witness != e.Witness {
		e.Witness, e.Strong, e.change = s.Witness, s.Strong, major
	}
}

// Settle takes from a phone what Weaker and Challenged say: an administrator has
// looked. ok is false where the phone was never seen, and marked where there was
// anything to take.
func (r *Register) Settle(m mac.Addr) (marked, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.phones[m]
	if e == nil {
		return false, false
	}
	if e.Weaker.IsZero() && e.Challenged == nil {
		return false, true
	}
	e.Weaker, e.Challenged, e.change = time.Time{}, nil, major
	r.wakeUp()
	return true, true
}

// roomForPath reports whether there is a place for one more path, or makes it:
// that which was not asked for in longest goes, if it is not of the same start.
func (r *Register) roomForPath(e *entry) bool {
	count, oldest := 0, ""
	for slot, d := range e.Documents {
		if strings.HasPrefix(slot, "/") {
			count++
			if oldest == "" || d.Asked.Before(e.Documents[oldest].Asked) {
				oldest = slot
			}
		}
	}
	if count < maxPaths {
		return true
	}
	if e.LastSeen.Sub(e.Documents[oldest].Asked) < claimStays {
		return false
	}
	r.release(e.Documents[oldest].Revision)
	delete(e.Documents, oldest)
	return true
}

func (r *Register) use(revision string, content func() []byte) {
	if revision == "" {
		return
	}
	r.refs[revision]++
	delete(r.unused, revision)
	if !r.stored[revision] && r.pending[revision] == nil && content != nil {
		r.pending[revision] = content
	}
}

func (r *Register) release(revision string) {
	if revision == "" {
		return
	}
	if r.refs[revision]--; r.refs[revision] > 0 {
		return
	}
	delete(r.refs, revision)
	delete(r.pending, revision)
	if r.stored[revision] {
		r.unused[revision] = true
	}
}

// Phones lists every phone by its MAC.
func (r *Register) Phones() []Phone {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Phone, 0, len(r.phones))
	for _, e := range r.phones {
		list = append(list, e.copy())
	}
	slices.SortFunc(list, func(a, b Phone) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	return list
}

// copy gives what others may hold while the entry changes.
func (e *entry) copy() Phone {
	p := e.Phone
	p.Versions = slices.Clone(p.Versions)
	p.Documents = make(map[string]Document, len(e.Documents))
	for kind, d := range e.Documents {
		p.Documents[kind] = d
	}
	return p
}

// Last gives what is known of a phone, less its documents; ok is false where it was
// never seen.
func (r *Register) Last(m mac.Addr) (p Phone, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.phones[m]
	if e == nil {
		return Phone{}, false
	}
	p = e.Phone
	p.Documents, p.Versions = nil, nil
	return p, true
}

// Phone gives one phone, and what it last got: sealed documents by their kind.
// One that is too large to be kept is left out.
func (r *Register) Phone(m mac.Addr) (p Phone, got map[string][]byte, ok bool, err error) {
	r.mu.Lock()
	e := r.phones[m]
	if e == nil {
		r.mu.Unlock()
		return Phone{}, nil, false, nil
	}
	p = e.copy()
	waiting := map[string]func() []byte{}
	for kind, d := range p.Documents {
		if content := r.pending[d.Revision]; content != nil {
			waiting[kind] = content
		}
	}
	r.mu.Unlock()

	got = map[string][]byte{}
	for kind, content := range waiting {
		got[kind] = content()
	}
	err = r.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(documentBucket)
		if b == nil {
			return nil
		}
		for kind, d := range p.Documents {
			packed := b.Get([]byte(d.Revision))
			if got[kind] != nil || packed == nil {
				continue
			}
			body, err := unpack(packed)
			if err != nil {
				return fmt.Errorf("the document %s of %s: %w", d.Path, m, err)
			}
			got[kind] = body
		}
		return nil
	})
	if err != nil {
		return p, nil, true, fmt.Errorf("reading the register: %w", err)
	}
	return p, got, true, nil
}

// decode reads a record.
func decode(key, record []byte) (Phone, error) {
	m, ok := mac.FromBytes(key)
	if !ok {
		return Phone{}, fmt.Errorf("the record of %x, which is no MAC", key)
	}
	var p Phone
	if err := json.Unmarshal(record, &p); err != nil {
		return Phone{}, fmt.Errorf("the record of %s: %w", m, err)
	}
	if p.MAC != m {
		return Phone{}, errors.New("the record of " + m.String() + " names another")
	}
	if p.Documents == nil {
		p.Documents = map[string]Document{}
	}
	return p, nil
}
