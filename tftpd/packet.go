package tftpd

import (
	"encoding/binary"
	"errors"
	"net/http"
	"strings"

	"dialtone/provision"
)

// Opcodes (RFC 1350 section 5, RFC 2347).
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

const headerLen = 4 // opcode and block number of DATA and ACK

// Error codes (RFC 1350 appendix). The text says what the code cannot.
const (
	codeOther    = 0
	codeNotFound = 1
	codeAccess   = 2
	codeIllegal  = 4
)

// fault is a refusal as an ERROR packet carries it.
type fault struct {
	code uint16
	text string
}

func (f *fault) Error() string { return f.text }

// faultOf gives the code that fits an error of the desk.
func faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	r, ok := errors.AsType[*provision.Refusal](err)
	if !ok {
		return errInternal
	}
	switch r.Status {
	case http.StatusNotFound:
		return &fault{codeNotFound, r.Reason}
	case http.StatusForbidden:
		return &fault{codeAccess, r.Reason}
	}
	return &fault{codeOther, r.Reason}
}

// packet gives the ERROR packet. RFC 1350 asks for netascii, so what is not
// ASCII is shown as '?'.
func (f *fault) packet() []byte {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, f.text)
	p := make([]byte, 0, headerLen+len(text)+1)
	p = binary.BigEndian.AppendUint16(p, opERROR)
	p = binary.BigEndian.AppendUint16(p, f.code)
	p = append(p, text...)
	return append(p, 0)
}
