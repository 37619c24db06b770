package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen opens a TCP port for [Server.Serve]. A client speaks first, so the kernel
// keeps a connection until it has (TCP_DEFER_ACCEPT): its first read waits for
// nothing. Who falls silent is cut by the server's own deadlines; the kernel's
// keep-alive would be four more system calls for each connection.
func Listen(ctx context.Context, port int) (*net.TCPListener, error) {
	listen := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// A kernel that does not know it costs speed alone. In seconds; who has
			// said nothing by then is handed out all the same.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
		})
	}}
	l, err := listen.Listen(ctx, "tcp4", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

const (
	// stride is how much of a file goes to the kernel at once, in octets.
	stride = 4 << 20
	// least is how much of it a reader has to take within the stall time.
	least = 1 << 20
)

// conn cuts clients that stall. A deadline for the whole answer would have to be
// so long, for an image on a slow line, that it would hold nobody back.
type conn struct {
	net.Conn
	stall         time.Duration
	source, local netip.Addr  // without IPv6 around IPv4
	counted       netip.Addr  // the source, as the limits count it
	idle          atomic.Bool // no part of a request is here
	stopped       atomic.Bool // no other request is awaited

	wait        time.Duration // see await
	read, write deadline
}

// deadline is as one was set.
type deadline struct{ time.Time }

// moves reports whether it has to be set anew to leave so much time, or an eighth
// more: to move it for each request would cost more than it is worth.
func (d *deadline) moves(wait time.Duration) bool {
	now := time.Now()
	if left := d.Sub(now); wait <= left && left <= wait+wait/8 {
		return false
	}
	d.Time = now.Add(wait + wait/8)
	return true
}

// await gives what is read from now on so much time in all. It begins with the
// first read: where all is here already, nothing has to be timed.
func (c *conn) await(d time.Duration) { c.wait = d }

// Read reads what is here, or awaits it.
func (c *conn) Read(p []byte) (int, error) {
	if c.wait > 0 {
		if c.read.moves(c.wait) {
			if err := c.SetReadDeadline(c.read.Time); err != nil {
				return 0, err
			}
		}
		c.wait = 0
		if c.stopped.Load() {
			return 0, net.ErrClosed // by stop, whose deadline may just have been moved
		}
	}
	return c.Conn.Read(p)
}

// stop ends the wait for a request; anyone may call it.
func (c *conn) stop() {
	c.stopped.Store(true)
	// An error means that it has ended.
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

// mayWrite gives what is written next the stall time.
func (c *conn) mayWrite() error {
	if c.write.moves(c.stall) {
		return c.SetWriteDeadline(c.write.Time)
	}
	return nil
}

// Write writes p, which is no longer than an answer that is held, within the stall time.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom sends from a file without copying it through this process, a stride
// at a time.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	// sendfile is used for a file within one LimitedReader, not within two.
	all, limited := r.(*io.LimitedReader)
	for {
		part := &io.LimitedReader{R: r, N: stride}
		if limited {
			part.R, part.N = all.R, min(all.N, stride)
		}
		if part.N == 0 {
			return n, nil
		}
		if err := c.mayWrite(); err != nil {
			return n, err
		}
		want := part.N
		m, err := to.ReadFrom(part)
		n += m
		if limited {
			all.N -= m
		}
		if m >= least && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // it is slow, but takes enough
		}
		if err != nil || m < want {
			return n, err
		}
	}
}

// CloseWrite tells the client that no more comes.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
