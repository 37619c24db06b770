package migrate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/isc"
	"dialtone/internal/mac"
	"dialtone/internal/option"
)

// ISC reads a configuration of ISC dhcpd (dhcpd.conf(5)): its files as if they
// were one, each with those that it includes. The error is that of reading one
// of names itself.
func ISC(names ...string) (Result, error) {
	d := &dhcpd{codes: map[string]definition{}}
	var all []statement
	for _, name := range names {
		data, err := d.read(name)
		if err != nil {
			return Result{}, fmt.Errorf("reading dhcpd's configuration: %w", err)
		}
		all = append(all, d.statements([]string{name}, data)...)
	}
	d.scope(all, scope{options: options{}})
	return d.write(names), nil
}

type dhcpd struct {
	plan
	codes map[string]definition
}

// definition is an option that the configuration defines itself.
type definition struct {
	code uint8
	kind string // the type's first word, "array of" taken off
}

// statement is one statement with the file that it stands in.
type statement struct {
	isc.Statement
	place
	block []statement
}

// scope is what the statements around a block say.
type scope struct {
	options    options
	lease, max time.Duration
	network    *network // nil outside of a subnet
	part       bool     // for some clients of the network only: a pool, a group of hosts
}

// statements parses the last file of a chain of includes and puts what it
// includes in its place.
func (d *dhcpd) statements(chain []string, data []byte) []statement {
	p := isc.NewParser(bytes.NewReader(data), "")
	var out []statement
	for {
		s, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			d.problem(place{chain[len(chain)-1], 1}, "%v", err)
			return out
		}
		out = append(out, d.placed(chain, []isc.Statement{s})...)
	}
}

// placed notes the file of statements, and resolves includes.
func (d *dhcpd) placed(chain []string, all []isc.Statement) []statement {
	var out []statement
	for _, s := range all {
		at := place{chain[len(chain)-1], s.Line}
		switch {
		case s.Bad != "":
			d.problem(at, "%s: %s", s, s.Bad)
			if !s.Braced {
				continue
			}
		case s.Is("include") && len(s.Words) == 2:
			path := beside(at, s.Words[1].Text)
			data, err := d.included(chain, path)
			if err != nil {
				d.problem(at, "%s: %v", s, err)
				continue
			}
			out = append(out, d.statements(append(slices.Clip(chain), path), data)...)
			continue
		}
		out = append(out, statement{Statement: s, place: at, block: d.placed(chain, s.Block)})
	}
	return out
}

// ignored are parameters of the server that the appliance has no need of, or
// decides itself.
var ignored = []string{
	"authoritative", "ddns-update-style", "db-time-format", "dynamic-bootp-lease-length", "get-lease-hostnames", "lease-file-name", "lease-id-format", "local-address",
	"local-port", "log-facility", "min-lease-time", "min-secs", "one-lease-per-client", "pid-file-name", "ping-check", "ping-timeout", "server-identifier",
	"stash-agent-options", "update-conflict-detection", "update-static-leases", "use-host-decl-names",
}

// scope takes the statements of a block over: parameters first, since they hold
// for the blocks before them too.
func (d *dhcpd) scope(all []statement, outer scope) {
	sc := outer
	sc.options = maps.Clone(outer.options)
	for _, s := range all {
		if !s.Braced {
			d.parameter(s, &sc)
		}
	}
	if sc.network != nil && !sc.part {
		d.parameters(sc)
	}
	for _, s := range all {
		if s.Braced {
			d.block(s, &sc)
		}
	}
}

// parameters gives a network what its scope says.
func (d *dhcpd) parameters(sc scope) {
	n := sc.network
	n.options = maps.Clone(sc.options)
	lease := sc.lease
	if sc.max != 0 && (lease == 0 || lease > sc.max) {
		lease = sc.max
	}
	if lease != 0 {
		d.setLease(n.place, n, lease)
	}
}

func (d *dhcpd) parameter(s statement, sc *scope) {
	switch {
	case s.Is("option"):
		if sc.part {
			d.left(s, "an option for a part of the network")
			return
		}
		if code, value, ok := d.option(s); ok {
			sc.options[code] = value
		}
	case sc.part && (s.Is("default-lease-time") || s.Is("max-lease-time")):
		d.left(s, "a lease time for a part of the network")
	case s.Is("default-lease-time"):
		d.seconds(s, &sc.lease)
	case s.Is("max-lease-time"):
		d.seconds(s, &sc.max)
	case s.Is("range") && sc.network != nil:
		d.addressRange(s, sc.network)
	default:
		for _, word := range ignored {
			if s.Is(word) || s.Is("not", word) {
				return
			}
		}
		d.left(s, "")
	}
}

// left reports a statement that is not carried over.
func (d *dhcpd) left(s statement, what string) {
	if what != "" {
		what = ": " + what
	}
	d.problem(s.place, "%s%s is not carried over", s.Statement, what)
}

func (d *dhcpd) seconds(s statement, into *time.Duration) {
	n, err := strconv.ParseUint(s.Words[len(s.Words)-1].Text, 10, 32)
	if err != nil || len(s.Words) != 2 {
		d.problem(s.place, "%s: that is no number of seconds", s.Statement)
		return
	}
	*into = time.Duration(n) * time.Second
}

// addressRange reads range [dynamic-bootp] FIRST [LAST].
func (d *dhcpd) addressRange(s statement, n *network) {
	words := s.Words[1:]
	if len(words) > 0 && words[0].Text == "dynamic-bootp" {
		words = words[1:]
	}
	if len(words) == 0 || len(words) > 2 {
		d.problem(s.place, "%s: a range has one or two addresses", s.Statement)
		return
	}
	first, ok1 := ipv4(words[0].Text)
	end, ok2 := ipv4(words[len(words)-1].Text)
	if !ok1 || !ok2 {
		d.problem(s.place, "%s: a range is of IPv4 addresses", s.Statement)
		return
	}
	d.addRange(s.place, n, first, end)
}

func (d *dhcpd) block(s statement, sc *scope) {
	switch {
	case s.Is("subnet"):
		d.subnet(s, sc)
	case s.Is("shared-network"):
		subnets := 0
		for _, b := range s.block {
			if b.Is("subnet") {
				subnets++
			}
		}
		if subnets > 1 {
			d.problem(s.place, "%s: its %d subnets share a wire; each becomes a network of its own", s.Statement, subnets)
		}
		d.scope(s.block, *sc)
	case s.Is("group"):
		inner := *sc
		inner.part = sc.network != nil || !hasSubnet(s.block)
		d.scope(s.block, inner)
	case s.Is("pool") && sc.network != nil:
		inner := *sc
		inner.part = true
		d.scope(s.block, inner)
	case s.Is("host"):
		d.host(s)
	case s.Is("class"):
		d.class(s)
	default:
		d.left(s, "")
	}
}

func hasSubnet(all []statement) bool {
	return slices.ContainsFunc(all, func(s statement) bool { return s.Is("subnet") || hasSubnet(s.block) })
}

// subnet reads subnet ADDRESS netmask MASK { … }.
func (d *dhcpd) subnet(s statement, sc *scope) {
	if len(s.Words) != 4 || s.Words[2].Text != "netmask" {
		d.problem(s.place, "%s: a subnet is written as subnet ADDRESS netmask MASK", s.Statement)
		return
	}
	a, ok1 := ipv4(s.Words[1].Text)
	mask, ok2 := ipv4(s.Words[3].Text)
	if !ok1 || !ok2 {
		d.problem(s.place, "%s: a subnet is written in IPv4 addresses", s.Statement)
		return
	}
	bits, ok := maskBits(mask)
	if !ok {
		d.problem(s.place, "%s: %v is no netmask", s.Statement, mask)
		return
	}
	inner := *sc
	if inner.network = d.network(s.place, netip.PrefixFrom(a, bits).Masked()); inner.network == nil {
		return
	}
	d.scope(s.block, inner)
}

// host reads host NAME { hardware ethernet …; fixed-address …; }. What a scope
// around it says is the business of networks here.
func (d *dhcpd) host(s statement) {
	h := host{place: s.place}
	if len(s.Words) == 2 {
		if label, ok := domainName(s.Words[1].Text); ok {
			h.name, _, _ = strings.Cut(label, ".")
		}
	}
	for _, part := range s.block {
		value := ""
		if len(part.Words) > 0 {
			value = part.Words[len(part.Words)-1].Text
		}
		switch {
		case part.Is("hardware", "ethernet"):
			m, err := mac.Parse(padMAC(value))
			if err != nil {
				d.problem(part.place, "%s: %v", part.Statement, err)
				return
			}
			h.mac = m
		case part.Is("fixed-address"):
			d.fixedAddress(part, &h)
		case part.Is("option", "host-name"), part.Is("ddns-hostname"):
			h.name = value
		default:
			d.left(part, "what a host has for itself")
		}
	}
	if h.mac.IsZero() {
		d.problem(s.place, "%s: a reservation needs a MAC address", s.Statement)
		return
	}
	d.addHost(h)
}

// fixedAddress takes the first address of a list.
func (d *dhcpd) fixedAddress(s statement, h *host) {
	for _, w := range s.Words[1:] {
		if w.Text == "," {
			continue
		}
		a, ok := ipv4(w.Text)
		switch {
		case !ok:
			d.problem(s.place, "%s: %q is no IPv4 address", s.Statement, w.Text)
		case h.address.IsValid():
			d.problem(s.place, "%s: a device has one address: %v is left out", s.Statement, a)
		default:
			h.address = a
		}
	}
}

// padMAC writes 0:4:13 as 00:04:13.
func padMAC(s string) string {
	groups := strings.Split(s, ":")
	for i, g := range groups {
		if len(g) == 1 {
			groups[i] = "0" + g
		}
	}
	return strings.Join(groups, ":")
}

// class reads class "NAME" { match if substring(option
// vendor-class-identifier, 0, N) = "…"; option …; }, or with the whole option
// compared.
func (d *dhcpd) class(s statement) {
	c := &class{place: s.place, options: options{}}
	if len(s.Words) == 2 {
		c.name = s.Words[1].Text
	}
	for _, part := range s.block {
		switch {
		case part.Is("match", "if"):
			match, err := vendorMatch(part)
			if err != nil {
				d.problem(part.place, "%s: %v", part.Statement, err)
				return
			}
			c.match = match
		case part.Is("option"):
			if code, value, ok := d.option(part); ok {
				c.options[code] = value
			}
		default:
			d.left(part, "")
		}
	}
	if c.match == "" {
		d.problem(s.place, "%s: only a class that looks at vendor-class-identifier is carried over", s.Statement)
		return
	}
	d.addClass(c)
}

func vendorMatch(s statement) (string, error) {
	var b strings.Builder
	for _, w := range s.Words[2 : len(s.Words)-1] {
		b.WriteString(w.Text + " ")
	}
	text := s.Words[len(s.Words)-1]
	condition := strings.TrimSpace(b.String())
	wrong := errors.New("only the beginning of vendor-class-identifier can be looked at")
	if !text.Quoted || text.Text == "" {
		return "", wrong
	}
	if condition == "option vendor-class-identifier =" {
		return text.Text, nil
	}
	middle, ok := strings.CutPrefix(condition, "substring ( option vendor-class-identifier , 0 , ")
	n, err := strconv.Atoi(strings.TrimSuffix(middle, " ) ="))
	if !ok || err != nil {
		return "", wrong
	}
	if n != len(text.Text) {
		return "", fmt.Errorf("%d octets never equal %q", n, text.Text)
	}
	return text.Text, nil
}

// iscNames are the options of dhcp-options(5) that are not ours with hyphens.
var iscNames = map[string]uint8{
	"domain-name-servers": 6, "ien116-name-servers": 5, "netbios-name-servers": 44, "netbios-dd-server": 45, "nis-servers": 41, "nisplus-servers": 65,
	"smtp-server": 69, "pop-server": 70, "nntp-server": 71, "www-server": 72, "finger-server": 73, "irc-server": 74, "streettalk-server": 75,
	"streettalk-directory-assistance-server": 76, "font-servers": 48, "x-display-manager": 49, "interface-mtu": 26, "default-ip-ttl": 23,
	"max-dgram-reassembly": 22, "ieee802-3-encapsulation": 36, "vendor-encapsulated-options": 43, "dhcp-lease-time": 51, "dhcp-server-identifier": 54,
	"dhcp-client-identifier": 61, "vendor-class-identifier": 60, "pcode": 100, "tcode": 101, "domain-search": 119, "mobile-ip-home-agent": 68,
	"resource-location-servers": 11, "dhcp-renewal-time": 58, "dhcp-rebinding-time": 59, "v6-only-preferred": 108, "default-url": 114,
	"rfc3442-classless-static-routes": 121, "dhcp-message": 56, "dhcp-max-message-size": 57, "sip-servers": 120, "all-subnets-local": 27,
}

// option reads option NAME VALUE, …; or defines one: option NAME code N = TYPE.
func (d *dhcpd) option(s statement) (code uint8, value setting, ok bool) {
	if len(s.Words) < 2 {
		d.problem(s.place, "%s: there is no option", s.Statement)
		return 0, value, false
	}
	name := s.Words[1].Text
	if len(s.Words) > 5 && s.Words[2].Text == "code" && s.Words[4].Text == "=" {
		d.define(s, name)
		return 0, value, false
	}
	own, defined := d.codes[name]
	code = own.code
	if !defined {
		if code = iscNames[name]; code == 0 {
			var err error
			if code, err = option.Lookup(strings.ReplaceAll(name, "-", "_")); err != nil {
				d.problem(s.place, "%s: dhcpd's option is not known here", s.Statement)
				return 0, value, false
			}
		}
	}
	value = setting{place: s.place}
	words := s.Words[2:]
	for i, w := range words {
		if (w.Text == "," && !w.Quoted) != (i%2 == 1) || i == len(words)-1 && i%2 == 1 {
			d.problem(s.place, "%s: the value is no list", s.Statement)
			return 0, value, false
		}
		if i%2 == 0 {
			value.values = append(value.values, w.Text)
		}
	}
	if len(value.values) == 0 {
		d.problem(s.place, "%s: the option has no value", s.Statement)
		return 0, value, false
	}
	if code == 43 || defined && strings.HasPrefix(option.Name(code), "option-") {
		raw, err := iscOctets(words, own.kind)
		if err != nil {
			d.problem(s.place, "%s: %v", s.Statement, err)
			return 0, value, false
		}
		value.raw = raw
	}
	return code, value, true
}

// define reads option NAME code NUMBER = [array of] TYPE.
func (d *dhcpd) define(s statement, name string) {
	n, err := strconv.ParseUint(s.Words[3].Text, 10, 8)
	kind := s.Words[5:]
	if len(kind) > 2 && kind[0].Text == "array" && kind[1].Text == "of" {
		kind = kind[2:]
	}
	if err != nil || n == 0 || n == 255 || strings.Contains(name, ".") {
		d.problem(s.place, "%s: such an option is not carried over", s.Statement)
		return
	}
	words := make([]string, len(kind))
	for i, w := range kind {
		words[i] = w.Text
	}
	d.codes[name] = definition{uint8(n), strings.TrimPrefix(strings.Join(words, " "), "unsigned ")}
}

// iscOctets encodes the value of an option by the type that dhcpd knows it by:
// text and octets where kind is "".
func iscOctets(words []isc.Word, kind string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(words); i += 2 {
		w := words[i]
		n, isNumber := integer(w.Text)
		a, isAddress := ipv4(w.Text)
		b, isFlag := boolean(w.Text)
		octets, err := hex.DecodeString(strings.ReplaceAll(padMAC(w.Text), ":", ""))
		switch {
		case w.Quoted:
			out = append(out, w.Text...)
		case kind == "ip-address" && isAddress:
			out = append(out, a.AsSlice()...)
		case kind == "integer 8" && isNumber:
			out = append(out, byte(n))
		case kind == "integer 16" && isNumber:
			out = append(out, byte(n>>8), byte(n))
		case kind == "integer 32" && isNumber:
			out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		case kind == "boolean" && isFlag:
			out = append(out, 0)
			if b {
				out[len(out)-1] = 1
			}
		case (kind == "" || kind == "string") && err == nil:
			out = append(out, octets...)
		default:
			return nil, fmt.Errorf("%q is no %s", w.Text, strings.TrimSpace("value of the type "+kind))
		}
	}
	return out, nil
}
