package phonesim

import (
	"encoding/binary"

	"dialtone/internal/mac"
)

const (
	etherLen    = 14
	ipv4Len     = 20
	udpLen      = 8
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	protocolUDP = 17
	serverPort  = 67
	clientPort  = 68
)

// encodeFrame wraps a DHCP message as a phone without an address sends it:
// from 0.0.0.0:68 to 255.255.255.255:67, to everyone on the wire (RFC 2131
// §4.1). The frame carries the phone's own MAC, whatever interface sends it.
func encodeFrame(from mac.Addr, payload []byte) []byte {
	b := make([]byte, etherLen+ipv4Len+udpLen+len(payload))
	for i := range 6 {
		b[i] = 0xff
	}
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], etherIPv4)

	ip := b[etherLen : etherLen+ipv4Len]
	ip[0] = 4<<4 | ipv4Len/4
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+udpLen+len(payload)))
	ip[8] = 64
	ip[9] = protocolUDP
	copy(ip[16:], []byte{255, 255, 255, 255})
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))

	udp := b[etherLen+ipv4Len:]
	binary.BigEndian.PutUint16(udp, clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	copy(udp[udpLen:], payload)
	// The checksum covers a pseudo header too: both addresses, the protocol
	// and the length (RFC 768). A zero on the wire would mean "none".
	check := ^fold(sum(sum(uint32(protocolUDP)+uint32(len(udp)), ip[12:20]), udp))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return b
}

// announcement is a gratuitous ARP request (RFC 5227 §2.3): address is at the
// MAC of the interface. Servers that entered the phone's own MAC into their
// neighbour table, to reach it before it had an address, learn the other.
func announcement(at mac.Addr, address [4]byte) []byte {
	b := make([]byte, 0, etherLen+28)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, at[:]...)
	b = append(b, etherARP>>8, etherARP&0xff, 0, 1, etherIPv4>>8, etherIPv4&0xff, 6, 4, 0, 1)
	b = append(b, at[:]...)
	b = append(b, address[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, address[:]...)
}

// decodeFrame gives the payload of an Ethernet frame that holds a whole UDP
// datagram for the DHCP client port. Checksums are not verified: virtual
// interfaces hand out half-made ones.
func decodeFrame(b []byte) ([]byte, bool) {
	if len(b) < etherLen+ipv4Len+udpLen || binary.BigEndian.Uint16(b[12:]) != etherIPv4 {
		return nil, false
	}
	ip := b[etherLen:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	fragment := binary.BigEndian.Uint16(ip[6:]) & 0x3fff
	if ip[0]>>4 != 4 || header < ipv4Len || total < header+udpLen || total > len(ip) || fragment != 0 || ip[9] != protocolUDP {
		return nil, false
	}
	udp := ip[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != clientPort || length < udpLen || length > len(udp) {
		return nil, false
	}
	return udp[udpLen:length], true
}

// sum adds b to a ones' complement sum as RFC 1071 has it.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
