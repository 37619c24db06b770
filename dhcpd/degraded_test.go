package dhcpd

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"

	"dialtone/dhcpd/lease"
)

// degradedServer is a server on a disk that fails when the test says so.
func degradedServer(t *testing.T, log io.Writer) (*Server, *lease.Store, *disk, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialtone.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(office(), store, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.handler.configure(s.plan, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.1"): true})
	return s, store, watchDisk(t, db), path
}

// serve answers one message as the owner of the leases does.
func (s *Server) serve(t *testing.T, w *wire, data []byte, to netip.Addr) string {
	t.Helper()
	p := &packet{data: data, port: &port{conn: w}, link: testLink, dest: to}
	s.group([]*packet{p})
	_ = s.commit()
	select {
	case r := <-w.out:
		return strings.ToUpper(r.kind().String())
	default:
		return "nothing"
	}
}

func renewal(client int, last int) []byte {
	return edit(from(client, dhcpv4.MessageTypeRequest), offCIAddr, 192, offCIAddr+2, 2, offCIAddr+3, last)
}

// TestDegraded holds what a disk that cannot be written leaves: renewals that
// the record covers, and nothing else; and that it is over when it is over,
// without a restart, with the old lease on the disk although the failed change
// was there.
func TestDegraded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func(off int64) (before, after error)
	}{
		{"no space", func(int64) (error, error) { return errors.New("no space left on device"), nil }},
		{"the meta page is refused", func(off int64) (error, error) {
			if off < 8192 {
				return errors.New("input/output error"), nil
			}
			return nil, nil
		}},
		{"the last sync fails, after it was written", func(off int64) (error, error) {
			if off < 8192 {
				return nil, errors.New("input/output error")
			}
			return nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log syncBuffer
			s, store, d, path := degradedServer(t, &log)
			w := newWire()
			us := netip.MustParseAddr("192.0.2.1")
			check := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Fatalf("%s: %s, want %s\n%s", what, got, want, &log)
				}
			}
			check("a lease", s.serve(t, w, requestFor(1, 10), broadcastAddr), "ACK")

			d.fail = c.fail
			check("a new client", s.serve(t, w, requestFor(2, 11), broadcastAddr), "nothing")
			check("a move", s.serve(t, w, requestFor(1, 12), broadcastAddr), "nothing")
			check("a renewal", s.serve(t, w, renewal(1, 10), us), "ACK")
			if got := s.Stats(); got.Degraded == "" || got.WriteDropped != 2 {
				t.Errorf("stats %+v", got)
			}
			if n := strings.Count(log.String(), "leases cannot be written"); n != 1 {
				t.Errorf("it is said %d times:\n%s", n, &log)
			}
			if strings.Contains(log.String(), "can be written again") {
				t.Errorf("it is said to be over while it is not:\n%s", &log)
			}

			// Nobody asks for anything: the owner looks every second all the same.
			d.fail = nil
			for deadline := time.Now().Add(tooLong); s.Stats().Degraded != ""; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it stays degraded")
				}
				s.group(nil)
				_ = s.commit()
			}
			if !strings.Contains(log.String(), "leases can be written again") {
				t.Errorf("log:\n%s", &log)
			}
			onDisk := readLeases(t, path)
			if l := onDisk[netip.MustParseAddr("192.0.2.10")]; l.State != lease.Leased || l.MAC != testClient(1) {
				t.Errorf("on the disk the renewed lease is %+v", l)
			}
			for _, a := range []string{"192.0.2.11", "192.0.2.12"} {
				if l, ok := onDisk[netip.MustParseAddr(a)]; ok {
					t.Errorf("on the disk there is %+v, which nobody was told of", l)
				}
			}
			check("a new client, after it", s.serve(t, w, requestFor(2, 11), broadcastAddr), "ACK")
			if m, _, _ := store.View().Client(netip.MustParseAddr("192.0.2.11")); m != testClient(2) {
				t.Errorf("it is leased to %v", m)
			}
		})
	}
}

// readLeases reads a copy of a database, as a start after a crash would.
func readLeases(t *testing.T, path string) map[netip.Addr]lease.Lease {
	t.Helper()
	db, err := bbolt.Open(copyFile(t, path), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		t.Fatal(err)
	}
	found, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	got := map[netip.Addr]lease.Lease{}
	for _, l := range found {
		got[l.Addr] = l
	}
	return got
}
