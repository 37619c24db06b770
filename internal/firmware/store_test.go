package firmware

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestStore(t *testing.T) {
	t.Parallel()
	s := New(filepath.Join(t.TempDir(), "firmware"))
	const name = "M900/M900_v0740_b0104.fwu"
	add := func(content string, force bool) (Added, error) {
		return s.Add(name, strings.NewReader(content), force)
	}
	first, err := add("one", false)
	if err != nil || first.Already || first.Size != 3 {
		t.Fatalf("added %+v, %v", first, err)
	}
	open, err := os.Open(filepath.Join(s.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	// Half of an image, and of an index, that a power cut has left.
	for _, left := range []string{".new.1", "M900/.new.2"} {
		if err := os.WriteFile(filepath.Join(s.Dir(), left), []byte("on"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := add("one", false); err != nil || !again.Already {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir(), "*", ".new.*")); err != nil || left != nil {
		t.Errorf("left there: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), ".new.1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left there: %v", err)
	}
	if _, err := add("two!", false); !errors.Is(err, ErrDifferent) {
		t.Errorf("another without force: %v", err)
	}
	if _, err := add("two!", true); err != nil {
		t.Errorf("another with force: %v", err)
	}
	if b := make([]byte, 8); true {
		if n, _ := open.Read(b); string(b[:n]) != "one" {
			t.Errorf("who had it open reads %q", b[:n])
		}
	}
	if out, err := sha256sum(s.Dir()); err != nil {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
	files, err := s.List()
	if err != nil || len(files) != 1 || files[0].Path != name || !files[0].Indexed || files[0].Changed() {
		t.Errorf("list: %+v, %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), name), []byte("cut"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, err := s.List(); err != nil || !files[0].Changed() {
		t.Errorf("a file that was cut does not show: %+v, %v", files, err)
	}
	if sum, err := s.Hash(name); err != nil || sum == files[0].Sum.SHA256 {
		t.Errorf("hash of the file that was cut: %s, %v", sum, err)
	}
	if err := s.Remove(name); err != nil {
		t.Error(err)
	}
	if files, err := s.List(); err != nil || len(files) != 0 {
		t.Errorf("after the removal: %+v, %v", files, err)
	}
	if err := s.Remove(name); err == nil {
		t.Error("removed twice")
	}
	for _, name := range []string{"../out.bin", "/etc/passwd", ".hidden", "a/.b", SumsFile, "two\nlines", ""} {
		if _, err := s.Add(name, strings.NewReader("x"), true); err == nil {
			t.Errorf("%q was added", name)
		}
	}
}

func sha256sum(dir string) ([]byte, error) {
	path, err := exec.LookPath("sha256sum")
	if err != nil {
		return nil, nil
	}
	cmd := exec.Command(path, "--strict", "--check", SumsFile)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func TestExamine(t *testing.T) {
	t.Parallel()
	swu := "070702" + strings.Repeat("00000000", 6) + "0000002a" + strings.Repeat("00000000", 4) + "0000000f" + "00000000" +
		"sw-description\x00" + "\x00\x00\x00" + "software =\n{\n  version = \"10.1.215.13\";\n};\n"
	for _, c := range []struct {
		name, head, version, err string
	}{
		{"snomD865-10.1.215.13-SIP-r.swu", swu, "10.1.215.13", ""},
		{"snomD865-10.1.215.13-SIP-r.swu", swu[:120], "", ""},
		{"snomD865-10.1.215.13-SIP-r.swu", "070702junk", "", ""},
		{"snomD865-10.1.215.13-SIP-r.swu", "\x00\x01\x02", "", "cpio"},
		{"snomD785-10.1.215.13-SIP-r.bin", swu, "", "cpio"},
		{"snomD785-10.1.215.13-SIP-r.bin", "\x27\x05\x19\x56", "", ""},
		{"snomD785-10.1.215.13-SIP-r.bin", "", "", "empty"},
		{"snomD785-10.1.215.13-SIP-r.bin", "\n<!DOCTYPE html><html>404", "", "web page"},
		{"snomD785-10.1.215.13-SIP-r.bin", "PK\x03\x04", "", "ZIP"},
	} {
		e, err := Examine(c.name, []byte(c.head))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || e.Version != c.version {
			t.Errorf("%s, %.20q: got %+v, %v", c.name, c.head, e, err)
		}
	}
}

// A download that was cut off anywhere is told from one that is whole, by the cpio
// archive that a .swu is.
func TestWhole(t *testing.T) {
	t.Parallel()
	entry := func(name, content string) string {
		pad := func(s string) string { return s + strings.Repeat("\x00", (4-len(s)%4)%4) }
		zeros := func(n int) string { return strings.Repeat("00000000", n) }
		return pad("070702"+zeros(6)+fmt.Sprintf("%08x", len(content))+zeros(4)+fmt.Sprintf("%08x", len(name)+1)+zeros(1)+name+"\x00") + pad(content)
	}
	files := entry("sw-description", "software") + entry("rootfs", strings.Repeat("x", 1001))
	end := entry("TRAILER!!!", "")
	for cut := range len(files + end) {
		if cut >= len(files+end)-1 {
			continue // padding
		}
		if err := Whole(strings.NewReader((files + end)[:cut]), int64(cut)); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut after %d octets: %v", cut, err)
		}
	}
	for _, whole := range []string{files + end, files + end + strings.Repeat("\x00", 300), files + strings.Repeat("something else", 100)} {
		if err := Whole(strings.NewReader(whole), int64(len(whole))); err != nil {
			t.Errorf("%d octets: %v", len(whole), err)
		}
	}
}

func FuzzSums(f *testing.F) {
	f.Add("#: 3 2026-11-25T22:00:00Z\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.bin\n")
	f.Add("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *./b.bin\n# a remark\n")
	f.Fuzz(func(t *testing.T, text string) {
		sums, err := readSums(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := readSums(strings.NewReader(string(writeSums(sums))))
		if err != nil || len(again) != len(sums) {
			t.Errorf("%d lines came back as %d: %v", len(sums), len(again), err)
		}
	})
}
