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
func Listen(ctx context.Context, port int) (net.Listener, error) {
	listen := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// A kernel that does not know it costs speed alone. In seconds; who has
			// said nothing by then is handed out all the same.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
		})
	}}
	return listen.Listen(ctx, "tcp4", fmt.Sprintf(":%d", port))
}

const (
	// stride is how much of a file goes to the kernel at once, in octets.
	stride = 4 << 20
	// least is how much of it a reader has to take within the stall time.
	least = 1 << 20
)

// conn cuts readers that stall. A deadline for the whole answer would have to be
// so long, for an image on a slow line, that it would hold nobody back.
type conn struct {
	net.Conn
	stall         time.Duration
	source, local netip.Addr  // without IPv6 around IPv4
	counted       netip.Addr  // the source, as the limits count it
	idle          atomic.Bool // no part of a request is here
}

// Write writes p, which is no longer than an answer that is held, within the stall time.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
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
		if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
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
