package leasefile

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dialtone/internal/mac"
)

// columns are the names of our own formats, in the order of the CSV file.
var columns = []string{"address", "mac", "client_id", "hostname", "state", "start", "expiry", "vendor_class", "network"}

// record is a lease as our own formats write it: times in RFC 3339, "never"
// for a lease without end, octets as 01:0a:ff, and text from clients with a
// backslash before itself and \xNN for what is not printable.
type record struct {
	Address     string `json:"address"`
	MAC         string `json:"mac,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	Hostname    string `json:"hostname,omitempty"`
	State       string `json:"state,omitempty"`
	Start       string `json:"start,omitempty"`
	Expiry      string `json:"expiry,omitempty"`
	VendorClass string `json:"vendor_class,omitempty"`
	Network     string `json:"network,omitempty"`
}

// field gives the place of a column, nil for one that is not ours.
func (r *record) field(column string) *string {
	switch column {
	case "address":
		return &r.Address
	case "mac":
		return &r.MAC
	case "client_id":
		return &r.ClientID
	case "hostname":
		return &r.Hostname
	case "state":
		return &r.State
	case "start":
		return &r.Start
	case "expiry":
		return &r.Expiry
	case "vendor_class":
		return &r.VendorClass
	case "network":
		return &r.Network
	}
	return nil
}

const never = "never"

func recordOf(l Lease) record {
	r := record{
		Address:     l.Address.String(),
		ClientID:    formatOctets(l.ClientID),
		Hostname:    escape(l.Hostname),
		State:       l.State.String(),
		VendorClass: escape(l.VendorClass),
		Network:     escape(l.Network),
	}
	if !l.MAC.IsZero() {
		r.MAC = l.MAC.String()
	}
	if !l.Start.IsZero() {
		r.Start = l.Start.Format(time.RFC3339)
	}
	if !l.Expiry.IsZero() {
		r.Expiry = l.Expiry.Format(time.RFC3339)
	} else {
		r.Expiry = never
	}
	return r
}

func (r record) lease() (Lease, error) {
	l := Lease{Hostname: unescape(r.Hostname), VendorClass: unescape(r.VendorClass), Network: unescape(r.Network)}
	var err error
	if l.Address, err = parseAddress(r.Address); err != nil {
		return l, err
	}
	if r.MAC != "" {
		if l.MAC, err = mac.Parse(r.MAC); err != nil {
			return l, err
		}
	}
	if r.ClientID != "" {
		if l.ClientID, err = parseOctets(r.ClientID); err != nil {
			return l, fmt.Errorf("client_id: %w", err)
		}
	}
	switch r.State {
	case "", "active":
	case "expired":
		l.State = Expired
	case "declined":
		l.State = Declined
	default:
		return l, fmt.Errorf("the state %.40q is none of active, expired, declined", r.State)
	}
	if r.Start != "" {
		if l.Start, err = parseTime(r.Start); err != nil {
			return l, err
		}
	}
	switch r.Expiry {
	case never:
	case "":
		if l.State == Active {
			return l, fmt.Errorf(`the lease has no expiry: a time, or %q`, never)
		}
	default:
		if l.Expiry, err = parseTime(r.Expiry); err != nil {
			return l, err
		}
	}
	return l, nil
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%.40q is no time like 2026-11-22T21:54:48Z", s)
	}
	return second(t), nil
}

func escape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b.WriteString(s[:n])
		default:
			for i := range n {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		}
		s = s[n:]
	}
	return b.String()
}

// unescape is the inverse of escape. A backslash that begins no escape is one.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		var c byte
		switch {
		case strings.HasPrefix(after, `\`):
			b.WriteByte('\\')
			after = after[1:]
		case len(after) >= 3 && after[0] == 'x' && hexOctet(after[1:3], &c):
			b.WriteByte(c)
			after = after[3:]
		default:
			b.WriteByte('\\')
		}
		s = after
	}
}

// hexOctet reads two hexadecimal digits.
func hexOctet(s string, c *byte) bool {
	b, err := parseOctets(s)
	if err != nil {
		return false
	}
	*c = b[0]
	return true
}
