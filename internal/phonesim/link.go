package phonesim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"dialtone/internal/mac"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// link carries DHCP messages. The raw link serves a phone that has no address
// yet, the UDP link one that has.
type link interface {
	send(message []byte) error
	// receive gives the next message; os.ErrDeadlineExceeded after deadline.
	receive(deadline time.Time) ([]byte, error)
	close()
}

// rawLink reads and writes Ethernet frames. A server sends its OFFER to the
// phone's MAC, which is not the interface's: only a raw socket sees it.
type rawLink struct {
	mac  mac.Addr // the phone's
	at   mac.Addr // the interface's
	conn *packet.Conn
	buf  []byte
}

func newRawLink(name string, m mac.Addr) (*rawLink, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("looking up interface %s: %w", name, err)
	}
	filter, err := bpf.Assemble(replyFilter(m))
	if err != nil {
		return nil, fmt.Errorf("assembling the packet filter: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_IP, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("opening a raw socket on %s: %w", name, err)
	}
	if err := conn.SetPromiscuous(true); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("making %s promiscuous: %w", name, err)
	}
	at, _ := mac.FromBytes(ifi.HardwareAddr) // zero on what is no Ethernet
	return &rawLink{mac: m, at: at, conn: conn, buf: make([]byte, 64<<10)}, nil
}

// replyFilter lets through the frames that hold a message for one phone:
// UDP to port 68 with its MAC in chaddr. With a hundred phones on one
// interface each would otherwise wake for the replies of all.
func replyFilter(m mac.Addr) []bpf.Instruction {
	const chaddr = 28 // offset in the message
	high := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	low := uint32(m[4])<<8 | uint32(m[5])
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherIPv4, SkipTrue: 9},
		bpf.LoadAbsolute{Off: etherLen + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolUDP, SkipTrue: 7},
		bpf.LoadMemShift{Off: etherLen},
		bpf.LoadIndirect{Off: etherLen + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 4},
		bpf.LoadIndirect{Off: etherLen + udpLen + chaddr, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: high, SkipTrue: 2},
		bpf.LoadIndirect{Off: etherLen + udpLen + chaddr + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: low, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 64 << 10},
	}
}

func (l *rawLink) send(message []byte) error { return l.write(encodeFrame(l.mac, message)) }

// announce tells everyone which MAC the leased address is at.
func (l *rawLink) announce(address netip.Addr) error {
	return l.write(announcement(l.at, address.As4()))
}

func (l *rawLink) write(frame []byte) error {
	everyone := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if _, err := l.conn.WriteTo(frame, &packet.Addr{HardwareAddr: everyone}); err != nil {
		return fmt.Errorf("sending a frame: %w", err)
	}
	return nil
}

func (l *rawLink) receive(deadline time.Time) ([]byte, error) {
	for {
		if err := l.conn.SetReadDeadline(deadline); err != nil {
			return nil, fmt.Errorf("setting a deadline: %w", err)
		}
		n, _, err := l.conn.ReadFrom(l.buf)
		if err != nil {
			return nil, err
		}
		if payload, ok := decodeFrame(l.buf[:n]); ok {
			return payload, nil
		}
	}
}

func (l *rawLink) close() { _ = l.conn.Close() }

// udpLink talks from the leased address.
type udpLink struct {
	conn *net.UDPConn
	to   netip.AddrPort
	buf  []byte
}

// newUDPLink opens port 68 of the leased address. to is the server, or the
// broadcast address.
func newUDPLink(name string, from, to netip.Addr) (*udpLink, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) {
			inner = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.BindToDevice(int(fd), name),
			)
		})
		return errors.Join(err, inner)
	}}
	conn, err := lc.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(from, clientPort).String())
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d of %s: %w", clientPort, from, err)
	}
	return &udpLink{conn: conn.(*net.UDPConn), to: netip.AddrPortFrom(to, serverPort), buf: make([]byte, 64<<10)}, nil
}

func (l *udpLink) send(message []byte) error {
	if _, err := l.conn.WriteToUDPAddrPort(message, l.to); err != nil {
		return fmt.Errorf("sending to %s: %w", l.to, err)
	}
	return nil
}

func (l *udpLink) receive(deadline time.Time) ([]byte, error) {
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("setting a deadline: %w", err)
	}
	n, _, err := l.conn.ReadFromUDPAddrPort(l.buf)
	if err != nil {
		return nil, err
	}
	return l.buf[:n], nil
}

func (l *udpLink) close() { _ = l.conn.Close() }

// setAddress gives the interface the leased address and the phone a routing
// table of its own, used for what is sent from that address alone: a hundred
// phones can share one interface, and the machine's own routes stay as they
// are. The address is a /32, since removing the first address of a prefix
// takes the others of that prefix with it. What a phone that was killed left
// behind is taken over. undo removes all of it.
func setAddress(name string, l *Lease) (undo func() error, err error) {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("looking up interface %s: %w", name, err)
	}
	var steps []func() error
	undo = func() error {
		var errs []error
		for i := len(steps) - 1; i >= 0; i-- {
			errs = append(errs, steps[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()

	ip := net.IP(l.Address.AsSlice())
	host := &net.IPNet{IP: ip, Mask: net.CIDRMask(32, 32)}
	addr := &netlink.Addr{IPNet: host}
	if err := netlink.AddrReplace(dev, addr); err != nil {
		return undo, fmt.Errorf("setting address %s on %s: %w", l.Address, name, err)
	}
	steps = append(steps, func() error { return netlink.AddrDel(dev, addr) })

	four := l.Address.As4()
	table := int(four[0])<<24 | int(four[1])<<16 | int(four[2])<<8 | int(four[3])
	rule := netlink.NewRule()
	rule.Family, rule.Src, rule.Table = netlink.FAMILY_V4, host, table
	if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return undo, fmt.Errorf("adding a routing rule for %s: %w", l.Address, err)
	}
	steps = append(steps, func() error { return netlink.RuleDel(rule) })

	subnet := l.Subnet().Masked()
	routes := []*netlink.Route{{
		LinkIndex: dev.Attrs().Index, Table: table, Src: ip, Scope: netlink.SCOPE_LINK,
		Dst: &net.IPNet{IP: subnet.Addr().AsSlice(), Mask: net.CIDRMask(subnet.Bits(), 32)},
	}}
	if len(l.Routers) > 0 {
		routes = append(routes, &netlink.Route{
			LinkIndex: dev.Attrs().Index, Table: table, Src: ip, Gw: l.Routers[0].AsSlice(), Flags: int(netlink.FLAG_ONLINK),
		})
	}
	for _, r := range routes {
		if err := netlink.RouteReplace(r); err != nil {
			return undo, fmt.Errorf("adding route %v for %s: %w", r.Dst, l.Address, err)
		}
		steps = append(steps, func() error { return netlink.RouteDel(r) })
	}
	return undo, nil
}
