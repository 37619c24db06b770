package config

import (
	"cmp"
	"encoding/hex"
	"errors"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/mac"
	"dialtone/internal/option"
)

const (
	defaultLease = 12 * time.Hour
	shortestTime = 2 * time.Minute // dnsmasq's floor too: below it renewals are all there is
	longestTime  = 365 * 24 * time.Hour

	defaultPerMAC = 16
	mostLeases    = 1 << 20

	maxExcluded = 1 << 16 // addresses, spans written out
)

// The schemas of the blocks that this file reads.
var (
	networkSchema     = newNetworkSchema()
	vlanSchema        = arguments("id!", "priority")
	optionSchema      = arguments("value", "hex")
	hostSchema        = arguments("address!", "name")
	portSchema        = arguments("circuit_id", "remote_id", "address!", "name")
	vendorClassSchema = with(arguments("match!"), "option", "name")
)

func newNetworkSchema() *hcl.BodySchema {
	schema := arguments("subnet!", "range", "exclude", "routers", "dns_servers", "ntp_servers", "domain", "lease_time", "interface",
		"authoritative", "probe", "rapid_commit", "trust_relay_info", "known_only", "witness",
		"max_leases_per_mac", "max_leases_per_port")
	return with(with(with(with(schema, "vlan"), "option", "name"), "host", "mac"), "port", "name")
}

func (d *decoder) network(block *hcl.Block, haveAppliance bool) {
	b := d.open(block, networkSchema)
	n := Network{Name: block.Labels[0], Interface: d.cfg.Appliance.Interface, DeclRange: block.DefRange}
	d.named(block, "network", slices.IndexFunc(d.cfg.Networks, func(o Network) bool { return o.Name == n.Name }),
		func(i int) hcl.Range { return d.cfg.Networks[i].DeclRange })

	if name, ok := b.interfaceName(); ok {
		n.Interface = name
	} else if n.Interface == "" && b.Attributes["interface"] == nil && haveAppliance && !d.rep.Incomplete() {
		d.fail(block.DefRange, "Missing interface", `A network is served on an interface. Name it in the appliance block, or here: interface = "eth0".`)
	}
	n.Subnet = b.subnet("subnet")
	n.Ranges = b.ranges("range", n.Subnet)
	n.Exclude = b.excluded("exclude", n)
	n.Routers = b.routers("routers", n.Subnet)
	n.DNSServers = b.addresses("dns_servers")
	n.DNSSet = b.Attributes["dns_servers"] != nil
	n.NTPServers = b.addresses("ntp_servers")
	if v, ok := b.get("domain", false); ok {
		n.Domain, _ = d.domain(v)
	}
	n.LeaseTime = b.duration("lease_time", defaultLease, shortestTime, longestTime)
	n.Authoritative = b.authoritative("authoritative")
	n.Probe = b.boolean("probe", true)
	n.RapidCommit = b.boolean("rapid_commit", false)
	n.TrustRelayInfo = b.boolean("trust_relay_info", false)
	n.KnownOnly = b.boolean("known_only", false)
	n.NoWitness = !b.boolean("witness", true)
	n.MaxLeasesPerMAC = b.integer("max_leases_per_mac", defaultPerMAC, 1, mostLeases)
	n.MaxLeasesPerPort = b.integer("max_leases_per_port", 0, 1, mostLeases)
	if vlan := d.single(b.ofType("vlan")); vlan != nil {
		v := d.open(vlan, vlanSchema)
		n.VLAN = &VLAN{ID: v.integer("id", 0, 1, 4094), Priority: v.integer("priority", 0, 0, 7)}
	}
	n.Options = d.options(b.ofType("option"), n.owned(b))
	for _, h := range b.ofType("host") {
		if host, ok := d.host(h, n); ok {
			n.Hosts = append(n.Hosts, host)
		}
	}
	for _, p := range b.ofType("port") {
		d.port(p, &n)
	}
	d.cfg.Networks = append(d.cfg.Networks, n)
}

// named checks the first label of a block, which must be unique: i is the index
// of an earlier block of that name, or -1.
func (d *decoder) named(block *hcl.Block, kind string, i int, at func(int) hcl.Range) {
	if strings.TrimSpace(block.Labels[0]) == "" {
		d.fail(block.LabelRanges[0], "Missing name", "Give the %s a name.", kind)
	} else if i >= 0 {
		d.fail(block.LabelRanges[0], "Duplicate name", "The %s %q was given at %s. Choose another name, or join the two.",
			kind, block.Labels[0], where(at(i)))
	}
}

// interfaceName reads the argument interface. Linux takes up to 15 bytes
// without a slash or blanks (dev_valid_name in net/core/dev.c).
func (b body) interfaceName() (string, bool) {
	s, at, ok := b.text("interface")
	if ok && (s == "" || len(s) > 15 || s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n\v\f\r")) {
		b.d.fail(at, "Invalid interface name", `%q is no name of an interface. "ip link" lists those of this machine.`, s)
		return "", false
	}
	return s, ok
}

// subnet reads an IPv4 prefix. Only with a valid one do the checks of addresses
// against it mean anything.
func (b body) subnet(name string) netip.Prefix {
	s, at, ok := b.text(name)
	if !ok {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !p.Addr().Is4():
		b.d.fail(at, "Invalid subnet", `%q is no IPv4 subnet; write its first address and the length of its prefix, like "192.168.50.0/24".`, s)
	case p.Masked() != p:
		b.d.fail(at, "Invalid subnet", "%s is an address inside a subnet. The subnet is %q.", s, p.Masked())
	case p.Bits() < 8 || p.Bits() > 30:
		b.d.fail(at, "Invalid subnet", "A prefix of %d bits leaves no use for leases; it may have 8 to 30.", p.Bits())
	case p.Addr().IsMulticast() || p.Addr().IsLoopback() || p.Addr().As4()[0] == 0 || p.Addr().As4()[0] >= 240:
		b.d.fail(at, "Invalid subnet", "%s is not for the addresses of hosts.", s)
	default:
		return p
	}
	return netip.Prefix{}
}

// authoritative reads true, false or "auto", which is nil.
func (b body) authoritative(name string) *bool {
	v, ok := b.get(name, false)
	if !ok || v.Type() == cty.String && v.AsString() == "auto" {
		return nil
	}
	if v.Type() != cty.Bool {
		b.d.fail(v.at(), "Unknown word", `%s takes "auto", true or false. With "auto" the wire is asked for other servers, at the start and all the time.`, name)
		return nil
	}
	yes := v.True()
	return &yes
}

// last gives the broadcast address of a subnet.
func last(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for i := range a {
		a[i] |= byte(0xff >> min(8, max(0, p.Bits()-8*i)))
	}
	return netip.AddrFrom4(a)
}

// inside reports whether v, an address, can be used by a host of the subnet.
func (d *decoder) inside(subnet netip.Prefix, a netip.Addr, v value) bool {
	switch {
	case !subnet.IsValid():
		return true // said already
	case !subnet.Contains(a):
		d.fail(v.at(), "Address outside subnet", "%s: %s is not in the network's subnet, %s, which ends at %s.", v.name, a, subnet, last(subnet))
	case a == subnet.Addr():
		d.fail(v.at(), "Unusable address", "%s: %s is the address of the network itself. Choose another.", v.name, a)
	case a == last(subnet):
		d.fail(v.at(), "Unusable address", "%s: %s is the broadcast address of %s. Choose another.", v.name, a, subnet)
	default:
		return true
	}
	return false
}

// ranges reads [first, last] or a list of such pairs.
func (b body) ranges(name string, subnet netip.Prefix) []Range {
	v, ok := b.get(name, false)
	if !ok {
		return nil
	}
	if v.Type() == cty.String {
		b.d.fail(v.at(), "Invalid range", `%s takes its first and last address: %s = ["192.168.50.100", "192.168.50.199"].`, name, name)
		return nil
	}
	elements, ok := b.d.elements(v)
	if !ok {
		return nil
	}
	pairs := []value{v}
	if len(elements) == 0 || elements[0].Type() != cty.String {
		pairs = elements
	}
	var ranges []Range
	for _, pair := range pairs {
		if r, ok := b.d.pair(pair, subnet); ok {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

func (d *decoder) pair(v value, subnet netip.Prefix) (Range, bool) {
	ends, ok := d.elements(v)
	if !ok {
		return Range{}, false
	}
	if len(ends) != 2 {
		d.fail(v.at(), "Invalid range", `A range is two addresses, its first and its last. For several write a list of pairs: `+
			`%s = [["192.168.50.20", "192.168.50.29"], ["192.168.50.100", "192.168.50.199"]].`, v.name)
		return Range{}, false
	}
	first, ok1 := d.address(ends[0])
	end, ok2 := d.address(ends[1])
	if !ok1 || !ok2 {
		return Range{}, false
	}
	if end.Less(first) {
		d.fail(v.at(), "Invalid range", "%s comes after %s. Write the lower address first.", first, end)
		return Range{}, false
	}
	ok1, ok2 = d.inside(subnet, first, ends[0]), d.inside(subnet, end, ends[1])
	return Range{First: first, Last: end, DeclRange: v.at()}, ok1 && ok2
}

// excluded reads addresses and spans "a-b" and writes them out.
func (b body) excluded(name string, n Network) []netip.Addr {
	elements, _ := b.list(name)
	var all []netip.Addr
	for _, e := range elements {
		s, ok := b.d.text(e)
		if !ok {
			continue
		}
		low, high, span := strings.Cut(s, "-")
		if !span {
			high = low
		}
		first, err := parseIPv4(strings.TrimSpace(low))
		end, err2 := parseIPv4(strings.TrimSpace(high))
		if err = cmp.Or(err, err2); err != nil {
			b.d.fail(e.at(), "Invalid address", "%s: %v.", name, err)
			continue
		}
		if end.Less(first) {
			b.d.fail(e.at(), "Invalid range", "%s comes after %s. Write the lower address first.", first, end)
			continue
		}
		if n.Subnet.IsValid() && (!n.Subnet.Contains(first) || !n.Subnet.Contains(end)) {
			b.d.fail(e.at(), "Address outside subnet", "%s: %s is not in the network's subnet, %s, which ends at %s.", name, s, n.Subnet, last(n.Subnet))
			continue
		}
		if n.Ranges != nil && !slices.ContainsFunc(n.Ranges, func(r Range) bool { return r.First.Compare(end) <= 0 && first.Compare(r.Last) <= 0 }) {
			b.d.warn(IdleExclusion, e.at(), "Exclusion without effect", "%s is in no range of this network, so it is not leased anyway. Leave it out, or check it.", s)
		}
		for a := first; a.Compare(end) <= 0; a = a.Next() {
			if len(all) == maxExcluded {
				b.d.fail(e.at(), "Too many exclusions", "At most %d addresses can be excluded. Give the ranges that are left instead.", maxExcluded)
				return all
			}
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

func (b body) routers(name string, subnet netip.Prefix) []netip.Addr {
	elements, _ := b.list(name)
	var routers []netip.Addr
	for _, e := range elements {
		if a, ok := b.d.address(e); ok && b.d.inside(subnet, a, e) {
			routers = append(routers, a)
		}
	}
	return routers
}

// owned gives the options that the arguments of a network set, and the argument
// of each.
func (n *Network) owned(b body) map[uint8]string {
	owned := map[uint8]string{1: "subnet"}
	for code, name := range map[uint8]string{3: "routers", 6: "dns_servers", 15: "domain", 42: "ntp_servers"} {
		if b.Attributes[name] != nil {
			owned[code] = name
		}
	}
	if n.VLAN != nil {
		owned[132], owned[133] = "the vlan block", "the vlan block"
	}
	return owned
}

// options reads option blocks. What owned names is set elsewhere.
func (d *decoder) options(blocks hcl.Blocks, owned map[uint8]string) []Option {
	var options []Option
	given := make(map[uint8]hcl.Range)
	for _, block := range blocks {
		b := d.open(block, optionSchema)
		at := block.LabelRanges[0]
		code, err := option.Lookup(block.Labels[0])
		if err != nil {
			d.fail(at, "Unknown option", "%s.", sentence(err))
			continue
		}
		if err := option.Reserved(code); err != nil {
			d.fail(at, "Reserved option", "%s. Leave it out.", sentence(err))
			continue
		}
		if argument, ok := owned[code]; ok {
			d.fail(at, "Duplicate option", "Option %s is set by %s of this network. Keep one of the two.", option.Name(code), argument)
			continue
		}
		if earlier, ok := given[code]; ok {
			d.fail(at, "Duplicate option", "Option %s was given at %s. Keep one of the two; several values make a list.", option.Name(code), where(earlier))
			continue
		}
		given[code] = at
		if data, ok := b.optionData(code, block.DefRange); ok {
			options = append(options, Option{Code: code, Data: data})
		}
	}
	return options
}

// sentence begins an error's text with a capital.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

func (b body) optionData(code uint8, at hcl.Range) ([]byte, bool) {
	if (b.Attributes["value"] == nil) == (b.Attributes["hex"] == nil) {
		b.d.fail(at, "Invalid option value", "Give the option either a value or its octets: hex = \"01:ff\".")
		return nil, false
	}
	if b.Attributes["hex"] != nil {
		s, place, ok := b.text("hex")
		if !ok {
			return nil, false
		}
		data, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "", " ", "").Replace(s))
		if err != nil || len(data) == 0 || len(data) > 1024 {
			b.d.fail(place, "Invalid option value", `hex takes 1 to 1024 octets of two hexadecimal digits each, like "01:ff", not %.40q.`, s)
			return nil, false
		}
		return data, true
	}
	v, ok := b.get("value", false)
	if !ok {
		return nil, false
	}
	plain, err := native(v.Value)
	if err == nil {
		var data []byte
		if data, err = option.Encode(code, plain); err == nil {
			return data, true
		}
	}
	b.d.fail(v.at(), "Invalid option value", "%s.", sentence(err))
	return nil, false
}

// native gives a value in the types that package option encodes.
func native(v cty.Value) (any, error) {
	ty := v.Type()
	switch {
	case v.IsNull():
		return nil, errors.New("a value must not be null")
	case ty == cty.String:
		return v.AsString(), nil
	case ty == cty.Bool:
		return v.True(), nil
	case ty == cty.Number:
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact {
			return nil, errors.New("an option takes whole numbers only")
		}
		return n, nil
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		list := make([]any, 0, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			_, element := it.Element()
			if element.CanIterateElements() {
				return nil, errors.New("an option takes a list of texts or numbers, not a list of lists")
			}
			plain, err := native(element)
			if err != nil {
				return nil, err
			}
			list = append(list, plain)
		}
		return list, nil
	}
	return nil, errors.New("an option takes a text, a number, true or false, or a list of them, not " + article(ty.FriendlyName()))
}

func (d *decoder) host(block *hcl.Block, n Network) (Host, bool) {
	b := d.open(block, hostSchema)
	at := block.LabelRanges[0]
	h := Host{DeclRange: at}
	valid := true
	var err error
	if h.MAC, err = mac.Parse(block.Labels[0]); err != nil {
		d.fail(at, "Invalid MAC address", `%s. Write it like "02:00:5e:10:00:01".`, sentence(err))
		valid = false
	} else if h.MAC.IsZero() || h.MAC[0]&1 != 0 {
		d.fail(at, "Invalid MAC address", "%s is not the address of a single device.", h.MAC)
		valid = false
	} else if earlier, ok := d.macs[h.MAC]; ok {
		d.fail(at, "Duplicate MAC address", "The device %s has a reservation at %s. Remove one of the two.", h.MAC, where(earlier))
		valid = false
	} else {
		d.macs[h.MAC] = at
	}
	if s, place, ok := b.text("name"); ok {
		if h.Name, err = parseHostName(s); err != nil {
			d.fail(place, "Invalid host name", "name: %v.", err)
		}
	}
	var ok bool
	h.Address, ok = b.reserved(n)
	return h, valid && ok
}

// reserved reads the address of a reservation.
func (b body) reserved(n Network) (netip.Addr, bool) {
	d := b.d
	v, ok := b.get("address", false)
	if !ok {
		return netip.Addr{}, false
	}
	a, ok := d.address(v)
	if !ok || !d.inside(n.Subnet, a, v) {
		return a, false
	}
	if slices.Contains(n.Routers, a) {
		d.fail(v.at(), "Unusable address", "%s is a router of this network. Choose another address.", a)
		return a, false
	}
	if earlier, ok := d.cfg.reserved[a]; ok {
		d.fail(v.at(), "Duplicate address", "%s is reserved at %s already. Choose another address.", a, where(earlier))
		return a, false
	}
	d.cfg.reserved[a] = v.at()
	return a, true
}

// port reads a reservation for whatever is plugged in at a place, and adds it
// to the network.
func (d *decoder) port(block *hcl.Block, n *Network) {
	b := d.open(block, portSchema)
	p := Port{DeclRange: block.LabelRanges[0]}
	valid := true
	for _, id := range []struct {
		name string
		to   *string
	}{{"circuit_id", &p.CircuitID}, {"remote_id", &p.RemoteID}} {
		s, at, ok := b.text(id.name)
		if !ok {
			continue
		}
		raw, err := parseIdentifier(s)
		if err != nil {
			d.fail(at, "Invalid identifier", `%s: %v. Write it as the relay sends it, as text or as octets: "0x0004000a0107".`, id.name, err)
			valid = false
		}
		*id.to = raw
	}
	if valid && p.CircuitID == "" && p.RemoteID == "" && !d.rep.Incomplete() {
		d.fail(p.DeclRange, "Missing identifier", "A port is known by what a relay or switch says of it (option 82). Give circuit_id, remote_id or both.")
		valid = false
	}
	if i := slices.IndexFunc(n.Ports, func(o Port) bool { return o.CircuitID == p.CircuitID && o.RemoteID == p.RemoteID }); valid && i >= 0 {
		d.fail(p.DeclRange, "Duplicate port", "The same port has a reservation at %s. Remove one of the two.", where(n.Ports[i].DeclRange))
		valid = false
	}
	if s, at, ok := b.text("name"); ok {
		var err error
		if p.Name, err = parseHostName(s); err != nil {
			d.fail(at, "Invalid host name", "name: %v.", err)
		}
	}
	var ok bool
	if p.Address, ok = b.reserved(*n); ok && valid {
		n.Ports = append(n.Ports, p)
	}
}

// parseIdentifier reads text, or octets in hexadecimal behind 0x, of which a
// sub-option of option 82 can be.
func parseIdentifier(s string) (string, error) {
	if octets, ok := strings.CutPrefix(s, "0x"); ok {
		b, err := hex.DecodeString(octets)
		if err != nil {
			return "", errors.New("the octets behind 0x are two hexadecimal digits each")
		}
		s = string(b)
	}
	if len(s) == 0 || len(s) > 253 {
		return "", errors.New("it has from 1 to 253 octets")
	}
	return s, nil
}

// checkSubnets and checkRanges look at neighbours in the order of addresses:
// what overlaps anything overlaps the one before it that reaches furthest.

func (d *decoder) checkSubnets() {
	order := make([]*Network, 0, len(d.cfg.Networks))
	for i := range d.cfg.Networks {
		if d.cfg.Networks[i].Subnet.IsValid() {
			order = append(order, &d.cfg.Networks[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Network) int {
		if c := a.Subnet.Addr().Compare(b.Subnet.Addr()); c != 0 {
			return c
		}
		return a.Subnet.Bits() - b.Subnet.Bits()
	})
	var widest *Network
	for _, n := range order {
		if widest != nil && widest.Subnet.Overlaps(n.Subnet) {
			earlier, later := inOrder(widest, n, widest.DeclRange, n.DeclRange)
			d.fail(later.DeclRange, "Overlapping subnets", "The subnet %s overlaps %s of the network %q at %s. "+
				"Give each network addresses of its own.", later.Subnet, earlier.Subnet, earlier.Name, where(earlier.DeclRange))
			continue
		}
		widest = n
	}
}

func (d *decoder) checkRanges() {
	type owned struct {
		Range
		network string
	}
	var order []*owned
	for _, n := range d.cfg.Networks {
		for _, r := range n.Ranges {
			order = append(order, &owned{r, n.Name})
		}
	}
	slices.SortStableFunc(order, func(a, b *owned) int { return a.First.Compare(b.First) })
	var furthest *owned
	for _, r := range order {
		if furthest != nil && r.First.Compare(furthest.Last) <= 0 {
			earlier, later := inOrder(furthest, r, furthest.DeclRange, r.DeclRange)
			d.fail(later.DeclRange, "Overlapping ranges", "%s to %s overlaps %s to %s of the network %q at %s. An address can be in one range only.",
				later.First, later.Last, earlier.First, earlier.Last, earlier.network, where(earlier.DeclRange))
		}
		if furthest == nil || furthest.Last.Less(r.Last) {
			furthest = r
		}
	}
}

// inOrder sorts two things by where they were written.
func inOrder[T any](a, b T, ra, rb hcl.Range) (earlier, later T) {
	if ra.Filename < rb.Filename || ra.Filename == rb.Filename && ra.Start.Byte <= rb.Start.Byte {
		return a, b
	}
	return b, a
}

func (d *decoder) vendorClass(block *hcl.Block) {
	b := d.open(block, vendorClassSchema)
	c := VendorClass{Name: block.Labels[0], DeclRange: block.DefRange}
	d.named(block, "vendor class", slices.IndexFunc(d.cfg.Classes, func(o VendorClass) bool { return o.Name == c.Name }),
		func(i int) hcl.Range { return d.cfg.Classes[i].DeclRange })
	if s, at, ok := b.text("match"); ok {
		if c.Match = s; s == "" {
			d.fail(at, "Invalid match", "An empty text matches every device. Write the beginning of option 60, like \"PXEClient\".")
		}
	}
	c.Options = d.options(b.ofType("option"), nil)
	d.cfg.Classes = append(d.cfg.Classes, c)
}
