package httpd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dialtone/provision"
)

// desk is an Opener of one function.
type desk func(r provision.Request) (*provision.Answer, error)

func (d desk) Open(r provision.Request) (*provision.Answer, error) { return d(r) }

// content is an answer's content that tells when it was closed.
type content struct {
	io.ReadSeeker
	closed func()
}

func (c content) Close() error {
	if c.closed != nil {
		c.closed()
	}
	return nil
}

func document(body string) *provision.Answer {
	return &provision.Answer{
		Content: content{ReadSeeker: strings.NewReader(body)}, Size: int64(len(body)),
		ETag: `"r1"`, ContentType: "text/xml; charset=utf-8",
	}
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs s on a loopback port until the test ends, and checks that it ends well.
func serve(t *testing.T, s *Server) (addr string, stop func()) {
	t.Helper()
	l := listen(t)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end")
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// ask sends a request as it stands and reads one answer.
func ask(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	c := send(t, addr, request)
	defer c.Close()
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	if resp.Close {
		// The server is done with it only when it ends.
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%.60q: the connection does not end: %v", request, err)
		}
	}
	return resp, string(body)
}

func get(path string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
}

// shown is what a phone sees of an answer.
type shown struct {
	Status int
	Length int64
	Header map[string]string
	Body   string
}

func show(resp *http.Response, body string, headers ...string) shown {
	s := shown{Status: resp.StatusCode, Length: resp.ContentLength, Body: body}
	for _, h := range headers {
		if v := resp.Header.Get(h); v != "" {
			if s.Header == nil {
				s.Header = make(map[string]string)
			}
			s.Header[h] = v
		}
	}
	return s
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 2000)
	addr, _ := serve(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		switch r.Path {
		case "/missing":
			return nil, &provision.Refusal{Status: 404, Reason: "there is none: make one"}
		case "/guarded":
			return nil, &provision.Refusal{Status: 403, Reason: "not yours"}
		case "/later":
			return nil, &provision.Refusal{Status: 503, Reason: "try again"}
		case "/wrapped":
			return nil, errors.New("open /srv/dialtone/x: too bad")
		case "/panic":
			panic("oh")
		case "/long":
			return document(long), nil
		case "/empty":
			return document(""), nil
		}
		return document("<settings/>"), nil
	})})
	xml := map[string]string{
		"Content-Type": "text/xml; charset=utf-8", "ETag": `"r1"`, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
	}
	with := func(h map[string]string, more ...string) map[string]string {
		all := make(map[string]string)
		for k, v := range h {
			all[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			if all[more[i]] = more[i+1]; more[i+1] == "" {
				delete(all, more[i])
			}
		}
		return all
	}
	text := map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	}
	for _, tt := range []struct {
		name, request string
		want          shown
	}{
		{"document", get("/x"), shown{200, 11, xml, "<settings/>"}},
		{"long document", get("/long"), shown{200, 20000, xml, long}},
		{"empty document", get("/empty"), shown{200, 0, xml, ""}},
		{"HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", shown{200, 11, xml, "<settings/>"}},
		{"head", "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n", shown{200, 11, xml, ""}},
		{
			"known revision", get("/x", `If-None-Match: "r0", "r1"`),
			shown{304, 0, with(xml, "Content-Type", ""), ""},
		},
		{"other revision", get("/x", `If-None-Match: "r0"`), shown{200, 11, xml, "<settings/>"}},
		{"range", get("/long", "Range: bytes=19995-"), shown{206, 5, with(xml, "Content-Range", "bytes 19995-19999/20000"), "56789"}},
		{
			"range of an old revision", get("/x", "Range: bytes=1-2", `If-Range: "r0"`),
			shown{200, 11, xml, "<settings/>"},
		},
		{"missing", get("/missing"), shown{404, 24, text, "there is none: make one\n"}},
		{"head of what is missing", "HEAD /missing HTTP/1.1\r\nHost: x\r\n\r\n", shown{404, 24, text, ""}},
		{"guarded", get("/guarded"), shown{403, 10, text, "not yours\n"}},
		{"later", get("/later"), shown{503, 10, with(text, "Retry-After", "5"), "try again\n"}},
		{"wrapped", get("/wrapped"), shown{500, 15, text, "internal error\n"}},
		{"panic", get("/panic"), shown{500, 15, text, "internal error\n"}},
		{
			"post", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
			shown{405, 64, with(text, "Allow", "GET, HEAD"), "nothing can be changed here: this server answers GET and HEAD\n"},
		},
		{
			"options", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
			shown{405, 64, with(text, "Allow", "GET, HEAD"), "nothing can be changed here: this server answers GET and HEAD\n"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, body := ask(t, addr, tt.request)
			if len(resp.TransferEncoding) > 0 {
				t.Errorf("Transfer-Encoding %v", resp.TransferEncoding)
			}
			got := show(resp, body, "Content-Type", "ETag", "Cache-Control", "X-Content-Type-Options", "Content-Range", "Retry-After", "Allow")
			if tt.want.Status == http.StatusMethodNotAllowed {
				tt.want.Length = int64(len(tt.want.Body))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What the desk is asked: the path decoded once, never cleaned nor redirected.
func TestRequests(t *testing.T) {
	t.Parallel()
	asked := make(chan provision.Request, 1)
	addr, _ := serve(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		asked <- r
		return document("x"), nil
	})})
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct{ target, path, query string }{
		{"/snomD785.htm", "/snomD785.htm", ""},
		{"//snomD785.htm", "//snomD785.htm", ""},
		{"/../../etc/passwd", "/../../etc/passwd", ""},
		{"/a/./b//../c", "/a/./b//../c", ""},
		{"/files/%2e%2e/x%2Fy", "/files/../x/y", ""},
		{"/00%3A04%3A13.xml", "/00:04:13.xml", ""},
		{"/%2500", "/%00", ""},
		{"/%00", "/\x00", ""},
		{"/?mac=00%3A04", "/", "mac=00%3A04"},
		{"http://other.example/x", "/x", ""},
	} {
		resp, _ := ask(t, addr, get(tt.target, "User-Agent: snomD785-SIP 10.1"))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", tt.target, resp.StatusCode)
		}
		want := provision.Request{
			Path: tt.path, RawQuery: tt.query, Source: loopback, Local: loopback,
			Protocol: "http", UserAgent: "snomD785-SIP 10.1", Method: "GET", Target: tt.target,
		}
		if diff := cmp.Diff(want, <-asked, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.target, diff)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		t.Error("the desk was asked")
		return document("x"), nil
	})})
	for request, want := range map[string]int{
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n":                                 400,
		"\x16\x03\x01\x02\x00\x01 x x\r\n\r\n":                                 400,
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 16<<10) + "\r\n\r\n":     431,
		"GET /" + strings.Repeat("y", 16<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n": 431,
	} {
		resp, _ := ask(t, addr, request)
		if resp.StatusCode != want {
			t.Errorf("%.20q: status %d, want %d", request, resp.StatusCode, want)
		}
	}
}

func image(t *testing.T, size int) (path string, body []byte) {
	t.Helper()
	body = make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(body)
	path = filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, body
}

func fileDesk(t *testing.T, path string) desk {
	return func(provision.Request) (*provision.Answer, error) {
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			t.Error(err)
			return nil, err
		}
		return &provision.Answer{
			Content: f, Size: info.Size(), ModTime: info.ModTime(), ETag: `"f"`, ContentType: "application/octet-stream",
		}, nil
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	path, body := image(t, 5<<20+17)
	addr, _ := serve(t, &Server{Desk: fileDesk(t, path)})
	for _, tt := range []struct {
		ranges string
		status int
		want   []byte
	}{
		{"", 200, body},
		{"bytes=0-", 206, body},
		{"bytes=3000000-", 206, body[3000000:]},
		{"bytes=-17", 206, body[len(body)-17:]},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/firmware/image.bin", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if tt.ranges != "" {
			req.Header.Set("Range", tt.ranges)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || !bytes.Equal(got, tt.want) || resp.ContentLength != int64(len(tt.want)) {
			t.Errorf("range %q: status %d, %d octets of %d, %v", tt.ranges, resp.StatusCode, len(got), len(tt.want), err)
		}
		if resp.Header.Get("Last-Modified") == "" {
			t.Error("no Last-Modified")
		}
	}
	resp, _ := ask(t, addr, get("/x", "Range: bytes=99999999-"))
	if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable || resp.ContentLength < 0 {
		t.Errorf("range beyond the end: status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
}

// A reader that takes nothing is cut, and its place is somebody else's.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	path, _ := image(t, 32<<20)
	open := fileDesk(t, path)
	for name, wrap := range map[string]func(f io.ReadSeekCloser) io.ReadSeekCloser{
		"sendfile": func(f io.ReadSeekCloser) io.ReadSeekCloser { return f },
		"memory":   func(f io.ReadSeekCloser) io.ReadSeekCloser { return content{f, func() { f.Close() }} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{}, 1)
			addr, _ := serve(t, &Server{Connections: 1, Stall: 50 * time.Millisecond, Desk: desk(func(r provision.Request) (*provision.Answer, error) {
				if r.Path != "/image" {
					return document("next"), nil
				}
				asked <- struct{}{}
				a, err := open(r)
				if err == nil {
					a.Content = wrap(a.Content)
					a.Sent = func() { t.Error("all of it was sent") }
				}
				return a, err
			})})
			c := send(t, addr, get("/image"))
			defer c.Close()
			<-asked
			if _, body := ask(t, addr, get("/next")); body != "next" {
				t.Errorf("the next one got %q", body)
			}
		})
	}
}

// fakeConn notes what is asked of a connection.
type fakeConn struct {
	net.Conn
	calls    []string
	takes    int64         // until its time is up, at each call; 0 for all
	within   time.Duration // a call, where its time is not up
	deadline time.Time
}

func (c *fakeConn) SetWriteDeadline(t time.Time) error {
	c.calls = append(c.calls, "deadline")
	c.deadline = t
	return nil
}

func (c *fakeConn) Write(p []byte) (int, error) {
	c.calls = append(c.calls, fmt.Sprintf("write %d", len(p)))
	return len(p), nil
}

func (c *fakeConn) ReadFrom(r io.Reader) (int64, error) {
	lr := r.(*io.LimitedReader)
	_, file := lr.R.(*os.File)
	want := lr.N
	if c.takes > 0 {
		want = min(want, c.takes)
	}
	n, err := io.CopyN(io.Discard, r, want)
	if err == io.EOF {
		err = nil
	}
	if lr.N > 0 && n == c.takes {
		time.Sleep(time.Until(c.deadline))
		err = os.ErrDeadlineExceeded
	}
	time.Sleep(c.within)
	c.calls = append(c.calls, fmt.Sprintf("file %v %d", file, n))
	return n, err
}

// A reader that is slow but takes a MiB in time is not cut: the deadline is put off
// with each. The file stays one that sendfile takes.
func TestDeadlinePerStride(t *testing.T) {
	t.Parallel()
	path, _ := image(t, 8<<20+5)
	for _, tt := range []struct {
		name   string
		limit  int64
		takes  int64
		within time.Duration
		want   []string
		n      int64
		left   int64
		cut    bool
	}{
		{"part", 4<<20 + 3, 0, time.Second, []string{"deadline", "file true 4194304", "deadline", "file true 3"}, 4<<20 + 3, 0, false},
		{"quick", 4<<20 + 3, 0, time.Second / 10, []string{"deadline", "file true 4194304", "file true 3"}, 4<<20 + 3, 0, false},
		{"whole strides", 4 << 20, 0, time.Second, []string{"deadline", "file true 4194304"}, 4 << 20, 0, false},
		{
			"file shorter than said", 12 << 20, 0, time.Second,
			[]string{"deadline", "file true 4194304", "deadline", "file true 4194304", "deadline", "file true 5"},
			8<<20 + 5, 4<<20 - 5, false,
		},
		{
			"slow", 4 << 20, 3 << 19, 0,
			[]string{"deadline", "file true 1572864", "deadline", "file true 1572864", "deadline", "file true 1048576"},
			4 << 20, 0, false,
		},
		{"too slow", 4 << 20, 1<<20 - 1, 0, []string{"deadline", "file true 1048575"}, 1<<20 - 1, 3<<20 + 1, true},
		{"nothing", 0, 0, 0, nil, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeConn{takes: tt.takes, within: tt.within}
				lr := &io.LimitedReader{R: f, N: tt.limit}
				n, err := (&conn{Conn: fake, stall: time.Second}).ReadFrom(lr)
				if (err != nil) != tt.cut || n != tt.n || lr.N != tt.left {
					t.Errorf("ReadFrom = %d, %v, %d left, want %d, %d left", n, err, lr.N, tt.n, tt.left)
				}
				if diff := cmp.Diff(tt.want, fake.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	addr, _ := serve(t, &Server{Connections: 3, PerSource: 2, Desk: desk(func(provision.Request) (*provision.Answer, error) {
		entered <- struct{}{}
		<-release
		return document("x"), nil
	})})
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, get("/x"))
		return c
	}
	var within []net.Conn
	for range 2 {
		within = append(within, dial("127.0.0.1"))
		<-entered
	}
	if _, err := dial("127.0.0.1").Read(make([]byte, 1)); err == nil {
		t.Error("the third connection of one source is answered")
	}
	within = append(within, dial("127.0.0.2"))
	<-entered
	// The fourth in all waits for a place, and gets it.
	fourth := dial("127.0.0.3")
	close(release)
	within[0].Close()
	for _, c := range append(within[1:], fourth) {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("answer: %v", err)
		}
		resp.Body.Close()
		c.Close()
	}
}

// When the service ends, what is short is sent to its end and what is long is cut.
func TestStop(t *testing.T) {
	t.Parallel()
	path, _ := image(t, 64<<20)
	addr, stop := serve(t, &Server{Grace: 20 * time.Millisecond, Desk: fileDesk(t, path)})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, get("/image"))
	b := make([]byte, 1000)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	stop()
	if n, err := io.Copy(io.Discard, c); n >= 64<<20-1000 && err == nil {
		t.Error("the whole image came, though nobody waited for it")
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the port is still open")
	}
}

func TestBrokenListener(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.Close()
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	if err := s.Serve(t.Context(), l); err == nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want that the listener is closed", err)
	}
}

// Hostile clients cannot fill the log.
func TestQuietLog(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	addr, stop := serve(t, &Server{
		Log:  slog.New(slog.NewTextHandler(&lines, nil)),
		Now:  func() time.Time { return time.Unix(1, 0) },
		Desk: desk(func(provision.Request) (*provision.Answer, error) { panic("\x1b[31mno") }),
	})
	for range 50 {
		ask(t, addr, get("/%1b[2J"))
	}
	stop()
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 16 {
		t.Errorf("%d lines, want 16", n)
	}
	if bytes.ContainsRune(lines.Bytes(), '\x1b') {
		t.Error("an escape sequence reached the log")
	}
}
