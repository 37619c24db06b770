package profiles

import (
	"fmt"
	"strings"
	"testing"

	"dialtone/internal/mac"
)

// TestPollingSpread holds the times of an office's phones to the window, spread
// over it, and the same from one load to the next.
func TestPollingSpread(t *testing.T) {
	t.Parallel()
	const phones = 300
	var text strings.Builder
	text.WriteString(`
appliance { interface = "eth0" }
profile "base" {
  default = true
  polling { window = ["23:00", "01:00"] }
}
`)
	for i := range phones {
		fmt.Fprintf(&text, "phone \"000413%06X\" { model = \"snomD785\" }\n", i)
	}
	set, again := loadText(t, text.String()), loadText(t, text.String())
	minutes := map[string]int{}
	for _, p := range set.Phones() {
		at := ""
		for _, s := range []*Set{set, again} {
			own, diags := s.ownLayer(s.byMAC[p.MAC], Model{}, s.Server("snomD785", serverAddress))
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			for _, setting := range own.settings {
				if setting.name != "prov_polling_time" {
					continue
				}
				if at != "" && at != setting.value.text {
					t.Errorf("%s polls at %s, and after another load at %s", p.MAC, at, setting.value.text)
				}
				at = setting.value.text
			}
		}
		if !strings.HasPrefix(at, "23:") && !strings.HasPrefix(at, "00:") {
			t.Errorf("%s polls at %q", p.MAC, at)
		}
		minutes[at]++
	}
	for at, n := range minutes {
		if n > phones/10 {
			t.Errorf("%d of %d phones poll at %s", n, phones, at)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	phone := mac.Addr{0, 4, 0x13, 0, 0, 1}
	for _, n := range []int64{-1, 0, 1} {
		if got := spread(phone, n); got != 0 {
			t.Errorf("of %d: %d", n, got)
		}
	}
	if got := spread(mac.Addr{}, 100); got != 0 {
		t.Errorf("without a phone: %d", got)
	}
}

func TestOutboundProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, transport, port, want string }{
		{"pbx.example", "tls", "", "pbx.example;transport=tls"},
		{"pbx.example", "", "5061", "pbx.example:5061"},
		{"pbx.example:5070", "tcp", "", "pbx.example:5070;transport=tcp"},
		{"pbx.example;lr", "tls", "5061", "pbx.example:5061;lr;transport=tls"},
		{"2001:db8::1", "udp", "5060", "[2001:db8::1]:5060;transport=udp"},
		{"[2001:db8::1]", "", "5060", "[2001:db8::1]:5060"},
		{"pbx.example:5070", "", "5060", "error"},
		{"pbx.example;transport=udp", "tls", "", "error"},
	} {
		got, err := outboundProxy(c.host, c.transport, c.port)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestMajor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model, target string
		runs, want    int
	}{
		{"snomD785", "", 0, 10},
		{"snomD785", "8.9.3.80", 0, 8},
		{"snomD785", "snomD785-10.1.215.13-SIP-r.bin", 0, 10},
		{"snom370", "https://fw.example/snom370-7.3.30-SIP-f.bin?a=b", 0, 7},
		{"snom370", "", 0, 8},
		{"snom370", "", 7, 7},
		{"snom190", "", 0, 6},
		{"snomM900", "05.20.0001", 5, 10},
		{"snomD785", "own-build.bin", 0, 10},
	} {
		m, _ := lookupBuiltin(c.model)
		m.runs = c.runs
		if got := m.major(c.target); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
