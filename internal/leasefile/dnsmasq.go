package leasefile

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// readDnsmasq reads the lines "EXPIRY MAC ADDRESS HOSTNAME CLIENT-ID", as
// dnsmasq's lease.c writes and reads them. The DHCPv6 leases, which follow the
// duid line, and the relay's options of dnsmasq 2.92 are passed over.
func (t *table) readDnsmasq(r io.Reader) error {
	return t.eachLine(r, func(n int, line string, ended bool) error {
		fields := strings.Fields(line)
		switch fields[0] {
		case "duid", "agent-info":
			return nil
		case "vendorclass":
			if err := t.dnsmasqVendorClass(fields[1:]); err != nil {
				t.problem(n, "%s", err)
			}
			return nil
		}
		l, err := parseDnsmasq(fields)
		if err != nil {
			t.problem(n, "%s", err)
			return nil
		}
		if l.Address.Is6() {
			return nil
		}
		if !l.Expiry.IsZero() && l.Expiry.Before(firstClock) {
			t.problem(n, "the expiry %s is a length of time, from a dnsmasq that was built for a machine without a clock: the lease is read as over", fields[0])
		}
		if !ended && l.ClientID != nil {
			t.problem(n, "the last line has no end: its client identifier may be cut off")
		}
		return t.once(n, l)
	})
}

// firstClock is before any lease that dnsmasq, first released in 2000, has
// granted.
var firstClock = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func parseDnsmasq(fields []string) (Lease, error) {
	var l Lease
	if len(fields) != 5 {
		return l, fmt.Errorf("the line has %d fields, not 5", len(fields))
	}
	expiry, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || expiry < 0 {
		return l, fmt.Errorf("the expiry %.40q is no time in seconds since 1970", fields[0])
	}
	if expiry > 0 {
		l.Expiry = time.Unix(expiry, 0).UTC()
	}
	if l.Address, err = netip.ParseAddr(fields[2]); err != nil {
		return l, fmt.Errorf("%.40q is no IP address", fields[2])
	}
	if l.Address.Is6() {
		return l, nil
	}
	// "06-" and the like is the hardware type where it is not Ethernet's, and
	// "00-" alone says that the client was known by its identifier only.
	hardware := fields[1]
	if _, after, ok := strings.Cut(hardware, "-"); ok {
		hardware = after
	}
	if hardware != "" {
		if l.MAC, err = parseHardware(hardware); err != nil {
			return l, err
		}
	}
	if fields[3] != "*" {
		l.Hostname = fields[3]
	}
	if fields[4] != "*" {
		if l.ClientID, err = parseOctets(fields[4]); err != nil {
			return l, fmt.Errorf("client identifier: %w", err)
		}
	}
	return l, nil
}

// dnsmasqVendorClass reads "vendorclass ADDRESS OCTETS", which follows the
// leases since dnsmasq 2.92.
func (t *table) dnsmasqVendorClass(fields []string) error {
	if len(fields) != 2 {
		return fmt.Errorf("the vendorclass line has %d fields, not 3", len(fields)+1)
	}
	a, err := netip.ParseAddr(fields[0])
	if err != nil {
		return fmt.Errorf("%.40q is no IP address", fields[0])
	}
	class, err := parseOctets(fields[1])
	if err != nil {
		return fmt.Errorf("vendor class: %w", err)
	}
	if l, ok := t.leases[a]; ok {
		l.VendorClass = string(class)
		t.leases[a] = l
	}
	return nil
}

func writeDnsmasq(w *bufio.Writer, leases []Lease) {
	for _, l := range leases {
		if l.State != Active {
			continue
		}
		expiry, hardware, hostname, id := int64(0), "00-", "*", "*"
		if !l.Expiry.IsZero() {
			expiry = l.Expiry.Unix()
		}
		if !l.MAC.IsZero() {
			hardware = l.MAC.String()
		}
		// The format has no escapes: any other character could end the field.
		if l.Hostname != "" && !strings.ContainsFunc(l.Hostname, notHostname) {
			hostname = l.Hostname
		}
		if len(l.ClientID) > 0 {
			id = formatOctets(l.ClientID)
		}
		fmt.Fprintf(w, "%d %s %v %s %s\n", expiry, hardware, l.Address, hostname, id)
	}
}

func notHostname(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}
