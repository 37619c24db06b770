package config

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// body is the content of one block. Its methods read an argument, report what
// is wrong with it, and say whether there is a usable value; an argument that
// is absent or null is neither usable nor wrong.
type body struct {
	*hcl.BodyContent
	d      *decoder
	schema *hcl.BodySchema
}

// value is a value without marks, and where it was written.
type value struct {
	cty.Value
	name string // of the argument
	expr hcl.Expression
}

func (v value) at() hcl.Range { return v.expr.Range() }

// get evaluates an argument. A secret is accepted on request only: what else
// this package decodes is shown, logged or sent in the clear.
func (b body) get(name string, secret bool) (value, bool) {
	attr, ok := b.Attributes[name]
	if !ok {
		return value{}, false
	}
	v := value{name: name, expr: attr.Expr}
	evaluated, diags := attr.Expr.Value(b.d.ctx)
	b.d.rep.Append(diags)
	if diags.HasErrors() {
		return v, false
	}
	if evaluated.ContainsMarked() && !secret {
		b.d.fail(v.at(), "Secret not allowed here", "%s is no place for a secret: it is shown, logged or sent in the clear.", name)
		return v, false
	}
	v.Value, _ = evaluated.UnmarkDeep()
	switch {
	case !v.IsWhollyKnown():
		b.d.fail(v.at(), "Value not known here", "%s depends on phone, phones, server or each, which have values in profiles and "+
			"phones only, or on a local value that has an error of its own. Write a value that depends on none of them.", name)
	case v.IsNull():
		for _, a := range b.schema.Attributes {
			if a.Name == name && a.Required {
				b.d.fail(v.at(), "Missing required argument", "%s must have a value, and null is none.", name)
			}
		}
	default:
		return v, true
	}
	return v, false
}

func (d *decoder) wrongType(v value, wanted string) {
	d.fail(v.at(), "Wrong type", "%s takes %s, not %s.", v.name, wanted, article(v.Type().FriendlyName()))
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func (d *decoder) text(v value) (string, bool) {
	if v.Type() != cty.String || v.IsNull() {
		d.wrongType(v, "text in quotes")
		return "", false
	}
	return v.AsString(), true
}

func (b body) text(name string) (s string, at hcl.Range, ok bool) {
	v, ok := b.get(name, false)
	if !ok {
		return "", at, false
	}
	s, ok = b.d.text(v)
	return s, v.at(), ok
}

// oneOf reads a word out of a fixed set.
func (b body) oneOf(name, otherwise string, words ...string) string {
	s, at, ok := b.text(name)
	if !ok {
		return otherwise
	}
	for _, w := range words {
		if s == w {
			return w
		}
	}
	b.d.fail(at, "Unknown word", "%s takes %s, not %q.%s", name, either(words), s, didYouMean(s, words))
	return otherwise
}

func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

func (b body) boolean(name string, otherwise bool) bool {
	v, ok := b.get(name, false)
	if !ok {
		return otherwise
	}
	converted, err := convert.Convert(v.Value, cty.Bool)
	if err != nil {
		b.d.wrongType(v, "true or false")
		return otherwise
	}
	return converted.True()
}

func (b body) integer(name string, otherwise, least, most int) int {
	v, ok := b.get(name, false)
	if !ok {
		return otherwise
	}
	converted, err := convert.Convert(v.Value, cty.Number)
	if err != nil {
		b.d.wrongType(v, "a number")
		return otherwise
	}
	n, accuracy := converted.AsBigFloat().Int64()
	if accuracy != big.Exact || n < int64(least) || int64(most) < n {
		b.d.fail(v.at(), "Number out of range", "%s takes a whole number from %d to %d.", name, least, most)
		return otherwise
	}
	return int(n)
}

// elements gives the elements of a list, with their places where they were
// written one by one.
func (d *decoder) elements(v value) ([]value, bool) {
	if ty := v.Type(); v.IsNull() || !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		d.fail(v.at(), "Wrong type", "%s takes a list, in brackets: %s = [ … ].", v.name, v.name)
		return nil, false
	}
	// The expressions serve for their places alone: inside a dynamic block
	// they cannot be evaluated apart.
	exprs, diags := hcl.ExprList(v.expr)
	apart := !diags.HasErrors() && len(exprs) == v.LengthInt()
	elements := make([]value, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		e := value{Value: element, name: v.name, expr: v.expr}
		if apart {
			e.expr = exprs[len(elements)]
		}
		elements = append(elements, e)
	}
	return elements, true
}

func (b body) list(name string) ([]value, bool) {
	v, ok := b.get(name, false)
	if !ok {
		return nil, false
	}
	return b.d.elements(v)
}

// address reads an IPv4 address that a host can have.
func (d *decoder) address(v value) (netip.Addr, bool) {
	s, ok := d.text(v)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := parseIPv4(s)
	if err != nil {
		d.fail(v.at(), "Invalid address", "%s: %v.", v.name, err)
	}
	return a, err == nil
}

func parseIPv4(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil && strings.Contains(s, "/"):
		return a, fmt.Errorf("%q is a subnet; write one address, without the / and what follows", s)
	case err != nil:
		return a, fmt.Errorf(`%q is no IPv4 address; write four numbers from 0 to 255, like "192.168.50.1"`, s)
	case !a.Is4():
		return a, fmt.Errorf("%q is no IPv4 address; DHCPv4 has no other kind", s)
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return a, fmt.Errorf("%s is not the address of a single host on a network", s)
	}
	return a, nil
}

func (b body) addresses(name string) []netip.Addr {
	elements, _ := b.list(name)
	var addresses []netip.Addr
	for _, e := range elements {
		if a, ok := b.d.address(e); ok {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

var daysPrefix = regexp.MustCompile(`^(\d{1,5})d`)

// ParseDuration reads Go's durations with days before them: "12h", "7d",
// "1d12h". The error is fit to be shown.
func ParseDuration(s string) (time.Duration, error) {
	var days time.Duration
	rest := s
	if m := daysPrefix.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		days, rest = time.Duration(n)*24*time.Hour, s[len(m[0]):]
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, fmt.Errorf(`%q is no duration; write a number with its unit, like "30m", "12h" or "7d"`, s)
	}
	return days + d, nil
}

func (b body) duration(name string, otherwise, least, most time.Duration) time.Duration {
	v, ok := b.get(name, false)
	if !ok {
		return otherwise
	}
	if v.Type() != cty.String {
		b.d.fail(v.at(), "Invalid duration", `%s takes a number with its unit, in quotes, like "30m", "12h" or "7d".`, name)
		return otherwise
	}
	d, err := ParseDuration(v.AsString())
	if err != nil {
		b.d.fail(v.at(), "Invalid duration", "%s: %v.", name, err)
		return otherwise
	}
	if d < least || most < d {
		b.d.fail(v.at(), "Duration out of range", "%s may be from %.0f minutes to %d days, not %q.", name, least.Minutes(), most/(24*time.Hour), v.AsString())
		return otherwise
	}
	return d
}

// path reads the name of a file or folder, relative to the configuration.
func (b body) path(name, otherwise string) (path string, at hcl.Range) {
	s, at, ok := b.text(name)
	switch {
	case !ok:
		return otherwise, at
	case s == "":
		b.d.fail(at, "Invalid path", "%s is empty. Name a file or folder, or leave %s out.", name, name)
		return otherwise, at
	case filepath.IsAbs(s):
		return filepath.Clean(s), at
	}
	return filepath.Join(b.d.cfg.Dir, s), at
}

// A label as RFC 1123 section 2.1 and RFC 952 have it.
var ldhLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func parseHostName(s string) (string, error) {
	name := strings.ToLower(s)
	if !ldhLabel.MatchString(name) {
		return "", fmt.Errorf("%q is no host name; write at most 63 letters a to z, digits and inner hyphens, without a domain", s)
	}
	return name, nil
}

// parseDomain gives a domain name in lower case, without the last dot.
func parseDomain(s string) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(s), ".")
	valid := len(name) <= 253
	for label := range strings.SplitSeq(name, ".") {
		// SRV records and the like have labels with an underscore before.
		valid = valid && ldhLabel.MatchString(strings.TrimPrefix(label, "_"))
	}
	if !valid {
		return "", fmt.Errorf(`%q is no domain name; write labels of letters a to z, digits and inner hyphens, with dots between, like "office.example"`, s)
	}
	return name, nil
}

// domain reads a domain name.
func (d *decoder) domain(v value) (string, bool) {
	s, ok := d.text(v)
	if !ok {
		return "", false
	}
	name, err := parseDomain(s)
	if err != nil {
		d.fail(v.at(), "Invalid domain name", "%s: %v.", v.name, err)
	}
	return name, err == nil
}

// parseEndpoint reads an address with an optional port.
func parseEndpoint(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return ap, fmt.Errorf(`%q is no address; write one like "192.0.2.53", with its port if it is not %d: "192.0.2.53:5353"`, s, port)
	}
	return ap, nil
}

// parseListen reads host:port, where the host is an address, "localhost" or
// nothing.
func parseListen(s string) (host netip.Addr, listen string, err error) {
	h, p, err := net.SplitHostPort(s)
	if err == nil {
		if h == "localhost" {
			h = "127.0.0.1"
		}
		if h != "" {
			host, err = netip.ParseAddr(h)
		}
		if port, portErr := strconv.ParseUint(p, 10, 16); portErr != nil || port == 0 {
			err = strconv.ErrRange
		}
	}
	if err != nil {
		return host, "", fmt.Errorf(`%q is no address and port; write them like "127.0.0.1:8067"`, s)
	}
	return host, net.JoinHostPort(h, p), nil
}
