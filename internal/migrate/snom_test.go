package migrate

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"dialtone/internal/config"
	"dialtone/internal/golden"
	"dialtone/internal/mac"
	"dialtone/profiles"
)

// TestSnomGolden imports folders of the layouts that are about. What comes out
// stands behind them in each archive, from the part "=" on.
func TestSnomGolden(t *testing.T) {
	t.Parallel()
	golden.Archives(t, "testdata/snom/*.txtar", func(t *testing.T, a *txtar.Archive) {
		in := a.Files
		if i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "=" }); i >= 0 {
			in = a.Files[:i]
		}
		dir := filepath.Join(t.TempDir(), "in")
		golden.Extract(t, dir, in)
		o := SnomOptions{Model: profiles.ModelHint, Check: func(files []SnomText, secrets map[string]string) ([]Refusal, error) {
			return snomRefusals(t, SnomResult{Files: files, Secrets: secrets}), nil
		}}
		result, err := Snom(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Snom(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(result, again); d != "" {
			t.Errorf("a second run gives something else:\n%s", d)
		}
		if why := snomRefusal(t, result); why != "" {
			t.Errorf("the result does not load: %s", why)
		}
		a.Files = slices.Concat(in, []txtar.File{{Name: "="}}, snomParts(result, dir))
	})
}

// snomParts gives everything that an import gave, to be compared.
func snomParts(r SnomResult, dir string) []txtar.File {
	var parts []txtar.File
	for _, f := range r.Files {
		parts = append(parts, txtar.File{Name: f.Name, Data: bytes.ReplaceAll(f.Text, []byte(dir), []byte("in"))})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		parts = append(parts, txtar.File{Name: "secrets/" + name, Data: []byte(r.Secrets[name] + "\n")})
	}
	var problems strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&problems, p)
	}
	return append(parts, txtar.File{Name: "problems", Data: []byte(problems.String())})
}

// snomRefusals loads a result as the appliance does, and gives what is wrong
// with it.
func snomRefusals(t testing.TB, r SnomResult) []Refusal {
	t.Helper()
	dir := t.TempDir()
	golden.Extract(t, dir, append(snomParts(r, "\x00"), txtar.File{Name: "dialtone.hcl", Data: []byte("appliance {\n  interface = \"eth0\"\n}\n")}))
	cfg, report := config.Load(dir, config.Options{})
	profiles.Load(cfg, noPasswords{}, report)
	var refusals []Refusal
	for _, f := range report.Faults() {
		refusals = append(refusals, Refusal{filepath.Base(f.File), f.Line, f.Text})
	}
	return refusals
}

// snomRefusal gives what keeps a result from being used, or from the layout of
// the formatter.
func snomRefusal(t testing.TB, r SnomResult) string {
	t.Helper()
	for _, f := range snomRefusals(t, r) {
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	}
	for _, f := range r.Files {
		formatted, _ := config.Format(f.Text, f.Name)
		if d := cmp.Diff(string(formatted), string(f.Text)); d != "" {
			return d
		}
	}
	return ""
}

func TestSnomRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Snom(filepath.Join(dir, "none"), SnomOptions{}); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Snom(dir, SnomOptions{}); err == nil || !strings.Contains(err.Error(), "there is no file of a Snom phone in "+dir) {
		t.Errorf("an empty folder: %v", err)
	}
}

// Passwords that are to stay in the text make no files.
func TestSnomInPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	golden.Extract(t, dir, []txtar.File{
		{Name: "snom370-000413260001.htm", Data: []byte(
			`<settings><phone-settings><user_name idx="1" perm="">1</user_name><user_pass idx="1" perm="">pw</user_pass><http_pass perm="">web</http_pass></phone-settings></settings>`)},
		{Name: "snom370.htm", Data: []byte(`<settings><phone-settings><http_pass perm="">all</http_pass></phone-settings></settings>`)},
	})
	r, err := Snom(dir, SnomOptions{InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	if why := snomRefusal(t, r); why != "" {
		t.Error(why)
	}
	text := string(r.Files[0].Text) + string(r.Files[1].Text)
	for _, want := range []string{`password = "pw"`, `http_pass = sensitive("web")`, `http_pass = "all"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if len(r.Secrets) > 0 {
		t.Errorf("files of secrets: %v", r.Secrets)
	}
}

func TestMACIn(t *testing.T) {
	t.Parallel()
	m := mac.Addr{0, 4, 0x13, 0x26, 0x11, 0x22}
	for base, before := range map[string]string{
		"snom320-000413261122.htm": "snom320-", "snom320-00-04-13-26-11-22.htm": "snom320-", "00:04:13:26:11:22.htm": "",
		"SNOM320-000413261122.HTM": "SNOM320-", "x_00%3A04%3a13%3a26%3A11%3a22.htm": "x_",
	} {
		got, gotMAC, after, ok := macIn(base)
		if !ok || got != before || gotMAC != m || !strings.EqualFold(after, ".htm") {
			t.Errorf("%s: %q %v %q %v", base, got, gotMAC, after, ok)
		}
	}
	for _, base := range []string{"snom320.htm", "0004132611220.htm", "snom000413261122.htm", "general.xml"} {
		if _, m, _, ok := macIn(base); ok {
			t.Errorf("%s: %v", base, m)
		}
	}
}

// Nothing is read through links that lead out of the folder.
func TestSnomLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	golden.Extract(t, dir, []txtar.File{
		{Name: "secret.xml", Data: []byte(`<settings><phone-settings><language perm="">outside</language></phone-settings></settings>`)},
		{Name: "in/snom370.htm", Data: []byte(`<setting-files><file url="http://h/out.xml"/><file url="http://h/../secret.xml"/></setting-files>`)},
	})
	if err := os.Symlink("../secret.xml", filepath.Join(dir, "in", "out.xml")); err != nil {
		t.Fatal(err)
	}
	r, err := Snom(filepath.Join(dir, "in"), SnomOptions{})
	if err != nil || len(r.Files) != 0 || len(r.Problems) != 3 {
		t.Errorf("%v %v\n%v", err, r.Problems, r.Files)
	}
}
