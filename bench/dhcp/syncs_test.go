package main

import "testing"

func TestParsePerf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, err string
		want            int
	}{
		{"printed by perf 6.1", testdata(t, "perf.csv"), "", 1},
		{"two kinds", "3,,syscalls:sys_enter_fsync,1,100.00,,\n4,,syscalls:sys_enter_msync,1,100.00,,\n", "", 7},
		{"not counted", "<not counted>,,syscalls:sys_enter_fsync,0,0.00,,\n", `counting sync calls: perf says "<not counted>,,syscalls:sys_enter_fsync,0,0.00,,\n"`, 0},
		{"nothing", "", `counting sync calls: perf says ""`, 0},
	} {
		if got, err := parsePerf(c.text); got != c.want || errorText(err) != c.err {
			t.Errorf("%s: %d, %v; want %d, %s", c.name, got, err, c.want, c.err)
		}
	}
}
