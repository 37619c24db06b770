package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

var (
	anna    = mac.Addr{0, 4, 0x13, 0, 0, 1}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	address = netip.MustParseAddr("192.0.2.10")
	quiet   = slog.New(slog.DiscardHandler)
)

func openDB(t testing.TB, dir string) *bbolt.DB {
	t.Helper()
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func open(t testing.TB, db *bbolt.DB) *Register {
	t.Helper()
	r, err := Open(db, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// got is a phone that has got its own file.
func got(m mac.Addr, at time.Time, body string) Sighting {
	return Sighting{
		Time: at, MAC: m, Proven: true, Configured: true, Owner: m, Model: "snomD785", Version: "10.1.184.14",
		Address: address, Protocol: "http", Slot: "own", Path: "/snomD785/" + m.Hex() + ".xml", Status: 200,
		Revision: body, Content: func() []byte { return []byte("sealed " + body) },
	}
}

// content is what a phone last got of its own file.
func content(t *testing.T, r *Register, m mac.Addr) string {
	t.Helper()
	_, bodies, ok, err := r.Phone(m)
	if err != nil || !ok {
		t.Fatalf("phone %s: %v, %v", m, ok, err)
	}
	return string(bodies["own"])
}

func documents(t *testing.T, db *bbolt.DB) int {
	t.Helper()
	n := 0
	if err := db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(documentBucket).Stats().KeyN
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	r := open(t, db)
	r.Seen(got(anna, noon, "one"))
	if c := content(t, r, anna); c != "sealed one" {
		t.Errorf("before it is written, the content is %q", c)
	}
	if err := r.Flush(minor); err != nil {
		t.Fatal(err)
	}
	refused := got(anna, noon.Add(time.Minute), "")
	refused.Status, refused.Reason, refused.Content = 403, "no", nil
	r.Seen(refused)
	newer := got(anna, noon.Add(2*time.Minute), "two")
	newer.Version, newer.Slot, newer.Path, newer.Start = "10.1.215.13", "general", "/snomD785/general.xml", true
	r.Seen(newer)
	if err := r.Flush(minor); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	want := Phone{
		MAC: anna, Model: "snomD785", Version: "10.1.215.13", Address: address, Proven: true, Configured: true,
		FirstSeen: noon, LastSeen: noon.Add(2 * time.Minute), Starts: 1, Refused: 1,
		Documents: map[string]Document{
			"own": {
				Path: "/snomD785/000413000001.xml", Asked: noon.Add(time.Minute), Status: 403, Reason: "no", Protocol: "http",
				Revision: "one", Got: noon,
			},
			"general": {
				Path: "/snomD785/general.xml", Asked: noon.Add(2 * time.Minute), Status: 200, Protocol: "http",
				Revision: "two", Got: noon.Add(2 * time.Minute),
			},
		},
		Versions: []Version{{"10.1.184.14", noon}, {"10.1.215.13", noon.Add(2 * time.Minute)}},
	}
	r = open(t, openDB(t, dir))
	p, bodies, _, err := r.Phone(anna)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("read again (-want +got)\n%s", diff)
	}
	if string(bodies["own"]) != "sealed one" || string(bodies["general"]) != "sealed two" {
		t.Errorf("read again, the documents are %q", bodies)
	}
}

func TestDocumentsGoWithTheirLastPhone(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	r := open(t, db)
	other := mac.Addr{0, 4, 0x13, 0, 0, 2}
	for i, s := range []Sighting{got(anna, noon, "one"), got(other, noon, "one"), got(anna, noon, "two"), got(other, noon, "two"), got(anna, noon, "one")} {
		r.Seen(s)
		if err := r.Flush(minor); err != nil {
			t.Fatal(err)
		}
		if n, want := documents(t, db), []int{1, 1, 2, 1, 2}[i]; n != want {
			t.Errorf("after step %d there are %d documents, want %d", i, n, want)
		}
	}
	if c := content(t, r, anna); c != "sealed one" {
		t.Errorf("a document that came back is %q", c)
	}
}

// TestBounds floods the register with made-up MACs, then with more lease
// holders than there is room for.
func TestBounds(t *testing.T) {
	t.Parallel()
	r := open(t, openDB(t, t.TempDir()))
	r.Seen(got(anna, noon, "one"))
	made := func(n int, at time.Time, proven bool) Sighting {
		s := got(mac.Addr{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, at, "general")
		s.Configured, s.Proven, s.Slot = false, proven, "general"
		return s
	}
	for n := range 3 * maxClaimed {
		r.Seen(made(n, noon.Add(time.Duration(n)*time.Millisecond), false))
	}
	if n := len(r.Phones()); n != 1+maxClaimed {
		t.Errorf("%d phones after a flood of claims, want %d", n, 1+maxClaimed)
	}
	r.Seen(made(1<<20, noon.Add(time.Hour), false))
	if _, _, ok, _ := r.Phone(made(1<<20, noon, false).MAC); !ok {
		t.Error("a claim does not take the place of one that is an hour old")
	}
	for n := range maxOthers {
		r.Seen(made(1<<24+n, noon.Add(2*time.Hour+time.Duration(n)*time.Second), true))
	}
	if n := len(r.Phones()); n != 1+maxOthers {
		t.Errorf("%d phones, want %d", n, 1+maxOthers)
	}
	if r.claimed != 0 {
		t.Errorf("%d claims stayed beside lease holders", r.claimed)
	}
	if _, _, ok, _ := r.Phone(anna); !ok {
		t.Error("a configured phone had to go")
	}
	if err := r.Flush(minor); err != nil {
		t.Fatal(err)
	}
	if len(r.gone)+len(r.pending)+len(r.unused) != 0 {
		t.Errorf("%d, %d and %d things are left to write", len(r.gone), len(r.pending), len(r.unused))
	}
}

// A phone has one place for each path that it got, and not for what it did not.
func TestPaths(t *testing.T) {
	t.Parallel()
	r := open(t, openDB(t, t.TempDir()))
	asks := func(n int, at time.Time, status int) {
		s := got(anna, at, fmt.Sprint("revision ", n))
		s.Slot, s.Path, s.Status = fmt.Sprintf("/snomd785/%d.xml", n), fmt.Sprintf("/snomD785/%d.xml", n), status
		r.Seen(s)
	}
	has := func() (list []string) {
		p, _, _, err := r.Phone(anna)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(p.Documents))
	}
	asks(0, noon, 404)
	if list := has(); len(list) > 0 {
		t.Errorf("a path that is not there is kept: %v", list)
	}
	asks(0, noon, 200)
	asks(0, noon, 404)
	p, bodies, _, err := r.Phone(anna)
	if d := p.Documents["/snomd785/0.xml"]; err != nil || d.Status != 404 || d.Revision != "revision 0" || string(bodies["/snomd785/0.xml"]) == "" {
		t.Errorf("%+v, %q, %v", d, bodies, err)
	}
	for n := range 2 * maxPaths {
		asks(n, noon, 200)
	}
	if list := has(); len(list) != maxPaths || !slices.Contains(list, "/snomd785/0.xml") {
		t.Errorf("of one start %d paths are kept: %v", len(list), list)
	}
	asks(500, noon.Add(time.Hour), 200)
	if list := has(); len(list) != maxPaths || !slices.Contains(list, "/snomd785/500.xml") {
		t.Errorf("an hour later %d paths are kept: %v", len(list), list)
	}
	if len(r.refs) != maxPaths {
		t.Errorf("%d revisions are in use", len(r.refs))
	}
}

func TestClaimsChangeNoProvenPhone(t *testing.T) {
	t.Parallel()
	r := open(t, openDB(t, t.TempDir()))
	r.Seen(got(anna, noon, "one"))
	spoofed := got(anna, noon.Add(time.Hour), "two")
	spoofed.Proven, spoofed.Address, spoofed.Version = false, netip.MustParseAddr("192.0.2.66"), "99"
	r.Seen(spoofed)
	if p, _, _, _ := r.Phone(anna); p.Address != address || p.Version != "10.1.184.14" || p.Documents["own"].Revision != "one" {
		t.Errorf("a claim made of it %+v", p)
	}

	miss := Sighting{Time: noon, MAC: mac.Addr{2}, Owner: anna, Address: spoofed.Address, Slot: "own", Status: 403, Miss: true}
	r.Seen(miss)
	if p, _, _, _ := r.Phone(anna); p.Misses != 1 || p.LastMiss.Address != spoofed.Address || p.Refused != 0 {
		t.Errorf("a stranger's request made of it %+v", p)
	}
}

// TestWritesWaitAndGather counts transactions while the clock runs.
func TestWritesWaitAndGather(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		r := open(t, db)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		written := func() int64 { s := db.Stats(); return s.TxStats.GetWrite() }
		before := written()
		wait := func(d time.Duration) bool {
			time.Sleep(d)
			synctest.Wait()
			now := written()
			defer func() { before = now }()
			return now != before
		}
		for n := range 8 {
			r.Seen(got(mac.Addr{0, 4, 0x13, 1, 0, byte(n)}, noon, "one"))
			if wait(time.Second) {
				t.Errorf("phone %d was written at once", n)
			}
		}
		if !wait(majorEvery) {
			t.Error("nothing was written in time")
		}
		r.Seen(got(anna, noon, "one"))
		wait(2 * majorEvery)
		for range 10 {
			r.Seen(got(anna, time.Now(), "one"))
			if wait(majorEvery) {
				t.Error("a later request for the same was written early")
			}
		}
		if !wait(minorEvery) {
			t.Error("the time of a request was never written")
		}
		if wait(24 * time.Hour) {
			t.Error("something was written while nothing changed")
		}
		r.Seen(got(anna, time.Now(), "two"))
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if again := open(t, db); content(t, again, anna) != "sealed two" {
			t.Error("what was seen last is lost at the end")
		}
	})
}

func TestOtherVersionIsRefused(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	if err := state.Bucket(db, phoneBucket, "0"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(db, quiet); !errors.Is(err, state.ErrVersion) {
		t.Errorf("opening version 0: %v", err)
	}
}

// TestFailedWrite closes the database under the register.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	r := open(t, db)
	r.Seen(got(anna, noon, "one"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(minor); err == nil {
		t.Fatal("a write to a closed database is no error")
	}
	r.db = openDB(t, dir)
	if err := r.Flush(minor); err != nil {
		t.Fatal(err)
	}
	if c := content(t, open(t, r.db), anna); c != "sealed one" {
		t.Errorf("after a failure the content is %q", c)
	}
}

func BenchmarkSeen(b *testing.B) {
	r := open(b, openDB(b, b.TempDir()))
	var all []Sighting
	for n := range 1000 {
		all = append(all, got(mac.Addr{0, 4, 0x13, 0, byte(n >> 8), byte(n)}, noon, fmt.Sprint(n)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Seen(all[i%len(all)])
	}
}

// A phone that had its file by more than its address, then by that alone, then by
// more again.
func TestWeaker(t *testing.T) {
	t.Parallel()
	r := open(t, openDB(t, t.TempDir()))
	s := got(anna, noon, "one")
	for i, step := range []struct {
		witness string
		strong  bool
		status  int
		weaker  time.Time
	}{
		{"lease", false, 200, time.Time{}},
		{"certificate", true, 200, time.Time{}},
		{"lease", false, 403, time.Time{}}, // it did not get it
		{"lease", false, 200, noon.Add(3 * time.Hour)},
		{"lease", false, 200, noon.Add(3 * time.Hour)},
		{"certificate", true, 403, noon.Add(3 * time.Hour)},
		{"certificate", true, 200, time.Time{}},
		{"lease", false, 200, noon.Add(7 * time.Hour)},
		{"credentials", true, 200, time.Time{}},
		{"certificate", true, 200, time.Time{}},
		{"neighbour", false, 200, noon.Add(10 * time.Hour)},
		{"lease", false, 200, noon.Add(10 * time.Hour)}, // an address that was leased is no more than an address
		{"neighbour", false, 200, noon.Add(10 * time.Hour)},
		{"credentials", true, 200, time.Time{}},
	} {
		s.Time, s.Witness, s.Strong, s.Status = noon.Add(time.Duration(i)*time.Hour), step.witness, step.strong, step.status
		r.Seen(s)
		if p := r.Phones()[0]; !p.Weaker.Equal(step.weaker) {
			t.Errorf("step %d: weaker %v, want %v", i, p.Weaker, step.weaker)
		}
	}
}

// Who flaps between witnesses is marked each time, and logged once an hour.
func TestWeakerIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	r, err := Open(openDB(t, t.TempDir()), slog.New(slog.NewTextHandler(&lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := got(anna, noon, "one")
	for i := range 130 {
		s.Time = noon.Add(time.Duration(i) * time.Minute)
		s.Strong, s.Witness = i%2 == 0, []string{"certificate", "lease"}[i%2]
		r.Seen(s)
		if marked := !r.Phones()[0].Weaker.IsZero(); marked == s.Strong {
			t.Fatalf("minute %d, by %s: marked is %v", i, s.Witness, marked)
		}
	}
	if less, again := strings.Count(lines.String(), "by less than before"), strings.Count(lines.String(), "shows again"); less != 3 || again != 3 {
		t.Errorf("in two hours %d warnings and %d ends of them:\n%s", less, again, &lines)
	}
}

// What an administrator has looked at is gone, also after a restart.
func TestSettle(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	r := open(t, db)
	if marked, ok := r.Settle(anna); marked || ok {
		t.Errorf("of a phone that was never seen: %v, %v", marked, ok)
	}
	ask := Sighting{Time: noon.Add(time.Hour), MAC: anna, Configured: true, Owner: anna, Address: address, Protocol: "http", Slot: "own", Path: "/x", Status: 401}
	s := got(anna, noon, "one")
	s.Strong, s.Witness = true, "credentials"
	r.Seen(s)
	r.Seen(ask)
	if c := r.Phones()[0].Challenged; c == nil || *c != (Stranger{address, ask.Time}) {
		t.Errorf("asked without credentials: %v", c)
	}
	s.Time = noon.Add(2 * time.Hour)
	r.Seen(s)
	if c := r.Phones()[0].Challenged; c != nil {
		t.Errorf("asked with credentials then: %v", c)
	}
	s.Strong, s.Witness = false, "lease"
	r.Seen(s)
	if r.Phones()[0].Weaker.IsZero() {
		t.Error("the phone is not marked")
	}
	r.Seen(ask)
	if c := r.Phones()[0].Challenged; c != nil {
		t.Errorf("it is known by its address, which asks for no credentials: %v", c)
	}
	if marked, ok := r.Settle(anna); !marked || !ok {
		t.Errorf("of a marked phone: %v, %v", marked, ok)
	}
	if marked, ok := r.Settle(anna); marked || !ok {
		t.Errorf("once more: %v, %v", marked, ok)
	}
	if err := r.Flush(minor); err != nil {
		t.Fatal(err)
	}
	if p := open(t, db).Phones()[0]; !p.Weaker.IsZero() {
		t.Errorf("after a restart: %v", p.Weaker)
	}
}
