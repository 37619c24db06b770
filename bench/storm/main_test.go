package main

import (
	"io"
	"testing"

	"dialtone/internal/mac"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-scenarios", "http", "-servers", "dnsmasq"}, io.Discard)
	if err != nil || o.phones != 20 || o.image != 1 || o.rounds != 1 || !cmp.Equal(o.Scenarios, []string{"http"}) {
		t.Errorf("options %+v, %v", o, err)
	}
	for want, args := range map[string][]string{
		`no scenario "x"; there are documents, http, tftp`: {"-scenarios", "x"},
		`no server "x"; there are dialtone, dnsmasq`:       {"-servers", "x"},
		`1 to 2,000 phones, 1 to 100 MB, 1 round or more`:  {"-phones", "0"},
		`unexpected argument "x"`:                          {"x"},
	} {
		if _, err := parse(args, io.Discard); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// fetch takes the last path for the phone's own.
func TestPaths(t *testing.T) {
	t.Parallel()
	want := []string{
		"snomD785.htm", "snomD785/general.xml", "snomD785/firmware.xml",
		"snomD785-000413AB0001.htm", "snomD785/000413AB0001.xml",
	}
	if diff := cmp.Diff(want, paths(mac.Addr{0, 4, 0x13, 0xab, 0, 1})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRowsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, r := range rows(options{}) {
		if seen[r.Key] {
			t.Errorf("two rows %s", r.Key)
		}
		seen[r.Key] = true
	}
}
