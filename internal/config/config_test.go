package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"golang.org/x/tools/txtar"

	"dialtone/internal/golden"
	"dialtone/internal/mac"
)

const example = "../../etc/dialtone"

// sameConfig compares what was decoded, not where it was written.
var sameConfig = cmp.Options{
	cmpopts.IgnoreTypes(hcl.Range{}),
	cmpopts.IgnoreUnexported(Config{}),
	cmpopts.IgnoreFields(Config{}, "Blocks"),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestLoadExample(t *testing.T) {
	t.Parallel()
	cfg, rep := Load(example, Options{})
	if got := printed(t, rep); got != "" {
		t.Fatalf("the example has diagnostics:\n%s", got)
	}
	want := &Config{
		Dir:       example,
		Appliance: Appliance{Interface: "eth0", StateDir: "/var/lib/dialtone", FilesDir: "/srv/dialtone"},
		Networks: []Network{{
			Name: "office", Interface: "eth0", Subnet: netip.MustParsePrefix("192.168.50.0/24"),
			Ranges:     []Range{{First: addr("192.168.50.100"), Last: addr("192.168.50.199")}},
			Exclude:    []netip.Addr{addr("192.168.50.150")},
			Routers:    []netip.Addr{addr("192.168.50.1")},
			DNSServers: []netip.Addr{addr("192.168.50.2")}, DNSSet: true,
			NTPServers: []netip.Addr{addr("192.168.50.2")},
			Domain:     "office.example", LeaseTime: 12 * time.Hour, Probe: true, MaxLeasesPerMAC: 16,
			VLAN:    &VLAN{ID: 20, Priority: 5},
			Options: []Option{{Code: 2, Data: []byte{0, 0, 0x0e, 0x10}}},
			Hosts:   []Host{{MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 1}, Address: addr("192.168.50.10"), Name: "printer"}},
		}},
		Classes: []VendorClass{{Name: "pxe", Match: "PXEClient", Options: []Option{
			{Code: 66, Data: []byte("192.168.50.3")}, {Code: 67, Data: []byte("undionly.kpxe")},
		}}},
		Provisioning: Provisioning{Scheme: "http", Secrets: "lease", HTTPAuth: "off", PnP: true, HTTPPort: 80, TFTPPort: 69},
		DNS: &DNS{
			Forwarders: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
			Hold:       []string{"provisioning.snom.com", "secure-provisioning.snom.com"},
			Records:    []Record{{Name: "pbx.office.example", Addresses: []netip.Addr{addr("192.168.50.5")}}},
		},
		Admin: &Admin{Listen: "127.0.0.1:8067"},
	}
	if diff := cmp.Diff(want, cfg, sameConfig); diff != "" {
		t.Errorf("Load(example) (-want +got):\n%s", diff)
	}
	var blocks []string
	for _, b := range cfg.Blocks {
		blocks = append(blocks, strings.Join(append([]string{b.Type}, b.Labels...), " "))
	}
	if diff := cmp.Diff([]string{
		"phone 00:04:13:92:2D:24", "phones staff", "phone 000413260001",
		"locals", "profile base", "model snomD785", "model snom370", "profile desk", "profile reception",
	}, blocks); diff != "" {
		t.Errorf("Blocks (-want +got):\n%s", diff)
	}
}

func TestExampleFiles(t *testing.T) {
	t.Parallel()
	cfg, _ := Load(example, Options{})
	for expr, want := range map[string]string{
		`csvdecode(file("staff.csv"))[1].display_name`:                     "Jörg O'Neil",
		`csvdecode(file("staff.csv"))[1].password`:                         "Ohj2&ee<",
		`csvdecode(file("contacts.csv"))[0].name`:                          "Müller & Söhne",
		`join(",", [for c in csvdecode(file("contacts.csv")) : c.number])`: "+49301234567,030765432",
	} {
		if got, diags := evaluate(cfg, expr); diags.HasErrors() || got.AsString() != want {
			t.Errorf("%s = %#v, %v, want %q", expr, got, diags, want)
		}
	}
	if v, diags := evaluate(cfg, `secret("sip/101")`); diags.HasErrors() || !v.HasMark(Secret) {
		t.Errorf(`secret("sip/101") = %#v, %v, want a marked value`, v, diags)
	}
}

func TestLoadValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.hcl", `
appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "/srv/files/../other"
}
locals {
  dns  = ["192.0.2.53", local.more]
  more = "192.0.2.54"
  here = phone.mac # has no value here, and is not asked for one
}
network "a" {
  subnet     = "10.0.0.0/8"
  interface  = "eth1"
  range      = [["10.0.0.10", "10.0.0.19"], ["10.0.1.0", "10.0.1.255"]]
  exclude    = ["10.0.0.12", "10.0.0.11-10.0.0.13", "10.0.1.0 - 10.0.1.1"]
  dns_servers = local.dns
  lease_time = "1d12h"
  domain     = "Example.ORG."
  rapid_commit     = true
  trust_relay_info = true
  known_only       = true
  witness          = false
  max_leases_per_mac  = 64
  max_leases_per_port = 3
  port "meeting room" {
    circuit_id = "ge-0/0/7"
    remote_id  = "0x00a1"
    address    = "10.0.0.70"
    name       = "meeting"
  }
  authoritative = "auto"
  vlan {
    id = 4094
  }
  option "224" {
    hex = "01:fF-00 10"
  }
  option "ntp_servers" {
    value = ["192.0.2.1", "192.0.2.2"]
  }
  option "mtu" {
    value = 1400
  }
  dynamic "host" {
    for_each = csvdecode(file("hosts.csv"))
    labels   = [host.value.mac]
    content {
      address = host.value.address
      name    = host.value.name
    }
  }
}
network "b" {
  subnet      = "192.0.2.0/25"
  dns_servers = []
  lease_time  = "7d"
  probe       = false

  authoritative = false
  domain      = null
}
admin {
  listen   = "0.0.0.0:80"
  password = secret("web")
}
`)
	write(t, dir, "b.hcl", `
dns {
  forwarders = ["192.0.2.1:5353", "2001:db8::1", "[2001:db8::2]:54"]
  record "_sip.Example.org." {
    addresses = ["192.0.2.1", "2001:db8::1"]
  }
}
https {
  certificate = "cert.pem"
  key         = "cert.pem"
  port        = 8443
}
provisioning {
  scheme    = "https"
  pnp       = false
  http_port = 8080
}
`)
	write(t, dir, "cert.pem", certificate)
	write(t, dir, "hosts.csv", "\ufeffmac;address;name\r\n 02-00-5E-00-53-01 ;10.0.0.10;Printer\r\n020000000002;10.255.255.254;tv\r\n")
	write(t, dir, "secrets/web", "s3cret\n")
	write(t, dir, ".#a.hcl", "an editor's lock")
	write(t, dir, "a.hcl~", "an editor's copy")
	write(t, dir, "old.hcl/x", "a folder")

	cfg, rep := Load(dir, Options{})
	if got := printed(t, rep); got != "" {
		t.Fatalf("diagnostics:\n%s", got)
	}
	want := &Config{
		Dir:       dir,
		Appliance: Appliance{Interface: "eth0", StateDir: filepath.Join(dir, "state"), FilesDir: "/srv/other"},
		Networks: []Network{
			{
				Name: "a", Interface: "eth1", Subnet: netip.MustParsePrefix("10.0.0.0/8"),
				Ranges: []Range{
					{First: addr("10.0.0.10"), Last: addr("10.0.0.19")},
					{First: addr("10.0.1.0"), Last: addr("10.0.1.255")},
				},
				Exclude:    []netip.Addr{addr("10.0.0.11"), addr("10.0.0.12"), addr("10.0.0.13"), addr("10.0.1.0"), addr("10.0.1.1")},
				DNSServers: []netip.Addr{addr("192.0.2.53"), addr("192.0.2.54")}, DNSSet: true,
				Domain: "example.org", LeaseTime: 36 * time.Hour, VLAN: &VLAN{ID: 4094}, Probe: true,
				Options: []Option{
					{Code: 224, Data: []byte{1, 255, 0, 16}},
					{Code: 42, Data: []byte{192, 0, 2, 1, 192, 0, 2, 2}},
					{Code: 26, Data: []byte{0x05, 0x78}},
				},
				RapidCommit: true, TrustRelayInfo: true, KnownOnly: true, NoWitness: true, MaxLeasesPerMAC: 64, MaxLeasesPerPort: 3,
				Ports: []Port{{CircuitID: "ge-0/0/7", RemoteID: "\x00\xa1", Address: addr("10.0.0.70"), Name: "meeting"}},
				Hosts: []Host{
					{MAC: mac.Addr{2, 0, 0x5e, 0, 0x53, 1}, Address: addr("10.0.0.10"), Name: "printer"},
					{MAC: mac.Addr{2, 0, 0, 0, 0, 2}, Address: addr("10.255.255.254"), Name: "tv"},
				},
			},
			{Name: "b", Interface: "eth0", Subnet: netip.MustParsePrefix("192.0.2.0/25"), DNSSet: true, LeaseTime: 7 * 24 * time.Hour, MaxLeasesPerMAC: 16, Authoritative: new(false)},
		},
		Provisioning: Provisioning{Scheme: "https", Secrets: "lease", HTTPAuth: "off", HTTPPort: 8080, TFTPPort: 69},
		HTTPS:        &HTTPS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "cert.pem"), Port: 8443},
		DNS: &DNS{
			Forwarders: []netip.AddrPort{
				netip.MustParseAddrPort("192.0.2.1:5353"),
				netip.MustParseAddrPort("[2001:db8::1]:53"),
				netip.MustParseAddrPort("[2001:db8::2]:54"),
			},
			Records: []Record{{Name: "_sip.example.org", Addresses: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}}},
		},
		Admin: &Admin{Listen: "0.0.0.0:80", Password: "s3cret"},
	}
	if diff := cmp.Diff(want, cfg, sameConfig); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	for _, c := range []struct{ address, network string }{
		{"10.1.2.3", "a"}, {"192.0.2.127", "b"}, {"192.0.2.128", ""}, {"2001:db8::1", ""},
	} {
		got := ""
		if n, ok := cfg.NetworkOf(addr(c.address)); ok {
			got = n.Name
		}
		if got != c.network {
			t.Errorf("NetworkOf(%s) = %q, want %q", c.address, got, c.network)
		}
	}
}

var expectation = regexp.MustCompile(`# (ERROR|WARNING): ([^#]*)`)

// certificate is one with its key for 10.0.0.1 and 192.0.2.1, good until 2037.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBJDCBzKADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMTBGdvb2QwHhcN
MjQwMTAxMDAwMDAwWhcNMzcwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDEwRnb29kMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXIg3PkU5C/SXlP9dVu4HjCiB2GYe2rGH
PWgZ58arBFP+euaZZcKrF6f+L3Z3DU49h9PMzEEZVFqX4LHMkNLJyqMZMBcwFQYD
VR0RBA4wDIcECgAAAYcEwAACATAKBggqhkjOPQQDAgNHADBEAiAgJT2oOeLV3u1P
zawDJEDRrpus0aVogQDsNds3eNOWOwIgUh4ws3KdPWqR1gC85zgW/m1LdvKAa3ds
7I+JWjVplCc=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHKx5FF5wIxmG//jT
IvcbAhXNvq51CSauEe/SlPg4bM6hRANCAARciDc+RTkL9JeU/11W7geMKIHYZh7a
sYc9aBnnxqsEU/565pllwqsXp/4vdncNTj2H08zMQRlUWpfgscyQ0snK
-----END PRIVATE KEY-----
`

// TestInvalid loads every file of testdata/invalid by itself (a .txtar as a
// folder) and compares the diagnostics with the comments "# ERROR: summary" and
// "# WARNING: summary" on the lines that must have them.
func TestInvalid(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/invalid/*", func(t *testing.T, fixture string) {
		src, err := os.ReadFile(fixture)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		files := []txtar.File{{Name: "in.hcl", Data: src}}
		if strings.HasSuffix(fixture, ".txtar") {
			files = txtar.Parse(src).Files
		}
		var want []string
		for _, f := range files {
			write(t, dir, f.Name, string(f.Data))
			for i, line := range strings.Split(string(f.Data), "\n") {
				for _, m := range expectation.FindAllStringSubmatch(line, -1) {
					want = append(want, fmt.Sprintf("%s:%d %s: %s", f.Name, i+1, m[1], strings.TrimSpace(m[2])))
				}
			}
		}
		_, rep := Load(dir, Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		var got []string
		for _, d := range rep.Diagnostics() {
			severity, at := "ERROR", "-"
			if d.Severity == hcl.DiagWarning {
				severity = "WARNING"
			}
			if d.Subject != nil {
				at = fmt.Sprintf("%s:%d", filepath.Base(d.Subject.Filename), d.Subject.Start.Line)
			}
			got = append(got, fmt.Sprintf("%s %s: %s", at, severity, d.Summary))
			if d.Detail == "" || strings.Contains(d.Detail, "%!") {
				t.Errorf("%s: the detail is %q", at, d.Detail)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("diagnostics (-want +got):\n%s\n%s", diff, printed(t, rep))
		}
	})
}

func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "big.hcl", strings.Repeat("# comment\n", 200_000))
	write(t, dir, "empty/notes.txt", "")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "empty", "dangling.hcl")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "none/notes.txt", "")
	for path, want := range map[string]string{
		"missing": "Unreadable configuration: Reading DIR/missing: no such file or directory. Check the name; --config takes a folder or a file.",
		"big.hcl": "File too large: DIR/big.hcl has more than 1048576 bytes. Move lists of phones and contacts to CSV files and read them with csvdecode(file(…)).",
		"none": "No configuration: The folder DIR/none has no file whose name ends in .hcl. " +
			`Give the folder that holds the configuration, or make a first one with "dialtone init".`,
		"empty": "Unreadable configuration: Reading DIR/empty/dangling.hcl: no such file or directory. Check the name; --config takes a folder or a file.",
	} {
		cfg, rep := Load(filepath.Join(dir, path), Options{})
		if cfg == nil {
			t.Errorf("Load(%s) gives no Config", path)
		}
		var got []string
		for _, d := range rep.Diagnostics() {
			got = append(got, strings.ReplaceAll(d.Summary+": "+d.Detail, dir, "DIR"))
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("Load(%s) (-want +got):\n%s", path, diff)
		}
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "one.hcl", "appliance {\n  state_dir = \"state\"\n}\n")
	write(t, dir, "other.hcl", "nonsense")
	cfg, rep := Load(filepath.Join(dir, "one.hcl"), Options{})
	if got := printed(t, rep); got != "" || cfg.Dir != dir || cfg.Appliance.StateDir != filepath.Join(dir, "state") {
		t.Errorf("Load(one.hcl) = %+v\n%s", cfg, got)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	got, rep := Format([]byte("appliance {\ninterface=\"eth0\"\n  state_dir = \"x\" # y\n}\n"), "a.hcl")
	want := "appliance {\n  interface = \"eth0\"\n  state_dir = \"x\" # y\n}\n"
	if diff := cmp.Diff(want, string(got)); diff != "" || rep.HasErrors() {
		t.Errorf("Format (-want +got):\n%s%s", diff, printed(t, rep))
	}
	for _, src := range []string{"appliance {\n", strings.Repeat("(", 100_000)} {
		if got, rep := Format([]byte(src), "a.hcl"); rep.Errors() == 0 || string(got) != src {
			t.Errorf("Format(%.20q) = %.20q with %d errors", src, got, rep.Errors())
		}
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func printed(t testing.TB, rep *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := rep.Write(&b, false, 0); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What phones may fetch is a folder of its own, by whatever way its path leads there.
func TestIsWithin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "srv/files/x", "")
	write(t, dir, "etc/x", "")
	for link, to := range map[string]string{"etc/files": "../srv/files", "etc/srv": "../srv", "srv/etc": "../etc"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"srv", "srv", true},
		{"srv/state", "srv", true}, // before its first start
		{"etc/srv/files/state", "srv", true},
		{"srv/state", "etc/srv", true},
		{"srv", "srv/files", false},
		{"srv-state", "srv", false},
		{"srv/..state", "srv", true},
		{"etc", "etc/files", false},
		{"srv/etc", "srv", false}, // a link out of it is not followed
	} {
		if got := isWithin(filepath.Join(dir, c.path), filepath.Join(dir, c.dir)); got != c.want {
			t.Errorf("isWithin(%s, %s) = %v", c.path, c.dir, got)
		}
	}
}

// A key that everybody can read, and a certificate of the future.
func TestCertificateFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode os.FileMode
		year int
		want []string
	}{
		{0o600, 2026, nil},
		{0o640, 2026, nil},
		{0o644, 2026, []string{"Key readable by everybody"}},
		{0o600, 2023, []string{"Certificate not good yet"}},
	} {
		dir := t.TempDir()
		write(t, dir, "in.hcl", "appliance {\n  interface = \"eth0\"\n}\nhttps {\n  certificate = \"cert.pem\"\n  key = \"cert.pem\"\n}\n")
		write(t, dir, "cert.pem", certificate)
		if err := os.Chmod(filepath.Join(dir, "cert.pem"), c.mode); err != nil {
			t.Fatal(err)
		}
		_, rep := Load(dir, Options{Now: time.Date(c.year, 1, 1, 0, 0, 0, 0, time.UTC)})
		var got []string
		for _, d := range rep.Diagnostics() {
			got = append(got, d.Summary)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("mode %v, %d (-want +got):\n%s", c.mode, c.year, diff)
		}
	}
}
