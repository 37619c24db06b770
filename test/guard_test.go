package test

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// guarded gives spellings of what is the reception's own.
func guarded() []string {
	m := reception.Hex()
	lower := strings.ToLower(m)
	return []string{
		"/snomD785/" + m + ".xml", "//snomD785/" + m + ".xml", "/SNOMD785/" + lower + ".XML", "/snomD785/00:04:13:92:2D:24.xml",
		"/snomD785/00-04-13-92-2d-24.xml", "/snomD785/00%3A04%3A13%3A92%3A2D%3A24.xml", "/snomD785%2F" + m + ".xml", "/%73nomD785/" + m + ".xml",
		"/snom370/" + m + ".xml", "/snomD785/" + m + ".xml?x=1", "/snomD785/./" + m + ".xml", "/x/../snomD785/" + m + ".xml",
		"/snomD785/0004.1392.2d24.xml", "/files/../snomD785/" + m + ".xml", "/snomD785/" + m + ".xml%00", "/snomD785/" + m + ".xml/",
	}
}

// From an address that is not the phone's nobody gets a guarded byte, over any
// protocol and by any spelling; the phone does.
func TestGuardedFromElsewhere(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "atftp")
	o := opened(t, "elsewhere", map[string]string{"https.hcl": "https {}\n"})
	h, _ := o.leased(t, reception, "snomD785")
	// The one has the lease of another phone, the other an address of its own choice.
	other, _ := o.leased(t, anna, "snom370")
	static := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	third := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 10}, netip.MustParsePrefix("192.168.50.61/24"))
	var secrets [][]byte
	for _, name := range []string{"http_pass", "admin_mode_password"} {
		_, after, ok := bytes.Cut(o.render(t, reception.String(), guarded()[0]), []byte("<"+name))
		_, after, _ = bytes.Cut(after, []byte(">"))
		value, _, ok2 := bytes.Cut(after, []byte("<"))
		if !ok || !ok2 || len(value) < 8 {
			t.Fatalf("no %s in the phone's own file", name)
		}
		secrets = append(secrets, value)
	}
	holds := func(b []byte) bool { return bytes.Contains(b, secrets[0]) || bytes.Contains(b, secrets[1]) }
	fetch := map[string]func(h *netnstest.Host, path string) []byte{
		"http": func(h *netnstest.Host, path string) []byte {
			_, body := curl(t, h, "http://"+server+path)
			return body
		},
		"https": func(h *netnstest.Host, path string) []byte {
			_, body := curl(t, h, "https://"+server+path, "--insecure")
			return body
		},
		"tftp": func(h *netnstest.Host, path string) []byte {
			to := filepath.Join(t.TempDir(), strconv.Itoa(len(path)))
			r := h.Run(t, "atftp", "--get", "--remote-file", path, "--local-file", to, server)
			if r.Status != 0 {
				return []byte(r.Stdout + r.Stderr)
			}
			return read(t, to)
		},
	}
	elsewhere := map[string]*netnstest.Host{"http": static, "https": other, "tftp": third}
	for protocol, get := range fetch {
		for _, path := range guarded() {
			if body := get(elsewhere[protocol], path); holds(body) {
				t.Errorf("%s %s from elsewhere gives a password:\n%s", protocol, path, body)
			}
		}
		if !holds(get(h, guarded()[0])) {
			t.Errorf("%s: the phone does not get its own file", protocol)
		}
	}
	// Whoever goes on is shut out.
	if _, body := curl(t, static, "http://"+server+guarded()[0]+"?[1-40]", "--parallel"); holds(body) {
		t.Errorf("asked often enough, there is a password:\n%s", body)
	}
	o.service.Wait("source shut out")
	if r := o.host.Run(t, built(t), "phones", "--config", o.config); !strings.Contains(r.Stdout, "asked by others") {
		t.Errorf("phones does not tell of it:\n%s", r.Stdout)
	}
}

// Where another server leases, the wire says who asks.
func TestGuardByTheWire(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "wire", nil)
	text := string(read(t, filepath.Join(o.config, "dialtone.hcl")))
	i, j := strings.Index(text, "network \"office\""), strings.Index(text, "# The class")
	write(t, filepath.Join(o.config, "dialtone.hcl"), text[:i]+text[j:])
	o.edit(t, "profiles.hcl", "server.address", `"192.168.50.2"`)
	o.start(t)
	phone := o.net.Host(t, reception, netip.MustParsePrefix("192.168.50.77/24"))
	other := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	own := guarded()[0]
	if status, body := curl(t, phone, "http://"+server+own); status != "200" {
		t.Errorf("the phone: status %s: %s", status, body)
	}
	if status, _ := curl(t, other, "http://"+server+own); status != "403" {
		t.Errorf("somebody else: status %s", status)
	}
	if status, _ := curl(t, other, "http://"+server+"/snomD785/general.xml"); status != "200" {
		t.Errorf("general: status %s", status)
	}
	// An address that the admin pinned to the phone, so that nobody can forge it, is the phone's.
	const pinned = "192.168.50.78"
	if r := o.host.Run(t, "ip", "neighbour", "replace", pinned, "lladdr", reception.String(), "dev", "eth0", "nud", "permanent"); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	phone.SetAddress(t, netip.MustParsePrefix(pinned+"/24"))
	if status, body := curl(t, phone, "http://"+server+own); status != "200" {
		t.Errorf("the phone at its pinned address: status %s: %s", status, body)
	}
}

// A phone behind another address proves itself by what only its own file told it.
func TestCredentialsFromElsewhere(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "login", nil)
	o.edit(t, "dialtone.hcl", `secrets = "lease"`, "http_auth = \"digest\"\n  secrets = \"lease\"")
	o.edit(t, "profiles.hcl", `profile "desk" {`, "profile \"desk\" {\n  http_client {}")
	o.start(t)
	own := guarded()[0]
	file := o.render(t, reception.String(), own)
	_, after, _ := bytes.Cut(file, []byte("<http_client_pass"))
	_, after, _ = bytes.Cut(after, []byte(">"))
	password, _, _ := bytes.Cut(after, []byte("<"))
	if len(password) != 16 {
		t.Fatalf("the password is %q in\n%s", password, file)
	}
	far := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	for _, c := range []struct {
		user, status string
		args         []string
	}{
		{reception.Hex() + ":" + string(password), "200", []string{"--digest"}},
		{reception.Hex() + ":" + string(password), "401", []string{"--basic"}},
		{reception.Hex() + ":wrong", "401", []string{"--digest"}},
		{anna.Hex() + ":" + string(password), "401", []string{"--digest"}},
	} {
		status, body := curl(t, far, "http://"+server+own, append(c.args, "--user", c.user)...)
		if status != c.status {
			t.Errorf("%s %v: status %s, want %s\n%s", c.user, c.args, status, c.status, body)
		}
		if status == "200" {
			checkServed(t, "with credentials", body, file)
		}
	}
	h, _ := o.leased(t, reception, "snomD785")
	if status, _ := curl(t, h, "http://"+server+own); status != "200" {
		t.Errorf("by its lease alone: status %s", status)
	}
}
