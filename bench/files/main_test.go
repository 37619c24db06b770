package main

import (
	"io"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-rounds", "2", "-servers", "dialtone,nginx", "-scenarios", "images"}, io.Discard)
	if err != nil || o.sizes.rounds != 2 || o.sizes.missing != quick.missing || len(o.Servers) != 2 {
		t.Errorf("options %+v, %v", o, err)
	}
	for want, args := range map[string][]string{
		`no scenario "x"; there are documents, images, tftp, misuse`:           {"-scenarios", "x"},
		`no server "x"; there are dialtone, nginx, tftpd-hpa, atftpd, dnsmasq`: {"-servers", "x"},
		`unexpected argument "x"`: {"x"},
	} {
		if _, err := parse(args, io.Discard); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestParseWrk(t *testing.T) {
	t.Parallel()
	w, err := parseWrk("Requests/sec:   1\n\nfigures 3000 1500000 12000000 2\n")
	if err != nil || w != (wrkFigures{requests: 3000, octets: 12_000_000, errors: 2, elapsed: 1500 * time.Millisecond}) {
		t.Errorf("%+v, %v", w, err)
	}
	for _, text := range []string{"", "unable to connect to 10.10.0.1:80 Connection refused\n", "\nfigures 1 x\n", "\nfigures 1 0 2 3\n"} {
		if w, err := parseWrk(text); err == nil {
			t.Errorf("%q is %+v", text, w)
		}
	}
}

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

func TestCheckSize(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{0: false, 3799: false, 3800: true, 4000: true, 4200: true, 4201: false, 6364: false} {
		if err := checkSize(make([]byte, size)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
