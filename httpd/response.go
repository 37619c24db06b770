package httpd

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxHeld is the longest answer that is sent with its header at once, in octets:
	// the copy must not cost more than the system calls that it saves.
	maxHeld = 64 << 10
	// headRoom is left for the header in front of the body, in octets.
	headRoom = 1 << 10
	// maxKept is the size of a buffer that another answer may use, in octets.
	maxKept = 16 << 10
)

// response is an answer as it is made, an [http.ResponseWriter]. What fits is held
// until it is complete: then it leaves with its header in one system call, and the
// header has its length.
type response struct {
	header  http.Header
	kind    [1]string  // the value of Content-Type, where a document or a file is the answer
	tag     [1]string  // of Etag
	names   []string   // of the fields, in order
	head    []byte     // as it is sent
	date    []byte     // of second, as it is sent
	second  int64      // of Unix time
	buffers *sync.Pool // of *[]byte

	to     net.Conn
	isHead bool // HEAD was asked for
	old    bool // by HTTP/1.0
	close  bool // the connection ends with it

	status  int     // zero until it is given
	buffer  *[]byte // nil while nothing is held
	held    []byte  // headRoom octets, then the body so far
	begun   bool    // the header is sent
	length  int64   // of the body, as the header has it; -1 where it has none
	written int64   // of the body, held or sent
	err     error   // of the connection
}

// reset begins another answer.
func (r *response) reset(to net.Conn, isHead bool) {
	r.release()
	clear(r.header)
	r.to, r.isHead, r.old, r.close = to, isHead, false, false
	r.status, r.begun, r.length, r.written, r.err = 0, false, -1, 0, nil
}

// release gives the buffer back.
func (r *response) release() {
	if r.buffer != nil && cap(r.held) <= maxKept {
		*r.buffer = r.held
		r.buffers.Put(r.buffer)
	}
	r.buffer, r.held = nil, nil
}

// Header gives what the header will be; it may be changed until the first octet
// of the body.
func (r *response) Header() http.Header { return r.header }

// WriteHeader gives the status; the first one counts.
func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// hasBody reports whether an octet may follow the header (RFC 9112 section 6.3).
func (r *response) hasBody() bool {
	return !r.isHead && r.status != http.StatusNoContent && r.status != http.StatusNotModified
}

// Write adds to the body.
func (r *response) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if !r.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	if r.hold(int64(len(b))) {
		r.held = append(r.held, b...)
		r.written += int64(len(b))
		return len(b), nil
	}
	if err := r.begin(); err != nil {
		return 0, err
	}
	n, err := r.to.Write(b)
	r.written += int64(n)
	r.err = err
	return n, err
}

// ReadFrom adds what is left of src to the body: a long file goes to the connection
// as one, so that it is sent without a copy.
func (r *response) ReadFrom(src io.Reader) (n int64, err error) {
	r.WriteHeader(http.StatusOK)
	if !r.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	part, ok := src.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{r}, src)
	}
	if r.hold(part.N) {
		size := len(r.held)
		m, err := io.ReadFull(part, r.held[size:size+int(part.N)])
		r.held = r.held[:size+m]
		r.written += int64(m)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		}
		return int64(m), err
	}
	if err := r.begin(); err != nil {
		return 0, err
	}
	if to, ok := r.to.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(src)
	} else {
		n, err = io.Copy(r.to, src)
	}
	r.written += n
	r.err = err
	return n, err
}

// hold makes room for n more octets, where they can be held.
func (r *response) hold(n int64) bool {
	if r.begun || int64(len(r.held))+n > headRoom+maxHeld {
		return false
	}
	if r.buffer == nil {
		r.buffer = r.buffers.Get().(*[]byte)
		r.held = slices.Grow((*r.buffer)[:0], headRoom+int(n))[:headRoom]
	}
	r.held = slices.Grow(r.held, int(n))
	return true
}

// begin sends the header, and what is held.
func (r *response) begin() error {
	if r.begun || r.err != nil {
		return r.err
	}
	r.begun = true
	if length, err := strconv.ParseInt(r.header.Get("Content-Length"), 10, 64); err == nil {
		r.length = length
	} else if r.hasBody() {
		r.close = true // how else would the client know its end?
	}
	r.writeHead(time.Now())
	head := r.head
	if r.buffer != nil && len(head) <= headRoom {
		start := headRoom - len(head)
		copy(r.held[start:], head)
		_, r.err = r.to.Write(r.held[start:])
		return r.err
	}
	if _, r.err = r.to.Write(head); r.err == nil && r.buffer != nil {
		_, r.err = r.to.Write(r.held[headRoom:])
	}
	return r.err
}

// writeHead makes the header as it is sent, the fields in the order of their names.
func (r *response) writeHead(now time.Time) {
	if second := now.Unix(); second != r.second {
		r.second, r.date = second, now.UTC().AppendFormat(r.date[:0], http.TimeFormat)
	}
	b := append(r.head[:0], "HTTP/1.1 "...)
	if r.old {
		b[len("HTTP/1.")] = '0'
	}
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(append(b, ' '), http.StatusText(r.status)...)
	b = append(append(b, "\r\nDate: "...), r.date...)
	if r.close {
		b = append(b, "\r\nConnection: close"...)
	} else if r.old {
		b = append(b, "\r\nConnection: keep-alive"...)
	}
	r.names = slices.AppendSeq(r.names[:0], maps.Keys(r.header))
	slices.Sort(r.names)
	for _, name := range r.names {
		for _, value := range r.header[name] {
			b = append(append(append(b, "\r\n"...), name...), ": "...)
			b = append(b, oneLine(value)...)
		}
	}
	r.head = append(b, "\r\n\r\n"...)
}

// oneLine makes sure that a value does not begin another field.
func oneLine(value string) string {
	if !strings.ContainsAny(value, "\r\n") {
		return value
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
}

// errShort is a body that ended before its length.
var errShort = errors.New("the body is shorter than was said")

// finish sends what was not sent yet. After an error the connection has to end.
func (r *response) finish() error {
	r.WriteHeader(http.StatusOK)
	if r.hasBody() && !r.begun && r.header.Get("Content-Length") == "" {
		r.header.Set("Content-Length", strconv.FormatInt(r.written, 10))
	}
	err := r.begin()
	if err == nil && r.hasBody() && r.length >= 0 && r.written != r.length {
		err = errShort
	}
	r.release()
	return err
}
