// Package tftpd serves files and documents over TFTP, for reading only: RFC 1350
// with options (RFC 2347): blksize (RFC 2348), timeout and tsize (RFC 2349),
// windowsize (RFC 7440).
package tftpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"dialtone/provision"
)

const (
	defaultTransfers = 512
	// Many phones can come from one address: behind a router, or simulated.
	defaultPerSource = 64
	defaultTimeout   = time.Second
	defaultRetries   = 5

	// duplicateFor is how long the same request of the same port is taken for the
	// first one, sent again: the transfer repeats its own packets.
	duplicateFor = 3 * time.Second

	// maxRequest is more than any request has; RFC 2347 allows 512 octets.
	maxRequest = 4096

	// maxReadErrors is how many times in a row the socket may fail before it is
	// given up.
	maxReadErrors = 100
)

// Opener is what the server needs of the desk. Its errors are *provision.Refusal.
type Opener interface {
	Open(r provision.Request) (*provision.Answer, error)
}

// Server answers read requests. Desk and Log must be set; a zero in any other
// field means the default.
type Server struct {
	Desk      Opener
	Log       *slog.Logger
	Transfers int           // at once, in all: 512
	PerSource int           // at once, of one address (of one /64 in IPv6): 64
	Timeout   time.Duration // until a block is sent again, at first: 1 s
	Retries   int           // how often it is sent again: 5
	Now       func() time.Time

	lines  provision.Throttle
	panics atomic.Int64

	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
	sources  map[netip.Addr]int
	running  int
}

// session is a request that is being answered.
type session struct {
	conn    *net.UDPConn   // the socket that the request came by, for refusals
	peer    netip.AddrPort // the client and its transfer identifier
	local   netip.Addr     // the address that it asked
	request request
	started time.Time
	end     context.CancelCauseFunc
}

// Causes for the end of a transfer that neither side asked for.
var (
	errReplaced = errors.New("the client asked for something else from the same port")
	errStopping = &fault{codeOther, "the server stops"}
	errInternal = &fault{codeOther, "internal error"}
)

// Serve answers requests that come by conn until ctx ends; the transfers end
// with it. Then it gives nil. It closes conn in any case.
func (s *Server) Serve(ctx context.Context, conn *net.UDPConn) error {
	defer conn.Close()
	if err := receivePacketInfo(conn); err != nil {
		return err
	}
	s.setDefaults()
	l, err := newLoop()
	if err != nil {
		return err
	}
	defer l.close()
	var working sync.WaitGroup
	working.Go(l.run)
	defer working.Wait()
	defer l.put(message{})

	ctx, cancel := context.WithCancelCause(ctx)
	var transfers sync.WaitGroup
	defer transfers.Wait()
	defer cancel(errStopping)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	bound := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	buf, oob := make([]byte, maxRequest), make([]byte, oobLen)
	failed := 0
	for {
		n, oobn, _, peer, err := conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			// An interface that goes away for a moment must neither end the
			// service nor keep a processor busy.
			if failed++; failed > maxReadErrors || errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("reading requests: %w", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		failed = 0
		local, ok := destination(oob[:oobn], bound)
		if !ok {
			continue
		}
		ses := &session{conn: conn, peer: peer, local: local}
		ses.request, err = parseRequest(buf[:n])
		if errors.Is(err, errNoRequest) {
			continue
		}
		if err == nil {
			var admitted bool
			if admitted, err = s.admit(ctx, l, ses, &transfers); admitted {
				continue
			}
		}
		if f, ok := errors.AsType[*fault](err); ok {
			s.line(ses, slog.LevelInfo, "request refused", "reason", f.text)
			ses.refuse(f)
		}
	}
}

func (s *Server) setDefaults() {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&s.Transfers, defaultTransfers)
	set(&s.PerSource, defaultPerSource)
	set(&s.Retries, defaultRetries)
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.lines.SourceBurst, s.lines.SourceRate = 16, 0.2
	s.lines.TotalBurst, s.lines.TotalRate = 256, 2
	s.sessions = make(map[netip.AddrPort]*session)
	s.sources = make(map[netip.Addr]int)
}

// admit starts a transfer unless there are too many. A request that was sent
// again is dropped: not admitted, and no error.
func (s *Server) admit(ctx context.Context, l *loop, ses *session, transfers *sync.WaitGroup) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses.started = s.Now()
	source := provision.SourceOf(ses.peer.Addr())
	inAll, ofSource := s.running, s.sources[source]
	if old := s.sessions[ses.peer]; old != nil {
		if old.request.equal(ses.request) && ses.started.Sub(old.started) < duplicateFor {
			return false, nil
		}
		// Some loaders use one port for all they fetch: the place is theirs.
		old.end(errReplaced)
		inAll, ofSource = inAll-1, ofSource-1
	}
	if inAll >= s.Transfers || ofSource >= s.PerSource {
		return false, &fault{codeOther, "busy, try again"}
	}
	s.running++
	s.sources[source]++
	ctx, ses.end = context.WithCancelCause(ctx)
	s.sessions[ses.peer] = ses
	transfers.Go(func() {
		f := s.answer(ctx, l, ses)
		// Whoever hears of a refusal may ask again at once and is not to be taken
		// for a repetition.
		s.leave(ses)
		if f != nil {
			ses.refuse(f)
		}
	})
	return true, nil
}

func (s *Server) leave(ses *session) {
	ses.end(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if source := provision.SourceOf(ses.peer.Addr()); s.sources[source] > 1 {
		s.sources[source]--
	} else {
		delete(s.sources, source)
	}
	if s.sessions[ses.peer] == ses {
		delete(s.sessions, ses.peer)
	}
}

// answer carries one request out, or says why it cannot. A panic costs this
// request alone.
func (s *Server) answer(ctx context.Context, l *loop, ses *session) (refusal *fault) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(ses, &panicked{v, debug.Stack()})
			refusal = errInternal
		}
	}()
	a, err := s.Desk.Open(provision.Request{
		Path:     ses.request.path,
		RawQuery: ses.request.query,
		Source:   ses.peer.Addr(),
		Local:    ses.local,
		Protocol: "tftp",
	})
	if err != nil {
		return faultOf(err)
	}
	defer a.Content.Close()
	fd, err := connect(ses.local, ses.peer)
	if err != nil {
		s.line(ses, slog.LevelWarn, "transfer not started", "err", err)
		return &fault{codeOther, "busy, try again"}
	}
	sent, err := s.transfer(ctx, l, ses, fd, a)
	if err == nil {
		if a.Sent != nil {
			a.Sent()
		}
		return nil
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		s.panicked(ses, p)
		return nil
	}
	s.line(ses, slog.LevelInfo, "transfer ended early", "bytes", sent, "err", err)
	return nil
}

func (s *Server) panicked(ses *session, p *panicked) {
	s.line(ses, slog.LevelError, "panic", "err", p.Error(), "panics", s.panics.Add(1), "stack", string(p.stack))
}

// transfer reads a while the loop sends it by fd, a socket of its own that is
// connected to the client. It returns when fd is closed.
func (s *Server) transfer(ctx context.Context, l *loop, ses *session, fd int, a *provision.Answer) (sent int64, err error) {
	body, size := io.Reader(a.Content), a.Size
	if a.Pace != nil {
		body = a.Pace.Reader(ctx, body, s.Now)
	}
	if ses.request.netascii {
		body, size = &netascii{r: body}, -1 // known only when it is turned
	}
	agreed := negotiate(ses.request.options, size, pathMTU(fd, ses.local.Is4()), s.Timeout)
	f := newFeeder(body, size, agreed)
	sock := newSocket(fd, agreed, s.Retries, f)
	stop := context.AfterFunc(ctx, func() {
		// A client that was replaced has moved on and would take a word for the
		// answer to what it asked next.
		cause := context.Cause(ctx)
		if !errors.Is(cause, errReplaced) {
			cause = errStopping
		}
		l.put(message{socket: sock, err: cause})
	})
	defer stop()
	defer func() {
		if v := recover(); v != nil {
			l.put(message{socket: sock, err: &panicked{v, debug.Stack()}})
		}
		<-sock.over
		sent, err = sock.sent, sock.err
	}()
	for buf := f.first(); ; {
		m := message{socket: sock}
		m.run, m.ended, m.err = f.fill(buf)
		if ctx.Err() != nil {
			return // the cause says more than that the reader was told to stop
		}
		l.put(m)
		if m.ended || m.err != nil {
			return
		}
		select {
		case buf = <-sock.free:
		case <-sock.over:
			return
		}
	}
}

// refuse answers a request with an error, from the port that it came to: a
// refusal needs no socket of its own, however many there are.
func (ses *session) refuse(f *fault) {
	// UDP gives no promise either; a client that hears nothing asks again.
	ses.conn.WriteMsgUDPAddrPort(f.packet(), source(ses.local), ses.peer)
}

// line writes to the log as far as the client has not used up its share.
func (s *Server) line(ses *session, level slog.Level, message string, attrs ...any) {
	ip := ses.peer.Addr().Unmap()
	held, ok := s.lines.Allow(ip, s.Now())
	if !ok {
		return
	}
	attrs = append([]any{"ip", ip.String(), "path", fmt.Sprintf("%.128q", ses.request.path)}, attrs...)
	if held > 0 {
		attrs = append(attrs, "unlogged", held)
	}
	s.Log.Log(context.Background(), level, message, attrs...)
}
