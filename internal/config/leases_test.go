package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dialtone/internal/mac"
)

// reservations loads networks of 10.N.0.0/24 that keep addresses, by their last
// octets, for hosts and for ports.
func reservations(t testing.TB, networks [][2][]int) *Config {
	var text strings.Builder
	text.WriteString("appliance { interface = \"eth0\" }\n")
	for n, kept := range networks {
		fmt.Fprintf(&text, "network \"n%[1]d\" {\n  subnet = \"10.%[1]d.0.0/16\"\n  range = [\"10.%[1]d.0.100\", \"10.%[1]d.0.119\"]\n", n)
		for i, last := range kept[0] {
			fmt.Fprintf(&text, "  host %q {\n    address = \"10.%d.%d.%d\"\n  }\n", mac.Addr{2, byte(n), 0, 0, byte(i >> 8), byte(i)}, n, last>>8, last&0xff)
		}
		for i, last := range kept[1] {
			fmt.Fprintf(&text, "  port \"p%d\" {\n    circuit_id = \"%d\"\n    address = \"10.%d.%d.%d\"\n  }\n", i, i, n, last>>8, last&0xff)
		}
		text.WriteString("}\n")
	}
	path := filepath.Join(t.TempDir(), "dialtone.hcl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, rep := Load(path, Options{})
	if rep.HasErrors() {
		t.Fatal(printed(t, rep))
	}
	return cfg
}

// leasesByWalk asks every block.
func leasesByWalk(c *Config, a netip.Addr) bool {
	for _, n := range c.Networks {
		if slices.ContainsFunc(n.Ranges, func(r Range) bool { return r.Contains(a) }) ||
			slices.ContainsFunc(n.Hosts, func(h Host) bool { return h.Address == a }) ||
			slices.ContainsFunc(n.Ports, func(p Port) bool { return p.Address == a }) {
			return true
		}
	}
	return false
}

func TestLeases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		networks := make([][2][]int, rapid.IntRange(0, 3).Draw(r, "networks"))
		for i := range networks {
			all := rapid.SliceOfNDistinct(rapid.IntRange(1, 254), 0, 12, rapid.ID).Draw(r, "kept")
			hosts := rapid.IntRange(0, len(all)).Draw(r, "hosts")
			networks[i] = [2][]int{all[:hosts], all[hosts:]}
		}
		cfg := reservations(t, networks)
		for n := range 4 {
			for last := range 256 {
				a := netip.AddrFrom4([4]byte{10, byte(n), 0, byte(last)})
				if got, want := cfg.Leases(a), leasesByWalk(cfg, a); got != want {
					t.Fatalf("%s: %v, want %v", a, got, want)
				}
			}
		}
	})
}

func BenchmarkLeases(b *testing.B) {
	hosts := make([]int, 5000)
	for i := range hosts {
		hosts[i] = 0x1000 + i
	}
	cfg := reservations(b, [][2][]int{{hosts, nil}})
	a := netip.AddrFrom4([4]byte{10, 0, 0x80, 1})
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			cfg.Leases(a)
		}
	})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			leasesByWalk(cfg, a)
		}
	})
}
