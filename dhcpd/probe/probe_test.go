package probe

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

var (
	us      = mac.Addr{2, 0, 0x5e, 0, 0, 1}
	them    = mac.Addr{2, 0, 0x5e, 0, 0, 2}
	byValue = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func TestProbeFrame(t *testing.T) {
	t.Parallel()
	frame := probeFrame(us, netip.MustParseAddr("192.0.2.10"))
	want := "ffffffffffff" + "02005e000001" + "0806" +
		"0001" + "0800" + "06" + "04" + "0001" +
		"02005e000001" + "00000000" + "000000000000" + "c000020a"
	if diff := cmp.Diff(want, hex.EncodeToString(frame[:])); diff != "" {
		t.Errorf("RFC 5227 section 1.1 (-want +got):\n%s", diff)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const arpHeader = "ffffffffffff 02005e000002 0806 "

func TestSender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frame string
		ok    bool
	}{
		"reply":        {arpHeader + "0001 0800 06 04 0002 02005e000002 c000020a 02005e000001 00000000", true},
		"announcement": {arpHeader + "0001 0800 06 04 0001 02005e000002 c000020a 000000000000 c000020a", true},
		"padded":       {arpHeader + "0001 0800 06 04 0002 02005e000002 c000020a 02005e000001 00000000" + strings.Repeat("00", 18), true},
		"probe":        {arpHeader + "0001 0800 06 04 0001 02005e000002 00000000 000000000000 c000020a", false},
		"cut off":      {arpHeader + "0001 0800 06 04 0002 02005e000002 c000020a 02005e000001 000000", false},
		"no Ethernet":  {arpHeader + "0006 0800 06 04 0002 02005e000002 c000020a 02005e000001 00000000", false},
		"no IPv4":      {arpHeader + "0001 86dd 06 04 0002 02005e000002 c000020a 02005e000001 00000000", false},
		"long address": {arpHeader + "0001 0800 08 04 0002 02005e000002 c000020a 02005e000001 00000000", false},
		"RARP":         {arpHeader + "0001 0800 06 04 0003 02005e000002 c000020a 02005e000001 00000000", false},
		"a group":      {arpHeader + "0001 0800 06 04 0002 03005e000002 c000020a 02005e000001 00000000", false},
		"no ARP":       {"ffffffffffff 02005e000002 0800 0001 0800 06 04 0002 02005e000002 c000020a 02005e000001 00000000", false},
	} {
		got, ok := sender(unhex(t, c.frame))
		if ok != c.ok || ok && got != (Answer{netip.MustParseAddr("192.0.2.10"), them}) {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}

// TestDiscoverFrame reads the frame with another's reader, and its IPv4 header
// by the sum of RFC 1071.
func TestDiscoverFrame(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"", "snomD785", strings.Repeat("x", 255)} {
		b := discoverFrame(us, them, class)
		sum := 0
		for i := etherLen; i < etherLen+ipLen; i += 2 {
			sum += int(b[i])<<8 | int(b[i+1])
		}
		if sum = sum&0xffff + sum>>16; sum != 0xffff {
			t.Errorf("header adds up to %x", sum)
		}
		if got := hex.EncodeToString(b[:14]); got != "ffffffffffff02005e0000010800" {
			t.Errorf("Ethernet header %s", got)
		}
		if len(b) < 342 || int(b[16])<<8|int(b[17]) != len(b)-14 || int(b[38])<<8|int(b[39]) != len(b)-34 {
			t.Errorf("%d octets, with lengths % x and % x", len(b), b[16:18], b[38:40])
		}
		m, err := dhcpv4.FromBytes(b[42:])
		if err != nil {
			t.Fatal(err)
		}
		if m.MessageType() != dhcpv4.MessageTypeDiscover || !m.IsBroadcast() || mac.Addr(m.ClientHWAddr) != them || m.ClassIdentifier() != class {
			t.Errorf("message %v", m)
		}
	}
}

// answer is a server's message in a frame.
func answer(t testing.TB, change func(*dhcpv4.DHCPv4)) []byte {
	t.Helper()
	m, err := dhcpv4.New(
		dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
		dhcpv4.WithHwAddr(net.HardwareAddr(us[:])),
		dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 77)),
		dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 9)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 9))),
		dhcpv4.WithLeaseTime(3600),
		dhcpv4.WithOption(dhcpv4.OptTFTPServerName("http://192.0.2.9\x00")),
		dhcpv4.WithOption(dhcpv4.OptBootFileName("snomD785.htm")),
	)
	if err != nil {
		t.Fatal(err)
	}
	m.OpCode = dhcpv4.OpcodeBootReply
	if change != nil {
		change(m)
	}
	payload := m.ToBytes()
	b := discoverFrame(them, us, "")[:etherLen+ipLen+udpLen]
	n := ipLen + udpLen + len(payload)
	b[16], b[17], b[36], b[37] = byte(n>>8), byte(n), 0, clientPort
	return append(b, payload...)
}

func TestReadServer(t *testing.T) {
	t.Parallel()
	whole := Server{
		ID: netip.MustParseAddr("192.0.2.9"), MAC: them, Offered: netip.MustParseAddr("192.0.2.77"), LeaseTime: time.Hour,
		TFTPServerName: "http://192.0.2.9", Bootfile: "snomD785.htm", Answer: true,
	}
	forAnother := whole
	forAnother.Answer = false
	refusal := Server{ID: whole.ID, MAC: them, Answer: true}
	for name, c := range map[string]struct {
		frame []byte
		want  *Server
	}{
		"offer":            {answer(t, nil), &whole},
		"padded":           {append(answer(t, nil), make([]byte, 20)...), &whole},
		"for a client":     {answer(t, func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr{2, 0, 0, 0, 0, 9} }), &forAnother},
		"no end":           {bytesBefore(answer(t, nil), 255), &whole},
		"NAK":              {answer(t, nak), &refusal},
		"no identifier":    {answer(t, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionServerIdentifier) }), nil},
		"no server's type": {answer(t, func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeInform)) }), nil},
		"a client's":       {answer(t, func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }), nil},
		"cut off":          {answer(t, nil)[:200], nil},
		"a DISCOVER":       {discoverFrame(us, us, ""), nil},
		"nothing":          {nil, nil},
	} {
		got, ok := readServer(c.frame, us)
		if c.want == nil {
			if ok {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if diff := cmp.Diff(*c.want, got, byValue); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", name, ok, diff)
		}
	}
}

func nak(m *dhcpv4.DHCPv4) {
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
	m.YourIPAddr = net.IPv4zero
	for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName} {
		m.Options.Del(o)
	}
}

// bytesBefore cuts a frame at its last such octet, and puts its length right.
func bytesBefore(b []byte, octet byte) []byte {
	i := len(b) - 1
	for b[i] != octet {
		i--
	}
	n := i - etherLen
	b[16], b[17] = byte(n>>8), byte(n)
	return b[:i]
}

func FuzzReadServer(f *testing.F) {
	f.Add(answer(f, nil))
	f.Add(answer(f, nak))
	f.Add(discoverFrame(us, them, "snomD785"))
	f.Add(unhex(f, arpHeader+"0001 0800 06 04 0002 02005e000002 c000020a 02005e000001 00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := readServer(b, us); ok && !s.ID.Is4() {
			t.Errorf("a server without an identifier: %+v", s)
		}
		if a, ok := sender(b); ok && (!a.Addr.Is4() || a.Addr.IsUnspecified()) {
			t.Errorf("an answer without an address: %+v", a)
		}
	})
}

// TestWire asks a true wire with two machines on it.
func TestWire(t *testing.T) {
	netnstest.Need(t)
	n := netnstest.NewNet(t, "probe", netip.MustParsePrefix("192.0.2.1/24"))
	n.Host(t, them, netip.MustParsePrefix("192.0.2.10/24"))
	ifi, err := net.InterfaceByName("probe")
	if err != nil {
		t.Fatal(err)
	}
	arp, err := OpenARP(ifi)
	if err != nil {
		t.Fatal(err)
	}
	echo, err := OpenEcho()
	if err != nil {
		t.Fatal(err)
	}
	type asker interface {
		Ask(netip.Addr) error
		Receive() (Answer, error)
		Close() error
	}
	for name, c := range map[string]struct {
		asker
		mac mac.Addr
	}{"ARP": {arp, them}, "ICMP": {echo, mac.Addr{}}} {
		answers := make(chan Answer, 16) // the kernel asks, too, and is answered
		ended := make(chan error, 1)
		go func() {
			for {
				a, err := c.Receive()
				if err != nil {
					ended <- err
					return
				}
				select {
				case answers <- a:
				default: // nobody reads any more
				}
			}
		}()
		for _, a := range []string{"192.0.2.11", "192.0.2.10"} {
			if err := c.Ask(netip.MustParseAddr(a)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		want := Answer{netip.MustParseAddr("192.0.2.10"), c.mac}
		select {
		case got := <-answers:
			if got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: no answer", name)
		}
		c.Close()
		<-ended // by an error of the library's
	}
}

func TestNoEthernet(t *testing.T) {
	t.Parallel()
	if _, err := OpenARP(&net.Interface{Name: "lo"}); err == nil || err.Error() != "opening lo for ARP: interface is not Ethernet's" {
		t.Errorf("error: %v", err)
	}
}
