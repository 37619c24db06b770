package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
	"dialtone/internal/phonefile"
	"dialtone/internal/phonesim"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type phoneState = phonesim.State

// simulate boots a phone on h and gives what it is then set to.
func (o *office) simulate(t testing.TB, h *netnstest.Host, args ...string) phoneState {
	t.Helper()
	r := h.Run(t, built(t), append([]string{"simulate", "--interface", "eth0", "--json"}, args...)...)
	if r.Status != 0 {
		t.Fatalf("simulate %s: exit status %d\n%s", strings.Join(args, " "), r.Status, r.Stderr)
	}
	var s phoneState
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// rendered is what a phone would be set to by what render prints for the
// files that the phone was given. What it was refused, render refuses too.
func (o *office) rendered(t testing.TB, s phoneState) phoneState {
	t.Helper()
	var want phoneState
	for _, f := range s.Requests {
		if !strings.HasSuffix(f.What, " file") {
			continue
		}
		path := pathOf(t, f.URL)
		if !f.OK {
			if r := o.host.Run(t, built(t), "render", "--config", o.config, "--model", s.Model, s.MAC.String(), path); r.Status != 1 {
				t.Errorf("the phone got %s for %s, render prints it", f.Status, path)
			}
			continue
		}
		if _, err := want.ApplyFile(o.render(t, s.MAC.String(), path)); err != nil {
			t.Errorf("a phone would drop what render gives for %s: %v", path, err)
		}
	}
	return want
}

func pathOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

// Phones of every generation end with the settings that render prints.
func TestPhonesAreSetToWhatRenderPrints(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "set", map[string]string{"more.hcl": `
model "snom760" {
  scheme   = "tftp"
  firmware = "8.9.3.80"
}
`})
	images := map[string]string{}
	for i, name := range []string{"snomD785-10.1.215.13-SIP-r.bin", "snom370-8.7.5.35-SIP-f.bin", "snom760-8.9.3.80-SIP-r.bin"} {
		images[name] = noise(t, filepath.Join(o.files, "firmware", name), 1<<20+i)
	}
	for _, l := range []string{"gui", "web"} {
		write(t, filepath.Join(o.files, "languages", l+"_lang_DE.xml"), "<phrases/>")
	}
	o.start(t)
	for _, c := range []struct {
		phone  mac.Addr
		args   []string
		image  string
		server string
	}{
		{reception, []string{"--model", "snomD785"}, "snomD785-10.1.215.13-SIP-r.bin", "http://192.168.50.1/snomD785.htm"},
		{reception, []string{"--model", "snomD785", "--broadcast"}, "snomD785-10.1.215.13-SIP-r.bin", "http://192.168.50.1/snomD785.htm"},
		{anna, []string{"--model", "snom370"}, "snom370-8.7.5.35-SIP-f.bin", "http://192.168.50.1/snom370.htm"},
		{mac.Addr{0, 4, 0x13, 0x23, 0x1a, 3}, []string{"--model", "snom760"}, "snom760-8.9.3.80-SIP-r.bin", "tftp://192.168.50.1/snom760.htm"},
		{mac.Addr{0, 4, 0x13, 0x23, 0x1a, 3}, []string{"--model", "snom760", "--block-size", "1428"}, "snom760-8.9.3.80-SIP-r.bin", "tftp://192.168.50.1/snom760.htm"},
		{mac.Addr{0, 4, 0x13, 0x41, 0, 1}, []string{"--model", "snom870"}, "", "http://192.168.50.1/snom870.htm"}, // not in the configuration
		{mac.Addr{0, 4, 0x13, 0xaa, 0, 1}, []string{"--model", "snomD865"}, "", "http://192.168.50.1/snomD865.htm"},
		// It sends no option 60: known by its MAC, and later by its User-Agent.
		{mac.Addr{0, 4, 0x13, 0x23, 0x1a, 3}, []string{"--model", "snom320", "--firmware-version", "7.1.39"}, "", "http://192.168.50.1"},
	} {
		t.Run(strings.Join(c.args[1:], " "), func(t *testing.T) {
			h := o.net.Host(t, c.phone, netip.Prefix{})
			got := o.simulate(t, h, append([]string{"--mac", c.phone.String()}, c.args...)...)
			if d := cmp.Diff(o.rendered(t, got).Memory, got.Memory, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(phonefile.Place{})); d != "" {
				t.Errorf("what the phone is set to (-render +phone):\n%s", d)
			}
			if len(got.Settings) < 8 {
				t.Errorf("only %d settings", len(got.Settings))
			}
			if got.SettingServer != c.server {
				t.Errorf("setting server %s, want %s", got.SettingServer, c.server)
			}
			if c.phone == reception && got.Lease.Address.String() != "192.168.50.20" {
				t.Errorf("the phone with a reservation has %s", got.Lease.Address)
			}
			if got.Lease.VLANID != "20" || got.Lease.VLANPriority != "5" {
				t.Errorf("VLAN %q, priority %q", got.Lease.VLANID, got.Lease.VLANPriority)
			}
			for _, r := range got.Requests {
				if r.OK && r.What != "firmware" && !strings.Contains(r.What, "language ") {
					checkSum(t, r, o.render(t, c.phone.String(), pathOf(t, r.URL)))
				}
			}
			var want []phonesim.Image
			for _, i := range got.Firmware {
				want = append(want, phonesim.Image{URL: i.URL, Size: i.Size, SHA256: images[c.image]})
			}
			if d := cmp.Diff(want, got.Firmware); d != "" || (c.image != "") != (len(want) == 1) {
				t.Errorf("firmware (-want +got):\n%s\n%d images; notes %v", d, len(got.Firmware), got.Notes)
			}
		})
	}
}

func checkSum(t testing.TB, r phonesim.Fetch, want []byte) {
	t.Helper()
	sum := sha256.Sum256(want)
	if r.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%s had %d bytes, render gives %d others", r.URL, r.Bytes, len(want))
	}
}

// Firmware that reads plain text alone is set to the same as one that reads
// XML.
func TestTextPhone(t *testing.T) {
	t.Parallel()
	o := opened(t, "text", nil)
	h := o.net.Host(t, anna, netip.Prefix{})
	boot := func(version string) phoneState {
		return o.simulate(t, h, "--mac", anna.String(), "--model", "snom320", "--firmware-version", version)
	}
	xml, text := boot("7.3.30"), boot("6.5.20")
	for _, r := range text.Requests {
		if r.OK && r.What != "firmware" && !strings.Contains(r.What, "language ") {
			// As it was seen last, which is with this firmware.
			checkSum(t, r, o.render(t, anna.String(), pathOf(t, r.URL)))
		}
	}
	// The dial plan is a setting there.
	text.Settings = slices.DeleteFunc(text.Settings, func(s phonefile.Setting) bool { return s.Name == "user_dp_str" })
	if len(text.Phonebook) != len(xml.Phonebook) || len(xml.Phonebook) == 0 {
		t.Errorf("%d entries in the phone book, %d where it is XML", len(text.Phonebook), len(xml.Phonebook))
	}
	if d := cmp.Diff(xml.Settings, text.Settings, cmpopts.IgnoreFields(phonefile.Setting{}, "Perm")); d != "" {
		t.Errorf("settings (-XML +text):\n%s", d)
	}
	if d := cmp.Diff(xml.Keys, text.Keys, cmpopts.IgnoreFields(phonefile.Key{}, "Perm")); d != "" {
		t.Errorf("keys (-XML +text):\n%s", d)
	}
	if len(text.Settings) < 15 {
		t.Errorf("only %d settings", len(text.Settings))
	}

	phone, _ := o.leased(t, anna, "snom320")
	for _, path := range []string{"/snom320.htm", "/snom320-000413231A02.htm", "/snom320-firmware.htm"} {
		status, got := curl(t, phone, "http://"+server+path, "--user-agent", "Mozilla/4.0 (compatible; snom320-SIP 6.5.20; snom320 jffs2 v3.36; snom320 linux 3.38)")
		if status != "200" || bytes.HasPrefix(got, []byte("<?xml")) {
			t.Errorf("%s: status %s\n%s", path, status, got)
		}
		checkServed(t, path, got, o.render(t, anna.Hex(), path, "--model", "snom320", "--firmware-version", "6.5.20"))
	}
}

// A phone that the configuration sends elsewhere gets that, and nothing else.
func TestRedirectedPhone(t *testing.T) {
	t.Parallel()
	o := opened(t, "redirect", nil)
	branch := mac.Addr{0, 4, 0x13, 0x26, 0, 1}
	s := o.simulate(t, o.net.Host(t, branch, netip.Prefix{}), "--mac", branch.String(), "--model", "snom370")
	if want := "https://provisioning.branch.example/"; s.Redirect != want {
		t.Errorf("sent to %q, want %q", s.Redirect, want)
	}
	if len(s.Settings) != 1 {
		t.Errorf("the phone is set to %v", s.Settings)
	}
}

// A hundred phones at once: an address each, and each file as render has it.
func TestHundredPhones(t *testing.T) {
	t.Parallel()
	const phones = 100
	first := mac.Addr{0, 4, 0x13, 0xa6, 0, 0}
	sheet := "mac,name,extension,password\n"
	for i := range phones {
		sheet += fmt.Sprintf("000413A600%02X,desk%d,%d,pässword<%d>&\n", i, i, 200+i, i)
	}
	o := newOffice(t, "hundred", map[string]string{
		"many.csv": sheet,
		"many.hcl": `
phones "many" {
  for_each = csvdecode(file("many.csv"))
  mac      = each.value.mac
  name     = each.value.name
  model    = "snomD735"
  profile  = "desk"
  identity "1" {
    user      = each.value.extension
    password  = each.value.password
    registrar = local.pbx
  }
}
`,
	})
	// The example has 99 addresses.
	o.edit(t, "dialtone.hcl", `"192.168.50.100", "192.168.50.199"`, `"192.168.50.100", "192.168.50.250"`)
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 2}, netip.Prefix{})
	r := h.Run(t, built(t), "simulate", "--interface", "eth0", "--json", "--mac", first.String(), "--model", "snomD735", "--count", fmt.Sprint(phones), "--keep")
	if r.Status != 0 {
		t.Fatalf("exit status %d\n%s", r.Status, r.Stderr)
	}
	t.Log(r.Stderr)
	var states []phoneState
	if err := json.Unmarshal([]byte(r.Stdout), &states); err != nil {
		t.Fatal(err)
	}
	addresses := map[netip.Addr]mac.Addr{}
	general := map[string][]byte{}
	for _, s := range states {
		if other, twice := addresses[s.Lease.Address]; twice {
			t.Errorf("%s and %s both have %s", other, s.MAC, s.Lease.Address)
		}
		addresses[s.Lease.Address] = s.MAC
		own := 0
		for _, f := range s.Requests {
			if !f.OK || f.What == "firmware" {
				continue
			}
			path := pathOf(t, f.URL)
			body, known := general[path]
			if !known {
				body = o.render(t, s.MAC.String(), path)
			}
			if strings.Contains(path, s.MAC.Hex()) {
				own++
			} else {
				general[path] = body
			}
			checkSum(t, f, body)
		}
		if own != 2 {
			t.Errorf("%s fetched %d files of its own, not its container and its settings", s.MAC, own)
		}
	}
	if len(addresses) != phones {
		t.Errorf("%d phones have %d addresses", phones, len(addresses))
	}
}

// kill -9 takes no lease away: after it the phone reads its own file from its
// address without asking for it again, renews it, and nobody else gets it.
func TestLeaseSurvivesKill(t *testing.T) {
	t.Parallel()
	o := opened(t, "kill", nil)
	h, s := o.leased(t, anna, "snom370")
	own := fmt.Sprintf("http://%s/snom370/%s.xml", server, anna.Hex())
	if status, _ := curl(t, h, own); status != "200" {
		t.Fatalf("before: %s", status)
	}
	for range 3 {
		o.service.Kill()
		o.start(t)
		if status, _ := curl(t, h, own); status != "200" {
			t.Errorf("after kill -9: %s for %s", status, own)
		}
	}
	stranger := mac.Addr{2, 0, 0, 0, 0, 9}
	other := o.simulate(t, o.net.Host(t, stranger, netip.Prefix{}), "--mac", stranger.String(), "--model", "snom300")
	if other.Lease.Address == s.Lease.Address {
		t.Errorf("%s was given to another client", s.Lease.Address)
	}
	// The machine has the phone's MAC and address; the phone asks from there.
	again := o.simulate(t, o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 10}, netip.Prefix{}), "--mac", anna.String(), "--model", "snom370")
	if again.Lease.Address != s.Lease.Address {
		t.Errorf("after kill -9 the phone has %s, before %s", again.Lease.Address, s.Lease.Address)
	}
}

// noise writes a file of that size and gives its hash.
func noise(t testing.TB, path string, size int) string {
	t.Helper()
	b := make([]byte, size)
	x := uint64(size)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
