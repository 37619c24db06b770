package tftpd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loop carries the packets of all transfers. One goroutine waits for all of their
// sockets at once, so that under load a block costs little more than one system
// call to receive its ACK and one to send the next block.
type loop struct {
	epoll   int
	bell    int       // an eventfd: something was put into the inbox
	sockets []*socket // by descriptor
	due     time.Time // no transfer is due before; zero where none is due
	in      [defaultBlock + headerLen]byte

	mu     sync.Mutex
	inbox  []message
	rung   bool
	closed bool
}

// socket is a transfer with the socket that is connected to its client.
type socket struct {
	transfer
	fd     int
	feeder *feeder
	roomy  bool          // there is room for all runs
	asked  int           // runs that the transfer's own goroutine is to read
	free   chan []byte   // for them
	over   chan struct{} // closed when the transfer is over and fd is closed
	err    error         // why, nil where all was sent; to be read then
}

func newSocket(fd int, t terms, retries int, f *feeder) *socket {
	return &socket{
		transfer: transfer{terms: t, retries: retries},
		fd:       fd,
		feeder:   f,
		asked:    1,
		free:     make(chan []byte, f.runs),
		over:     make(chan struct{}),
	}
}

// message is what a transfer's own goroutine has for the loop: packets, or an
// error that ends the transfer.
type message struct {
	socket *socket
	run    run
	ended  bool
	err    error
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening epoll: %w", err)
	}
	l := &loop{epoll: epoll}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("opening an eventfd: %w", err)
	}
	if err := l.watch(l.bell); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close is for a loop that does not run.
func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.Close(l.bell)
	unix.Close(l.epoll)
	l.closed = true
}

func (l *loop) watch(fd int) error {
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// put hands a message to the loop; the zero one ends it.
func (l *loop) put(m message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // all transfers are over, and this is an end that came late
	}
	l.inbox = append(l.inbox, m)
	if !l.rung {
		l.rung = true
		unix.Write(l.bell, binary.NativeEndian.AppendUint64(nil, 1)) // cannot be full
	}
}

// run works until it is told to end, by a message without a socket.
func (l *loop) run() {
	events := make([]unix.EpollEvent, 64)
	for {
		timeout := -1
		if !l.due.IsZero() {
			timeout = int(max(0, time.Until(l.due)+time.Millisecond-1) / time.Millisecond)
		}
		n, err := unix.EpollWait(l.epoll, events, timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Errorf("waiting for packets: %w", err)) // the descriptor is not epoll's: a bug
		}
		now, rung := time.Now(), false
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			if fd == l.bell {
				rung = true
			} else if s := l.sockets[fd]; s != nil { // or it was closed a moment ago
				l.read(s, now)
			}
		}
		if !l.due.IsZero() && !now.Before(l.due) {
			l.sweep(now)
		}
		if rung && !l.empty(now) {
			return
		}
	}
}

// empty takes what is in the inbox, and is false when the loop is to end.
func (l *loop) empty(now time.Time) bool {
	var count [8]byte
	unix.Read(l.bell, count[:])
	l.mu.Lock()
	inbox := l.inbox
	l.inbox, l.rung = nil, false
	l.mu.Unlock()
	for _, m := range inbox {
		if m.socket == nil {
			return false
		}
		l.take(m, now)
	}
	return true
}

func (l *loop) take(m message, now time.Time) {
	s := m.socket
	defer l.contain(s)
	select {
	case <-s.over:
		return
	default:
	}
	if m.err != nil {
		l.end(s, m.err)
		return
	}
	if s.fd >= len(l.sockets) || l.sockets[s.fd] != s {
		for len(l.sockets) <= s.fd {
			l.sockets = append(l.sockets, nil)
		}
		l.sockets[s.fd] = s
		if err := l.watch(s.fd); err != nil {
			l.end(s, err)
			return
		}
		l.act(s, s.start(now), now)
	}
	s.asked--
	l.act(s, s.feed(m.run, m.ended, now), now)
}

// read takes one packet; if there are more the next turn is soon.
func (l *loop) read(s *socket, now time.Time) {
	defer l.contain(s)
	n, err := receive(s.fd, l.in[:])
	if err != nil {
		if !passes(err) {
			l.end(s, fmt.Errorf("awaiting the ACK of block %d: %w", s.base, err))
		}
		return
	}
	next, err := s.receive(l.in[:n], now)
	if err != nil {
		l.end(s, err)
		return
	}
	l.act(s, next, now)
}

// sweep looks after the transfers that are due.
func (l *loop) sweep(now time.Time) {
	l.due = time.Time{}
	for _, s := range l.sockets {
		if s == nil || s.due.IsZero() {
			continue
		}
		if now.Before(s.due) {
			l.wake(s)
			continue
		}
		l.expire(s, now)
	}
}

func (l *loop) expire(s *socket, now time.Time) {
	defer l.contain(s)
	next, err := s.expire(now)
	if err != nil {
		l.end(s, err)
		return
	}
	l.act(s, next, now)
}

// wake has the loop look after s when it is due.
func (l *loop) wake(s *socket) {
	if l.due.IsZero() || s.due.Before(l.due) {
		l.due = s.due
	}
}

// act does the step of s. What was acknowledged makes room for more of the file:
// that is read here where it is in memory, as it mostly is, for phones load the
// same image. For what has to come from a slow card, or at a pace, the
// transfer's own goroutine waits, so that no other transfer does.
//
// There is room for one block until the client has answered: a flood of requests
// that nobody makes must not fill the memory.
func (l *loop) act(s *socket, next step, now time.Time) {
	if s.begun && !s.roomy && !s.ended {
		s.roomy = true
		for range s.feeder.runs {
			s.spent = append(s.spent, s.feeder.buffer())
		}
	}
	for len(s.spent) > 0 {
		buf := s.spent[0]
		s.spent = s.spent[:copy(s.spent, s.spent[1:])]
		if s.ended || len(buf) < s.feeder.blocks*s.stride() { // as the first one is
			continue
		}
		if s.asked == 0 {
			if r, ok := s.feeder.poll(buf); ok {
				next = max(next, s.feed(r, false, now))
				continue
			}
		}
		s.asked++
		s.free <- buf
	}
	switch next {
	case send:
		l.wake(s)
		if err := s.transmit(); err != nil {
			l.end(s, err)
		}
	case finish:
		l.end(s, nil)
	}
}

// transmit sends all that is in flight.
func (s *socket) transmit() error {
	for packets := range s.flight {
		for len(packets) > 0 {
			n := len(packets)
			if s.base > 0 {
				n = min(n, s.stride())
			}
			// What is lost in this machine is sent again, as what is lost in another.
			if err := transmit(s.fd, packets[:n]); err != nil && !passes(err) {
				return fmt.Errorf("sending block %d: %w", s.base, err)
			}
			packets = packets[n:]
		}
	}
	return nil
}

// passes reports whether an error of a socket may be over by the time that the
// flight is sent again: a queue is full, a cable was pulled, a router starts.
func passes(err error) bool {
	switch err {
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH:
		return true
	}
	return false
}

// end closes the socket, after a word to the client where err has one.
func (l *loop) end(s *socket, err error) {
	select {
	case <-s.over:
		return
	default:
	}
	if f, ok := errors.AsType[*fault](err); ok {
		unix.Write(s.fd, f.packet()) // the transfer is over whether it arrives or not
	}
	if s.fd < len(l.sockets) && l.sockets[s.fd] == s {
		l.sockets[s.fd] = nil
	}
	unix.Close(s.fd)
	s.err = err
	close(s.over)
}

// contain ends the transfer that panics, and no other.
func (l *loop) contain(s *socket) {
	if v := recover(); v != nil {
		l.end(s, &panicked{v, debug.Stack()})
	}
}

// panicked is the end of a transfer that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

func (p *panicked) Unwrap() error { return errInternal }
