package test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall installs into a folder as a package would, and lets systemd
// judge what it would be given.
func TestInstall(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	run(t, exec.Command("make", "-C", "..", "install", "DESTDIR="+root))

	for path, mode := range map[string]os.FileMode{
		"usr/bin/dialtone":                            0o755,
		"usr/lib/systemd/system/dialtone.service":     0o644,
		"usr/lib/sysusers.d/dialtone.conf":            0o644,
		"usr/lib/tmpfiles.d/dialtone.conf":            0o644,
		"usr/share/doc/dialtone/example/dialtone.hcl": 0o644,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
	t.Run("program", func(t *testing.T) {
		f, err := elf.Open(filepath.Join(root, "usr/bin/dialtone"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libraries, _ := f.ImportedLibraries(); len(libraries) > 0 {
			t.Errorf("the program wants %v; it has to stand alone", libraries)
		}
	})
	t.Run("unit", func(t *testing.T) {
		analyze := program(t, "systemd-analyze")
		// The unit names the program where it will be; here it is elsewhere.
		unit := filepath.Join(root, "usr/lib/systemd/system/dialtone.service")
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		here := filepath.Join(t.TempDir(), "dialtone.service")
		write(t, here, strings.ReplaceAll(string(text), "/usr/bin/dialtone", filepath.Join(root, "usr/bin/dialtone")))
		if out, err := exec.Command(analyze, "verify", "--man=no", here).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
		// 0 is a perfect sandbox, 10 none at all; 2.0 is "OK" by systemd's own words.
		out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", here).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze security: %v\n%s", err, out)
		}
	})
	t.Run("user and folders", func(t *testing.T) {
		run(t, exec.Command(program(t, "systemd-sysusers"), "--root="+root))
		run(t, exec.Command(program(t, "systemd-tmpfiles"), "--root="+root, "--create"))
		if _, err := os.Stat(filepath.Join(root, "srv/dialtone/firmware")); err != nil {
			t.Error(err)
		}
	})
}

// run runs a command that has to succeed.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
