package profiles

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestEveryDocumentHasItsGolden holds docs/documents.md: each row's golden has
// the path, and the tag is in what is sent there.
func TestEveryDocumentHasItsGolden(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/documents.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| (?:([1-7]) )?`([^`]+)` \\| (.*) \\| `([^`]+\\.txtar)` \\|$")
	code := regexp.MustCompile("`([^`]+)`")
	files, tags := map[string]bool{}, map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		file, tag, golden := m[1], m[2], m[4]
		words := code.FindAllStringSubmatch(m[3], -1)
		path := words[len(words)-1][1]
		if file != "" {
			files[file], path, tag = true, words[0][1], words[1][1]
		} else {
			tags[tag] = true
		}
		archive, err := txtar.ParseFile(filepath.Join("testdata/documents", golden))
		if err != nil {
			t.Error(err)
			continue
		}
		elements := goldenElements(t, archive, "GET "+path)
		if len(elements) == 0 {
			t.Errorf("%s has no GET %s", golden, path)
			continue
		}
		if file != "" && elements[0] != tag {
			t.Errorf("%s: the root of %s is %s, not %s", golden, path, elements[0], tag)
		}
		if !strings.Contains(" "+strings.Join(elements, " ")+" ", " "+tag+" ") {
			t.Errorf("%s: no <%s> in %s", golden, tag, path)
		}
	}
	if len(files) != 7 {
		t.Errorf("the table has %d of the 7 files", len(files))
	}
	for _, tag := range strings.Fields("phone-settings function-keys phone-book dialplan firmware-settings setting-files " +
		"settings gui-languages phrases web-languages w_phrases") { // slide 10
		if !tags[tag] {
			t.Errorf("<%s> of slide 10 is not in the table", tag)
		}
	}
}

// goldenElements lists the elements of the answer in a section, in their order.
func goldenElements(t *testing.T, archive *txtar.Archive, section string) []string {
	t.Helper()
	for _, f := range archive.Files {
		if f.Name != section {
			continue
		}
		_, body, _ := strings.Cut(string(f.Data), "\n")
		var names []string
		decoder := xml.NewDecoder(strings.NewReader(body))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				return names
			}
			if err != nil {
				t.Errorf("%s: %v", section, err)
				return names
			}
			if e, ok := token.(xml.StartElement); ok {
				names = append(names, e.Name.Local)
			}
		}
	}
	return nil
}
