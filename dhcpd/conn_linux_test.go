package dhcpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
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

// TestSocketBatches holds that what is sent together arrives, in order, whoever
// it is for; that a reply that cannot be sent does not keep back those behind
// it; and that what has arrived together is read together.
func TestSocketBatches(t *testing.T) {
	netnstest.Need(t)
	host := netnstest.NewNet(t, "batch", netip.MustParsePrefix("192.0.2.1/24")).Host(t, testMAC, netip.MustParsePrefix("192.0.2.2/24"))
	ifi, _, err := lookInterface("batch")
	if err != nil {
		t.Fatal(err)
	}
	c, err := openSocket(ifi)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var relay *net.UDPConn
	err = host.Do(func() (err error) {
		relay, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: serverPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()

	const count = 2*readSize + 1
	server := netip.MustParseAddrPort("192.0.2.1:67")
	source := netip.MustParseAddrPort("192.0.2.2:67")
	message := func(i int) []byte { return append(raw(53, 1, 1), make([]byte, i)...) } // others the kernel drops
	for i := range count {
		if _, err := relay.WriteToUDPAddrPort(message(i), server); err != nil {
			t.Fatal(err)
		}
	}
	var packets [readSize]*packet
	for i := range packets {
		packets[i] = &packet{}
	}
	reads := 0
	for i := 0; i < count; reads++ {
		n, err := c.receive(packets[:])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets[:n] {
			if !bytes.Equal(p.data, message(i)) || p.source != source || p.dest != server.Addr() {
				t.Fatalf("packet %d: % x from %v to %v", i, p.data, p.source, p.dest)
			}
			i++
		}
	}
	if reads == count {
		t.Error("one packet at a time was read")
	}

	s := &Server{log: slog.New(slog.DiscardHandler), limiter: limiter{}}
	p := &port{conn: c}
	var replies []outgoing
	for i := range 8 {
		r := result{kind: dhcpv4.MessageTypeOffer, payload: []byte{byte(i)}, from: server.Addr(), to: destination{way: toRelay, addr: source, mac: testMAC}}
		switch i {
		case 2, 3:
			r.to.way = toHardware
		case 0, 5, 7:
			r.payload = make([]byte, 1<<16) // longer than a datagram can be
		}
		replies = append(replies, outgoing{port: p, result: r})
	}
	if left := s.send(time.Now(), replies); len(left) != 0 {
		t.Errorf("%d replies are left", len(left))
	}
	if st := s.counters.stats(); st.SendErrors != 3 || st.Sent.Offer != 5 {
		t.Errorf("%+v", st)
	}
	var got []byte
	buf := make([]byte, maxPacket)
	for range 5 {
		n, from, err := relay.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if n != 1 || from != server {
			t.Fatalf("%d octets from %v", n, from)
		}
		got = append(got, buf[0])
	}
	if diff := cmp.Diff([]byte{1, 2, 3, 4, 6}, got); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}

	c.Close()
	if _, err := c.receive(packets[:]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
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
