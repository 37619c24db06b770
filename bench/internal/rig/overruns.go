package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Overruns counts the datagrams that came to the clients' end so far and found
// no room in the receive buffer of their socket.
func (s *Site) Overruns() (n int, err error) {
	err = s.Client.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		n, err = snmp(string(b), "Udp", "RcvbufErrors")
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("counting overruns: %w", err)
	}
	return n, nil
}

// snmp finds a counter in what the kernel has for SNMP: of each protocol a line
// of names and one of numbers.
func snmp(text, protocol, name string) (int, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields, ok := strings.CutPrefix(line, protocol+": ")
		if !ok {
			continue
		}
		if names == nil {
			names = strings.Fields(fields)
			continue
		}
		for i, v := range strings.Fields(fields) {
			if i < len(names) && names[i] == name {
				return strconv.Atoi(v)
			}
		}
	}
	return 0, fmt.Errorf("no counter %s of %s", name, protocol)
}
