package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

const faulty = `appliance {
  interfaces = "eth0"
}

network "office" {
  subnet     = "192.168.50.1/24"
  interface  = "eth0"
  lease_time = 12h
  exclude    = ["192.168.50.1"]
  range      = ["192.168.50.2", "192.168.50.3"]
}
provisioning {
  secrets = "certificate"
}
`

func TestReport(t *testing.T) {
	// Not parallel: the working directory is what names are relative to.
	t.Chdir(t.TempDir())
	write(t, "etc", "in.hcl", strings.Replace(faulty, "12h", `"12h"`, 1))
	_, rep := Load("./etc/", Options{})

	if rep.Errors() != 2 || rep.Warnings() != 2 || !rep.HasErrors() || rep.Incomplete() {
		t.Errorf("%d errors, %d warnings, incomplete %v", rep.Errors(), rep.Warnings(), rep.Incomplete())
	}
	want := `Error: Unsupported argument

  on etc/in.hcl line 2, in appliance:
   2:   interfaces = "eth0"

An argument named "interfaces" is not expected here. Did you mean "interface"?

Error: Invalid subnet

  on etc/in.hcl line 6, in network "office":
   6:   subnet     = "192.168.50.1/24"

192.168.50.1/24 is an address inside a subnet. The subnet is
"192.168.50.0/24".

Warning: Exclusion without effect [idle-exclusion]

  on etc/in.hcl line 9, in network "office":
   9:   exclude    = ["192.168.50.1"]

192.168.50.1 is in no range of this network, so it is not leased anyway. Leave
it out, or check it.

Warning: Missing client_ca [missing-client-ca]

  on etc/in.hcl line 13, in provisioning:
  13:   secrets = "certificate"

Secrets go only to phones that show a certificate, and none can be checked:
name the certificates of the phones' maker as client_ca in the https block.
Until then no phone gets its own file.

`
	var b strings.Builder
	if err := rep.Write(&b, false, 78); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("Write (-want +got):\n%s", diff)
	}
	b.Reset()
	if err := rep.Write(&b, true, 78); err != nil || !strings.Contains(b.String(), "\x1b[31mError") {
		t.Errorf("Write in colour: %v\n%s", err, b.String())
	}

	type entry struct {
		Severity, Rule, Summary, Detail, File string
		Line, Column                          int
	}
	encoded, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	if err := json.Unmarshal(encoded, &entries); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entry{
		"warning", "idle-exclusion", "Exclusion without effect", "192.168.50.1 is in no range of this network, so it is not leased anyway. Leave it out, or check it.",
		"etc/in.hcl", 9, 17,
	}, entries[2]); diff != "" || len(entries) != 4 {
		t.Errorf("MarshalJSON gives %d entries; the third (-want +got):\n%s", len(entries), diff)
	}

	_, rep = Load("etc/none", Options{})
	if encoded, err := json.Marshal(rep); err != nil || strings.Contains(string(encoded), `"line"`) {
		t.Errorf("an error without a place: %s, %v", encoded, err)
	}
	_, rep = Load(emptyConfig(t), Options{})
	if encoded, err := json.Marshal(rep); err != nil || string(encoded) != "[]" {
		t.Errorf("no diagnostics: %s, %v", encoded, err)
	}
}

func emptyConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "in.hcl", "appliance {}\n")
	return dir
}

func TestReportAppend(t *testing.T) {
	t.Parallel()
	at := func(file string, line int) *hcl.Range {
		return &hcl.Range{Filename: file, Start: hcl.Pos{Line: line, Column: 1, Byte: line * 10}, End: hcl.Pos{Line: line, Column: 2, Byte: line*10 + 1}}
	}
	rep := newReport()
	rep.Append(hcl.Diagnostics{
		{Severity: hcl.DiagError, Summary: "B", Detail: "for phone 1", Subject: at("b", 1)},
		{Severity: hcl.DiagError, Summary: "B", Detail: "for phone 2", Subject: at("b", 1)},
		{Severity: hcl.DiagWarning, Summary: "B", Subject: at("b", 1)},
		{Severity: hcl.DiagError, Summary: "A", Subject: at("a", 10)},
		{Severity: hcl.DiagError, Summary: "A", Subject: at("a", 9)},
		{Severity: hcl.DiagError, Summary: "N", Detail: "x"},
		{Severity: hcl.DiagError, Summary: "N", Detail: "y"},
		{Severity: hcl.DiagError, Summary: "N", Detail: "y"},
	})
	var got []string
	for _, d := range rep.Diagnostics() {
		got = append(got, d.Summary+" "+d.Detail+" "+place(d).String())
	}
	if diff := cmp.Diff([]string{
		"N x :0,0-0", "N y :0,0-0", "A  a:9,1-2", "A  a:10,1-2", "B for phone 1 b:1,1-2", "B  b:1,1-2",
	}, got); diff != "" || rep.Errors() != 5 || rep.Warnings() != 1 {
		t.Errorf("%d errors, %d warnings (-want +got):\n%s", rep.Errors(), rep.Warnings(), diff)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	names := []string{"range", "routers", "domain", "snomD785", "id", "dns_servers", strings.Repeat("s", 200_000)}
	for name, want := range map[string]string{
		"rnage": "range", "router": "routers", "Domain": "domain", "snomd758": "snomD785", "dns_server": "dns_servers",
		"ix": "id", "xy": "", "phone": "", "": "", strings.Repeat("r", 100_000): "",
	} {
		if got := Suggest(name, names); got != want {
			t.Errorf("Suggest(%.20q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzLoad holds that no bytes of a file bring the program down, and that a
// configuration without errors is one that can be used.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{example + "/*.hcl", "testdata/invalid/*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		dir := t.TempDir()
		write(t, dir, "in.hcl", string(src))
		write(t, dir, "staff.csv", "mac;name\n020000000001;a\n")
		write(t, dir, "secrets/x", "y")
		cfg, rep := Load(dir, Options{})
		printed(t, rep)
		if _, err := rep.MarshalJSON(); err != nil {
			t.Error(err)
		}
		Format(src, "in.hcl")
		if rep.HasErrors() {
			return
		}
		for _, n := range cfg.Networks {
			for _, r := range n.Ranges {
				if !n.Subnet.Contains(r.First) || !n.Subnet.Contains(r.Last) || r.Last.Less(r.First) {
					t.Errorf("range %v of %v", r, n.Subnet)
				}
			}
			for _, h := range n.Hosts {
				if !n.Subnet.Contains(h.Address) || h.MAC.IsZero() {
					t.Errorf("host %v of %v", h, n.Subnet)
				}
			}
		}
	})
}
