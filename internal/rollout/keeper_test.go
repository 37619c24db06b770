package rollout

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

var testPlan = Plan{Name: "r", Firmware: "new", CanaryCount: 1, Wave: 3, Downloads: 5, Patience: 30 * time.Minute}

func asks(phone mac.Addr, version string) Report {
	r := Report{MAC: phone, Known: true, Version: version, Reached: version == "new", Ready: true, Asks: true}
	if !r.Reached {
		r.Image = "new.bin"
	}
	return r
}

func openDB(t testing.TB, dir string) *bbolt.DB {
	t.Helper()
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openKeeper(t interface {
	Helper()
	Fatal(args ...any)
}, db *bbolt.DB, log *bytes.Buffer,
) *Keeper {
	t.Helper()
	handler := slog.DiscardHandler
	if log != nil {
		handler = slog.NewTextHandler(log, nil)
	}
	k, err := Open(db, slog.New(handler), noon)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What was decided outlives the program, and what cannot be kept is not decided.
func TestKeeper(t *testing.T) {
	t.Parallel()
	dir, plan := t.TempDir(), testPlan
	var log bytes.Buffer
	db := openDB(t, dir)
	k := openKeeper(t, db, &log)
	if hold := k.Snapshot(noon).Hold(plan, asks(phone(1), "old")); hold != "" {
		t.Errorf("a preview: %s", hold)
	}
	if v := k.View(noon, plan); len(v.Phones) != 0 || v.Phase != Waiting {
		t.Errorf("after a preview: %+v", v)
	}
	if hold := k.Report(noon, plan, asks(phone(1), "old")); hold != "" {
		t.Errorf("the canary: %s", hold)
	}
	k.Sent(noon, "r", phone(1), "new.bin")
	// The program is killed. That the image was sent will show.
	db.Close()
	db = openDB(t, dir)
	k = openKeeper(t, db, &log)
	if v := k.View(noon, plan); v.Phase != "canaries" || v.Phones[0].Stage != Loading {
		t.Errorf("after it was killed: %+v", v)
	}
	k.Sent(noon, "r", phone(1), "new.bin")
	if err := k.Flush(); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = openDB(t, dir)
	k = openKeeper(t, db, &log)
	if v := k.View(noon, plan); v.Phase != "canaries" || v.Phones[0].Stage != Loaded {
		t.Errorf("after a restart: %+v", v)
	}
	if hold := k.Report(noon, plan, asks(phone(2), "old")); !strings.Contains(hold, "canaries") {
		t.Errorf("the second phone: %q", hold)
	}
	// Nothing can be written any more.
	db.Close()
	if hold := k.Report(noon, plan, asks(phone(1), "new")); hold != "" {
		t.Errorf("one that is there, with a state that cannot be written: %q", hold)
	}
	for range 3 {
		if hold := k.Report(noon, plan, asks(phone(2), "old")); hold != errUnwritten {
			t.Errorf("with a state that cannot be written: %q", hold)
		}
	}
	if v := k.View(noon, plan); len(v.Phones) != 1 {
		t.Errorf("what was not written counts: %+v", v)
	}
	for text, want := range map[string]int{"it is told of new.bin": 1, "cannot be kept": 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, log.String())
		}
	}
	// It can be again, and everything is there.
	k.db = openDB(t, dir)
	if hold := k.Report(noon, plan, asks(phone(2), "old")); hold != "" {
		t.Errorf("when the state can be written again: %q", hold)
	}
	if s := onDisk(t, k.db); s.Phones[phone(1)].Stage != Updated || s.Phones[phone(2)].Stage != Loading {
		t.Errorf("on the disk: %+v %+v", s.Phones[phone(1)], s.Phones[phone(2)])
	}
}

func onDisk(t interface{ Fatal(args ...any) }, db *bbolt.DB) *State {
	s := &State{Phones: map[mac.Addr]*Phone{}}
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if b := tx.Bucket(bucket).Bucket([]byte("r")); b != nil {
			s, err = read(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCrash ends the program at any moment, and has the disk fail. What an answer
// went by is there; what was not written yet, phones tell again.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, broken := openDB(t, dir), openDB(t, t.TempDir())
	good.NoSync = true
	broken.Close()
	rapid.Check(t, func(t *rapid.T) {
		err := good.Update(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(bucket); b != nil && b.Bucket([]byte("r")) != nil {
				return b.DeleteBucket([]byte("r"))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		plan, now := testPlan, noon
		k := openKeeper(t, good, nil)
		runs := map[mac.Addr]string{}
		someone := rapid.Map(rapid.IntRange(1, 8), phone)
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				who := someone.Draw(t, "who")
				version := rapid.SampledFrom([]string{"old", "old", "new"}).Draw(t, "version")
				runs[who] = version
				if hold := k.Report(now, plan, asks(who, version)); hold != "" || version == "new" {
					return
				}
				s := onDisk(t, good)
				if p := s.Phones[who]; p == nil || !p.inFlight() {
					t.Fatalf("%s is let in, and the disk has %+v", who, p)
				}
				if s.Paused || s.Stopped != "" {
					t.Fatalf("%s is let in, and the disk has a rollout that waits", who)
				}
			},
			"load":  func(t *rapid.T) { k.Sent(now, "r", someone.Draw(t, "who"), "new.bin") },
			"crash": func(t *rapid.T) { k = openKeeper(t, good, nil) },
			"break": func(*rapid.T) { k.db = broken },
			"mend":  func(*rapid.T) { k.db = good },
			"pause": func(t *rapid.T) {
				if k.Pause(now, plan) == nil && !onDisk(t, good).Paused {
					t.Fatal("it is paused, and the disk does not say so")
				}
			},
			"resume": func(t *rapid.T) {
				if k.Resume(now, plan, rapid.Bool().Draw(t, "retry")) == nil && onDisk(t, good).Paused {
					t.Fatal("it goes on, and the disk does not say so")
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
				k.Expire(now, []Plan{plan})
				if s := k.states["r"]; s != nil && s.Stopped != "" && k.db == good && onDisk(t, good).Stopped != s.Stopped {
					t.Fatalf("it has stopped (%s), and the disk does not say so", s.Stopped)
				}
			},
			"retarget": func(t *rapid.T) { plan.Firmware = rapid.SampledFrom([]string{"new", "newer"}).Draw(t, "firmware") },
			"flush": func(t *rapid.T) {
				if k.Flush() != nil || k.states["r"] == nil {
					return
				}
				got, want := onDisk(t, good), k.states["r"].clone(now)
				for _, s := range []*State{got, want} {
					for _, p := range s.Phones {
						p.Since = time.Time{} // begins anew with the program
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("what is to be on the disk, and is not:\n%s", diff)
				}
			},
		})
		// Once every phone has asked again, all is known that a crash has lost.
		k.db = good
		plan.Firmware = "new"
		k = openKeeper(t, good, nil)
		for who, version := range runs {
			k.Report(now, plan, asks(who, version))
		}
		for _, p := range k.View(now, plan).Phones {
			if (p.Stage == Updated) != (runs[p.MAC] == "new") {
				t.Fatalf("%s runs %q, and is %s", p.MAC, runs[p.MAC], p.Stage)
			}
		}
	})
}

// commits counts the transactions of a database.
func commits(t testing.TB, db *bbolt.DB) (n int) {
	t.Helper()
	if err := db.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// When the power comes back, hundreds of phones ask at once and run the target.
// None of them waits for the disk; those that are let in wait together.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	k := openKeeper(t, db, nil)
	before := commits(t, db)
	for n := range 500 {
		if hold := k.Report(noon, testPlan, asks(mac.Addr{0, 4, 0x13, 0, byte(n >> 8), byte(n)}, "new")); hold != "" {
			t.Fatal(hold)
		}
	}
	if n := commits(t, db) - before; n != 0 {
		t.Errorf("500 phones that run the target were %d transactions, want 0", n)
	}
	plan := testPlan
	plan.CanaryCount, plan.Wave, plan.Downloads = 0, 50, 50
	k.writing.Lock() // while somebody writes
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			if hold := k.Report(noon, plan, asks(mac.Addr{0, 4, 0x13, 1, 0, byte(n)}, "old")); hold != "" {
				t.Error(hold)
			}
		})
	}
	for let := 0; let < 50; {
		let = 0
		for _, p := range k.Snapshot(noon).States["r"].Phones {
			if p.Stage == Loading {
				let++
			}
		}
	}
	k.writing.Unlock()
	all.Wait()
	if n := commits(t, db) - before; n != 1 {
		t.Errorf("50 phones that were let in were %d transactions, want 1", n)
	}
	if n := len(onDisk(t, db).Phones); n != 550 {
		t.Errorf("the disk has %d phones, want 550", n)
	}
}

func BenchmarkPowerCut(b *testing.B) {
	db := openDB(b, b.TempDir())
	k, err := Open(db, slog.New(slog.DiscardHandler), noon)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for n := range 500 {
			k.Report(noon, testPlan, asks(mac.Addr{0, 4, 0x13, 0, byte(n >> 8), byte(n)}, "new"))
		}
		for name := range k.states {
			delete(k.states, name)
		}
	}
}

// A rollout that the configuration has no more is forgotten, on the disk too: one of
// the same name would wait for phones that have long gone.
func TestForgotten(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	k := openKeeper(t, db, nil)
	k.Report(noon, testPlan, asks(phone(1), "old"))
	k.Expire(noon, []Plan{testPlan})
	if n := len(onDisk(t, db).Phones); n != 1 {
		t.Fatalf("the disk has %d phones, want 1", n)
	}
	other := testPlan
	other.Name = "other"
	k.Expire(noon, []Plan{other})
	if err := k.Flush(); err != nil {
		t.Fatal(err)
	}
	if s := onDisk(t, db); s.Firmware != "" || len(s.Phones) != 0 {
		t.Errorf("the disk still has %+v", s)
	}
	later := noon.Add(24 * time.Hour)
	k.Report(later, testPlan, asks(phone(2), "old"))
	k.Expire(later, []Plan{testPlan})
	if v := k.View(later, testPlan); v.Stopped != "" || len(v.Phones) != 1 {
		t.Errorf("when it is there again: %+v", v)
	}
}

// Another program sees the rollouts by the clock and in the zone of the one that
// keeps them, though its own may be set otherwise.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	k := openKeeper(t, openDB(t, t.TempDir()), nil)
	plan := testPlan
	k.Report(time.Now(), plan, asks(phone(1), "old"))
	// The clock was set back by a year, and ten minutes passed.
	wrong := time.Now().Add(-365 * 24 * time.Hour)
	k.states["r"].Phones[phone(1)].Since = wrong.Add(-10 * time.Minute)
	zone := time.FixedZone("", 10*3600)
	text, err := json.Marshal(k.Snapshot(wrong.In(zone)))
	if err != nil {
		t.Fatal(err)
	}
	var shot Snapshot
	if err := json.Unmarshal(text, &shot); err != nil {
		t.Fatal(err)
	}
	if hold := shot.Hold(plan, asks(phone(1), "old")); hold != "" {
		t.Errorf("a phone that is on its way: %s", hold)
	}
	minute := wrong.In(zone).Hour()*60 + wrong.In(zone).Minute()
	plan.Window = Window{minute, (minute + 2) % (24 * 60)}
	plan.CanaryCount = 2
	if hold := shot.Hold(plan, asks(phone(2), "old")); hold != "" {
		t.Errorf("within the hours of the other zone: %s", hold)
	}
}
