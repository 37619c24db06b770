// Package httpd serves the documents and the files of the setting server over
// HTTP and HTTPS, for reading only. Phones want a Content-Length and never chunks.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
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
	// lingerTime is for a client to take the answer to what it sent too much of, of
	// which maxLinger octets are thrown away.
	lingerTime = 500 * time.Millisecond
	maxLinger  = 256 << 10

	// maxHeader is in octets. What came together with the request before is not
	// counted again.
	maxHeader = 8 << 10
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
func (s *Server) Serve(ctx context.Context, l *net.TCPListener) error {
	s.setDefaults()
	d, err := newDoor(l)
	if err != nil {
		l.Close()
		return err
	}
	return newPool(ctx, s, d).serve(ctx)
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

// Values of fields that each answer has; nobody changes them.
var (
	nosniff = []string{"nosniff"}
	noCache = []string{"no-cache"} // to be kept, and asked about each time
)

// answer answers one request.
func (w *worker) answer(r *http.Request, p peer) {
	res := &w.response
	h := res.Header()
	h["X-Content-Type-Options"] = nosniff
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		refuse(res, http.StatusMethodNotAllowed, "nothing can be changed here: this server answers GET and HEAD")
		return
	}
	a, err := w.open(r, p)
	if err != nil {
		status, reason := http.StatusInternalServerError, "internal error"
		if refusal, ok := errors.AsType[*provision.Refusal](err); ok {
			status, reason = refusal.Status, refusal.Reason
			h["Www-Authenticate"] = refusal.Challenges
		}
		if status == http.StatusServiceUnavailable {
			h.Set("Retry-After", "5")
		}
		refuse(res, status, reason)
		return
	}
	defer a.Content.Close()
	res.kind[0], res.tag[0] = a.ContentType, a.ETag
	h["Content-Type"], h["Etag"], h["Cache-Control"] = res.kind[:], res.tag[:], noCache
	if a.Pace == nil && a.Sent == nil {
		http.ServeContent(res, r, "", a.ModTime, a.Content)
		return
	}
	image := &imageResponse{ResponseWriter: res, ctx: w.ctx, pace: a.Pace, now: w.Now}
	http.ServeContent(image, r, "", a.ModTime, a.Content)
	if res.finish() == nil && a.Sent != nil && r.Method == http.MethodGet && image.reached(a.Size) {
		a.Sent()
	}
}

// refuse answers with one line of text.
func refuse(res *response, status int, reason string) {
	body := reason + "\n"
	h := res.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	res.WriteHeader(status)
	res.Write([]byte(body)) // who went away needs no reason
}

// open asks the desk. A panic there costs this request alone.
func (s *Server) open(r *http.Request, p peer) (a *provision.Answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			s.panicked(p.source, r.URL.Path, v)
		}
	}()
	request := provision.Request{
		Path:      r.URL.Path,
		RawQuery:  r.URL.RawQuery,
		Source:    p.source,
		Local:     p.local,
		Protocol:  "http",
		UserAgent: r.UserAgent(),
		Method:    r.Method, Target: r.RequestURI, Authorization: r.Header.Get("Authorization"),
	}
	if p.secure {
		request.Protocol, request.Certificates = "https", p.certificates
	}
	return s.Desk.Open(request)
}

// panicked notes a panic, as far as the log is not flooded with them.
func (s *Server) panicked(source netip.Addr, path string, v any) {
	n := s.panics.Add(1)
	if held, ok := s.lines.Allow(source, s.Now()); ok {
		s.Log.Error("panic", "ip", source.String(), "path", fmt.Sprintf("%.128q", path), "err", fmt.Sprint(v),
			"panics", n, "unlogged", held, "stack", string(debug.Stack()))
	}
}
