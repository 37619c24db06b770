package main

import (
	"os"
	"path/filepath"
	"testing"

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
