package phonesim

import (
	"testing"

	"dialtone/internal/mac"

	"github.com/google/go-cmp/cmp"
)

var phoneMAC = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}

func TestJoinServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name66, name67, want string }{
		{"", "snomD785.htm", ""},
		{"http://192.168.50.1", "snomD785.htm", "http://192.168.50.1/snomD785.htm"},
		{"http://192.168.50.1/", "snomD785.htm", "http://192.168.50.1/snomD785.htm"},
		{"http://192.168.50.1/", "/snomD785.htm", "http://192.168.50.1/snomD785.htm"},
		{"http://192.168.50.1:8667", "", "http://192.168.50.1:8667"},
		{"http://192.168.1.130:80", "gs/settings.php?mac={mac}", "http://192.168.1.130:80/gs/settings.php?mac={mac}"},
		{"http://h/prov", "snom/snom360.htm", "http://h/prov/snom/snom360.htm"},
		{"http://h/p.php?mac={mac}", "snom360.htm", "http://h/p.php?mac={mac}"},
		{"http://h/{mac}.xml", "snom360.htm", "http://h/{mac}.xml"},
		{"192.168.0.1", "", "tftp://192.168.0.1"},
		{"pbx.example.org", "snom370.htm", "tftp://pbx.example.org/snom370.htm"},
		{"tftp://192.168.0.1", "snom370.htm", "tftp://192.168.0.1/snom370.htm"},
		{"http://h", "http://other/x.htm", "http://h"},
	} {
		if got := JoinServer(c.name66, c.name67); got != c.want {
			t.Errorf("JoinServer(%q, %q) = %q, want %q", c.name66, c.name67, got, c.want)
		}
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, version, want string }{
		{"snom320", "6.5.20", "Mozilla/4.0 (compatible; snom320-SIP 6.5.20; snom320 jffs2 v3.36; snom320 linux 3.38)"},
		{"snom370", "7.1.2", "Mozilla/4.0 (compatible; snom370-SIP 7.1.2)"},
		{"snom320", "7.3.30", "Mozilla/4.0 (compatible; snom320-SIP 7.3.30 1.1.3-u)"},
		{"snom820", "8.4.35", "Mozilla/4.0 (compatible; snom820-SIP 8.4.35 1.1.4-IFX-26.11.09)"},
		{"snom760", "8.7.3.19", "Mozilla/4.0 (compatible; snom760-SIP 8.7.3.19 2010.06)"},
		{"snom710", "8.7.5.35", "Mozilla/4.0 (compatible; snom710-SIP 8.7.5.35 1.1.5-IFX-05.01.12 000413922D24)"},
		{"snomD785", "10.1.33.33", "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12-00004-g9ba52f5 000413922D24 SXM:0 UXM:0)"},
		{"snomD785", "10.1.169.16", "Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16 2010.12-00001-gd311851f1 (Feb 25 2019 - 14:19:43) 000413922D24 SXM:0 UXM:0 UXMC:0)"},
		{"snomM900", "05.20.0001", "Mozilla/4.0 (compatible; Snom M900 05.20.0001 000413922d24)"},
	} {
		firmware := Firmware{Version: c.version}
		firmware.setParts(c.model)
		if got := firmware.UserAgent(c.model, phoneMAC); got != c.want {
			t.Errorf("UserAgent(%s, %s)\n got %s\nwant %s", c.model, c.version, got, c.want)
		}
	}
}

func TestGenerations(t *testing.T) {
	t.Parallel()
	type can struct{ XML, Class, Tunnel, HTTPS, TFTP bool }
	for v, want := range map[string]can{
		"6.5.20":      {},
		"7.1.7":       {},
		"7.1.8":       {XML: true},
		"7.3.15":      {XML: true, Class: true, TFTP: true},
		"7.3.17":      {XML: true, Class: true, Tunnel: true, TFTP: true},
		"8.2.0":       {XML: true, Class: true, HTTPS: true, TFTP: true},
		"8.2.1":       {XML: true, Class: true, Tunnel: true, HTTPS: true, TFTP: true},
		"10.1.215.13": {XML: true, Class: true, Tunnel: true, HTTPS: true, TFTP: true},
	} {
		v := parseVersion(v)
		got := can{v.readsXML(), v.sendsClass(), v.readsTunnel(), v.fetchesFirmwareBy("https"), v.fetchesFirmwareBy("tftp")}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v (-want +got):\n%s", v, d)
		}
	}
}
