package provision

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dialtone/profiles"
)

// Request is what a phone asks for, as HTTP, HTTPS and TFTP alike hand it on.
type Request struct {
	Path      string     // decoded once; a leading slash is optional
	RawQuery  string     // what follows the '?', as it came
	Source    netip.Addr // who sent it
	Local     netip.Addr // the address that it was sent to: links in the answer carry it
	Protocol  string     // "http", "https" or "tftp", for the log
	UserAgent string     // a hint only
	// Method, Target and Authorization are as they stand in the request; "" over TFTP.
	Method, Target, Authorization string
	// Certificates are what the client showed over HTTPS, its own first. That it has
	// the key is proven; who signed it is not.
	Certificates []*x509.Certificate
}

// Answer is a document or a file. The one who gets it closes Content.
type Answer struct {
	Content     io.ReadSeekCloser // an *os.File where there is one, so that sendfile can take it
	Size        int64             // octets
	ModTime     time.Time         // zero for a rendered document
	ETag        string            // a strong entity tag with its quotes (RFC 9110 section 8.8.3): the revision
	ContentType string
	ImageTerms

	document profiles.Document // zero for a file
}

// Firmware is what an answer about firmware comes to; zero for other documents.
func (a *Answer) Firmware() profiles.FirmwareOffer { return a.document.Firmware }

// Kind says which document it is; zero for a file.
func (a *Answer) Kind() profiles.Kind { return a.document.Path.Kind }

// Revision tells apart what was served: it is the entity tag, and how many
// secrets are in it. What was open before may be a secret now, in the same text.
func (a *Answer) Revision() string {
	if n := len(a.document.Secrets); n > 0 {
		return a.ETag + "+" + strconv.Itoa(n)
	}
	return a.ETag
}

// Seal gives the document with each secret replaced by what seal makes of it; nil
// for a file.
func (a *Answer) Seal(seal func(secret string) string) []byte { return a.document.Seal(seal) }

// Refusal is the error of [Desk.Open]. Reason is one line for the wire: it says
// what to do, and holds neither a secret nor a path of this machine.
type Refusal struct {
	Status int // 401, 403, 404 or 503, as in HTTP
	Reason string

	Challenges []string // of a 401: the values of WWW-Authenticate

	miss bool // somebody asked for what is another's
}

func (r *Refusal) Error() string { return r.Reason }

// maxReason is the longest reason in octets: a TFTP error has to fit a packet.
const maxReason = 300

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Reason: oneLine(fmt.Sprintf(format, args...), maxReason)}
}

// oneLine makes text that may quote a client fit for the wire, a terminal and
// the log: at most limit octets, nothing that ends a line or moves a cursor.
func oneLine(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// rendered is a document in memory.
type rendered struct {
	answer Answer
	bytes.Reader
}

func (*rendered) Close() error { return nil }

// inMemory is the answer with a document.
func inMemory(doc profiles.Document) *Answer {
	r := &rendered{answer: Answer{Size: int64(len(doc.Body)), ETag: doc.Revision, ContentType: doc.ContentType, document: doc}}
	r.Reset(doc.Body)
	r.answer.Content = r
	return &r.answer
}
