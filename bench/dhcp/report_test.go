package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := &report{
		Command: "go run ./bench/dhcp", Date: "2026-11-22", Machine: []string{"2 cores"},
		Peers: []string{"dialtone", "kea", "isc"}, Titles: map[string]string{"dialtone": "dialtone", "kea": "Kea", "isc": "ISC dhcpd"},
		Figures: make(map[string]map[string]figure),
		Notes:   []string{"dnsmasq is left out."},
	}
	r.record("held-0", "dialtone", figure{Value: 12000})
	r.record("held-0", "kea", figure{Value: 5500})
	r.record("held-0", "isc", figure{Value: 0})
	r.record("cpu", "dialtone", figure{Value: 0.6})
	r.record("cpu", "kea", figure{Value: 0.8})
	r.record("growth", "isc", figure{Value: 205.4, Note: "stopped at 3,000"})
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
	if err := r.writeMarkdown(&b, full); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRowsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, r := range rows(full) {
		if seen[r.key] {
			t.Errorf("two rows %s", r.key)
		}
		seen[r.key] = true
	}
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0":         digits(0, 0),
		"999":       digits(999, 0),
		"1,000":     digits(999.6, 0),
		"1,234,567": digits(1234567, 0),
		"1,234.50":  digits(1234.5, 2),
		"-1,234":    digits(-1234, 0),
		"0.15":      digits(0.154, 2),
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

func TestParts(t *testing.T) {
	t.Parallel()
	var marks []time.Duration // 1,000 in 1 s, then 0.5 s each
	for i := range 10 {
		marks = append(marks, time.Second+time.Duration(i)*500*time.Millisecond)
	}
	for _, c := range []struct {
		name       string
		marks      []time.Duration
		part       int
		begin, end float64
	}{
		{"all", marks, 2000, 2000 / 1.5, 2000},
		{"just two parts", marks[:4], 2000, 2000 / 1.5, 2000},
		{"not two parts", marks[:3], 2000, 0, 0},
		{"nothing", nil, 2000, 0, 0},
	} {
		if begin, end := parts(c.marks, c.part); begin != c.begin || end != c.end {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, begin, end, c.begin, c.end)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	d := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(d, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n           int
		first, last string
	}{
		{1 << 30, "10.8.1.0", "10.15.254.255"},
		{256, "10.8.1.0", "10.8.1.255"},
	} {
		s, err := newSetup(t.TempDir(), wide)
		if err != nil {
			t.Fatal(err)
		}
		s.size(c.n)
		if got := [2]string{s.first.String(), s.last.String()}; got != [2]string{c.first, c.last} {
			t.Errorf("%d addresses are %v, want %s to %s", c.n, got, c.first, c.last)
		}
	}
	s, err := newSetup(t.TempDir(), usual)
	if err != nil {
		t.Fatal(err)
	}
	if got := [2]string{s.first.String(), s.last.String()}; got != [2]string{"10.10.1.0", "10.10.250.255"} || s.lease != 12*time.Hour {
		t.Errorf("the usual range is %v, leased for %s", got, s.lease)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-seconds", "3", "-servers", "kea", "-scenarios", "sync,held"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.sizes.seconds != 3 || o.sizes.large != quick.large || !cmp.Equal(o.scenarios, []string{"sync", "held"}) {
		t.Errorf("options %+v", o)
	}
	for want, args := range map[string][]string{
		`no scenario "x"; there are growth, memory, renew, sync, burst, crowd, hostile, held`: {"-scenarios", "x"},
		`no server "x"; there are dialtone, kea, dnsmasq, isc`:                                {"-servers", "x"},
		`unexpected argument "x"`: {"x"},
	} {
		if _, err := parse(args, io.Discard); errorText(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
