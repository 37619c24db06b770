// Package golden holds tests to files of a testdata folder: what goes in, and what
// is wanted to come out. With -update the files are rewritten instead; read the
// diff before you commit it.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files instead of comparing them")

// Each runs a test for every file that the pattern matches, each beside the others
// and called after its file. That there is none is a failure.
func Each(t *testing.T, pattern string, test func(t *testing.T, file string)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file is %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			test(t, file)
		})
	}
}

// Archives is Each for txtar archives. The test sets in its archive what came out,
// which is compared with what the file has.
func Archives(t *testing.T, pattern string, test func(t *testing.T, a *txtar.Archive)) {
	t.Helper()
	Each(t, pattern, func(t *testing.T, file string) {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(a.Files)
		test(t, a)
		switch {
		case *update:
			write(t, file, txtar.Format(a))
		case sameNames(want, a.Files):
			for i, f := range a.Files {
				compare(t, f.Name, want[i].Data, f.Data)
			}
		default:
			compare(t, file, txtar.Format(&txtar.Archive{Files: want}), txtar.Format(&txtar.Archive{Files: a.Files}))
		}
	})
}

// File compares a whole file with what came out.
func File(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		write(t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, file, want, got)
}

// Parse gives the archives that the pattern matches, as seeds of a fuzz test.
func Parse(t testing.TB, pattern string) []*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file is %s: %v", pattern, err)
	}
	archives := make([]*txtar.Archive, len(files))
	for i, file := range files {
		if archives[i], err = txtar.ParseFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return archives
}

// Extract writes files of an archive into a folder.
func Extract(t testing.TB, dir string, files []txtar.File) {
	t.Helper()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Section gives a part of an archive, which has to be there.
func Section(t *testing.T, a *txtar.Archive, name string) *txtar.File {
	t.Helper()
	i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("the archive has no %s", name)
	}
	return &a.Files[i]
}

func sameNames(a, b []txtar.File) bool {
	return slices.EqualFunc(a, b, func(a, b txtar.File) bool { return a.Name == b.Name })
}

func compare(t *testing.T, what string, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got)\n%s", what, cmp.Diff(string(want), string(got)))
	}
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
