package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
)

// loaded is a configuration without errors.
func loaded(t testing.TB, path string) configuration {
	t.Helper()
	cfg, err := load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Report.HasErrors() {
		lines, _ := cfg.Report.Lines()
		t.Fatal(lines)
	}
	return cfg
}

// wireOf gives the wire of an office with so many phones that have an address, from
// 10.1.0.0 on, and somebody at every address.
func wireOf(t testing.TB, phones int) neighbours {
	t.Helper()
	var text strings.Builder
	text.WriteString(`appliance {
  interface = "lo"
}
network "office" {
  subnet = "10.0.0.0/8"
  range  = ["10.0.0.10", "10.0.0.20"]
  host "000413FF0001" {
    address = "10.0.0.30"
  }
  port "desk" {
    circuit_id = "gi1"
    address    = "10.0.0.31"
  }
}
network "guests" {
  subnet  = "192.168.7.0/24"
  range   = ["192.168.7.10", "192.168.7.20"]
  witness = false
}
`)
	for i := range phones {
		fmt.Fprintf(&text, "phone \"00041300%04X\" {\n  address = \"10.1.%d.%d\"\n}\n", i, i>>8, i&0xff)
	}
	path := filepath.Join(t.TempDir(), "dialtone.hcl")
	writeFile(t, path, text.String())
	cfg := loaded(t, path)
	return neighbours{
		current: func() *configuration { return &cfg },
		lookup:  func(netip.Addr, netip.Addr, time.Time) (mac.Addr, bool, error) { return mac.Addr{1}, true, nil },
		log:     slog.New(slog.DiscardHandler),
	}
}

// The wire is asked of no address that is ours to lease.
func TestWireIsNotAskedOfOurs(t *testing.T) {
	t.Parallel()
	n := wireOf(t, 300)
	for addr, asked := range map[string]bool{
		"10.0.0.9": true, "10.0.0.10": false, "10.0.0.20": false, "10.0.0.21": true, // the range
		"10.0.0.30": false, "10.0.0.31": false, "10.0.0.32": true, // the host, the port
		"10.1.0.0": false, "10.1.1.43": false, "10.1.1.44": true, // the phones
		"192.0.2.1": true, "192.168.7.30": false,
	} {
		if _, ok := n.Neighbour(netip.MustParseAddr(addr), netip.MustParseAddr("10.0.0.1")); ok != asked {
			t.Errorf("%s: the wire was asked: %v, want %v", addr, ok, asked)
		}
	}
}

// everywhere has somebody at every address.
type everywhere struct{}

func (everywhere) Client(netip.Addr) (mac.Addr, string, bool) { return mac.Addr{1}, "snomD785", true }

// A guest may have a lease for the MAC of a phone: where the network says so, that is
// no witness.
func TestLeasesOfGuests(t *testing.T) {
	t.Parallel()
	w := leaseWitness{wireOf(t, 0).current, everywhere{}}
	for addr, want := range map[string]bool{"10.0.0.10": true, "192.168.7.10": false, "192.0.2.1": true} {
		if m, _, ok := w.Client(netip.MustParseAddr(addr)); ok != want || ok == m.IsZero() {
			t.Errorf("%s: %v, %v, want %v", addr, m, ok, want)
		}
	}
}

func BenchmarkNeighbourOfManyPhones(b *testing.B) {
	n := wireOf(b, 5000)
	addr, local := netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		n.Neighbour(addr, local)
	}
}
