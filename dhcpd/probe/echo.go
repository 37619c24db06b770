package probe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// Echo asks addresses that are on no wire of ours, by ICMP echo (RFC 792).
// Ask and Receive may run beside each other.
type Echo struct {
	conn  *icmp.PacketConn
	nonce []byte // in every request: what tells our answers from others'
	id    int
}

// OpenEcho opens a socket for ICMP. The error is ErrNotAllowed without
// CAP_NET_RAW.
func OpenEcho() (*Echo, error) {
	c, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if errors.Is(err, os.ErrPermission) {
		return nil, ErrNotAllowed
	}
	if err != nil {
		return nil, fmt.Errorf("opening socket for ICMP: %w", err)
	}
	var filter ipv4.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv4.ICMPTypeEchoReply)
	if err := c.IPv4PacketConn().SetICMPFilter(&filter); err != nil {
		return nil, errors.Join(fmt.Errorf("filtering ICMP: %w", err), c.Close())
	}
	e := &Echo{conn: c, nonce: make([]byte, 16)}
	_, _ = rand.Read(e.nonce) // never fails, says its documentation
	e.id = int(binary.BigEndian.Uint16(e.nonce))
	return e, nil
}

// Ask sends an echo request.
func (e *Echo) Ask(addr netip.Addr) error {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: e.id, Data: e.nonce}}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	_, err = e.conn.WriteTo(b, &net.IPAddr{IP: addr.AsSlice()})
	return err
}

// Receive waits for the next answer to a request.
func (e *Echo) Receive() (Answer, error) {
	var b [512]byte
	for {
		n, from, err := e.conn.ReadFrom(b[:])
		if err != nil {
			return Answer{}, err
		}
		ip, ok := from.(*net.IPAddr)
		if !ok || !e.ours(b[:n]) {
			continue
		}
		if addr, ok := netip.AddrFromSlice(ip.IP.To4()); ok {
			return Answer{Addr: addr}, nil
		}
	}
}

// ours reports whether a message answers a request of ours.
func (e *Echo) ours(b []byte) bool {
	m, err := icmp.ParseMessage(1, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && echo.ID == e.id && bytes.Equal(echo.Data, e.nonce)
}

// Close ends Receive.
func (e *Echo) Close() error { return e.conn.Close() }
