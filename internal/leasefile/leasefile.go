// Package leasefile reads and writes the files in which DHCP servers keep their
// leases: those of dnsmasq, ISC dhcpd and Kea as these programs write them, and
// CSV and JSON of our own.
//
// What the files hold came from clients: host names and vendor classes are
// handed on as they are, and written so that they can end no field, no line and
// no record.
package leasefile

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/mac"
)

// Lease is what a server remembers of an address that it has leased.
type Lease struct {
	Address     netip.Addr // IPv4
	MAC         mac.Addr   // zero where only the client identifier is known
	ClientID    []byte     // option 61 with its type octet, nil for none
	Hostname    string     // as the client sent it, unchecked
	Expiry      time.Time  // UTC, whole seconds; zero is never
	Start       time.Time  // of the latest renewal; zero where unknown
	VendorClass string     // option 60, unchecked
	State       State
	Network     string // the network's name in our configuration, "" where unknown
	Line        int    // of the file that it was read from, from 1; not written
}

// State says what has become of a lease.
type State uint8

// The states of a lease.
const (
	Active   State = iota // granted; over once Expiry has passed
	Expired               // ended or released; kept for the client's next visit
	Declined              // found in use by somebody else, ISC's "abandoned"
)

var states = [...]string{Active: "active", Expired: "expired", Declined: "declined"}

// String gives the name that the CSV and JSON files use.
func (s State) String() string { return states[s] }

// Format is the name of a file format.
type Format string

// The formats.
const (
	CSV     Format = "csv"     // our own, with a header line
	JSON    Format = "json"    // our own, an array of objects
	Dnsmasq Format = "dnsmasq" // dnsmasq.leases
	ISC     Format = "isc"     // dhcpd.leases(5)
	Kea     Format = "kea"     // kea-leases4.csv of the memfile backend
)

// Problem is a record that could not be read.
type Problem struct {
	Line int // from 1
	Text string
}

// String gives "line 3: text".
func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Text) }

// Limits of a file.
const (
	maxLine     = 64 << 10
	maxLeases   = 1 << 18
	maxProblems = 1000
	maxOption   = 255 // octets of a host name, vendor class or client identifier
)

// The expiries that every format can write.
var (
	earliest = time.Unix(1, 0)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// Detect tells the format by the beginning of a file, some hundred octets of
// it. It is "" where none fits.
func Detect(first []byte) Format {
	first = bytes.TrimLeft(bytes.TrimPrefix(first, bom), " \t\r\n")
	if len(first) == 0 {
		return ""
	}
	if first[0] == '[' || first[0] == '{' {
		return JSON
	}
	for line := range bytes.Lines(first) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		columns, _ := header(text)
		fields := strings.Fields(text)
		_, notNumber := strconv.ParseUint(fields[0], 10, 64)
		switch {
		case slices.Contains(columns, "hwaddr"):
			return Kea
		case slices.Contains(columns, "address"):
			return CSV
		case notNumber == nil && len(fields) >= 3, fields[0] == "duid":
			return Dnsmasq
		case slices.Contains([]string{"lease", "server-duid", "authoring-byte-order", "failover", "host", "group", "class", "subclass"}, fields[0]):
			return ISC
		}
		return ""
	}
	// dhcpd begins a new file with comments alone.
	if bytes.Contains(first, []byte("dhcpd.leases")) {
		return ISC
	}
	return ""
}

// Read reads every lease of a file, sorted by address. In the journals of ISC
// dhcpd and Kea the last record of an address counts. A record that makes no
// sense is a Problem and leaves what the file said before; the error is that of
// r, or says that this is no file of the format or a boundlessly large one.
func Read(r io.Reader, f Format) ([]Lease, []Problem, error) {
	t := &table{leases: map[netip.Addr]Lease{}}
	var err error
	switch f {
	case CSV:
		err = t.readCSV(r)
	case JSON:
		err = t.readJSON(r)
	case Dnsmasq:
		err = t.readDnsmasq(r)
	case ISC:
		err = t.readISC(r)
	case Kea:
		err = t.readKea(r)
	default:
		err = unknown(f)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading leases: %w", err)
	}
	leases := make([]Lease, 0, len(t.leases))
	for _, l := range t.leases {
		leases = append(leases, l)
	}
	slices.SortFunc(leases, func(a, b Lease) int { return a.Address.Compare(b.Address) })
	slices.SortStableFunc(t.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return leases, t.problems, nil
}

// Write writes leases, one for each address, as the format's program reads
// them, sorted by address. What a format has no place for is left out:
//
//   - csv and json carry everything.
//   - isc has no Network.
//   - kea has no VendorClass, no Network and no client in a declined lease. The
//     networks are numbered from 1, in the order of their addresses, for its
//     subnet_id. Host names with control characters are left out, since Kea
//     before 2.4 breaks its own file with them, as are client identifiers that
//     it refuses (fewer than 2 octets or more than 128) beside a MAC.
//   - dnsmasq has active leases alone, without Start, VendorClass and Network,
//     and host names of letters, digits, '-', '_' and '.'.
//
// Nothing is written where a lease is not one: no IPv4 address, no client, an
// address that comes twice.
func Write(w io.Writer, f Format, leases []Lease) error {
	leases = slices.Clone(leases)
	slices.SortStableFunc(leases, func(a, b Lease) int { return a.Address.Compare(b.Address) })
	for i := range leases {
		l := &leases[i]
		l.Start, l.Expiry = second(l.Start), second(l.Expiry)
		if err := l.check(); err != nil {
			return fmt.Errorf("writing leases: %v: %w", l.Address, err)
		}
		if i > 0 && leases[i-1].Address == l.Address {
			return fmt.Errorf("writing leases: %v: the address comes twice", l.Address)
		}
	}
	b := bufio.NewWriter(w)
	switch f {
	case CSV:
		writeCSV(b, leases)
	case JSON:
		writeJSON(b, leases)
	case Dnsmasq:
		writeDnsmasq(b, leases)
	case ISC:
		writeISC(b, leases)
	case Kea:
		writeKea(b, leases)
	default:
		return fmt.Errorf("writing leases: %w", unknown(f))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing leases: %w", err)
	}
	return nil
}

func unknown(f Format) error {
	return fmt.Errorf("the format %.40q is none of csv, json, dnsmasq, isc, kea", string(f))
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

var errNoClient = errors.New("the lease names no client")

// check refuses what no server could have granted. A store that holds such a
// record must not keep any server from starting.
func (l *Lease) check() error {
	a := l.Address
	switch {
	case !a.Is4() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%.40q is no address that can be leased", a)
	case int(l.State) >= len(states):
		return fmt.Errorf("the state %d is unknown", uint8(l.State))
	case l.State != Declined && l.MAC.IsZero() && len(l.ClientID) == 0:
		return errNoClient
	case len(l.ClientID) > maxOption:
		return fmt.Errorf("the client identifier has more than %d octets", maxOption)
	case len(l.Hostname) > maxOption:
		return fmt.Errorf("the host name has more than %d octets", maxOption)
	case len(l.VendorClass) > maxOption:
		return fmt.Errorf("the vendor class has more than %d octets", maxOption)
	case len(l.Network) > maxOption:
		return fmt.Errorf("the network's name has more than %d octets", maxOption)
	}
	for _, t := range []time.Time{l.Start, l.Expiry} {
		if !t.IsZero() && (t.Before(earliest) || t.After(latest)) {
			return fmt.Errorf("the time %d lies outside of 1970 to 9999", t.Unix())
		}
	}
	return nil
}

// table collects what a file says.
type table struct {
	leases   map[netip.Addr]Lease
	problems []Problem
}

var errTooMany = fmt.Errorf("the file holds more than %d addresses", maxLeases)

// put takes a record over, or says why not. The error ends the reading.
func (t *table) put(line int, l Lease) error {
	err := l.check()
	if errors.Is(err, errNoClient) && l.State == Expired {
		// dhcpd also writes the addresses that are nobody's.
		delete(t.leases, l.Address)
		return nil
	}
	if err != nil {
		t.problem(line, "%s", err)
		return nil
	}
	if len(l.ClientID) == 0 {
		l.ClientID = nil
	}
	if _, known := t.leases[l.Address]; !known && len(t.leases) == maxLeases {
		return errTooMany
	}
	l.Line = line
	t.leases[l.Address] = l
	return nil
}

// once is put for the formats in which an address has one record.
func (t *table) once(line int, l Lease) error {
	_, known := t.leases[l.Address]
	problems := len(t.problems)
	err := t.put(line, l)
	if known && err == nil && len(t.problems) == problems {
		t.problem(line, "%v comes again: the later record counts", l.Address)
	}
	return err
}

func (t *table) problem(line int, format string, args ...any) {
	switch len(t.problems) {
	case maxProblems:
	case maxProblems - 1:
		t.problems = append(t.problems, Problem{line, "there are more problems, which are not listed"})
	default:
		t.problems = append(t.problems, Problem{line, fmt.Sprintf(format, args...)})
	}
}

// eachLine calls do with every line that is not blank, without its end, of which
// ended says whether it was there. A line that is too long is a problem.
func (t *table) eachLine(r io.Reader, do func(n int, line string, ended bool) error) error {
	b := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			t.problem(n, "the line is longer than %d octets", maxLine)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = b.ReadSlice('\n')
			}
			line = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, bom)
		}
		if text := strings.TrimRight(string(line), "\r\n"); strings.TrimSpace(text) != "" {
			if err := do(n, text, err == nil); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

var bom = []byte("\ufeff")

// parseAddress reads an IPv4 address.
func parseAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%.40q is no IPv4 address", s)
	}
	return a, nil
}

// parseOctets reads "01:0a:ff". Two digits each: with one, the field was cut off.
func parseOctets(s string) ([]byte, error) {
	var b []byte
	for group := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseUint(group, 16, 8)
		if err != nil || len(group) != 2 || len(b) == maxOption {
			return nil, fmt.Errorf("%.40q is not octets like 01:0a:ff", s)
		}
		b = append(b, byte(n))
	}
	return b, nil
}

// parseHardware reads an Ethernet address as octets.
func parseHardware(s string) (mac.Addr, error) {
	b, err := parseOctets(s)
	if err != nil {
		return mac.Addr{}, err
	}
	m, ok := mac.FromBytes(b)
	if !ok {
		return mac.Addr{}, fmt.Errorf("the hardware address %.70q is not Ethernet's", s)
	}
	return m, nil
}

// formatOctets writes what parseOctets reads.
func formatOctets(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", c)
	}
	return s.String()
}
