package phonesim

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"dialtone/internal/mac"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// scriptedLink answers each message by a function, on a clock that stands
// still but while the client waits in vain.
type scriptedLink struct {
	t       *testing.T
	now     time.Time
	answer  func(n int, m *dhcpv4.DHCPv4) [][]byte // n counts messages from 0
	sent    []*dhcpv4.DHCPv4
	waits   []time.Duration
	started time.Time
	inbox   [][]byte
}

func (l *scriptedLink) send(message []byte) error {
	m, err := dhcpv4.FromBytes(message)
	if err != nil {
		l.t.Fatalf("the client sent what cannot be read: %v", err)
	}
	if len(l.sent) > 0 {
		l.waits = append(l.waits, l.now.Sub(l.started))
	}
	l.started = l.now
	l.sent = append(l.sent, m)
	l.inbox = l.answer(len(l.sent)-1, m)
	return nil
}

func (l *scriptedLink) receive(deadline time.Time) ([]byte, error) {
	if len(l.inbox) == 0 {
		l.now = deadline
		return nil, os.ErrDeadlineExceeded
	}
	b := l.inbox[0]
	l.inbox = l.inbox[1:]
	return b, nil
}

func (l *scriptedLink) close() {}

func (l *scriptedLink) client() *dhcpClient {
	return &dhcpClient{
		mac: phoneMAC, vendorClass: "snomD785", retransmit: 4 * time.Second, attempts: 4,
		now: func() time.Time { return l.now }, event: func(Event) {},
	}
}

func newScript(t *testing.T, answer func(int, *dhcpv4.DHCPv4) [][]byte) *scriptedLink {
	return &scriptedLink{t: t, now: time.Unix(1_000_000, 0), answer: answer}
}

// reply is what a plain server says.
func reply(t *testing.T, m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) []byte {
	t.Helper()
	mods := append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithYourIP(net.IPv4(192, 168, 50, 20)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 168, 50, 1))),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithLeaseTime(43200),
	}, more...)
	r, err := dhcpv4.NewReplyFromRequest(m, mods...)
	if err != nil {
		t.Fatal(err)
	}
	return r.ToBytes()
}

func text(code uint8, s string) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), []byte(s))
}

func TestAcquire(t *testing.T) {
	t.Parallel()
	l := newScript(t, func(_ int, m *dhcpv4.DHCPv4) [][]byte {
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}
		stranger := reply(t, m, kind, text(66, "http://stranger"))
		stranger[4] ^= 0xff // another transaction
		request := reply(t, m, kind, text(66, "http://request"))
		request[0] = 1
		good := reply(t, m, kind, text(66, "http://192.168.50.1"), text(67, "snomD785.htm\x00"), text(132, "20"), text(133, "5"),
			dhcpv4.WithDNS(net.IPv4(192, 168, 50, 2)), dhcpv4.WithRouter(net.IPv4(192, 168, 50, 1)))
		// No End option, and no padding behind it.
		for good[len(good)-1] == 0 {
			good = good[:len(good)-1]
		}
		return [][]byte{{1, 2, 3}, stranger, request, good[:len(good)-1]}
	})
	got, err := l.client().acquire(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	want := &Lease{
		Address: netip.MustParseAddr("192.168.50.20"), Bits: 24, Server: netip.MustParseAddr("192.168.50.1"),
		Routers: []netip.Addr{netip.MustParseAddr("192.168.50.1")}, DNSServers: []netip.Addr{netip.MustParseAddr("192.168.50.2")},
		LeaseSeconds: 43200, TFTPServerName: "http://192.168.50.1", BootFile: "snomD785.htm", VLANID: "20", VLANPriority: "5",
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("lease (-want +got):\n%s", d)
	}
	if len(l.sent) != 2 {
		t.Fatalf("the client sent %d messages, want DISCOVER and REQUEST", len(l.sent))
	}
	discover, request := l.sent[0], l.sent[1]
	list := []byte{1, 3, 4, 6, 12, 15, 42, 43, 51, 66, 67, 120, 125, 133}
	for _, m := range l.sent {
		if got := m.Options.Get(dhcpv4.OptionParameterRequestList); !cmp.Equal(got, list) {
			t.Errorf("%s asks for %v, want %v", m.MessageType(), got, list)
		}
		if got := m.ClassIdentifier(); got != "snomD785" {
			t.Errorf("%s has vendor class %q", m.MessageType(), got)
		}
		if m.IsBroadcast() {
			t.Errorf("%s has the broadcast flag", m.MessageType())
		}
		if m.Options.Get(dhcpv4.OptionClientIdentifier) != nil {
			t.Errorf("%s has a client-id", m.MessageType())
		}
	}
	if discover.RequestedIPAddress() != nil || discover.ServerIdentifier() != nil {
		t.Error("DISCOVER names an address or a server")
	}
	if !request.RequestedIPAddress().Equal(net.IPv4(192, 168, 50, 20)) || !request.ServerIdentifier().Equal(net.IPv4(192, 168, 50, 1)) {
		t.Errorf("REQUEST asks %v for %v", request.ServerIdentifier(), request.RequestedIPAddress())
	}
	if request.TransactionID != discover.TransactionID {
		t.Error("REQUEST has another transaction than DISCOVER (RFC 2131 §4.4.1)")
	}
}

func TestAcquireWithoutServer(t *testing.T) {
	t.Parallel()
	l := newScript(t, func(int, *dhcpv4.DHCPv4) [][]byte { return nil })
	_, err := l.client().acquire(context.Background(), l)
	if want := "no answer to DISCOVER after 4 tries in 1m0s"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	want := []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second}
	if d := cmp.Diff(want, l.waits); d != "" {
		t.Errorf("waits between messages (-want +got):\n%s", d)
	}
	if got := l.sent[3].NumSeconds; got != 28 {
		t.Errorf("the last DISCOVER says secs %d, want 28", got)
	}
}

func TestAcquireCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	l := newScript(t, func(int, *dhcpv4.DHCPv4) [][]byte { cancel(); return nil })
	_, err := l.client().acquire(ctx, l)
	if want := "waiting for a DHCP server: context canceled"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAcquireAfterNAK(t *testing.T) {
	t.Parallel()
	refusals := 1
	l := newScript(t, func(_ int, m *dhcpv4.DHCPv4) [][]byte {
		switch {
		case m.MessageType() == dhcpv4.MessageTypeDiscover:
			return [][]byte{reply(t, m, dhcpv4.MessageTypeOffer)}
		case refusals > 0:
			refusals--
			return [][]byte{reply(t, m, dhcpv4.MessageTypeNak)}
		}
		return [][]byte{reply(t, m, dhcpv4.MessageTypeAck)}
	})
	if _, err := l.client().acquire(context.Background(), l); err != nil {
		t.Error(err)
	}
	refusals = 1000
	_, err := l.client().acquire(context.Background(), l)
	if want := "leasing an address: the server answered NAK every time"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	l := newScript(t, func(_ int, m *dhcpv4.DHCPv4) [][]byte {
		return [][]byte{reply(t, m, dhcpv4.MessageTypeAck)}
	})
	held := &Lease{Address: netip.MustParseAddr("192.168.50.20"), Server: netip.MustParseAddr("192.168.50.1")}
	if _, err := l.client().extend(context.Background(), l, held); err != nil {
		t.Fatal(err)
	}
	m := l.sent[0]
	if !m.ClientIPAddr.Equal(net.IPv4(192, 168, 50, 20)) || m.RequestedIPAddress() != nil || m.ServerIdentifier() != nil {
		t.Errorf("a renewal has ciaddr %v, option 50 %v, option 54 %v; want ciaddr alone (RFC 2131 §4.3.2)",
			m.ClientIPAddr, m.RequestedIPAddress(), m.ServerIdentifier())
	}
}

// What option 43 holds wins over the options themselves, and what INFORM
// brings does not undo that.
func TestTunnelWins(t *testing.T) {
	t.Parallel()
	tunnel := "\x42\x0chttp://test\x00\x43\x12snom/settings.php\x00\x84\x02" + "3\x00\x85\x02" + "5\x00"
	l := newScript(t, func(_ int, m *dhcpv4.DHCPv4) [][]byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			return [][]byte{reply(t, m, dhcpv4.MessageTypeOffer)}
		case dhcpv4.MessageTypeInform:
			return [][]byte{reply(t, m, dhcpv4.MessageTypeAck, text(66, "http://inform"), text(132, "9"))}
		}
		return [][]byte{reply(t, m, dhcpv4.MessageTypeAck, text(66, "http://direct"), text(67, "d"), text(43, tunnel))}
	})
	lease, err := l.client().acquire(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.client().inform(context.Background(), l, lease); err != nil {
		t.Fatal(err)
	}
	got := []any{lease.TFTPServerName, lease.BootFile, lease.VLANID, lease.VLANPriority, lease.Tunnelled}
	want := []any{"http://test", "snom/settings.php", "3", "5", []int{66, 67, 132, 133}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, want := l.sent[2].Options.Get(dhcpv4.OptionParameterRequestList), []byte{43, 120, 125, 132}; !cmp.Equal(got, want) {
		t.Errorf("INFORM asks for %v, want %v", got, want)
	}
}

func TestVendorOptions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]map[uint8]string{
		"":                           {},
		"\x84\x02" + "3\x00":         {132: "3"},
		"\x84\x01" + "3":             {132: "3"},
		"\x00\x00\x84\x01" + "3\xff": {132: "3"},
		"\x84\x013\x42\x09http":      {132: "3"},
		"\x84":                       {},
		"\x84\x00":                   {132: ""},
	} {
		if d := cmp.Diff(want, vendorOptions([]byte(in))); d != "" {
			t.Errorf("vendorOptions(%q) (-want +got):\n%s", in, d)
		}
	}
}

func TestNewLeaseRefuses(t *testing.T) {
	t.Parallel()
	discover, err := dhcpv4.NewDiscovery(net.HardwareAddr(phoneMAC[:]))
	if err != nil {
		t.Fatal(err)
	}
	for want, mod := range map[string]dhcpv4.Modifier{
		"the ACK has no address":                       dhcpv4.WithYourIP(net.IPv4zero),
		"the ACK has no server identifier (option 54)": dhcpv4.WithoutOption(dhcpv4.OptionServerIdentifier),
		"the ACK has no lease time (option 51)":        dhcpv4.WithoutOption(dhcpv4.OptionIPAddressLeaseTime),
	} {
		m, err := dhcpv4.FromBytes(reply(t, discover, dhcpv4.MessageTypeAck, mod))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newLease(m); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, payload := range [][]byte{{}, {1}, {1, 2, 3}, make([]byte, 1000)} {
		b := encodeFrame(phoneMAC, payload)
		if got := mac.Addr(b[6:12]); got != phoneMAC {
			t.Errorf("the frame comes from %s", got)
		}
		if got := fold(sum(0, b[14:34])); got != 0xffff {
			t.Errorf("IPv4 header sums up to %#x", got)
		}
		pseudo := append(append([]byte{}, b[26:34]...), 0, 17, 0, 0)
		binary.BigEndian.PutUint16(pseudo[10:], uint16(len(b)-34))
		if got := fold(sum(sum(0, pseudo), b[34:])); got != 0xffff {
			t.Errorf("UDP datagram of %d bytes sums up to %#x", len(payload), got)
		}
		// A reply differs from a request in its ports.
		binary.BigEndian.PutUint16(b[36:], clientPort)
		got, ok := decodeFrame(append(b, 0, 0, 0)) // padding of the frame
		if !ok || !cmp.Equal(got, payload, cmpopts.EquateEmpty()) {
			t.Errorf("decodeFrame gives %d bytes, %v, want %d", len(got), ok, len(payload))
		}
	}
}

func TestDecodeFrameRefuses(t *testing.T) {
	t.Parallel()
	good := encodeFrame(phoneMAC, []byte{1, 2, 3, 4})
	binary.BigEndian.PutUint16(good[36:], clientPort)
	for name, change := range map[string]func(b []byte) []byte{
		"short":            func(b []byte) []byte { return b[:41] },
		"not IPv4":         func(b []byte) []byte { b[12] = 0x86; return b },
		"version 6":        func(b []byte) []byte { b[14] = 0x65; return b },
		"header too short": func(b []byte) []byte { b[14] = 0x44; return b },
		"total too long":   func(b []byte) []byte { b[17] = 200; return b },
		"total too short":  func(b []byte) []byte { b[17] = 21; return b },
		"fragment":         func(b []byte) []byte { b[20] = 0x20; return b },
		"TCP":              func(b []byte) []byte { b[23] = 6; return b },
		"another port":     func(b []byte) []byte { b[37] = 67; return b },
		"UDP too long":     func(b []byte) []byte { b[39] = 200; return b },
		"UDP too short":    func(b []byte) []byte { b[39] = 7; return b },
	} {
		if _, ok := decodeFrame(change(append([]byte(nil), good...))); ok {
			t.Errorf("%s: taken for a reply", name)
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	good := encodeFrame(phoneMAC, make([]byte, 300))
	binary.BigEndian.PutUint16(good[36:], clientPort)
	f.Add(good)
	options := append([]byte(nil), good...)
	options[14] = 0x4f
	f.Add(options)
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, ok := decodeFrame(b)
		if ok && len(payload) > len(b)-etherLen-ipv4Len-udpLen {
			t.Errorf("%d bytes of payload in a frame of %d", len(payload), len(b))
		}
		vendorOptions(payload)
	})
}

// FuzzLease reads what servers answer a phone, their option 43 tunnelled as in
// the maker's guide.
func FuzzLease(f *testing.F) {
	ack := func(options ...byte) []byte {
		b := make([]byte, 240)
		b[0], b[1], b[2] = 2, 1, 6
		copy(b[16:], []byte{192, 168, 50, 100})
		copy(b[28:], phoneMAC[:])
		copy(b[236:], []byte{99, 130, 83, 99})
		return append(append(b, 53, 1, 5, 54, 4, 192, 168, 50, 1, 51, 4, 0, 0, 0xa8, 0xc0, 1, 4, 255, 255, 255, 0), append(options, 255)...)
	}
	f.Add(ack())
	f.Add(ack(append([]byte{3, 4, 192, 168, 50, 1, 66, 19}, "http://192.168.50.1"...)...))
	f.Add(ack(append([]byte{43, 21, 66, 19}, "http://192.168.50.1"...)...))
	f.Add(ack(43, 4, 132, 200, '2', '0', 12, 3, 0xc3, 0xb6, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		l, err := newLease(m)
		if err != nil {
			return
		}
		if !l.Address.IsValid() || !l.Server.IsValid() || l.LeaseSeconds == 0 || l.Bits < 0 || l.Bits > 32 {
			t.Errorf("lease %+v", l)
		}
	})
}
