package httpd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// door takes connections from a listener.
type door struct {
	listener *net.TCPListener
	file     *os.File        // the listener's
	raw      syscall.RawConn // of file
}

func newDoor(l *net.TCPListener) (*door, error) {
	// What the net package gives of a listener itself lets nobody wait by it.
	file, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("taking over the listener: %w", err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("taking over the listener: %w", err)
	}
	return &door{l, file, raw}, nil
}

// accept waits for a connection.
func (d *door) accept() (*socket, error) {
	// Those of golang.org/x/sys/unix ask the kernel for the protocol too, each time.
	var (
		fd   int
		from syscall.Sockaddr
		err  error
	)
	waited := d.raw.Read(func(listener uintptr) bool {
		for {
			fd, from, err = syscall.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if waited != nil {
		return nil, waited
	}
	if err != nil {
		return nil, opError("accept", err)
	}
	to, err := syscall.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, opError("accept", err)
	}
	return &socket{fd: fd, remote: addrPort(from), local: addrPort(to)}, nil
}

// Close ends accept.
func (d *door) Close() error { return errors.Join(d.listener.Close(), d.file.Close()) }

func addrPort(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

func opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, err)}
}

// socket is a connection of TCP that does without the runtime's poller as long as
// nothing has to be waited for: mostly the request is here when the connection is
// taken, the answer fits the kernel's buffer, and the connection ends with it. The
// first time that it would wait it becomes a connection of the net package, at more
// cost than it had as one from the beginning.
type socket struct {
	local, remote netip.AddrPort

	mu          sync.Mutex // so that nobody uses fd while, or after, it is closed
	fd          int
	polled      net.Conn // nil before
	closed      bool
	read, write time.Time // deadlines, for polled
}

// try does what does not wait, and is false where polled has to do it.
func (s *socket) try(op string, do func(fd int) (int, error)) (n int, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polled != nil {
		return 0, false, nil
	}
	for {
		if s.closed {
			return 0, true, net.ErrClosed
		}
		n, err = do(s.fd)
		switch {
		case err == nil:
			return n, true, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, false, s.poll()
		case !errors.Is(err, unix.EINTR):
			return 0, true, opError(op, err)
		}
	}
}

// poll makes polled.
func (s *socket) poll() error {
	if s.closed {
		return net.ErrClosed
	}
	if s.polled != nil {
		return nil
	}
	file := os.NewFile(uintptr(s.fd), "")
	defer file.Close()
	c, err := net.FileConn(file) // of a copy of fd
	if err != nil {
		s.closed = true
		return fmt.Errorf("waiting for a connection: %w", err)
	}
	s.polled = c
	return errors.Join(c.SetReadDeadline(s.read), c.SetWriteDeadline(s.write))
}

// Read reads what is here, or waits.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, done, err := s.try("read", func(fd int) (int, error) { return unix.Read(fd, p) })
	switch {
	case err != nil:
		return 0, err
	case !done:
		return s.polled.Read(p)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of p.
func (s *socket) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, done, err := s.try("write", func(fd int) (int, error) { return unix.Write(fd, p[written:]) })
		if err != nil {
			return written, err
		}
		if !done {
			n, err := s.polled.Write(p[written:])
			return written + n, err
		}
		written += n
	}
	return written, nil
}

// ReadFrom sends from a file without copying it through this process.
func (s *socket) ReadFrom(r io.Reader) (int64, error) {
	s.mu.Lock()
	err := s.poll()
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return s.polled.(io.ReaderFrom).ReadFrom(r) // a *net.TCPConn
}

// CloseWrite tells the client that no more comes.
func (s *socket) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.polled != nil:
		return s.polled.(*net.TCPConn).CloseWrite()
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(s.fd, unix.SHUT_WR))
}

// Close may be called by anyone.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.polled != nil {
		return s.polled.Close()
	}
	return os.NewSyscallError("close", unix.Close(s.fd))
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (s *socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline bounds what Read waits; anyone may call it.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = t
	if s.polled != nil {
		return s.polled.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline bounds what Write and ReadFrom wait.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write = t
	if s.polled != nil {
		return s.polled.SetWriteDeadline(t)
	}
	return nil
}

// LocalAddr is the address that was reached.
func (s *socket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local) }

// RemoteAddr is the client's address.
func (s *socket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }
