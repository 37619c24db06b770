package profiles

import (
	"strings"
	"testing"
)

func TestSpellingOf(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance { interface = "eth0" }
model "snomM900" {
  spelling = { tbook = "phone-book" }
}
`)
	usual := spelling{keys: "functionKeys", book: "tbook", bookVersion: "1", plan: "dialplan", firmwareStatus: "firmware_status"}
	if got := s.spellingOf("snomD785", "10.1.215.13"); got != usual {
		t.Errorf("snomD785: %+v", got)
	}
	want := usual
	want.firmwareStatus, want.book = "firmware-status", "phone-book"
	if got := s.spellingOf("SNOMm900", ""); got != want {
		t.Errorf("snomM900: %+v", got)
	}
}

func TestSpellingRows(t *testing.T) {
	t.Parallel()
	const header = "models,since,until,element,spelling\n"
	rows, err := readSpellings(strings.NewReader(header + "snomD7*,10.1.178,10.2,tbook_version,2.0\nsnom320,,8,tbook,phone-book\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		row            int
		model, version string
		want           bool
	}{
		{0, "snomD785", "10.1.178", true},
		{0, "SNOMd785", "10.1.178.1", true},
		{0, "snomD785", "10.1.54.13", false},
		{0, "snomD785", "10.2", false},
		{0, "snomD785", "", false},
		{0, "snomD785", "10.x", false},
		{0, "snom785", "10.1.178", false},
		{1, "snom320", "7.3.30", true},
		{1, "snom320", "8.7", false},
		{1, "snom3200", "7.3.30", false},
	} {
		if got := rows[c.row].fits(c.model, c.version); got != c.want {
			t.Errorf("row %d for %s %q: %v", c.row, c.model, c.version, got)
		}
	}
	for _, bad := range []string{"models\n", header + "*,x,,tbook,tbook\n", header + "*,,,tbook,book\n", header + "*,,,keys,x\n", header + "*,,\n"} {
		if _, err := readSpellings(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
