package rig

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := &Report{
		Command: "go run ./bench/dhcp", Date: "2026-11-22", Machine: []string{"2 cores"},
		Peers: []string{"dialtone", "kea", "isc"}, Titles: map[string]string{"dialtone": "dialtone", "kea": "Kea", "isc": "ISC dhcpd"},
		Figures: make(map[string]map[string]Figure),
		Notes:   []string{"dnsmasq is left out."},
	}
	r.Record("held-0", "dialtone", Figure{Value: 12000})
	r.Record("held-0", "kea", Figure{Value: 5500})
	r.Record("held-0", "isc", Figure{Value: 0})
	r.Record("cpu", "dialtone", Figure{Value: 0.6})
	r.Record("cpu", "kea", Figure{Value: 0.8})
	r.Record("growth", "isc", Figure{Value: 205.4, Note: "stopped at 3,000"})
	rows := []Row{
		{Key: "held-0", Title: "exchanges/s held for 10 s, from no lease"},
		{Key: "growth", Title: "exchanges/s, closed loop from 0 to 50,000 leases"},
		{Key: "nowhere", Title: "not measured"},
		{Key: "cpu", Title: "CPU seconds per 10,000 exchanges", Less: true, Decimals: 2},
	}
	const want = "`go run ./bench/dhcp`, 2026-11-22:\n" + `
- 2 cores

In brackets: dialtone : that server. ↑ more is better, ↓ less is better.

| | dialtone | Kea | ISC dhcpd |
|---|--:|--:|--:|
| exchanges/s held for 10 s, from no lease ↑ | 12,000 | 5,500 (2.2×) | 0 (–) |
| exchanges/s, closed loop from 0 to 50,000 leases ↑ | – | – | 205, stopped at 3,000 |
| CPU seconds per 10,000 exchanges ↓ | 0.60 | 0.80 (0.75×) | – |

dnsmasq is left out.
`
	var b strings.Builder
	if err := r.WriteMarkdown(&b, rows); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0":         Digits(0, 0),
		"999":       Digits(999, 0),
		"1,000":     Digits(999.6, 0),
		"1,234,567": Digits(1234567, 0),
		"1,234.50":  Digits(1234.5, 2),
		"-1,234":    Digits(-1234, 0),
		"0.15":      Digits(0.154, 2),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"–":      ratio(3, 0),
		"0×":     ratio(0, 3),
		"0.031×": ratio(0.6, 19.4),
		"1.0×":   ratio(3, 3),
		"2.2×":   ratio(12000, 5500),
		"8,000×": ratio(12000, 1.5),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	d := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := Quantile(d, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}
