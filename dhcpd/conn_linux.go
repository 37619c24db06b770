package dhcpd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	rawsocket "github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"dialtone/internal/mac"
)

// errNoRaw comes with a socket that sends no raw frames.
var errNoRaw = errors.New("CAP_NET_RAW is missing")

// receiveBuffer is what the socket asks the kernel for. A DISCOVER takes about
// 1,280 octets of it, so that it holds a few thousand phones that are powered
// on at once.
const receiveBuffer = 4 << 20

// socket is a conn on one interface of this machine. What comes and goes by UDP
// does so with one system call for all that is there.
type socket struct {
	udp   *net.UDPConn
	batch *ipv4.PacketConn // udp
	raw   *rawsocket.Conn  // nil without CAP_NET_RAW
	ifi   *net.Interface
	in    []ipv4.Message // of receive
	out   []ipv4.Message // of send
	frame []byte         // of send
}

// openSocket listens on port 67 of one interface. Without the right to send raw
// frames it reports errNoRaw and a socket that broadcasts instead.
func openSocket(ifi *net.Interface) (conn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = prepare(int(fd), ifi.Name) }); e != nil {
			return e
		}
		return err
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp4", ":67")
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", ifi.Name, err)
	}
	s := &socket{udp: pc.(*net.UDPConn), batch: ipv4.NewPacketConn(pc), ifi: ifi, in: make([]ipv4.Message, readSize)}
	for i := range s.in {
		s.in[i] = ipv4.Message{Buffers: [][]byte{make([]byte, maxPacket)}, OOB: make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))}
	}
	// Protocol 0 receives nothing: this socket is for sending.
	s.raw, err = rawsocket.Listen(ifi, rawsocket.Raw, 0, nil)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return s, errNoRaw
	}
	if err != nil {
		s.udp.Close()
		return nil, fmt.Errorf("opening raw socket on %s: %w", ifi.Name, err)
	}
	return s, nil
}

// prepare sets what has to be set before the bind. Neither SO_REUSEADDR nor
// SO_REUSEPORT is: with them a second server would start on the same interface,
// and take half of the packets.
func prepare(fd int, ifname string) error {
	for _, o := range []struct{ level, name int }{
		{unix.SOL_SOCKET, unix.SO_BROADCAST},
		{unix.IPPROTO_IP, unix.IP_PKTINFO},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return fmt.Errorf("setting socket option %d: %w", o.name, err)
		}
	}
	// A reply may be fragmented on the way to a relay.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT); err != nil {
		return fmt.Errorf("allowing fragments: %w", err)
	}
	if err := filterJunk(fd); err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, ifname); err != nil {
		return fmt.Errorf("binding to device: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		// Without CAP_NET_ADMIN the kernel gives up to net.core.rmem_max, which it
		// doubles; what that is decides nothing here.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return nil
}

func (s *socket) receive(packets []*packet) (int, error) {
	n, err := s.batch.ReadBatch(s.in[:min(len(s.in), len(packets))], 0)
	if err != nil {
		return 0, err
	}
	for i := range n {
		m, p := &s.in[i], packets[i]
		// A message that is cut off here is longer than any client's, and is read as
		// one whose last option is cut off.
		p.data = append(p.data[:0], m.Buffers[0][:m.N]...)
		p.source, p.dest = netip.AddrPort{}, destinationOf(m.OOB[:m.NN])
		if a, ok := m.Addr.(*net.UDPAddr); ok {
			source := a.AddrPort()
			p.source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
		}
	}
	return n, nil
}

// destinationOf reads where a datagram was sent to.
func destinationOf(oob []byte) netip.Addr {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo {
			return netip.AddrFrom4([4]byte(data[8:12]))
		}
		oob = rest
	}
	return netip.Addr{}
}

func (s *socket) send(replies []outgoing) (int, error) {
	if s.framed(replies[0].to) {
		r := &replies[0]
		s.frame = appendFrame(s.frame[:0], s.ifi.HardwareAddr, r.from, r.to, r.payload)
		if _, err := s.raw.WriteTo(s.frame, &rawsocket.Addr{HardwareAddr: r.to.mac[:]}); err != nil {
			return 0, err
		}
		return 1, nil
	}
	s.out = s.out[:0]
	for i := range replies {
		if s.framed(replies[i].to) {
			break
		}
		s.out = append(s.out, s.datagram(&replies[i].result))
	}
	n, err := s.batch.WriteBatch(s.out, 0)
	return max(n, 0), err // -1 where there is an error
}

// framed reports whether a reply goes as a frame that is made here.
func (s *socket) framed(to destination) bool { return to.way == toHardware && s.raw != nil }

func (s *socket) datagram(r *result) ipv4.Message {
	addr := r.to.addr
	if r.to.way == toHardware {
		addr = netip.AddrPortFrom(broadcastAddr, clientPort)
	}
	info := unix.Inet4Pktinfo{Ifindex: int32(s.ifi.Index)}
	if r.from.Is4() {
		info.Spec_dst = r.from.As4()
	}
	return ipv4.Message{Buffers: [][]byte{r.payload}, OOB: unix.PktInfo4(&info), Addr: net.UDPAddrFromAddrPort(addr)}
}

func (s *socket) Close() error {
	err := s.udp.Close()
	if s.raw != nil {
		err = errors.Join(err, s.raw.Close())
	}
	return err
}

// appendFrame writes Ethernet, IPv4 and UDP around a payload. Both checksums
// are computed here: on this path nobody else would.
func appendFrame(b []byte, hardware net.HardwareAddr, from netip.Addr, to destination, payload []byte) []byte {
	const ethernet, ip, udp = 14, 20, 8
	var head [ethernet + ip + udp]byte
	copy(head[0:6], to.mac[:])
	copy(head[6:12], hardware)
	binary.BigEndian.PutUint16(head[12:], unix.ETH_P_IP)

	h := head[ethernet:]
	h[0] = 4<<4 | ip/4
	h[1] = 0x10 // low delay, as DHCP servers have it since ISC's
	binary.BigEndian.PutUint16(h[2:], uint16(ip+udp+len(payload)))
	h[8] = 64
	h[9] = unix.IPPROTO_UDP
	putAddr(h[12:], from)
	putAddr(h[16:], to.addr.Addr())
	binary.BigEndian.PutUint16(h[10:], ^fold(sum(0, h[:ip])))

	u := h[ip:]
	binary.BigEndian.PutUint16(u[0:], serverPort)
	binary.BigEndian.PutUint16(u[2:], to.addr.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(udp+len(payload)))
	s := sum(uint32(unix.IPPROTO_UDP)+uint32(udp+len(payload)), h[12:20])
	check := ^fold(sum(sum(s, u[:udp]), payload))
	if check == 0 {
		check = 0xffff // RFC 768: 0 is none
	}
	binary.BigEndian.PutUint16(u[6:], check)
	return append(append(b, head[:]...), payload...)
}

// sum adds to the ones' complement sum of RFC 1071. Only the last of several
// pieces may be of odd length.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// filterJunk has the kernel drop what checkHeader would, so that a flood of it
// takes no room in the receive buffer. The offsets are from the UDP header; a
// packet that ends before one of them is dropped, too.
func filterJunk(fd int) error {
	const udp = 8
	instructions := []bpf.Instruction{
		bpf.LoadAbsolute{Off: udp, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(dhcpv4.OpcodeBootRequest), SkipTrue: 7},
		bpf.LoadAbsolute{Off: udp + 1, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: hardwareType, SkipTrue: 5},
		bpf.LoadAbsolute{Off: udp + 2, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(len(mac.Addr{})), SkipTrue: 3},
		bpf.LoadAbsolute{Off: udp + offCookie, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: cookie, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
	program, err := bpf.Assemble(instructions)
	if err != nil {
		return fmt.Errorf("assembling the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(program))
	for i, p := range program {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return fmt.Errorf("attaching the filter: %w", err)
	}
	return nil
}
