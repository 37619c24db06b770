// Package migrate turns other people's configurations into ours, as HCL text
// that `dialtone check` takes without an error: networks, reservations, vendor
// classes and phones of another DHCP server; profiles, models and phones of a
// folder of Snom phones' files. What has no place in it is reported
// with its line, and stands as a comment at the head of the text.
package migrate

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/option"
)

// Problem is something that was left out of the HCL, or a guess in it.
type Problem struct {
	File string // as it was named, or as the included file was
	Line int    // from 1; 0 for the whole file
	Text string
}

// String gives "FILE:LINE: TEXT" on one line, without control characters; what is
// of a whole file has no line.
func (p Problem) String() string {
	if p.Line == 0 {
		return plain(p.File + ": " + p.Text)
	}
	return plain(fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text))
}

// Result is a configuration for the appliance's folder. It has no appliance
// block.
type Result struct {
	HCL      []byte
	Problems []Problem // file by file as they were read, by line
}

// Limits of what is read, far above any office's.
const (
	maxFiles    = 256
	maxFile     = 16 << 20
	maxIncludes = 10 // files that include each other in a chain
	maxNetworks = 1024
	maxClasses  = 1024
	maxOptions  = 4096
	maxHosts    = 8192
	maxProblems = 1000
	maxText     = 400     // octets of a problem
	maxHCL      = 1 << 20 // what package config takes as one file
)

// The lease times that a network may have.
const (
	shortestLease = 2 * time.Minute
	longestLease  = 365 * 24 * time.Hour
)

// snomOUIs are the makers' numbers by which a reservation is a phone's.
var snomOUIs = [][3]byte{{0x00, 0x04, 0x13}, {0x00, 0x08, 0x7b}}

// place is where in the files something stands.
type place struct {
	file string
	line int
}

// plan is what the appliance is to do. Lists in it are in the order of the
// files until write sorts them.
type plan struct {
	networks []*network
	classes  []*class
	hosts    []host
	problems []Problem
	files    []string
}

type network struct {
	place
	subnet  netip.Prefix
	ranges  []span
	lease   time.Duration // 0 for the default
	domain  string
	options options
}

type span struct {
	place
	first, last netip.Addr
}

// class is a vendor class: the devices whose option 60 begins with match.
type class struct {
	place
	name, match string
	options     options
}

// host is a reservation. It has a MAC; address and name may be missing.
type host struct {
	place
	mac     mac.Addr
	address netip.Addr
	name    string
}

func (p *plan) problem(at place, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	switch len(p.problems) {
	case maxProblems:
		return
	case maxProblems - 1:
		text = "there are more problems, which are not listed"
	}
	p.problems = append(p.problems, Problem{at.file, at.line, text})
}

// read reads a file of the other server's configuration.
func (p *plan) read(name string) ([]byte, error) {
	// A pipe or a device might never end.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	p.files = append(p.files, name)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxFile>>20)
	case len(p.files) > maxFiles:
		return nil, fmt.Errorf("%s is one file too many: at most %d are read", name, maxFiles)
	}
	return os.ReadFile(name)
}

// included reads a file that the last one of a chain includes.
func (p *plan) included(chain []string, name string) ([]byte, error) {
	switch {
	case slices.Contains(chain, name):
		return nil, fmt.Errorf("%s includes itself", name)
	case len(chain) > maxIncludes:
		return nil, fmt.Errorf("files include each other more than %d deep", maxIncludes)
	}
	return p.read(name)
}

// beside resolves the name of an included file: relative ones are looked for
// beside the file that names them.
func beside(at place, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(at.file), name)
}

// network gives the network of a subnet, which it adds where it is new. It is
// nil, and a problem, where no network can be that.
func (p *plan) network(at place, subnet netip.Prefix) *network {
	first := subnet.Addr().As4()[0]
	if subnet.Bits() < 8 || subnet.Bits() > 30 || first == 0 || first == 127 || first >= 224 {
		p.problem(at, "the subnet %v cannot be leased from", subnet)
		return nil
	}
	for _, n := range p.networks {
		if n.subnet == subnet {
			return n
		}
		if n.subnet.Overlaps(subnet) {
			p.problem(at, "the subnet %v overlaps %v of %s:%d", subnet, n.subnet, n.file, n.line)
			return nil
		}
	}
	if len(p.networks) == maxNetworks {
		p.problem(at, "%v: at most %d networks are taken over", subnet, maxNetworks)
		return nil
	}
	n := &network{place: at, subnet: subnet, options: options{}}
	p.networks = append(p.networks, n)
	return n
}

func (p *plan) networkOf(a netip.Addr) *network {
	for _, n := range p.networks {
		if n.subnet.Contains(a) {
			return n
		}
	}
	return nil
}

// last gives the broadcast address of a subnet.
func last(subnet netip.Prefix) netip.Addr {
	a := subnet.Addr().As4()
	for i := subnet.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}

// usable reports whether a host of the subnet may have the address.
func usable(subnet netip.Prefix, a netip.Addr) bool {
	return subnet.Contains(a) && a != subnet.Addr() && a != last(subnet)
}

// addRange takes a range over as far as the subnet's hosts may have it.
func (p *plan) addRange(at place, n *network, first, end netip.Addr) {
	if end.Less(first) {
		first, end = end, first
	}
	if first == n.subnet.Addr() {
		first = first.Next()
	}
	if end == last(n.subnet) {
		end = end.Prev()
	}
	if !usable(n.subnet, first) || !usable(n.subnet, end) || end.Less(first) {
		p.problem(at, "the range %v to %v does not lie in %v", first, end, n.subnet)
		return
	}
	n.ranges = append(n.ranges, span{at, first, end})
}

// setLease takes a lease time over, as near as a network may have it.
func (p *plan) setLease(at place, n *network, d time.Duration) {
	granted := min(max(d, shortestLease), longestLease)
	switch {
	case granted != d:
		p.problem(at, "the lease time becomes %s, since it may be from 2m to 365d", duration(granted))
	case n.lease != 0 && n.lease != granted:
		p.problem(at, "%v has the lease time %s already: %s is left out", n.subnet, duration(n.lease), duration(granted))
		return
	}
	n.lease = granted
}

// setDomain takes a domain name over.
func (p *plan) setDomain(at place, n *network, name string) {
	if d, ok := domainName(name); ok {
		n.domain = d
	} else {
		p.problem(at, "%q is no domain name", name)
	}
}

var ldhLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func domainName(s string) (string, bool) {
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	for label := range strings.SplitSeq(s, ".") {
		if !ldhLabel.MatchString(label) {
			return "", false
		}
	}
	return s, len(s) <= 253
}

// addClass takes a vendor class over.
func (p *plan) addClass(c *class) {
	for _, other := range p.classes {
		if other.name == c.name {
			p.problem(c.place, "there is a vendor class %q at %s:%d already: this one is left out", c.name, other.file, other.line)
			return
		}
	}
	if len(p.classes) == maxClasses {
		p.problem(c.place, "%q: at most %d vendor classes are taken over", c.name, maxClasses)
		return
	}
	if strings.TrimSpace(c.name) == "" || c.match == "" || !quotable(c.name) || !quotable(c.match) {
		p.problem(c.place, "the vendor class %q has no name, or matches no text", c.name)
		return
	}
	p.classes = append(p.classes, c)
}

// addHost takes a reservation over.
func (p *plan) addHost(h host) {
	switch {
	case h.mac.IsZero() || h.mac[0]&1 != 0:
		p.problem(h.place, "%v is not the address of a single device", h.mac)
	case len(p.hosts) == maxHosts:
		p.problem(h.place, "%v: at most %d reservations are taken over", h.mac, maxHosts)
	default:
		p.hosts = append(p.hosts, h)
	}
}

// settle drops what contradicts itself, so that what is written has no errors.
func (p *plan) settle() {
	slices.SortStableFunc(p.networks, func(a, b *network) int { return a.subnet.Addr().Compare(b.subnet.Addr()) })
	for _, n := range p.networks {
		p.settleRanges(n)
		p.settleOptions(n)
	}
	p.settleHosts()
	slices.SortStableFunc(p.classes, func(a, b *class) int { return cmp.Compare(a.name, b.name) })
}

// settleRanges joins ranges that overlap or touch.
func (p *plan) settleRanges(n *network) {
	slices.SortStableFunc(n.ranges, func(a, b span) int { return a.first.Compare(b.first) })
	var joined []span
	for _, r := range n.ranges {
		if i := len(joined) - 1; i >= 0 && !joined[i].last.Next().Less(r.first) {
			if joined[i].last.Less(r.last) {
				joined[i].last = r.last
			}
			continue
		}
		joined = append(joined, r)
	}
	n.ranges = joined
}

// settleOptions drops the options that a network's subnet already says, and
// routers that it cannot reach.
func (p *plan) settleOptions(n *network) {
	delete(n.options, 1)
	if o, ok := n.options[28]; ok && len(o.values) == 1 && o.values[0] == last(n.subnet).String() {
		delete(n.options, 28)
	}
	if o, ok := n.options[3]; ok {
		kept := make([]string, 0, len(o.values))
		for _, v := range o.values {
			if a, err := netip.ParseAddr(v); err == nil && usable(n.subnet, a) {
				kept = append(kept, v)
			} else {
				p.problem(o.place, "the router %s is no address of a host in %v", v, n.subnet)
			}
		}
		o.values = kept
		n.options[3] = o
	}
	if o, ok := n.options[15]; ok {
		delete(n.options, 15)
		p.setDomain(o.place, n, strings.Join(o.values, ","))
	}
}

// settleHosts gives each device and each address one reservation.
func (p *plan) settleHosts() {
	macs, addresses, names := map[mac.Addr]place{}, map[netip.Addr]place{}, map[string]place{}
	phones := map[string]bool{}
	var kept []host
	for _, h := range p.hosts {
		phone := slices.Contains(snomOUIs, h.mac.OUI())
		if at, ok := macs[h.mac]; ok {
			p.problem(h.place, "%v has a reservation at %s:%d already: this one is left out", h.mac, at.file, at.line)
			continue
		}
		h.name = p.hostName(h)
		// A phone's name is its own.
		if at, ok := names[strings.ToLower(h.name)]; ok && h.name != "" && (phone || phones[strings.ToLower(h.name)]) {
			of := "another phone"
			if !phones[strings.ToLower(h.name)] {
				of = "a host"
			}
			p.problem(h.place, "the name %q is that of %s, at %s:%d: it is left out", h.name, of, at.file, at.line)
			h.name = ""
		}
		if h.address.IsValid() {
			if why := p.refused(h, addresses); why != "" {
				p.problem(h.place, "%v: %s", h.mac, why)
				h.address = netip.Addr{}
			}
		}
		if !phone && !h.address.IsValid() {
			p.problem(h.place, "%v has no address reserved: a host block needs one", h.mac)
			continue
		}
		macs[h.mac] = h.place
		if h.address.IsValid() {
			addresses[h.address] = h.place
		}
		if h.name != "" {
			names[strings.ToLower(h.name)] = h.place
			phones[strings.ToLower(h.name)] = phone
		}
		kept = append(kept, h)
	}
	slices.SortStableFunc(kept, func(a, b host) int {
		if c := a.address.Compare(b.address); c != 0 {
			return c
		}
		return slices.Compare(a.mac[:], b.mac[:])
	})
	p.hosts = kept
}

// refused says why a host cannot have its address, "" where it can.
func (p *plan) refused(h host, taken map[netip.Addr]place) string {
	n := p.networkOf(h.address)
	switch at, ok := taken[h.address]; {
	case ok:
		return fmt.Sprintf("%v is reserved at %s:%d already", h.address, at.file, at.line)
	case n == nil:
		return fmt.Sprintf("%v lies in no subnet", h.address)
	case !usable(n.subnet, h.address):
		return fmt.Sprintf("%v is no address of a host in %v", h.address, n.subnet)
	case slices.Contains(n.options[3].values, h.address.String()):
		return fmt.Sprintf("%v is a router of %v", h.address, n.subnet)
	}
	return ""
}

// hostName gives the first label of a name, "" where it is none.
func (p *plan) hostName(h host) string {
	if h.name == "" {
		return ""
	}
	label, _, _ := strings.Cut(strings.ToLower(h.name), ".")
	if !ldhLabel.MatchString(label) {
		p.problem(h.place, "%q is no host name: it is left out", h.name)
		return ""
	}
	return label
}

// options are DHCP options by code.
type options map[uint8]setting

// setting is the value of an option as text: its elements.
type setting struct {
	place
	values []string
	// raw is the data itself, for options that we have no encoding for.
	raw []byte
	// narrow is set where the option was meant for this network in particular.
	narrow bool
}

// argument gives the argument of an option block, value or hex, and its
// expression.
func (s setting) argument(code uint8) (name, expression string, err error) {
	if s.raw != nil {
		return "hex", quote(fmt.Sprintf("% x", s.raw)), nil
	}
	list := make([]any, len(s.values))
	quoted := make([]string, len(s.values))
	for i, v := range s.values {
		list[i], quoted[i] = v, quote(v)
	}
	if len(list) == 1 {
		if n, ok := integer(s.values[0]); ok {
			if _, err := option.Encode(code, n); err == nil {
				return "value", fmt.Sprint(n), nil
			}
		}
		if b, ok := boolean(s.values[0]); ok {
			if _, err := option.Encode(code, b); err == nil {
				return "value", fmt.Sprint(b), nil
			}
		}
	}
	if _, err := option.Encode(code, list); err == nil {
		return "value", "[" + strings.Join(quoted, ", ") + "]", nil
	}
	text := strings.Join(s.values, ",")
	data, err := option.Encode(code, text)
	if err != nil {
		return "", "", err
	}
	if !quotable(text) {
		return "hex", quote(fmt.Sprintf("% x", data)), nil
	}
	return "value", quote(text), nil
}
