package profiles

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each case is a phone, and all steps to its target.
func TestWay(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance { interface = "eth0" }
model "snomD999" {
  floor = "11"
  step {
    below   = "10.5"
    target  = "11"
    version = "10.5"
  }
  step {
    target  = "11"
    image   = "{model}-helper-{version}.bin"
    chained = true
  }
}
model "snomD785" { direct = true }
`)
	for _, c := range []struct {
		model   string
		running Running
		target  string
		want    string // image, and where it leads; the reason of staying
	}{
		{"snom370", Running{}, "", "stay: no firmware is configured for snom370"},
		{"snom370", Running{}, "8.7.5.35", `
direct snom370-8.7.5.35-SIP-f.bin → 8.7.5.35
stay: the phone runs the wanted firmware, 8.7.5.35`},
		{"snom360", Running{"4.1", Parts{Linux: "3.10", Ramdisk: "3.31"}}, "8.7.5.35", `
between snom360-5.5a-SIP-j.bin → 5.5a, linux 3.10, ramdisk 3.31
between snom360-ramdiskToJffs2-3.36-br.bin → 5.5a, linux 3.10, jffs2 3.36
between snom360-3.25-l.bin → 5.5a, linux 3.25, jffs2 3.36
between snom360-6.5.20-SIP-j.bin → 6.5.20, linux 3.25, jffs2 3.36
between snom360-3.38-l.bin → 6.5.20, linux 3.38, jffs2 3.36
between snom360-from6to7-7.3.14-bf.bin → 7.3.14, linux 3.38, jffs2 3.36
between snom360-7.3.30-SIP-f.bin → 7.3.30, linux 3.38, jffs2 3.36
direct snom360-8.7.5.35-SIP-f.bin → 8.7.5.35
stay: the phone runs the wanted firmware, 8.7.5.35`},
		{"snom320", Running{"6.5.20", Parts{Linux: "3.38", JFFS2: "3.36"}}, "7.1.19", `
between snom320-from6to7-7.3.14-bf.bin → 7.3.14, linux 3.38, jffs2 3.36
direct snom320-7.1.19-SIP-f.bin → 7.1.19
stay: the phone runs the wanted firmware, 7.1.19`},
		{"snom320", Running{"7.0.5", Parts{}}, "7.3.30", `
between snom320-6.5.20-SIP-j.bin → 6.5.20
between snom320-from6to7-7.3.14-bf.bin → 7.3.14
direct snom320-7.3.30-SIP-f.bin → 7.3.30
stay: the phone runs the wanted firmware, 7.3.30`},
		{"snom320", Running{"6.5.20", Parts{Linux: "3.25", JFFS2: "3.35"}}, "6.2", `
between snom320-ramdiskToJffs2-3.36-br.bin → 6.5.20, linux 3.25, jffs2 3.36
direct snom320-6.2-SIP-j.bin → 6.2
stay: the phone runs the wanted firmware, 6.2`},
		{"snom320", Running{"8.4.35", Parts{}}, "7.3.30", `
direct snom320-7.3.30-SIP-f.bin → 7.3.30
stay: the phone runs the wanted firmware, 7.3.30`},
		{"snom715", Running{"10.1.33.33", Parts{}}, "10.1.215.13", `
chained snom715-ramdisk-chained-update-r.bin, snom715-10.1.215.13-SIP-r.bin → 10.1.215.13
stay: the phone runs the wanted firmware, 10.1.215.13`},
		{"snom715", Running{"8.9.3.60", Parts{}}, "10.1.175.16", `
direct snom715-10.1.175.16-SIP-r.bin → 10.1.175.16
stay: the phone runs the wanted firmware, 10.1.175.16`},
		{"snom715", Running{"10.1.33.33", Parts{}}, "8.7.5.35", "stay: the phone runs 10.1.33.33: from 8.9.3 on a snom715 must not go back to 8.7.5.35, or it could never be updated again"},
		{"snom715", Running{"8.7.3.19", Parts{}}, "8.7.5.35", `
direct snom715-8.7.5.35-SIP-r.bin → 8.7.5.35
stay: the phone runs the wanted firmware, 8.7.5.35`},
		{"snom715", Running{}, "8.7.5.35", `
direct snom715-8.7.5.35-SIP-r.bin → 8.7.5.35
stay: the phone runs the wanted firmware, 8.7.5.35`},
		{"snomD865", Running{"10.1.100", Parts{}}, "snomD865-10.1.215.13-SIP-r.swu", `
direct snomD865-10.1.215.13-SIP-r.swu → 10.1.215.13
stay: the phone runs the wanted firmware, snomD865-10.1.215.13-SIP-r.swu`},
		{"snomD785", Running{"10.1.33.33", Parts{}}, "10.1.215.13", `
direct snomD785-10.1.215.13-SIP-r.bin → 10.1.215.13
stay: the phone runs the wanted firmware, 10.1.215.13`},
		{"snomD735", Running{"10.1.33.33", Parts{}}, "https://files.example.org/fw.php?m={mac}", "direct https://files.example.org/fw.php?m={mac} → "},
		{"snomD735", Running{"10.1.33.33", Parts{}}, "https://files.example.org/snomD735-10.1.215.13-SIP-r.bin", `
chained snomD735-ramdisk-chained-update-r.bin, https://files.example.org/snomD735-10.1.215.13-SIP-r.bin → 10.1.215.13
stay: the phone runs the wanted firmware, https://files.example.org/snomD735-10.1.215.13-SIP-r.bin`},
		{"snomM900", Running{"04.50.0012", Parts{}}, "07.40.0104", `
between M900/M900_v0501_b0001.fwu → 501.1
direct M900/M900_v0740_b0104.fwu → 07.40.0104
stay: the phone runs the wanted firmware, 07.40.0104`},
		{"snomM900", Running{"05.20.0001", Parts{}}, "740.104", `
direct M900/M900_v0740_b0104.fwu → 740.104
stay: the phone runs the wanted firmware, 740.104`},
		{"snomM900", Running{"05.20.0001", Parts{}}, "410.3", "stay: the phone runs 05.20.0001: from 450 on a snomM900 must not go back to 410.3, or it could never be updated again"},
		{"snomD999", Running{"9.1", Parts{}}, "12.0", `
between snomD999-10.5-SIP-r.bin → 10.5
chained snomD999-helper-12.0.bin, snomD999-12.0-SIP-r.bin → 12.0
stay: the phone runs the wanted firmware, 12.0`},
		{"snomD999", Running{"11.2", Parts{}}, "10.9", "stay: the phone runs 11.2: from 11 on a snomD999 must not go back to 10.9, or it could never be updated again"},
	} {
		m, _ := s.Model(c.model)
		way, err := m.Way(c.running, c.target)
		if err != nil {
			t.Errorf("%s %+v: %v", c.model, c.running, err)
		}
		var got []string
		for _, step := range way {
			if step.Kind == Stay {
				got = append(got, "stay: "+step.Reason)
				continue
			}
			line := fmt.Sprintf("%s %s → %s", step.Kind, strings.Join(step.Images(), ", "), step.After.Version)
			for _, p := range []struct{ name, version string }{
				{"linux", step.After.Linux},
				{"jffs2", step.After.JFFS2},
				{"ramdisk", step.After.Ramdisk},
			} {
				if p.version != "" {
					line += ", " + p.name + " " + p.version
				}
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s %+v to %q (-want +got)\n%s", c.model, c.running, c.target, diff)
		}
	}
}

// Every way that the shipped table knows has an end.
func TestWaysEnd(t *testing.T) {
	t.Parallel()
	c, err := builtinCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(c.rows, c.patterns...) {
		if err := m.checkWays(); err != nil {
			t.Error(err)
		}
	}
}
