package dhcpd

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/internal/mac"
)

// way is how a reply travels.
type way uint8

const (
	// toRelay is a datagram to the relay agent.
	toRelay way = iota + 1
	// toUnicast is a datagram to a client that answers for its address.
	toUnicast
	// toBroadcast is a datagram to everyone on the wire.
	toBroadcast
	// toHardware is a frame to a client that does not have its address yet, so
	// that nobody can ask for its hardware address.
	toHardware
)

func (w way) String() string {
	switch w {
	case toRelay:
		return "Relay"
	case toUnicast:
		return "Unicast"
	case toBroadcast:
		return "Broadcast"
	case toHardware:
		return "Hardware"
	default:
		return "nowhere"
	}
}

// destination is where a reply goes.
type destination struct {
	way  way
	addr netip.AddrPort
	mac  mac.Addr // for Hardware
}

const (
	serverPort = 67
	clientPort = 68
)

// route decides where a reply goes (RFC 2131 section 4.1). yiaddr is the
// address that it gives, ciaddr the one that the client is known to have.
func route(r *request, kind dhcpv4.MessageType, yiaddr, ciaddr netip.Addr) destination {
	switch {
	case r.relayed():
		port := uint16(serverPort)
		if r.relayPort && r.source.Port() != 0 {
			port = r.source.Port() // RFC 8357
		}
		return destination{way: toRelay, addr: netip.AddrPortFrom(r.giaddr, port)}
	case kind == dhcpv4.MessageTypeNak:
		// "the server MUST broadcast the DHCPNAK message": the client may not
		// have the address that it believes in.
		return destination{way: toBroadcast, addr: netip.AddrPortFrom(broadcastAddr, clientPort)}
	case ciaddr.IsValid():
		return destination{way: toUnicast, addr: netip.AddrPortFrom(ciaddr, clientPort)}
	case r.flags&flagBcast != 0 || !yiaddr.IsValid():
		return destination{way: toBroadcast, addr: netip.AddrPortFrom(broadcastAddr, clientPort)}
	default:
		return destination{way: toHardware, addr: netip.AddrPortFrom(yiaddr, clientPort), mac: r.mac}
	}
}
