// Package test runs the true program on a wire of its own, at its real ports,
// against clients that others wrote.
package test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// programDir is set in the environment to the folder of the built program,
// which the outer of the two processes of netnstest.Main makes and removes.
const programDir = "DIALTONE_TEST_PROGRAM_DIR"

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(programDir) == "" {
		dir, err := os.MkdirTemp("", "dialtone-test")
		if err == nil {
			defer os.RemoveAll(dir)
			// Other users have to reach it.
			err = errors.Join(os.Chmod(dir, 0o755), os.Setenv(programDir, dir))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return netnstest.Main(m)
}

// build builds the program as it is shipped, once.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(programDir), "dialtone")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/dialtone")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

func built(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// dialtone is a command of the program, where the test itself is.
func dialtone(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(netnstest.Context(t), built(t), args...)
}

// program finds a program that a test cannot do without.
func program(t testing.TB, name string) string {
	t.Helper()
	netnstest.NeedProgram(t, name)
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const server = "192.168.50.1"

var (
	reception = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24} // snomD785, 192.168.50.20
	anna      = mac.Addr{0x00, 0x04, 0x13, 0x23, 0x1a, 0x02} // its model is not in the configuration
)

// office is a wire with the appliance on it, serving the example.
type office struct {
	net     *netnstest.Net
	host    *netnstest.Host // the appliance's
	config  string
	state   string
	files   string
	service *netnstest.Process
}

var folders = regexp.MustCompile(`(?m)^(\s*(state_dir|files_dir)\s*=\s*)"[^"]*"`)

// newOffice lays out the example configuration, with folders of its own, and
// more files beside it; the appliance is not started.
func newOffice(t testing.TB, name string, more map[string]string) *office {
	t.Helper()
	netnstest.Need(t)
	built(t) // before any clock runs
	dir := t.TempDir()
	o := &office{config: filepath.Join(dir, "config"), state: filepath.Join(dir, "state_dir"), files: filepath.Join(dir, "files_dir")}
	if err := os.CopyFS(o.config, os.DirFS("../etc/dialtone")); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(o.config, "dialtone.hcl")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	write(t, main, folders.ReplaceAllString(string(text), `$1"`+dir+`/$2"`))
	for name, text := range more {
		write(t, filepath.Join(o.config, name), text)
	}
	for _, d := range []string{o.state, o.files} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	o.net = netnstest.NewNet(t, name, netip.Prefix{})
	o.host = o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 1}, netip.MustParsePrefix(server+"/24"))
	o.host.Capture(t)
	return o
}

// edit replaces text in a file of the configuration.
func (o *office) edit(t testing.TB, name, old, text string) {
	t.Helper()
	path := filepath.Join(o.config, name)
	was := string(read(t, path))
	if !strings.Contains(was, old) {
		t.Fatalf("%s does not say %q", name, old)
	}
	write(t, path, strings.Replace(was, old, text, 1))
}

// start starts the appliance and returns when it is ready.
func (o *office) start(t testing.TB) {
	t.Helper()
	o.service = o.host.Service(t, nil, built(t), "serve", "--config", o.config)
}

// opened is a new office whose appliance runs.
func opened(t testing.TB, name string, more map[string]string) *office {
	t.Helper()
	o := newOffice(t, name, more)
	o.start(t)
	return o
}

// render gives what the program says that a phone would be served.
func (o *office) render(t testing.TB, who, path string, more ...string) []byte {
	t.Helper()
	args := append([]string{"render", "--reveal", "--config", o.config, who, path}, more...)
	r := o.host.Run(t, built(t), args...)
	if r.Status != 0 {
		t.Fatalf("rendering %s for %s: exit status %d\n%s", path, who, r.Status, r.Stderr)
	}
	return []byte(r.Stdout)
}

// leased is a machine that holds the lease of a phone and has its address.
func (o *office) leased(t testing.TB, phone mac.Addr, model string) (*netnstest.Host, phoneState) {
	t.Helper()
	h := o.net.Host(t, phone, netip.Prefix{})
	s := o.simulate(t, h, "--mac", phone.String(), "--model", model, "--keep")
	h.SetAddress(t, netip.PrefixFrom(s.Lease.Address, 24))
	return h, s
}

// curl fetches a URL and gives its status and body.
func curl(t testing.TB, h *netnstest.Host, url string, more ...string) (status string, body []byte) {
	t.Helper()
	netnstest.NeedProgram(t, "curl")
	file := filepath.Join(t.TempDir(), "body")
	args := append([]string{"--silent", "--show-error", "--path-as-is", "--max-time", "60", "--output", file, "--write-out", "%{http_code}"}, more...)
	r := h.Run(t, "curl", append(args, url)...)
	if r.Status != 0 {
		t.Fatalf("curl %s: exit status %d\n%s", url, r.Status, r.Stderr)
	}
	return r.Stdout, read(t, file)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkServed fails the test where a phone's file is not what it should be.
func checkServed(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s gives %d bytes, render %d:\n%s", what, len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	cut := func(b []byte) string { return string(b[max(0, i-40):min(len(b), i+40)]) }
	return fmt.Sprintf("at byte %d\n got …%s…\nwant …%s…", i, strings.ToValidUTF8(cut(got), "?"), strings.ToValidUTF8(cut(want), "?"))
}
