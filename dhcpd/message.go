package dhcpd

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

// The options that the server itself reads or writes.
const (
	optPad             = 0
	optSubnetMask      = 1
	optRouters         = 3
	optDNSServers      = 6
	optHostName        = 12
	optDomainName      = 15
	optBroadcast       = 28
	optNTPServers      = 42
	optRequested       = 50
	optLeaseTime       = 51
	optOverload        = 52
	optMessageType     = 53
	optServerID        = 54
	optParameters      = 55
	optMessage         = 56
	optMaxMessageSize  = 57
	optRenewal         = 58
	optRebinding       = 59
	optVendorClass     = 60
	optClientID        = 61
	optTFTPServerName  = 66
	optBootfileName    = 67
	optRapidCommit     = 80
	optClientFQDN      = 81
	optRelayInfo       = 82
	optV6Only          = 108
	optAutoConfigure   = 116
	optSubnetSelection = 118
	optRoutes          = 121
	optVLANID          = 132
	optVLANPriority    = 133
	optMSRoutes        = 249
	optEnd             = 255
)

// Sub-options of option 82.
const (
	subCircuitID      = 1  // RFC 3046
	subRemoteID       = 2  // RFC 3046
	subLinkSelection  = 5  // RFC 3527
	subServerOverride = 11 // RFC 5107
	subSourcePort     = 19 // RFC 8357
)

// maxVendorClass is as much of option 60 as is kept, in octets.
const maxVendorClass = 64

// Where things are in a message (RFC 2131 section 2).
const (
	offFlags   = 10
	offCIAddr  = 12
	offYIAddr  = 16
	offSIAddr  = 20
	offGIAddr  = 24
	offCHAddr  = 28
	offSName   = 44
	offFile    = 108
	offCookie  = 236
	headerSize = 240

	cookie       = 0x63825363
	flagBcast    = 0x8000
	hardwareType = 1 // Ethernet
)

// Why a message is not for the handler.
var (
	errShort     = errors.New("shorter than a header")
	errNoRequest = errors.New("no BOOTREQUEST")
	errHardware  = errors.New("hardware address is not Ethernet's")
	errCookie    = errors.New("no DHCP cookie")
	errType      = errors.New("no message type that a client sends")
	errOption    = errors.New("an option that identifies client or relay has no fit length")
	errAddress   = errors.New("an address that no client or relay can have")
)

// request is a client's message as it is understood, and how it came. params,
// fqdn and relayInfo are parts of the packet; all else is copied.
type request struct {
	link   *link
	source netip.AddrPort
	dest   netip.Addr // where it was sent to

	kind   dhcpv4.MessageType
	xid    [4]byte
	flags  uint16
	ciaddr netip.Addr // addresses that are 0.0.0.0 are not valid here
	giaddr netip.Addr
	chaddr [16]byte
	mac    mac.Addr

	requested       netip.Addr // option 50
	serverID        netip.Addr // 54
	subnetSelection netip.Addr // 118
	leaseTime       uint32     // 51 in seconds, 0 where not sent
	maxSize         uint16     // 57, 0 where not sent
	params          []byte     // 55
	clientID        string     // 61
	vendorClass     string     // 60, not more than maxVendorClass octets
	hostName        string     // 12 or 81, one label or ""
	fqdn            []byte     // 81, nil where not sent or not to be answered
	rapidCommit     bool       // 80
	autoConfigure   bool       // 116
	relayInfo       []byte     // 82
	agent                      // what 82 says, as far as it is believed
}

// agent is what option 82 says. Only what a relay has added counts, unless the
// network trusts its switches to have removed what clients make up.
type agent struct {
	circuitID      string     // 82.1
	remoteID       string     // 82.2
	linkSelection  netip.Addr // 82.5
	serverOverride netip.Addr // 82.11
	relayPort      bool       // 82.19
}

func readAgent(relayInfo []byte) agent {
	var sub options
	sub.walkPlain(relayInfo)
	return agent{
		circuitID:      string(sub[subCircuitID]),
		remoteID:       string(sub[subRemoteID]),
		linkSelection:  address(sub[subLinkSelection]),
		serverOverride: address(sub[subServerOverride]),
		relayPort:      sub[subSourcePort] != nil,
	}
}

// port names the port that the client is plugged in, "" where that is not said.
func (a agent) port() string {
	if a.circuitID == "" && a.remoteID == "" {
		return ""
	}
	return string(rune(len(a.circuitID))) + a.circuitID + a.remoteID
}

// link is the interface that a message came by, as data for the handler.
type link struct {
	name  string
	mtu   int
	addrs []netip.Prefix
}

// at gives the interface's address in a subnet.
func (l *link) at(subnet netip.Prefix) (netip.Addr, bool) {
	for _, a := range l.addrs {
		if subnet.Contains(a.Addr()) {
			return a.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// key is the client's name for the lease table.
func (r *request) key() lease.Key {
	if r.clientID != "" {
		return lease.Key{ID: r.clientID}
	}
	return lease.Key{MAC: r.mac}
}

// relayed reports whether a relay agent passed the message on.
func (r *request) relayed() bool { return r.giaddr.IsValid() }

// unicast reports whether the client itself sent the message to us alone.
func (r *request) unicast() bool {
	return !r.relayed() && r.dest.IsValid() && r.dest != broadcastAddr
}

var broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// admit looks at a packet just enough to tell junk from a message, and what
// message it is; 0 where only a closer look can tell.
func admit(b []byte) (dhcpv4.MessageType, error) {
	if err := checkHeader(b); err != nil {
		return 0, err
	}
	for b = b[headerSize:]; len(b) > 0 && b[0] != optEnd; {
		switch {
		case b[0] == optPad:
			b = b[1:]
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return 0, nil
		case b[0] == optMessageType && b[1] == 1:
			return dhcpv4.MessageType(b[2]), nil
		default:
			b = b[2+int(b[1]):]
		}
	}
	return 0, nil
}

func checkHeader(b []byte) error {
	switch {
	case len(b) < headerSize:
		return errShort
	case dhcpv4.OpcodeType(b[0]) != dhcpv4.OpcodeBootRequest:
		return errNoRequest
	case b[1] != hardwareType || int(b[2]) != len(mac.Addr{}):
		return errHardware
	case binary.BigEndian.Uint32(b[offCookie:]) != cookie:
		return errCookie
	}
	return nil
}

// parse reads a client's message (RFC 2131 section 2) and admits it or says
// why not. It is lenient about what does no harm: no End option, anything
// after it, a last option that is cut off, options twice.
func parse(b []byte, r *request) error {
	if err := checkHeader(b); err != nil {
		return err
	}
	*r = request{
		link: r.link, source: r.source, dest: r.dest,
		xid:    [4]byte(b[4:8]),
		flags:  binary.BigEndian.Uint16(b[offFlags:]),
		ciaddr: address(b[offCIAddr:offYIAddr]),
		giaddr: address(b[offGIAddr:offCHAddr]),
		chaddr: [16]byte(b[offCHAddr:offSName]),
		mac:    mac.Addr(b[offCHAddr:]),
	}

	var o options
	o.walk(b[headerSize:])
	if v := o[optOverload]; len(v) == 1 {
		// RFC 2131 section 4.1: the file field first, then sname.
		if v[0]&1 != 0 {
			o.walk(b[offFile:offCookie])
		}
		if v[0]&2 != 0 {
			o.walk(b[offSName:offFile])
		}
	}
	return r.read(&o)
}

func (r *request) read(o *options) error {
	if v := o[optMessageType]; len(v) == 1 {
		r.kind = dhcpv4.MessageType(v[0])
	}
	switch r.kind {
	case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline,
		dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeInform:
	default:
		return errType
	}
	// RFC 2132 section 9.14: at least two octets; one is seen, none names
	// nobody. Neither can be echoed when it is longer than one option.
	if id := o[optClientID]; id != nil && (len(id) == 0 || len(id) > 255) || len(o[optRelayInfo]) > 255 {
		return errOption
	}
	r.requested = address(o[optRequested])
	r.serverID = address(o[optServerID])
	r.subnetSelection = address(o[optSubnetSelection])
	if v := o[optLeaseTime]; len(v) == 4 {
		r.leaseTime = binary.BigEndian.Uint32(v)
	}
	if v := o[optMaxMessageSize]; len(v) == 2 {
		r.maxSize = binary.BigEndian.Uint16(v)
	}
	r.params = o[optParameters]
	r.clientID = string(o[optClientID])
	r.vendorClass = string(o[optVendorClass][:min(len(o[optVendorClass]), maxVendorClass)])
	if r.hostName = fqdnLabel(o[optClientFQDN]); r.hostName == "" {
		r.hostName = hostLabel(o[optHostName])
	}
	r.fqdn = answerable(o[optClientFQDN])
	r.rapidCommit = o[optRapidCommit] != nil
	r.autoConfigure = len(o[optAutoConfigure]) == 1
	r.relayInfo = o[optRelayInfo]
	if r.relayed() && !unicastAddr(r.giaddr) {
		return errAddress
	}
	r.agent = readAgent(r.relayInfo)
	return nil
}

// address reads an IPv4 address. What is no address, or 0.0.0.0, is not valid.
func address(b []byte) netip.Addr {
	if len(b) != 4 || binary.BigEndian.Uint32(b) == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

// unicastAddr reports whether one machine can have the address.
func unicastAddr(a netip.Addr) bool {
	return a.Is4() && !a.IsMulticast() && !a.IsLoopback() && !a.IsUnspecified() && a.As4()[0] < 240 && a.As4()[0] > 0
}

// options are the data of the options of a message by code: nil where it was
// not sent.
type options [256][]byte

// size is the length of the options that have only one.
func size(code byte) int {
	switch code {
	case optOverload, optMessageType:
		return 1
	case optMaxMessageSize:
		return 2
	case optRequested, optLeaseTime, optServerID, optSubnetSelection:
		return 4
	default:
		return 0
	}
}

// walk adds the options of one field. Instances of an option are joined (RFC
// 3396), but for those of fixed size, of which a whole first instance stands:
// two message types make no third one.
func (o *options) walk(b []byte) {
	for len(b) > 0 && b[0] != optEnd {
		code := b[0]
		if code == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return
		}
		o.add(code, b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
}

// walkPlain adds the sub-options of an option, which has neither Pad nor End.
func (o *options) walkPlain(b []byte) {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		o.add(b[0], b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
}

func (o *options) add(code byte, data []byte) {
	have := o[code]
	switch n := size(code); {
	case have == nil:
		// The capacity ends here so that joining copies.
		o[code] = data[:len(data):len(data)]
	case n == 0 || len(have) != n:
		o[code] = append(have, data...)
	}
}
