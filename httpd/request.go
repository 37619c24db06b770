package httpd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// fields are those of a request that matter for the answer, beside those that say how
// long the request is and whether the connection goes on.
var fields = [...]string{
	"Authorization", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "User-Agent",
}

// request is the head of a request, which reads one after the other. It is an
// [http.Request] as far as [http.ServeContent] goes: of its Header there are the fields
// alone. net/http's own reader makes a map, strings and a URL for all of them each time,
// which was a sixth of what a document costs (docs/decisions/0003).
type request struct {
	http.Request
	hasBody bool // more follows

	values [len(fields)][1]string // of Header; those of an earlier request are as good where they are the same
	none   url.URL                // of what has none that matters
	length []byte                 // Content-Length as it was said
	hosts  int                    // how many Host fields
	coded  bool                   // Transfer-Encoding was said
	alive  bool                   // Connection: keep-alive
}

func newRequest() *request {
	return &request{Request: http.Request{Header: make(http.Header, len(fields))}}
}

// errSyntax is wrapped by what says why something is no request of HTTP/1.x, to who
// sent it and without quoting it.
var errSyntax = errors.New("this is not a request of HTTP")

func syntax(why string) error { return fmt.Errorf("%w: %s", errSyntax, why) }

// errLong is a line that does not fit the buffer it is read by.
var errLong = errors.New("a line is too long")

// read reads a head (RFC 9112 sections 2 to 6), with LF for CRLF too. The error is
// errSyntax, errLong or of what it reads.
func (r *request) read(in *bufio.Reader) error {
	clear(r.Header)
	r.Method, r.RequestURI, r.Host, r.URL = "", "", "", &r.none
	r.Close, r.hasBody, r.hosts, r.coded, r.alive = false, false, 0, false, false
	r.length = r.length[:0]
	line, err := readLine(in)
	if err != nil {
		return err
	}
	if err := r.start(line); err != nil {
		return err
	}
	for {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if err := r.field(line); err != nil {
			return err
		}
	}
	if r.URL.Host != "" {
		r.Host = r.URL.Host // RFC 9112 section 3.2.2
	}
	r.Close = r.Close || !r.ProtoAtLeast(1, 1) && !r.alive
	r.hasBody = r.coded || bytes.ContainsFunc(r.length, func(c rune) bool { return c != '0' })
	return nil
}

func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, errLong
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// start reads the request line.
func (r *request) start(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte{' '})
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || !isToken(method) {
		return syntax("the first line is none of a request")
	}
	if len(version) != len("HTTP/1.1") || !bytes.HasPrefix(version, []byte("HTTP/")) || version[6] != '.' || !isDigit(version[5]) || !isDigit(version[7]) {
		return syntax("the version is none of HTTP")
	}
	r.ProtoMajor, r.ProtoMinor = int(version[5]-'0'), int(version[7]-'0')
	switch string(method) {
	case http.MethodGet:
		r.Method = http.MethodGet
	case http.MethodHead:
		r.Method = http.MethodHead
	default: // has no answer, whatever its target
		r.Method = string(method)
		return nil
	}
	r.RequestURI = string(target)
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return syntax("its target is no path")
	}
	r.URL = u
	return nil
}

// field reads a field line.
func (r *request) field(line []byte) error {
	// A name that begins with white space would be the value of the line before
	// (section 5.2), and one that ends with it another name for some (section 5.1).
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !isToken(name) {
		return syntax("a field has no name")
	}
	value = bytes.Trim(value, " \t")
	if slices.ContainsFunc(value, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return syntax("a field holds a control character")
	}
	switch {
	case is(name, "Host"):
		if r.hosts++; r.hosts > 1 {
			return syntax("it has two hosts")
		}
		r.Host = string(value)
	case is(name, "Connection"):
		for word := range bytes.SplitSeq(value, []byte{','}) {
			word = bytes.Trim(word, " \t")
			r.Close = r.Close || is(word, "close")
			r.alive = r.alive || is(word, "keep-alive")
		}
	case is(name, "Content-Length"):
		if len(value) == 0 || !allDigits(value) || len(r.length) > 0 && !bytes.Equal(r.length, value) {
			return syntax("its length is none")
		}
		r.length = append(r.length[:0], value...)
	case is(name, "Transfer-Encoding"):
		if r.coded || !is(value, "chunked") {
			return syntax("its transfer coding is not known")
		}
		r.coded = true
	default:
		for i, field := range fields {
			if v := &r.values[i]; is(name, field) && r.Header[field] == nil {
				if v[0] != string(value) {
					v[0] = string(value)
				}
				r.Header[field] = v[:]
			}
		}
	}
	return nil
}

// is compares without a difference of case.
func is(b []byte, s string) bool {
	return len(b) == len(s) && bytes.EqualFold(b, []byte(s))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return !isDigit(c) })
}

// isToken is of RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	return len(b) > 0 && !slices.ContainsFunc(b, func(c byte) bool {
		return !isDigit(c) && (c|0x20 < 'a' || 'z' < c|0x20) && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0
	})
}
