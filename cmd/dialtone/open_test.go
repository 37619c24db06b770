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
	"dialtone/internal/register"
	"dialtone/internal/rollout"
	"dialtone/internal/state"
	"dialtone/profiles"
	"dialtone/provision"
)

// holder is a witness by which every address of 10.1.0.0/16 is leased to the phone
// with its last two octets.
type holder struct{}

func (holder) Client(a netip.Addr) (m mac.Addr, vendorClass string, ok bool) {
	b := a.As4()
	return mac.Addr{0, 4, 0x13, 0, b[2], b[3]}, "snomD785", b[1] == 1
}

// deskOf is the desk as it serves an office of so many phones.
func deskOf(t testing.TB, phones int) *provision.Desk {
	t.Helper()
	var text strings.Builder
	text.WriteString("appliance { interface = \"lo\" }\nprofile \"base\" {\n  default = true\n  settings { language = \"Deutsch\" }\n}\n")
	for i := range phones {
		fmt.Fprintf(&text, "phone \"00041300%04X\" {\n  identity \"1\" {\n    user = \"%d\"\n    registrar = \"pbx.example\"\n  }\n}\n", i, i)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "dialtone.hcl")
	writeFile(t, path, text.String())
	cfg := loaded(t, path)
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	log := slog.New(slog.DiscardHandler)
	seen, err := register.Open(db, log)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := rollout.Open(db, log, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return newDesk(func() *configuration { return &cfg }, provision.Config{
		Witness: holder{}, Register: sightings{seen, cfg.Seal}, Log: log,
		Rollouts: newRollouts(keeper, func() *profiles.Set { return cfg.Set }),
	})
}

func BenchmarkOpen(b *testing.B) {
	desk := deskOf(b, 250)
	local := netip.MustParseAddr("10.0.0.1")
	for name, r := range map[string]provision.Request{
		"stranger": {Path: "/snomD785/general.xml", Source: netip.MustParseAddr("10.0.0.2")},
		"phone": {
			Path: "/snomD785/000413000007.xml", Source: netip.MustParseAddr("10.1.0.7"),
			UserAgent: "Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16 2010.12-00001-gd311851f1 (Feb 25 2019 - 14:19:43) 000413000007 SXM:0)",
		},
	} {
		b.Run(name, func(b *testing.B) {
			r.Local, r.Protocol = local, "http"
			b.ReportAllocs()
			for b.Loop() {
				a, err := desk.Open(r)
				if err != nil {
					b.Fatal(err)
				}
				_ = a.Content.Close()
			}
		})
	}
}
