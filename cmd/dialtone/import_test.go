package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf, more, output := filepath.Join(dir, "dnsmasq.conf"), filepath.Join(dir, "more.conf"), filepath.Join(dir, "out.hcl")
	writeFile(t, conf, "dhcp-range=192.168.50.100,192.168.50.199,255.255.255.0,12h\ndhcp-boot=pxelinux.0\ndhcp-option=option:router,192.168.50.1\n")
	writeFile(t, more, "dhcp-host=02:00:5e:10:00:01,192.168.50.20,printer\n")
	imported := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		status := run(append([]string{"import"}, args...), &out, &errs)
		return status, out.String(), strings.ReplaceAll(errs.String(), dir+"/", "")
	}

	status, stdout, stderr := imported("dnsmasq", conf, more)
	if want := "dnsmasq.conf:2: dhcp-boot=pxelinux.0 is not carried over\n1 line to look at.\n"; status != 0 || stderr != want {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if !strings.Contains(stdout, `address = "192.168.50.20"`) || strings.Contains(stdout, "appliance") {
		t.Errorf("the second file's reservation is not there:\n%s", stdout)
	}

	if status, stdout, stderr := imported("dnsmasq", "--interface", "eth0", "-o", output, conf); status != 0 || stdout != "" {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := command(output, "check"); status != 0 || stdout != "0 errors, 0 warnings, 0 phones.\n" {
		t.Errorf("check: exit status %d\n%s%s", status, stdout, stderr)
	}
	if status, _, stderr := imported("isc", "-o", output, conf); status != 1 || stderr != "dialtone: out.hcl is there already; --force replaces it\n" {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if status, _, stderr := imported("dnsmasq", "--force", "-o", output, more); status != 0 {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if text, err := os.ReadFile(output); err != nil || !strings.Contains(string(text), "more.conf") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, server := range []string{"dnsmasq", "isc"} {
		if status, _, stderr := imported(server, filepath.Join(dir, "none")); status != 1 || !strings.Contains(stderr, "no such file or directory") {
			t.Errorf("%s: exit status %d\n%s", server, status, stderr)
		}
	}
	if status, _, _ := imported("dnsmasq"); status != 2 {
		t.Errorf("no file: exit status %d", status)
	}
}
