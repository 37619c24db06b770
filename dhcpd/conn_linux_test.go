package dhcpd

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"dialtone/internal/netnstest"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// TestSecondServer holds that nobody else serves the interface beside us, and
// that another interface is another matter.
func TestSecondServer(t *testing.T) {
	netnstest.Need(t)
	netnstest.NewNet(t, "second", netip.MustParsePrefix("192.0.2.1/24"))
	netnstest.NewNet(t, "third", netip.MustParsePrefix("198.51.100.1/24"))
	open := func(name string) error {
		t.Helper()
		ifi, _, err := lookInterface(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := openSocket(ifi)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err
	}
	if err := open("second"); err != nil {
		t.Fatal(err)
	}
	if err := open("second"); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the second server: %v", err)
	}
	if err := open("third"); err != nil {
		t.Errorf("another interface: %v", err)
	}
	if _, _, err := lookInterface("absent"); err == nil || !strings.HasPrefix(err.Error(), "looking for interface absent: ") {
		t.Errorf("no interface: %v", err)
	}
}

// TestFrame reads a frame as its receiver would: another reader for the IPv4
// header, and both checksums, which add up to all ones.
func TestFrame(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("192.0.2.1")
	to := destination{way: toHardware, addr: netip.MustParseAddrPort("192.0.2.10:68"), mac: testMAC}
	hardware := net.HardwareAddr{2, 0, 0x5e, 0, 0, 1}
	for n := range 600 { // every length, odd and even, and sums with every carry
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i*7 + n)
		}
		b := appendFrame(nil, hardware, from, to, payload)
		if net.HardwareAddr(b[:6]).String() != testMAC.String() || string(b[6:12]) != string(hardware) || binary.BigEndian.Uint16(b[12:]) != 0x0800 {
			t.Fatalf("Ethernet header % x", b[:14])
		}
		ip := b[14:]
		h, err := ipv4.ParseHeader(ip)
		if err != nil {
			t.Fatal(err)
		}
		if h.Version != 4 || h.Len != 20 || h.TotalLen != 28+n || h.Protocol != 17 || h.TTL == 0 || h.Src.String() != "192.0.2.1" || h.Dst.String() != "192.0.2.10" {
			t.Fatalf("IPv4 header %v", h)
		}
		udp := ip[20:]
		if binary.BigEndian.Uint16(udp) != 67 || binary.BigEndian.Uint16(udp[2:]) != 68 || int(binary.BigEndian.Uint16(udp[4:])) != 8+n || string(udp[8:]) != string(payload) {
			t.Fatalf("UDP header % x", udp[:8])
		}
		pseudo := binary.BigEndian.AppendUint16(append(append([]byte{}, ip[12:20]...), 0, 17), uint16(8+n))
		if onesSum(ip[:20]) != 0xffff || onesSum(append(pseudo, udp...)) != 0xffff {
			t.Fatalf("checksums of %d octets: %x %x", n, onesSum(ip[:20]), onesSum(append(pseudo, udp...)))
		}
	}
}

// onesSum is RFC 1071 by the letter: a carry at a time.
func onesSum(b []byte) uint16 {
	var s uint32
	if len(b)%2 != 0 {
		b = append(b[:len(b):len(b)], 0)
	}
	for ; len(b) > 0; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return uint16(s)
}
