package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// version is of the records. Another one is refused.
const version = "1"

var bucket = []byte("rollouts") // by name

// Keeper keeps the rollouts. It is safe for concurrent use.
type Keeper struct {
	db  *bbolt.DB
	log *slog.Logger

	mu     sync.Mutex
	states map[string]*State
	stored map[string][]byte // as they are on the disk
}

// Open reads the rollouts of a database, which the caller opened and closes.
func Open(db *bbolt.DB, log *slog.Logger, now time.Time) (*Keeper, error) {
	k := &Keeper{db: db, log: log, states: map[string]*State{}, stored: map[string][]byte{}}
	if err := state.Bucket(db, bucket, version); err != nil {
		return nil, fmt.Errorf("opening the rollouts: %w", err)
	}
	err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return nil // new, and opened read-only
		}
		return b.ForEach(func(name, record []byte) error {
			s := &State{}
			if err := json.Unmarshal(record, s); err != nil {
				return fmt.Errorf("the record of %q: %w", name, err)
			}
			(&machine{State: s, now: now}).restarted()
			k.states[string(name)], k.stored[string(name)] = s, slices.Clone(record)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("opening the rollouts: %w", err)
	}
	return k, nil
}

// errUnwritten is the reason of a phone that is held because nothing can be kept.
const errUnwritten = "the appliance cannot write its state, so the rollout waits"

// with lets something happen to a rollout and makes it durable. Where that
// fails, it has not happened.
func (k *Keeper) with(name string, plan Plan, now time.Time, happen func(*machine)) error {
	s := k.states[name]
	if s == nil {
		s = &State{}
	}
	m := &machine{State: s, plan: plan, now: now}
	happen(m)
	if !m.changed {
		return nil
	}
	record, err := json.Marshal(s)
	if err == nil {
		err = k.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(name), record) })
	}
	if err != nil {
		old := &State{}
		if before, ok := k.stored[name]; ok {
			err = errors.Join(err, json.Unmarshal(before, old))
			(&machine{State: old, now: now}).restarted()
			k.states[name] = old
		} else {
			delete(k.states, name)
		}
		return fmt.Errorf("writing the rollout %s: %w", name, err)
	}
	k.states[name], k.stored[name] = s, record
	for _, e := range m.events {
		attrs := []any{"rollout", name, "reason", e.Text}
		if !e.MAC.IsZero() {
			attrs = append(attrs, "mac", e.MAC.String())
		}
		if e.Bad {
			k.log.Warn("rollout", attrs...)
		} else {
			k.log.Info("rollout", attrs...)
		}
	}
	return nil
}

// Report takes a request of a phone and gives the reason why it may not have
// firmware now, "" where it may.
func (k *Keeper) Report(now time.Time, plan Plan, r Report) (hold string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.with(plan.Name, plan, now, func(m *machine) { hold = m.report(r) })
	if err != nil {
		k.log.Error("rollout", "rollout", plan.Name, "err", err)
		return errUnwritten
	}
	return hold
}

// States gives the rollouts as they stand, to look at: what happens to
// them here does not happen there.
func (k *Keeper) States() States {
	k.mu.Lock()
	defer k.mu.Unlock()
	states := make(States, len(k.states))
	for name, s := range k.states {
		states[name] = s.clone()
	}
	return states
}

// Sent notes that a phone of a rollout has got all of an image, named by its path.
func (k *Keeper) Sent(now time.Time, name string, phone mac.Addr, image string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.with(name, Plan{}, now, func(m *machine) { m.sent(phone, image) }); err != nil {
		k.log.Error("rollout", "rollout", name, "err", err)
	}
}

// Run gives up phones that were waited for long enough, until ctx ends.
func (k *Keeper) Run(ctx context.Context, plans func() []Plan) error {
	const every = 15 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			k.Expire(now, plans())
		}
	}
}

// Expire gives up phones that were waited for long enough.
func (k *Keeper) Expire(now time.Time, plans []Plan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, plan := range plans {
		if s := k.states[plan.Name]; s == nil || s.Firmware != plan.Firmware {
			continue // it begins with the first phone that asks
		}
		if err := k.with(plan.Name, plan, now, (*machine).expire); err != nil {
			k.log.Error("rollout", "rollout", plan.Name, "err", err)
		}
	}
}

// Pause holds a rollout.
func (k *Keeper) Pause(now time.Time, plan Plan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.with(plan.Name, plan, now, (*machine).pause)
}

// Resume lets a rollout go on that was paused, or that stopped. Phones that were
// given up are waited for no more, or are tried again.
func (k *Keeper) Resume(now time.Time, plan Plan, retry bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.with(plan.Name, plan, now, func(m *machine) { m.resume(retry) })
}

// View is a rollout for a person.
type View struct {
	Name     string      `json:"name"`
	Firmware string      `json:"firmware"`
	Phase    string      `json:"phase"` // waiting, canaries, wave, paused, stopped, done
	Wave     int         `json:"wave"`
	Open     bool        `json:"open"` // within its hours
	Stopped  string      `json:"stopped,omitempty"`
	Phones   []ViewPhone `json:"phones"`
}

// ViewPhone is a phone of a View. The stage is "waiting" before it is let in.
type ViewPhone struct {
	MAC    mac.Addr `json:"mac"`
	Canary bool     `json:"canary,omitempty"`
	Phone
}

// Waiting is the stage of a phone that was not let in yet.
const Waiting = "waiting"

// View shows a rollout.
func (k *Keeper) View(now time.Time, plan Plan) View {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := View{Name: plan.Name, Firmware: plan.Firmware, Phase: Waiting, Open: plan.Window.Open(now), Phones: []ViewPhone{}}
	s := k.states[plan.Name]
	if s == nil || s.Firmware != plan.Firmware {
		s = &State{}
	}
	v.Wave, v.Stopped = s.Wave, s.Stopped
	switch {
	case s.Stopped != "":
		v.Phase = "stopped"
	case s.Paused:
		v.Phase = "paused"
	case s.Done:
		v.Phase = "done"
	case s.Wave > 0:
		v.Phase = "wave"
	case len(s.Phones) > 0:
		v.Phase = "canaries"
	}
	for phone, p := range s.Phones {
		v.Phones = append(v.Phones, ViewPhone{phone, p.Wave == 0 || plan.isCanary(phone), *p})
	}
	for _, phone := range plan.Phones {
		if s.Phones[phone] == nil {
			v.Phones = append(v.Phones, ViewPhone{phone, plan.isCanary(phone), Phone{Stage: Waiting, Wave: -1}})
		}
	}
	slices.SortFunc(v.Phones, func(a, b ViewPhone) int {
		order := func(v ViewPhone) int {
			if v.Stage == Waiting {
				return 1 << 20
			}
			return v.Wave
		}
		return cmp.Or(cmp.Compare(order(a), order(b)), slices.Compare(a.MAC[:], b.MAC[:]))
	})
	return v
}
