package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"golang.org/x/tools/txtar"

	"dialtone/internal/config"
	"dialtone/internal/golden"
)

var expectation = regexp.MustCompile(`# (ERROR|WARNING): ([^#\n]*[^#\s])`)

// TestInvalid loads testdata/invalid. Each line that is wrong says so itself, in
// a comment "# ERROR: SUMMARY" or "# WARNING: SUMMARY"; what the admin reads is
// in the .txt beside it. A .txtar has several files.
func TestInvalid(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"testdata/invalid/*.hcl", "testdata/invalid/*.txtar"} {
		golden.Each(t, pattern, testInvalid)
	}
}

// loadFixture loads a fixture from a folder of its own. A file of a .txtar that
// says "SIZE N" is N bytes long.
func loadFixture(t *testing.T, name string) (dir string, files []txtar.File, rep *config.Report) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files = []txtar.File{{Name: "dialtone.hcl", Data: text}}
	if filepath.Ext(name) == ".txtar" {
		files = txtar.Parse(text).Files
	}
	dir = writeFiles(t, files)
	for _, f := range files {
		var size int64
		if n, _ := fmt.Sscanf(string(f.Data), "SIZE %d\n", &size); n == 1 {
			if err := os.Truncate(filepath.Join(dir, f.Name), size); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg, rep := config.Load(dir, config.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	Load(cfg, fakePasswords{}, rep)
	return dir, files, rep
}

func testInvalid(t *testing.T, name string) {
	dir, files, rep := loadFixture(t, name)
	var want []string
	for _, f := range files {
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, m := range expectation.FindAllStringSubmatch(line, -1) {
				want = append(want, fmt.Sprintf("%s:%d %s: %s", f.Name, i+1, m[1], m[2]))
			}
		}
	}
	var got []string
	for _, d := range rep.Diagnostics() {
		severity := "ERROR"
		if d.Severity == hcl.DiagWarning {
			severity = "WARNING"
		}
		rng := hcl.Range{}
		if d.Subject != nil {
			rng = *d.Subject
		}
		got = append(got, fmt.Sprintf("%s:%d %s: %s", filepath.Base(rng.Filename), rng.Start.Line, severity, d.Summary))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("diagnostics (-want +got)\n%s", diff)
	}

	var report strings.Builder
	if err := rep.Write(&report, false, 0); err != nil {
		t.Fatal(err)
	}
	shown := strings.ReplaceAll(report.String(), dir+string(filepath.Separator), "")
	golden.File(t, strings.TrimSuffix(name, filepath.Ext(name))+".txt", []byte(shown))
}
