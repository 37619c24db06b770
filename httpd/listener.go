package httpd

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"dialtone/provision"
)

// listener hands out no more connections than the limits allow. The one that is
// too many in all waits until another ends; too many of one source are closed.
type listener struct {
	net.Listener
	perSource int
	stall     time.Duration
	places    chan struct{}
	closed    chan struct{}
	closeOnce func()
	buffers   sync.Pool // of *[]byte, for a document with its header

	mu      sync.Mutex
	sources map[netip.Addr]int
}

func newListener(l net.Listener, connections, perSource int, stall time.Duration) *listener {
	closed := make(chan struct{})
	return &listener{
		Listener:  l,
		perSource: perSource,
		stall:     stall,
		places:    make(chan struct{}, connections),
		closed:    closed,
		closeOnce: sync.OnceFunc(func() { close(closed) }),
		sources:   make(map[netip.Addr]int),
		buffers:   sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Accept waits for a connection that is within the limits.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		var source netip.Addr
		if addr, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			source = provision.SourceOf(addr.AddrPort().Addr())
		}
		if !l.enter(source) {
			c.Close()
			continue
		}
		return &conn{Conn: c, stall: l.stall, buffers: &l.buffers, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
	}
}

// Close ends Accept.
func (l *listener) Close() error {
	l.closeOnce()
	return l.Listener.Close()
}

func (l *listener) enter(source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[source] >= l.perSource {
		return false
	}
	l.sources[source]++
	return true
}

func (l *listener) leave(source netip.Addr) {
	l.mu.Lock()
	if l.sources[source] > 1 {
		l.sources[source]--
	} else {
		delete(l.sources, source)
	}
	l.mu.Unlock()
	<-l.places
}

// stride is how much a reader has to take within the stall time, in octets.
const stride = 1 << 20

// conn cuts readers that stall. A deadline for the whole answer would have to be
// so long, for an image on a slow line, that it would hold nobody back.
type conn struct {
	net.Conn
	stall time.Duration
	leave func()

	holds   bool   // what is written next is the header of a document
	held    []byte // that header: it goes out with the document
	buffers *sync.Pool
}

// hold keeps the header that is written next for the document that follows it by
// ReadFrom, and gives a function that sends the header where none did. net/http
// would write them in pieces of its buffer's size, and a system call for each
// costs more than all else that it does for a document.
func (c *conn) hold() (release func() error) {
	c.holds = true
	return func() error {
		c.holds = false
		if len(c.held) == 0 {
			return nil
		}
		_, err := c.Write(nil)
		return err
	}
}

// Write writes p within the stall time: net/http writes no more than a few
// kilobytes at once.
func (c *conn) Write(p []byte) (int, error) {
	if c.holds {
		c.holds, c.held = false, append((*c.buffers.Get().(*[]byte))[:0], p...)
		return len(p), nil
	}
	if len(c.held) > 0 {
		return c.writeHeld(p)
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// writeHeld writes the header that was held, and p, in one.
func (c *conn) writeHeld(p []byte) (int, error) {
	header := len(c.held)
	all := append(c.held, p...)
	c.held = nil
	n, err := c.Write(all)
	c.buffers.Put(&all)
	return max(0, n-header), err
}

// ReadFrom sends from a file without copying it through this process, a stride
// at a time.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	if len(c.held) > 0 {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
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
		if err != nil || m < want {
			return n, err
		}
	}
}

// CloseWrite lets net/http end an answer before it closes the connection.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Close gives the place of the connection back.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
