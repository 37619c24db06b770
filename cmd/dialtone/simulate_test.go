package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/phonesim"
)

// simulateAt runs the command against a site of files.
func simulateAt(t *testing.T, files map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := files[r.URL.Path]; ok {
			_, _ = io.WriteString(w, body)
			return
		}
		http.NotFound(w, r)
	}))
	defer s.Close()
	var out, errs bytes.Buffer
	status = run(append([]string{"simulate", "--server", s.URL + "/", "--mac", "00-04-13-92-2d-24"}, args...), &out, &errs)
	return status, strings.ReplaceAll(out.String(), s.URL, "SITE"), strings.ReplaceAll(errs.String(), s.URL, "SITE")
}

var oneSetting = map[string]string{
	"/snomD785.htm": `<settings><phone-settings><http_pass perm="">secret &lt;1&gt;</http_pass></phone-settings></settings>`,
}

func TestSimulate(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := simulateAt(t, oneSetting)
	if status != 0 || stderr != "" || !strings.HasSuffix(stdout, "works     1 settings, 0 keys, 0 contacts, 0 languages\n") {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if strings.Contains(stdout, "secret") {
		t.Errorf("a value is shown:\n%s", stdout)
	}
}

func TestSimulateJSON(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := simulateAt(t, oneSetting, "--json")
	var s phonesim.State
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || status != 0 {
		t.Fatalf("exit status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if got := s.Setting("http_pass"); got != "secret <1>" || s.MAC.Hex() != "000413922D24" {
		t.Errorf("http_pass is %q, the MAC %s", got, s.MAC)
	}
	if !strings.Contains(stdout, "secret <1>") {
		t.Error("the JSON is escaped for HTML")
	}
	if !strings.Contains(stderr, "fetched   first file  SITE/snomD785.htm  200 OK") {
		t.Errorf("the phone's way is not on standard error:\n%s", stderr)
	}
}

func TestSimulateFails(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := simulateAt(t, nil)
	if want := "dialtone: the phone would not work: no setting came from SITE/\n"; status != 1 || stderr != want {
		t.Errorf("exit status %d, %q, want 1, %q\n%s", status, stderr, want, stdout)
	}
	status, stdout, stderr = simulateAt(t, nil, "--count", "3")
	if want := "dialtone: 3 of 3 phones would not work\n"; status != 1 || stderr != want {
		t.Errorf("exit status %d, %q, want 1, %q", status, stderr, want)
	}
	if want := "00:04:13:92:2d:26  does not work: no setting came from SITE/\n"; !strings.Contains(stdout, want) {
		t.Errorf("no line %q:\n%s", want, stdout)
	}
}

func TestSimulateUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--mac 000413922D24": "missing flags: --interface=NAME or --server=URL",
		"--mac 000413922D24 --server http://h --interface eth0": "--interface and --server can't be used together",
		"--mac 0004139 --server http://h":                       `--mac: MAC address "0004139" has 7 hexadecimal digits, not 12`,
		"--mac 000413922D24 --server http://h --count 0":        "--count takes 1 to 10000",
	} {
		var out, errs bytes.Buffer
		status := run(append([]string{"simulate"}, strings.Fields(args)...), &out, &errs)
		if status != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("simulate %s: exit status %d, %q, want %q", args, status, errs.String(), want)
		}
	}
}

func TestAddMAC(t *testing.T) {
	t.Parallel()
	m := mac.Addr{0, 4, 0x13, 0, 0xff, 0xfe}
	got, err := addMAC(m, 3)
	if want := (mac.Addr{0, 4, 0x13, 1, 0, 1}); err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	_, err = addMAC(mac.Addr{0, 4, 0x13, 0xff, 0xff, 0xff}, 1)
	if want := "counting 1 up from 00:04:13:ff:ff:ff leaves the maker's range"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestWriteTimes(t *testing.T) {
	t.Parallel()
	var phones []booted
	for i := range 200 {
		phones = append(phones, booted{total: time.Duration(200-i) * time.Millisecond})
	}
	var b bytes.Buffer
	writeTimes(&b, phones)
	want := "               50 %   90 %   99 %    all\n  whole boot  100ms  180ms  198ms  200ms\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestDemoInsideIsRefused(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	status := run([]string{"demo", "--inside", t.TempDir()}, &out, &errs)
	if want := "dialtone: --inside is for the demonstration's own use\n"; status != 1 || errs.String() != want {
		t.Errorf("exit status %d, %q, want 1, %q", status, errs.String(), want)
	}
}

func TestNoNamespaces(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.EPERM, syscall.ENOSPC, syscall.EINVAL} {
		if got := noNamespaces(err); !errors.Is(got, err) || !strings.Contains(got.Error(), "run dialtone demo as root") {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := noNamespaces(syscall.ENOMEM).Error(); strings.Contains(got, "as root") {
		t.Errorf("%s", got)
	}
}
