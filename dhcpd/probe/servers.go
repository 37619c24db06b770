package probe

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"dialtone/internal/mac"
)

// Server is a DHCP server, as one of its messages shows it. The texts are as
// sent: escape them wherever they are shown.
type Server struct {
	ID             netip.Addr // option 54
	MAC            mac.Addr   // of the frame: the server's, or its relay's
	Offered        netip.Addr // yiaddr, not valid where there is none
	LeaseTime      time.Duration
	TFTPServerName string // option 66
	Bootfile       string // option 67
	// Answer says that it is the answer to a DISCOVER of ours. Else it was for
	// a client.
	Answer bool
}

// Servers finds the DHCP servers of one wire. Discover and Receive may run
// beside each other.
type Servers struct {
	// Class, where not empty, is the vendor class (option 60) that Discover says:
	// servers answer some differently. Not more than 255 octets.
	Class string

	conn *packet.Conn
	from mac.Addr // of the interface
	// client is who we say that we are: one hardware address for as long as
	// this program runs, so that the servers set one address aside, not more.
	client mac.Addr
}

// RandomMAC gives a locally administered hardware address that nobody has.
func RandomMAC() mac.Addr {
	var m mac.Addr
	_, _ = rand.Read(m[:]) // never fails, says its documentation
	m[0] = m[0]&^1 | 2
	return m
}

// OpenServers opens an interface, which needs no address. client is the
// hardware address that Discover asks for. The error is ErrNotAllowed without
// CAP_NET_RAW.
func OpenServers(ifi *net.Interface, client mac.Addr) (*Servers, error) {
	from, ok := mac.FromBytes(ifi.HardwareAddr)
	if !ok {
		return nil, fmt.Errorf("opening %s for DHCP: %w", ifi.Name, errNoEthernet)
	}
	// UDP to port 68, no later fragment.
	c, err := listen(ifi, typeIPv4, []bpf.Instruction{
		bpf.LoadAbsolute{Off: etherLen + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolUDP, SkipTrue: 6},
		bpf.LoadAbsolute{Off: etherLen + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
		bpf.LoadMemShift{Off: etherLen},
		bpf.LoadIndirect{Off: etherLen + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 1},
		bpf.RetConstant{Val: maxFrame},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	return &Servers{conn: c, from: from, client: client}, nil
}

// Discover sends a DHCPDISCOVER that asks for a broadcast answer.
func (s *Servers) Discover() error {
	_, err := s.conn.WriteTo(discoverFrame(s.from, s.client, s.Class), &packet.Addr{HardwareAddr: broadcast})
	return err
}

// Receive waits for the next message that a server sends to everyone.
func (s *Servers) Receive() (Server, error) {
	var b [maxFrame]byte
	for {
		n, _, err := s.conn.ReadFrom(b[:])
		if err != nil {
			return Server{}, err
		}
		if server, ok := readServer(b[:n], s.client); ok {
			return server, nil
		}
	}
}

// SetDeadline has Receive end at t with an error.
func (s *Servers) SetDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }

// Close ends Receive.
func (s *Servers) Close() error { return s.conn.Close() }

const (
	maxFrame    = 2048
	ipLen       = 20
	udpLen      = 8
	bootpLen    = 236
	protocolUDP = 17
	serverPort  = 67
	clientPort  = 68

	cookie = 0x63825363
)

// discoverFrame is a DHCPDISCOVER from 0.0.0.0 with the broadcast flag set. The
// frame comes from the interface's own address, since switches that guard their
// ports take no other; the client is in chaddr.
func discoverFrame(from, client mac.Addr, class string) []byte {
	options := []byte{
		0x63, 0x82, 0x53, 0x63,
		53, 1, 1, // DISCOVER
		55, 6, 1, 3, 51, 54, 66, 67,
	}
	if class != "" {
		options = append(append(options, 60, byte(len(class))), class...)
	}
	options = append(options, 255)
	payload := max(300, bootpLen+len(options)) // RFC 951: old relays drop less
	b := make([]byte, etherLen+ipLen+udpLen+payload)
	copy(b, broadcast)
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], typeIPv4)

	ip := b[etherLen:]
	ip[0] = 4<<4 | ipLen/4
	binary.BigEndian.PutUint16(ip[2:], uint16(ipLen+udpLen+payload))
	ip[8], ip[9] = 64, protocolUDP
	copy(ip[16:], []byte{255, 255, 255, 255})
	var sum uint32
	for i := 0; i < ipLen; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))

	udp := ip[ipLen:] // its checksum is left at 0, which is none (RFC 768)
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+payload))

	m := udp[udpLen:]
	m[0], m[1], m[2] = 1, 1, 6
	_, _ = rand.Read(m[4:8]) // xid
	m[10] = 0x80             // the broadcast flag
	copy(m[28:], client[:])
	copy(m[bootpLen:], options)
	return b
}

// readServer reads a server's message from an Ethernet frame: an OFFER, an ACK
// or a NAK with a server identifier.
func readServer(frame []byte, client mac.Addr) (Server, bool) {
	if len(frame) < etherLen+ipLen || binary.BigEndian.Uint16(frame[12:]) != typeIPv4 {
		return Server{}, false
	}
	ip := frame[etherLen:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || ip[9] != protocolUDP || header < ipLen || total > len(ip) || total < header+udpLen+bootpLen+4 ||
		binary.BigEndian.Uint16(ip[header+2:]) != clientPort {
		return Server{}, false
	}
	m := ip[header+udpLen : total]
	if m[0] != 2 || m[1] != 1 || m[2] != 6 || binary.BigEndian.Uint32(m[bootpLen:]) != cookie {
		return Server{}, false
	}
	s := Server{MAC: mac.Addr(frame[6:]), Offered: address(m[16:20]), Answer: mac.Addr(m[28:]) == client}
	var kind byte
	for o := m[bootpLen+4:]; len(o) > 0 && o[0] != 255; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			break
		}
		data := o[2 : 2+int(o[1])]
		switch {
		case o[0] == 53 && len(data) == 1:
			kind = data[0]
		case o[0] == 54:
			s.ID = address(data)
		case o[0] == 51 && len(data) == 4:
			s.LeaseTime = time.Duration(binary.BigEndian.Uint32(data)) * time.Second
		case o[0] == 66:
			s.TFTPServerName += string(data)
		case o[0] == 67:
			s.Bootfile += string(data)
		}
		o = o[2+len(data):]
	}
	// Some servers end a text with a NUL, which is no part of it.
	s.TFTPServerName, s.Bootfile = strings.TrimRight(s.TFTPServerName, "\x00"), strings.TrimRight(s.Bootfile, "\x00")
	const offer, ack, nak = 2, 5, 6
	return s, s.ID.IsValid() && (kind == offer || kind == ack || kind == nak)
}

// address reads an IPv4 address. 0.0.0.0 is not valid.
func address(b []byte) netip.Addr {
	if len(b) != 4 || binary.BigEndian.Uint32(b) == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}
