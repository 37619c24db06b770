package profiles

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"dialtone/internal/mac"
)

var anna = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, query string
		want        Path
		canonical   string
	}{
		{"/snomD785.htm", "", Path{Kind: ModelContainer, Model: "snomD785"}, "/snomD785.htm"},
		{"snomD785.htm", "", Path{Kind: ModelContainer, Model: "snomD785"}, "/snomD785.htm"},
		{"//SNOMd785.HTM", "", Path{Kind: ModelContainer, Model: "SNOMd785"}, "/SNOMd785.htm"},
		{"/snomD785-000413922D24.htm", "", Path{Kind: PhoneContainer, Model: "snomD785", MAC: anna}, "/snomD785-000413922D24.htm"},
		{"/snom320-00:04:13:92:2d:24.htm", "", Path{Kind: PhoneContainer, Model: "snom320", MAC: anna}, "/snom320-000413922D24.htm"},
		{"/snom320-00%3A04%3a13%3A92%3A2D%3A24.htm", "", Path{Kind: PhoneContainer, Model: "snom320", MAC: anna}, "/snom320-000413922D24.htm"},
		{"/snom320-00-04-13-92-2D-24.htm", "", Path{Kind: PhoneContainer, Model: "snom320", MAC: anna}, "/snom320-000413922D24.htm"},
		{"/snom320-0004.1392.2d24.htm", "", Path{Kind: PhoneContainer, Model: "snom320", MAC: anna}, "/snom320-000413922D24.htm"},
		{"/snom370-firmware.htm", "", Path{Kind: FirmwareStatus, Model: "snom370"}, "/snom370/firmware.xml"},
		{"/snom370/snom370-firmware.htm", "", Path{Kind: FirmwareStatus, Model: "snom370"}, "/snom370/firmware.xml"},
		{"/snom370/Firmware.xml", "v=1", Path{Kind: FirmwareStatus, Model: "snom370"}, "/snom370/firmware.xml"},
		{"/snom370/general.xml", "", Path{Kind: General, Model: "snom370"}, "/snom370/general.xml"},
		{"/snom370/00-04-13-92-2d-24.xml", "", Path{Kind: Own, Model: "snom370", MAC: anna}, "/snom370/000413922D24.xml"},
		{"/gui-lang.xml", "", Path{Kind: GUILanguages}, "/gui-lang.xml"},
		{"/snomD785/gui-lang.xml", "", Path{Kind: GUILanguages, Model: "snomD785"}, "/snomD785/gui-lang.xml"},
		{"/web-lang.xml", "", Path{Kind: WebLanguages}, "/web-lang.xml"},
		{"/snomD785/WEB-LANG.xml", "", Path{Kind: WebLanguages, Model: "snomD785"}, "/snomD785/web-lang.xml"},
		{"/000413922D24.xml", "", Path{Kind: MACContainer, MAC: anna}, "/000413922D24.xml"},
		{"/00:04:13:92:2d:24.xml", "", Path{Kind: MACContainer, MAC: anna}, "/000413922D24.xml"},
		{"/", "mac=000413922D24", Path{Kind: MACContainer, MAC: anna}, "/000413922D24.xml"},
		{"", "x=1&MAC=00%3A04%3A13%3A92%3A2D%3A24", Path{Kind: MACContainer, MAC: anna}, "/000413922D24.xml"},
		{"/settings.php", "mac=00:04:13:92:2D:24&x=%zz", Path{Kind: MACContainer, MAC: anna}, "/000413922D24.xml"},
		{"/GUI_lang_Office.xml", "", Path{Kind: GUIPhrases, Name: "Office"}, "/gui_lang_Office.xml"},
		{"/snomD785/web_lang_de_2.xml", "", Path{Kind: WebPhrases, Model: "snomD785", Name: "de_2"}, "/snomD785/web_lang_de_2.xml"},
		{"/snomD785/snomD765-firmware.htm", "", Path{Kind: ModelFile, Model: "snomD785", Name: "snomD765-firmware.htm"}, "/snomD785/snomD765-firmware.htm"},
		{"/snomD785/a/general.xml", "", Path{Kind: ModelFile, Model: "snomD785", Name: "a/general.xml"}, "/snomD785/a/general.xml"},
		{"/snomD785/00-04-13-92-2d-24/Extra.xml", "", Path{Kind: PhoneFile, Model: "snomD785", MAC: anna, Name: "Extra.xml"}, "/snomD785/000413922D24/Extra.xml"},
		{"/firmware/snomD785-10.1.215.13-SIP-r.bin", "mac=1", Path{Kind: Firmware, Name: "snomD785-10.1.215.13-SIP-r.bin"}, "/firmware/snomD785-10.1.215.13-SIP-r.bin"},
		{"/FIRMWARE/M900/M900_v0740_b0104.fwu", "", Path{Kind: Firmware, Name: "M900/M900_v0740_b0104.fwu"}, "/firmware/M900/M900_v0740_b0104.fwu"},
		{"/M900/M900_v0740_b0104.fwu", "", Path{Kind: Firmware, Name: "M900/M900_v0740_b0104.fwu"}, "/firmware/M900/M900_v0740_b0104.fwu"},
		{"m65/M65_v0520_b0001.FWU", "", Path{Kind: Firmware, Name: "m65/M65_v0520_b0001.FWU"}, "/firmware/m65/M65_v0520_b0001.FWU"},
		{"/files/../../etc/passwd", "", Path{Kind: File, Name: "../../etc/passwd"}, "/files/../../etc/passwd"},
		{"/files//a%20b", "", Path{Kind: File, Name: "/a%20b"}, "/files//a%20b"},
	} {
		got, err := ParsePath(c.path, c.query)
		if err != nil {
			t.Errorf("ParsePath(%q, %q): %v", c.path, c.query, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("ParsePath(%q, %q) (-want +got)\n%s", c.path, c.query, diff)
		}
		if got.String() != c.canonical {
			t.Errorf("ParsePath(%q, %q) is written %s, want %s", c.path, c.query, got, c.canonical)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, query, want string }{
		{"/", "", "nothing is at the root: phones ask for MODEL.htm and MODEL-MAC.htm, or for ?mac=MAC"},
		{"/", "mac=0004", `the query names no phone: MAC address "0004" has 4 hexadecimal digits, not 12`},
		{"/settings.php", "m=1", "settings.php needs ?mac=MAC"},
		{"/snomD785-{mac}.htm", "", `the phone left {mac} in "snomD785-{mac}.htm" as it stands: give it the setting server without a path, it adds the names itself`},
		{"/%7BMAC%7d.xml", "", `the phone left {mac} in "%7BMAC%7d.xml" as it stands: give it the setting server without a path, it adds the names itself`},
		{"/.htm-000413922D24", "", `no document is called ".htm-000413922D24": phones ask for MODEL.htm and MODEL-MAC.htm`},
		{"/.htm", "", `"" is no model: models look like snomD785`},
		{"/gigaset.htm", "", `"gigaset" is no model: models look like snomD785`},
		{"/snom.htm", "", `"snom" is no model: models look like snomD785`},
		{"/snomD785abcdefghijklmnopqrstuvwxyz.htm", "", `"snomD785abcdefghijklmnopqrstuvwxyz" is no model: models look like snomD785`},
		{"/snomÄ.htm", "", `"snomÄ" is no model: models look like snomD785`},
		{"/snomD785-0004.htm", "", `no document is called "snomD785-0004.htm": MAC address "0004" has 4 hexadecimal digits, not 12`},
		{"/snomD785/oth er.xml", "", `no document of snomD785 is called "oth er.xml": there are general.xml, firmware.xml, gui-lang.xml, web-lang.xml and MAC.xml`},
		{"/snomD785/../general.xml", "", `no document of snomD785 is called "../general.xml": there are general.xml, firmware.xml, gui-lang.xml, web-lang.xml and MAC.xml`},
		{"/snomD785/", "", `no document of snomD785 is called "": there are general.xml, firmware.xml, gui-lang.xml, web-lang.xml and MAC.xml`},
		{"/favicon.ico", "", `no document is called "favicon.ico": phones ask for MODEL.htm and MODEL-MAC.htm`},
		{"/index.xml", "", `no document is called "index.xml", and it is no phone's container: MAC address "index" has a character 'i' that is no hexadecimal digit`},
		{"/files/", "", "a folder has no listing: name a file in it"},
		{"/firmware/", "", "a folder has no listing: name a file in it"},
	} {
		if p, err := ParsePath(c.path, c.query); err == nil || err.Error() != c.want {
			t.Errorf("ParsePath(%q, %q) = %v, %v, want error\n%s", c.path, c.query, p, err, c.want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{
		"/snomD785.htm", "/snomD785-000413922D24.htm", "/snom320-00%3A04%3A13%3A92%3A2D%3A24.htm", "/snom370/snom370-firmware.htm",
		"/snomD785/general.xml", "/snomD785/000413922D24.xml", "/gui-lang.xml", "/gui_lang_a.xml", "/snomD785/a/b.xml", "/snomD785/000413922D24/a.xml", "/firmware/a.bin", "/M900/M900_v0740_b0104.fwu", "/M900/M65_v0740_b0104.fwu", "/M/M_v.fwu", "/files/../x", "/{mac}.xml", "/settings.php",
	} {
		f.Add(path, "mac=000413922D24")
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		p, err := ParsePath(path, query)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("ParsePath(%q, %q): a reason of %d bytes", path, query, len(err.Error()))
			}
			return
		}
		again, err := ParsePath(p.String(), "")
		if err != nil || again != p {
			t.Errorf("ParsePath(%q, %q) = %+v, and its String %q reads as %+v, %v", path, query, p, p, again, err)
		}
	})
}
