package phonefile

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"dialtone/internal/golden"
)

// TestApplyFile applies the files of each archive in order and compares what
// the phone is then set to, or the errors, with its last part.
func TestApplyFile(t *testing.T) {
	t.Parallel()
	golden.Archives(t, "testdata/*.txtar", func(t *testing.T, a *txtar.Archive) {
		in, want := a.Files[:len(a.Files)-1], golden.Section(t, a, "want")
		s := &Memory{}
		var said strings.Builder
		for _, f := range in {
			file, err := s.ApplyFile(f.Data)
			if err != nil {
				said.WriteString(f.Name + ": error: " + err.Error() + "\n")
			}
			for _, n := range file.Notes {
				said.WriteString(f.Name + ": note: " + n.String() + "\n")
			}
			for _, l := range append(file.Links, file.Images...) {
				said.WriteString(f.Name + ": " + file.Root + ": " + l.URL + "\n")
			}
		}
		b, err := json.MarshalIndent(s, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		want.Data = []byte(said.String() + string(b) + "\n")
	})
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"not closed":     {`<?xml version="1.0"?><settings><phone-settings>`, "malformed XML in line 1: unexpected EOF"},
		"stray end tag":  {`<settings></phone-settings></settings>`, "malformed XML in line 1: element <settings> closed by </phone-settings>"},
		"raw ampersand":  {`<settings><phone-settings><a perm="">x & y</a></phone-settings></settings>`, "malformed XML in line 1: invalid character entity & (no semicolon)"},
		"raw less-than":  {`<settings><phone-settings><a perm="">x < y</a></phone-settings></settings>`, "malformed XML in line 1: expected element name after <"},
		"control":        {"<settings><phone-settings><a perm=\"\">\x01</a></phone-settings></settings>", "malformed XML in line 1: illegal character code U+0001"},
		"not UTF-8":      {"<settings><phone-settings><a perm=\"\">\xfc</a></phone-settings></settings>", "malformed XML in line 1: invalid UTF-8"},
		"two roots":      {`<settings/><settings/>`, "malformed XML in line 1: <settings> is a second element beside the first, and there may be one"},
		"text behind":    {`<settings/>oops`, "malformed XML in line 1: there is text outside of the element"},
		"attribute":      {`<setting-files><file url="a" url="b"/></setting-files>`, "malformed XML in line 1: <file> has the attribute url twice"},
		"too deep":       {strings.Repeat("<a>", 101) + strings.Repeat("</a>", 101), "malformed XML in line 1: more than 100 elements are nested"},
		"charset":        {`<?xml version="1.0" encoding="koi8-r"?><settings/>`, "malformed XML in line 1: it says that it is koi8-r; phones read UTF-8"},
		"a web page":     {`<!DOCTYPE html><html><body>404</body></html>`, "no phone knows the element <html>"},
		"idx of setting": {`<phone-settings><user_name idx="one" perm="">x</user_name></phone-settings>`, `the setting user_name has the idx "one", which is no number`},
		"idx of key":     {`<functionKeys><fkey perm="">line</fkey></functionKeys>`, `a function key has the idx "", which is no number`},
	} {
		before := Memory{Settings: []Setting{{Name: "language", Value: "English"}}}
		after := before
		_, err := after.ApplyFile([]byte(c.body))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v, want %s", name, err, c.want)
		}
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s: a dropped file changed the phone (-before +after):\n%s", name, d)
		}
	}
}

func TestReadEmpty(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " \r\n", "\ufeff", "<!-- nothing for you -->", `<?xml version="1.0"?><!-- nothing -->`} {
		f, err := Read("", []byte(body))
		if err != nil {
			t.Errorf("Read(%q): %v", body, err)
		}
		if d := cmp.Diff(File{}, f); d != "" {
			t.Errorf("Read(%q) (-want +got):\n%s", body, d)
		}
	}
}

// A value that the user set on the phone stays where the flag is "!" alone.
func TestPerm(t *testing.T) {
	t.Parallel()
	for perm, want := range map[string]string{
		"!": "of the user", "": "of the file", "RW": "of the file", "$": "of the file", "R": "of the file", "&amp;": "of the file", " ": "of the file",
	} {
		s := Memory{Settings: []Setting{{Name: "language", Value: "of the user", Changed: true}}}
		file := `<phone-settings><language perm="` + perm + `">of the file</language></phone-settings>`
		if _, err := s.ApplyFile([]byte(file)); err != nil {
			t.Fatal(err)
		}
		if got := s.Setting("language"); got != want {
			t.Errorf("perm %q: the value is the one %s, want the one %s", perm, got, want)
		}
		fresh := Memory{}
		if _, err := fresh.ApplyFile([]byte(file)); err != nil {
			t.Fatal(err)
		}
		if got := fresh.Setting("language"); got != "of the file" {
			t.Errorf("perm %q on a fresh phone: %q", perm, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, archive := range golden.Parse(f, "testdata/*.txtar") {
		for _, file := range archive.Files {
			f.Add(file.Data)
		}
	}
	f.Add([]byte("<settings><phone-settings><a idx='99999999999999999999'/></phone-settings></settings>"))
	f.Add([]byte("fkey9999: line\nfkey_context99999: active\nuser_name99999999999999999999!: x\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var once, twice Memory
		file, err := once.ApplyFile(body)
		if err != nil && (len(once.Settings)+len(once.Keys)+len(once.Phonebook)+len(once.Dialplan) > 0) {
			t.Error("a dropped file changed the phone")
		}
		for _, s := range file.Settings {
			if at := s.At; file.Charset == "" && (at.Line < 1 || at.Start < 0 || at.Start >= at.End || at.End > len(body)) {
				t.Errorf("%s is at %+v of %d octets", s.Name, at, len(body))
			}
		}
		if len(once.Settings) > len(file.Settings) {
			t.Errorf("%d settings of %d", len(once.Settings), len(file.Settings))
		}
		for range 2 {
			if _, again := twice.ApplyFile(body); (again == nil) != (err == nil) {
				t.Errorf("first %v, then %v", err, again)
			}
		}
		// Index, context and numbers may make one entry of a book say
		// something else the second time; settings and keys may not.
		if d := cmp.Diff(once.Settings, twice.Settings); d != "" {
			t.Errorf("applying a file twice changes settings (-once +twice):\n%s", d)
		}
		if d := cmp.Diff(once.Keys, twice.Keys); d != "" {
			t.Errorf("applying a file twice changes keys (-once +twice):\n%s", d)
		}
	})
}
