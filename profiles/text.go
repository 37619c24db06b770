package profiles

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// textWriter writes the plain settings format that V3 to V6 read: a line per
// setting, the index glued to the name, then a flag. There is no escaping in
// it, so a line break within a value becomes a blank.
type textWriter struct {
	b       bytes.Buffer
	reveal  bool
	secrets []Span
}

func newText(reveal bool) *textWriter {
	w := &textWriter{reveal: reveal}
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
	for _, s := range inPhoneOrder(l.settings) {
		name := s.name
		if s.index != noIndex {
			name += strconv.Itoa(s.index)
		}
		w.line(name, textFlag(s.perm), s.value)
	}
	for _, k := range byIndex(l.keys) {
		w.line(fmt.Sprintf("fkey%d", k.index), textFlag(k.perm), k.text())
		w.line(fmt.Sprintf("fkey_context%d", k.index), textFlag(k.perm), value{text: k.context})
	}
	if n := len(l.contacts) + len(l.templates); n > 0 {
		fmt.Fprintf(&w.b, "# firmware V7 and later would also get %d lines of phone book and dial plan\n", n)
	}
}

// firmware writes the answer to a firmware request.
func (w *textWriter) firmware(url, none string) {
	if url == "" {
		w.b.WriteString("# " + none + "\n")
		return
	}
	w.line("firmware", "", value{text: url})
}
