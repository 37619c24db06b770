package httpd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"dialtone/provision"
)

// imageResponse is the response with a firmware image: paced, and counted. The file goes
// on to the connection as one, so that it is sent without a copy.
type imageResponse struct {
	http.ResponseWriter
	ctx    context.Context
	pace   *provision.Pace // nil for none
	now    func() time.Time
	status int
	sent   int64
}

func (i *imageResponse) WriteHeader(status int) {
	i.status = status
	i.ResponseWriter.WriteHeader(status)
}

func (i *imageResponse) Write(b []byte) (int, error) {
	if i.pace != nil {
		if err := i.pace.Wait(i.ctx, i.now(), len(b)); err != nil {
			return 0, err
		}
	}
	n, err := i.ResponseWriter.Write(b)
	i.sent += int64(n)
	return n, err
}

// ReadFrom sends a file, a stride at a time where there is a pace.
func (i *imageResponse) ReadFrom(r io.Reader) (n int64, err error) {
	to, ok := i.ResponseWriter.(io.ReaderFrom)
	all, limited := r.(*io.LimitedReader)
	if !ok || !limited {
		return io.Copy(struct{ io.Writer }{i}, r)
	}
	if i.pace == nil {
		n, err = to.ReadFrom(r)
		i.sent += n
		return n, err
	}
	for all.N > 0 {
		part := &io.LimitedReader{R: all.R, N: min(all.N, provision.PaceStride)}
		want := part.N
		if err := i.pace.Wait(i.ctx, i.now(), int(want)); err != nil {
			return n, err
		}
		m, err := to.ReadFrom(part)
		n += m
		i.sent += m
		all.N -= m
		if err != nil || m < want {
			return n, err
		}
	}
	return n, nil
}

// reached reports whether the end of a file of so many octets was sent: of all of
// it, or of the part that a client asked for to go on.
func (i *imageResponse) reached(size int64) bool {
	switch i.status {
	case http.StatusOK:
		return i.sent == size
	case http.StatusPartialContent:
		// "bytes 100-199/200"
		part, total, ok := strings.Cut(strings.TrimPrefix(i.Header().Get("Content-Range"), "bytes "), "/")
		var first, last, all int64
		if _, err := fmt.Sscanf(part+"-"+total, "%d-%d-%d", &first, &last, &all); !ok || err != nil {
			return false
		}
		return last == all-1 && i.sent == last-first+1
	}
	return false
}
