package migrate

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/option"
)

// Dnsmasq reads a configuration of dnsmasq: its files one after the other, each
// with those that it includes. The error is that of reading one of names itself.
func Dnsmasq(names ...string) (Result, error) {
	d := &dnsmasq{tags: map[string][]*network{}, classTags: map[string]*class{}}
	for _, name := range names {
		data, err := d.read(name)
		if err != nil {
			return Result{}, fmt.Errorf("reading dnsmasq's configuration: %w", err)
		}
		d.file([]string{name}, data)
	}
	d.resolve()
	return d.write(names), nil
}

type dnsmasq struct {
	plan
	tags      map[string][]*network // networks by the tags and interfaces of their ranges
	classTags map[string]*class     // vendor classes by the tags they set
	domains   []dnsmasqLine
	opts      []dnsmasqLine
}

// dnsmasqLine is a setting that is understood only when all have been read.
type dnsmasqLine struct {
	place
	value string
}

// leaseDefault is what dnsmasq grants where a range says nothing.
const leaseDefault = time.Hour

// file takes the settings of the last file of a chain of includes.
func (d *dnsmasq) file(chain []string, data []byte) {
	at := place{file: chain[len(chain)-1]}
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		at.line++
		text := uncomment(string(line))
		if text == "" {
			continue
		}
		key, value, _ := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "conf-file", "conf-dir":
			d.include(at, key, value, chain)
		default:
			d.setting(at, key, value)
		}
	}
}

// uncomment cuts a comment off: a # at the beginning of a word, outside of
// quotes.
func uncomment(line string) string {
	quoted := false
	for i := range len(line) {
		switch line[i] {
		case '"':
			quoted = !quoted
		case '#':
			if !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
				return strings.TrimSpace(line[:i])
			}
		}
	}
	return strings.TrimSpace(line)
}

// include reads a file, or the files of a folder: all but those whose names
// end in one of the further values, or with "*" only those.
func (d *dnsmasq) include(at place, key, value string, chain []string) {
	parts := splitQuoted(value)
	for i, s := range parts {
		parts[i] = unquote(s)
	}
	for _, name := range d.list(at, key, beside(at, parts[0]), parts[1:]) {
		data, err := d.included(chain, name)
		if err != nil {
			d.problem(at, "%s: %v", key, err)
			continue
		}
		d.file(append(slices.Clip(chain), name), data)
	}
}

// list gives the files of a folder as dnsmasq reads them, or path itself.
func (d *dnsmasq) list(at place, key, path string, suffixes []string) []string {
	info, err := os.Stat(path)
	if err != nil {
		d.problem(at, "%s: %v", key, err)
		return nil
	}
	if !info.IsDir() {
		return []string{path}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		d.problem(at, "%s: %v", key, err)
		return nil
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") || e.IsDir() {
			continue
		}
		only, dropped, kept := false, false, false
		for _, s := range suffixes {
			if end, ok := strings.CutPrefix(s, "*"); ok {
				only = true
				kept = kept || strings.HasSuffix(name, end)
			} else {
				dropped = dropped || s != "" && strings.HasSuffix(name, s)
			}
		}
		if !dropped && (!only || kept) {
			names = append(names, filepath.Join(path, name))
		}
	}
	return names
}

// harmless are settings that the appliance has no need of.
var harmless = map[string]bool{
	"bind-dynamic": true, "bind-interfaces": true, "dhcp-authoritative": true, "dhcp-leasefile": true,
	"dhcp-no-override": true, "dhcp-rapid-commit": true, "dhcp-sequential-ip": true, "except-interface": true,
	"group": true, "interface": true, "keep-in-foreground": true, "listen-address": true, "log-async": true, "log-dhcp": true,
	"log-facility": true, "log-queries": true, "no-daemon": true, "no-dhcp-interface": true, "no-ping": true, "pid-file": true,
	"quiet-dhcp": true, "user": true,
}

func (d *dnsmasq) setting(at place, key, value string) {
	switch key {
	case "dhcp-range":
		d.dhcpRange(at, value)
	case "dhcp-host":
		d.host(at, value)
	case "dhcp-hostsfile", "dhcp-hostsdir":
		d.lines(at, key, value, d.host)
	case "dhcp-option", "dhcp-option-force":
		d.later(at, value)
	case "dhcp-optsfile", "dhcp-optsdir":
		d.lines(at, key, value, d.later)
	case "dhcp-vendorclass":
		d.vendorClass(at, value)
	case "dhcp-match":
		d.match(at, value)
	case "domain":
		d.domains = append(d.domains, dnsmasqLine{at, value})
	default:
		if !harmless[key] {
			d.problem(at, "%s is not carried over", shown(key, value))
		}
	}
}

// later keeps an option until all ranges and classes are known.
func (d *dnsmasq) later(at place, value string) {
	if len(d.opts) == maxOptions {
		d.problem(at, "%s: at most %d options are taken over", shown("dhcp-option", value), maxOptions)
		return
	}
	d.opts = append(d.opts, dnsmasqLine{at, value})
}

func shown(key, value string) string {
	if value == "" {
		return fmt.Sprintf("%.60s", key)
	}
	return fmt.Sprintf("%.60s=%.100s", key, value)
}

// lines reads a file that has the values of a setting, one a line.
func (d *dnsmasq) lines(at place, key, path string, do func(at place, value string)) {
	for _, name := range d.list(at, key, beside(at, unquote(path)), nil) {
		data, err := d.read(name)
		if err != nil {
			d.problem(at, "%s: %v", key, err)
			continue
		}
		at := place{file: name}
		for line := range bytes.Lines(data) {
			at.line++
			if text := uncomment(string(line)); text != "" {
				do(at, text)
			}
		}
	}
}

// splitQuoted splits at the commas outside of quotes.
func splitQuoted(s string) []string {
	var parts []string
	quoted, start := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}

// unquote takes the quotes off and resolves the escapes of dnsmasq's quoted
// strings.
func unquote(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(s):
			i++
			if at := strings.IndexByte("tnbre", s[i]); at >= 0 {
				b.WriteByte("\t\n\b\r\x1b"[at])
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// tagged takes the tags off the front: "set:", "tag:" and the older "net:".
func tagged(parts []string) (set, needed, rest []string) {
	for len(parts) > 0 {
		if t, ok := strings.CutPrefix(parts[0], "set:"); ok {
			set = append(set, t)
		} else if t, ok := strings.CutPrefix(parts[0], "tag:"); ok {
			needed = append(needed, t)
		} else if t, ok := strings.CutPrefix(parts[0], "net:"); ok {
			needed = append(needed, t)
		} else {
			break
		}
		parts = parts[1:]
	}
	return set, needed, parts
}

// parseLease reads dnsmasq's lease times: seconds, or a number with s, m, h, d
// or w, "infinite" and "deprecated".
func parseLease(s string) (time.Duration, bool) {
	if s == "infinite" {
		return longestLease, true
	}
	unit := time.Second
	if n := len(s); n > 1 {
		u, known := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[n-1]|0x20]
		if known {
			unit, s = u, s[:n-1]
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, false
	}
	return min(time.Duration(n), longestLease/unit+1) * unit, true
}

func ipv4(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Is4()
}

// dhcpRange reads [tag:X,][set:X,]FIRST[,LAST|MODE[,NETMASK[,BROADCAST]]][,LEASE],
// before which older files name an interface.
func (d *dnsmasq) dhcpRange(at place, value string) {
	set, needed, rest := tagged(splitQuoted(value))
	if len(rest) > 1 {
		if _, err := netip.ParseAddr(rest[0]); err != nil && !strings.Contains(rest[0], ":") {
			set, rest = append(set, rest[0]), rest[1:]
		}
	}
	first, ok := ipv4(rest[0])
	if !ok {
		d.problem(at, "%s is no range of IPv4 addresses", shown("dhcp-range", value))
		return
	}
	end, mask, static, lease := first, netip.Addr{}, false, leaseDefault
	masks := 0
	for i, s := range rest[1:] {
		a, isAddress := ipv4(s)
		t, isLease := parseLease(s)
		switch {
		case isAddress && i == 0:
			end = a
		case isAddress:
			if masks++; masks == 1 {
				mask = a
			}
		case s == "static":
			static = true
		case isLease:
			lease = t
		default:
			d.problem(at, "%s: %q is not carried over", shown("dhcp-range", value), s)
			if s == "proxy" {
				return
			}
		}
	}
	subnet, guessed := subnetOf(first, end, mask)
	if guessed {
		d.problem(at, "the range has no netmask, which dnsmasq takes from its interface: the subnet is taken to be %v", subnet)
	}
	n := d.network(at, subnet)
	if n == nil {
		return
	}
	d.setLease(at, n, lease)
	if !static {
		d.addRange(at, n, first, end)
	}
	if len(needed) > 0 {
		d.problem(at, "%s is leased to all, not only to the clients with the tag %s", shown("dhcp-range", value), strings.Join(needed, ", "))
	}
	for _, t := range set {
		if !slices.Contains(d.tags[t], n) {
			d.tags[t] = append(d.tags[t], n)
		}
	}
}

// subnetOf gives the subnet of a range. Without a mask it is the smallest of
// at least 256 addresses that has the range in it.
func subnetOf(first, end, mask netip.Addr) (subnet netip.Prefix, guessed bool) {
	if mask.IsValid() {
		if bits, ok := maskBits(mask); ok {
			return netip.PrefixFrom(first, bits).Masked(), false
		}
	}
	bits := 24
	for bits > 0 && !netip.PrefixFrom(first, bits).Masked().Contains(end) {
		bits--
	}
	return netip.PrefixFrom(first, bits).Masked(), true
}

func maskBits(mask netip.Addr) (int, bool) {
	m := mask.As4()
	bits := 0
	for _, b := range m {
		for i := 7; i >= 0 && b>>i&1 == 1; i-- {
			bits++
		}
		if b != 0xff {
			break
		}
	}
	p, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits)
	return bits, err == nil && p.Addr() == mask
}

// host reads the values of dhcp-host, in any order: MACs, id:…, set:…, tag:…,
// an address, a name, a lease time, ignore.
func (d *dnsmasq) host(at place, value string) {
	var macs []mac.Addr
	h := host{place: at}
	note := func(format string, args ...any) {
		d.problem(at, "%s: %s", shown("dhcp-host", value), fmt.Sprintf(format, args...))
	}
	ids := 0
	for _, s := range splitQuoted(value) {
		s = unquote(s)
		a, isAddress := ipv4(s)
		_, isLease := parseLease(s)
		switch {
		case s == "":
		case s == "ignore":
			note("a device cannot be refused")
			return
		case s == "id:*": // its client identifier is to be ignored
		case strings.HasPrefix(s, "id:"):
			ids++
		case strings.HasPrefix(s, "set:"), strings.HasPrefix(s, "net:"), strings.HasPrefix(s, "tag:"):
			note("the tag %q is left out", s[4:])
		case strings.HasPrefix(s, "["):
			note("the IPv6 address %s is left out", s)
		case isAddress:
			h.address = a
		case isLease:
			note("its own lease time %s is left out", s)
		case strings.ContainsAny(s, ":*"), dashedMAC.MatchString(s):
			m, err := hardware(s)
			if err != nil {
				note("%v", err)
				continue
			}
			macs = append(macs, m)
		default:
			h.name = s
		}
	}
	if len(macs) == 0 {
		note("a reservation needs a MAC address")
		return
	}
	if ids > 0 {
		note("the client identifier is left out: the device is known by its MAC")
	}
	for i, m := range macs {
		if i > 0 {
			note("the address and the name go to %v alone, not to %v", macs[0], m)
			break
		}
		h.mac = m
		d.addHost(h)
	}
}

// dashedMAC is a spelling that a host name would hardly have by chance.
var dashedMAC = regexp.MustCompile(`^([0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}$`)

// hardware reads a MAC, which dnsmasq lets begin with the hardware type.
func hardware(s string) (mac.Addr, error) {
	if kind, rest, ok := strings.Cut(s, "-"); ok && len(kind) == 2 && strings.Contains(rest, ":") {
		if kind != "01" && kind != "06" {
			return mac.Addr{}, fmt.Errorf("%q is not the address of an Ethernet device", s)
		}
		s = rest
	}
	if strings.Contains(s, "*") {
		return mac.Addr{}, fmt.Errorf("%q stands for several devices", s)
	}
	return mac.Parse(s)
}

// vendorClass reads set:TAG,CLASS. dnsmasq looks for CLASS anywhere in option
// 60, we at its beginning.
func (d *dnsmasq) vendorClass(at place, value string) {
	parts := splitQuoted(value)
	if len(parts) != 2 || strings.HasPrefix(parts[1], "enterprise:") {
		d.problem(at, "%s is not carried over", shown("dhcp-vendorclass", value))
		return
	}
	tag := strings.TrimPrefix(strings.TrimPrefix(parts[0], "set:"), "net:")
	d.tagClass(at, tag, unquote(parts[1]))
}

// match reads set:TAG,60,CLASS or set:TAG,option:vendor-class,CLASS.
func (d *dnsmasq) match(at place, value string) {
	parts := splitQuoted(value)
	if tag, ok := strings.CutPrefix(parts[0], "set:"); ok && len(parts) == 3 && slices.Contains([]string{"60", "option:60", "option:vendor-class"}, parts[1]) {
		d.tagClass(at, tag, strings.TrimSuffix(unquote(parts[2]), "*"))
		return
	}
	d.problem(at, "%s is not carried over", shown("dhcp-match", value))
}

func (d *dnsmasq) tagClass(at place, tag, match string) {
	switch c, known := d.classTags[tag]; {
	case tag == "" || match == "":
		d.problem(at, "the vendor class has no tag or no text")
	case known && c.match != match:
		d.problem(at, "the tag %s is of the vendor class %q already: %q is left out", tag, c.match, match)
	case !known:
		c = &class{place: at, name: tag, match: match, options: options{}}
		d.classTags[tag] = c
		d.addClass(c)
	}
}

// resolve gives the domains and options to the networks and classes, which may
// come after them in the files.
func (d *dnsmasq) resolve() {
	for _, l := range d.domains {
		d.domain(l)
	}
	for _, l := range d.opts {
		d.option(l)
	}
	for _, n := range d.networks {
		if _, ok := n.options[3]; !ok {
			d.problem(n.place, "%v has no router: dnsmasq gave its own address, which is to be written here", n.subnet)
		}
	}
}

// domain reads NAME[,SUBNET|FIRST[,LAST]][,local].
func (d *dnsmasq) domain(l dnsmasqLine) {
	parts := splitQuoted(l.value)
	if len(parts) == 1 {
		for _, n := range d.networks {
			if n.domain == "" {
				d.setDomain(l.place, n, unquote(parts[0]))
			}
		}
		return
	}
	a, isAddress := ipv4(parts[1])
	subnet, err := netip.ParsePrefix(parts[1])
	found := false
	for _, n := range d.networks {
		if isAddress && n.subnet.Contains(a) || err == nil && subnet.Overlaps(n.subnet) {
			d.setDomain(l.place, n, unquote(parts[0]))
			found = true
		}
	}
	if !found {
		d.problem(l.place, "%s is for no network", shown("domain", l.value))
	}
}

// option reads [tag:X,…][option:NAME|option:NUMBER|NUMBER][,VALUE…].
func (d *dnsmasq) option(l dnsmasqLine) {
	_, needed, parts := tagged(splitQuoted(l.value))
	note := func(format string, args ...any) {
		d.problem(l.place, "%s: %s", shown("dhcp-option", l.value), fmt.Sprintf(format, args...))
	}
	if len(parts) == 0 || parts[0] == "" {
		note("there is no option")
		return
	}
	for _, inner := range []string{"vendor:", "encap:", "vi-encap:"} {
		if strings.HasPrefix(parts[0], inner) {
			note("an option inside of another is not carried over")
			return
		}
	}
	code, err := dnsmasqOption(parts[0])
	if err != nil {
		note("%v", err)
		return
	}
	s := setting{place: l.place, values: []string{}}
	for _, v := range parts[1:] {
		if v != "" {
			s.values = append(s.values, unquote(v))
		}
	}
	if len(s.values) == 0 && code != 3 && code != 6 && code != 42 {
		note("an option without a value is not sent anyway")
		return
	}
	if strings.HasPrefix(option.Name(code), "option-") {
		s.raw = dnsmasqOctets(s.values)
	}
	targets, general, err := d.targets(needed)
	if err != nil {
		note("%v", err)
		return
	}
	if code == 51 {
		note("the lease time is that of the range")
		return
	}
	for _, all := range targets {
		if earlier, ok := all[code]; ok && general && earlier.narrow {
			continue
		}
		s.narrow = !general
		all[code] = s
	}
}

// targets gives the options of those that the tags stand for; general is for
// everybody.
func (d *dnsmasq) targets(tags []string) (targets []options, general bool, err error) {
	if len(tags) == 0 {
		for _, n := range d.networks {
			targets = append(targets, n.options)
		}
		return targets, true, nil
	}
	if len(tags) > 1 {
		return nil, false, fmt.Errorf("it is for the tags %s together", strings.Join(tags, ", "))
	}
	if c, ok := d.classTags[tags[0]]; ok {
		return []options{c.options}, false, nil
	}
	for _, n := range d.tags[tags[0]] {
		targets = append(targets, n.options)
	}
	if len(targets) == 0 {
		return nil, false, fmt.Errorf("the tag %q is of no range and no vendor class", tags[0])
	}
	return targets, false, nil
}

// dnsmasqNames are the names of `dnsmasq --help dhcp` that are not ours with
// hyphens.
var dnsmasqNames = map[string]uint8{
	"netmask": 1, "router": 3, "timeserver": 4, "dns-server": 6, "log-server": 7, "lpr-server": 9, "hostname": 12, "boot-file-size": 13,
	"router-discovery": 31, "router-solicitation": 32, "static-route": 33, "arp-timeout": 35, "ethernet-encap": 36, "nis-server": 41,
	"ntp-server": 42, "netbios-ns": 44, "netbios-dd": 45, "netbios-nodetype": 46, "vendor-encap": 43, "x-windows-fs": 48, "x-windows-dm": 49,
	"T1": 58, "T2": 59, "nis+-domain": 64, "nis+-server": 65, "tftp-server": 66, "bootfile-name": 67, "mobile-ip-home": 68, "smtp-server": 69,
	"pop3-server": 70, "nntp-server": 71, "irc-server": 74, "user-class": 77, "domain-search": 119, "sip-server": 120, "classless-static-route": 121,
	"server-ip-address": 255, "all-subnets-local": 27, "broadcast": 28, "max-datagram-reassembly": 22, "tcp-ttl": 37, "tcp-keepalive": 38,
}

func dnsmasqOption(s string) (uint8, error) {
	name, named := strings.CutPrefix(s, "option:")
	if code, ok := dnsmasqNames[name]; named && ok {
		return code, nil
	}
	if _, ok := integer(name); !named && !ok {
		return 0, fmt.Errorf("%q is no DHCP option", s)
	}
	return option.Lookup(strings.ReplaceAll(name, "-", "_"))
}

// dnsmasqOctets encodes the values of an option that has no definition as
// dnsmasq does: addresses, octets in hexadecimal, the shortest number, text.
func dnsmasqOctets(values []string) []byte {
	var out []byte
	for i, v := range values {
		a, isAddress := ipv4(v)
		n, isNumber := integer(v)
		octets, err := hex.DecodeString(strings.ReplaceAll(v, ":", ""))
		switch {
		case isAddress:
			out = append(out, a.AsSlice()...)
		case isNumber && 0 <= n && n <= 0xff:
			out = append(out, byte(n))
		case isNumber && 0 <= n && n <= 0xffff:
			out = append(out, byte(n>>8), byte(n))
		case isNumber && -1<<31 <= n && n <= 0xffffffff:
			out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		case err == nil && strings.Contains(v, ":"):
			out = append(out, octets...)
		default:
			// Text takes the commas with it.
			return append(out, strings.Join(values[i:], ",")...)
		}
	}
	return out
}
