package profiles

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/phonefile"
)

// checkedFile is one of the admin's own documents as a phone reads it. What is
// said of it tells no secret.
type checkedFile struct {
	phonefile.File
	places []hcl.Range // of Settings
	secret []bool      // likewise: it is one, or has one in it
	plan   []template  // but those with a secret in them
	odd    []remark
	// why a phone drops it, nil where it does not: because it begins as XML and is
	// none, or for what is in it
	malformed, dropped *remark
}

// remark is something about a document of the admin's own.
type remark struct {
	rng  hcl.Range
	text string
}

// strictly reads a document, and minds besides what only files of others may be.
func strictly(body []byte) (phonefile.File, []phonefile.Note, error) {
	file, odd, err := phonefile.Strict("", body)
	if err == nil && isXML(body) {
		switch {
		case file.Root == "":
			err = &phonefile.Error{Err: &phonefile.Malformed{Reason: "there is no element in it"}}
		case file.Charset != "":
			err = &phonefile.Error{Err: &phonefile.Malformed{Reason: phonefile.OtherCharset(file.Charset).Error()}}
		}
	}
	return file, odd, err
}

// readFile reads a document as it is: every value knows its octets there, and the
// document where its secrets are. Only where there is something to say of one
// with secrets it is read again with these masked, for what may be said.
func readFile(f adminFile) *checkedFile {
	body, secrets := f.bytes(true)
	c := &checkedFile{}
	file, odd, err := strictly(body)
	if len(secrets) > 0 && (err != nil || len(odd) > 0) {
		c.saidOf(f, err)
	} else {
		c.says(f, true, odd, err)
	}
	if err != nil {
		return c
	}
	c.File = file
	hasSecret := func(at phonefile.Place) bool {
		return slices.ContainsFunc(secrets, func(s Span) bool { return s.End > at.Start && s.Start < at.End })
	}
	c.places, c.secret = make([]hcl.Range, len(c.Settings)), make([]bool, len(c.Settings))
	for i, s := range c.Settings {
		c.places[i], _ = f.place(s.At.Start, true)
		c.secret[i] = hasSecret(s.At)
	}
	for _, a := range c.Dialplan {
		if !hasSecret(a.At) {
			rng, _ := f.place(a.At.Start, true)
			c.plan = append(c.plan, template{match: a.Match, timeout: a.Timeout, source: source{word: wordElement, rng: rng}})
		}
	}
	return c
}

// says takes down what a reading found, of the document as it is or with its
// secrets masked.
func (c *checkedFile) says(f adminFile, reveal bool, odd []phonefile.Note, err error) {
	at := func(place phonefile.Place) hcl.Range {
		rng, _ := f.place(place.Start, reveal)
		return rng
	}
	for _, note := range odd {
		c.odd = append(c.odd, remark{at(note.At), note.Text})
	}
	dropped, ok := errors.AsType[*phonefile.Error](err)
	if !ok {
		return
	}
	if malformed, ok := errors.AsType[*phonefile.Malformed](err); ok {
		c.malformed = &remark{at(dropped.At), capital(malformed.Reason)}
	} else {
		c.dropped = &remark{at(dropped.At), err.Error()}
	}
}

// saidOf says what is wrong with a document that has secrets, or odd in it. unmasked
// is why a phone drops it as it is.
func (c *checkedFile) saidOf(f adminFile, unmasked error) {
	body, _ := f.bytes(false)
	_, odd, err := strictly(body)
	if unmasked == nil {
		c.says(f, false, odd, nil) // what the mask breaks, the secret does not
		return
	}
	c.says(f, false, odd, err)
	dropped, ok := errors.AsType[*phonefile.Error](unmasked)
	if !ok {
		return
	}
	rng, inSecret := f.place(dropped.At.Start, true)
	_, malformed := errors.AsType[*phonefile.Malformed](unmasked)
	switch {
	case malformed && (inSecret || c.malformed == nil):
		c.malformed, c.dropped = &remark{rng, "A secret value is no XML as it stands: write xml(…) around it"}, nil
	case !malformed && c.dropped == nil:
		c.malformed, c.dropped = nil, &remark{rng, "a secret value is nothing that a phone reads there"}
	}
}

// settings gives what a file sets, by the catalogue; all of it is of one source.
func (c *checkedFile) settings(catalogue settings, from source) []setting {
	list := make([]setting, len(c.Settings))
	from.word = wordElement
	if c.Root == "text" {
		from.word = wordLine
	}
	for i, s := range c.Settings {
		from.rng = c.places[i]
		v := setting{name: s.Name, index: noIndex, perm: s.Perm, value: value{text: s.Value, markup: s.Markup, secret: c.secret[i]}, source: from}
		if s.Index != nil {
			v.index = *s.Index
		}
		if from.word == wordLine {
			v.name, v.index = catalogue.glued(v.name, v.index)
		}
		list[i] = v
	}
	return list
}

// read reads a document of the admin's own: one that is served as it is, once for
// all phones. It may be called concurrently.
func (l *loader) read(f adminFile) *checkedFile {
	if !f.whole() {
		return readFile(f)
	}
	name := f.parts[0].rng.Filename
	if checked, ok := l.checked.Load(name); ok {
		return checked.(*checkedFile)
	}
	checked, _ := l.checked.LoadOrStore(name, readFile(f))
	return checked.(*checkedFile)
}

func (l *loader) readAll(files []adminFile) []*checkedFile {
	read := make([]*checkedFile, len(files))
	for i, f := range files {
		read[i] = l.read(f)
	}
	return read
}

// checkFile reports a file that begins as XML and is none, at the line of the
// admin's file. It is false for one.
func (l *loader) checkFile(f adminFile, read *checkedFile, of *phone) bool {
	if read.malformed == nil {
		return true
	}
	d := errorAt(read.malformed.rng, "Malformed XML", "%s. A phone would drop the whole file.", read.malformed.text)
	if of != nil && !f.whole() {
		d.Extra = forPhone{phone: of.where}
	}
	l.problems.add(hcl.Diagnostics{d})
	return false
}

// file looks at a document of the admin's own that phones are made to fetch: what
// they pass over in it, whether they know its settings and take the values, and what
// of its dial plan can never match.
// It gives the settings.
func (t *lint) file(f adminFile, read *checkedFile, of about, m Model, version string, general bool) []setting {
	if !t.l.checkFile(f, read, of.phone) || m.Family == "C" { // made by another maker, with files of its own kind
		return nil
	}
	if read.dropped != nil {
		t.once(of, ruleOddDocument, read.dropped.rng, "Document that a phone would drop", "In this file, %s. Correct it; if it is for something else than a Snom phone, silence this rule for it.", read.dropped.text)
		return nil
	}
	for _, odd := range read.odd {
		t.l.warn(of, ruleOddDocument, odd.rng, "Odd document", "In this file, %s. Correct it, or silence this rule where it is meant.", odd.text)
	}
	// Its dial plan takes the place of any before it.
	l := layer{settings: read.settings(t.l.set.settings, f.source), templates: slices.Clone(read.plan)}
	for i := range l.templates {
		l.templates[i].source.layer = f.source.layer
	}
	t.settings(l, of, m, version, general)
	t.templates(l, l, of)
	return l.settings
}

// place gives the line of the admin's file that made what is at an offset of
// what bytes gives, and whether a secret is there.
func (f adminFile) place(offset int, reveal bool) (hcl.Range, bool) {
	var p filePart
	for _, p = range f.parts {
		n := len(p.shown(reveal))
		if offset < n {
			break
		}
		offset -= n
	}
	if !p.literal {
		return p.rng, p.secret
	}
	offset = min(max(offset, 0), len(p.text))
	before := p.text[:offset]
	rng := hcl.Range{Filename: p.rng.Filename, Start: p.rng.Start}
	rng.Start.Line += strings.Count(before, "\n")
	if i := strings.LastIndexByte(before, '\n'); i >= 0 {
		rng.Start.Column = 1
		rng.Start.Byte += i + 1
		before = before[i+1:]
	}
	line, _, _ := strings.Cut(before+p.text[offset:], "\n")
	rng.End = rng.Start
	rng.End.Byte += len(line)
	rng.End.Column += utf8.RuneCountInString(line)
	return rng, false
}
