package rig

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"dialtone/internal/mac"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var addrs = cmpopts.EquateComparable(netip.Addr{})

func TestMessageLayout(t *testing.T) {
	t.Parallel()
	m := Message{
		Kind: Request, XID: 0x01020304, Secs: 7, MAC: mac.Addr{0, 4, 0x13, 1, 2, 3},
		GIAddr: netip.MustParseAddr("192.0.2.2"), Requested: netip.MustParseAddr("192.0.2.77"),
		Server: netip.MustParseAddr("192.0.2.1"), Class: "snomD785", ClientID: true,
	}
	got := m.AppendTo([]byte("before"))[len("before"):]
	if len(got) != minMessage {
		t.Errorf("the message has %d octets, not %d", len(got), minMessage)
	}
	header := make([]byte, HeaderLen)
	copy(header, []byte{1, 1, 6, 1, 1, 2, 3, 4, 0, 7, 0, 0})
	copy(header[24:], []byte{192, 0, 2, 2, 0, 4, 0x13, 1, 2, 3})
	if diff := cmp.Diff(header, got[:HeaderLen]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	options := append([]byte{
		99, 130, 83, 99,
		53, 1, 3, 50, 4, 192, 0, 2, 77, 54, 4, 192, 0, 2, 1,
		55, 14, 1, 3, 4, 6, 12, 15, 42, 43, 51, 66, 67, 120, 125, 133,
		57, 2, 5, 192, 60, 8,
	}, "snomD785\x3d\x07\x01\x00\x04\x13\x01\x02\x03\xff"...)
	if diff := cmp.Diff(options, bytes.TrimRight(got[HeaderLen:], "\x00")); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// answerTo is a server's reply to m.
func answerTo(m []byte, kind byte, yiaddr netip.Addr, options ...byte) []byte {
	b := bytes.Clone(m[:HeaderLen+len(cookie)])
	b[0] = 2
	putAddr(b[16:], yiaddr)
	return append(append(b, 53, 1, kind), options...)
}

func TestParseReply(t *testing.T) {
	t.Parallel()
	asked := Message{Kind: Discover, XID: 9, MAC: mac.Addr{2, 0, 0, 0, 0, 9}}.AppendTo(nil)
	yiaddr := netip.MustParseAddr("192.0.2.77")
	whole := Reply{Kind: Offer, XID: 9, MAC: mac.Addr{2, 0, 0, 0, 0, 9}, YIAddr: yiaddr, Server: netip.MustParseAddr("192.0.2.1")}
	noServer := whole
	noServer.Server = netip.Addr{}
	long := append([]byte{43, 255}, make([]byte, 255)...)
	for _, c := range []struct {
		name string
		in   []byte
		want Reply
		ok   bool
	}{
		{"offer", answerTo(asked, Offer, yiaddr, 54, 4, 192, 0, 2, 1, 255, 7), whole, true},
		{"padding before the option", answerTo(asked, Offer, yiaddr, 0, 0, 54, 4, 192, 0, 2, 1, 255), whole, true},
		{"no end", answerTo(asked, Offer, yiaddr, 54, 4, 192, 0, 2, 1), whole, true},
		{"longest option", answerTo(asked, Offer, yiaddr, append(long, 54, 4, 192, 0, 2, 1, 255)...), whole, true},
		{"server of three octets", answerTo(asked, Offer, yiaddr, 54, 3, 192, 0, 2, 255), noServer, true},
		{"option overruns", answerTo(asked, Offer, yiaddr, 54, 4, 192), Reply{}, false},
		{"length missing", answerTo(asked, Offer, yiaddr, 54), Reply{}, false},
		{"a request", asked, Reply{}, false},
		{"no message type", answerTo(asked, Offer, yiaddr)[:HeaderLen+4], Reply{XID: 9, MAC: whole.MAC, YIAddr: yiaddr}, false},
		{"cut in the header", answerTo(asked, Offer, yiaddr)[:100], Reply{}, false},
		{"nothing", nil, Reply{}, false},
	} {
		got, ok := ParseReply(c.in)
		if ok != c.ok {
			t.Errorf("%s: parsed is %t, want %t", c.name, ok, c.ok)
		}
		if diff := cmp.Diff(c.want, got, addrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	from := mac.Addr{2, 0, 0, 0, 0, 9}
	for _, payload := range [][]byte{[]byte("even"), []byte("odd")} {
		f := AppendFrame([]byte("before"), from, payload)[len("before"):]
		ip, udp := f[etherLen:etherLen+ipv4Len], f[etherLen+ipv4Len:]
		if sum := checksum(0, ip); sum != 0 {
			t.Errorf("%s: the IP header's sum is off by %#x", payload, sum)
		}
		pseudo := append(bytes.Clone(ip[12:20]), 0, protocolUDP, 0, byte(len(udp)))
		if sum := checksum(0, append(pseudo, udp...)); sum != 0 {
			t.Errorf("%s: the UDP sum is off by %#x", payload, sum)
		}
		if got := [2]int{int(binary.BigEndian.Uint16(udp)), int(binary.BigEndian.Uint16(udp[2:]))}; got != [2]int{68, 67} {
			t.Errorf("%s: from and to port %v", payload, got)
		}
		if got := mac.Addr(f[6:12]); got != from {
			t.Errorf("%s: the frame is from %s", payload, got)
		}

		if _, ok := parseFrame(f); ok {
			t.Errorf("%s: what a client says was taken for an answer", payload)
		}
		udp[3] = ClientPort
		got, ok := parseFrame(append(f, 0, 0)) // Ethernet's padding
		if !ok || !bytes.Equal(got, payload) {
			t.Errorf("the frame with %q gave %q, %t", payload, got, ok)
		}
		for n := range len(f) {
			if got, ok := parseFrame(f[:n]); ok {
				t.Errorf("%d octets of the frame with %q gave %q", n, payload, got)
			}
		}
	}
}
