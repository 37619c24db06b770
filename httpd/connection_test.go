package httpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/provision"
)

// send sends input on a connection of its own.
func send(t testing.TB, addr, input string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, input); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// exchange sends all of input on one connection, and gives all that comes back.
func exchange(t testing.TB, addr, input string) string {
	t.Helper()
	c := send(t, addr, input)
	defer c.Close()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%.80q: %v after %.200q", input, err, all)
	}
	return string(all)
}

// statuses reads the answers of a connection, to requests of the given methods.
func statuses(t testing.TB, answers string, methods ...string) string {
	t.Helper()
	in := bufio.NewReader(strings.NewReader(answers))
	var list []string
	for i := 0; ; i++ {
		if _, err := in.Peek(1); err != nil {
			return strings.Join(list, " ")
		}
		method := http.MethodGet
		if i < len(methods) {
			method = methods[i]
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d: %v in %.300q", i, err, answers)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if resp.ContentLength < 0 && method != http.MethodHead && resp.StatusCode != http.StatusNotModified {
			t.Errorf("answer %d has no length: %.300q", i, answers)
		}
		word := strconv.Itoa(resp.StatusCode)
		if resp.Close {
			word += "."
		}
		list = append(list, word)
	}
}

// What becomes of a connection: a dot is an answer that announces its end.
func TestConnections(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		if r.Path == "/big" {
			return document(strings.Repeat("x", 3*maxHeld)), nil
		}
		return document("<settings/>"), nil
	})})
	plain := get("/x")
	for _, tt := range []struct{ name, input, want string }{
		{"one after the other", plain + plain + plain, "200 200 200"},
		{"asked to end", plain + get("/x", "Connection: close") + plain, "200 200."},
		{"HTTP/1.0 ends", "GET /x HTTP/1.0\r\n\r\n" + plain, "200."},
		{"HTTP/1.0 that stays", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + plain, "200 200"},
		{"known", get("/x", `If-None-Match: "r1"`) + plain, "304 200"},
		{"range beyond", get("/x", "Range: bytes=99-") + plain, "416 200"},
		{"long", get("/big") + plain, "200 200"},
		{"a body is not taken for a request", "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(plain)) + "\r\n\r\n" + plain, "200."},
		{"nor are chunks", "GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + plain, "200."},
		{"two lengths", "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" + plain, "400."},
		{"a length and chunks", "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + plain, "200."},
		{"unknown coding", "GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n" + plain, "400."},
		{"expectation", "GET /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "200."},
		{"post", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na" + plain, "405."},
		{"no host", "GET /x HTTP/1.1\r\n\r\n" + plain, "400."},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505."},
		{"HTTP/3", "GET /x HTTP/3.0\r\nHost: x\r\n\r\n" + plain, "505."},
		{"space before the colon", "GET /x HTTP/1.1\r\nHost : x\r\n\r\n" + plain, "400."},
		{"first line folded", "GET /x HTTP/1.1\r\n Host: x\r\n\r\n" + plain, "400."},
		{"control character in a value", "GET /x HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n" + plain, "400."},
		{"nonsense after a request", plain + "\x00\x01\x02\r\n\r\n", "200 400."},
		{"half a request", plain + "GET /x HTTP/1.1\r\nHo", "200"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := statuses(t, exchange(t, addr, tt.input)); got != tt.want {
				t.Errorf("answers %q, want %q", got, tt.want)
			}
		})
	}
}

// Workers that are done with a connection keep nothing of it for the next.
func TestReusedWorker(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Connections: 1, Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		switch r.Path {
		case "/panic":
			return &provision.Answer{ETag: `"secret"`}, nil // without content
		case "/refused":
			return nil, &provision.Refusal{Status: 401, Reason: "who are you", Challenges: []string{"Basic"}}
		}
		return document("<settings/>"), nil
	})})
	for range 3 {
		if got := exchange(t, addr, get("/panic")); got != "" {
			t.Errorf("an answer without content: %q", got)
		}
		if got := exchange(t, addr, get("/refused")+"GET /hal"); !strings.Contains(got, "Www-Authenticate: Basic\r\n") {
			t.Errorf("a refusal: %q", got)
		}
		resp, body := ask(t, addr, get("/x", "Connection: close"))
		if body != "<settings/>" || resp.Header.Get("ETag") != `"r1"` || resp.Header["Www-Authenticate"] != nil {
			t.Errorf("a document: %q, %v", body, resp.Header)
		}
	}
}

// FuzzConnection holds what a client may count on and may not bring about, whatever
// it sends: answers that can be read, with a length each, and a connection that ends.
func FuzzConnection(f *testing.F) {
	for _, s := range []string{
		get("/x"), get("/x") + get("/y", "Connection: close"), "HEAD /x HTTP/1.0\r\n\r\n",
		get("/files/%2e%2e/%2fetc/passwd"), get("//x\x00"), get("/x", "Range: bytes=1-2,4-5", `If-Range: "r1"`),
		get("/x", "Range: bytes=-1", `If-None-Match: "r1"`), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		get("http://other/x", "A: b\r\n folded"), "\x16\x03\x01\x00\xff", get("/?mac=%zz"), "GET  HTTP/1.1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", get("/" + strings.Repeat("a", maxHeader)),
	} {
		f.Add([]byte(s))
	}
	s := &Server{Log: slog.New(slog.DiscardHandler), Desk: desk(func(r provision.Request) (*provision.Answer, error) {
		if strings.Contains(r.Path, "no") {
			return nil, &provision.Refusal{Status: 404, Reason: "there is none"}
		}
		return document("<settings/>"), nil
	})}
	s.setDefaults()
	f.Fuzz(func(t *testing.T, input []byte) {
		w := newWorker(newPool(t.Context(), s, nil))
		out := &stream{in: bytes.NewReader(input)}
		c := &conn{Conn: out, stall: time.Second}
		if !w.enter(c) {
			t.Fatal("no place")
		}
		w.serve(c)
		if len(w.conns) != 0 || len(w.sources) != 0 {
			t.Error("the connection keeps its place")
		}
		if n := s.panics.Load(); n > 0 {
			t.Fatalf("%d panics", n)
		}
		// What was asked for by HEAD is not known here; such an answer has no body.
		if !bytes.Contains(bytes.ToUpper(input), []byte("HEAD")) {
			statuses(t, out.out.String())
		}
	})
}

// stream is a connection in memory.
type stream struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *stream) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *stream) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *stream) Close() error                     { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// A head has its fields in the order of their names, and a value on one line.
func TestHead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 23, 59, 59, 0, time.FixedZone("", 3600))
	r := &response{header: http.Header{"Etag": {"\"x\"\r\nY: z"}, "A": {"1", "2"}}, status: http.StatusOK} // used again
	for _, tt := range []struct {
		name       string
		old, close bool
		now        time.Time
		want       string
	}{
		{"kept", false, false, at, "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 22:59:59 GMT\r\nA: 1\r\nA: 2\r\nEtag: \"x\"  Y: z\r\n\r\n"},
		{"closed", false, true, at.Add(time.Second / 2), "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 22:59:59 GMT\r\nConnection: close\r\n"},
		{"a second later", false, true, at.Add(time.Second), "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 23:00:00 GMT\r\nConnection: close\r\n"},
		{"set back", false, true, at, "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 22:59:59 GMT\r\nConnection: close\r\n"},
		{"old", true, true, at, "HTTP/1.0 200 OK\r\nDate: Thu, 26 Nov 2026 22:59:59 GMT\r\nConnection: close\r\n"},
		{"old, kept", true, false, at, "HTTP/1.0 200 OK\r\nDate: Thu, 26 Nov 2026 22:59:59 GMT\r\nConnection: keep-alive\r\n"},
	} {
		r.old, r.close = tt.old, tt.close
		r.writeHead(tt.now)
		if got := string(r.head); !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is awaited has its time from the first read on, in all.
func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c := &conn{Conn: ours}
		byte1 := make([]byte, 1)
		c.await(time.Second)
		time.Sleep(time.Hour) // nothing is read yet
		start := time.Now()
		go theirs.Write([]byte("a"))
		if _, err := c.Read(byte1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		if _, err := c.Read(byte1); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if took := time.Since(start); took < time.Second || took > time.Second+time.Second/8 {
			t.Errorf("cut after %s", took)
		}
		c.await(time.Second)
		go theirs.Write([]byte("b"))
		if _, err := c.Read(byte1); err != nil {
			t.Error(err)
		}
		// A deadline that is good enough is left alone, but not one that somebody else set to end the wait.
		c.stop()
		c.await(time.Second)
		if _, err := c.Read(byte1); err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("after the stop: %v, %s", err, time.Since(start))
		}
	})
}
