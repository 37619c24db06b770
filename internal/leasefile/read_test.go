package leasefile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRead reads files of every format: what the programs wrote, and what
// crashes, clients and hands have made of such files.
func TestRead(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/read/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			format := Format(strings.TrimSpace(string(section(t, a, "format"))))
			in := section(t, a, "in")
			if got := Detect(in[:min(512, len(in))]); got != format {
				t.Errorf("Detect says %q, not %q", got, format)
			}
			leases, problems, err := Read(bytes.NewReader(in), format)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := Write(&got, JSON, leases); err != nil {
				t.Fatal(err)
			}
			for _, l := range leases {
				fmt.Fprintf(&got, "%v is of line %d\n", l.Address, l.Line)
			}
			for _, p := range problems {
				fmt.Fprintln(&got, p)
			}
			if *update {
				for i, f := range a.Files {
					if f.Name == "want" {
						a.Files[i].Data = got.Bytes()
					}
				}
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(section(t, a, "want")), got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func section(t *testing.T, a *txtar.Archive, name string) []byte {
	t.Helper()
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("the archive has no %s", name)
	return nil
}
