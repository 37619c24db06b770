package profiles

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"dialtone/internal/config"
	"dialtone/internal/golden"
	"dialtone/internal/mac"
)

// fakePasswords makes up passwords that tell their name.
type fakePasswords struct{}

func (fakePasswords) Password(name string) (string, error) {
	if name == "" {
		return "", errors.New("a password needs a name")
	}
	return "pw(" + name + ")", nil
}

// loadDir loads a configuration, and fails the test if it has errors.
func loadDir(t testing.TB, dir string) *Set {
	t.Helper()
	cfg, rep := config.Load(dir, config.Options{})
	s := Load(cfg, fakePasswords{}, rep)
	if rep.HasErrors() {
		var b strings.Builder
		if err := rep.Write(&b, false, 0); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("loading %s:\n%s", dir, &b)
	}
	return s
}

// loadText loads a configuration from its text alone.
func loadText(t testing.TB, text string) *Set {
	t.Helper()
	return loadDir(t, writeFiles(t, []txtar.File{{Name: "dialtone.hcl", Data: []byte(text)}}))
}

func writeFiles(t testing.TB, files []txtar.File) string {
	t.Helper()
	dir := t.TempDir()
	golden.Extract(t, dir, files)
	return dir
}

// serverAddress is where the appliance is for the phones of every fixture.
var serverAddress = netip.MustParseAddr("192.168.50.1")

// TestDocuments renders the requests of testdata/documents. A file holds a
// configuration, or a first line "config: DIR", and
// the wanted answers: sections "GET PATH[?QUERY] [WORD…]" with the words
// who=MAC, model=T, version=V, linux=V, jffs2=V, ramdisk=V, reveal, missing
// for a files_dir without files, and missing=NAME for one without those whose names hold NAME.
func TestDocuments(t *testing.T) {
	t.Parallel()
	golden.Archives(t, "testdata/documents/*.txtar", testDocuments)
}

func testDocuments(t *testing.T, archive *txtar.Archive) {
	var sources []txtar.File
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "GET ") && !strings.HasPrefix(f.Name, "EXPLAIN ") {
			sources = append(sources, f)
		}
	}
	load := func() *Set {
		if first, _, _ := strings.Cut(string(archive.Comment), "\n"); strings.HasPrefix(first, "config: ") {
			return loadDir(t, strings.TrimPrefix(first, "config: "))
		}
		return loadDir(t, writeFiles(t, sources))
	}
	set, other := load(), load()
	for i, f := range archive.Files {
		line, ok := strings.CutPrefix(f.Name, "GET ")
		answer := answer
		if !ok {
			line, ok = strings.CutPrefix(f.Name, "EXPLAIN ")
			answer = explained
		}
		if !ok {
			continue
		}
		got := answer(t, set, line)
		if again := answer(t, set, line); again != got {
			t.Errorf("%s: rendered again (-first +second)\n%s", line, cmp.Diff(got, again))
		}
		if again := answer(t, other, line); again != got {
			t.Errorf("%s: rendered from another Set (-first +second)\n%s", line, cmp.Diff(got, again))
		}
		archive.Files[i].Data = []byte(got)
	}
}

// answer renders one request line as a fixture shows it: who may read it, then
// the body, which a strict parser has to accept.
func answer(t *testing.T, s *Set, line string) string {
	t.Helper()
	r, err := fixtureRequest(t, s, line)
	if err != nil {
		return "404 " + err.Error() + "\n"
	}
	d, err := s.Render(r)
	if err != nil {
		var missing *NotFound
		if !errors.As(err, &missing) {
			t.Errorf("%s: error is a %T", line, err)
		}
		return "404 " + err.Error() + "\n"
	}
	if strings.HasPrefix(d.ContentType, "text/xml") {
		if err := parseXML(d.Body); err != nil {
			t.Errorf("%s: a strict parser refuses it: %v\n%s", line, err, d.Body)
		}
	}
	readers := "anyone"
	if !d.Own.IsZero() {
		readers = d.Own.Hex()
	}
	secret := ""
	if len(d.Secrets) > 0 {
		secret = ", secret"
	}
	return fmt.Sprintf("%s for %s%s\n%s", d.Path, readers, secret, d.Body)
}

// explained explains one request line, whose path may be left out: a line for
// each value, and below it what it overrode and what there is to note.
func explained(t *testing.T, s *Set, line string) string {
	t.Helper()
	r, err := fixtureRequest(t, s, line)
	if err != nil {
		return "404 " + err.Error() + "\n"
	}
	list, err := s.Explain(r)
	if err != nil {
		return "404 " + err.Error() + "\n"
	}
	var b strings.Builder
	origin := func(o Origin) {
		fmt.Fprintf(&b, "%q %q | %s | %s:%d | %s\n", o.Value, o.Perm, o.Layer, filepath.Base(o.File), o.Line, o.Word)
	}
	document := ""
	for _, e := range list {
		if e.Document != document {
			document = e.Document
			b.WriteString(document + "\n")
		}
		fmt.Fprintf(&b, "  %s %s", e.Kind, e.Name)
		if e.Index != nil {
			fmt.Fprintf(&b, " [%d]", *e.Index)
		}
		b.WriteString(" = ")
		origin(e.Origin)
		for _, o := range e.Overrode {
			b.WriteString("    over ")
			origin(o)
		}
		for _, note := range e.Notes {
			b.WriteString("    note " + note + "\n")
		}
	}
	return b.String()
}

// fixtureRequest reads a request line.
func fixtureRequest(t *testing.T, s *Set, line string) (Request, error) {
	t.Helper()
	words := strings.Fields(line)
	var r Request
	if strings.HasPrefix(words[0], "/") {
		path, query, _ := strings.Cut(words[0], "?")
		p, err := s.ParsePath(path, query)
		if err != nil {
			return r, err
		}
		r.Path, r.Model = p, p.Model
		words = words[1:]
	}
	for _, word := range words {
		key, val, _ := strings.Cut(word, "=")
		switch key {
		case "who":
			m, err := mac.Parse(val)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			r.MAC = m
		case "model":
			r.Model = val
		case "version":
			r.Version = val
		case "reveal":
			r.Reveal = true
		case "linux":
			r.Parts.Linux = val
		case "jffs2":
			r.Parts.JFFS2 = val
		case "ramdisk":
			r.Parts.Ramdisk = val
		case "missing":
			r.HasFile = func(name string) bool { return !strings.Contains(name, val) }
		default:
			t.Fatalf("%s: unknown word %s", line, word)
		}
	}
	if p, ok := s.Phone(r.MAC); ok && r.Model == "" && r.Path.Kind == 0 {
		r.Model = p.Model // as the desk does
	}
	r.Server = s.Server(r.Model, serverAddress)
	return r, nil
}

// parseXML reads a document to its end, strictly, and as one element.
func parseXML(body []byte) error {
	decoder := xml.NewDecoder(strings.NewReader(string(body)))
	roots, depth := 0, 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			if roots != 1 {
				return fmt.Errorf("%d elements at the top", roots)
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

func TestExampleWarnsOfFilesOnly(t *testing.T) {
	t.Parallel()
	cfg, rep := config.Load("../etc/dialtone", config.Options{})
	Load(cfg, fakePasswords{}, rep)
	for _, d := range rep.Diagnostics() {
		if d.Summary != "Missing file" {
			t.Errorf("%v", d)
		}
	}
	if rep.Warnings() == 0 {
		t.Error("no warning of the missing files")
	}
}
