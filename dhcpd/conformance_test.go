package dhcpd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	conformanceRow = regexp.MustCompile(`(?m)^\| [A-Z][0-9] \|.*$`)
	quotedName     = regexp.MustCompile("`([A-Za-z0-9-]+(?:\\.txt)?)`")
	goTest         = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestConformance holds docs/conformance.md to the tests: each row names some,
// each of them exists, and each script is named.
func TestConformance(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		exists[filepath.Base(s)] = true
	}
	for _, pattern := range []string{"*_test.go", "lease/*_test.go", "../internal/option/*_test.go", "../internal/state/*_test.go", "../test/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range goTest.FindAllStringSubmatch(string(text), -1) {
				exists[m[1]] = true
			}
		}
	}
	named := map[string]bool{}
	rows := conformanceRow.FindAllString(string(doc), -1)
	for _, row := range rows {
		cells := strings.Split(row, "|")
		if len(cells) != 7 || strings.TrimSpace(cells[3]) == "" {
			t.Errorf("no section, or not six columns: %s", row)
			continue
		}
		tests := quotedName.FindAllStringSubmatch(cells[4], -1)
		if len(tests) == 0 {
			t.Errorf("no test: %s", row)
		}
		for _, m := range tests {
			named[m[1]] = true
			if !exists[m[1]] {
				t.Errorf("there is no %s: %s", m[1], row)
			}
		}
	}
	if len(rows) < 45 {
		t.Errorf("only %d rules", len(rows))
	}
	for _, s := range scripts {
		if s := filepath.Base(s); !named[s] {
			t.Errorf("%s holds no rule", s)
		}
	}
}
