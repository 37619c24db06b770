// Package neighbour asks the kernel who has an address on the wire: its table
// of ARP, which it fills by itself before it sends anything to a neighbour.
//
// What it says is as good as ARP is: whoever is on the same wire can claim an
// address or a MAC. It is the word of the wire, not a proof.
package neighbour

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"dialtone/internal/mac"
)

// known are the states in which an entry was confirmed, now or a while ago, or
// pinned by an admin, so that no forged answer changes it (PERMANENT).
// INCOMPLETE and FAILED have no answer; NOARP is of wires without such a table.
const known = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PERMANENT

// onWire gives the MAC of the neighbour that has addr on an interface. ok is false
// where nothing is known, also where the kernel says so only of another interface.
func onWire(addr netip.Addr, index int) (m mac.Addr, ok bool, err error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	request.AddData(&netlink.Ndmsg{Family: unix.AF_INET, Index: uint32(index)})
	request.AddData(nl.NewRtAttr(netlink.NDA_DST, addr.AsSlice()))
	messages, err := ask(request.Serialize())
	if errors.Is(err, unix.ENOENT) {
		return mac.Addr{}, false, nil
	}
	if err != nil {
		return mac.Addr{}, false, fmt.Errorf("asking the kernel for the neighbour %s: %w", addr, err)
	}
	for _, m := range messages {
		n, err := netlink.NeighDeserialize(m.Data)
		if err != nil {
			return mac.Addr{}, false, fmt.Errorf("reading the neighbour %s: %w", addr, err)
		}
		if n.LinkIndex != index || n.State&known == 0 || !n.IP.Equal(addr.AsSlice()) {
			continue
		}
		if m, ok := mac.FromBytes(n.HardwareAddr); ok && !m.IsZero() {
			return m, true, nil
		}
	}
	return mac.Addr{}, false, nil
}

// maxAnswer is more than an answer about one neighbour has, in octets.
const maxAnswer = 4096

// ask asks the kernel, which answers before the request is sent. The library's own
// way has 64 kB on the stack: whoever serves a stranger would have 128 kB of stack
// after it, and of those there may be a thousand.
func ask(request []byte) ([]syscall.NetlinkMessage, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := make([]byte, maxAnswer)
	n, _, err := unix.Recvfrom(fd, answer, unix.MSG_DONTWAIT)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4 {
			return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return messages, nil
}

// wire is an address of ours, with what else is on its wire.
type wire struct {
	local netip.Prefix
	index int // of the interface
}

// wires lists those of all interfaces.
func wires() ([]wire, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	var list []wire
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if ok {
			list = append(list, wire{netip.PrefixFrom(ip.Unmap(), bits), a.LinkIndex})
		}
	}
	return list, nil
}
