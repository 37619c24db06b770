package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dialtone/internal/mac"
	"dialtone/internal/migrate"
	"dialtone/internal/phonefile"
	"dialtone/profiles"
)

// oldServer is a folder of phones' files, by the paths that phones ask for.
type oldServer struct {
	files  map[string]string // "/snomD785.htm"
	phones map[mac.Addr]string
}

// state is what a phone is set to by the old server.
func (o oldServer) state(t *rapid.T, m mac.Addr, model string) phonefile.Memory {
	requests, err := phonefile.RequestsOf("http://old/", model, m)
	if err != nil {
		t.Fatal(err)
	}
	var state phonefile.Memory
	err = phonefile.Walk(requests, func(_, link string) ([]phonefile.Link, bool) {
		u, err := url.Parse(phonefile.ExpandMAC(link, m))
		if err != nil {
			t.Fatal(err)
		}
		body, ok := o.files[u.Path]
		if !ok {
			return nil, true
		}
		file, err := state.ApplyFile([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v\n%s", u.Path, err, body)
		}
		return file.Links, true
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// drawn draws the values of one server.
type drawn struct{ *rapid.T }

func (d drawn) of(what string, list ...string) string { return rapid.SampledFrom(list).Draw(d.T, what) }

func (d drawn) chance(what string) bool { return rapid.Bool().Draw(d.T, what) }

func (d drawn) value() string {
	return d.of("value", "on", "off", "", "0", "007", "60", "GER+1", "a b", `"q" \ ${x} %{y}`, "<sip:1@h>&", "grün 電話", "x:y", " lead", "99999999999999999999")
}

func (d drawn) perm() string { return d.of("perm", "", "RW", "R", "!", "$", "&", " ") }

// settings writes <phone-settings>.
func (d drawn) settings() string {
	var b strings.Builder
	b.WriteString("<phone-settings e=\"2\">\n")
	for range rapid.IntRange(0, 6).Draw(d.T, "settings") {
		name := d.of("name", "language", "timezone", "http_pass", "admin_mode_password", "update_policy", "ring")
		idx := ""
		if name == "ring" && d.chance("idx") {
			idx = fmt.Sprintf(" idx=\"%d\"", rapid.IntRange(0, 3).Draw(d.T, "ring idx"))
		}
		fmt.Fprintf(&b, "<%s%s perm=\"%s\">%s</%s>\n", name, idx, escaped(d.perm()), escaped(d.value()), name)
	}
	for range rapid.IntRange(0, 6).Draw(d.T, "identity settings") {
		name := d.of("identity name", "user_name", "user_pass", "user_host", "user_realname", "user_active", "user_srtp", "codec_priority_list")
		value := d.value()
		if name == "user_active" {
			value = d.of("active", "on", "off")
		}
		fmt.Fprintf(&b, "<%s idx=\"%d\" perm=\"%s\">%s</%s>\n", name, rapid.IntRange(1, 2).Draw(d.T, "identity"), escaped(d.perm()), escaped(value), name)
	}
	b.WriteString("</phone-settings>\n")
	return b.String()
}

// parts writes function keys, a phone book and a dial plan, or not.
func (d drawn) parts() string {
	var b strings.Builder
	if d.chance("keys") {
		b.WriteString("<functionKeys>\n")
		for range rapid.IntRange(0, 4).Draw(d.T, "number of keys") {
			fmt.Fprintf(&b, "<fkey idx=\"%d\" context=\"%s\" label=\"%s\" perm=\"%s\">%s</fkey>\n", rapid.IntRange(0, 4).Draw(d.T, "key"),
				d.of("context", "", "active", "1"), escaped(d.value()), escaped(d.perm()),
				escaped(d.of("key value", "line", "blf sip:1@h|**", "none", "", "speed 11", "keyevent F_REDIAL", "dest <sip:1@h>", "blf <sip:2@h;user=phone>|*8")))
		}
		b.WriteString("</functionKeys>\n")
	}
	if d.chance("book") {
		fmt.Fprintf(&b, "<tbook complete=\"%s\">\n", d.of("complete", "true", "false"))
		for range rapid.IntRange(0, 3).Draw(d.T, "contacts") {
			index := ""
			if d.chance("has index") {
				index = fmt.Sprintf(" index=\"%d\"", rapid.IntRange(0, 3).Draw(d.T, "contact index"))
			}
			fmt.Fprintf(&b, "<item%s type=\"%s\"><name>%s</name><number>%s</number></item>\n", index, d.of("type", "", "none", "vip"),
				d.of("contact", "A", "B", "C D"), d.of("number", "1", "2", "3"))
		}
		b.WriteString("</tbook>\n")
	}
	if d.chance("dial plan") {
		b.WriteString("<dialplan>\n")
		for _, match := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0.", "*", "9,1."}), 0, 3, rapid.ID[string]).Draw(d.T, "templates") {
			fmt.Fprintf(&b, "<TEMPLATE MATCH=\"%s\" Timeout=\"%s\"/>\n", match, d.of("timeout", "", "0", "5"))
		}
		b.WriteString("</dialplan>\n")
	}
	return b.String()
}

// file writes a settings file, in the plain format at times.
func (d drawn) file() string {
	if d.chance("text") {
		var b strings.Builder
		for range rapid.IntRange(1, 5).Draw(d.T, "lines") {
			fmt.Fprintf(&b, "%s%s: %s\r\n", d.of("line", "language", "timezone", "user_name1", "user_host1", "http_pass", "fkey_label0"), d.of("flag", "", "!", "$", "&"),
				strings.TrimSpace(d.of("text value", "on", "1", "Deutsch", "a: b")))
		}
		return b.String()
	}
	return d.of("head", "", "<?xml version=\"1.0\"?>\n", "<!-- c -->\n<?xml version=\"1.0\"?>\n", "\ufeff") + "<settings>\n" + d.settings() + d.parts() + "</settings>\n"
}

func (d drawn) server() oldServer {
	o := oldServer{files: map[string]string{}, phones: map[mac.Addr]string{}}
	link := func(paths ...string) string {
		text := "<setting-files>"
		for _, p := range paths {
			text += fmt.Sprintf("<file url=\"http://old%s\"/>", p)
		}
		return text + "</setting-files>"
	}
	o.files["/common.xml"] = d.file()
	for i, model := range []string{"snomD785", "snom370", "snomD717"}[:rapid.IntRange(1, 3).Draw(d.T, "models")] {
		switch d.of("general", "none", "settings", "container") {
		case "settings":
			o.files["/"+model+".htm"] = d.file()
		case "container":
			o.files["/"+model+".htm"] = link("/common.xml", "/"+model+"/general.xml")
			o.files["/"+model+"/general.xml"] = d.file()
		}
		for n := range rapid.IntRange(0, 3).Draw(d.T, "phones") {
			m := mac.Addr{0, 4, 0x13, byte(0xa0 + i), 0, byte(n)}
			o.phones[m] = model
			top := "/" + model + "-" + m.Hex() + ".htm"
			if d.chance("own container") {
				o.files[top] = link("/" + model + "/{mac}.xml")
				o.files["/"+model+"/"+m.Hex()+".xml"] = d.file()
			} else { // loses to what the general container links
				o.files[top] = d.file()
			}
		}
	}
	return o
}

// TestImportSnomKeepsSettings imports folders of every kind: each phone is set
// to the same by what comes out as by the folder.
func TestImportSnomKeepsSettings(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		d := drawn{rt}
		old := d.server()
		if len(old.phones) == 0 {
			rt.SkipNow()
		}
		in, err := os.MkdirTemp(parent, "in")
		if err != nil {
			rt.Fatal(err)
		}
		onDisk := map[string][]byte{}
		for path, text := range old.files {
			name := strings.TrimPrefix(path, "/")
			for m := range old.phones {
				spelled := d.of("spelling", m.Hex(), strings.ToLower(m.Hex()), m.String(), strings.ReplaceAll(m.String(), ":", "-"))
				name = strings.ReplaceAll(name, m.Hex(), spelled)
			}
			onDisk[name] = []byte(text)
		}
		if err := writeConfiguration(in, onDisk, false); err != nil {
			rt.Fatal(err)
		}
		trial := trial{appliance: []byte("appliance {\n  interface = \"eth0\"\n}\n")}
		result, err := migrate.Snom(in, migrate.SnomOptions{Model: profiles.ModelHint, Check: trial.check})
		if err != nil {
			rt.Fatal(err)
		}
		show := func() string {
			var b strings.Builder
			for path, text := range old.files {
				fmt.Fprintf(&b, "-- %s --\n%s\n", path, text)
			}
			for _, f := range result.Files {
				fmt.Fprintf(&b, "-- %s --\n%s\n", f.Name, f.Text)
			}
			return b.String()
		}
		for _, p := range result.Problems {
			if strings.Contains(p.Text, "is left out") {
				rt.Fatalf("%s\n%s", p, show())
			}
		}
		if len(result.Phones) != len(old.phones) {
			rt.Fatalf("%d phones of %d", len(result.Phones), len(old.phones))
		}
		for _, p := range result.Phones {
			now, err := setBy(&app{Log: slog.New(slog.DiscardHandler)}, trial.loaded, p)
			if err != nil {
				rt.Fatal(err)
			}
			p.State = old.state(rt, p.MAC, old.phones[p.MAC])
			if lines := p.Differences(now); len(lines) > 0 {
				rt.Fatalf("%s:\n%s\n%s", p.MAC, strings.Join(lines, "\n"), show())
			}
		}
	})
}

// The command writes a configuration that check takes, and says what was not
// taken over.
func TestImportSnom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := writeConfiguration(in, map[string][]byte{
		"snom370.htm":              []byte(`<settings><phone-settings><language perm="">Deutsch</language><phone_type perm="">snom370</phone_type></phone-settings></settings>`),
		"snom370-000413260001.htm": []byte(`<settings><phone-settings><user_name idx="1" perm="">101</user_name><user_pass idx="1" perm="">hush</user_pass><user_host idx="1" perm="">pbx.example</user_host></phone-settings></settings>`),
	}, false); err != nil {
		t.Fatal(err)
	}
	imported := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"import", "snom", in}, args...), &stdout, &stderr)
		return status, stdout.String(), strings.ReplaceAll(stderr.String(), dir+"/", "")
	}
	var refusal bytes.Buffer
	missing := filepath.Join(dir, "missing")
	if status := run([]string{"import", "snom", missing}, &refusal, &refusal); status != 1 ||
		refusal.String() != "dialtone: reading the folder of phones' files: open "+missing+": no such file or directory\n" {
		t.Errorf("import of a folder that is not there: %d, %s", status, &refusal)
	}
	status, stdout, stderr := imported()
	want := "1 password not written: give --out.\n" +
		"snom370.htm:1: phone_type is left out: it spoils the names of the files that the phone asks for\n" +
		"1 line to look at.\n1 phone, 1 set to the same as before.\n"
	if status != 0 || stderr != want || !strings.Contains(stdout, `= secret("sip/101")`) || strings.Contains(stdout, "hush") {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := imported("--out", out); status != 0 || stdout != "" || strings.Contains(stderr, "hush") {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if info, err := os.Stat(filepath.Join(out, "secrets/sip/101")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the password's file: %v, %v", info, err)
	}
	if status, stdout, stderr := command(out, "check"); status != 0 || stdout != "0 errors, 0 warnings, 1 phone.\n" {
		t.Errorf("check: exit status %d\n%s%s", status, stdout, stderr)
	}
	if status, _, stderr := imported("--out", out); status != 1 || !strings.Contains(stderr, "out/phones.hcl is there already; --force replaces it") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if status, _, stderr := imported("--out", out, "--force", "--in-place"); status != 0 {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if text, err := os.ReadFile(filepath.Join(out, "phones.hcl")); err != nil || !strings.Contains(string(text), `= "hush"`) {
		t.Errorf("%v\n%s", err, text)
	}
	in = filepath.Join(dir, "out", "secrets")
	if status, _, stderr := imported(); status != 1 || !strings.Contains(stderr, "there is no file of a Snom phone in ") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
}

// What render --all writes is a folder like any other.
func TestImportSnomOfRenderAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, tree := filepath.Join(dir, "config"), filepath.Join(dir, "tree")
	if err := writeConfiguration(config, map[string][]byte{
		"dialtone.hcl": []byte(`
appliance {
  interface = "eth0"
  state_dir = "` + dir + `/state"
  files_dir = "` + dir + `/files"
}
profile "base" {
  default = true
  settings {
    language   = { value = "Deutsch", perm = "!" }
    ring_sound = ["Ringer1", "Ringer2"]
  }
  languages {
    gui = { "Deutsch" = "languages/gui_lang_DE.xml" }
  }
  phonebook {
    contact "Reception" {
      number = "100"
    }
  }
  dialplan {
    template "*" {
      timeout = 5
    }
  }
}
model "snomD785" {
  firmware = "snomD785-10.1.215.13-SIP-r.bin"
}
profile "desk" {
  settings {
    http_pass = password("web/${phone.mac}")
  }
}
phone "000413920001" {
  name    = "anna"
  model   = "snomD785"
  profile = "desk"
  identity "1" {
    user      = "101"
    password  = sensitive("hush")
    registrar = "pbx.example"
  }
  key "0" {
    type  = "blf"
    value = "102"
  }
}
phone "000413920002" {
  name    = "bob"
  model   = "snomD785"
  profile = "desk"
  phonebook {
    contact "Anna" {
      number = "101"
    }
  }
}
phone "000413260001" {
  name     = "branch"
  model    = "snom370"
  redirect = "https://branch.example/"
}
`),
		"../files/firmware/snomD785-10.1.215.13-SIP-r.bin": []byte("image"),
		"../files/languages/gui_lang_DE.xml":               []byte("<phrases/>"),
	}, false); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := command(config, "render", "--all", tree, "--files", "copy", "--reveal", "--server", "192.0.2.1"); status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
	}
	before, err := load(config, statePasswords)
	if err != nil {
		t.Fatal(err)
	}
	trial := trial{appliance: []byte("appliance {\n  interface = \"eth0\"\n}\n")}
	result, err := migrate.Snom(tree, migrate.SnomOptions{Model: profiles.ModelHint, Check: trial.check})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Phones) != 3 {
		t.Errorf("%d phones, want 3", len(result.Phones))
	}
	a := &app{Log: slog.New(slog.DiscardHandler)}
	for _, p := range result.Phones {
		if p.State, err = setBy(a, before, p); err != nil {
			t.Fatal(err)
		}
		now, err := setBy(a, trial.loaded, p)
		if err != nil {
			t.Fatal(err)
		}
		if lines := p.Differences(now); len(lines) > 0 {
			t.Errorf("%s: %s", p.MAC, strings.Join(lines, "; "))
		}
	}
	text := string(result.Files[0].Text)
	for _, want := range []string{`firmware = "snomD785-10.1.215.13-SIP-r.bin"`, `"Deutsch" = "files/languages/gui_lang_DE.xml"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
