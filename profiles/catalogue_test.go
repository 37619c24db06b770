package profiles

import (
	"strings"
	"testing"

	"dialtone/internal/mac"
)

func TestBuiltinCatalogue(t *testing.T) {
	t.Parallel()
	c, err := builtinCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.models) < 45 {
		t.Errorf("%d models", len(c.models))
	}
	// Everything that looks like a model needs a pattern to fall back on.
	if last := c.patterns[len(c.patterns)-1]; last.Name != "snom" {
		t.Errorf("the last pattern is %s*", last.Name)
	}
}

func TestReadCatalogueRefuses(t *testing.T) {
	t.Parallel()
	const header = "name,family,format,identities,keys,modules,firmware,macs\n"
	const row = "snom370,3xx,xml,12,12,3,{model}-{version}.bin,26\n"
	for text, want := range map[string]string{
		"":               "reading the model catalogue: EOF",
		"name,macs\n":    `reading the model catalogue: columns are ["name" "macs"], not ["name" "family" "format" "identities" "keys" "modules" "firmware" "macs"]`,
		header + "a,b\n": "reading the model catalogue: record on line 2: wrong number of fields",
		header + "gigaset,x,xml,1,1,1,{version},\n":              `reading the model catalogue: "gigaset" is no model: models look like snomD785`,
		header + "snom1,x,json,1,1,1,{version},\n":               `reading the model catalogue: snom1: format "json" is none of xml, xml7 and text`,
		header + "snom1,x,xml,1,many,1,{version},\n":             `reading the model catalogue: snom1: reading a count: strconv.ParseUint: parsing "many": invalid syntax`,
		header + "snom1,x,xml,1,1,1,image.bin,\n":                `reading the model catalogue: snom1: firmware "image.bin" has no place for a version`,
		header + "snom1,x,xml,1,1,1,{version},1\n":               `reading the model catalogue: snom1: "1" is neither one octet nor four`,
		header + row + row:                                       "reading the model catalogue: snom370 comes twice",
		header + row + "snom371,3xx,xml,1,1,1,{version},22 26\n": "reading the model catalogue: snom371: MAC prefix 00041326 is snom370's already",
	} {
		if _, err := readCatalogue(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("reading %q says %v, want %s", text, err, want)
		}
	}
}

func TestModelOf(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{
		"snomD785":                           "snomD785",
		"snom320":                            "snom320",
		"SNOMd785":                           "snomD785",
		"snomM300-something":                 "snomM300",
		"snomM900/05.20":                     "snomM900",
		"snom-m3-SIP/02.11//18-Aug-10 15:36": "snomM3",
		"snomD999":                           "snomD999",
		"snomD785\x00":                       "snomD785",
		"snom":                               "",
		"snom-":                              "",
		"PXEClient:Arch:00000":               "",
		"":                                   "",
		"snom" + strings.Repeat("9", 29):     "",
		"snomD785<script>alert(1)</script>":  "snomD785",
		"Cisco snomD785":                     "",
	} {
		if got := ModelOf(class); got != want {
			t.Errorf("ModelOf(%q) = %q, want %q", class, got, want)
		}
	}
}

func TestMACs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mac, hint string
		snom      bool
	}{
		{"000413922D24", "snomD785", true},
		{"00041329aaaa", "snom360", true},
		{"00087BD70001", "snomM300", true},
		{"00087BFF0001", "", true},
		{"000413FF0001", "", true},
		{"000414922D24", "", false},
	} {
		m, err := mac.Parse(c.mac)
		if err != nil {
			t.Fatal(err)
		}
		if ModelHint(m) != c.hint || IsSnom(m) != c.snom {
			t.Errorf("%s: hint %q, snom %v, want %q, %v", m, ModelHint(m), IsSnom(m), c.hint, c.snom)
		}
	}
}

func TestImageName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, version, want string }{
		{"snomD785", "10.1.215.13", "snomD785-10.1.215.13-SIP-r.bin"},
		{"snom370", "8.7.5.35", "snom370-8.7.5.35-SIP-f.bin"},
		{"snomD865", "10.1.215.13", "snomD865-10.1.215.13-SIP-r.swu"},
		{"snom190", "3.60s", "snom190-3.60s-SIP-j.bin"},
		{"snomM900", "05.20.0001", "M900_v0520_b0001.fwu"},
		{"snomM700", "740.104", "M700_v0740_b0104.fwu"},
		{"snomM700", "740", "M700_v0740_b0000.fwu"},
		{"snomD899", "11.0", "snomD899-11.0-SIP-r.swu"},
		{"snom399", "8.7", "snom399-8.7-SIP-f.bin"},
		{"snomX1", "1", "snomX1-1-SIP-r.bin"},
	} {
		m, ok := lookupBuiltin(c.model)
		if got := m.imageName(c.version); !ok || got != c.want {
			t.Errorf("image %s of %s is %s, want %s", c.version, c.model, got, c.want)
		}
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"reception": "reception", "jörg": "jorg", "Straße 7": "strasse-7", "a b/c": "a-b-c", "--x--": "x", "日本": "", "": "",
		"Ł": "", strings.Repeat("a", 64): strings.Repeat("a", 63), strings.Repeat("a", 62) + "-bc": strings.Repeat("a", 62), "O'Neil": "o-neil", "evil.example.org": "evil-example-org",
	} {
		if got := HostName(name); got != want {
			t.Errorf("HostName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance { interface = "eth0" }
model "snom320" { format = "xml" }
model "snomM700" { format = "text" }
`)
	for _, c := range []struct {
		model, version string
		want           Format
	}{
		{"snom370", "", XML},
		{"snom370", "6.5.20", Text},
		{"snom370", "7.1.2", XML},
		{"snom370", "10.1.33", XML},
		{"snom370", "0", XML},
		{"snom370", "ramdisk", XML},
		{"snom190", "", Text},
		{"snom190", "9.9", Text},
		{"snomM900", "05.20.0001", XML},
		{"snomX1", "4.0", Text},
		{"snom320", "6.5.20", XML},
		{"snomM700", "05.20.0001", Text},
	} {
		m, _ := s.Model(c.model)
		if got := m.reads(c.version); got != c.want {
			t.Errorf("%s with %q reads %s, want %s", c.model, c.version, got, c.want)
		}
	}
}
