package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/register"
	"dialtone/internal/state"
	"dialtone/profiles"
	"dialtone/provision"
)

// seenPhone is a phone of the register with what it last got: sealed documents
// by their kind.
type seenPhone struct {
	register.Phone
	Got map[string][]byte `json:"got,omitempty"`
}

// seenPhones gives the register: of the running service, or of a stopped one.
func seenPhones(stateDir string, log *slog.Logger) ([]register.Phone, error) {
	var list []register.Phone
	err := control(stateDir, http.MethodGet, "/v1/phones", &list)
	if !errors.Is(err, errNotRunning) {
		return list, err
	}
	err = stopped(stateDir, func(db *bbolt.DB) error {
		r, err := register.Open(db, log)
		if err == nil {
			list = r.Phones()
		}
		return err
	})
	return list, err
}

// seen gives one phone of the register, nil where it was never seen.
func seen(stateDir string, m mac.Addr, log *slog.Logger) (*seenPhone, error) {
	var p *seenPhone
	err := control(stateDir, http.MethodGet, "/v1/phones/"+m.String(), &p)
	if !errors.Is(err, errNotRunning) {
		return p, err
	}
	err = stopped(stateDir, func(db *bbolt.DB) error {
		r, err := register.Open(db, log)
		if err == nil {
			p, err = seenIn(r, m)
		}
		return err
	})
	return p, err
}

func seenIn(r *register.Register, m mac.Addr) (*seenPhone, error) {
	p, got, ok, err := r.Phone(m)
	if err != nil || !ok {
		return nil, err
	}
	return &seenPhone{p, got}, nil
}

// stopped opens the state of a service that does not run.
func stopped(stateDir string, use func(*bbolt.DB) error) error {
	db, err := state.OpenReadOnly(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has never run
	}
	if err != nil {
		return err
	}
	defer db.Close()
	return use(db)
}

func (a *appliance) getPhones(w http.ResponseWriter, _ *http.Request) { writeJSON(w, a.seen.Phones()) }

func (a *appliance) getPhone(w http.ResponseWriter, r *http.Request) {
	m, err := mac.Parse(r.PathValue("mac"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p, err := seenIn(a.seen, m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, p)
}

// settled is what came of taking the marks from a phone.
type settled struct {
	Known  bool `json:"known"`
	Marked bool `json:"marked"`
}

func (a *appliance) settlePhone(w http.ResponseWriter, r *http.Request) {
	m, err := mac.Parse(r.PathValue("mac"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var s settled
	s.Marked, s.Known = a.seen.Settle(m)
	if s.Marked {
		a.log.Info("phone settled: an administrator has looked", "mac", m.String())
	}
	writeJSON(w, s)
}

// asSeen is how a phone would ask again.
func asSeen(p register.Phone) provision.Preview {
	return provision.Preview{Who: p.MAC, Known: p.Proven, Model: p.Model, Running: runningOf(p), Local: p.Local, Reveal: true}
}

// runningOf gives the firmware that a phone was last seen with.
func runningOf(p register.Phone) profiles.Running {
	return profiles.Running{Version: p.Version, Parts: profiles.Parts(p.Parts)}
}

// ago shows a time as a person reads it in a table.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// openSealed loads a configuration whose passwords are the real ones, for what
// is compared with the register.
func openSealed(a *app, path string) (configuration, *provision.Desk, error) {
	cfg, err := load(path, statePasswords)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Report.HasErrors() {
		if err := writeReport(a.Stderr, cfg.Report); err != nil {
			return cfg, nil, err
		}
		return cfg, nil, fmt.Errorf("the configuration has %s", count(cfg.Report.Errors(), "error"))
	}
	rollouts, err := showRollouts(cfg, a.Log)
	return cfg, newDesk(func() *configuration { return &cfg }, provision.Config{Log: a.Log, Rollouts: rollouts}), err
}
