package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"dialtone/internal/mac"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is a network namespace without a name: it ends with the last process
// that lives in it, whatever way that ends. One thread of this program lives
// there; sockets are opened and servers started by it.
type space struct {
	handle netns.NsHandle
	calls  chan func()
}

func newSpace() (*space, error) {
	s := &space{calls: make(chan func())}
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

// do runs f in the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error)
	s.calls <- func() { done <- f() }
	return <-done
}

func (s *space) close() error {
	close(s.calls)
	return s.handle.Close()
}

func setUp(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up interface %s: %w", name, err)
	}
	return netlink.LinkSetUp(l)
}

const (
	serverIf = "server0"
	clientIf = "client0"
)

// site is two namespaces and the wire between them.
type site struct {
	server, client         *space
	serverAddr, clientAddr netip.Addr
	clientMAC              mac.Addr
	prefix                 netip.Prefix
}

// newSite gives the first address of prefix to the server's end of the wire
// and the second to the clients', which is also the relay's.
func newSite(prefix netip.Prefix) (s *site, err error) {
	s = &site{prefix: prefix, serverAddr: prefix.Addr().Next(), clientAddr: prefix.Addr().Next().Next()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.server, err = newSpace(); err != nil {
		return s, err
	}
	if s.client, err = newSpace(); err != nil {
		return s, err
	}
	err = s.server.do(func() error {
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: serverIf},
			PeerName:  clientIf, PeerNamespace: netlink.NsFd(s.client.handle),
		}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("making a veth pair: %w", err)
		}
		return address(serverIf, netip.PrefixFrom(s.serverAddr, prefix.Bits()))
	})
	if err != nil {
		return s, err
	}
	err = s.client.do(func() error {
		if err := address(clientIf, netip.PrefixFrom(s.clientAddr, prefix.Bits())); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName(clientIf)
		if err != nil {
			return err
		}
		s.clientMAC = mac.Addr(ifi.HardwareAddr)
		return nil
	})
	if err != nil {
		return s, err
	}
	return s, errors.Join(s.server.do(func() error { return waitUp(serverIf) }), s.client.do(func() error { return waitUp(clientIf) }))
}

// waitUp returns once an interface carries traffic. The kernel takes up to a
// second for that, which would else count as the server's start.
func waitUp(name string) error {
	const patience, between = 5 * time.Second, 2 * time.Millisecond
	for range patience / between {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("looking up interface %s: %w", name, err)
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		time.Sleep(between)
	}
	return fmt.Errorf("interface %s is not up within %s", name, patience)
}

// address gives an interface of the current namespace an address and sets it
// up.
func address(name string, p netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up interface %s: %w", name, err)
	}
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}}
	if err := netlink.AddrReplace(l, a); err != nil {
		return fmt.Errorf("setting address %s on %s: %w", p, name, err)
	}
	return netlink.LinkSetUp(l)
}

func (s *site) close() error {
	var errs []error
	for _, ns := range []*space{s.server, s.client} {
		if ns != nil {
			errs = append(errs, ns.close())
		}
	}
	return errors.Join(errs...)
}

// receiveBuffer is large enough that a generator never loses an answer: every
// loss that is counted is the server's.
const receiveBuffer = 64 << 20

// listen opens a UDP port of the client's end, with no regard to the limit of
// receive buffers.
func (s *site) listen(a netip.AddrPort) (conn *net.UDPConn, err error) {
	err = s.client.do(func() error {
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

// wire is a raw socket at the clients' end: whole frames, whoever they are for.
type wire struct {
	f   *os.File
	buf []byte
}

func (s *site) openWire() (*wire, error) {
	w := &wire{buf: make([]byte, 64<<10)}
	err := s.client.do(func() error {
		ifi, err := net.InterfaceByName(clientIf)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		w.f = os.NewFile(uintptr(fd), "packet:"+clientIf)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
			return err
		}
		const networkOrder = etherIPv4>>8 | etherIPv4&0xff<<8
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder, Ifindex: ifi.Index})
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a raw socket: %w", err), w.close())
	}
	return w, nil
}

func (w *wire) send(frame []byte) error {
	_, err := w.f.Write(frame)
	if errors.Is(err, syscall.ENOBUFS) {
		return nil // lost on the way, as on any wire
	}
	return err
}

// receive gives the next answer to any client; false after deadline.
func (w *wire) receive(deadline time.Time) (reply, bool, error) {
	if err := w.f.SetReadDeadline(deadline); err != nil {
		return reply{}, false, err
	}
	for {
		n, err := w.f.Read(w.buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return reply{}, false, nil
		}
		if err != nil {
			return reply{}, false, fmt.Errorf("reading a frame: %w", err)
		}
		if payload, ok := parseFrame(w.buf[:n]); ok {
			if r, ok := parseReply(payload); ok {
				return r, true, nil
			}
		}
	}
}

func (w *wire) close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
