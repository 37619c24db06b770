package httpd

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// worker is what serves a connection, and what it keeps from one to the next.
type worker struct {
	*pool
	limit    io.LimitedReader
	in       *bufio.Reader
	head     *request
	response response
}

// nothing is what a worker without a connection reads.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

func newWorker(p *pool) *worker {
	w := &worker{pool: p, limit: io.LimitedReader{R: nothing{}}, head: newRequest()}
	w.in = bufio.NewReader(&w.limit)
	w.response.header, w.response.buffers = make(http.Header), &p.buffers
	return w
}

// peer is who asks.
type peer struct {
	*conn
	secure       bool // over TLS
	certificates []*x509.Certificate
}

// serve answers the requests of a connection. It ends with the first one that
// asks for that, has a body or cannot be understood.
func (w *worker) serve(c *conn) {
	defer w.leave(c)
	defer func() {
		if v := recover(); v != nil {
			w.panicked(c.source, "", v)
		}
		w.limit.R = nothing{}
		w.response.reset(nil, false)
	}()
	p, to := peer{conn: c}, net.Conn(c)
	if w.TLS != nil {
		secure, err := w.handshake(c)
		if err != nil {
			w.Log.Debug("TLS handshake", "ip", c.source.String(), "err", err)
			return
		}
		defer secure.Close()
		p.secure, p.certificates, to = true, secure.ConnectionState().PeerCertificates, secure
	}
	w.limit.R = to
	w.in.Reset(&w.limit)
	wait := headerTimeout
	for w.request(p, to, wait) {
		wait = idleTimeout
	}
}

// handshake has the time of a header.
func (w *worker) handshake(c *conn) (*tls.Conn, error) {
	c.await(headerTimeout)
	secure := tls.Server(c, w.TLS)
	err := secure.HandshakeContext(w.ctx)
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil &&
		slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(plain.RecordHeader[:])) {
		w.response.reset(c, false)
		w.response.close = true
		refuse(&w.response, http.StatusBadRequest, "this port speaks HTTPS: use https:// in the URL")
		w.hangUp(c, c, w.response.finish())
	}
	return secure, err
}

// request answers one request, and reports whether there may be another.
func (w *worker) request(p peer, to net.Conn, wait time.Duration) (more bool) {
	p.idle.Store(true)
	p.await(wait)
	if w.stopping.Load() {
		return false
	}
	w.limit.N = maxHeader
	if _, err := w.in.Peek(1); err != nil {
		return false
	}
	p.idle.Store(false)
	if wait != headerTimeout {
		p.await(headerTimeout)
	}
	r, res := w.head, &w.response
	if err := r.read(w.in); err != nil {
		var status int
		var reason string
		switch {
		case w.limit.N <= 0:
			status, reason = http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the header has more than %d octets", maxHeader)
		case errors.Is(err, errLong):
			status, reason = http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("a line of the header has more than %d octets", w.in.Size())
		case errors.Is(err, errSyntax):
			status, reason = http.StatusBadRequest, err.Error()
		default:
			return false // it went away, or its time is up
		}
		res.reset(to, false)
		res.close = true
		refuse(res, status, reason)
		w.hangUp(p.conn, to, res.finish())
		return false
	}
	res.reset(to, r.Method == http.MethodHead)
	res.old = !r.ProtoAtLeast(1, 1)
	// Nobody has a reason to send a body, and none is read.
	res.close = r.Close || r.hasBody || w.stopping.Load()
	switch {
	case r.ProtoMajor != 1:
		res.close = true
		refuse(res, http.StatusHTTPVersionNotSupported, "this server speaks HTTP/1.1")
	case r.Host == "" && !res.old: // RFC 9112 section 3.2
		res.close = true
		refuse(res, http.StatusBadRequest, "the request has no Host")
	default:
		w.answer(&r.Request, p)
	}
	err := res.finish()
	if err != nil || res.close {
		if r.hasBody {
			w.hangUp(p.conn, to, err)
		}
		return false
	}
	return true
}

// hangUp ends a connection on which more may come than was read: if it were closed
// at once, the answer could be lost with it (RFC 9112 section 9.6).
func (w *worker) hangUp(c *conn, to net.Conn, err error) {
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		return
	}
	c.await(lingerTime)
	_, _ = io.CopyN(io.Discard, to, maxLinger)
}
