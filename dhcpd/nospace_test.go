package dhcpd

import (
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"dialtone/dhcpd/lease"
	"dialtone/internal/netnstest"
)

// TestNoSpace fills the file system that the leases are on, and makes room
// again.
func TestNoSpace(t *testing.T) {
	netnstest.Need(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	db, err := bbolt.Open(filepath.Join(dir, "dialtone.db"), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(office(), store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	us := netip.MustParseAddr("192.0.2.1")
	s.handler.configure(s.plan, map[netip.Addr]bool{us: true})
	w := newWire()
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: %s, want %s (%s)", what, got, want, s.Stats().Degraded)
		}
	}
	check("a lease", s.serve(t, w, requestFor(1, 10), broadcastAddr), "ACK")

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, zeros{}, 1<<20)
	f.Close()
	if err == nil {
		t.Fatal("the file system does not fill up")
	}
	// bbolt writes over free pages first.
	refused := 0
	for i := range 40 {
		if s.serve(t, w, requestFor(2+i, byte(11+i)), broadcastAddr) == "nothing" {
			refused = 2 + i
			break
		}
	}
	if refused == 0 || s.Stats().Degraded == "" {
		t.Fatalf("nothing is refused: %+v", s.Stats())
	}
	check("a renewal", s.serve(t, w, renewal(1, 10), us), "ACK")

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(tooLong); s.Stats().Degraded != ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it stays degraded")
		}
		s.group(nil)
	}
	check("who was refused", s.serve(t, w, requestFor(refused, byte(9+refused)), broadcastAddr), "ACK")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
