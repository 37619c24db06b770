package dhcpd

import (
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestRoute is RFC 2131 section 4.1, every case in the order of its rules.
func TestRoute(t *testing.T) {
	t.Parallel()
	const offer, ack, nak = dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak
	relay, client, given := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	var none netip.Addr
	atPort := netip.AddrPortFrom
	everyone := destination{way: toBroadcast, addr: netip.MustParseAddrPort("255.255.255.255:68")}
	for _, c := range []struct {
		name           string
		r              request
		kind           dhcpv4.MessageType
		yiaddr, ciaddr netip.Addr
		want           destination
	}{
		{"relay", request{giaddr: relay}, offer, given, none, destination{way: toRelay, addr: atPort(relay, 67)}},
		{"relay before ciaddr", request{giaddr: relay}, ack, given, given, destination{way: toRelay, addr: atPort(relay, 67)}},
		{"relay before broadcast", request{giaddr: relay, flags: flagBcast}, ack, given, none, destination{way: toRelay, addr: atPort(relay, 67)}},
		{"relay for a NAK", request{giaddr: relay}, nak, none, none, destination{way: toRelay, addr: atPort(relay, 67)}},
		{"relay with its own port", request{giaddr: relay, agent: agent{relayPort: true}, source: atPort(relay, 4000)}, ack, given, none, destination{way: toRelay, addr: atPort(relay, 4000)}},
		{"relay on another port that does not say so", request{giaddr: relay, source: atPort(relay, 4000)}, ack, given, none, destination{way: toRelay, addr: atPort(relay, 67)}},
		{"NAK", request{}, nak, none, none, everyone},
		{"NAK to a renewing client", request{ciaddr: client}, nak, none, client, everyone},
		{"renewal", request{}, ack, client, client, destination{way: toUnicast, addr: atPort(client, 68)}},
		{"renewal with broadcast flag", request{flags: flagBcast}, ack, client, client, destination{way: toUnicast, addr: atPort(client, 68)}},
		{"broadcast flag", request{flags: flagBcast, mac: testMAC}, offer, given, none, everyone},
		{"other flags", request{flags: 0x7fff, mac: testMAC}, offer, given, none, destination{way: toHardware, addr: atPort(given, 68), mac: testMAC}},
		{"no address", request{mac: testMAC}, offer, given, none, destination{way: toHardware, addr: atPort(given, 68), mac: testMAC}},
		{"no address at all", request{mac: testMAC}, ack, none, none, everyone},
	} {
		if got := route(&c.r, c.kind, c.yiaddr, c.ciaddr); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
