package main

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRowsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, r := range rows(full) {
		if seen[r.Key] {
			t.Errorf("two rows %s", r.Key)
		}
		seen[r.Key] = true
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
	if o.sizes.seconds != 3 || o.sizes.large != quick.large || !cmp.Equal(o.Scenarios, []string{"sync", "held"}) {
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
