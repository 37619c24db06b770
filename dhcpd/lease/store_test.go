package lease

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
)

var (
	start   = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	byValue = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func openDB(t testing.TB, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// at is a machine whose clocks go as the test says.
func at(now *time.Time) Reading {
	return func() (time.Time, time.Duration) { return *now, now.Sub(start) }
}

func testLease(addr string, last byte) Lease {
	return Lease{
		Addr: netip.MustParseAddr(addr), MAC: mac.Addr{0, 0, 0x5e, 0, 0x53, last}, State: Leased,
		ClientID: "\xff\x00id", HostName: "reception", VendorClass: "snomD785\x1b[0m", RelayInfo: "\x01\x01a", Start: TimeOf(start), Expiry: TimeOf(start).Add(time.Hour), Recorded: TimeOf(start).Add(2 * time.Hour),
	}
}

func TestStoreKeepsLeases(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialtone.db")
	db := openDB(t, path)
	s, err := Open(db, at(&start))
	if err != nil {
		t.Fatal(err)
	}
	full, bare, skipped := testLease("192.0.2.10", 1), Lease{Addr: netip.MustParseAddr("192.0.2.9"), State: Declined, Start: TimeOf(start)}, testLease("192.0.2.11", 2)
	full.Recorded = full.Recorded.Add(time.Millisecond) // is rounded up: a record never ends early
	bare.Recorded = TimeOf(start).Add(time.Minute)
	if err := s.Write([]Change{{After: &full, Write: true}, {After: &skipped}, {After: &bare, Write: true}}); err != nil {
		t.Fatal(err)
	}
	db.Close()

	s, err = Open(openDB(t, path), at(&start))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	full.Recorded = TimeOf(start).Add(2*time.Hour + time.Second)
	full.Expiry = full.Recorded
	bare.Expiry = bare.Recorded
	if diff := cmp.Diff([]Lease{bare, full}, got, byValue); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Lease{bare, full}, s.View().Snapshot(), byValue); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

// TestRecordFormat fails when the format changes: then the version has to.
func TestRecordFormat(t *testing.T) {
	t.Parallel()
	l := testLease("192.0.2.10", 1)
	want := "01" + "00005e005301" + "0000000069a3f200" + "0000000069a40e20" + "04ff006964" + "09726563657074696f6e" + "0c736e6f6d443738351b5b306d" + "03010161"
	if diff := cmp.Diff(want, hex.EncodeToString(encode(&l))); diff != "" {
		t.Errorf("record of version %s (-want +got):\n%s", version, diff)
	}
}

// TestStoreReadOnly reads a database that nothing may be written to, also a new
// one.
func TestStoreReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialtone.db")
	check := func(want []Lease) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		s, err := Open(db, SystemTime)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Load()
		if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
			t.Errorf("%v, leases (-want +got):\n%s", err, diff)
		}
	}
	openDB(t, path).Close()
	check(nil)
	db := openDB(t, path)
	s, err := Open(db, SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	l := testLease("192.0.2.10", 1)
	if err := s.Write([]Change{{After: &l, Write: true}}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	l.Expiry = l.Recorded
	check([]Lease{l})
}

func TestStoreRefusesAnotherVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialtone.db")
	db := openDB(t, path)
	err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		return b.Put(leaseBucket, []byte("1"))
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db = openDB(t, path)
	_, err = Open(db, SystemTime)
	if err == nil || err.Error() != `opening leases: the leases are of a version that this program does not know ("1", and it knows 2 alone): carry them over with dialtone leases export and import` {
		t.Errorf("error: %v", err)
	}
	db.Close()
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the database was changed", err)
	}
}

// TestBadRecord holds that damage costs the addresses it is about, and no more.
func TestBadRecord(t *testing.T) {
	t.Parallel()
	db := openDB(t, filepath.Join(t.TempDir(), "dialtone.db"))
	s, err := Open(db, SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	good := testLease("192.0.2.10", 1)
	record := encode(&good)
	err = db.Update(func(tx *bbolt.Tx) error {
		for key, v := range map[string][]byte{
			"\xc0\x00\x02\x0a":     record,
			"\xc0\x00\x02\x0b":     record[:len(record)-1],
			"\xc0\x00\x02\x0c":     append(record[:len(record):len(record)], 0),
			"\xc0\x00\x02\x0d":     append([]byte{9}, record[1:]...),
			"\xc0\x00\x02\x0e":     {1, 2},
			"\xc0\x00\x02\x0f\x00": record,
		} {
			if err := tx.Bucket(leaseBucket).Put([]byte(key), v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	leases, err := s.Load()
	want := []string{
		"reading leases: record of 192.0.2.11: ends within a text",
		"record of 192.0.2.12: 1 octets too many",
		"record of 192.0.2.13: unknown state 9",
		"record of 192.0.2.14: 2 octets are too few",
		"record of c000020f00, which is no address",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	table := NewTable(leases)
	table.Configure([]Scope{office()})
	for a, free := range map[string]bool{"192.0.2.10": false, "192.0.2.11": false, "192.0.2.12": false, "192.0.2.13": false, "192.0.2.14": false, "192.0.2.15": true} {
		if got := table.Free(netip.MustParseAddr(a), Key{}, start); got != free {
			t.Errorf("%s free: %v", a, got)
		}
	}
}

func FuzzRecord(f *testing.F) {
	l := testLease("192.0.2.10", 1)
	f.Add(encode(&l))
	l.ClientID, l.VendorClass = strings.Repeat("\xff", 255), strings.Repeat("v", 64)
	f.Add(encode(&l))
	f.Add(encode(&Lease{State: Released, Start: TimeOf(start), Recorded: TimeOf(start)}))
	f.Add(encode(&Lease{State: Released, Start: -1000, Recorded: 1000 * (maxSecond + 1)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decode(netip.MustParseAddr("192.0.2.10"), b)
		if err != nil {
			return
		}
		if got := encode(&l); string(got) != string(b) {
			t.Errorf("%x is read and written as %x", b, got)
		}
	})
}

func TestView(t *testing.T) {
	t.Parallel()
	now := start
	s, err := Open(openDB(t, filepath.Join(t.TempDir(), "dialtone.db")), at(&now))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, addr string, want mac.Addr) {
		t.Helper()
		m, class, ok := s.View().Client(netip.MustParseAddr(addr))
		if m != want || ok == m.IsZero() || ok && class != "snomD785\x1b[0m" {
			t.Errorf("%s: %s is leased to %v (%q, %v), want %v", what, addr, m, class, ok, want)
		}
	}
	none := mac.Addr{}
	one, two := testLease("192.0.2.10", 1), testLease("192.0.2.11", 1)
	other := testLease("192.0.2.10", 2)
	ended := two
	ended.State = Released

	check("at first", "192.0.2.10", none)
	s.Publish([]Change{{After: &one}, {After: &two}})
	check("leased", "192.0.2.10", one.MAC)
	check("a second lease", "192.0.2.11", one.MAC)
	s.Publish([]Change{{Before: &one, After: &other}})
	check("another's", "192.0.2.10", other.MAC)
	s.Publish([]Change{{Before: &two, After: &ended}})
	check("released", "192.0.2.11", none)
	now = start.Add(time.Hour)
	check("expired", "192.0.2.10", none)
}
