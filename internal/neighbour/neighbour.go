// Package neighbour asks the kernel who has an address on the wire: its table
// of ARP, which it fills by itself before it sends anything to a neighbour.
//
// What it says is as good as ARP is: whoever is on the same wire can claim an
// address or a MAC. It is the word of the wire, not a proof.
package neighbour

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"dialtone/internal/mac"
)

// known are the states in which an entry was confirmed, now or a while ago.
// INCOMPLETE and FAILED have no answer; NOARP and PERMANENT were not learned.
const known = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY

// Lookup gives the MAC of the neighbour that has addr, on the interface that has
// the address local: the one that the neighbour reached. ok is false where
// nothing is known, also where the kernel says so only of another interface.
func Lookup(addr, local netip.Addr) (m mac.Addr, ok bool, err error) {
	addr, local = addr.Unmap().WithZone(""), local.Unmap().WithZone("")
	if !addr.Is4() || !local.Is4() || addr == local {
		return mac.Addr{}, false, nil
	}
	index, ok, err := interfaceOf(local, addr)
	if err != nil || !ok {
		return mac.Addr{}, false, err
	}
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	request.AddData(&netlink.Ndmsg{Family: unix.AF_INET, Index: uint32(index)})
	request.AddData(nl.NewRtAttr(netlink.NDA_DST, addr.AsSlice()))
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if errors.Is(err, unix.ENOENT) {
		return mac.Addr{}, false, nil
	}
	if err != nil {
		return mac.Addr{}, false, fmt.Errorf("asking the kernel for the neighbour %s: %w", addr, err)
	}
	for _, b := range messages {
		n, err := netlink.NeighDeserialize(b)
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

// interfaceOf finds the interface that has the address local, where addr is on its
// wire too.
func interfaceOf(local, addr netip.Addr) (index int, ok bool, err error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, false, fmt.Errorf("listing addresses: %w", err)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if ok && ip.Unmap() == local && netip.PrefixFrom(local, bits).Contains(addr) {
			return a.LinkIndex, true, nil
		}
	}
	return 0, false, nil
}
