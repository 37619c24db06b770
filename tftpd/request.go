package tftpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// request is a read request (RFC 1350 section 5, RFC 2347).
type request struct {
	path     string // with slashes, whichever way they leant
	query    string // what follows a '?'
	netascii bool
	options  []option
}

// option is one of a request, its name in lower case, in the order they came.
type option struct{ name, value string }

// equal reports whether both ask for the same, in the same way.
func (r request) equal(o request) bool {
	return r.path == o.path && r.query == o.query && r.netascii == o.netascii && slices.Equal(r.options, o.options)
}

// maxOptions is how many options of a request are looked at; there are four.
const maxOptions = 16

// errNoRequest is for packets that are not answered. They are no request, and
// to answer an ERROR would let two servers talk to each other for ever.
var errNoRequest = errors.New("no request")

// parseRequest reads the packet that opens a transfer. The error is a *fault,
// to be sent, or errNoRequest.
func parseRequest(b []byte) (request, error) {
	if len(b) < 2 {
		return request{}, errNoRequest
	}
	switch binary.BigEndian.Uint16(b) {
	case opRRQ:
	case opWRQ:
		return request{}, &fault{codeAccess, "nothing can be written here: this server only reads"}
	default:
		return request{}, errNoRequest
	}
	name, b, ok := cutString(b[2:])
	if !ok {
		return request{}, &fault{codeIllegal, "the file name has no end, or the request is too long"}
	}
	mode, b, ok := cutString(b)
	if !ok {
		return request{}, &fault{codeIllegal, "the mode has no end, or the request is too long"}
	}
	var r request
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		r.netascii = true
	default:
		return request{}, &fault{codeIllegal, fmt.Sprintf("mode %.16q is not served: use octet or netascii", mode)}
	}
	r.path, r.query, _ = strings.Cut(strings.ReplaceAll(name, `\`, "/"), "?")
	// Options that are cut off are left out, as a server may leave out any.
	for len(r.options) < maxOptions {
		var o option
		if o.name, b, ok = cutString(b); !ok {
			break
		}
		if o.value, b, ok = cutString(b); !ok {
			break
		}
		o.name = strings.ToLower(o.name)
		r.options = append(r.options, o)
	}
	return r, nil
}

// cutString takes a string that ends in NUL from b.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	head, rest, ok := bytes.Cut(b, []byte{0})
	return string(head), rest, ok
}
