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
	const header = "name,sold_as,family,format,identities,keys,modules,module_keys,phonebook_limit,login,image,text_image,latest,floor,macs\n"
	const row = "snom370,,3xx,xml,12,12,3,0,0,http,{model}-{version}.bin,,,,26\n"
	const updates = "models,from,below,linux_below,rootfs_below,target,version,image,chained\n"
	for text, want := range map[string]string{
		"":               "reading the model catalogue: EOF",
		"name,macs\n":    `reading the model catalogue: columns are ["name" "macs"], not ["name" "sold_as" "family" "format" "identities" "keys" "modules" "module_keys" "phonebook_limit" "login" "image" "text_image" "latest" "floor" "macs"]`,
		header + "a,b\n": "reading the model catalogue: record on line 2: wrong number of fields",
		header + "gigaset,,x,xml,1,1,1,1,1,,{version}.bin,,,,\n":            `reading the model catalogue: "gigaset" is no model: models look like snomD785`,
		header + "snom1,,x,json,1,1,1,1,1,,{version}.bin,,,,\n":             `reading the model catalogue: snom1: format is one of xml, xml7 (text before firmware V7), text, not "json"`,
		header + "snom1,,x,xml,1,many,1,1,1,,{version}.bin,,,,\n":           `reading the model catalogue: snom1: keys is a whole number up to 10000, not "many"`,
		header + "snom1,,x,xml,1,1,1,1,1,ftp,{version}.bin,,,,\n":           `reading the model catalogue: snom1: login is one of http, webserver, not "ftp"`,
		header + "snom1,,x,xml,1,1,1,1,1,,image.bin,,,,\n":                  `reading the model catalogue: snom1: image needs {version}, or {v4} and {b4}, where "image.bin" has no place for a version`,
		header + "snom1,,x,xml,1,1,1,1,1,,{version},,,,\n":                  `reading the model catalogue: snom1: image ends in .bin, .swu, .fwu, unlike "{version}"`,
		header + "snom1,,x,xml,1,1,1,1,1,,{versoin}.bin,,,,\n":              `reading the model catalogue: snom1: image has only {model}, {version}, {v4} and {b4} in braces, unlike "{versoin}.bin"`,
		header + "snom1,,x,xml,1,1,1,1,1,,../{version}.bin,,,,\n":           `reading the model catalogue: snom1: image is the path of a file within files_dir/firmware, not "../{version}.bin"`,
		header + "snom1,,x,xml,1,1,1,1,1,,{version}.bin,,,ten,\n":           `reading the model catalogue: snom1: floor is a version such as 8.9.3, not "ten"`,
		header + "snom1,,x,xml,1,1,1,1,1,,{version}.bin,,,,1\n":             `reading the model catalogue: snom1: "1" is neither an octet (92), nor a range of three octets (791000-79FFFF), nor four octets (00087BD7)`,
		header + "snom1,,x,xml,1,1,1,1,1,,{version}.bin,,,,9G\n":            `reading the model catalogue: snom1: "9G" has a character that is no hexadecimal digit`,
		header + "snom1,,x,xml,1,1,1,1,1,,{version}.bin,,,,792000-791000\n": `reading the model catalogue: snom1: "792000-791000" ends before it begins`,
		header + row + row: "reading the model catalogue: snom370 comes twice",
		header + row + "snom371,snom370,3xx,xml,1,1,1,1,1,,{version}.bin,,,,\n": "reading the model catalogue: snom370 comes twice",
		header + row + "snom371,,3xx,xml,1,1,1,1,1,,{version}.bin,,,,22 26\n":   "reading the model catalogue: snom371: the MACs 26 are snom370's already",
	} {
		if _, err := readCatalogue(strings.NewReader(text), strings.NewReader(updates)); err == nil || err.Error() != want {
			t.Errorf("reading %q says %v, want %s", text, err, want)
		}
	}
	for row, want := range map[string]string{
		"snom1,six,,,,,1,,\n":            `reading the table of updates: from of a step is a version such as 8.9.3, not "six"`,
		"snom1,,,,,,,,\n":                "reading the table of updates: a step needs an image, or the version of one that is named as the model's are",
		"snom1,,,,,,1,{model}.bin,yes\n": "reading the table of updates: a chained helper has no version of its own: it brings the target's",
		"snom1,,,,,,,/helper.bin,\n":     `reading the table of updates: image of a step is the path of a file within files_dir/firmware, not "/helper.bin"`,
	} {
		if _, err := readCatalogue(strings.NewReader(header), strings.NewReader(updates+row)); err == nil || err.Error() != want {
			t.Errorf("reading %q says %v, want %s", row, err, want)
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
	s := loadText(t, `
appliance { interface = "eth0" }
model "snomD999" { macs = ["00135E00", "921200-9212ff"] }
`)
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
		{"000413790FFF", "snomD765", true},
		{"000413791000", "snomD745", true},
		{"00041394B3FF", "snomD765", true},
		{"00041394B400", "snom715", true},
		{"00041394BF03", "snom715", true},
		{"00041394BF04", "snomD765", true},
		{"000413840016", "snomD305", true},
		{"000413840080", "snomD315", true},
		// of the configuration
		{"00135E000001", "snomD999", true},
		{"000413921234", "snomD999", true},
		{"000413921300", "snomD785", true},
	} {
		m, err := mac.Parse(c.mac)
		if err != nil {
			t.Fatal(err)
		}
		if s.ModelHint(m) != c.hint || s.IsSnom(m) != c.snom {
			t.Errorf("%s: hint %q, snom %v, want %q, %v", m, s.ModelHint(m), s.IsSnom(m), c.hint, c.snom)
		}
	}
}

func TestImageName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, version, want string }{
		{"snom370", "6.5.20", "snom370-6.5.20-SIP-j.bin"},
		{"snomD785", "10.1.215.13", "snomD785-10.1.215.13-SIP-r.bin"},
		{"snom370", "8.7.5.35", "snom370-8.7.5.35-SIP-f.bin"},
		{"snomD865", "10.1.215.13", "snomD865-10.1.215.13-SIP-r.swu"},
		{"snom190", "3.60s", "snom190-3.60s-SIP-j.bin"},
		{"snomM900", "05.20.0001", "M900/M900_v0520_b0001.fwu"},
		{"snomM700", "740.104", "M700/M700_v0740_b0104.fwu"},
		{"snomM700", "740", "M700/M700_v0740_b0000.fwu"},
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
