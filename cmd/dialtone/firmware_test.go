package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFirmware(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "one.hcl")
	writeFile(t, config, `appliance {
  interface = "lo"
  state_dir = "`+dir+`/state"
  files_dir = "`+dir+`/files"
}
model "snomD785" { firmware = "10.1.215.13" }
model "snomM900" { firmware = "740.104" }
phone "00:04:13:23:1a:02" {
  model    = "snom370"
  name     = "anna"
  firmware = "8.7.5.35"
}
`)
	image := func(name, content string) string {
		writeFile(t, filepath.Join(dir, name), content)
		return filepath.Join(dir, name)
	}
	dialtone := func(status int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		args = append(args, "--config", config)
		if got := run(args, &out, &out); got != status {
			t.Fatalf("dialtone %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, status, out.String())
		}
		return out.String()
	}
	has := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
	}
	phone := image("snomD785-10.1.215.13-SIP-r.bin", "an image")
	has(dialtone(0, "firmware", "add", phone, image("M900_v0740_b0104.fwu", "a base")),
		"firmware of snomD785, version 10.1.215.13", "M900/M900_v0740_b0104.fwu: firmware of snomM900, version 740.104")
	has(dialtone(0, "firmware", "add", image("download.bin", "nobody knows")), "neither model nor version", "--model")
	has(dialtone(0, "firmware", "add", image("other.bin", "known by its words"), "--model", "snom370", "--version", "8.7.5.35"), "snom370-8.7.5.35-SIP-f.bin: firmware of snom370")
	has(dialtone(1, "firmware", "add", image("page.bin", "<html>not found</html>")), "web page")
	has(dialtone(0, "firmware", "add", image("SNOMD785-10.1.215.12-SIP-R.BIN", "through a system without case")), "snomD785-10.1.215.12-SIP-r.bin: firmware of snomD785")
	has(dialtone(1, "firmware", "add", image("images.tar", "several")), "unpack it")
	has(dialtone(1, "firmware", "add", image("snomD865-10.1.215.13-SIP-r.swu", "070702"+strings.Repeat("0", 60))), "cut off")
	pipe := filepath.Join(dir, "pipe.bin")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	has(dialtone(1, "firmware", "add", pipe, dir), "adding "+pipe+": it is no plain file", "adding "+dir+": it is no plain file")
	image("snomD785-10.1.215.13-SIP-r.bin", "another image")
	has(dialtone(1, "firmware", "add", phone), "--force")

	// The helper is wanted, and not there.
	has(dialtone(1, "firmware", "verify"), "snomD785-ramdisk-chained-update-r.bin", "missing")
	dialtone(0, "firmware", "add", image("snomD785-ramdisk-chained-update-r.bin", "helper"))
	var list []listedImage
	if err := json.Unmarshal([]byte(dialtone(0, "firmware", "ls", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.State == imageMissing { // the images on the way
			dialtone(0, "firmware", "add", image(filepath.Base(i.Path), "step"))
		}
	}
	has(dialtone(0, "firmware", "verify"), "ok", "snomD785", "1 phone")
	stored := filepath.Join(dir, "files", "firmware", "snomD785-10.1.215.13-SIP-r.bin")
	if err := os.WriteFile(stored, []byte("an imagf"), 0o644); err != nil {
		t.Fatal(err)
	}
	has(dialtone(1, "firmware", "verify"), "mismatch")
	dialtone(0, "firmware", "add", "--force", phone)
	has(dialtone(1, "firmware", "rm", "snomD785-10.1.215.13-SIP-r.bin"), "snomD785 needs it")
	dialtone(0, "firmware", "rm", "download.bin")
	dialtone(0, "firmware", "rm", "--force", "snomD785-10.1.215.13-SIP-r.bin")
}
