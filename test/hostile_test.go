package test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// udp opens a socket on h.
func udp(t testing.TB, h *netnstest.Host, local string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := h.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(local)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// message is a DISCOVER of a client, as bytes to be spoilt.
func message(t testing.TB, xid byte, more ...dhcpv4.Modifier) []byte {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 1, xid}),
		dhcpv4.WithMessageType(dhcpv4.MessageTypeInform),
		dhcpv4.WithClientIP(net.IPv4(192, 168, 50, 63)),
		dhcpv4.WithTransactionID(dhcpv4.TransactionID{0, 0, 0, xid}),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.ToBytes()
}

// What a bad client sends gets no answer, or an error, and good clients are
// served as before. INFORM is what the messages are made of: its answer comes
// to the socket that sent it.
func TestHostileDHCP(t *testing.T) {
	t.Parallel()
	o := opened(t, "baddhcp", nil)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 6}, netip.MustParsePrefix("192.168.50.63/24"))
	conn := udp(t, h, "192.168.50.63:68")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server + ":67"))
	spoil := func(change func(b []byte) []byte, more ...dhcpv4.Modifier) func(xid byte) []byte {
		return func(xid byte) []byte { return change(message(t, xid, more...)) }
	}
	set := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	option := func(code uint8, v []byte) dhcpv4.Modifier {
		return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), v)
	}
	same := func(b []byte) []byte { return b }
	cases := []struct {
		name string
		make func(xid byte) []byte
		may  bool // be answered
	}{
		{"nothing", spoil(func([]byte) []byte { return nil }), false},
		{"one byte", spoil(func(b []byte) []byte { return b[:1] }), false},
		{"half a header", spoil(func(b []byte) []byte { return b[:120] }), false},
		{"no cookie", spoil(func(b []byte) []byte { return b[:236] }), false},
		{"another cookie", spoil(set(236, 0)), false},
		{"no options", spoil(func(b []byte) []byte { return b[:240] }), false},
		{"a reply", spoil(set(0, 2)), false},
		{"hlen 255", spoil(set(2, 255)), false},
		{"hlen 17", spoil(set(2, 17)), false},
		{"hlen 0", spoil(set(2, 0)), false},
		{"htype 0", spoil(set(1, 0)), false},
		{"client-id of no length", spoil(same, option(61, nil)), false},
		{"message type 0", spoil(same, option(53, []byte{0})), false},
		{"message type 255", spoil(same, option(53, []byte{255})), false},
		{"message type of two bytes", spoil(same, option(53, []byte{8, 8})), false},
		{"no End", spoil(func(b []byte) []byte { i := slices.Index(b[240:], 255); return b[:240+i] }), true},
		{"option longer than the packet", spoil(func(b []byte) []byte { return append(b[:250], 12, 255, 'x') }), true},
		{"hops 255", spoil(set(3, 255)), true},
		{"host name of controls", spoil(same, option(12, []byte("\x00\x1b[31m\r\n<script>"))), true},
		{"vendor class of 255 bytes", spoil(same, option(60, slices.Repeat([]byte("snom%s%n"), 31))), true},
		{"overload of itself", spoil(same, option(52, []byte{3})), true},
		{"maximum size 0", spoil(same, option(57, []byte{0, 0})), true},
		{"quadratic domain search", spoil(same, option(119, slices.Repeat([]byte{1, 'a', 0xc0, 0}, 60))), true},
		{"9000 bytes", spoil(func(b []byte) []byte { return append(b, make([]byte, 9000)...) }), true},
	}
	answered := map[byte]bool{}
	buf := make([]byte, 64<<10)
	// sync sends a good message and reads until its answer is there: what came
	// before it was asked for by what was sent before it.
	sync := func(xid byte) {
		t.Helper()
		for try := 0; ; try++ {
			if _, err := conn.WriteToUDP(message(t, xid), to); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(2 * time.Second)
			for {
				_ = conn.SetReadDeadline(deadline)
				n, _, err := conn.ReadFromUDP(buf)
				if errors.Is(err, os.ErrDeadlineExceeded) && try < 5 {
					break
				}
				if err != nil {
					t.Fatalf("a good message is not answered any more: %v", err)
				}
				if n >= 8 {
					answered[buf[7]] = true
					if buf[7] == xid {
						return
					}
				}
			}
		}
	}
	sync(200)
	for i, c := range cases {
		xid := byte(i + 1)
		if _, err := conn.WriteToUDP(c.make(xid), to); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		sync(byte(100 + i))
		if answered[xid] && !c.may {
			t.Errorf("%s: answered", c.name)
		}
	}
	s := o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String())
	if s.Lease.Address.String() != "192.168.50.20" {
		t.Errorf("after it all the phone has %s", s.Lease.Address)
	}
	if log := o.service.Log.String(); strings.Contains(log, "panic") || strings.ContainsAny(log, "\x1b\x00") {
		t.Errorf("the log:\n%s", log)
	}
}

// A flood of clients that nobody knows, each of which claims to have leased an
// address, gets half of the network at most; who comes after it is leased one.
func TestHostileClaims(t *testing.T) {
	t.Parallel()
	o := opened(t, "badclaims", nil)
	o.service.Wait(alone)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.66/24"))
	conn := udp(t, h, "192.168.50.66:68")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server + ":67"))
	flood := func() {
		for i := range 1000 {
			requested := net.IPv4(192, 168, 50, byte(100+i%100))
			b := message(t, byte(i), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithHwAddr(net.HardwareAddr{2, 1, 0, 0, byte(i >> 8), byte(i)}),
				dhcpv4.WithClientIP(net.IPv4zero), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(requested)))
			if _, err := conn.WriteToUDP(b, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood()
	const half = 50 // of 99
	for try := 0; ; try++ {
		var status struct {
			Pools []struct{ Size, Leased int }
		}
		if err := json.Unmarshal([]byte(o.status(t)), &status); err != nil {
			t.Fatal(err)
		}
		if p := status.Pools[0]; p.Size != 99 || p.Leased > half {
			t.Fatalf("the flood has %d of %d addresses", p.Leased, p.Size)
		} else if p.Leased == half {
			break
		} else if try == 50 {
			t.Fatalf("only %d addresses are leased: that is no flood", p.Leased)
		}
		flood()
		time.Sleep(100 * time.Millisecond)
	}
	if s := o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String()); s.Lease.Address.String() != "192.168.50.20" {
		t.Errorf("after it the phone of the configuration has %s", s.Lease.Address)
	}
	o.leased(t, mac.Addr{0, 4, 0x13, 0x71, 0, 3}, "snomD785")
}

// tftpError reads one packet and gives the code and text of an ERROR.
func tftpError(t testing.TB, conn *net.UDPConn) (code uint16, text string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := conn.ReadFromUDP(buf)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if n < 5 || binary.BigEndian.Uint16(buf) != 5 {
		t.Fatalf("opcode %d, not ERROR", binary.BigEndian.Uint16(buf))
	}
	return binary.BigEndian.Uint16(buf[2:]), strings.TrimRight(string(buf[4:n]), "\x00")
}

func TestHostileTFTP(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "badtftp", nil)
	write(t, o.config+"/../outside", "outside")
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 7}, netip.MustParsePrefix("192.168.50.64/24"))
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server + ":69"))
	send := func(conn *net.UDPConn, text string) {
		t.Helper()
		if _, err := conn.WriteToUDP([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	for name, packet := range map[string]string{
		"one up":           "\x00\x01../outside\x00octet\x00",
		"many up":          "\x00\x01files/../../../../../../etc/passwd\x00octet\x00",
		"absolute":         "\x00\x01/etc/passwd\x00octet\x00",
		"unknown mode":     "\x00\x01snomD785.htm\x00gopher\x00",
		"mail":             "\x00\x01snomD785.htm\x00mail\x00",
		"write":            "\x00\x02snomD785.htm\x00octet\x00",
		"missing file":     "\x00\x01firmware/gone.bin\x00octet\x00",
		"empty name":       "\x00\x01\x00octet\x00",
		"name of 400":      "\x00\x01" + strings.Repeat("a", 400) + "\x00octet\x00",
		"backslashes":      "\x00\x01..\\..\\outside\x00octet\x00",
		"a phone's own":    "\x00\x01snomD785/000413922D24.xml\x00octet\x00",
		"name of controls": "\x00\x01\x1b[31m\r\n.htm\x00octet\x00",
	} {
		conn := udp(t, h, "192.168.50.64:0")
		send(conn, packet)
		code, text := tftpError(t, conn)
		if text == "" || strings.Contains(text, o.config) || strings.ContainsAny(text, "\x1b\r\n") {
			t.Errorf("%s: error %d %q", name, code, text)
		}
	}
	// To these there need be no answer; a good request behind them gets its own.
	for name, packet := range map[string]string{
		"nothing":         "",
		"one byte":        "\x00",
		"opcode 9":        "\x00\x09",
		"no mode":         "\x00\x01snomD785.htm\x00",
		"no end":          "\x00\x01snomD785.htm\x00octet",
		"name of 2000":    "\x00\x01" + strings.Repeat("a", 2000) + "\x00octet\x00",
		"option cut off":  "\x00\x01snomD785.htm\x00octet\x00blksize\x00",
		"options of 2000": "\x00\x01snomD785.htm\x00octet\x00" + strings.Repeat("x\x00y\x00", 500),
		"stray ACK":       "\x00\x04\x00\x01",
		"stray DATA":      "\x00\x03\x00\x01hello",
		"stray ERROR":     "\x00\x05\x00\x00stop\x00",
	} {
		bad, good := udp(t, h, "192.168.50.64:0"), udp(t, h, "192.168.50.64:0")
		send(bad, packet)
		send(good, "\x00\x01firmware/gone.bin\x00octet\x00")
		if code, text := tftpError(t, good); code != 1 || text == "" {
			t.Errorf("after %s a good request gets error %d %q, not 1 (file not found)", name, code, text)
		}
	}
	if r := fetchers["atftp"](t, h, "/snomD785.htm", t.TempDir()+"/file"); r.Status != 0 {
		t.Errorf("after it all: %s%s", r.Stdout, r.Stderr)
	}
	if log := o.service.Log.String(); strings.Contains(log, "panic") || strings.ContainsAny(log, "\x1b\x00") {
		t.Errorf("the log:\n%s", log)
	}
}

// dialHTTP connects to the appliance, for a request that no client would send.
func dialHTTP(t testing.TB, h *netnstest.Host) (conn net.Conn) {
	t.Helper()
	err := h.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", server+":80", 10*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	o := opened(t, "badhttp", nil)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 8}, netip.MustParsePrefix("192.168.50.65/24"))
	for name, c := range map[string]struct{ request, want string }{
		"garbage":         {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HTTP/1.1 400"},
		"a write":         {"PUT /snomD785.htm HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 405"},
		"long name":       {"GET /" + strings.Repeat("a", 2000) + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 404"},
		"huge header":     {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", "HTTP/1.1 431"},
		"up and away":     {"GET /../../../../etc/passwd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 40"},
		"odd User-Agent":  {"GET /snomD785.htm HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla (\x1b[31msnom" + strings.Repeat("(", 5000) + "\r\nConnection: close\r\n\r\n", "HTTP/1.1 "},
		"two lengths":     {"GET /snomD785.htm HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400"},
		"line of nothing": {"\r\n\r\n\r\n\r\n", "HTTP/1.1 400"},
	} {
		conn := dialHTTP(t, h)
		// The server may well stop reading, and answer, before all is sent.
		go func() { _, _ = conn.Write([]byte(c.request)) }()
		buf := make([]byte, len(c.want))
		if n, err := conn.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), c.want) {
			t.Errorf("%s: %q, %v, want %s…", name, buf[:n], err, c.want)
		}
		_ = conn.Close()
	}
	if status, _ := curl(t, h, fmt.Sprintf("http://%s/snomD785.htm", server)); status != "200" {
		t.Errorf("after it all: %s", status)
	}
	if log := o.service.Log.String(); strings.Contains(log, "panic") || strings.ContainsAny(log, "\x1b\x00") {
		t.Errorf("the log:\n%s", log)
	}
}
