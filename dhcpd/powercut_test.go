package dhcpd

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dialtone/dhcpd/lease"
	"dialtone/internal/state"
)

var powerCuts = flag.Int("powercuts", 10_000, "how many power cuts TestPowerCuts simulates")

// disk is what bbolt writes to a file, as it does: it replaces the one function
// by which a database writes. The pages of a commit come first, and are synced;
// then comes the meta page, and is synced.
type disk struct {
	real   func([]byte, int64) (int, error)
	writes []diskWrite
	fail   func(off int64) (before, after error) // for tests of a disk that fails
}

type diskWrite struct {
	off  int64
	data []byte
}

// meta reports whether the write is of one of the two pages that say which
// others count.
func (w diskWrite) meta(db *bbolt.DB) bool { return w.off < int64(2*db.Info().PageSize) }

func watchDisk(t rapid.TB, db *bbolt.DB) *disk {
	t.Helper()
	f := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	if f.Kind() != reflect.Func {
		t.Fatal("bbolt writes in another way now")
	}
	writeAt := (*func([]byte, int64) (int, error))(unsafe.Pointer(f.UnsafeAddr()))
	d := &disk{real: *writeAt}
	*writeAt = func(b []byte, off int64) (int, error) {
		var before, after error
		if d.fail != nil {
			before, after = d.fail(off)
		}
		if before != nil {
			return 0, before
		}
		d.writes = append(d.writes, diskWrite{off, bytes.Clone(b)})
		n, err := d.real(b, off)
		return n, errors.Join(err, after)
	}
	return d
}

const sector = 512

// put writes to an image of the disk, all of it or the sectors that chance
// lets through.
func (w diskWrite) put(image []byte, chance func() bool) []byte {
	if n := int(w.off) + len(w.data); n > len(image) {
		image = append(image, make([]byte, n-len(image))...)
	}
	for i := 0; i < len(w.data); i += sector {
		if chance == nil || chance() {
			copy(image[int(w.off)+i:], w.data[i:min(i+sector, len(w.data))])
		}
	}
	return image
}

// leases are what a store has, by address.
type leases map[netip.Addr]string

func record(l *lease.Lease) string {
	return fmt.Sprintf("%v %v %q %d", l.State, l.MAC, l.ClientID, l.Recorded)
}

// TestPowerCuts has clients lease, renew, move, release and decline, records
// what is written, and cuts the power at every point of it: between writes, and
// within those that no sync has confirmed, of which any sectors may be on the
// disk and any may not. What is found has to be what was there after the last
// commit that was confirmed, or the one after it whole.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	dir, cutDir := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, state.File)
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	read := func() (time.Time, time.Duration) { return now, time.Duration(now.UnixNano()) }
	d := watchDisk(t, db)
	store, err := lease.Open(db, read)
	if err != nil {
		t.Fatal(err)
	}
	h := handler{table: lease.NewTable(nil)}
	c := office()
	c.Networks[0].Ranges[0].Last = netip.MustParseAddr("192.0.2.69")
	p, err := compile(c)
	if err != nil {
		t.Fatal(err)
	}
	h.configure(p, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})

	rnd := rand.New(rand.NewPCG(1, 2))
	torn := func() bool { return rnd.IntN(2) == 0 }
	cuts := 0
	// cut cuts the power n times while d.writes are on their way.
	cut := func(n int, before, after leases) {
		t.Helper()
		if last := d.writes[len(d.writes)-1]; !last.meta(db) {
			t.Fatal("the last write of a commit is not the meta page")
		}
		for range n {
			cut := bytes.Clone(image)
			point := cuts % (len(d.writes) + 1)
			for i, w := range d.writes[:point] {
				if confirmed := point == len(d.writes) && i < point-1; confirmed {
					cut = w.put(cut, nil)
				} else {
					cut = w.put(cut, torn)
				}
			}
			checkCut(t, cutDir, cut, read, before, after)
			if t.Failed() {
				t.Fatalf("write %d of %d", point, len(d.writes))
			}
			cuts++
		}
		for _, w := range d.writes {
			image = w.put(image, nil)
		}
		checkCut(t, cutDir, image, read, after, after)
		d.writes = d.writes[:0]
	}
	firstStart(t, cutDir, image, *powerCuts/20, torn, read)
	cut(*powerCuts/20, leases{}, leases{}) // the buckets are made

	had := leases{}
	const commits = 400
	rest := *powerCuts - cuts - *powerCuts/20
	for commit := 0; commit < commits; {
		now = now.Add(time.Duration(rnd.IntN(600)) * time.Second)
		for range 1 + rnd.IntN(6) {
			randomMessage(rnd, &h, now)
		}
		next := leases{}
		for a, l := range had {
			next[a] = l
		}
		changes := h.table.Pending()
		for _, c := range changes {
			if c.Write {
				next[c.After.Addr] = record(c.After)
			}
			// What a client is told is never later than what is on record.
			if c.After.State == lease.Leased && next[c.After.Addr] != record(c.After) || c.After.Recorded < c.After.Expiry {
				t.Fatalf("%v is granted until %v, and recorded as %s", c.After.Addr, c.After.Expiry, next[c.After.Addr])
			}
		}
		if err := store.Write(changes); err != nil {
			t.Fatal(err)
		}
		h.table.Commit(len(changes))
		if len(d.writes) == 0 {
			continue
		}
		commit++
		cut(rest*commit/commits-rest*(commit-1)/commits, had, next)
		had = next
	}
	if real, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(real, image) {
		t.Error("the writes that were seen do not make the file", err)
	}
	t.Logf("%d cuts, %d leases at the end", *powerCuts/20+cuts, len(had))
}

// randomMessage has one of 80 clients send what it may.
func randomMessage(rnd *rand.Rand, h *handler, now time.Time) {
	r := &request{link: testLink, dest: broadcastAddr, mac: testClient(rnd.IntN(80))}
	if rnd.IntN(8) == 0 {
		r.clientID = fmt.Sprint("client ", r.mac)
	}
	r.hostName = fmt.Sprint("name-", rnd.IntN(3))
	last := h.table.Binding(0, r.key())
	switch k := rnd.IntN(10); {
	case last.Active(now) && k < 6:
		r.kind, r.ciaddr = dhcpv4.MessageTypeRequest, last.Addr
	case last.Active(now) && k == 6:
		r.kind, r.ciaddr = dhcpv4.MessageTypeRelease, last.Addr
	case last.Active(now) && k == 7:
		r.kind, r.requested = dhcpv4.MessageTypeDecline, last.Addr
	default:
		r.kind, r.serverID = dhcpv4.MessageTypeRequest, netip.MustParseAddr("192.0.2.1")
		r.requested = netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + rnd.IntN(60))})
	}
	h.handle(now, r)
}

// firstStart cuts the power while the file is made: it is written beside its
// place, synced, linked there, and the folder synced. A file that was made in
// place, as by a program before this one, may be any part of it.
func firstStart(t *testing.T, dir string, whole []byte, cuts int, torn func() bool, read lease.Reading) {
	t.Helper()
	beside, path := filepath.Join(dir, "."+state.File+".123.new"), filepath.Join(dir, state.File)
	for i := range cuts {
		part := diskWrite{0, whole}.put(nil, torn)
		part = part[:len(part)*(i%97)/96]
		files := map[string][]byte{}
		switch i % 4 {
		case 0:
			files[beside] = part
		case 1:
			files[beside] = whole
		case 2:
			files[beside], files[path] = whole, whole
		case 3:
			files[path] = part
		}
		for name, b := range files {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		image, ok := files[path]
		if !ok {
			image = nil
		}
		checkCut(t, dir, image, read, leases{}, leases{})
		if _, err := os.Stat(beside); err == nil {
			t.Error("what was written beside is still there")
		}
		if t.Failed() {
			t.Fatalf("cut %d, of the making of the file: %d octets", i, len(part))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// checkCut starts on what a power cut has left: nothing where image is nil.
func checkCut(t *testing.T, dir string, image []byte, read lease.Reading, before, after leases) {
	t.Helper()
	if image != nil {
		if err := os.WriteFile(filepath.Join(dir, state.File), image, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := state.Open(dir)
	if err != nil {
		t.Errorf("the state does not open: %v", err)
		return
	}
	defer db.Close()
	db.NoSync = true
	store, err := lease.Open(db, read)
	if err != nil {
		t.Error(err)
		return
	}
	found, err := store.Load()
	if err != nil {
		t.Error(err)
		return
	}
	got := leases{}
	for _, l := range found {
		got[l.Addr] = record(&l)
	}
	if !reflect.DeepEqual(got, before) && !reflect.DeepEqual(got, after) {
		t.Errorf("leases are neither those before nor those after the commit: %d, of %d and %d", len(got), len(before), len(after))
	}
	// Nobody else is given what is leased.
	table := lease.NewTable(found)
	now := store.Now()
	for a, l := range before {
		if table.At(a).Active(now) && after[a] == l && table.Free(a, lease.Key{ID: "another"}, now) {
			t.Errorf("%v is free, and was leased: %s", a, l)
		}
	}
	if err := store.Mark(); err != nil {
		t.Errorf("it cannot be written: %v", err)
	}
}

// copyFile copies a file into a folder of the test.
func copyFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
