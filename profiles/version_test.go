package profiles

import "testing"

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	desk, base := Model{}, Model{DECT: true}
	for _, c := range []struct {
		m    Model
		a, b string
		want int
	}{
		{desk, "8.7.5.35", "8.7.5.35", 0},
		{desk, "8.7.5.9", "8.7.5.35", -1},
		{desk, "8.9.3.80", "10.1.20.0", -1},
		{desk, "10.1.184", "10.1.184.15", -1},
		{desk, "8.7", "8.7.0", 0},
		{desk, "", "0", 0},
		{desk, "5.5", "5.5a", -1},
		{desk, "5.5a", "5.5b", -1},
		{desk, "5.5a", "6.0", -1},
		{desk, "6.5.12-beta", "6.5.12", -1},
		{desk, "6.5.12-beta", "6.5.11", 1},
		{desk, "3.60s", "3.60", 1},
		{desk, "07.1", "7.01", 0},
		{desk, "99999999999999999999999999999999", "100000000000000000000000000000000", -1},
		{desk, "ramdisk", "1", -1},
		{base, "07.40.0104", "740.104", 0},
		{base, "05.20.0001", "520.1", 0},
		{base, "05.20.0001", "05.20.0002", -1},
		{base, "05.20.0001", "450", 1},
		{base, "04.50.0012", "500", -1},
		{base, "450", "450.0", 0},
	} {
		if got := c.m.compare(c.a, c.b); got != c.want {
			t.Errorf("compare(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := c.m.compare(c.b, c.a); got != -c.want {
			t.Errorf("compare(%q, %q) = %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

func TestVersionIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, name, want string }{
		{"snomD785", "snomD785-10.1.215.13-SIP-r.bin", "10.1.215.13"},
		{"snomD785", "10.1/SNOMd785-10.1.215.13-sip-R.bin", "10.1.215.13"},
		{"snom320", "snom320-6.5.12-beta-SIP-j.bin", "6.5.12-beta"},
		{"snom320", "snom320-8.7.5.35-SIP-f.bin", "8.7.5.35"},
		{"snom320", "snom320-from6to7-7.3.14-bf.bin", "7.3.14"},
		{"snomD785", "snomD785-ramdisk-chained-update-r.bin", ""},
		{"snomD785", "snomD785.bin", ""},
		{"snomD785", "snomD785--SIP-r.bin", ""},
		{"snomM900", "M900/M900_v0740_b0104.fwu", "740.104"},
		{"snomM900", "M300_v0520_b0001.fwu", "520.1"},
		{"snomM900", "M900_v_b.fwu", ""},
		{"snomM900", "M900_v07x0_b0104.fwu", ""},
		{"snomM900", "firmware.php", ""},
	} {
		m, _ := lookupBuiltin(c.model)
		if got := m.versionIn(c.name); got != c.want {
			t.Errorf("version in %s of %s is %q, want %q", c.name, c.model, got, c.want)
		}
	}
}
