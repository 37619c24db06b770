package leasefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/mac"
)

// keaColumns are those of Kea 1.4 to 2.2. Later releases add pool_id, and take
// a file without it as an older one.
const keaColumns = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context"

// keaInfinite is the lifetime of a lease without end.
const keaInfinite = math.MaxUint32

// keaUnknownLifetime stands in where it is not known when a lease began.
const keaUnknownLifetime = 3600

// Kea refuses client identifiers outside of these lengths and, with them, the
// row.
const keaShortestID, keaLongestID = 2, 128

// readKea reads the journal of Kea's memfile backend, whose columns differ
// among the releases and are told by the header. A row with a lifetime of 0
// deletes.
func (t *table) readKea(r io.Reader) error {
	var columns []string
	err := t.eachLine(r, func(n int, line string, _ bool) error {
		fields := strings.Split(line, ",")
		// The header comes again where somebody joined the journal to the file
		// that Kea's clean-up left.
		if fields[0] == "address" {
			for _, c := range []string{"hwaddr", "client_id", "valid_lifetime", "expire"} {
				if !slices.Contains(fields, c) {
					return fmt.Errorf("line %d: the header has no column %s", n, c)
				}
			}
			columns = fields
			return nil
		}
		if columns == nil {
			return errors.New("the file does not begin with the header of a Kea lease file")
		}
		if len(fields) != len(columns) {
			t.problem(n, "the row has %d fields, not %d", len(fields), len(columns))
			return nil
		}
		l, deleted, err := parseKea(columns, fields)
		switch {
		case err != nil:
			t.problem(n, "%s", err)
		case deleted:
			delete(t.leases, l.Address)
		default:
			return t.put(n, l)
		}
		return nil
	})
	if err == nil && columns == nil {
		return errors.New("the file has no header")
	}
	return err
}

func parseKea(columns, fields []string) (l Lease, deleted bool, err error) {
	field := func(name string) string {
		if i := slices.Index(columns, name); i >= 0 {
			return fields[i]
		}
		return ""
	}
	if l.Address, err = parseAddress(field("address")); err != nil {
		return l, false, err
	}
	if s := field("hwaddr"); s != "" {
		if l.MAC, err = parseHardware(s); err != nil {
			return l, false, err
		}
	}
	if s := field("client_id"); s != "" {
		if l.ClientID, err = parseOctets(s); err != nil {
			return l, false, fmt.Errorf("client_id: %w", err)
		}
	}
	lifetime, err := strconv.ParseUint(field("valid_lifetime"), 10, 32)
	if err != nil {
		return l, false, fmt.Errorf("the valid_lifetime %.40q is no number of seconds", field("valid_lifetime"))
	}
	expire, err := strconv.ParseUint(field("expire"), 10, 62)
	if err != nil {
		return l, false, fmt.Errorf("the expire %.40q is no time in seconds since 1970", field("expire"))
	}
	if lifetime != keaInfinite {
		l.Expiry = time.Unix(int64(expire), 0).UTC()
	}
	if expire > lifetime {
		l.Start = time.Unix(int64(expire-lifetime), 0).UTC()
	}
	l.Hostname = keaUnescape(field("hostname"))
	switch s := field("state"); s {
	case "", "0":
	case "1":
		l.State = Declined
	case "2", "3": // expired and reclaimed; released, since Kea 2.7
		l.State = Expired
	default:
		return l, false, fmt.Errorf("the state %.40q is unknown", s)
	}
	return l, lifetime == 0, nil
}

// keaEscape begins an octet in two hexadecimal digits, with nothing after them.
const keaEscape = "&#x"

func keaUnescape(s string) string {
	before, rest, found := strings.Cut(s, keaEscape)
	if !found {
		return s
	}
	b := []byte(before)
	for found {
		if n, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8); err == nil && len(rest) >= 2 {
			b = append(b, byte(n))
			rest = rest[2:]
		} else {
			b = append(b, keaEscape...)
		}
		before, rest, found = strings.Cut(rest, keaEscape)
		b = append(b, before...)
	}
	return string(b)
}

// keaHostname writes a name as Kea does, who escapes the separator and the mark
// of an escape. Kea up to 2.2 resolves any escape when it cleans its file up,
// but writes only these again, so a line end would become one.
func keaHostname(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return strings.NewReplacer(",", keaEscape+"2c", "&", keaEscape+"26").Replace(s)
}

func writeKea(w *bufio.Writer, leases []Lease) {
	subnets := map[string]int{}
	fmt.Fprintln(w, keaColumns)
	for _, l := range leases {
		if subnets[l.Network] == 0 {
			subnets[l.Network] = len(subnets) + 1
		}
		state := 0
		switch l.State {
		case Declined:
			state = 1
			// Kea, too, forgets who had a declined address.
			l.MAC, l.ClientID, l.Hostname = mac.Addr{}, nil, ""
		case Expired:
			state = 2
		}
		hardware, id := "", ""
		if !l.MAC.IsZero() {
			hardware = l.MAC.String()
		}
		if hardware == "" || keaShortestID <= len(l.ClientID) && len(l.ClientID) <= keaLongestID {
			id = formatOctets(l.ClientID)
		}
		lifetime, expire := keaTimes(l)
		fmt.Fprintf(w, "%v,%s,%s,%d,%d,%d,0,0,%s,%d,\n",
			l.Address, hardware, id, lifetime, expire, subnets[l.Network], keaHostname(l.Hostname), state)
	}
}

// keaTimes gives the lifetime, never 0, and the time of expiry.
func keaTimes(l Lease) (lifetime, expire int64) {
	if l.Expiry.IsZero() {
		if l.Start.IsZero() {
			return keaInfinite, keaInfinite
		}
		return keaInfinite, l.Start.Unix() + keaInfinite
	}
	expire = l.Expiry.Unix()
	lifetime = expire - l.Start.Unix()
	if l.Start.IsZero() || lifetime <= 0 || lifetime >= keaInfinite {
		lifetime = min(expire, keaUnknownLifetime)
	}
	return lifetime, expire
}
