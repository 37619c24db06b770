package rollout

import (
	"bytes"
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
	bbolterrors "go.etcd.io/bbolt/errors"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// version is of the records. Another one is refused.
const version = "2"

// bucket has a bucket for each rollout, by its name. In that, the state has the
// key "rollout", and each phone that of its six octets.
var (
	bucket   = []byte("rollouts")
	stateKey = []byte("rollout")
)

// Keeper keeps the rollouts. It is safe for concurrent use.
//
// Of what changes, what may not be lost is on the disk before the answer leaves
// that goes by it. The rest is written within writeEvery, all of it at once: when
// the power comes back, hundreds of phones say that they run the target.
type Keeper struct {
	db   *bbolt.DB
	log  *slog.Logger
	wake chan struct{}

	writing sync.Mutex // held while the disk is written; taken before mu

	mu      sync.Mutex
	states  map[string]*State
	pending map[string]change // in states, and neither on the disk nor on its way there
	failing bool              // the disk could not be written
}

const (
	expireEvery = 15 * time.Second
	writeEvery  = 2 * time.Second
)

// Open reads the rollouts of a database, which the caller opened and closes.
func Open(db *bbolt.DB, log *slog.Logger, now time.Time) (*Keeper, error) {
	k := &Keeper{db: db, log: log, wake: make(chan struct{}, 1), states: map[string]*State{}, pending: map[string]change{}}
	if err := state.Bucket(db, bucket, version); err != nil {
		return nil, fmt.Errorf("opening the rollouts: %w", err)
	}
	err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return nil // new, and opened read-only
		}
		return b.ForEachBucket(func(name []byte) error {
			s, err := read(b.Bucket(name))
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			(&machine{State: s, now: now}).restarted()
			k.states[string(name)] = s
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("opening the rollouts: %w", err)
	}
	return k, nil
}

func read(b *bbolt.Bucket) (*State, error) {
	s := &State{Phones: map[mac.Addr]*Phone{}}
	return s, b.ForEach(func(key, record []byte) error {
		if bytes.Equal(key, stateKey) {
			return json.Unmarshal(record, s)
		}
		var phone mac.Addr
		if copy(phone[:], key) != len(key) {
			return fmt.Errorf("%q is the key of no record", key)
		}
		p := &Phone{}
		if err := json.Unmarshal(record, p); err != nil {
			return fmt.Errorf("the record of %s: %w", phone, err)
		}
		s.Phones[phone] = p
		return nil
	})
}

// errUnwritten is the reason of a phone that is held because nothing can be kept.
const errUnwritten = "the appliance cannot write its state, so the rollout waits"

// with lets something happen to a rollout. Whoever may not go on before it is on
// the disk settles it. k.mu is held.
func (k *Keeper) with(name string, plan Plan, now time.Time, happen func(*machine)) *machine {
	s := k.states[name]
	if s == nil {
		s = &State{}
	}
	m := &machine{State: s, plan: plan, now: now}
	happen(m)
	if m.change.isEmpty() {
		return m
	}
	k.states[name] = s
	k.change(name, m.change)
	return m
}

// change notes what there is to write. k.mu is held.
func (k *Keeper) change(name string, c change) {
	sum := k.pending[name]
	sum.add(c)
	k.pending[name] = sum
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// settle returns when all that is urgent is on the disk. Those who come while
// somebody writes have theirs written by one of them.
func (k *Keeper) settle() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	urgent := false
	for _, c := range k.pending {
		urgent = urgent || c.urgent
	}
	k.mu.Unlock()
	if !urgent {
		return nil
	}
	return k.write()
}

// Flush writes what is not on the disk yet.
func (k *Keeper) Flush() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.write()
}

// records are what to write of a rollout.
type records struct {
	delete bool                // what there is
	self   []byte              // nil: stays
	phones map[mac.Addr][]byte // nil for one to forget
}

// write writes all that is pending. k.writing is held.
func (k *Keeper) write() error {
	k.mu.Lock()
	changes := k.pending
	if len(changes) == 0 {
		k.mu.Unlock()
		return nil
	}
	k.pending = map[string]change{}
	batch, err := k.collect(changes)
	k.mu.Unlock()
	if err == nil {
		err = k.db.Update(func(tx *bbolt.Tx) error {
			for name, r := range batch {
				if err := r.put(tx.Bucket(bucket), []byte(name)); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		for name, c := range changes {
			c.add(k.pending[name])
			k.pending[name] = c
		}
		err = fmt.Errorf("writing the rollouts: %w", err)
		if !k.failing {
			k.log.Error("what the rollouts decide cannot be kept, so no phone is let in: the disk is full, or broken", "err", err)
		}
	} else if k.failing {
		k.log.Info("what the rollouts decide can be kept again")
	}
	k.failing = err != nil
	return err
}

func (k *Keeper) collect(changes map[string]change) (map[string]records, error) {
	batch := map[string]records{}
	var errs []error
	marshal := func(v any) []byte {
		record, err := json.Marshal(v)
		errs = append(errs, err)
		return record
	}
	for name, c := range changes {
		s := k.states[name]
		r := records{delete: c.anew || s == nil, phones: map[mac.Addr][]byte{}}
		if s != nil {
			if c.anew || c.self {
				self := *s
				self.Phones = nil // which have records of their own
				r.self = marshal(self)
			}
			for phone := range c.phones {
				r.phones[phone] = nil
				if p := s.Phones[phone]; p != nil {
					r.phones[phone] = marshal(p)
				}
			}
		}
		batch[name] = r
	}
	return batch, errors.Join(errs...)
}

func (r records) put(all *bbolt.Bucket, name []byte) error {
	if r.delete {
		if err := all.DeleteBucket(name); err != nil && !errors.Is(err, bbolterrors.ErrBucketNotFound) {
			return err
		}
	}
	if r.self == nil && len(r.phones) == 0 {
		return nil
	}
	b, err := all.CreateBucketIfNotExists(name)
	if err != nil {
		return err
	}
	if r.self != nil {
		if err := b.Put(stateKey, r.self); err != nil {
			return err
		}
	}
	for phone, record := range r.phones {
		if record == nil {
			err = b.Delete(phone[:])
		} else {
			err = b.Put(phone[:], record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell logs what happened to a rollout.
func (k *Keeper) tell(name string, events []Event) {
	for _, e := range events {
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
}

// Report takes a request of a phone and gives the reason why it may not have
// firmware now, "" where it may.
func (k *Keeper) Report(now time.Time, plan Plan, r Report) (hold string) {
	k.mu.Lock()
	m := k.with(plan.Name, plan, now, func(m *machine) { hold = m.report(r) })
	k.mu.Unlock()
	if m.change.urgent {
		err := k.settle()
		if m.told != nil && !k.may(m, r.MAC, err) {
			hold = errUnwritten
			m.events = slices.DeleteFunc(m.events, func(e Event) bool { return e.Let })
		}
	}
	k.tell(plan.Name, m.events)
	return hold
}

// may reports whether a phone can be told what it was let in for: that is on the
// disk. One that was let in just now, and is not, has not been.
func (k *Keeper) may(m *machine, phone mac.Addr, err error) bool {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch missing := k.pending[m.plan.Name]; {
	case k.states[m.plan.Name] != m.State || m.Phones[phone] != m.told:
		return false // somebody else has taken it back
	case err == nil || !missing.anew && !missing.self && !missing.phones[phone]:
		return true
	case m.let:
		delete(m.Phones, phone)
		k.change(m.plan.Name, change{phones: map[mac.Addr]bool{phone: true}})
	}
	return false
}

// Snapshot is the rollouts as they stand, to look at: what happens to them here does
// not happen there. Now is the moment, in the local time of who took it.
type Snapshot struct {
	Now    time.Time         `json:"now"`
	States map[string]*State `json:"states"`
}

// Snapshot gives the rollouts as they stand.
func (k *Keeper) Snapshot(now time.Time) Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	shot := Snapshot{now, make(map[string]*State, len(k.states))}
	for name, s := range k.states {
		shot.States[name] = s.clone(now)
	}
	return shot
}

// Hold says what Report of the Keeper would, and changes nothing.
func (s Snapshot) Hold(plan Plan, r Report) (hold string) {
	state := &State{}
	if known := s.States[plan.Name]; known != nil {
		state = known.clone(s.Now)
	}
	return (&machine{State: state, plan: plan, now: s.Now}).report(r)
}

// Sent notes that a phone of a rollout has got all of an image, named by its path.
func (k *Keeper) Sent(now time.Time, name string, phone mac.Addr, image string) {
	k.mu.Lock()
	m := k.with(name, Plan{}, now, func(m *machine) { m.sent(phone, image) })
	k.mu.Unlock()
	k.tell(name, m.events)
}

// Run gives up phones that were waited for long enough, and writes what there is to
// write, until ctx ends.
func (k *Keeper) Run(ctx context.Context, plans func() []Plan) error {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	write, due := time.NewTimer(0), true
	defer write.Stop()
	for {
		select {
		case <-ctx.Done():
			return k.Flush()
		case now := <-expire.C:
			k.Expire(now, plans())
		case <-k.wake:
			if !due {
				write.Reset(writeEvery)
				due = true
			}
		case <-write.C:
			due = k.Flush() != nil // which is logged
			if due {
				write.Reset(expireEvery)
			}
		}
	}
}

// Expire gives up phones that were waited for long enough, and forgets rollouts and
// phones of theirs that the configuration has there no more.
func (k *Keeper) Expire(now time.Time, plans []Plan) {
	k.mu.Lock()
	events := map[string][]Event{}
	for _, plan := range plans {
		if s := k.states[plan.Name]; s == nil || s.Firmware != plan.Firmware {
			continue // it begins with the first phone that asks
		}
		m := k.with(plan.Name, plan, now, func(m *machine) {
			m.leave()
			m.expire()
		})
		events[plan.Name] = m.events
	}
	for name := range k.states {
		if !slices.ContainsFunc(plans, func(p Plan) bool { return p.Name == name }) {
			delete(k.states, name)
			k.change(name, change{anew: true})
			events[name] = []Event{{Text: "it is not in the configuration any more: how far it was is forgotten"}}
		}
	}
	k.mu.Unlock()
	_ = k.settle() // a failure is logged, and tried again
	for name, list := range events {
		k.tell(name, list)
	}
}

// Pause holds a rollout.
func (k *Keeper) Pause(now time.Time, plan Plan) error {
	return k.steer(now, plan, (*machine).pause)
}

// Resume lets a rollout go on that was paused, or that stopped. Phones that were
// given up are waited for no more, or are tried again.
func (k *Keeper) Resume(now time.Time, plan Plan, retry bool) error {
	return k.steer(now, plan, func(m *machine) { m.resume(retry) })
}

func (k *Keeper) steer(now time.Time, plan Plan, how func(*machine)) error {
	k.mu.Lock()
	m := k.with(plan.Name, plan, now, how)
	k.mu.Unlock()
	k.tell(plan.Name, m.events)
	if err := k.settle(); err != nil {
		return fmt.Errorf("it is done, but a restart would undo it: %w", err)
	}
	return nil
}

// View is a rollout for a person.
type View struct {
	Name     string      `json:"name"`
	Firmware string      `json:"firmware"`
	Phase    string      `json:"phase"` // waiting, canaries, wave, paused, stopped, done
	Wave     int         `json:"wave"`
	Now      time.Time   `json:"now"` // the service's, with its zone
	Window   string      `json:"window,omitempty"`
	Open     bool        `json:"open"` // within its hours
	Paused   bool        `json:"paused,omitempty"`
	Stopped  string      `json:"stopped,omitempty"`
	Phones   []ViewPhone `json:"phones"`
}

// ViewPhone is a phone of a View. The stage is "waiting" before it is let in;
// Reason then says why it waits, where that is known.
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
	v := View{Name: plan.Name, Firmware: plan.Firmware, Phase: Waiting, Now: now, Open: plan.Window.Open(now), Phones: []ViewPhone{}}
	if plan.Window != (Window{}) {
		v.Window = plan.Window.String()
	}
	s := k.states[plan.Name]
	if s == nil || s.Firmware != plan.Firmware {
		s = &State{}
	}
	s = s.clone(now)
	v.Wave, v.Paused, v.Stopped = s.Wave, s.Paused, s.Stopped
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
