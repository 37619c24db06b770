package main

import (
	"errors"
	"testing"
	"time"
)

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
