// Package phonefile reads the files that Snom phones are given: XML with one
// of the root elements that phones know, and the plain text format of V3 to
// V6. It has the rules by which a phone asks for files and applies them, so
// that the simulated phone, the check of what is rendered and the import of
// other people's files understand the same.
package phonefile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Place is where in a file something stands. It is no part of what a phone is
// set to.
type Place struct {
	File       string // as the caller of Read named it
	Line       int    // from 1; 0 where it is not known
	Start, End int    // octets of what was read, as UTF-8
}

// String gives "FILE:LINE", or what there is of it.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// File is one file of a setting server, read but not applied.
type File struct {
	// Root is the XML root element, "text" for the plain format, "" for a file
	// that holds nothing.
	Root      string
	Settings  []Setting
	Keys      []Key
	Contacts  []Contact
	Dialplan  []Template // nil where the file has none
	Languages []Language
	Phrases   []Phrase // of one language
	Uploads   []Upload
	// Certificates that the phone is to trust.
	Certificates []Certificate
	Links        []Link // of <setting-files>, in order
	Images       []Link // URLs of <firmware>; the base of all of them where there are Versions
	Modules      []Link // URLs of <firmware_uxm>
	Versions     []Version
	Notes        []Note
	// ReplaceBook: Contacts are the whole phone book.
	ReplaceBook bool
	// Plans are programs for keys and settings, as they are written.
	Plans []Plan
	// BookVersion is that of the phone book's form: "2.0", else "".
	BookVersion string
	// Charset is what the XML says that it is in, where that is ISO-8859-1 or a
	// part of it: it was read as that. "" for UTF-8.
	Charset string
}

// Version is what <firmware-settings> tells a DECT base of itself, or of one
// type of its handsets.
type Version struct {
	Handset  string // "M65"; "" for the base
	Software string // "740"
	Branch   string // "104"
}

// Link is a URL that a file names, as it is written there.
type Link struct {
	URL string
	At  Place
}

// Note is something about a file that a person may want to know.
type Note struct {
	At   Place
	Text string
}

// String gives the place and the text.
func (n Note) String() string {
	if at := n.At.String(); at != "" {
		return at + ": " + n.Text
	}
	return n.Text
}

// Error says why a phone drops a whole file. Its text is without the place.
type Error struct {
	At  Place
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Malformed is an Error's reason where a file that begins as XML is none.
type Malformed struct {
	Line   int
	Reason string
}

func (m *Malformed) Error() string {
	return fmt.Sprintf("malformed XML in line %d: %s", m.Line, m.Reason)
}

// Setting is one parameter. Index is the idx attribute, nil where it had
// none.
type Setting struct {
	Name  string `json:"name"`
	Index *int   `json:"idx,omitempty"`
	Value string `json:"value"`
	// Perm is the flag as the file wrote it; "&" for a line of text with none.
	Perm string `json:"perm"`
	// Changed says that the user set the value on the phone.
	Changed bool `json:"changed,omitempty"`
	// Markup: Value is XML, as it was written.
	Markup bool  `json:"-"`
	At     Place `json:"-"`
}

// Key is a function key. Value begins with the key's type.
type Key struct {
	Index       int    `json:"idx"`
	Context     string `json:"context,omitempty"`
	Label       string `json:"label,omitempty"`
	ShortLabel  string `json:"short_label,omitempty"`
	DefaultText string `json:"default_text,omitempty"`
	LongPress   string `json:"lp,omitempty"`
	// More are the attributes that have no field here, such as
	// ` icon_type="" label_mode="icon_text"`: each behind a blank, in the order of
	// their names, escaped as XML wants it.
	More  string `json:"more,omitempty"`
	Perm  string `json:"perm"`
	Value string `json:"value"`
	// Markup: Value is XML, as it was written.
	Markup bool  `json:"-"`
	At     Place `json:"-"`
}

// Contact is an entry of the phone book, of either of its two forms.
type Contact struct {
	Index     string   `json:"index,omitempty"`
	Context   string   `json:"context,omitempty"`
	Type      string   `json:"type,omitempty"`
	Name      string   `json:"name,omitempty"`
	FirstName string   `json:"first_name,omitempty"`
	LastName  string   `json:"last_name,omitempty"`
	Favourite bool     `json:"favourite,omitempty"` // in version 2.0 of a book
	Numbers   []Number `json:"numbers"`
	At        Place    `json:"-"`
}

// Number is one number of a Contact.
type Number struct {
	Number  string `json:"number"`
	Type    string `json:"type,omitempty"`
	Context string `json:"context,omitempty"` // "line1", where it is not that of the contact
}

// Template is a line of the dial plan.
type Template struct {
	Match   string `json:"match"`
	Timeout string `json:"timeout,omitempty"`
	User    string `json:"user,omitempty"`
	Rewrite string `json:"rewrite,omitempty"`
	At      Place  `json:"-"`
}

// Language is one that the phone can fetch; For is "gui" or "web".
type Language struct {
	For  string `json:"for"`
	Name string `json:"name"`
	URL  string `json:"url"`
	At   Place  `json:"-"`
}

// Plan is a <ReplacementPlan>, whole.
type Plan struct {
	XML string
	At  Place
}

// Phrase is a text of the display or the web pages, by the firmware's name for
// it ("lang_sip_response_code_486").
type Phrase struct {
	Name string `json:"name"`
	Text string `json:"text"`
	At   Place  `json:"-"`
}

// Upload is a file that the phone stores, by its type ("gui", "font", …).
type Upload struct {
	Type string `json:"type"`
	URL  string `json:"url"`
	At   Place  `json:"-"`
}

// Certificate is a link to one, or the certificate itself (DER in base64).
type Certificate struct {
	URL    string `json:"url,omitempty"`
	Base64 string `json:"base64,omitempty"`
	At     Place  `json:"-"`
}

// Summary counts what is in a file, for a person: no value is shown.
func (f File) Summary() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{len(f.Links), "links"},
		{len(f.Settings), "settings"},
		{len(f.Keys), "keys"},
		{len(f.Contacts), "contacts"},
		{len(f.Dialplan), "dial plan templates"},
		{len(f.Languages), "languages"},
		{len(f.Phrases), "phrases"},
		{len(f.Plans), "replacement plans"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Read reads a settings file as leniently as phones do. Malformed XML, or an
// unknown root element, is an *Error: a phone drops the whole file. The name
// is for the places alone.
func Read(name string, body []byte) (File, error) {
	r := reader{name: name}
	err := r.read(body)
	if err != nil {
		return File{}, err
	}
	return r.file, nil
}

// Strict reads a file as Read does, and gives besides what is odd in it: all
// that a phone would pass over, read in a way of its own, or that no document
// of the maker explains. A file that is well made has none.
func Strict(name string, body []byte) (File, []Note, error) {
	r := reader{name: name, strict: true}
	err := r.read(body)
	if err != nil {
		return File{}, r.oddities, err
	}
	return r.file, r.oddities, nil
}

// reader reads one file.
type reader struct {
	name     string
	strict   bool
	file     File
	oddities []Note
}

func (r *reader) fail(at Place, err error) error { return &Error{at, err} }

func (r *reader) note(at Place, format string, args ...any) {
	n := Note{at, fmt.Sprintf(format, args...)}
	r.file.Notes = append(r.file.Notes, n)
	if r.strict {
		r.oddities = append(r.oddities, n)
	}
}

// odd notes what only the strict reading minds.
func (r *reader) odd(at Place, format string, args ...any) {
	if r.strict {
		r.oddities = append(r.oddities, Note{at, fmt.Sprintf(format, args...)})
	}
}

var textStart = regexp.MustCompile(`(?i)^(?:<html>|<pre>|[^<])`)

func (r *reader) read(body []byte) error {
	trimmed := bytes.TrimLeftFunc(bytes.TrimPrefix(body, []byte("\ufeff")), unicode.IsSpace)
	before := body[:len(body)-len(trimmed)]
	trimmed = bytes.TrimRightFunc(trimmed, unicode.IsSpace)
	first := Place{File: r.name, Line: 1 + bytes.Count(before, []byte("\n")), Start: len(before)}
	if len(trimmed) == 0 {
		return nil
	}
	if textStart.Match(trimmed) {
		r.text(trimmed, first)
		return nil
	}
	root, err := r.tree(trimmed, first)
	if err != nil || root == nil { // comments alone: "nothing for you"
		return err
	}
	r.file.Root = root.name
	if root.name != "settings" {
		return r.part(root)
	}
	r.attributes(root)
	for _, c := range root.children {
		if !knownPart(c.name) {
			// Files with settings here, for a start, work in the field.
			r.note(c.at, "<settings> holds <%s>, which is no part of it: it is passed over", c.name)
			continue
		}
		if err := r.part(c); err != nil {
			return err
		}
	}
	return nil
}

// perms are the flags of <phone-settings> and of function keys.
func knownPerm(s string) bool {
	switch s {
	case "", "RW", "R", "!", "$", "&", " ":
		return true
	}
	return false
}
