package dhcpd

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// Config is what the server leases and hands out. It is not changed after it
// was given to a Server.
type Config struct {
	Networks []Network
	Classes  []Class
	Phones   Phones // nil where there are none
}

// Authority says whether no other server leases in a network. Where none does,
// a client that is unknown, or wrong, is told so instead of being left to wait.
type Authority uint8

const (
	// AuthorityAuto is as the interface's wire shows: the server is
	// authoritative when it has asked for others, for as long as none is there.
	AuthorityAuto Authority = iota
	AuthorityYes
	AuthorityNo
)

// Network is a subnet that is leased. IPv4 throughout.
type Network struct {
	Name       string
	Interface  string // where its requests arrive, from its own wire or by relays
	Subnet     netip.Prefix
	Ranges     []lease.Range
	Exclude    []netip.Addr
	Routers    []netip.Addr
	DNSServers []netip.Addr
	NTPServers []netip.Addr
	Domain     string
	LeaseTime  time.Duration // the longest, and what a client gets that asks for none
	VLAN       *VLAN         // for phones
	Options    []Option
	Hosts      []Host

	Authoritative Authority
	// Probe has addresses asked for on the wire before they are offered to a
	// client for the first time.
	Probe bool
	// RapidCommit leases to a client that asks for it without an OFFER (RFC
	// 4039). It is for networks with one server.
	RapidCommit bool
	// TrustRelayInfo believes option 82 without a relay's address, which
	// switches add that watch DHCP. They have to drop what clients send.
	TrustRelayInfo bool
	// KnownOnly leases to Hosts alone.
	KnownOnly bool
	// MaxLeasesPerMAC is how many leases one machine may have, by several client
	// identifiers: 0 is any number. MaxLeasesPerPort is how many one port of a relay or
	// switch may have (option 82): 0 is any number. Neither keeps an address from
	// Hosts, nor a lease from its renewal.
	MaxLeasesPerMAC, MaxLeasesPerPort int
}

// VLAN is what phones are told in options 132 and 133. A negative priority is
// not sent.
type VLAN struct{ ID, Priority int }

// Option is an option as it is sent: data without code and length.
type Option struct {
	Code uint8
	Data []byte
}

// Host is a client that the configuration knows: by its MAC, or where that is
// zero by the place that a relay or switch says it is plugged in (option 82).
// The zero Address leaves the address to the ranges; Name, where not empty, is
// its host name (option 12).
type Host struct {
	MAC     mac.Addr
	Place   Place
	Address netip.Addr
	Name    string
}

// Place is circuit and remote identifier (sub-options 1 and 2 of option 82), as
// sent. An empty one may be any.
type Place struct{ Circuit, Remote string }

// Class is a vendor class: the clients whose option 60 begins with Match, in
// any case. The class named "snom" has every recognised phone, too.
type Class struct {
	Name    string
	Match   string
	Options []Option
}

// phoneClass is the class that recognised phones are in.
const phoneClass = "snom"

// Phones knows which clients are phones and where their settings are.
type Phones interface {
	// Recognise tells a phone, and its model where that can be told, by MAC and
	// option 60.
	Recognise(m mac.Addr, vendorClass string) (model string, phone bool)
	// SettingServer gives options 66 and 67 for a phone that reaches this
	// appliance at an address. An empty one is not sent.
	SettingServer(model string, server netip.Addr) (tftpServerName, bootfile string)
}

// plan is a Config made ready for the handler.
type plan struct {
	Config
	networks []*network
	classes  []class
}

type network struct {
	Network
	index  int
	items  []item // the network's options, the subnet mask first
	vlan   []item
	hosts  map[mac.Addr]*Host
	places map[Place]*Host
	owners map[netip.Addr]mac.Addr // of reserved addresses, zero where it is a place's
}

// stranger is the host that the configuration does not know.
var stranger = &Host{}

// host gives what the configuration says of a client: by its MAC, else by its
// place, else that it is a stranger.
func (n *network) host(r *request) *Host {
	if h := n.hosts[r.mac]; h != nil {
		return h
	}
	if len(n.places) > 0 {
		for _, p := range []Place{{r.circuitID, r.remoteID}, {Circuit: r.circuitID}, {Remote: r.remoteID}} {
			if h := n.places[p]; h != nil {
				return h
			}
		}
	}
	return stranger
}

type class struct {
	Class
	items []item
}

// rank says which of two options with one code is sent, and which is dropped
// when a reply is too long: the higher stays.
type rank uint8

const (
	rankDerived rank = iota // follows from the network
	rankNetwork             // an option block of the network
	rankPhone
	rankClass
)

// item is an option that may be sent.
type item struct {
	code  uint8
	rank  rank
	asked bool // only to a client that asks for it
	data  []byte
}

// compile checks a configuration and prepares it. The errors are those that
// would break a packet; the author of the configuration has checked its sense.
func compile(c Config) (*plan, error) {
	p := &plan{Config: c}
	var errs []error
	for i, n := range c.Networks {
		if err := n.check(); err != nil {
			errs = append(errs, fmt.Errorf("network %q: %w", n.Name, err))
			continue
		}
		p.networks = append(p.networks, newNetwork(i, n))
	}
	for _, c := range c.Classes {
		k := class{Class: c}
		for _, o := range c.Options {
			k.items = put(k.items, configured(o, rankClass))
		}
		p.classes = append(p.classes, k)
	}
	// The longer prefix is the closer description: it has the last word.
	slices.SortStableFunc(p.classes, func(a, b class) int { return cmp.Compare(len(a.Match), len(b.Match)) })
	return p, errors.Join(errs...)
}

func (n *Network) check() error {
	if !n.Subnet.IsValid() || !n.Subnet.Addr().Is4() || n.Subnet != n.Subnet.Masked() {
		return fmt.Errorf("%v is no IPv4 subnet", n.Subnet)
	}
	if n.LeaseTime < minLeaseTime || n.LeaseTime/time.Second >= math.MaxUint32 {
		return fmt.Errorf("lease time %v is not from %v to 136 years", n.LeaseTime, minLeaseTime)
	}
	for _, r := range n.Ranges {
		if !n.Subnet.Contains(r.First) || !n.Subnet.Contains(r.Last) || r.Last.Less(r.First) {
			return fmt.Errorf("range %v to %v is not within %v", r.First, r.Last, n.Subnet)
		}
	}
	for _, h := range n.Hosts {
		if h.MAC.IsZero() && h.Place == (Place{}) {
			return errors.New("a host with neither MAC nor place")
		}
		if h.Address.IsValid() && !n.Subnet.Contains(h.Address) {
			return fmt.Errorf("reserved address %v is not within %v", h.Address, n.Subnet)
		}
	}
	for _, a := range slices.Concat(n.Exclude, n.Routers, n.DNSServers, n.NTPServers) {
		if !a.Is4() {
			return fmt.Errorf("%v is no IPv4 address", a)
		}
	}
	return nil
}

func newNetwork(index int, c Network) *network {
	n := &network{Network: c, index: index, hosts: map[mac.Addr]*Host{}, places: map[Place]*Host{}, owners: map[netip.Addr]mac.Addr{}}
	for _, h := range c.Hosts {
		if h.MAC.IsZero() {
			n.places[h.Place] = &h
		} else {
			// A host and a phone block of one machine add up.
			if old := n.hosts[h.MAC]; old != nil {
				if !h.Address.IsValid() {
					h.Address = old.Address
				}
				h.Name = cmp.Or(h.Name, old.Name)
			}
			n.hosts[h.MAC] = &h
		}
		if h.Address.IsValid() {
			n.owners[h.Address] = h.MAC
		}
	}
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-c.Subnet.Bits()))
	n.derive(optSubnetMask, mask)
	n.derive(optRouters, addresses(c.Routers))
	n.derive(optDNSServers, addresses(c.DNSServers))
	n.derive(optDomainName, []byte(c.Domain))
	n.derive(optNTPServers, addresses(c.NTPServers))
	broadcast := c.Subnet.Addr().As4()
	for i := range broadcast {
		broadcast[i] |= ^mask[i]
	}
	n.items = append(n.items, item{code: optBroadcast, asked: true, data: broadcast[:]})
	for _, o := range c.Options {
		n.items = put(n.items, configured(o, rankNetwork))
	}
	n.addRoutes()
	if c.VLAN != nil {
		n.vlan = append(n.vlan, item{code: optVLANID, rank: rankPhone, data: strconv.AppendInt(nil, int64(c.VLAN.ID), 10)})
		if c.VLAN.Priority >= 0 {
			n.vlan = append(n.vlan, item{code: optVLANPriority, rank: rankPhone, data: strconv.AppendInt(nil, int64(c.VLAN.Priority), 10)})
		}
	}
	return n
}

// configured makes an item of an option block. It is sent asked for or not, but
// for 108 and 116, which a client has to ask for (RFC 8925 section 3.3, RFC 2563
// section 2).
func configured(o Option, r rank) item {
	return item{code: o.Code, rank: r, asked: o.Code == optV6Only || o.Code == optAutoConfigure, data: o.Data}
}

// derive adds an option that follows from the network, if there is any data.
func (n *network) derive(code uint8, data []byte) {
	if len(data) > 0 {
		n.items = append(n.items, item{code: code, data: data})
	}
}

// addRoutes completes the classless routes: a client that takes option 121
// ignores the routers (RFC 3442), so the default route is in it, and Windows
// before 7 asks for 249 instead.
func (n *network) addRoutes() {
	i := slices.IndexFunc(n.items, func(i item) bool { return i.code == optRoutes })
	if i < 0 {
		return
	}
	routes := n.items[i].data
	if len(n.Routers) > 0 && !hasDefaultRoute(routes) {
		routes = slices.Concat([]byte{0}, addresses(n.Routers[:1]), routes)
		n.items[i].data = routes
	}
	if !slices.ContainsFunc(n.items, func(i item) bool { return i.code == optMSRoutes }) {
		n.items = append(n.items, item{code: optMSRoutes, asked: true, data: routes})
	}
}

func hasDefaultRoute(routes []byte) bool {
	for len(routes) > 0 {
		if routes[0] == 0 {
			return true
		}
		routes = routes[min(len(routes), 1+(int(routes[0])+7)/8+4):]
	}
	return false
}

func addresses(list []netip.Addr) []byte {
	var b []byte
	for _, a := range list {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// put adds an option, in the place of one with the same code.
func put(items []item, i item) []item {
	for k := range items {
		if items[k].code == i.code {
			items[k] = i
			return items
		}
	}
	return append(items, i)
}

// scopes tells the lease table what to give out. own are the addresses of this
// machine.
func (p *plan) scopes(own map[netip.Addr]bool) []lease.Scope {
	var scopes []lease.Scope
	for _, n := range p.networks {
		excluded := map[netip.Addr]bool{}
		for a := range own {
			excluded[a] = true
		}
		for _, a := range slices.Concat(n.Exclude, n.Routers) {
			excluded[a] = true
		}
		for a := range n.owners {
			excluded[a] = true
		}
		scope := lease.Scope{Subnet: n.Subnet, Ranges: n.Ranges, Excluded: excluded}
		if n.MaxLeasesPerPort > 0 {
			scope.Port = func(relayInfo string) string { return readAgent([]byte(relayInfo)).port() }
		}
		scopes = append(scopes, scope)
	}
	return scopes
}

// trusts reports whether option 82 is believed that came by an interface
// without a relay's address.
func (p *plan) trusts(iface string) bool {
	return slices.ContainsFunc(p.networks, func(n *network) bool { return n.TrustRelayInfo && n.Interface == iface })
}

// at gives the network that an address lies in, nil where there is none.
func (p *plan) at(a netip.Addr) *network {
	for _, n := range p.networks {
		if n.Subnet.Contains(a) {
			return n
		}
	}
	return nil
}

// isPhone reports whether a client is a phone by what it says.
func (p *plan) isPhone(r *request) bool {
	if p.Phones == nil {
		return false
	}
	_, phone := p.Phones.Recognise(r.mac, r.vendorClass)
	return phone
}

// compose collects the options for a client, each code once, without those
// that are the protocol's own.
func (p *plan) compose(items []item, n *network, r *request, server netip.Addr) []item {
	items = append(items, n.items...)
	name := n.host(r).Name
	if name != "" {
		items = put(items, item{code: optHostName, asked: true, data: []byte(name)})
	}
	if r.fqdn != nil {
		items = put(items, item{code: optClientFQDN, data: fqdnReply(r.fqdn, cmp.Or(name, r.hostName), n.Domain)})
	}
	phone := false
	if p.Phones != nil {
		var model string
		if model, phone = p.Phones.Recognise(r.mac, r.vendorClass); phone {
			name, file := p.Phones.SettingServer(model, server)
			if name != "" {
				items = put(items, item{code: optTFTPServerName, rank: rankPhone, data: []byte(name)})
			}
			if file != "" {
				items = put(items, item{code: optBootfileName, rank: rankPhone, data: []byte(file)})
			}
			for _, i := range n.vlan {
				items = put(items, i)
			}
		}
	}
	for i := range p.classes {
		c := &p.classes[i]
		if c.Match != "" && len(r.vendorClass) >= len(c.Match) && strings.EqualFold(r.vendorClass[:len(c.Match)], c.Match) ||
			phone && c.Name == phoneClass {
			for _, i := range c.items {
				items = put(items, i)
			}
		}
	}
	if i := slices.IndexFunc(items, func(i item) bool { return i.code == optAutoConfigure }); i >= 0 && r.autoConfigure {
		items[i].asked = false // sending it is asking for it
	}
	return items
}

// without reports whether a client that gets no address is to be told so: by
// option 116 (RFC 2563), or because it can do without IPv4 (RFC 8925).
func (n *network) without(r *request) bool {
	return slices.ContainsFunc(n.items, func(i item) bool {
		return i.code == optAutoConfigure && r.autoConfigure || i.code == optV6Only && slices.Contains(r.params, optV6Only)
	})
}
