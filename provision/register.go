package provision

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

// Register hears of every request, and remembers.
type Register interface {
	Seen(s Sighting)
	// Running gives the model of a phone and the firmware that it said last, while a
	// witness knew it; ok is false where it never did.
	Running(m mac.Addr) (model string, running profiles.Running, ok bool)
}

// Sighting is a request and what came of it.
type Sighting struct {
	Time       time.Time
	MAC        mac.Addr         // who asked: the witness's word, else what the request says; zero where nobody can tell
	Proven     bool             // by the witness
	Witness    string           // ByLease and so on, "" where none is
	Miss       bool             // what is another's was asked for, and refused
	Configured bool             // the configuration names the phone
	Model      string           // of who asked, "" if unknown
	Running    profiles.Running // what it says of its firmware, zero where it says nothing
	Source     netip.Addr
	Local      netip.Addr
	Protocol   string
	Path       profiles.Path // zero where it was not understood
	Status     int           // as in HTTP
	Reason     string        // of a refusal
	Answer     *Answer       // what was served, nil for a refusal; its Content is taken
}

// tell tells the register of a request.
func (d *Desk) tell(now time.Time, r Request, e event, a *Answer, err error) {
	if d.register == nil {
		return
	}
	s := Sighting{
		Time: now, MAC: e.mac, Proven: !e.mac.IsZero(), Witness: e.by, Model: e.model, Running: e.running,
		Source: r.Source, Local: r.Local, Protocol: r.Protocol, Path: e.asked, Status: http.StatusOK,
	}
	if s.MAC.IsZero() {
		s.MAC = e.claimed
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		s.Status, s.Reason, s.Miss = refusal.Status, refusal.Reason, refusal.miss
	} else {
		s.Answer = a
	}
	if !s.MAC.IsZero() {
		_, s.Configured = d.set().Phone(s.MAC)
	}
	d.register.Seen(s)
}
