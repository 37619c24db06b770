package httpd

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"dialtone/provision"
)

type openerFunc func(provision.Request) (*provision.Answer, error)

func (f openerFunc) Open(r provision.Request) (*provision.Answer, error) { return f(r) }

// Whoever wants to know hears when a phone has an image, to its end.
func TestImageSent(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "image.bin")
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*provision.PaceStride/16)
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, pace := range []*provision.Pace{nil, provision.NewPace(1 << 30)} {
		sent := make(chan bool, 8)
		s := &Server{Log: slog.New(slog.DiscardHandler), Desk: openerFunc(func(provision.Request) (*provision.Answer, error) {
			f, err := os.Open(name)
			if err != nil {
				return nil, err
			}
			return &provision.Answer{
				Content: f, Size: int64(len(content)), ETag: `"one"`, ContentType: "application/octet-stream",
				ImageTerms: provision.ImageTerms{Pace: pace, Sent: func() { sent <- true }},
			}, nil
		})}
		s.setDefaults()
		finished := make(chan bool, 8)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
			finished <- true
		}))
		for _, tt := range []struct {
			method, byteRange, match string
			body                     []byte
			sent                     int
		}{
			{"GET", "", "", content, 1},
			{"HEAD", "", "", nil, 0},
			{"GET", "bytes=0-9", "", content[:10], 0},
			{"GET", "bytes=10-", "", content[10:], 1},
			{"GET", "", `"one"`, nil, 0},
			{"GET", "bytes=99999999-", "", nil, 0},
		} {
			req, err := http.NewRequest(tt.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.byteRange != "" {
				req.Header.Set("Range", tt.byteRange)
			}
			if tt.match != "" {
				req.Header.Set("If-None-Match", tt.match)
			}
			res, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			<-finished
			if err != nil || tt.body != nil && !bytes.Equal(body, tt.body) {
				t.Errorf("%+v: %d octets, %v", tt.method+tt.byteRange, len(body), err)
			}
			if n := len(sent); n != tt.sent {
				t.Errorf("%s %s %s: told %d times, want %d", tt.method, tt.byteRange, tt.match, n, tt.sent)
			}
			for len(sent) > 0 {
				<-sent
			}
		}
		server.Close()
	}
}
