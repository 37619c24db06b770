package httpd

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"dialtone/provision"
)

// countingConn counts the writes of a connection.
type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// A document leaves in one piece with its header, however often it is asked for
// by one connection.
func TestOneWriteForADocument(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 2000) // more than any buffer of net/http
	s := &Server{Log: slog.New(slog.DiscardHandler), Desk: desk(func(provision.Request) (*provision.Answer, error) {
		return document(body), nil
	})}
	s.setDefaults()
	taken, c := connected(t, "tcp4", "127.0.0.1:0")
	counted := &countingConn{Conn: taken}
	served := make(chan struct{})
	go func() {
		defer close(served)
		newWorker(newPool(t.Context(), s, nil)).serve(&conn{Conn: counted, stall: s.Stall})
	}()
	c.SetDeadline(time.Now().Add(time.Minute))
	// Asked for at once: the answers must not run into each other.
	if _, err := io.WriteString(c, strings.Repeat(get("/x"), 5)+strings.Replace(get("/x"), "GET", "HEAD", 1)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for i := range 5 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != body || resp.Header.Get("Accept-Ranges") != "bytes" {
			t.Fatalf("answer %d: %d octets of %d, %v, %v", i, len(got), len(body), resp.Header, err)
		}
	}
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodHead})
	if err != nil || resp.ContentLength != int64(len(body)) {
		t.Fatalf("HEAD: %+v, %v", resp, err)
	}
	c.Close()
	<-served
	if n := counted.writes; n != 6 {
		t.Errorf("%d writes for 5 documents and a header", n)
	}
}

// short has fewer octets than it says: a file that was cut while it is read.
type short struct{ io.ReadSeeker }

func (s short) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return 100, nil
	}
	return s.ReadSeeker.Seek(offset, whence)
}

// A document that ends before its size is not made to look whole.
func TestShortDocument(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, &Server{Desk: desk(func(provision.Request) (*provision.Answer, error) {
		a := document("")
		a.Content = content{ReadSeeker: short{strings.NewReader("short")}}
		a.Sent = func() { t.Error("all of it was sent") }
		return a, nil
	})})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, get("/x"))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || string(got) != "short" || resp.ContentLength != 100 {
		t.Errorf("%q of %d, %v", got, resp.ContentLength, err)
	}
}
