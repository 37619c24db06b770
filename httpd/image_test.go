package httpd

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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
	for _, pace := range []*provision.Pace{nil, provision.NewPace(1<<30, nil)} {
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
		addr, _ := serve(t, s)
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
			more := []string{"Connection: close"}
			if tt.byteRange != "" {
				more = append(more, "Range: "+tt.byteRange)
			}
			if tt.match != "" {
				more = append(more, "If-None-Match: "+tt.match)
			}
			// The connection ends only when all is told.
			_, body := ask(t, addr, strings.Replace(get("/image", more...), "GET", tt.method, 1))
			if tt.body != nil && body != string(tt.body) {
				t.Errorf("%+v: %d octets", tt.method+tt.byteRange, len(body))
			}
			if n := len(sent); n != tt.sent {
				t.Errorf("%s %s %s: told %d times, want %d", tt.method, tt.byteRange, tt.match, n, tt.sent)
			}
			for len(sent) > 0 {
				<-sent
			}
		}
	}
}
