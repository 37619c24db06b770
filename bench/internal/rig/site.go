// Package rig has what all measurements share: two network namespaces and the
// wire between them, servers that run in one, phones on the other end, and the
// report. It needs Linux and root.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"dialtone/internal/mac"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Space is a network namespace without a name: it ends with the last process
// that lives in it, whatever way that ends. One thread of this program lives
// there; sockets are opened and servers started by it.
type Space struct {
	handle netns.NsHandle
	calls  chan func()
}

func newSpace() (*Space, error) {
	s := &Space{calls: make(chan func())}
	opened := make(chan error)
	go func() {
		// The thread is never unlocked, so it ends with the goroutine and no
		// other goroutine is ever run in this namespace.
		runtime.LockOSThread()
		var err error
		if s.handle, err = netns.New(); err == nil {
			err = setUp("lo")
		}
		opened <- err
		for f := range s.calls {
			f()
		}
	}()
	if err := <-opened; err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	return s, nil
}

// Do runs f in the namespace.
func (s *Space) Do(f func() error) error {
	done := make(chan error)
	s.calls <- func() { done <- f() }
	return <-done
}

// Close gives the namespace up.
func (s *Space) Close() error {
	close(s.calls)
	return s.handle.Close()
}

// lookUp finds an interface of the current namespace.
func lookUp(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("looking up interface %s: %w", name, err)
	}
	return l, nil
}

func setUp(name string) error {
	l, err := lookUp(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// The interfaces at the ends of the wire.
const (
	ServerIf = "server0"
	ClientIf = "client0"
)

// Site is two namespaces and the wire between them.
type Site struct {
	Server, Client         *Space
	ServerAddr, ClientAddr netip.Addr
	ClientMAC              mac.Addr
	prefix                 netip.Prefix
}

// NewSite gives the first address of prefix to the server's end of the wire
// and the second to the clients', which is also the relay's.
func NewSite(prefix netip.Prefix) (s *Site, err error) {
	s = &Site{prefix: prefix, ServerAddr: prefix.Addr().Next(), ClientAddr: prefix.Addr().Next().Next()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Server, err = newSpace(); err != nil {
		return s, err
	}
	if s.Client, err = newSpace(); err != nil {
		return s, err
	}
	err = s.Server.Do(func() error {
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: ServerIf},
			PeerName:  ClientIf, PeerNamespace: netlink.NsFd(s.Client.handle),
		}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("making a veth pair: %w", err)
		}
		return addEnd(ServerIf, netip.PrefixFrom(s.ServerAddr, prefix.Bits()))
	})
	if err != nil {
		return s, err
	}
	err = s.Client.Do(func() error {
		if err := addEnd(ClientIf, netip.PrefixFrom(s.ClientAddr, prefix.Bits())); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName(ClientIf)
		if err != nil {
			return err
		}
		s.ClientMAC = mac.Addr(ifi.HardwareAddr)
		return nil
	})
	if err != nil {
		return s, err
	}
	return s, errors.Join(s.Server.Do(func() error { return waitUp(ServerIf) }), s.Client.Do(func() error { return waitUp(ClientIf) }))
}

// waitUp returns once an interface carries traffic. The kernel takes up to a
// second for that, which would else count as the server's start.
func waitUp(name string) error {
	const patience, between = 5 * time.Second, 2 * time.Millisecond
	for range patience / between {
		l, err := lookUp(name)
		if err != nil {
			return err
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		time.Sleep(between)
	}
	return fmt.Errorf("interface %s is not up within %s", name, patience)
}

// Congestion is how TCP finds its rate on the wire, whatever the machine has as its
// default: Debian's. BBR paces by what it believes the wire to carry, which on one
// without a rate is chance: trials of the same server then differ by a factor of two.
const Congestion = "cubic"

// addEnd gives an interface of the current namespace its address, and has TCP on the
// wire use [Congestion].
func addEnd(name string, p netip.Prefix) error {
	if err := AddAddress(name, p); err != nil {
		return err
	}
	l, err := lookUp(name)
	if err != nil {
		return err
	}
	// The route that came with the address, and no second one.
	route := &netlink.Route{
		LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_KERNEL, Src: p.Addr().AsSlice(),
		Dst: ipNet(p.Masked()), Congctl: Congestion,
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("setting TCP's congestion control to %s: %w", Congestion, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// AddAddress gives an interface of the current namespace an address and sets it
// up.
func AddAddress(name string, p netip.Prefix) error {
	l, err := lookUp(name)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: ipNet(p)}
	if err := netlink.AddrReplace(l, a); err != nil {
		return fmt.Errorf("setting address %s on %s: %w", p, name, err)
	}
	return netlink.LinkSetUp(l)
}

// Close takes the wire away.
func (s *Site) Close() error {
	var errs []error
	for _, ns := range []*Space{s.Server, s.Client} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

// receiveBuffer is large enough that a generator never loses an answer: every
// loss that is counted is the server's.
const receiveBuffer = 64 << 20

// Listen opens a UDP port of the client's end, with no regard to the limit of
// receive buffers.
func (s *Site) Listen(a netip.AddrPort) (conn *net.UDPConn, err error) {
	err = s.Client.Do(func() error {
		var err error
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
		if err != nil {
			return err
		}
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		var inner error
		err = raw.Control(func(fd uintptr) {
			inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
		})
		return errors.Join(err, inner)
	})
	if err != nil {
		return nil, fmt.Errorf("opening UDP %s: %w", a, err)
	}
	return conn, nil
}

// Wire is a raw socket at the clients' end: whole frames, whoever they are for.
type Wire struct {
	f   *os.File
	buf []byte
}

// OpenWire opens a raw socket that hears of IPv4 alone.
func (s *Site) OpenWire() (*Wire, error) {
	w := &Wire{buf: make([]byte, 64<<10)}
	err := s.Client.Do(func() error {
		ifi, err := net.InterfaceByName(ClientIf)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		w.f = os.NewFile(uintptr(fd), "packet:"+ClientIf)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
			return err
		}
		const networkOrder = etherIPv4>>8 | etherIPv4&0xff<<8
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder, Ifindex: ifi.Index})
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a raw socket: %w", err), w.Close())
	}
	return w, nil
}

// Send sends one frame.
func (w *Wire) Send(frame []byte) error {
	_, err := w.f.Write(frame)
	if errors.Is(err, syscall.ENOBUFS) {
		return nil // lost on the way, as on any wire
	}
	return err
}

// Announce says on the wire that an address is at a MAC (RFC 5227 section 2.3).
func (w *Wire) Announce(m mac.Addr, a netip.Addr) error {
	four := a.As4()
	f := append(bytes.Repeat([]byte{0xff}, 6), m[:]...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // a request, for IPv4 over Ethernet
	f = append(append(f, m[:]...), four[:]...)
	f = append(append(f, 0, 0, 0, 0, 0, 0), four[:]...)
	if err := w.Send(f); err != nil {
		return fmt.Errorf("announcing %s: %w", a, err)
	}
	return nil
}

// Receive gives the next answer to any client; false after deadline.
func (w *Wire) Receive(deadline time.Time) (Reply, bool, error) {
	if err := w.f.SetReadDeadline(deadline); err != nil {
		return Reply{}, false, err
	}
	for {
		n, err := w.f.Read(w.buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return Reply{}, false, nil
		}
		if err != nil {
			return Reply{}, false, fmt.Errorf("reading a frame: %w", err)
		}
		if payload, ok := parseFrame(w.buf[:n]); ok {
			if r, ok := ParseReply(payload); ok {
				return r, true, nil
			}
		}
	}
}

// Close closes the socket.
func (w *Wire) Close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}

// TrustAnnouncements has the kernel at the server's end believe an announcement
// at once, even where it learned another MAC within the last second.
func (s *Site) TrustAnnouncements() error {
	return s.Server.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/neigh/"+ServerIf+"/locktime", []byte("0"), 0)
	})
}

// Dial opens a TCP connection from the clients' end of the wire, from the
// address local.
func (s *Site) Dial(local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	fd := -1
	err := s.Client.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close() // the connection has its own
	// Only the making of a socket needs the namespace's thread, which others wait for.
	patience := unix.Timeval{Sec: 30}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()}))
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	if err != nil {
		return nil, fmt.Errorf("connecting from %s to %s: %w", local, to, err)
	}
	return net.FileConn(f)
}

// Transport is for HTTP clients at the address local.
func (s *Site) Transport(local netip.Addr) *http.Transport {
	return &http.Transport{
		DisableCompression: true,
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(addr)
			if err != nil {
				return nil, err
			}
			return s.Dial(local, to)
		},
	}
}

// Run starts a program at the server's end. It is copied into folder, where its
// output is too.
func (s *Site) Run(program string, args, env []string, folder string) (*Process, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	// AppArmor's profiles go by the path and would keep the packaged program
	// out of our folder.
	copied := filepath.Join(folder, filepath.Base(path))
	if _, err := os.Stat(copied); errors.Is(err, os.ErrNotExist) {
		if err := CopyFile(copied, path); err != nil {
			return nil, fmt.Errorf("copying %s: %w", path, err)
		}
	}
	cmd := exec.Command(copied, args...)
	cmd.Env = append(os.Environ(), env...)
	return s.Server.Start(cmd, copied+".log")
}
