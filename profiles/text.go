package profiles

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// textWriter writes the plain settings format that V3 to V6 read: a line per
// setting, the index glued to the name, then a flag. There is no escaping in
// it, so a line break within a value becomes a blank.
type textWriter struct {
	b          bytes.Buffer
	reveal     bool
	secrets    []Span
	identities int // of the model; 0 where not known
}

func newText(reveal bool, identities int) *textWriter {
	w := &textWriter{reveal: reveal, identities: identities}
	w.b.WriteString("<html><pre>\n")
	return w
}

func (w *textWriter) bytes() []byte {
	w.b.WriteString("</pre></html>\n")
	return w.b.Bytes()
}

var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

func (w *textWriter) line(name, flag string, v value) {
	text := v.text
	if v.secret && !w.reveal {
		text = masked
	}
	w.b.WriteString(name + flag + ": ")
	start := w.b.Len()
	w.b.WriteString(oneLine.Replace(text))
	if v.secret {
		w.secrets = append(w.secrets, Span{start, w.b.Len()})
	}
	w.b.WriteByte('\n')
}

// textFlag turns the perm attribute into the flag of the same meaning.
func textFlag(perm string) string {
	switch perm {
	case "", "RW", "$":
		return "$"
	case "!":
		return "!"
	}
	return "&"
}

func (w *textWriter) settings(l layer) {
	unsaid := len(l.certificates) + len(l.uploads)
	for _, s := range inPhoneOrder(l.settings) {
		if s.value.markup {
			unsaid++
			continue
		}
		name := s.name
		if s.index != noIndex {
			name += strconv.Itoa(s.index)
		}
		w.line(name, textFlag(s.perm), s.value)
	}
	for _, k := range byIndex(l.keys) {
		if k.value.markup {
			unsaid++
			continue
		}
		w.line(fmt.Sprintf("fkey%d", k.index), textFlag(k.perm), k.text())
		w.line(fmt.Sprintf("fkey_context%d", k.index), textFlag(k.perm), value{text: k.context})
		if k.label.text != "" {
			w.line(fmt.Sprintf("fkey_label%d", k.index), textFlag(k.perm), k.label)
		}
		if k.shortLabel.text != "" {
			w.line(fmt.Sprintf("fkey_short_label%d", k.index), textFlag(k.perm), k.shortLabel)
		}
	}
	w.phonebook(l.contacts)
	if unsaid += w.dialplan(l); unsaid > 0 {
		fmt.Fprintf(&w.b, "# firmware V7 and later would also get %d lines that have no text form\n", unsaid)
	}
}

// phonebook writes what became <tbook>: tn, tu, tc and to are the name, number,
// category and identity of an entry (wiki.snom.com, Directory), and files that
// phones of the time were given have an underscore before its number.
func (w *textWriter) phonebook(contacts []contact) {
	for i, c := range contacts {
		for _, field := range []struct {
			name  string
			value value
		}{{"tn", c.name}, {"tu", c.number}, {"tc", value{text: c.kind}}, {"to", value{text: c.context}}} {
			w.line(field.name+"_"+strconv.Itoa(i), "$", field.value)
		}
	}
}

// dialplan writes the templates as user_dp_str, of each identity that the layer
// is about or, where it is about none, that the model has. It gives the number
// of templates that cannot be said so.
func (w *textWriter) dialplan(l layer) (unsaid int) {
	if len(l.templates) == 0 {
		return 0
	}
	written := map[int]bool{}
	var identities []int
	for _, s := range l.settings {
		switch {
		case s.name == "user_dp_str":
			written[s.index] = true
		case s.name == "user_name" && s.value.text != "":
			identities = append(identities, s.index)
		}
	}
	if len(identities) == 0 {
		for i := range max(w.identities, 1) {
			identities = append(identities, i+1)
		}
	}
	var patterns []string
	secret := false
	// The first that matches is taken here, the longest of an XML dial plan.
	longestFirst := slices.SortedStableFunc(slices.Values(l.templates), func(a, b template) int { return cmp.Compare(len(b.match), len(a.match)) })
	for _, t := range longestFirst {
		pattern, ok := t.regularExpression()
		if !ok {
			unsaid++
			continue
		}
		patterns = append(patterns, pattern)
		secret = secret || t.user.secret || t.rewrite.secret
	}
	if len(patterns) == 0 {
		return unsaid
	}
	for _, i := range identities {
		if !written[i] {
			w.line("user_dp_str"+strconv.Itoa(i), "$", value{text: strings.Join(patterns, " "), secret: secret})
		}
	}
	return unsaid
}

// regularExpression gives the template as an entry of user_dp_str: pattern,
// result and flags between bars; d dials at once, \d is the registrar
// (service.snom.com, "Dial Plan - Regular Expressions"). It is false for what
// has no such form: a time to wait, and rewriting by parts.
func (t template) regularExpression() (string, bool) {
	if t.timeout != "0" || strings.ContainsAny(t.match+t.user.text+t.rewrite.text, "| \t\r\n\\") {
		return "", false
	}
	var pattern strings.Builder
	for _, r := range t.match {
		switch r {
		case ',': // a second dial tone, which is not dialled
		case '.':
			pattern.WriteByte('.')
		case '*':
			pattern.WriteString(".+")
		default:
			pattern.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	result := `\1`
	if t.rewrite.text != "" {
		result = t.rewrite.text
	}
	if !strings.Contains(result, ":") {
		result = "sip:" + result
	}
	if !strings.Contains(result, "@") {
		result += `@\d`
	}
	if t.user.text != "" && !strings.Contains(result, ";") {
		result += ";user=" + strings.ToLower(t.user.text)
	}
	return "|^(" + pattern.String() + ")$|" + result + "|d", true
}

// firmware writes the answer to a firmware request.
func (w *textWriter) firmware(lines []firmwareLine) {
	for _, l := range lines {
		if l.tag == "" {
			w.b.WriteString("# " + oneLine.Replace(l.text) + "\n")
		} else {
			w.line(l.tag, "", value{text: l.text})
		}
	}
}
