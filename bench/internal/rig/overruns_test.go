package rig

import "testing"

func TestSNMP(t *testing.T) {
	t.Parallel()
	const text = `Icmp: InMsgs InErrors
Icmp: 1 2
UdpLite: InDatagrams RcvbufErrors
UdpLite: 7 8
Udp: InDatagrams NoPorts RcvbufErrors SndbufErrors
Udp: 60193 3 412 5
`
	for _, c := range []struct {
		name, text string
		want       int
		err        string
	}{
		{"RcvbufErrors", text, 412, ""},
		{"SndbufErrors", text, 5, ""},
		{"MemErrors", text, 0, "no counter MemErrors of Udp"},
		{"NoPorts", "Udp: NoPorts\n", 0, "no counter NoPorts of Udp"},
	} {
		got, err := snmp(c.text, "Udp", c.name)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%s: %d, error %q; want %d, %q", c.name, got, text, c.want, c.err)
		}
	}
}
