package dhcpd

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// minPayload is what BOOTP has (RFC 951); old relays and kernels drop less.
	minPayload = 300
	// minMessage is the datagram that every client takes (RFC 2131 section 2).
	minMessage = 576
	ipUDPSize  = 28
	defaultMTU = 1500
)

// reply writes the message that goes back, and decides where to.
func (x *exchange) reply(kind dhcpv4.MessageType, yiaddr, ciaddr netip.Addr, d time.Duration) {
	server := x.server()
	id := server
	if x.r.serverOverride.IsValid() {
		id = x.r.serverOverride
	}
	var scratch [48]item
	var items []item
	if kind != dhcpv4.MessageTypeNak {
		items = x.plan.compose(scratch[:0], x.n, x.r, server)
	}
	if x.rapid {
		items = append(items, item{code: optRapidCommit, rank: rankClass})
	}
	m := message{request: x.r, kind: kind, yiaddr: yiaddr, ciaddr: ciaddr, id: id, duration: d, reason: x.out.reason}
	m.bootFields(items)
	payload, dropped := m.marshal(x.buffer(), items)
	if dropped > 0 {
		x.note(noteDropped, yiaddr)
	}
	x.out.kind, x.out.payload, x.out.from, x.out.addr = kind, payload, server, yiaddr
	x.out.to = route(x.r, kind, yiaddr, ciaddr)
}

// message is a reply before it is octets.
type message struct {
	*request
	kind           dhcpv4.MessageType
	yiaddr, ciaddr netip.Addr
	siaddr         netip.Addr
	sname, file    []byte
	id             netip.Addr    // server identifier
	duration       time.Duration // of the lease, 0 where there is none
	reason         reason        // of a NAK
}

// bootFields tells a boot ROM in the header what options 66 and 67 say: many
// read nothing else. Phones get the options alone, since a phone that finds a
// boot server in the header may ask it by TFTP.
func (m *message) bootFields(items []item) {
	for _, i := range items {
		if i.rank == rankPhone && (i.code == optTFTPServerName || i.code == optBootfileName) {
			return
		}
	}
	for _, i := range items {
		switch {
		case i.code == optTFTPServerName && len(i.data) < offFile-offSName:
			m.sname = i.data
			if a, err := netip.ParseAddr(string(i.data)); err == nil && a.Is4() {
				m.siaddr = a
			}
		case i.code == optBootfileName && len(i.data) < offCookie-offFile:
			m.file = i.data
		}
	}
}

// limit is the length that the client and the wire take (RFC 2132 section
// 9.10).
func (r *request) limit() int {
	mtu := defaultMTU
	if r.link.mtu > 0 {
		mtu = max(r.link.mtu, minMessage)
	}
	n := minMessage
	if r.maxSize != 0 {
		n = max(int(r.maxSize), minMessage)
	}
	return min(n, mtu) - ipUDPSize
}

// marshal writes the message over b with as many of the items as fit, and counts
// the others. Options that the protocol needs always fit.
func (m *message) marshal(b []byte, items []item) (payload []byte, dropped int) {
	tail := 1 // End
	if m.clientID != "" {
		tail += 2 + len(m.clientID)
	}
	if m.subnetSelection.IsValid() && m.kind != dhcpv4.MessageTypeNak {
		tail += 6
	}
	if m.relayInfo != nil {
		tail += 2 + len(m.relayInfo)
	}

	b = append(b[:0], make([]byte, headerSize)...)
	m.header(b)
	b = append(b, optMessageType, 1, byte(m.kind))
	b = appendAddr(b, optServerID, m.id)
	if m.duration != 0 {
		b = appendSeconds(b, optLeaseTime, m.duration)
		b = appendSeconds(b, optRenewal, m.duration/2)
		b = appendSeconds(b, optRebinding, m.duration*7/8)
	}
	if m.kind == dhcpv4.MessageTypeNak {
		b = appendOption(b, optMessage, []byte(m.reason))
	}
	items, dropped = arrange(items, m.params, m.limit()-len(b)-tail)
	for _, i := range items {
		b = appendOption(b, i.code, i.data)
	}
	if m.clientID != "" {
		b = append(b, optClientID, byte(len(m.clientID)))
		b = append(b, m.clientID...)
	}
	if m.subnetSelection.IsValid() && m.kind != dhcpv4.MessageTypeNak {
		b = appendAddr(b, optSubnetSelection, m.subnetSelection)
	}
	if m.relayInfo != nil {
		b = append(b, optRelayInfo, byte(len(m.relayInfo)))
		b = append(b, m.relayInfo...)
	}
	b = append(b, optEnd)
	if n := minPayload - len(b); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	return b, dropped
}

// header writes the fixed fields (RFC 2131 table 3).
func (m *message) header(b []byte) {
	b[0], b[1], b[2] = byte(dhcpv4.OpcodeBootReply), hardwareType, byte(len(m.mac))
	copy(b[4:], m.xid[:])
	flags := m.flags
	if m.kind == dhcpv4.MessageTypeNak && m.relayed() {
		// "the server MUST set the broadcast bit in the DHCPNAK, so that the relay
		// agent will broadcast it".
		flags |= flagBcast
	}
	binary.BigEndian.PutUint16(b[offFlags:], flags)
	putAddr(b[offCIAddr:], m.ciaddr)
	putAddr(b[offYIAddr:], m.yiaddr)
	putAddr(b[offSIAddr:], m.siaddr)
	putAddr(b[offGIAddr:], m.giaddr)
	copy(b[offCHAddr:], m.chaddr[:])
	copy(b[offSName:offFile-1], m.sname)
	copy(b[offFile:offCookie-1], m.file)
	binary.BigEndian.PutUint32(b[offCookie:], cookie)
}

// arrange leaves the items that the client gets, in the order in which it asked
// and then by rank, within a number of octets. What is dropped for lack of room
// is the last of the derived and network options, then of the others.
func arrange(items []item, params []byte, room int) (kept []item, dropped int) {
	var order [256]uint16 // 1 is asked for first; 0 not at all
	for i, code := range slices.Backward(params) {
		order[code] = uint16(i + 1)
	}
	if o := order[optRouters]; o != 0 && (order[optSubnetMask] == 0 || order[optSubnetMask] > o) {
		// RFC 2132 section 3.3: the mask comes before the routers. It is the first
		// of the items, so it is the first of two with the same place.
		order[optSubnetMask] = o
	}
	items = slices.DeleteFunc(items, func(i item) bool { return i.asked && order[i.code] == 0 })
	place := func(i item) int {
		if o := order[i.code]; o != 0 {
			return int(o)
		}
		return 1<<16 - int(i.rank)
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(place(a), place(b)) })

	total := 0
	for _, i := range items {
		total += i.size()
	}
	for total > room && len(items) > 0 {
		last := len(items) - 1
		for k := last; k >= 0; k-- {
			if items[k].rank < rankPhone {
				last = k
				break
			}
		}
		total -= items[last].size()
		items = slices.Delete(items, last, last+1)
		dropped++
	}
	return items, dropped
}

// size is the room that an option takes, split where it is long (RFC 3396).
func (i item) size() int { return len(i.data) + 2*max(1, (len(i.data)+254)/255) }

// appendOption writes an option, in pieces where it is longer than one can be.
func appendOption(b []byte, code byte, data []byte) []byte {
	for len(data) > 255 {
		b = append(b, code, 255)
		b = append(b, data[:255]...)
		data = data[255:]
	}
	b = append(b, code, byte(len(data)))
	return append(b, data...)
}

func appendAddr(b []byte, code byte, a netip.Addr) []byte {
	a4 := [4]byte{}
	putAddr(a4[:], a)
	b = append(b, code, 4)
	return append(b, a4[:]...)
}

func appendSeconds(b []byte, code byte, d time.Duration) []byte {
	b = append(b, code, 4)
	return binary.BigEndian.AppendUint32(b, uint32(d/time.Second))
}

// putAddr writes an address, 0.0.0.0 where it is not valid.
func putAddr(b []byte, a netip.Addr) {
	if a.Is4() {
		a4 := a.As4()
		copy(b, a4[:])
	}
}
