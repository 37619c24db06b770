package test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

func chmod(path string) *exec.Cmd { return exec.Command("chmod", "0755", path) }

func symlink(to, path string) *exec.Cmd { return exec.Command("ln", "-s", to, path) }

// SIGHUP puts a good configuration in the place of the old one; a bad one
// leaves the old one in force and says why.
func TestReload(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	o := opened(t, "reload", nil)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.66/24"))
	general := func() string {
		t.Helper()
		status, body := curl(t, h, "http://"+server+"/snomD785/general.xml")
		if status != "200" {
			t.Fatalf("general.xml: %s", status)
		}
		return string(body)
	}
	before := general()
	profiles := filepath.Join(o.config, "profiles.hcl")
	text := string(read(t, profiles))

	write(t, profiles, strings.Replace(text, `"GER+1"`, `"GBR-0"`, 1)+"\nprofile \"bad\" {\n  extends = \"gone\"\n}\n")
	o.service.Signal(syscall.SIGHUP)
	o.service.Wait("the old configuration stays")
	o.service.Wait("profiles.hcl")
	if after := general(); after != before {
		t.Error("a bad configuration changed what is served")
	}
	write(t, profiles, strings.Replace(text, `"GER+1"`, `"GBR-0"`, 1))
	o.service.Signal(syscall.SIGHUP)
	o.service.Wait("msg=reloaded")
	if after := general(); !strings.Contains(after, ">GBR-0<") || strings.Contains(after, "GER+1") {
		t.Errorf("a good configuration is not served:\n%s", after)
	}
	o.service.Signal(syscall.SIGTERM)
	if status := o.service.Exit(); status != 0 {
		t.Errorf("SIGTERM: exit status %d", status)
	}
}

// A bad configuration ends the start, with exit status 1 and the place, before
// any socket is opened: where the ports are taken nothing is said of that.
func TestBadConfigurationOpensNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"syntax":    {"phone \"000413000001\" {\n", "more.hcl"},
		"attribute": {"appliance {\n  interfaces = \"eth0\"\n}\n", "more.hcl"},
		"twice":     {"phone \"00-04-13-92-2d-24\" {\n}\n", "more.hcl"},
		"subnet":    {"phone \"000413000001\" {\n  address = \"192.168.51.9\"\n}\n", "more.hcl"},
		"profile":   {"phone \"000413000001\" {\n  profile = \"gone\"\n}\n", "more.hcl"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, "bad"+name[:3], map[string]string{"more.hcl": c.text})
			for _, port := range []string{"67", "69"} {
				udp(t, o.host, "0.0.0.0:"+port)
			}
			r := o.host.Run(t, built(t), "serve", "--config", o.config)
			if r.Status != 1 || !strings.Contains(r.Stderr, c.want) || strings.Contains(r.Stderr, "address already in use") {
				t.Errorf("exit status %d, want 1 and %s named:\n%s", r.Status, c.want, r.Stderr)
			}
			if _, err := os.Stat(filepath.Join(o.state, "dialtone.db")); err == nil {
				t.Error("the state was made all the same")
			}
			if r := o.host.Run(t, built(t), "check", "--config", o.config); r.Status != 1 || !strings.Contains(r.Stdout+r.Stderr, c.want) {
				t.Errorf("check: exit status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
			}
		})
	}
}

// A second copy on the same state does not start, and the first goes on.
func TestSecondCopy(t *testing.T) {
	t.Parallel()
	o := opened(t, "second", nil)
	r := o.host.Run(t, built(t), "serve", "--config", o.config)
	if r.Status != 1 || !strings.Contains(r.Stderr, "another dialtone is running") {
		t.Errorf("exit status %d\n%s", r.Status, r.Stderr)
	}
	o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String())
}

var resident = regexp.MustCompile(`VmRSS:\s+([0-9]+) kB`)

// Less than 25 MB resident after a phone has booted.
func TestMemory(t *testing.T) {
	o := opened(t, "memory", nil)
	o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String())
	if kB := o.resident(t); kB >= 25_000 {
		t.Errorf("%d kB resident, want less than 25 MB", kB)
	}
}

// resident gives what of the service is in memory, in kB.
func (o *office) resident(t testing.TB) int {
	t.Helper()
	status := read(t, fmt.Sprintf("/proc/%d/status", o.service.Pid()))
	kB, err := strconv.Atoi(string(resident.FindSubmatch(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kB
}

// BenchmarkColdStart is the time from the start of the program until every
// socket answers, with the example and with 500 phones.
func BenchmarkColdStart(b *testing.B) {
	sheet := "mac,name,extension,password,display_name\n"
	for i := range 500 {
		sheet += fmt.Sprintf("000413A6%04X,desk%d,%d,pässword<%d>&,Person %d\n", i, i, 1000+i, i, i)
	}
	for name, more := range map[string]map[string]string{"example": nil, "500 phones": {"staff.csv": sheet}} {
		b.Run(name, func(b *testing.B) {
			o := newOffice(b, "cold", more)
			for b.Loop() {
				o.start(b)
				b.StopTimer()
				b.ReportMetric(float64(o.resident(b))/1000, "MB")
				o.service.Kill()
				b.StartTimer()
			}
		})
	}
}

// The demonstration works for root and for anyone else.
func TestDemo(t *testing.T) {
	t.Parallel()
	netnstest.Need(t)
	users := map[string]*syscall.Credential{"as the user of the test": nil}
	if os.Geteuid() == 0 {
		users["as nobody"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for name, credential := range users {
		t.Run(name, func(t *testing.T) {
			if credential != nil {
				netnstest.NeedRoot(t)
			}
			cmd := dialtone(t, "demo")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
			cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
			cmd.Dir = "/"
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{"All is well", "192.168.50.20", "tftp://192.168.50.1/snom760.htm", "asks for the file of reception: 403 Forbidden", "asks for the file of anna: 200 OK"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("the demonstration does not show %q:\n%s", want, out)
				}
			}
			for _, secret := range []string{"correct-horse", "aeV5quoh", "Ohj2", "\x1b"} {
				if strings.Contains(string(out), secret) {
					t.Errorf("the demonstration shows %q", secret)
				}
			}
		})
	}
}
