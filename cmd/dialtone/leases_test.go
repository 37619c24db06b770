package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dialtone/dhcpd"
	"dialtone/dhcpd/lease"
	"dialtone/internal/leasefile"
	"dialtone/internal/state"
)

// leaseOffice writes a configuration with a state folder of its own.
func leaseOffice(t *testing.T) (config, state string) {
	t.Helper()
	dir := t.TempDir()
	config, state = filepath.Join(dir, "dialtone.hcl"), filepath.Join(dir, "state")
	writeFile(t, config, fmt.Sprintf(`appliance {
  interface = "nowhere0"
  state_dir = %q
  files_dir = %q
}
network "office" {
  subnet  = "192.0.2.0/24"
  range   = ["192.0.2.10", "192.0.2.99"]
  exclude = ["192.0.2.50"]
  host "00:00:5e:00:53:05" { address = "192.0.2.5" }
}
`, state, filepath.Join(dir, "files")))
	return config, state
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs a command on a configuration.
func command(config string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(append(args, "--config", config), &out, &errs)
	return status, out.String(), errs.String()
}

// hostile is what clients and other servers might have in their records.
const hostile = `[
{"address":"192.0.2.10","mac":"00:00:5e:00:53:01","hostname":"reception","expiry":"2099-01-01T00:00:00Z","vendor_class":"snomD785"},
{"address":"192.0.2.11","mac":"00:00:5e:00:53:02","client_id":"01:00:00:5e:00:53:02","hostname":"x\\x1b]0;","expiry":"2099-01-01T00:00:00Z","vendor_class":"\\x1b[2J\\x00\\x0a\u202e"},
{"address":"192.0.2.12","state":"declined","expiry":"2099-01-01T00:00:00Z"},
{"address":"192.0.2.13","mac":"00:00:5e:00:53:03","state":"expired","expiry":"2026-01-01T00:00:00Z"},
{"address":"192.0.2.14","client_id":"01:00:00:5e:00:53:04","expiry":"never"},
{"address":"192.0.2.50","mac":"00:00:5e:00:53:06","expiry":"2099-01-01T00:00:00Z"},
{"address":"192.0.2.5","mac":"00:00:5e:00:53:07","expiry":"2099-01-01T00:00:00Z"},
{"address":"192.0.2.999","mac":"00:00:5e:00:53:08","expiry":"never"},
{"address":"198.51.100.1","mac":"00:00:5e:00:53:09","expiry":"never"}
]
`

// serving lets an appliance answer on its admin socket, without a wire.
func serving(t *testing.T, config, state string) {
	t.Helper()
	cfg, err := load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(state, 0o750); err != nil {
		t.Fatal(err)
	}
	a := &appliance{path: config}
	a.current.Store(&cfg)
	store, err := a.openLeases(state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	a.leases = store.View()
	if a.dhcp, err = dhcpd.New(dhcpConfig(cfg), store, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	l, err := listenControl(filepath.Join(state, controlSocket))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a.controlHandler()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// TestLeases runs the commands on a stopped service and on one that runs: they
// say the same.
func TestLeases(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running=%t", running), func(t *testing.T) {
			t.Parallel()
			config, state := leaseOffice(t)
			if running {
				serving(t, config, state)
			}
			file := filepath.Join(t.TempDir(), "leases")
			writeFile(t, file, hostile)
			check := func(wantStatus int, wantOut, wantErr string, args ...string) {
				t.Helper()
				status, stdout, stderr := command(config, args...)
				got := fmt.Sprintf("%d\n%s\n%s", status, stdout, strings.ReplaceAll(stderr, file, "FILE"))
				if diff := cmp.Diff(fmt.Sprintf("%d\n%s\n%s", wantStatus, wantOut, wantErr), got); diff != "" {
					t.Errorf("%v (-want +got):\n%s", args, diff)
				}
			}
			const left = `FILE:9: "192.0.2.999" is no IPv4 address
FILE:8: 192.0.2.5 is reserved for 00:00:5e:00:53:05
FILE:7: 192.0.2.50 is excluded
FILE:10: 198.51.100.1 lies in no network
`
			check(0, "[\n]\n", "", "leases", "--json")
			check(0, "5 leases would be imported, 0 unchanged, 3 left out, 1 not readable.\n", left, "leases", "import", "--dry-run", file)
			check(0, "[\n]\n", "", "leases", "--json", "--all")
			check(0, "5 leases imported, 0 unchanged, 3 left out, 1 not readable.\n", left, "leases", "import", file)
			check(0, "0 leases imported, 5 unchanged, 3 left out, 1 not readable.\n", left, "leases", "import", file)

			year := time.Now().Add(365 * 24 * time.Hour).Local().Format(time.DateOnly)
			day := time.Now().Add(24 * time.Hour).Local().Format(time.DateOnly)
			ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Local().Format(time.DateTime)
			_, table, _ := command(config, "leases", "--all")
			for _, want := range []string{
				"192.0.2.10  00:00:5e:00:53:01  reception  active    " + year,
				"  snomD785 ",
				"192.0.2.11  00:00:5e:00:53:02  -          active    " + year,
				`  \x1b[2J\x00\n\u202e  office`,
				"192.0.2.12  -                  -          declined  " + day,
				"192.0.2.13  00:00:5e:00:53:03  -          expired   " + ended,
				"192.0.2.14  00:00:5e:00:53:04  -          active    " + year,
				"\n5 leases.\n",
			} {
				if !strings.Contains(table, want) {
					t.Errorf("the table has no %q:\n%s", want, table)
				}
			}
			if _, active, _ := command(config, "leases"); strings.Contains(active, "192.0.2.12") || strings.Contains(active, "192.0.2.13") || !strings.HasSuffix(active, "\n3 leases, and 2 ended or declined: --all shows them.\n") {
				t.Errorf("not only active leases:\n%s", active)
			}

			check(1, "", "dialtone: nobody leases 192.0.2.13, and it is not declined: there is nothing to release\n", "leases", "release", "192.0.2.13")
			check(1, "", "dialtone: 00:00:5e:00:53:99 leases nothing, and has declined nothing: there is nothing to release\n", "leases", "release", "00005e005399")
			check(1, "", "dialtone: \"reception\" is neither an IP address nor a MAC address\n", "leases", "release", "reception")
			check(0, "192.0.2.10 is free.\n", "", "leases", "release", "0000-5E00-5301")
			check(0, "192.0.2.12 is free.\n", "", "leases", "release", "192.0.2.12")
			if _, active, _ := command(config, "leases"); !strings.HasSuffix(active, "\n2 leases, and 2 ended or declined: --all shows them.\n") {
				t.Errorf("after the release:\n%s", active)
			}
		})
	}
}

// TestLeasesMove exports in every format and imports in another office.
func TestLeasesMove(t *testing.T) {
	t.Parallel()
	from, _ := leaseOffice(t)
	file := filepath.Join(t.TempDir(), "leases")
	writeFile(t, file, hostile)
	if status, _, stderr := command(from, "leases", "import", file); status != 0 {
		t.Fatal(stderr)
	}
	for format, want := range map[string]string{"csv": "5 leases", "json": "5 leases", "isc": "5 leases", "kea": "5 leases", "dnsmasq": "3 leases"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			to, _ := leaseOffice(t)
			moved := filepath.Join(t.TempDir(), "moved")
			if status, stdout, stderr := command(from, "leases", "export", "--format", format, moved); status != 0 || stdout+stderr != "" {
				t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
			}
			text, err := os.ReadFile(moved)
			if err != nil {
				t.Fatal(err)
			}
			if _, stdout, _ := command(from, "leases", "export", "--format", format); stdout != string(text) {
				t.Errorf("standard output differs from the file:\n%s", stdout)
			}
			status, stdout, stderr := command(to, "leases", "import", moved)
			if status != 0 || stderr != "" || stdout != want+" imported, 0 unchanged, 0 left out, 0 not readable.\n" {
				t.Errorf("exit status %d\n%s%s\n%s", status, stdout, stderr, text)
			}
		})
	}
}

// What root writes for another user's program is that user's: the state of a
// service that has never run, and a lease file.
func TestLeasesKeepOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	config, stateDir := leaseOffice(t)
	dir := t.TempDir()
	input, exported, fresh := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "theirs", "fresh")
	writeFile(t, input, hostile)
	writeFile(t, exported, "")
	for _, d := range []string{stateDir, filepath.Dir(fresh)} {
		if err := os.Mkdir(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	for _, path := range []string{stateDir, filepath.Dir(fresh), exported} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Skipf("giving a file away: %v", err)
		}
	}
	for _, args := range [][]string{{"import", input}, {"export", "--format", "kea", exported}, {"export", "--format", "kea", fresh}} {
		if status, _, stderr := command(config, append([]string{"leases"}, args...)...); status != 0 {
			t.Fatalf("%v: exit status %d\n%s", args, status, stderr)
		}
	}
	for path, mode := range map[string]os.FileMode{filepath.Join(stateDir, state.File): 0o600, exported: 0o600, fresh: 0o644} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != nobody || info.Mode() != mode {
			t.Errorf("%s is of user %d, %v", path, owner, info.Mode())
		}
	}
}

func TestLeasesRefuse(t *testing.T) {
	t.Parallel()
	config, state := leaseOffice(t)
	serving(t, config, state)
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"unknown": {"hello\n", "looks like no lease file that is known; say with --format what it is"},
		"empty":   {"", "looks like no lease file that is known; say with --format what it is"},
		"header":  {"address,hwaddr\n", "reading leases: line 1: the header has no column client_id"},
	} {
		file := filepath.Join(dir, name)
		writeFile(t, file, c.text)
		if status, stdout, stderr := command(config, "leases", "import", file); status != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit status %d\n%s%s", name, status, stdout, stderr)
		}
	}
	for what, want := range map[string]string{
		"POST /v1/leases?dry_run=maybe":                       "400 Bad Request: dry_run is true or false",
		"POST /v1/leases?dry_run=true":                        "400 Bad Request: line 1: 1.2.3 is no",
		"DELETE /v1/leases/192.0.2.10?mac=00":                 "400 Bad Request: ",
		"DELETE /v1/leases/reception?mac=00:00:5e:00:53:01":   "400 Bad Request: ",
		"DELETE /v1/leases/192.0.2.200?mac=00:00:5e:00:53:01": "",
	} {
		method, path, _ := strings.Cut(what, " ")
		err := controlWith(state, method, path, strings.NewReader(`[{"address":"1.2.3","expiry":"never"}]`), func(r io.Reader) error { return nil })
		if err == nil && want == "" {
			continue
		}
		if want == "" || err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A configuration that is wrong says nothing of what may be leased.
	writeFile(t, config, "network \"office\" {}\n")
	file := filepath.Join(dir, "good")
	writeFile(t, file, hostile)
	if status, _, stderr := command(config, "leases", "import", file); status != 1 || !strings.Contains(stderr, "Missing appliance block") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
}

// A lease of nobody is known by nothing: it is in no file.
func TestFileLeases(t *testing.T) {
	t.Parallel()
	now := time.Now()
	got := fileLeases([]lease.Lease{
		{State: lease.Released, Expiry: lease.TimeOf(now)},
		{State: lease.Declined, Expiry: lease.TimeOf(now)},
		{State: lease.Leased, ClientID: "x", Expiry: lease.TimeOf(now)},
	}, nil, now)
	if len(got) != 1 || got[0].State != leasefile.Expired {
		t.Errorf("%+v", got)
	}
}
