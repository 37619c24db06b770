// Package httpd serves the documents and the files of the setting server over
// HTTP and HTTPS, for reading only. Phones want a Content-Length and never chunks.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"dialtone/provision"
)

const (
	defaultConnections = 1024
	// Many phones can come from one address: behind a router, or simulated.
	defaultPerSource = 320
	defaultStall     = 30 * time.Second
	defaultGrace     = 3 * time.Second

	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 8 << 10
)

// Opener is what the server needs of the desk. Its errors are *provision.Refusal.
type Opener interface {
	Open(r provision.Request) (*provision.Answer, error)
}

// Server answers GET and HEAD. Desk and Log must be set; a zero in any other
// field means the default.
type Server struct {
	Desk        Opener
	Log         *slog.Logger
	TLS         *tls.Config   // nil: HTTP. A handshake has the time of a header
	Connections int           // at once, in all: 1024
	PerSource   int           // at once, of one address (of one /64 in IPv6): 320
	Stall       time.Duration // a reader has this long for each MiB, or for what is left: 30 s
	Grace       time.Duration // for transfers when the server stops: 3 s
	Now         func() time.Time

	lines  provision.Throttle
	panics atomic.Int64
}

// Serve answers requests on l until ctx ends, and lets transfers that run end
// within Grace. Then it gives nil. It closes l in any case.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.setDefaults()
	var limited net.Listener = newListener(l, s.Connections, s.PerSource, s.Stall)
	if s.TLS != nil {
		limited = tls.NewListener(limited, s.TLS)
	}
	srv := &http.Server{
		Handler: s,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// "OPTIONS *" is refused like any other method.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close() // what still runs then is cut
		}
	})
	err := srv.Serve(limited)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	srv.Close()
	return fmt.Errorf("accepting connections: %w", err)
}

func (s *Server) setDefaults() {
	if s.Connections == 0 {
		s.Connections = defaultConnections
	}
	if s.PerSource == 0 {
		s.PerSource = defaultPerSource
	}
	if s.Stall == 0 {
		s.Stall = defaultStall
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.lines.SourceBurst, s.lines.SourceRate = 16, 0.2
	s.lines.TotalBurst, s.lines.TotalRate = 256, 2
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// Nobody has a reason to send a body; the time that it may take to be
		// thrown away is bounded.
		deadline := time.Now().Add(headerTimeout)
		if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Connection", "close")
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "nothing can be changed here: this server answers GET and HEAD")
		return
	}
	a, err := s.open(r)
	if err != nil {
		status, reason := http.StatusInternalServerError, "internal error"
		if refusal, ok := errors.AsType[*provision.Refusal](err); ok {
			status, reason = refusal.Status, refusal.Reason
			h["Www-Authenticate"] = refusal.Challenges
		}
		if status == http.StatusServiceUnavailable {
			h.Set("Retry-After", "5")
		}
		refuse(w, status, reason)
		return
	}
	defer a.Content.Close()
	h.Set("Content-Type", a.ContentType)
	h.Set("ETag", a.ETag)
	h.Set("Cache-Control", "no-cache") // to be kept, and asked about each time
	switch _, file := a.Content.(*os.File); {
	case !file:
		if c, ok := r.Context().Value(connKey{}).(*conn); ok && a.Size > 0 && a.Size <= maxWhole && isPlain(r) {
			serveWhole(w, c, a)
			return
		}
		w = buffered{w}
	case a.Pace != nil || a.Sent != nil:
		image := &imageResponse{ResponseWriter: w, ctx: r.Context(), pace: a.Pace, now: s.Now}
		http.ServeContent(image, r, "", a.ModTime, a.Content)
		if a.Sent != nil && r.Method == http.MethodGet && image.reached(a.Size) {
			a.Sent()
		}
		return
	}
	http.ServeContent(w, r, "", a.ModTime, a.Content)
}

// connKey is the key of a connection in its requests' context.
type connKey struct{}

// maxWhole is the longest document that is sent with its header at once, in
// octets: the copy must not cost more than the system calls that it saves.
const maxWhole = 64 << 10

// isPlain reports whether r asks for all of a document, whatever the client has.
func isPlain(r *http.Request) bool {
	if r.Method != http.MethodGet || r.ContentLength != 0 {
		return false
	}
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if _, ok := r.Header[name]; ok {
			return false
		}
	}
	return true
}

// serveWhole sends a document as http.ServeContent would, but in one system call.
func serveWhole(w http.ResponseWriter, c *conn, a *provision.Answer) {
	from, ok := w.(io.ReaderFrom)
	if !ok {
		panic(http.ErrAbortHandler) // net/http's own always is one
	}
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(a.Size, 10))
	release := c.hold()
	w.WriteHeader(http.StatusOK)
	err := http.NewResponseController(w).Flush() // to the connection, which holds it
	if err == nil {
		_, err = from.ReadFrom(a.Content)
	}
	if err := errors.Join(err, release()); err != nil {
		panic(http.ErrAbortHandler) // who went away needs no more
	}
}

// buffered hides that a response can read from a file by itself: a document in
// memory is better off with the buffer that its header is in.
type buffered struct{ http.ResponseWriter }

// refuse answers with one line of text.
func refuse(w http.ResponseWriter, status int, reason string) {
	body := reason + "\n"
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(body)) // who went away needs no reason
}

// open asks the desk. A panic there costs this request alone.
func (s *Server) open(r *http.Request) (a *provision.Answer, err error) {
	source := remote(r)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			n := s.panics.Add(1)
			if held, ok := s.lines.Allow(source, s.Now()); ok {
				s.Log.Error("panic", "ip", source.String(), "path", fmt.Sprintf("%.128q", r.URL.Path), "err", fmt.Sprint(v),
					"panics", n, "unlogged", held, "stack", string(debug.Stack()))
			}
		}
	}()
	request := provision.Request{
		Path:      r.URL.Path,
		RawQuery:  r.URL.RawQuery,
		Source:    source,
		Local:     local(r),
		Protocol:  "http",
		UserAgent: r.UserAgent(),
		Method:    r.Method, Target: r.RequestURI, Authorization: r.Header.Get("Authorization"),
	}
	if r.TLS != nil {
		request.Protocol, request.Certificates = "https", r.TLS.PeerCertificates
	}
	return s.Desk.Open(request)
}

func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // no lease is tied to it
	}
	return a.Addr()
}

func local(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}
