package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
	"dialtone/internal/phonesim"
	"dialtone/provision"
)

const resetOffice = `appliance {
  interface = "nowhere0"
  state_dir = %q
}
provisioning {
  http_port = %d
  http_auth = "digest"
}
profile "desk" {
  default = true
  settings {
    language = "Deutsch"
  }
}
profile "own" {
  http_client {}
}
phone "000413922D24" {
  name    = "anna"
  model   = "snomD785"
  profile = "own"
  identity "1" {
    user     = "101"
    password = "hush-hush"
  }
}
`

// wire is the lease table of an appliance whose wire one phone is on, or is not.
type wire struct{ plugged atomic.Bool }

func (w *wire) Client(netip.Addr) (mac.Addr, string, bool) {
	m, _ := mac.Parse(annaMAC)
	return m, "snomD785", w.plugged.Load()
}

// logLines is a log that may be read while it is written.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take gives what was logged since it was asked last.
func (l *logLines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestReset follows a phone on another site, which is known by its credentials: it
// is reset, seen so, armed again, and at last moved.
func TestReset(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	dir, lines, office := t.TempDir(), &logLines{}, &wire{}
	s := &phonesSite{config: filepath.Join(dir, "dialtone.hcl"), state: filepath.Join(dir, "state"), url: "http://" + l.Addr().String()}
	writeFile(t, s.config, fmt.Sprintf(resetOffice, s.state, l.Addr().(*net.TCPAddr).Port))
	s.serve(t, l, slog.New(slog.NewTextHandler(lines, nil)), provision.Config{Witness: office})
	s.control(t)

	m, err := mac.Parse(annaMAC)
	if err != nil {
		t.Fatal(err)
	}
	var remembered []phonefile.Setting
	start := func(own bool) {
		t.Helper()
		lines.take()
		p, err := phonesim.New(phonesim.Config{MAC: m, Model: "snomD785", Server: s.url + "/", Remembered: remembered, SkipFirmware: true})
		if err != nil {
			t.Fatal(err)
		}
		state, err := p.Boot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, f := range state.Requests {
			got = got || f.OK && strings.HasSuffix(f.URL, annaMAC+".xml")
		}
		if got != own {
			t.Fatalf("it has its own file: %v, want %v\n%+v", got, own, state.Requests)
		}
		remembered = state.Settings
	}
	shows := func(what string, has, hasNot []string) {
		t.Helper()
		status, out, stderr := command(s.config, "phones")
		if status != 0 {
			t.Fatalf("phones: exit status %d: %s", status, stderr)
		}
		for _, text := range has {
			if !strings.Contains(out, text) {
				t.Errorf("%s: phones does not say %q:\n%s", what, text, out)
			}
		}
		for _, text := range hasNot {
			if strings.Contains(out, text) {
				t.Errorf("%s: phones says %q:\n%s", what, text, out)
			}
		}
	}
	const (
		marked, bare = "reset, or its address taken", "asked for without its credentials, from 127.0.0.1"
		less, again  = "by less than before", "shows again what it was known by"
	)
	clean := []string{marked, bare, "phones settle MAC"}
	logged := func(text string) {
		t.Helper()
		if out := lines.take(); !strings.Contains(out, text) {
			t.Errorf("the log does not say %q:\n%s", text, out)
		}
	}

	office.plugged.Store(true)
	start(true)
	shows("out of its box", []string{"up to date"}, clean)
	office.plugged.Store(false)
	start(true)
	shows("on its site", []string{"up to date"}, clean)

	remembered = nil
	start(false)
	logged("status=401")
	shows("reset on its site", []string{bare}, []string{marked})

	office.plugged.Store(true)
	start(true)
	logged(less)
	shows("armed on the wire", []string{marked, "phones settle MAC"}, []string{bare})
	office.plugged.Store(false)
	start(true)
	logged(again)
	shows("back on its site", []string{"up to date"}, clean)

	office.plugged.Store(true)
	start(true)
	shows("moved", []string{marked}, []string{bare})
	for _, want := range []string{": settled.", ": it was not marked."} {
		if status, out, stderr := command(s.config, "phones", "settle", annaMAC); status != 0 || !strings.HasSuffix(out, want+"\n") {
			t.Errorf("settle: exit status %d, %q, want %q\n%s", status, out, want, stderr)
		}
	}
	logged("phone settled")
	shows("settled", []string{"up to date"}, clean)
	if status, _, stderr := command(s.config, "phones", "settle", "000413000001"); status != exitWrong || !strings.Contains(stderr, "was never seen") {
		t.Errorf("settle of a stranger: exit status %d, %s", status, stderr)
	}
	if status, _, stderr := command(s.config, "phones", "settle", "anna"); status != exitWrong || !strings.Contains(stderr, "MAC") {
		t.Errorf("settle of no MAC: exit status %d, %s", status, stderr)
	}
}
