package leasefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/isc"
)

// readISC reads the journal that dhcpd appends to, dhcpd.leases(5). Only lease
// statements are of interest; hosts, failover states and whatever newer
// releases add are passed over.
func (t *table) readISC(r io.Reader) error {
	p := isc.NewParser(r, "lease")
	for {
		s, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.Is("lease"), s.Bad != "":
			if err := t.iscLease(s); err != nil {
				return err
			}
		}
	}
}

func (t *table) iscLease(s isc.Statement) error {
	if s.Bad != "" {
		t.problem(s.Line, "%s", s.Bad)
		return nil
	}
	if len(s.Words) != 2 || !s.Braced {
		t.problem(s.Line, "the lease is not written as lease ADDRESS { … }")
		return nil
	}
	address, err := parseAddress(s.Words[1].Text)
	if err != nil {
		t.problem(s.Line, "%s", err)
		return nil
	}
	r := iscRecord{Lease: Lease{Address: address}}
	for _, part := range s.Block {
		if part.Bad != "" {
			err = errors.New(part.Bad)
		} else {
			err = r.part(part)
		}
		if err != nil {
			t.problem(part.Line, "%v: %s", address, err)
			return nil
		}
	}
	if r.State == Active && !r.ends {
		t.problem(s.Line, "%v: the lease has no ends", address)
		return nil
	}
	return t.put(s.Line, r.Lease)
}

type iscRecord struct {
	Lease
	ends bool
}

// part takes one statement of a lease.
func (r *iscRecord) part(s isc.Statement) (err error) {
	var value isc.Word
	if len(s.Words) > 0 {
		value = s.Words[len(s.Words)-1]
	}
	switch {
	case s.Is("starts"):
		r.Start, err = iscTime(s.Words[1:])
	case s.Is("ends"):
		r.ends = true
		r.Expiry, err = iscTime(s.Words[1:])
	case s.Is("binding", "state"):
		err = r.bindingState(value.Text)
	case s.Is("abandoned"): // dhcpd before 3.0 had no binding states
		r.State = Declined
	case s.Is("hardware"):
		r.MAC, err = parseHardware(iscPad(value.Text))
	case s.Is("uid"):
		var id string
		id, err = iscOctets(value)
		r.ClientID = []byte(id)
	case s.Is("client-hostname"):
		r.Hostname = value.Text
	// The name is the administrator's choice; these two are the usual ones.
	case s.Is("set", "vendor-class-identifier"), s.Is("set", "vendor-string"):
		r.VendorClass, err = iscOctets(value)
	}
	return err
}

func (r *iscRecord) bindingState(name string) error {
	switch name {
	case "active", "bootp":
		r.State = Active
	case "free", "backup", "expired", "released", "reset":
		r.State = Expired
	case "abandoned":
		r.State = Declined
	default:
		return fmt.Errorf("the binding state %.40q is unknown", name)
	}
	return nil
}

// iscOctets reads a string, or octets in hexadecimal as dhcpd writes them with
// lease-id-format hex and wrote them before 4.0.
func iscOctets(w isc.Word) (string, error) {
	if w.Quoted {
		return w.Text, nil
	}
	b, err := parseOctets(iscPad(w.Text))
	return string(b), err
}

// iscPad writes 0:4:13 as 00:04:13: the grammar has one digit too.
func iscPad(s string) string {
	groups := strings.Split(s, ":")
	for i, g := range groups {
		if len(g) == 1 {
			groups[i] = "0" + g
		}
	}
	return strings.Join(groups, ":")
}

// iscTime reads "never", "epoch SECONDS" or "WEEKDAY YEAR/MONTH/DAY
// HOUR:MINUTE:SECOND", which is UTC, and may be followed by an offset in
// seconds.
func iscTime(words []isc.Word) (time.Time, error) {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = w.Text
	}
	switch {
	case len(text) == 1 && text[0] == "never":
		return time.Time{}, nil
	case len(text) == 2 && text[0] == "epoch":
		if n, err := strconv.ParseInt(text[1], 10, 62); err == nil {
			return time.Unix(n, 0).UTC(), nil
		}
	case len(text) == 3 || len(text) == 4:
		t, err := time.Parse("2006/1/2 15:4:5", text[1]+" "+text[2])
		offset := 0
		if err == nil && len(text) == 4 {
			offset, err = strconv.Atoi(text[3])
		}
		if err == nil && -86400 <= offset && offset <= 86400 {
			return t.Add(time.Duration(offset) * time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.60q is no time", fmt.Sprint(text))
}

func writeISC(w *bufio.Writer, leases []Lease) {
	fmt.Fprintln(w, "# The format of this file is documented in the dhcpd.leases(5) manual page.")
	for _, l := range leases {
		fmt.Fprintf(w, "lease %v {\n", l.Address)
		if !l.Start.IsZero() {
			fmt.Fprintf(w, "  starts %s;\n", iscDate(l.Start))
		}
		if !l.Expiry.IsZero() {
			fmt.Fprintf(w, "  ends %s;\n", iscDate(l.Expiry))
		} else if l.State == Active {
			fmt.Fprintln(w, "  ends never;")
		}
		switch l.State {
		case Active:
			fmt.Fprint(w, "  binding state active;\n  next binding state free;\n  rewind binding state free;\n")
		case Expired:
			fmt.Fprintln(w, "  binding state free;")
		case Declined:
			fmt.Fprint(w, "  binding state abandoned;\n  next binding state free;\n")
		}
		if !l.MAC.IsZero() {
			fmt.Fprintf(w, "  hardware ethernet %v;\n", l.MAC)
		}
		if len(l.ClientID) > 0 {
			fmt.Fprintf(w, "  uid %s;\n", isc.Quote(string(l.ClientID)))
		}
		if l.VendorClass != "" {
			fmt.Fprintf(w, "  set vendor-class-identifier = %s;\n", isc.Quote(l.VendorClass))
		}
		if l.Hostname != "" {
			fmt.Fprintf(w, "  client-hostname %s;\n", isc.Quote(l.Hostname))
		}
		fmt.Fprintln(w, "}")
	}
}

func iscDate(t time.Time) string {
	return fmt.Sprintf("%d %s", t.Weekday(), t.Format("2006/01/02 15:04:05"))
}
