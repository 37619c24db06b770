package mac

import (
	"encoding/json"
	"testing"
)

func TestParse(t *testing.T) {
	want := Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}
	for _, s := range []string{
		"00:04:13:92:2D:24", "00-04-13-92-2d-24", "000413922D24", "000413922d24",
		"0004.1392.2d24", "00%3A04%3a13%3A92%3A2D%3A24", " 00:04:13:92:2D:24\t",
	} {
		got, err := Parse(s)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for s, want := range map[string]string{
		"":               `MAC address "" has 0 hexadecimal digits, not 12`,
		"00:04:13":       `MAC address "00:04:13" has 6 hexadecimal digits, not 12`,
		"000413922D2455": `MAC address "000413922D2455" has more than 12 hexadecimal digits`,
		"000413922D2G":   `MAC address "000413922D2G" has a character 'G' that is no hexadecimal digit`,
		"00%2F04":        `MAC address "00%2F04" has a character '%' that is no hexadecimal digit`,
	} {
		if _, err := Parse(s); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) says %v, want %s", s, err, want)
		}
	}
}

func TestSpellings(t *testing.T) {
	a := Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}
	if got := a.String(); got != "00:04:13:92:2d:24" {
		t.Errorf("String() = %s", got)
	}
	if got := a.Hex(); got != "000413922D24" {
		t.Errorf("Hex() = %s", got)
	}
	b, err := json.Marshal(map[Addr]Addr{a: a})
	if err != nil || string(b) != `{"00:04:13:92:2d:24":"00:04:13:92:2d:24"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"00:04:13:92:2D:24", "00%3A04%3a13%3A92%3A2D%3A24", "0004.1392.2d24", "%", "%3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if b, err := Parse(a.String()); err != nil || b != a {
			t.Errorf("Parse(%q) = %v, and its String reads as %v, %v", s, a, b, err)
		}
	})
}
