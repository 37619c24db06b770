package tftpd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tftp "github.com/pin/tftp/v3"

	"dialtone/provision"
)

// desk is an Opener of one function.
type desk func(r provision.Request) (*provision.Answer, error)

func (d desk) Open(r provision.Request) (*provision.Answer, error) { return d(r) }

// content is an answer's content that tells when it was closed.
type content struct {
	io.ReadSeeker
	closed *atomic.Int64
}

func (c content) Close() error {
	if c.closed != nil {
		c.closed.Add(1)
	}
	return nil
}

func answer(b []byte) *provision.Answer {
	return &provision.Answer{Content: content{ReadSeeker: bytes.NewReader(b)}, Size: int64(len(b))}
}

// serve runs s on a loopback port until the test ends, and checks that it ends well.
func serve(t *testing.T, s *Server) (addr netip.AddrPort, stop func()) {
	t.Helper()
	return serveOn(t, s, "udp4", "127.0.0.1:0")
}

func serveOn(t *testing.T, s *Server, network, address string) (addr netip.AddrPort, stop func()) {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn.(*net.UDPConn)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(tooLong):
			t.Error("Serve does not end")
		}
	})
	t.Cleanup(stop)
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), stop
}

// tooLong is longer than anything takes on a machine that has much else to do.
const tooLong = time.Minute

// client speaks TFTP packet by packet.
type client struct {
	t    *testing.T
	conn *net.UDPConn
	to   netip.AddrPort // the server, then the port of the transfer
}

func dial(t *testing.T, to netip.AddrPort) *client {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, to: to}
}

func (c *client) send(packet string) {
	c.t.Helper()
	if _, err := c.conn.WriteToUDPAddrPort([]byte(packet), c.to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) ack(block uint16) {
	c.send("\x00\x04" + string([]byte{byte(block >> 8), byte(block)}))
}

// receive gives the next packet; what follows goes to the port that it came from.
func (c *client) receive() string {
	c.t.Helper()
	p, ok := c.poll(tooLong)
	if !ok {
		c.t.Fatal("no answer")
	}
	return p
}

func (c *client) poll(wait time.Duration) (string, bool) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(wait))
	b := make([]byte, 70000)
	n, from, err := c.conn.ReadFromUDPAddrPort(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.to = from
	return string(b[:n]), true
}

func (c *client) want(packet string) {
	c.t.Helper()
	if got := c.receive(); got != packet {
		c.t.Fatalf("received %.60q, want %.60q", got, packet)
	}
}

func rrq(path string, options ...string) string {
	s := "\x00\x01" + path + "\x00octet\x00"
	for _, o := range options {
		s += o + "\x00"
	}
	return s
}

func data(block uint16, s string) string {
	return "\x00\x03" + string([]byte{byte(block >> 8), byte(block)}) + s
}

// fetch uses the library's client.
func fetch(addr, path, mode string, set func(*tftp.Client)) ([]byte, error) {
	c, err := tftp.NewClient(addr)
	if err != nil {
		return nil, err
	}
	c.SetTimeout(tooLong)
	if set != nil {
		set(c)
	}
	w, err := c.Receive(path, mode)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	return b.Bytes(), err
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestFetch(t *testing.T) {
	t.Parallel()
	all := noise(100_000)
	var closed atomic.Int64
	addr, stop := serve(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		var n int
		if _, err := fmt.Sscanf(r.Path, "/%d", &n); err != nil {
			return nil, &provision.Refusal{Status: 404, Reason: "no number"}
		}
		a := answer(all[:n])
		a.Content = content{a.Content, &closed}
		return a, nil
	})})
	fetched := int64(0)
	for _, size := range []int{0, 1, 511, 512, 513, 1024, 32768, 32769, 99_999, 100_000} {
		for _, block := range []int{0, 512, 1428, 8192, 65464} {
			got, err := fetch(addr.String(), fmt.Sprintf("/%d", size), "octet", func(c *tftp.Client) {
				c.SetBlockSize(block)
				c.RequestTSize(size%2 == 0)
			})
			if err != nil || !bytes.Equal(got, all[:size]) {
				t.Errorf("%d octets in blocks of %d: got %d, %v", size, block, len(got), err)
			}
			fetched++
		}
	}
	stop() // a client hears the last block before the server hears the last ACK
	if closed.Load() != fetched {
		t.Errorf("%d contents closed of %d", closed.Load(), fetched)
	}
}

func TestNetasciiFetch(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer([]byte("a\nb\r")), nil
	})})
	c := dial(t, addr)
	c.send("\x00\x01x\x00NetASCII\x00tsize\x000\x00")
	c.want(data(1, "a\r\nb\r\x00")) // no OACK: the size is not known beforehand
	c.ack(1)
}

// The block number wraps after 65,535 blocks, 32 MB of the default block.
func TestRollover(t *testing.T) {
	t.Parallel()
	image := noise(40 << 20)
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer(image), nil
	})})
	got, err := fetch(addr.String(), "firmware/image.bin", "octet", nil)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(image) {
		t.Errorf("got %d octets of %d, %v", len(got), len(image), err)
	}
}

// The same in windows, with a client that acknowledges as RFC 7440 says.
func TestWindowRollover(t *testing.T) {
	t.Parallel()
	image := noise(8*70_000 + 3)
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer(image), nil
	})})
	c := dial(t, addr)
	got := c.windowed("image", len(image), 8, 64)
	if !bytes.Equal(got, image) {
		t.Errorf("got %d octets, not those of the image", len(got))
	}
}

// windowed fetches a file in blocks and windows of the given size.
func (c *client) windowed(path string, size, block, window int) []byte {
	c.t.Helper()
	c.send(rrq(path, "windowsize", fmt.Sprint(window), "blksize", fmt.Sprint(block), "tsize", "0"))
	c.want("\x00\x06" + fmt.Sprintf("windowsize\x00%d\x00blksize\x00%d\x00tsize\x00%d\x00", window, block, size))
	c.ack(0)
	var all []byte
	last, unacknowledged := uint16(0), 0
	for {
		p := c.receive()
		number := binary.BigEndian.Uint16([]byte(p[2:]))
		if number != last+1 {
			// Something was lost: the window is asked for from there.
			if unacknowledged >= 0 {
				c.ack(last)
			}
			unacknowledged = -1
			continue
		}
		last = number
		all = append(all, p[headerLen:]...)
		unacknowledged = max(unacknowledged, 0) + 1
		end := len(p) < block+headerLen
		if unacknowledged == window || end {
			c.ack(last)
			unacknowledged = 0
		}
		if end {
			return all
		}
	}
}

func TestWindowDialogue(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Timeout: time.Minute, Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer([]byte("11111111222222223333333344444444555")), nil
	})})
	c := dial(t, addr)
	c.send(rrq("x", "blksize", "8", "windowsize", "3"))
	c.want("\x00\x06blksize\x008\x00windowsize\x003\x00")
	c.ack(0)
	c.want(data(1, "11111111"))
	c.want(data(2, "22222222"))
	c.want(data(3, "33333333"))
	// Block 2 was lost: all that follows 1 comes again, and the window slides on.
	c.ack(1)
	c.want(data(2, "22222222"))
	c.want(data(3, "33333333"))
	c.want(data(4, "44444444"))
	// Block 2 was lost once more: the ACK of 1 counts again, but only once.
	c.ack(1)
	c.ack(1)
	c.want(data(2, "22222222"))
	c.want(data(3, "33333333"))
	c.want(data(4, "44444444"))
	c.ack(4)
	c.want(data(5, "555"))
	// Of blocks that were sent twice come two ACKs; the second asks for nothing.
	c.ack(4)
	c.ack(9) // never sent
	c.ack(5)
	if p, ok := c.poll(50 * time.Millisecond); ok {
		t.Errorf("received %.60q after the end", p)
	}
}

// A doubled ACK must not double what follows it.
func TestDuplicateACK(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Timeout: time.Minute, Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer(bytes.Repeat([]byte{'x'}, 1200)), nil
	})})
	c := dial(t, addr)
	c.send(rrq("x"))
	x := strings.Repeat("x", 512)
	c.want(data(1, x))
	c.ack(1)
	c.ack(1)
	c.want(data(2, x))
	c.ack(1)
	c.send("\x00\x04")         // runt
	c.send("\x00\x03\x00\x02") // data of a client that only reads
	c.ack(2)
	c.want(data(3, x[:1200-1024]))
	c.ack(3)
	if p, ok := c.poll(50 * time.Millisecond); ok {
		t.Errorf("received %.60q after the end", p)
	}
}

func TestSilentClient(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	addr, stop := serve(t, &Server{
		Timeout: 5 * time.Millisecond, Retries: 3,
		Desk: desk(func(provision.Request) (*provision.Answer, error) {
			a := answer([]byte("hello"))
			a.Content = content{a.Content, &closed}
			return a, nil
		}),
	})
	c := dial(t, addr)
	c.send(rrq("x"))
	for range 4 {
		c.want(data(1, "hello"))
	}
	if p, ok := c.poll(100 * time.Millisecond); ok {
		t.Errorf("received %.60q after all tries", p)
	}
	stop()
	if closed.Load() != 1 {
		t.Error("the content was not closed")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		switch r.Path {
		case "/missing":
			return nil, &provision.Refusal{Status: 404, Reason: "there is no file: put it there"}
		case "/guarded":
			return nil, &provision.Refusal{Status: 403, Reason: "not the address of “that” phone\n"}
		case "/later":
			return nil, &provision.Refusal{Status: 503, Reason: "try again"}
		case "/wrapped":
			return nil, errors.New("open /srv/dialtone/x: too bad")
		case "/panic":
			panic("oh")
		case "/broken":
			return &provision.Answer{Content: content{ReadSeeker: broken{}}, Size: 1}, nil
		case "/panic/later":
			return &provision.Answer{Content: content{}, Size: 1}, nil
		}
		return answer([]byte("here")), nil
	})})
	for _, tt := range []struct{ request, want string }{
		{rrq("/missing"), "\x00\x05\x00\x01there is no file: put it there\x00"},
		{rrq("/guarded"), "\x00\x05\x00\x02not the address of ?that? phone?\x00"},
		{rrq("/later"), "\x00\x05\x00\x00try again\x00"},
		{rrq("/wrapped"), "\x00\x05\x00\x00internal error\x00"},
		{rrq("/panic"), "\x00\x05\x00\x00internal error\x00"},
		{rrq("/panic/later"), "\x00\x05\x00\x00internal error\x00"},
		{rrq("/broken"), "\x00\x05\x00\x00the file could not be read to its end\x00"},
		{"\x00\x02x\x00octet\x00", "\x00\x05\x00\x02nothing can be written here: this server only reads\x00"},
		{"\x00\x01x\x00mail\x00", "\x00\x05\x00\x04mode \"mail\" is not served: use octet or netascii\x00"},
		{"\x00\x01" + strings.Repeat("a", 2000), "\x00\x05\x00\x04the file name has no end, or the request is too long\x00"},
		{"\x00\x01" + strings.Repeat("a", 60000) + "\x00octet\x00", "\x00\x05\x00\x04the file name has no end, or the request is too long\x00"},
	} {
		c := dial(t, addr)
		c.send(tt.request)
		c.want(tt.want)
	}
	// What is no request is not answered: the next answer is that of the next request.
	c := dial(t, addr)
	for _, p := range []string{"", "\x00", "\x00\x05\x00\x01no\x00", "\x00\x04\x00\x01", "\x00\x03\x00\x01xx", "\xff\xff"} {
		c.send(p)
	}
	c.send(rrq("/x"))
	c.want(data(1, "here"))
	c.ack(1)
}

type broken struct{ io.ReadSeeker }

func (broken) Read([]byte) (int, error) { return 0, errors.New("input/output error on /dev/mmcblk0") }

// What the client ends is over, and its ERROR is not answered.
func TestClientError(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return &provision.Answer{Content: telling{bytes.NewReader(make([]byte, 5000)), closed}, Size: 5000}, nil
	})})
	c := dial(t, addr)
	c.send(rrq("x", "tsize", "0")) // as PXE does to learn the size
	c.want("\x00\x06tsize\x005000\x00")
	c.send("\x00\x05\x00\x08user aborted the transfer\x00")
	select {
	case <-closed:
	case <-time.After(tooLong):
		t.Fatal("the transfer goes on")
	}
	if p, ok := c.poll(20 * time.Millisecond); ok {
		t.Errorf("received %.60q", p)
	}
}

// telling is an answer's content that tells when it is closed.
type telling struct {
	io.ReadSeeker
	closed chan<- struct{}
}

func (c telling) Close() error {
	c.closed <- struct{}{}
	return nil
}

func TestLocalAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ network, listen, ask string }{
		{"udp4", "0.0.0.0:0", "127.0.0.3"},
		{"udp", "[::]:0", "127.0.0.4"}, // one socket for both families
		{"udp", "[::]:0", "::1"},
	} {
		t.Run(tt.listen+" "+tt.ask, func(t *testing.T) {
			t.Parallel()
			asked := make(chan provision.Request, 2)
			s := &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
				asked <- r
				if r.Path == "missing" {
					return nil, &provision.Refusal{Status: 404, Reason: "missing"}
				}
				return answer([]byte("here")), nil
			})}
			server, _ := serveOn(t, s, tt.network, tt.listen)
			// A connected socket hears only the address that it asked.
			for path, want := range map[string]string{"x": data(1, "here"), "missing": "\x00\x05\x00\x01missing\x00"} {
				network := "udp4"
				if strings.Contains(tt.ask, ":") {
					network = "udp6"
				}
				conn, err := net.ListenPacket(network, net.JoinHostPort("", "0"))
				if err != nil {
					t.Skip("no IPv6 on this machine")
				}
				defer conn.Close()
				to := netip.AddrPortFrom(netip.MustParseAddr(tt.ask), server.Port())
				if _, err := conn.WriteTo([]byte(rrq(path)), net.UDPAddrFromAddrPort(to)); err != nil {
					t.Skip("no IPv6 on this machine")
				}
				conn.SetReadDeadline(time.Now().Add(tooLong))
				b := make([]byte, 600)
				n, from, err := conn.ReadFrom(b)
				if err != nil || string(b[:n]) != want {
					t.Fatalf("received %q, %v, want %q", b[:n], err, want)
				}
				if got := from.(*net.UDPAddr).AddrPort().Addr().Unmap(); got != to.Addr() {
					t.Errorf("answer from %v, want %v", got, to.Addr())
				}
				if r := <-asked; r.Local != to.Addr() || r.Source.Unmap() != to.Addr() && tt.ask == "::1" || r.Protocol != "tftp" {
					t.Errorf("the desk was asked %+v", r)
				}
			}
		})
	}
}

func TestBroadcastIsNotAnswered(t *testing.T) {
	t.Parallel()
	addr, _ := serveOn(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		return answer([]byte(r.Path)), nil
	})}, "udp4", "0.0.0.0:0")
	one := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	c := dial(t, one)
	c.send(rrq("to one")) // the server listens from here on
	c.want(data(1, "to one"))
	c = dial(t, netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), addr.Port()))
	c.send(rrq("to everyone"))
	c.to = one
	c.send(rrq("to one"))
	c.want(data(1, "to one"))
}

func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	var now, opened atomic.Int64
	over := make(chan struct{}, 8)
	addr, _ := serve(t, &Server{
		Timeout: time.Minute,
		Now:     func() time.Time { return time.Unix(now.Load(), 0) },
		Desk: desk(func(r provision.Request) (*provision.Answer, error) {
			opened.Add(1)
			a := answer([]byte(r.Path))
			a.Content = telling{a.Content, over}
			return a, nil
		}),
	})
	c := dial(t, addr)
	c.send(rrq("a"))
	c.send(rrq("a"))
	c.send(rrq("a"))
	c.want(data(1, "a"))
	// Another file from the same port replaces the transfer, in silence.
	first := c.to
	c.to = addr
	c.send(rrq("b"))
	c.want(data(1, "b"))
	if c.to == first {
		t.Error("both transfers have one port")
	}
	// So does the same file with other options, as loaders ask that want its size first.
	c.to = addr
	c.send(rrq("b", "tsize", "0"))
	c.want("\x00\x06tsize\x001\x00")
	c.to = addr
	c.send(rrq("b"))
	c.want(data(1, "b"))
	// So does the same file, when too much time went by for a repetition.
	now.Add(int64(duplicateFor / time.Second))
	c.to = addr
	c.send(rrq("b"))
	c.want(data(1, "b"))
	// The last one is in flight, the others are over.
	for range 4 {
		<-over
	}
	if p, ok := c.poll(50 * time.Millisecond); ok || opened.Load() != 5 || len(over) != 0 {
		t.Errorf("received %.60q, the desk was asked %d times, %d more are over, want 5 and none", p, opened.Load(), len(over))
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := &Server{
		Transfers: 3, PerSource: 2, Timeout: time.Minute,
		Desk: desk(func(provision.Request) (*provision.Answer, error) { return answer([]byte("x")), nil }),
	}
	addr, _ := serve(t, s)
	const busy = "\x00\x05\x00\x00busy, try again\x00"
	first, second, third := dial(t, addr), dial(t, addr), dial(t, addr)
	for _, c := range []*client{first, second} {
		c.send(rrq("x"))
		c.want(data(1, "x"))
	}
	third.send(rrq("x"))
	third.want(busy)

	other := func() *client {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &client{t: t, conn: conn, to: addr}
	}
	fourth, fifth := other(), other()
	fourth.send(rrq("x"))
	fourth.want(data(1, "x"))
	fifth.send(rrq("x"))
	fifth.want(busy) // not its own limit, that of all
	// Who has a place may ask for something else in it.
	fourth.to = addr
	fourth.send(rrq("y"))
	fourth.want(data(1, "x"))

	// A place that is left is taken again.
	first.ack(1)
	for third.to = addr; ; third.to = addr {
		third.send(rrq("x"))
		if p := third.receive(); p == data(1, "x") {
			break
		} else if p != busy {
			t.Fatalf("received %.60q", p)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	addr, stop := serve(t, &Server{Timeout: time.Minute, Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return answer([]byte("x")), nil
	})})
	c := dial(t, addr)
	c.send(rrq("x"))
	c.want(data(1, "x"))
	stop()
	c.want("\x00\x05\x00\x00the server stops\x00")
}

func TestBrokenSocket(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.Context(), conn) }()
	conn.Close()
	if err := <-done; err == nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want that the socket is closed", err)
	}
}

// Requests for missing files, in a burst, leave nothing behind.
func TestNoLeak(t *testing.T) {
	addr, stop := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return nil, &provision.Refusal{Status: 404, Reason: "missing"}
	})})
	c := dial(t, addr)
	c.send(rrq("x"))
	c.receive()
	before, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 2000 {
		c.to = addr
		c.send(rrq("x"))
	}
	// The last one is answered when all are: the server reads in order, and a
	// burst that did not fit its buffer is lost before.
	for answered := false; !answered; {
		c.to = addr
		c.send("\x00\x02end\x00octet\x00")
		for {
			p, ok := c.poll(time.Second)
			if !ok {
				break
			}
			answered = answered || strings.Contains(p, "only reads")
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	stop()
	if after := runtime.NumGoroutine(); after > goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// relay stands between a client and the server and loses, doubles and delays
// packets. It gives the address for the client to ask.
func relay(t *testing.T, server netip.AddrPort, seed uint64) netip.AddrPort {
	t.Helper()
	listen := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	front, back := listen(), listen()
	var client, transfer atomic.Pointer[netip.AddrPort]
	transfer.Store(&server)
	pump := func(from, to *net.UDPConn, seed uint64, sender, target *atomic.Pointer[netip.AddrPort]) {
		random := rand.New(rand.NewPCG(seed, seed))
		var late []byte
		b := make([]byte, 70000)
		for {
			n, addr, err := from.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			sender.Store(&addr)
			copies := 1
			switch random.IntN(20) {
			case 0, 1:
				copies = 0
			case 2:
				copies = 2
			case 3:
				late = bytes.Clone(b[:n])
				continue
			}
			for range copies {
				to.WriteToUDPAddrPort(b[:n], *target.Load())
			}
			if late != nil {
				to.WriteToUDPAddrPort(late, *target.Load())
				late = nil
			}
		}
	}
	go pump(front, back, seed, &client, &transfer)
	go pump(back, front, seed+1, &transfer, &client)
	return front.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestLossyNetwork(t *testing.T) {
	t.Parallel()
	all := noise(60_000)
	addr, _ := serve(t, &Server{
		Timeout: 10 * time.Millisecond, Retries: 50,
		Desk: desk(func(provision.Request) (*provision.Answer, error) { return answer(all), nil }),
	})
	for seed := range uint64(4) {
		got, err := fetch(relay(t, addr, seed).String(), "x", "octet", func(c *tftp.Client) {
			c.SetTimeout(15 * time.Millisecond)
			c.SetRetries(4000)
			c.SetBackoff(func(int) time.Duration { return 0 })
			if seed%2 == 1 {
				c.SetBlockSize(1428)
			}
		})
		if err != nil || !bytes.Equal(got, all) {
			t.Errorf("seed %d: got %d octets of %d, %v", seed, len(got), len(all), err)
		}
	}
}

func TestLossyWindow(t *testing.T) {
	t.Parallel()
	all := noise(60_000)
	server := &Server{
		Timeout: 10 * time.Millisecond, Retries: 50,
		Desk: desk(func(provision.Request) (*provision.Answer, error) { return answer(all), nil }),
	}
	addr, _ := serve(t, server)
	through := relay(t, addr, 7)
	c := dial(t, through)
	// The request itself may be lost too.
	for {
		c.to = through
		c.send(rrq("x", "windowsize", "8", "blksize", "100"))
		if p, ok := c.poll(20 * time.Millisecond); ok && strings.HasPrefix(p, "\x00\x06") {
			break
		}
	}
	var got []byte
	last, inWindow := uint16(0), 0
	c.ack(0)
	for range 100_000 {
		p, ok := c.poll(30 * time.Millisecond)
		if !ok || p[1] == opOACK || binary.BigEndian.Uint16([]byte(p[2:])) == last {
			c.ack(last) // it was lost, or is late
			inWindow = 0
			continue
		}
		if p[1] != opDATA || binary.BigEndian.Uint16([]byte(p[2:])) != last+1 {
			continue
		}
		last++
		inWindow++
		got = append(got, p[headerLen:]...)
		if len(p) < 104 {
			break
		}
		if inWindow == 8 {
			c.ack(last)
			inWindow = 0
		}
	}
	if !bytes.Equal(got, all) {
		t.Errorf("got %d octets, not those of the file", len(got))
	}
}

// Hostile clients cannot fill the log.
func TestQuietLog(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	s := &Server{
		Log:  slog.New(slog.NewTextHandler(&lines, nil)),
		Now:  func() time.Time { return time.Unix(1, 0) },
		Desk: desk(func(provision.Request) (*provision.Answer, error) { panic("\x1b[31mno") }),
	}
	addr, stop := serve(t, s)
	c := dial(t, addr)
	for range 100 {
		c.to = addr
		c.send("\x00\x01\x1b[2Jx\x00mail\x00")
		c.receive()
		c.to = addr
		c.send(rrq("\x1b[2Jx"))
		c.receive()
	}
	stop()
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 16 {
		t.Errorf("%d lines, want 16", n)
	}
	if bytes.ContainsRune(lines.Bytes(), '\x1b') {
		t.Error("an escape sequence reached the log")
	}
}

// A request that nobody made, as by a forged address, takes no more memory than for
// one block, whatever it asks for.
func TestSilentClientTakesLittle(t *testing.T) {
	t.Parallel()
	for _, options := range [][]string{nil, {"windowsize", "64", "blksize", "1428"}} {
		var read atomic.Int64
		over := make(chan struct{}, 1)
		addr, _ := serve(t, &Server{
			Timeout: time.Millisecond, Retries: 3,
			Desk: desk(func(provision.Request) (*provision.Answer, error) {
				all := bytes.NewReader(noise(1 << 20))
				counted := struct {
					io.Reader
					io.Seeker
				}{io.TeeReader(all, counter{&read}), all}
				return &provision.Answer{Content: telling{counted, over}, Size: all.Size()}, nil
			}),
		})
		dial(t, addr).send(rrq("x", options...))
		<-over
		if n := read.Load(); n > 1428 {
			t.Errorf("%v: %d octets were read", options, n)
		}
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// A client that is gone gives its place back as soon as its machine says so.
func TestClientGone(t *testing.T) {
	t.Parallel()
	over := make(chan struct{}, 1)
	addr, _ := serve(t, &Server{
		Timeout: 10 * time.Millisecond, Retries: 1_000_000,
		Desk: desk(func(provision.Request) (*provision.Answer, error) {
			return &provision.Answer{Content: telling{bytes.NewReader(noise(5000)), over}, Size: 5000}, nil
		}),
	})
	c := dial(t, addr)
	c.send(rrq("x"))
	c.want(data(1, string(noise(512))))
	c.conn.Close()
	select {
	case <-over:
	case <-time.After(tooLong):
		t.Error("the transfer goes on")
	}
}
