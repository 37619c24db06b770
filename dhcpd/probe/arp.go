// Package probe asks a wire what is on it already: who has an address, by ARP
// or by ICMP echo, and which DHCP servers answer. It decides nothing.
package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"dialtone/internal/mac"
)

// ErrNotAllowed says that CAP_NET_RAW is missing.
var ErrNotAllowed = errors.New("CAP_NET_RAW is missing")

var errNoEthernet = errors.New("interface is not Ethernet's")

// Answer is a machine that has an address.
type Answer struct {
	Addr netip.Addr
	MAC  mac.Addr // zero where it cannot be known: behind a router
}

const (
	etherLen = 14
	arpLen   = 28 // RFC 826, for Ethernet and IPv4
	typeARP  = 0x0806
	typeIPv4 = 0x0800

	arpRequest = 1
	arpReply   = 2
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ARP asks one wire. Ask and Receive may run beside each other.
type ARP struct {
	conn *packet.Conn
	mac  mac.Addr
}

// OpenARP opens an interface of Ethernet. The error is ErrNotAllowed without
// CAP_NET_RAW.
func OpenARP(ifi *net.Interface) (*ARP, error) {
	own, ok := mac.FromBytes(ifi.HardwareAddr)
	if !ok {
		return nil, fmt.Errorf("opening %s for ARP: %w", ifi.Name, errNoEthernet)
	}
	// Probes of others have the sender 0.0.0.0: they say nothing about who has
	// an address.
	c, err := listen(ifi, typeARP, []bpf.Instruction{
		bpf.LoadAbsolute{Off: etherLen + 14, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		bpf.RetConstant{Val: etherLen + arpLen},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	return &ARP{conn: c, mac: own}, nil
}

// listen opens a raw socket for one protocol, filtered by the kernel.
func listen(ifi *net.Interface, protocol int, filter []bpf.Instruction) (*packet.Conn, error) {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("assembling a packet filter: %w", err)
	}
	c, err := packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: program})
	if errors.Is(err, os.ErrPermission) {
		return nil, ErrNotAllowed
	}
	if err != nil {
		return nil, fmt.Errorf("opening raw socket on %s: %w", ifi.Name, err)
	}
	return c, nil
}

// Ask sends an ARP probe for an IPv4 address (RFC 5227 section 2.1.1). As its
// sender address is 0.0.0.0, no cache of the wire is changed by it.
func (a *ARP) Ask(addr netip.Addr) error {
	frame := probeFrame(a.mac, addr)
	_, err := a.conn.WriteTo(frame[:], &packet.Addr{HardwareAddr: broadcast})
	return err
}

// Receive waits for the next machine that uses an address: one that answers a
// probe, or one that speaks ARP for reasons of its own.
func (a *ARP) Receive() (Answer, error) {
	var b [etherLen + arpLen]byte
	for {
		n, _, err := a.conn.ReadFrom(b[:])
		if err != nil {
			return Answer{}, err
		}
		if answer, ok := sender(b[:n]); ok && answer.MAC != a.mac {
			return answer, nil
		}
	}
}

// Close ends Receive.
func (a *ARP) Close() error { return a.conn.Close() }

// probeFrame is an ARP probe in an Ethernet frame.
func probeFrame(from mac.Addr, target netip.Addr) (b [etherLen + arpLen]byte) {
	copy(b[0:], broadcast)
	copy(b[6:], from[:])
	binary.BigEndian.PutUint16(b[12:], typeARP)
	p := b[etherLen:]
	binary.BigEndian.PutUint16(p[0:], 1) // Ethernet
	binary.BigEndian.PutUint16(p[2:], typeIPv4)
	p[4], p[5] = 6, 4
	binary.BigEndian.PutUint16(p[6:], arpRequest)
	copy(p[8:], from[:])
	addr := target.As4()
	copy(p[24:], addr[:])
	return b
}

// sender reads who sent an ARP packet, with which address.
func sender(frame []byte) (Answer, bool) {
	if len(frame) < etherLen+arpLen || binary.BigEndian.Uint16(frame[12:]) != typeARP {
		return Answer{}, false
	}
	p := frame[etherLen:]
	op := binary.BigEndian.Uint16(p[6:])
	if binary.BigEndian.Uint16(p[0:]) != 1 || binary.BigEndian.Uint16(p[2:]) != typeIPv4 || p[4] != 6 || p[5] != 4 || op != arpRequest && op != arpReply {
		return Answer{}, false
	}
	a := Answer{Addr: netip.AddrFrom4([4]byte(p[14:])), MAC: mac.Addr(p[8:])}
	return a, !a.Addr.IsUnspecified() && !a.MAC.IsZero() && a.MAC[0]&1 == 0
}
