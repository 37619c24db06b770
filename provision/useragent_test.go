package provision

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

type said struct {
	Model, Version string
	MAC            mac.Addr
}

var userAgents = []struct {
	in   string
	want said
}{
	{in: "Mozilla/4.0 (compatible; snom lid 3605)"},
	{
		in:   "Mozilla/4.0 (compatible; snom320-SIP 6.5.20; snom320 jffs2 v3.36; snom320 linux 3.38)",
		want: said{Model: "snom320", Version: "6.5.20"},
	},
	{
		in:   "Mozilla/4.0 (compatible; snom360-SIP 6.5.12; snom360 ramdisk v3.31; snom360 linux 3.25)",
		want: said{Model: "snom360", Version: "6.5.12"},
	},
	{in: "Mozilla/4.0 (compatible; snom360 ramdisk v3.31; snom360 linux 3.25)", want: said{Model: "snom360"}},
	{
		in:   "Mozilla/4.0 (compatible; snom360 ramdisk v3.31; snom360-SIP 6.5.20)",
		want: said{Model: "snom360", Version: "6.5.20"},
	},
	{in: "Mozilla/4.0 (compatible; snom370-SIP 7.1.2)", want: said{Model: "snom370", Version: "7.1.2"}},
	{in: "Mozilla/4.0 (compatible; snom320-SIP 7.3.30 1.1.3-u)", want: said{Model: "snom320", Version: "7.3.30"}},
	{
		in:   "Mozilla/4.0 (compatible; snom820-SIP 8.4.35 1.1.4-IFX-26.11.09)",
		want: said{Model: "snom820", Version: "8.4.35"},
	},
	{
		in:   "Mozilla/4.0 (compatible; snom870-SIP 8.4.35 SPEAr300 SNOM 1.4)",
		want: said{Model: "snom870", Version: "8.4.35"},
	},
	{in: "Mozilla/4.0 (compatible; snomPA1-SIP 8.4.35 1.1.3-s)", want: said{Model: "snomPA1", Version: "8.4.35"}},
	{in: "Mozilla/4.0 (compatible; snom760-SIP 8.7.3.19 2010.06)", want: said{Model: "snom760", Version: "8.7.3.19"}},
	{
		in: "Mozilla/4.0 (compatible; snom710-SIP 8.7.5.35 1.1.5-IFX-05.01.12 000413741767)",
		want: said{
			Model: "snom710", Version: "8.7.5.35",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0x74, 0x17, 0x67},
		},
	},
	{
		in: "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12-00004-g9ba52f5 000413922D24 SXM:0 UXM:0)",
		want: said{
			Model: "snomD785", Version: "10.1.33.33",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24},
		},
	},
	{
		in: "Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16 2010.12-00001-gd311851f1 " +
			"(Feb 25 2019 - 14:19:43) 00041396D9B4 SXM:0 UXM:0 UXMC:0)",
		want: said{
			Model: "snomD785", Version: "10.1.169.16",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0x96, 0xd9, 0xb4},
		},
	},
	{
		in: "Mozilla/4.0 (compatible; Snom M900 05.20.0001 000413b60680)",
		want: said{
			Model: "snomM900", Version: "05.20.0001",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0xb6, 0x06, 0x80},
		},
	},
	{in: "Mozilla/4.0 (compatible; snom m9 9.1.43)", want: said{Model: "snomM9", Version: "9.1.43"}},
	{in: "Mozilla/4.0 (compatible; snom-m3-SIP/02.11 18-Aug-10)", want: said{Model: "snomM3", Version: "02.11"}},
	{in: "snom-m3-SIP/02.11", want: said{Model: "snomM3", Version: "02.11"}},
	{in: "snomD120/10.1.39.11", want: said{Model: "snomD120", Version: "10.1.39.11"}},
	{
		in: "snomD785/10.1.198.12 0004130DD7C9",
		want: said{
			Model: "snomD785", Version: "10.1.198.12",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0x0d, 0xd7, 0xc9},
		},
	},
	{
		in: "00:04:13:0D:D7:C9 SNOMd785-sip 10.1.198.12",
		want: said{
			Model: "snomd785", Version: "10.1.198.12",
			MAC: mac.Addr{0x00, 0x04, 0x13, 0x0d, 0xd7, 0xc9},
		},
	},
	// A build stamp of twelve digits is no MAC, nor is a hash.
	{
		in:   "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12-000042)",
		want: said{Model: "snomD785", Version: "10.1.33.33"},
	},
	{in: "curl/8.5.0"},
	{in: ""},
	{in: "snom"},
	{in: "snom-"},
	{in: "snom-SIP"},
	{in: "snom../../-SIP 1.2.3"},
	{in: "snomD785-SIP ../../etc", want: said{Model: "snomD785"}},
	{in: strings.Repeat("(", 4000) + "snomD785-SIP 10.1.33.33"},
	{in: "snom" + strings.Repeat("7", 40) + "-SIP 1.2.3"},
}

func TestParseUserAgent(t *testing.T) {
	t.Parallel()
	for _, tt := range userAgents {
		var got said
		got.Model, got.Version, got.MAC = ParseUserAgent(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseUserAgent(%.200q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestParseParts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]profiles.Parts{
		"Mozilla/4.0 (compatible; snom320-SIP 6.5.20; snom320 jffs2 v3.36; snom320 linux 3.38)":    {Linux: "3.38", JFFS2: "3.36"},
		"Mozilla/4.0 (compatible; snom360-SIP 6.5.12; snom360 ramdisk v3.31; snom360 linux 3.25)":  {Linux: "3.25", Ramdisk: "3.31"},
		"Mozilla/4.0 (compatible; snom360-SIP 6.5.20; snom360 jffs2 v3.37; snom360 linux undef)":   {JFFS2: "3.37"},
		"Mozilla/4.0 (compatible; snom320-SIP 7.3.30 1.1.3-u)":                                     {},
		"snom320 linux; snom320 linux ; linux 3.38; Cisco linux 3.38; snom320 linux v3.38<script>": {},
	} {
		if got := parseParts(s); got != want {
			t.Errorf("parseParts(%q) = %+v, want %+v", s, got, want)
		}
	}
}

func FuzzParseUserAgent(f *testing.F) {
	for _, tt := range userAgents {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		model, version, _ := ParseUserAgent(s)
		parts := parseParts(s)
		for _, v := range []string{parts.Linux, parts.JFFS2, parts.Ramdisk} {
			if v != "" && !isVersion(v) {
				t.Errorf("parseParts(%q): version %q", s, v)
			}
		}
		if model != "" && (!isWord(model, "") || !strings.HasPrefix(model, "snom")) {
			t.Errorf("ParseUserAgent(%q): model %q", s, model)
		}
		if version != "" && (model == "" || !isVersion(version)) {
			t.Errorf("ParseUserAgent(%q): version %q of model %q", s, version, model)
		}
	})
}
