package tftpd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// oobLen holds both kinds of packet information, for a socket of both families.
const oobLen = 128

// receivePacketInfo has the kernel say to which of our addresses a packet came.
func receivePacketInfo(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking for packet information: %w", err)
	}
	var err4, err6 error
	err = raw.Control(func(fd uintptr) {
		err4 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		err6 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	if err == nil && err4 != nil && err6 != nil {
		err = errors.Join(err4, err6)
	}
	if err != nil {
		return fmt.Errorf("asking for packet information: %w", err)
	}
	return nil
}

// destination gives the local address that a packet was sent to, bound where
// the kernel does not say. It is false for broadcast and multicast: such requests are not answered (RFC 1123 section
// 4.2.3.5), as every server of the network would.
func destination(oob []byte, bound netip.Addr) (local netip.Addr, ok bool) {
	local = bound
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, our address, the address in the header
			ours, header := [4]byte(m.Data[4:8]), [4]byte(m.Data[8:12])
			// Ours is zero in a packet that came before the kernel was asked.
			return netip.AddrFrom4(header), ours == header || ours == [4]byte{}
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			local = netip.AddrFrom16([16]byte(m.Data[:16])).Unmap()
		}
	}
	return local, local.IsValid() && !local.IsUnspecified() && !local.IsMulticast()
}

// source gives the packet information that makes local the source of a packet.
func source(local netip.Addr) []byte {
	if local.Is4() {
		return (&ipv4.ControlMessage{Src: local.AsSlice()}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: local.AsSlice()}).Marshal()
}

// connect opens a socket that has a port of its own at local, and hears peer
// alone.
func connect(local netip.Addr, peer netip.AddrPort) (fd int, err error) {
	family, level, fragments, may := unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT
	if local.Is4() {
		family, level, fragments, may = unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	// The size of a block is settled before the way is known to take it, so where
	// the way narrows later on its routers may cut blocks to pieces: each would be
	// told off by an error otherwise, which many firewalls drop.
	_ = unix.SetsockoptInt(fd, level, fragments, may)
	// A link-local address is one of a link, which only the client's names.
	zone := peer.Addr().Zone()
	if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0), zone)); err == nil {
		err = unix.Connect(fd, sockaddr(peer, zone))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connecting %s to %s: %w", local, peer, err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort, zone string) unix.Sockaddr {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if a.Addr().IsLinkLocalUnicast() && zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(ifi.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			sa.ZoneId = uint32(n)
		}
	}
	return sa
}

// pathMTU gives the largest block that fits a packet to the peer of fd.
func pathMTU(fd int, v4 bool) int {
	const udpHeader = 8
	level, name, ipHeader := unix.IPPROTO_IPV6, unix.IPV6_MTU, 40
	if v4 {
		level, name, ipHeader = unix.IPPROTO_IP, unix.IP_MTU, 20
	}
	mtu, err := unix.GetsockoptInt(fd, level, name)
	if err != nil {
		return defaultBlock
	}
	return max(defaultBlock, mtu-ipHeader-udpHeader-headerLen)
}
