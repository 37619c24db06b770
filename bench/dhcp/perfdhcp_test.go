package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The files are what perfdhcp 2.2.0 printed.
func TestParsePerfdhcp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       trial
		err        string
	}{
		{"all done", testdata(t, "perfdhcp.txt"), trial{Begun: 14999, Acked: 14999}, ""},
		{"no answer", testdata(t, "perfdhcp-silence.txt"), trial{Begun: 1}, ""},
		{"no statistics", "ERROR: no such interface\n", trial{}, `perfdhcp printed no statistics: "ERROR: no such interface\n"`},
		{"no number", "***Statistics for: DISCOVER-OFFER***\nsent packets: many\n", trial{}, `reading perfdhcp's statistics: "sent packets: many"`},
	} {
		got, err := parsePerfdhcp(c.text)
		if text := errorText(err); text != c.err {
			t.Errorf("%s: error %q, want %q", c.name, text, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		t    trial
		rate int
		want bool
	}{
		{"all", trial{Begun: 9999, Acked: 9999}, 1000, true},
		{"just under a hundredth lost", trial{Begun: 9999, Acked: 9900}, 1000, true},
		{"a hundredth lost", trial{Begun: 10000, Acked: 9900}, 1000, false},
		{"the generator was too slow", trial{Begun: 9600, Acked: 9600}, 1000, false},
		{"one a second", trial{Begun: 9, Acked: 9}, 1, true},
		{"nothing begun", trial{}, 1, false},
	} {
		if got := c.t.held(c.rate, 10*time.Second); got != c.want {
			t.Errorf("%s: held is %t", c.name, got)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, start int }{
		{5500, 5000},
		{5500, 50_000},
		{5500, 700},
		{20_000, 3000},
		{33, 50},
		{1, 100},
		{0, 100},
		{0, 0},
		{3, 0},
	} {
		tries := 0
		got, err := search(float64(c.start), func(rate int) (bool, error) {
			tries++
			return rate <= c.limit, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got > c.limit || float64(got) < 0.95*float64(c.limit)-1 || tries > 14 {
			t.Errorf("from %d on: %d after %d tries, want nearly %d", c.start, got, tries, c.limit)
		}
	}
	broken := errors.New("it ended")
	if _, err := search(10, func(int) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the trial", err)
	}
}
