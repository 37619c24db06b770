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
// said of it, odd and err, tells no secret.
type checkedFile struct {
	phonefile.File
	secret []bool               // by setting
	plan   []phonefile.Template // but those with a secret match
	odd    []phonefile.Note
	err    error // a phone drops it
}

// readFile reads a document twice: as it is, and with its secrets masked.
func readFile(f adminFile) *checkedFile {
	body, secrets := f.bytes(true)
	c := &checkedFile{}
	c.File, c.odd, c.err = phonefile.Strict("", body)
	c.secret = make([]bool, len(c.Settings))
	c.plan = c.Dialplan
	if len(secrets) == 0 {
		return c
	}
	body, _ = f.bytes(false)
	shown, odd, err := phonefile.Strict("", body)
	if c.err == nil && err != nil {
		odd, err = nil, nil // only the mask cannot be read
	}
	c.odd, c.err = odd, err
	for i, s := range c.Settings {
		c.secret[i] = len(shown.Settings) != len(c.Settings) || shown.Settings[i].Value != s.Value || shown.Settings[i].Name != s.Name
	}
	c.plan = nil
	for i, a := range c.Dialplan {
		if len(shown.Dialplan) == len(c.Dialplan) && shown.Dialplan[i].Match == a.Match {
			c.plan = append(c.plan, a)
		}
	}
	return c
}

// settings gives what the file sets, by the catalogue; all of it is of one source.
func (c *checkedFile) settings(catalogue settings, from source) []setting {
	list := make([]setting, len(c.Settings))
	from.word = wordElement
	if c.Root == "text" {
		from.word = wordLine
	}
	for i, s := range c.Settings {
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

// checkFile reports a file that is XML and that a phone would drop for what is
// wrong in it, at the line of the admin's file. It gives what a phone reads in
// it, nil where there is such an error.
func (l *loader) checkFile(f adminFile, of string) *checkedFile {
	whole := len(f.parts) == 1 && f.parts[0].literal
	if whole {
		if checked, ok := l.checked[f.parts[0].rng.Filename]; ok {
			return checked
		}
	}
	body, _ := f.bytes(true)
	var checked *checkedFile
	if offset, err := wellFormed(body); isXML(body) && err != nil {
		rng, secret := f.place(offset)
		detail := capital(err.Error())
		if secret {
			detail = "A secret value is no XML as it stands: write xml(…) around it"
		}
		d := errorAt(rng, "Malformed XML", "%s. A phone would drop the whole file.", detail)
		if of != "" {
			d.Extra = forPhone{phone: of}
		}
		l.problems.add(hcl.Diagnostics{d})
	} else {
		checked = readFile(f)
	}
	if whole {
		l.checked[f.parts[0].rng.Filename] = checked
	}
	return checked
}

// file looks at a document of the admin's own that phones are made to fetch: what
// they pass over in it, whether they know its settings and take the values, and what
// of its dial plan can never match.
// It gives the settings.
func (t *lint) file(f adminFile, of about, m Model, version string, general bool) []setting {
	where := ""
	if of.phone != nil {
		where = of.phone.where
	}
	read := t.l.checkFile(f, where)
	if read == nil || m.Family == "C" { // made by another maker, with files of its own kind
		return nil
	}
	body, _ := f.bytes(true)
	lines := lineStarts(body)
	at := func(place phonefile.Place) hcl.Range {
		rng, _ := f.place(lines[min(max(place.Line, 1), len(lines))-1])
		return rng
	}
	if dropped, ok := errors.AsType[*phonefile.Error](read.err); ok {
		t.once(of, ruleOddDocument, at(dropped.At), "Document that a phone would drop", "In this file, %s. Correct it; if it is for something else than a Snom phone, silence this rule for it.", read.err)
		return nil
	}
	for _, note := range read.odd {
		t.l.warn(of, ruleOddDocument, at(note.At), "Odd document", "In this file, %s. Correct it, or silence this rule where it is meant.", note.Text)
	}
	l := layer{settings: read.settings(t.l.set.settings, f.source)}
	for i, s := range read.Settings {
		l.settings[i].source.rng = at(s.At)
	}
	t.settings(l, of, m, version, general)
	// It takes the place of any dial plan before it.
	for _, a := range read.plan {
		l.templates = append(l.templates, template{match: a.Match, timeout: a.Timeout, source: source{layer: f.source.layer, word: wordElement, rng: at(a.At)}})
	}
	t.templates(l, l, of)
	return l.settings
}

// lineStarts gives the offset of each line of a text: of the first that is no blank.
func lineStarts(body []byte) []int {
	starts := []int{}
	for offset := 0; offset <= len(body); {
		line := body[offset:]
		end := slices.Index(line, '\n')
		if end < 0 {
			end = len(line)
		}
		indent := len(line[:end]) - len(strings.TrimLeft(string(line[:end]), " \t\r"))
		starts = append(starts, offset+indent)
		offset += end + 1
	}
	return starts
}

// place gives the line of the admin's file that made what is at an offset of
// the document, and whether a secret is there.
func (f adminFile) place(offset int) (hcl.Range, bool) {
	var p filePart
	for _, p = range f.parts {
		if offset <= len(p.text) {
			break
		}
		offset -= len(p.text)
	}
	if !p.literal {
		return p.rng, p.secret
	}
	offset = min(offset, len(p.text))
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
