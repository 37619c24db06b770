package httpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// readWhole reads a head of which nothing else is to come.
func readWhole(r *request, head string) error {
	return r.read(bufio.NewReader(strings.NewReader(head)))
}

func TestRequest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		name, head string
		err        error
		want       string // method, path, query, host
		close      bool
		body       bool
	}{
		{name: "plain", head: "GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n", want: "GET /a b c=d x"},
		{name: "line feeds", head: "HEAD / HTTP/1.1\nhost:x\n\n", want: "HEAD /  x"},
		{name: "absolute", head: "GET http://h:81/a HTTP/1.1\r\nHost: x\r\n\r\n", want: "GET /a  h:81"},
		{name: "another method", head: "CONNECT h:443 HTTP/1.1\r\nHost: x\r\n\r\n", want: "CONNECT   x"},
		{name: "old", head: "GET / HTTP/1.0\r\n\r\n", want: "GET /  ", close: true},
		{name: "old, kept", head: "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", want: "GET /  "},
		{name: "old, both", head: "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", want: "GET /  ", close: true},
		{name: "close", head: "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo , Close\r\n\r\n", want: "GET /  x", close: true},
		{name: "body", head: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 05\r\n\r\n", want: "GET /  x", body: true},
		{name: "no body", head: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 00\r\n\r\n", want: "GET /  x"},
		{name: "same length twice", head: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", want: "GET /  x", body: true},
		{name: "other lengths", head: "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\n", err: errSyntax},
		{name: "list of lengths", head: "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", err: errSyntax},
		{name: "signed length", head: "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", err: errSyntax},
		{name: "no length", head: "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n", err: errSyntax},
		{name: "chunks", head: "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n", want: "GET /  x", body: true},
		{name: "chunks twice", head: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", err: errSyntax},
		{name: "other coding", head: "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", err: errSyntax},
		{name: "two hosts", head: "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", err: errSyntax},
		{name: "folded", head: "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", err: errSyntax},
		{name: "space before colon", head: "GET / HTTP/1.1\r\nHost : x\r\n\r\n", err: errSyntax},
		{name: "no colon", head: "GET / HTTP/1.1\r\nHost\r\n\r\n", err: errSyntax},
		{name: "NUL in a value", head: "GET / HTTP/1.1\r\nHost: x\x00y\r\n\r\n", err: errSyntax},
		{name: "CR in a value", head: "GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n", err: errSyntax},
		{name: "no target", head: "GET HTTP/1.1\r\n\r\n", err: errSyntax},
		{name: "space in the target", head: "GET /a b HTTP/1.1\r\n\r\n", err: errSyntax},
		{name: "wrong escape", head: "GET /%zz HTTP/1.1\r\n\r\n", err: errSyntax},
		{name: "relative", head: "GET a HTTP/1.1\r\n\r\n", err: errSyntax},
		{name: "lower version", head: "GET / http/1.1\r\n\r\n", err: errSyntax},
		{name: "long version", head: "GET / HTTP/1.10\r\n\r\n", err: errSyntax},
		{name: "empty line first", head: "\r\nGET / HTTP/1.1\r\n\r\n", err: errSyntax},
		{name: "long line", head: "GET /" + long + " HTTP/1.1\r\n\r\n", err: errLong},
		{name: "cut", head: "GET / HTTP/1.1\r\nHost: x\r\n", err: io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest()
			// What was read before leaves no trace.
			if err := readWhole(r, "HEAD /z?y HTTP/1.0\r\nHost: before\r\nConnection: keep-alive\r\nRange: bytes=1-2\r\nContent-Length: 7\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			err := readWhole(r, tt.head)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			got := strings.Join([]string{r.Method, r.URL.Path, r.URL.RawQuery, r.Host}, " ")
			if got != tt.want || r.Close != tt.close || r.hasBody != tt.body || len(r.Header) > 0 {
				t.Errorf("%q, close %v, body %v, %v", got, r.Close, r.hasBody, r.Header)
			}
		})
	}
}

// What is read of one request is not read of the next, and the same is not made again.
func TestRequestAfterRequest(t *testing.T) {
	t.Parallel()
	r := newRequest()
	for _, tt := range []struct{ lines, agent, span string }{
		{"User-Agent: phone\r\nrange: bytes=0-1\r\nAccept: x\r\n", "phone", "bytes=0-1"},
		{"user-agent:  phone \r\n", "phone", ""},
		{"User-Agent: other\r\nUser-Agent: second\r\n", "other", ""},
		{"", "", ""},
	} {
		if err := readWhole(r, "GET / HTTP/1.1\r\nHost: x\r\n"+tt.lines+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if r.UserAgent() != tt.agent || r.Header.Get("Range") != tt.span {
			t.Errorf("%q: %v", tt.lines, r.Header)
		}
	}
}

// FuzzRequest compares with net/http: what we read it reads, and to the same.
func FuzzRequest(f *testing.F) {
	for _, head := range []string{
		"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16)\r\nRange: bytes=0-5\r\n\r\n",
		"HEAD http://h/a HTTP/1.0\nConnection: keep-alive, x\n\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\nIf-None-Match: \"a\", \"b\"\r\nAuthorization: Digest x=\"y\"\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		ours := newRequest()
		err := ours.read(bufio.NewReader(bytes.NewReader(head)))
		theirs, theirErr := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return
		}
		if ours.Method != http.MethodGet && ours.Method != http.MethodHead {
			return // is not looked at
		}
		if theirErr != nil {
			t.Fatalf("net/http does not read it: %v", theirErr)
		}
		if ours.Method != theirs.Method || ours.RequestURI != theirs.RequestURI || *ours.URL != *theirs.URL || ours.Host != theirs.Host ||
			ours.ProtoMajor != theirs.ProtoMajor || ours.ProtoMinor != theirs.ProtoMinor || ours.ProtoMajor == 1 && ours.Close != theirs.Close ||
			ours.hasBody != (theirs.ContentLength != 0) && !(ours.coded && !ours.ProtoAtLeast(1, 1)) {
			t.Fatalf("%+v, net/http %+v", ours.Request, *theirs)
		}
		for _, name := range fields {
			if got, want := ours.Header.Get(name), strings.TrimRight(theirs.Header.Get(name), " \t"); got != want {
				t.Errorf("%s: %q, net/http %q", name, got, want)
			}
		}
	})
}
