package rig

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"dialtone/internal/mac"
)

// Message types of option 53 (RFC 2132 §9.6).
const (
	Discover = 1
	Offer    = 2
	Request  = 3
	ACK      = 5
	NAK      = 6
)

// Ports and lengths of DHCP.
const (
	ServerPort = 67
	ClientPort = 68

	HeaderLen  = 236 // of a BOOTP message, up to the options
	minMessage = 300 // what old relays pass on (RFC 951)
)

var cookie = []byte{99, 130, 83, 99}

// Message is what a client says, or a relay for it. Addresses that are not
// valid are left out, or zero in the header.
type Message struct {
	Kind      byte
	XID       uint32
	Secs      uint16
	MAC       mac.Addr
	CIAddr    netip.Addr
	GIAddr    netip.Addr
	Requested netip.Addr // option 50
	Server    netip.Addr // option 54
	Class     string     // option 60
	ClientID  bool       // option 61: the hardware address with its type
}

// wanted is what Snom phones ask for in option 55.
var wanted = []byte{1, 3, 4, 6, 12, 15, 42, 43, 51, 66, 67, 120, 125, 133}

// AppendTo adds the message to b as RFC 2131 §2 lays it out. The broadcast
// flag stays off.
func (m Message) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, HeaderLen)...)
	h := b[start:]
	h[0], h[1], h[2] = 1, 1, 6 // BOOTREQUEST over Ethernet
	if m.GIAddr.IsValid() {
		h[3] = 1 // hops
	}
	binary.BigEndian.PutUint32(h[4:], m.XID)
	binary.BigEndian.PutUint16(h[8:], m.Secs)
	putAddr(h[12:], m.CIAddr)
	putAddr(h[24:], m.GIAddr)
	copy(h[28:], m.MAC[:])

	b = append(b, cookie...)
	b = append(b, 53, 1, m.Kind)
	b = appendAddr(b, 50, m.Requested)
	b = appendAddr(b, 54, m.Server)
	b = append(b, 55, byte(len(wanted)))
	b = append(b, wanted...)
	b = append(b, 57, 2, 1472>>8, 1472&0xff)
	if m.Class != "" {
		b = append(b, 60, byte(len(m.Class)))
		b = append(b, m.Class...)
	}
	if m.ClientID {
		b = append(b, 61, 7, 1)
		b = append(b, m.MAC[:]...)
	}
	b = append(b, 255)
	if short := minMessage - (len(b) - start); short > 0 {
		b = append(b, make([]byte, short)...)
	}
	return b
}

func putAddr(b []byte, a netip.Addr) {
	if a.IsValid() {
		four := a.As4()
		copy(b, four[:])
	}
}

func appendAddr(b []byte, code byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	four := a.As4()
	return append(append(b, code, 4), four[:]...)
}

// Reply is what a load generator needs of a server's answer.
type Reply struct {
	Kind   byte
	XID    uint32
	MAC    mac.Addr
	YIAddr netip.Addr
	Server netip.Addr // option 54
}

// ParseReply reads a BOOTREPLY; false where it is none.
func ParseReply(b []byte) (Reply, bool) {
	if len(b) < HeaderLen+len(cookie) || b[0] != 2 || !bytes.Equal(b[HeaderLen:HeaderLen+4], cookie) {
		return Reply{}, false
	}
	r := Reply{
		XID:    binary.BigEndian.Uint32(b[4:]),
		MAC:    mac.Addr(b[28:34]),
		YIAddr: netip.AddrFrom4([4]byte(b[16:20])),
	}
	for o := b[HeaderLen+4:]; len(o) > 0 && o[0] != 255; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return Reply{}, false
		}
		v := o[2 : 2+int(o[1])]
		switch {
		case o[0] == 53 && len(v) == 1:
			r.Kind = v[0]
		case o[0] == 54 && len(v) == 4:
			r.Server = netip.AddrFrom4([4]byte(v))
		}
		o = o[2+len(v):]
	}
	return r, r.Kind != 0
}

const (
	etherLen    = 14
	ipv4Len     = 20
	udpLen      = 8
	etherIPv4   = 0x0800
	protocolUDP = 17
)

// AppendFrame adds a DHCP message to b as a client without an address sends
// it: from its own MAC and 0.0.0.0 to everyone on the wire (RFC 2131 §4.1).
func AppendFrame(b []byte, from mac.Addr, payload []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, etherLen+ipv4Len+udpLen)...)
	b = append(b, payload...)
	f := b[start:]
	for i := range 6 {
		f[i] = 0xff
	}
	copy(f[6:], from[:])
	binary.BigEndian.PutUint16(f[12:], etherIPv4)

	ip := f[etherLen : etherLen+ipv4Len]
	ip[0] = 4<<4 | ipv4Len/4
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+udpLen+len(payload)))
	ip[8], ip[9] = 64, protocolUDP
	copy(ip[16:], []byte{255, 255, 255, 255})
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip))

	udp := f[etherLen+ipv4Len:]
	binary.BigEndian.PutUint16(udp, ClientPort)
	binary.BigEndian.PutUint16(udp[2:], ServerPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	// The pseudo header of RFC 768: both addresses, the protocol, the length.
	pseudo := uint32(0xffff+0xffff) + protocolUDP + uint32(len(udp))
	sum := checksum(pseudo, udp)
	if sum == 0 {
		sum = 0xffff // zero would mean that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	return b
}

// parseFrame gives the payload of a frame that holds a datagram for the DHCP
// client port. Checksums are not looked at: virtual interfaces hand out
// half-made ones.
func parseFrame(f []byte) ([]byte, bool) {
	if len(f) < etherLen+ipv4Len+udpLen || binary.BigEndian.Uint16(f[12:]) != etherIPv4 {
		return nil, false
	}
	ip := f[etherLen:]
	header := int(ip[0]&15) * 4
	if ip[0]>>4 != 4 || header < ipv4Len || ip[9] != protocolUDP || len(ip) < header+udpLen {
		return nil, false
	}
	udp := ip[header:]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != ClientPort || length < udpLen || length > len(udp) {
		return nil, false
	}
	return udp[udpLen:length], true
}

// checksum is the complement of the ones' complement sum of b, on top of sum
// (RFC 1071).
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
