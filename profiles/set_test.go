package profiles

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dialtone/internal/mac"
)

func TestServer(t *testing.T) {
	t.Parallel()
	const network = `
network "office" {
  subnet = "192.168.50.0/24"
  range  = ["192.168.50.100", "192.168.50.199"]
  domain = "office.example"
}
appliance { interface = "eth0" }
model "snom320" { scheme = "tftp" }
model "snomD785" { scheme = "https" }
`
	plain := loadText(t, network)
	ports := loadText(t, network+`
provisioning {
  http_port = 8080
  tftp_port = 6969
}
`)
	v4 := netip.MustParseAddr("192.168.50.1")
	for _, c := range []struct {
		set   *Set
		model string
		addr  netip.Addr
		want  Server
	}{
		{plain, "snom370", v4, Server{"http://192.168.50.1", v4, "office.example"}},
		{plain, "", v4, Server{"http://192.168.50.1", v4, "office.example"}},
		{plain, "SNOM320", v4, Server{"tftp://192.168.50.1", v4, "office.example"}},
		{plain, "snomD785", v4, Server{"https://192.168.50.1", v4, "office.example"}},
		{plain, "", netip.MustParseAddr("::ffff:192.168.50.1"), Server{"http://192.168.50.1", v4, "office.example"}},
		{plain, "", netip.MustParseAddr("198.51.100.1"), Server{"http://198.51.100.1", netip.MustParseAddr("198.51.100.1"), ""}},
		{plain, "", netip.MustParseAddr("2001:db8::1"), Server{"http://[2001:db8::1]", netip.MustParseAddr("2001:db8::1"), ""}},
		{ports, "snom370", v4, Server{"http://192.168.50.1:8080", v4, "office.example"}},
		{ports, "snom320", v4, Server{"tftp://192.168.50.1:6969", v4, "office.example"}},
		{ports, "snomD785", v4, Server{"https://192.168.50.1", v4, "office.example"}},
	} {
		if got := c.set.Server(c.model, c.addr); got != c.want {
			t.Errorf("Server(%q, %s) = %+v, want %+v", c.model, c.addr, got, c.want)
		}
	}

	for model, want := range map[string]string{"snomd785": "snomD785.htm", "snom370": "snom370.htm", "snomD999": "snomD999.htm", "": "", "PXEClient": ""} {
		url, file := plain.SettingServer(model, v4)
		if file != want || url != plain.Server(model, v4).URL {
			t.Errorf("SettingServer(%q) = %q, %q, want bootfile %q", model, url, file, want)
		}
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	s := loadDir(t, "../etc/dialtone")
	want := []Phone{
		{
			MAC: anna, Name: "reception", Model: "snomD785", Address: netip.MustParseAddr("192.168.50.20"),
			Firmware: "10.1.215.13", Profile: "reception", Extension: "101",
		},
		{MAC: mac.Addr{0, 4, 0x13, 0x23, 0x1a, 2}, Name: "anna", Profile: "desk", Extension: "102"},
		{MAC: mac.Addr{0, 4, 0x13, 0x23, 0x1a, 3}, Name: "jörg", Profile: "desk", Extension: "103"},
		{MAC: mac.Addr{0, 4, 0x13, 0x26, 0, 1}, Name: "branch", Redirect: "https://provisioning.branch.example/"},
	}
	if diff := cmp.Diff(want, s.Phones(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("phones (-want +got)\n%s", diff)
	}
	for _, p := range want {
		if got, ok := s.Phone(p.MAC); !ok || got != p {
			t.Errorf("Phone(%s) = %+v, %v", p.MAC, got, ok)
		}
		if got, ok := s.PhoneAt(p.Address); ok != p.Address.IsValid() || ok && got != p {
			t.Errorf("PhoneAt(%s) = %+v, %v", p.Address, got, ok)
		}
	}
	if p, ok := s.Phone(mac.Addr{1}); ok {
		t.Errorf("there is a phone %+v", p)
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance { interface = "eth0" }
model "snomd785" {
  firmware = "10.1.215.13"
  format   = "text"
}
model "snomX1" { firmware = "1.0" }
`)
	for name, want := range map[string]Model{
		"SNOMD785": {Name: "snomD785", Family: "D7xx", Format: Text, Identities: 12, Keys: 24, Modules: 3, ModuleKeys: 18, WebLogin: "http", Latest: "10.1.215.13", Floor: "8.9.3", Firmware: "10.1.215.13"},
		"snomx1":   {Name: "snomX1", Format: XML, WebLogin: "http", Floor: "8.9.3", Firmware: "1.0"},
		"snomX2":   {Name: "snomX2", WebLogin: "http", Floor: "8.9.3"},
		"SnomD865": {Name: "snomD865", Family: "D8xx", Identities: 12, Keys: 40, Modules: 3, ModuleKeys: 60, WebLogin: "webserver", Latest: "10.1.215.13", Floor: "8.9.3"},
		"snomD715": {Name: "snom715", Family: "7xx", Identities: 4, Keys: 5, Modules: 3, ModuleKeys: 18, WebLogin: "http", Latest: "10.1.215.13", Floor: "8.9.3"},
	} {
		got, ok := s.Model(name)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Model{})); diff != "" || !ok {
			t.Errorf("Model(%q): %v (-want +got)\n%s", name, ok, diff)
		}
	}
	for _, name := range []string{"", "snom", "gigaset", "snomD785-1", "snom D785"} {
		if m, ok := s.Model(name); ok {
			t.Errorf("Model(%q) = %+v", name, m)
		}
	}
}

// A user may carry a flag, and is the extension all the same.
func TestExtensionWithFlag(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance {
  interface = "eth0"
}
phone "000413000001" {
  name = "a"
  identity "1" {
    user = { value = "101", perm = "RW" }
  }
}
`)
	if p, ok := s.Phone(mac.Addr{0, 4, 0x13, 0, 0, 1}); !ok || p.Extension != "101" {
		t.Errorf("%+v", p)
	}
}
