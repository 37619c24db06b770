package profiles

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"dialtone/internal/mac"
)

// TestSettingsCatalogue holds what the table says of itself: its rules exist,
// lists are there, and no meaning is a sentence.
func TestSettingsCatalogue(t *testing.T) {
	t.Parallel()
	set, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	list := set.Settings()
	if len(list) < 300 {
		t.Errorf("%d settings", len(list))
	}
	for _, s := range list {
		if _, ok := Rules()[s.Rule]; s.Rule != "" && !ok {
			t.Errorf("%s: there is no rule %s", s.Name, s.Rule)
		}
		if slices.Contains([]string{"word", "words", "codecs", "keyevent", "timezone"}, s.Type) != (len(s.Values) > 0) {
			t.Errorf("%s: type %s with %d values", s.Name, s.Type, len(s.Values))
		}
		if (s.Type == "number") != (s.Max != "") {
			t.Errorf("%s: type %s from %q to %q", s.Name, s.Type, s.Min, s.Max)
		}
		if strings.HasSuffix(s.Meaning, ".") || strings.HasSuffix(s.Wrong, ".") {
			t.Errorf("%s: a meaning is no sentence", s.Name)
		}
		for _, pattern := range s.Models {
			if name := strings.TrimSuffix(pattern, "*"); checkModelName(name+"900") != nil && checkModelName(name) != nil {
				t.Errorf("%s: %s is no model", s.Name, pattern)
			}
		}
		for _, v := range s.Values {
			if wrong := s.wrongValue(v.Value); wrong != "" {
				t.Errorf("%s takes %q and does not: %s", s.Name, v.Value, wrong)
			}
		}
	}
}

// TestSlides has the settings that the mass deployment guide names, and which of
// them it asks to leave alone.
func TestSlides(t *testing.T) {
	t.Parallel()
	c, err := builtinSettings()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("language timezone user_pname user_name user_realname user_host user_srtp firmware_status " +
		"update_policy firmware_interval redirect_number dst") {
		if s := c.byName[name]; s == nil || s.Rule != "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, name := range strings.Fields("dhcp gateway dns_server1 update_server update_filename update_host_b update_host_f sip_port " +
		"reset_settings reboot_after_nr watch_arp_cache setting_server mac") {
		if s := c.byName[name]; s == nil || s.Rule == "" {
			t.Errorf("%s has no rule: %+v", name, s)
		}
	}
}

func TestWrongValue(t *testing.T) {
	t.Parallel()
	c, err := builtinSettings()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, value string
		wrong       string // a part of what is said, "" for a good value
	}{
		{"timezone", "GER+1", ""},
		{"timezone", "GER+2", `"GER+1"`},
		{"timezone", "AUT+1", ""},
		{"timezone", "Europe/Berlin", "country"},
		{"timezone", "GER+", "country"},
		{"timezone", "+1", "country"},
		{"timezone", "BRA1-3", ""},
		{"timezone", "", ""},
		{"call_waiting", "visual", ""},
		{"call_waiting", "Visual", `"visual"`},
		{"admin_mode", "true", ""},
		{"admin_mode", "1", "on or off"},
		{"utc_offset", "-3600", ""},
		{"utc_offset", "-99999", "from -43200 to 50400"},
		{"utc_offset", "1e3", "number"},
		{"utc_offset", "NaN", "number"},
		{"sip_body_trace_size", "-1", ""},
		{"user_q", "0.5", ""},
		{"vlan_id", "4095", "4094"},
		{"user_outbound", "pbx.example:5061;transport=tls", ""},
		{"user_outbound", "sip://pbx.example", "no URL"},
		{"custom_bg_image_url", "http://192.0.2.1/a b.png", "without blanks"},
		{"action_setup_url", "http://pbx/up?mac=$mac", ""},
		{"prov_polling_time", "7:05", ""},
		{"prov_polling_time", "07:60", "23:59"},
		{"prov_polling_time", "07", "23:59"},
		{"text_color", "51 51 51 255", ""},
		{"text_color", "51 51 51", ""},
		{"text_color", "256 0 0", "255"},
		{"codec_priority_list", "pcma, pcmu,telephone-event", ""},
		{"codec_priority_list", "pcma,", "none of them"},
		{"dkey_dnd", "url http://192.0.2.1/dnd", ""},
		{"gui_fkey1", "F_ADR_BOOK", ""},
		{"context_key", "<action/>", ""},
		{"dkey_dnd", "F-DND", "what a key does"},
		{"user_ringer", "Ringer11", ""}, // newer phones have more
		{"user_ringer", "Ringr1", `"Ringer1"`},
		{"language", "Klingon", ""},
		{"multicast_address", "::1", "IPv4"},
	} {
		got := c.byName[test.name].wrongValue(test.value)
		if (got == "") != (test.wrong == "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%s = %q: %q, want %q", test.name, test.value, got, test.wrong)
		}
	}
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	const header = "name,type,values,idx,since,until,models,rule,secret,meaning,wrong\n"
	for rows, want := range map[string]string{
		"a,text,,,,,,,,A,\n":                   "",
		"a,text,,,,,,,,A,\na,text,,,,,,,,A,\n": "comes twice",
		"a,word,,,,,,,,A,\n":                   "needs values",
		"a,word,@none,,,,,,,A,\n":              "needs values",
		"a,number,3-1,,,,,,,A,\n":              "from \"3\" to \"1\"",
		"a,number,x-1,,,,,,,A,\n":              "range",
		"a,text,,1,,,,,,A,\n":                  "idx",
		"a,text,,,,,,,,,\n":                    "meaning",
		"a-b,text,,,,,,,,A,\n":                 "letters",
		"a,sound,,,,,,,,A,\n":                  "no type",
		"a,text\n":                             "fields",
	} {
		_, err := readSettings(strings.NewReader(header+rows), strings.NewReader("list,value,meaning\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", rows, err, want)
		}
	}
	if _, err := readSettings(strings.NewReader("x\n"), strings.NewReader("list,value,meaning\n")); err == nil {
		t.Error("a table with other columns was read")
	}
}

func TestShadows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"0.", "0123", true},
		{"0.", "01", false}, // as long: both match at once, and the closer one wins
		{"0.", "1123", false},
		{"0.", "*", false},
		{"*", "112", true},
		{"*", "1", false},
		{"0*", "01*", true},
		{"0*", "0", false},
		{"9,1..", "91234", true},
		{"9,1..", "9,1..", false},
		{"12.", "1.34", false}, // 1334 does not begin with 12
		{".", "*5", true},
		{"", "1", true},
	} {
		if got := shadows(test.a, test.b); got != test.want {
			t.Errorf("shadows(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

func TestVersionsInOrder(t *testing.T) {
	t.Parallel()
	ordered := []string{"5.5", "7.3.15", "8.2", "8.7.3", "8.7.5.35", "8.10", "10.1.54.13", "10.1.215"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareVersions(a, b) < 0; got != (i < j) {
				t.Errorf("%s before %s: %v", a, b, got)
			}
		}
	}
	if compareVersions("8.7", "8.7.0") != 0 {
		t.Error("8.7 and 8.7.0 differ")
	}
}

// TestPasswordsAreMasked: what the catalogue has as a password is one, also where
// the configuration has it in the clear.
func TestPasswordsAreMasked(t *testing.T) {
	t.Parallel()
	s := loadDir(t, writeFiles(t, []txtar.File{{Name: "dialtone.hcl", Data: []byte(`
appliance {
  interface = "eth0"
}
setting "door_code" {
  meaning = "Opens the door"
  secret  = true
}
phone "000413000001" {
  model = "snomD785"
  settings {
    http_user = "open-name"
    http_pass = "closed-1"
    door_code = "closed-2"
  }
}
`)}}))
	m := mac.Addr{0, 4, 0x13, 0, 0, 1}
	for _, reveal := range []bool{false, true} {
		d, err := s.Render(Request{Path: Path{Kind: Own, Model: "snomD785", MAC: m}, Server: s.Server("snomD785", serverAddress), Reveal: reveal})
		if err != nil {
			t.Fatal(err)
		}
		body := string(d.Body)
		if !strings.Contains(body, "open-name") || strings.Contains(body, "closed-1") != reveal || strings.Contains(body, "closed-2") != reveal {
			t.Errorf("reveal %v:\n%s", reveal, body)
		}
	}
}
