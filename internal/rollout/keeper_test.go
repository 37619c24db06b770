package rollout

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dialtone/internal/state"
)

// What was decided outlives the program, and what cannot be kept is not decided.
func TestKeeper(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	open := func() (*Keeper, func() error) {
		t.Helper()
		db, err := state.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		k, err := Open(db, slog.New(slog.NewTextHandler(&log, nil)), noon)
		if err != nil {
			t.Fatal(err)
		}
		return k, db.Close
	}
	plan := Plan{Name: "r", Firmware: "new", CanaryCount: 1, Wave: 3, Downloads: 5, Patience: 30 * time.Minute}
	ask := func(n int, version string) Report {
		r := Report{MAC: phone(n), Known: true, Version: version, Reached: version == "new", Ready: true, Asks: true}
		if !r.Reached {
			r.Image = "new.bin"
		}
		return r
	}
	k, end := open()
	if hold := k.States().Hold(noon, plan, ask(1, "old")); hold != "" {
		t.Errorf("a preview: %s", hold)
	}
	if v := k.View(noon, plan); len(v.Phones) != 0 || v.Phase != Waiting {
		t.Errorf("after a preview: %+v", v)
	}
	if hold := k.Report(noon, plan, ask(1, "old")); hold != "" {
		t.Errorf("the canary: %s", hold)
	}
	k.Sent(noon, "r", phone(1), "new.bin")
	if err := end(); err != nil {
		t.Fatal(err)
	}
	k, end = open()
	if v := k.View(noon, plan); v.Phase != "canaries" || v.Phones[0].Stage != Loaded {
		t.Errorf("after a restart: %+v", v)
	}
	if hold := k.Report(noon, plan, ask(2, "old")); !strings.Contains(hold, "canaries") {
		t.Errorf("the second phone: %q", hold)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	// Nothing can be written any more.
	if hold := k.Report(noon, plan, ask(1, "new")); hold != errUnwritten {
		t.Errorf("with a state that cannot be written: %q", hold)
	}
	if v := k.View(noon, plan); v.Phones[0].Stage != Loaded {
		t.Errorf("what was not written counts: %+v", v)
	}
	if n := strings.Count(log.String(), "it is told of new.bin"); n != 1 {
		t.Errorf("a change is logged %d times:\n%s", n, log.String())
	}
}
