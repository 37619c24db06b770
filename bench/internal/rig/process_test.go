package rig

import (
	"testing"
	"time"
)

func TestParseCPU(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       time.Duration
		err        string
	}{
		{
			"a name with blanks and brackets", "77 (kea ) dhcp4) S 1 77 77 0 -1 4194304 5009 0 0 0 151 49 0 0 20 0 7 0 94107\n",
			2 * time.Second, "",
		},
		{"short", "77 (x) S 1", 0, `reading CPU time: "77 (x) S 1" has too few fields`},
		{"no number", "77 (x) S 1 77 77 0 -1 4194304 5009 0 0 0 x 49 0 0", 0, `reading CPU time: strconv.ParseInt: parsing "x": invalid syntax`},
	} {
		got, err := parseCPU(c.text)
		if got != c.want || errorText(err) != c.err {
			t.Errorf("%s: %s, %v; want %s, %s", c.name, got, err, c.want, c.err)
		}
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	const text = "Name:\tdhcpd\nVmRSS:\t   28876 kB\nwrite_bytes: 4096\ncancelled_write_bytes: 1\nEmpty:\n"
	for _, c := range []struct {
		name, err string
		want      int64
	}{
		{"VmRSS:", "", 28876},
		{"write_bytes:", "", 4096},
		{"Empty:", "no field Empty:", 0},
		{"VmSwap:", "no field VmSwap:", 0},
	} {
		if got, err := field(text, c.name); got != c.want || errorText(err) != c.err {
			t.Errorf("%s %d, %v; want %d, %s", c.name, got, err, c.want, c.err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
