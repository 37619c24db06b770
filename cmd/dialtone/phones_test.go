package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dialtone/httpd"
	"dialtone/internal/mac"
	"dialtone/internal/phonesim"
	"dialtone/internal/register"
	"dialtone/internal/state"
	"dialtone/provision"
)

const phonesOffice = `appliance {
  interface = "nowhere0"
  state_dir = %q
  files_dir = %q
}
provisioning {
  secrets   = "anyone"
  http_port = %d
}
profile "base" {
  default = true
  settings {
    language      = "Deutsch"
    update_policy = "auto_update"
  }
  languages {
    gui = { "Deutsch" = "languages/gui_lang_DE.xml" }
    web = { "Dansk" = { wlang_home = "Hjem" } }
  }
  phonebook {
    contact "Reception" { number = "100" }
  }
  dialplan {
    template "0." { timeout = 0 }
  }
}
document "hold.xml" {
  file = "hold.xml"
  join = "general"
}
model "snomD785" { firmware = "10.1.215.13" }
phone "00:04:13:92:2D:24" {
  name  = "anna"
  model = "snomD785"
  settings {
    language  = "English"
    http_pass = password("web/anna")
  }
  identity "1" {
    user     = "101"
    password = "hush-hush"
  }
  key "3" {
    type  = "speed"
    value = sensitive("0815")
  }
  phonebook {
    contact "Boiler room" { number = "170" }
  }
}
phone "000413000009" {
  name  = "old"
  model = "snom360"
}
`

const annaMAC = "000413922D24"

// phonesSite serves an office over HTTP, and keeps its register.
type phonesSite struct {
	config, state string
	url           string
	app           *appliance
}

func newPhonesSite(t *testing.T) *phonesSite {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &phonesSite{config: filepath.Join(dir, "dialtone.hcl"), state: filepath.Join(dir, "state"), url: "http://" + l.Addr().String()}
	files := filepath.Join(dir, "files")
	for name, text := range map[string]string{"languages/gui_lang_DE.xml": "<phrases/>", "firmware/snomD785-10.1.215.13-SIP-r.bin": strings.Repeat("x", 1000)} {
		name = filepath.Join(files, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, name, text)
	}
	writeFile(t, filepath.Join(dir, "hold.xml"), "<settings><phone-settings><ring_sound perm=\"\">Ringer9</ring_sound></phone-settings></settings>")
	writeFile(t, s.config, fmt.Sprintf(phonesOffice, s.state, files, l.Addr().(*net.TCPAddr).Port))
	s.serve(t, l, slog.New(slog.DiscardHandler), provision.Config{})
	return s
}

// serve serves the configuration on l.
func (s *phonesSite) serve(t *testing.T, l *net.TCPListener, log *slog.Logger, c provision.Config) {
	t.Helper()
	cfg, err := load(s.config, statePasswords)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Report.HasErrors() {
		_ = writeReport(os.Stderr, cfg.Report)
		t.Fatal("the configuration has errors")
	}
	s.app = &appliance{path: s.config, log: log}
	s.app.current.Store(&cfg)
	if _, err := s.app.openLeases(s.state); err != nil {
		t.Fatal(err)
	}
	if s.app.seen, err = register.Open(s.app.db, log); err != nil {
		t.Fatal(err)
	}
	c.Register, c.Log = sightings{s.app.seen, cfg.Seal}, log
	server := &httpd.Server{Desk: newDesk(s.app.current.Load, c), Log: log}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		_ = s.app.Close()
	})
}

// boot lets a phone fetch all that a setting server has for it.
func boot(t *testing.T, url, model, m string) *phonesim.State {
	t.Helper()
	addr, err := mac.Parse(m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := phonesim.New(phonesim.Config{MAC: addr, Model: model, Server: url + "/"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Boot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Works(); err != nil {
		t.Fatal(err)
	}
	return s
}

// edit replaces text of the configuration, on the disk alone.
func (s *phonesSite) edit(t *testing.T, old, text string) {
	t.Helper()
	b, err := os.ReadFile(s.config)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		t.Fatalf("the configuration has no %q (%v)", old, err)
	}
	writeFile(t, s.config, strings.Replace(string(b), old, text, 1))
}

// stop ends the service, as far as the commands can see.
func (s *phonesSite) stop(t *testing.T) {
	t.Helper()
	if err := s.app.seen.Run(canceled(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Close(); err != nil {
		t.Fatal(err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// control answers on the admin socket.
func (s *phonesSite) control(t *testing.T) (end func()) {
	t.Helper()
	l, err := listenControl(filepath.Join(s.state, controlSocket))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.app.controlHandler())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return server.Close
}

var seenTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

// TestDiff boots a phone, changes the configuration on the disk, and asks what
// that will do: while the service runs, and when it has stopped.
func TestDiff(t *testing.T) {
	t.Parallel()
	s := newPhonesSite(t)
	diff := func(args ...string) (int, string) {
		t.Helper()
		status, stdout, stderr := command(s.config, append([]string{"diff", annaMAC}, args...)...)
		for _, secret := range []string{"hush", "0815", "sealed:"} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%s is shown:\n%s%s", secret, stdout, stderr)
			}
		}
		return status, seenTimes.ReplaceAllString(stdout, "TIME") + stderr
	}
	endControl := s.control(t)
	if status, out := diff("--json", "--server", "127.0.0.1"); status != 1 || !strings.Contains(out, `"name": "user_pass"`) {
		t.Errorf("of a phone that was never seen: exit status %d\n%s", status, out)
	}
	boot(t, s.url, "snomD785", annaMAC)
	if status, out := diff(); status != 0 || out != "" {
		t.Errorf("nothing has changed: exit status %d\n%s", status, out)
	}

	s.edit(t, `"hush-hush"`, `"hush-hush-hush"`)
	s.edit(t, `language      = "Deutsch"`, `timezone = "GER+1"`)
	s.edit(t, `language  = "English"`, `language  = { value = "Deutsch", perm = "!" }`)
	s.edit(t, `key "3"`, `key "4"`)
	s.edit(t, `contact "Boiler room" { number = "170" }`, `contact "Attic" { number = "171" }`)
	s.edit(t, `timeout = 0`, `timeout = 5`)
	s.edit(t, `gui = { "Deutsch"`, `gui = { "Dansk"`)
	s.edit(t, `firmware = "10.1.215.13"`, `firmware = "10.1.226.16"`)
	const want = `--- 00:04:13:92:2d:24 as it was served until TIME
+++ 00:04:13:92:2d:24 as it is configured
-language = English
+language = Deutsch [!]
+timezone = GER+1
-user_pass 1 = ********
+user_pass 1 = ******** (another)
-key 3 = ********
+key 4 = ********
+contact Attic = 171 (sip) none active
-contact Boiler room = 170 (sip) none active
-template 0. = timeout="0" user="" rewrite=""
+template 0. = timeout="5" user="" rewrite=""
+gui language Dansk = SITE/files/languages/gui_lang_DE.xml
-gui language Deutsch = SITE/files/languages/gui_lang_DE.xml
-firmware = SITE/firmware/snomD785-10.1.215.13-SIP-r.bin
`
	status, running := diff()
	if d := cmp.Diff(want, strings.ReplaceAll(running, s.url, "SITE")); status != 1 || d != "" {
		t.Errorf("exit status %d (-want +got)\n%s", status, d)
	}
	endControl()
	s.stop(t)
	if status, stopped := diff(); status != 1 || stopped != running {
		t.Errorf("stopped, exit status %d (-running +stopped)\n%s", status, cmp.Diff(running, stopped))
	}
	db, err := os.ReadFile(filepath.Join(s.state, state.File))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(db, []byte("hush")) || !bytes.Contains(db, []byte("snomD785")) {
		t.Error("the register holds a secret, or nothing")
	}

	for who, want := range map[string]string{
		"0004139":      `dialtone: MAC address "0004139" has 7 hexadecimal digits, not 12` + "\n",
		"000413FFFFFF": "dialtone: 00:04:13:ff:ff:ff is not in the configuration and was never seen\n",
	} {
		if status, out, errs := command(s.config, "diff", who); status != exitUsage || errs != want || out != "" {
			t.Errorf("diff %s: exit status %d, %q, %q, want %q", who, status, out, errs, want)
		}
	}
}

// TestDiffOfLinkedDocuments changes what containers and languages link, and what
// is for a phone that reads files of its own kind.
func TestDiffOfLinkedDocuments(t *testing.T) {
	t.Parallel()
	s := newPhonesSite(t)
	dir := filepath.Dir(s.config)
	m3 := []byte("%USER%:\"101\"\nEND_OF_FILE\n")
	writeFile(t, filepath.Join(dir, "m3.cfg"), string(m3))
	writeFile(t, filepath.Join(dir, "plan.xml"), `<ReplacementPlan><key id="a"/></ReplacementPlan>`)
	s.edit(t, `document "hold.xml" {`, `
document "/m3/settings/{mac}.cfg" { file = "m3.cfg" }
document "/common/base.xml" { file = "base.xml" }
document "plan.xml" {
  file = "plan.xml"
  join = "phone"
}
document "/snom360.htm" { template = "360.xml" }
document "hold.xml" {`)
	s.edit(t, `language  = "English"`, `web_language = "Dansk"`)
	writeFile(t, filepath.Join(dir, "360.xml"), `<setting-files><file url="${server.url}/common/base.xml"/><file url="http://elsewhere.example/x.xml"/></setting-files>`)
	writeFile(t, filepath.Join(dir, "base.xml"), `<settings><phone-settings><call_waiting perm="">on</call_waiting></phone-settings></settings>`)
	cfg, err := load(s.config, statePasswords)
	if err != nil || cfg.Report.HasErrors() {
		t.Fatal(err, writeReport(os.Stderr, cfg.Report))
	}
	s.app.current.Store(&cfg)

	get := func(path string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "snom360-SIP 8.7.5.35 1.1 000413000009")
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", path, answer, err)
		}
		_ = answer.Body.Close()
	}
	boot(t, s.url, "snomD785", annaMAC)
	for _, path := range []string{"/snom360.htm", "/snom360-000413000009.htm", "/common/base.xml", "/snom360/000413000009.xml", "/snom360/000413000009/plan.xml", "/m3/settings/000413000009.cfg"} {
		get(path)
	}
	diff := func(who string) (int, string) {
		t.Helper()
		status, stdout, stderr := command(s.config, "diff", who)
		return status, seenTimes.ReplaceAllString(stdout, "TIME") + stderr
	}
	s.control(t)
	for _, who := range []string{annaMAC, "000413000009"} {
		if status, out := diff(who); status != 0 || out != "" {
			t.Errorf("%s: nothing has changed: exit status %d\n%s", who, status, out)
		}
	}

	s.edit(t, `"Hjem"`, `"Forside"`)
	writeFile(t, filepath.Join(dir, "hold.xml"), "<settings><phone-settings><ring_sound perm=\"\">Ringer3</ring_sound></phone-settings></settings>")
	writeFile(t, filepath.Join(dir, "plan.xml"), `<ReplacementPlan><key id="b"/></ReplacementPlan>`)
	writeFile(t, filepath.Join(dir, "m3.cfg"), string(m3)+"\n")
	writeFile(t, filepath.Join(dir, "base.xml"), `<settings><phone-settings><call_waiting perm="">off</call_waiting></phone-settings></settings>`)
	writeFile(t, filepath.Join(dir, "360.xml"), `<setting-files><file url="${server.url}/common/base.xml"/><file url="http://elsewhere.example/y.xml"/></setting-files>`)
	for who, want := range map[string]string{
		annaMAC: `--- 00:04:13:92:2d:24 as it was served until TIME
+++ 00:04:13:92:2d:24 as it is configured
-ring_sound = Ringer9
+ring_sound = Ringer3
-phrase /web_lang_Dansk.xml wlang_home = Hjem
+phrase /web_lang_Dansk.xml wlang_home = Forside
-document /snomD785/000413922D24/plan.xml = 48 bytes, 38e50844
+document /snomD785/000413922D24/plan.xml = 48 bytes, a2237270
`,
		"000413000009": `--- 00:04:13:00:00:09 as it was served until TIME
+++ 00:04:13:00:00:09 as it is configured
-call_waiting = on
+call_waiting = off
-file http://elsewhere.example/x.xml = linked
+file http://elsewhere.example/y.xml = linked
-document /m3/settings/000413000009.cfg = 25 bytes, 373b4196
+document /m3/settings/000413000009.cfg = 26 bytes, abe30232
-document /snom360/000413000009/plan.xml = 48 bytes, 38e50844
+document /snom360/000413000009/plan.xml = 48 bytes, a2237270
`,
	} {
		if status, out := diff(who); status != 1 || out != want {
			t.Errorf("%s: exit status %d (-want +got)\n%s", who, status, cmp.Diff(want, out))
		}
	}
	_, stdout, _ := command(s.config, "phones")
	for _, who := range []string{"00:04:13:92:2d:24", "00:04:13:00:00:09"} {
		if !regexp.MustCompile(`(?m)^` + who + `.*to change$`).MatchString(stdout) {
			t.Errorf("%s is not to change:\n%s", who, stdout)
		}
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	s := newPhonesSite(t)
	s.control(t)
	boot(t, s.url, "snomD785", annaMAC)
	// A phone of no configuration, which its User-Agent alone names.
	p, err := phonesim.New(phonesim.Config{MAC: mac.Addr{0, 4, 0x13, 1, 2, 3}, Model: "snomD765", Server: s.url + "/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	states := func() map[string]string {
		t.Helper()
		status, stdout, stderr := command(s.config, "phones", "--json")
		var list []listedPhone
		if err := json.Unmarshal([]byte(stdout), &list); err != nil || status != 0 {
			t.Fatalf("exit status %d, %v\n%s", status, err, stderr)
		}
		states := map[string]string{}
		for _, p := range list {
			states[p.MAC.String()+" "+p.Name+" "+p.Model] = p.State
		}
		return states
	}
	want := map[string]string{
		"00:04:13:92:2d:24 anna snomD785": stateLoads,
		"00:04:13:00:00:09 old snom360":   stateNever,
		"00:04:13:01:02:03  snomD765":     stateUnknown,
	}
	if d := cmp.Diff(want, states()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	s.edit(t, `"hush-hush"`, `"hush-hush-hush"`)
	want["00:04:13:92:2d:24 anna snomD785"] = stateOutdated
	if d := cmp.Diff(want, states()); d != "" {
		t.Errorf("after a change (-want +got)\n%s", d)
	}
	status, stdout, _ := command(s.config, "phones")
	if line := regexp.MustCompile(`(?m)^00:04:13:92:2d:24  anna  snomD785  \S+ +127\.0\.0\.1  \S+ \S+  to change$`); status != 0 || !line.MatchString(stdout) {
		t.Errorf("exit status %d\n%s", status, stdout)
	}
}

// TestRenderAll has a plain file server serve the tree: phones end up with the
// same as from the appliance itself.
func TestRenderAll(t *testing.T) {
	t.Parallel()
	s := newPhonesSite(t)
	s.edit(t, `document "hold.xml" {`, `
document "/m3/settings/{mac}.cfg" { template = "m3.cfg" }
document "/common/all.xml" { file = "hold.xml" }
phone "000413000010" {
  name  = "oldest"
  model = "snom190"
}
model "snomM900" { firmware = "740.104" }
phone "000413B60001" {
  name  = "base"
  model = "snomM900"
}
document "hold.xml" {`)
	writeFile(t, filepath.Join(filepath.Dir(s.config), "m3.cfg"), "%NAME%:\"${phone.name}\"\r\nEND_OF_FILE\r\n")
	image := filepath.Join(filepath.Dir(s.config), "files", "firmware", "M900", "M900_v0740_b0104.fwu")
	if err := os.MkdirAll(filepath.Dir(image), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, image, "image")
	cfg, err := load(s.config, statePasswords)
	if err != nil || cfg.Report.HasErrors() {
		t.Fatal(err, writeReport(os.Stderr, cfg.Report))
	}
	s.app.current.Store(&cfg)
	s.control(t)
	// A phone of no configuration, which its User-Agent alone names.
	p, err := phonesim.New(phonesim.Config{MAC: mac.Addr{0, 4, 0x13, 1, 2, 3}, Model: "snomD765", Server: s.url + "/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tree")
	plain := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer plain.Close()
	for _, how := range []string{"link", "copy"} {
		status, stdout, stderr := command(s.config, "render", "--all", dir, "--files", how, "--reveal", "--server", "127.0.0.1", "--url", plain.URL)
		if status != 0 || stderr != "" {
			t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
		}
		for m, model := range map[string]string{annaMAC: "snomD785", "000413000009": "snom360"} {
			shown := func(url string) string {
				s := boot(t, url, model, m)
				for i := range s.Requests { // the URLs in them differ in length
					s.Requests[i].Bytes, s.Requests[i].SHA256 = 0, ""
				}
				b, err := json.MarshalIndent(s, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				return strings.ReplaceAll(string(b), url, "SITE")
			}
			if d := cmp.Diff(shown(s.url), shown(plain.URL)); d != "" {
				t.Errorf("%s, files %s: (-appliance +tree)\n%s", m, how, d)
			}
		}
		own, err := os.Stat(filepath.Join(dir, "snomD785", annaMAC+".xml"))
		if err != nil || own.Mode().Perm() != 0o600 {
			t.Errorf("a file with passwords has the mode %v, %v", own.Mode(), err)
		}
	}

	// What nothing links is there too, as the appliance would answer it.
	get := func(url string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	for _, path := range []string{
		// V7 and later, as links and as the defaults of old firmware
		"/snomD785.htm", "/snomD785-$A.htm", "/snomD785/general.xml", "/snomD785/$A.xml", "/snomD785/hold.xml", "/snomD785/firmware.xml", "/snomD785-firmware.htm",
		"/snomD785/snomD785-firmware.htm", "/gui-lang.xml", "/snomD785/gui-lang.xml", "/snomD785/web-lang.xml", "/web_lang_Dansk.xml", "/snomD785/web_lang_Dansk.xml",
		"/$A.xml", "/snom360.htm", "/snom360-000413000009.htm", "/000413000009.xml", "/snom360/snom360-firmware.htm",
		"/snom190.htm", "/snom190-000413000010.htm", "/snom190/general.xml", "/snom190-firmware.htm", // plain text
		"/m3/settings/$A.cfg", "/m3/settings/000413000009.cfg", "/common/all.xml", // the configuration's own
		"/snomM900.htm", "/snomM900-000413B60001.htm", "/snomM900/firmware.xml", "/M900/M900_v0740_b0104.fwu", // a base
		"/firmware/M900/M900_v0740_b0104.fwu", "/files/languages/gui_lang_DE.xml",
		"/snomD765.htm", "/snomD765/general.xml", // of a phone that was only seen
	} {
		path = strings.ReplaceAll(path, "$A", annaMAC)
		status, want := get(s.url + path)
		onDisk, got := get(plain.URL + path)
		if d := cmp.Diff(want, strings.ReplaceAll(got, plain.URL, s.url)); status != http.StatusOK || onDisk != status || d != "" {
			t.Errorf("%s: status %d, and of the tree %d (-appliance +tree)\n%s", path, status, onDisk, d)
		}
	}

	// Masked, in the place of the one before.
	if status, _, stderr := command(s.config, "render", "--all", dir, "--server", "192.0.2.1"); status != 0 {
		t.Fatalf("exit status %d\n%s", status, stderr)
	}
	body, err := os.ReadFile(filepath.Join(dir, "snomD785", annaMAC+".xml"))
	if err != nil || !bytes.Contains(body, []byte("********")) || bytes.Contains(body, []byte("hush")) {
		t.Errorf("without --reveal the file is\n%s%v", body, err)
	}
	// What somebody put there stays.
	writeFile(t, filepath.Join(dir, "snomD785", "mine.xml"), "mine")
	status, _, stderr := command(s.config, "render", "--all", dir, "--server", "192.0.2.1")
	if status != exitWrong || !strings.Contains(stderr, "mine.xml is none of the files that this command made there") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	status, _, stderr = command(s.config, "render", "--all", s.state, "--server", "192.0.2.1")
	if status != exitWrong || !strings.Contains(stderr, "is not empty and was not made by this command") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
