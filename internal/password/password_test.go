package password

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestPasswordsStayTheSame(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := first.Password("web/000413922D24")
	b, _ := again.Password("web/000413922D24")
	c, _ := first.Password("admin/000413922D24")
	if a != b || a == c {
		t.Errorf("passwords %q and %q of one name, %q of another", a, b, c)
	}
	if !regexp.MustCompile(`^[2-9a-kmnp-z]{16}$`).MatchString(a) {
		t.Errorf("password %q is not of the promised form", a)
	}
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := other.Password("web/000413922D24"); d == a {
		t.Error("two appliances made the same password")
	}
}

func TestKeyIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the folder holds %v, %v, want the key alone", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
}

func TestOneKeyHoweverManyStart(t *testing.T) {
	dir := t.TempDir()
	got := make([]string, 16)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			s, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			got[i], _ = s.Password("x")
		})
	}
	wg.Wait()
	for _, p := range got {
		if p != got[0] {
			t.Fatalf("sixteen starts at once made different passwords: %q", got)
		}
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, keyFile)
	if err := os.WriteFile(path, []byte("deadbeef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if err == nil || !strings.Contains(err.Error(), "does not hold 64 hexadecimal digits") {
		t.Errorf("Open says %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "deadbeef\n" {
		t.Errorf("Open changed the key to %q", b)
	}
}

func TestNoName(t *testing.T) {
	if _, err := (Placeholder{}).Password(""); err == nil {
		t.Error("a password without a name was made")
	}
}
