package profiles

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// masked stands for a secret that is not to be shown.
const masked = "********"

// xmlWriter writes one document. The layout is fixed, so that the same layer
// gives the same bytes each time.
type xmlWriter struct {
	b       bytes.Buffer
	depth   int
	reveal  bool
	secrets []Span // where secrets were written, masked or not
}

type attr struct {
	name  string
	value value
}

func plain(name, text string) attr { return attr{name, value{text: text}} }

func newXML(reveal bool) *xmlWriter {
	w := &xmlWriter{reveal: reveal}
	w.b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n")
	return w
}

func (w *xmlWriter) start(tag string, attrs []attr) {
	for range w.depth {
		w.b.WriteString("  ")
	}
	w.b.WriteString("<" + tag)
	for _, a := range attrs {
		w.b.WriteString(" " + a.name + `="`)
		w.escape(a.value, true)
		w.b.WriteByte('"')
	}
}

func (w *xmlWriter) open(tag string, attrs ...attr) {
	w.start(tag, attrs)
	w.b.WriteString(">\n")
	w.depth++
}

func (w *xmlWriter) close(tag string) {
	w.depth--
	for range w.depth {
		w.b.WriteString("  ")
	}
	w.b.WriteString("</" + tag + ">\n")
}

func (w *xmlWriter) empty(tag string, attrs ...attr) {
	w.start(tag, attrs)
	w.b.WriteString("/>\n")
}

func (w *xmlWriter) leaf(tag string, text value, attrs ...attr) {
	w.start(tag, attrs)
	w.b.WriteByte('>')
	w.escape(text, false)
	w.b.WriteString("</" + tag + ">\n")
}

// comment writes text, which must not come from outside the configuration.
func (w *xmlWriter) comment(text string) {
	for range w.depth {
		w.b.WriteString("  ")
	}
	// "--" may not stand in a comment (XML 1.0 §2.5).
	w.b.WriteString("<!-- " + strings.ReplaceAll(text, "--", "- -") + " -->\n")
}

var (
	// A parser turns a bare CR into LF, and in attributes every blank into a
	// space (XML 1.0 §2.11, §3.3.3); character references survive.
	textEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#13;")
	attrEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#13;", "\n", "&#10;", "\t", "&#9;")
)

func (w *xmlWriter) escape(v value, inAttr bool) {
	text := v.text
	if v.secret && !w.reveal {
		text = masked
	}
	escapes := textEscapes
	if inAttr {
		escapes = attrEscapes
	}
	start := w.b.Len()
	escapes.WriteString(&w.b, text) // a bytes.Buffer refuses nothing
	if v.secret {
		w.secrets = append(w.secrets, Span{start, w.b.Len()})
	}
}

// e2 lets character references go past 255 in the element (snom: e="2"); the
// phone needs it for none of ours, and minds it as little.
var e2 = plain("e", "2")

// settings writes a <settings> document.
func (w *xmlWriter) settings(l layer) {
	w.open("settings")
	if len(l.settings) > 0 {
		w.open("phone-settings", e2)
		for _, s := range inPhoneOrder(l.settings) {
			w.setting(s)
		}
		w.close("phone-settings")
	}
	if len(l.keys) > 0 {
		w.open("functionKeys", e2)
		for _, k := range byIndex(l.keys) {
			w.key(k)
		}
		w.close("functionKeys")
	}
	if len(l.contacts) > 0 {
		// complete: the one way to make the phone forget entries that are gone.
		w.open("tbook", e2, plain("complete", "true"))
		for i, c := range l.contacts {
			w.contact(i, c)
		}
		w.close("tbook")
	}
	if len(l.templates) > 0 {
		w.open("dialplan", e2)
		for _, t := range l.templates {
			w.template(t)
		}
		w.close("dialplan")
	}
	w.close("settings")
}

// inPhoneOrder puts first what the phone obeys only at the top of a file.
func inPhoneOrder(settings []setting) []setting {
	return slices.SortedStableFunc(slices.Values(settings), func(a, b setting) int {
		return cmp.Compare(rank(a), rank(b))
	})
}

func rank(s setting) int {
	if s.name == "auto_reboot_on_setting_change" {
		return 0
	}
	return 1
}

func byIndex(keys []key) []key {
	return slices.SortedFunc(slices.Values(keys), func(a, b key) int { return cmp.Compare(a.index, b.index) })
}

func (w *xmlWriter) setting(s setting) {
	// perm is always written: what the phone makes of its absence is not documented.
	if s.index == noIndex {
		w.leaf(s.name, s.value, plain("perm", s.perm))
		return
	}
	w.leaf(s.name, s.value, plain("idx", strconv.Itoa(s.index)), plain("perm", s.perm))
}

func (w *xmlWriter) key(k key) {
	attrs := []attr{plain("idx", strconv.Itoa(k.index)), plain("context", k.context)}
	for _, a := range []attr{{"label", k.label}, {"short_label", k.shortLabel}, {"default_text", k.defaultText}, {"lp", k.longPress}} {
		if a.value.text != "" {
			attrs = append(attrs, a)
		}
	}
	if k.longPress.text != "" {
		attrs = append(attrs, plain("clp", "1")) // lp counts only with it
	}
	w.leaf("fkey", k.text(), append(attrs, plain("perm", k.perm))...)
}

// contact writes a full name both as <name>, which V7 and V8 read, and as
// <first_name>, where V10 looks.
func (w *xmlWriter) contact(index int, c contact) {
	if c.firstName.text == "" && c.lastName.text == "" {
		c.firstName = c.name
	}
	w.open("item", plain("context", c.context), plain("type", c.kind), plain("index", strconv.Itoa(index)))
	w.leaf("name", c.name)
	if c.firstName.text != "" {
		w.leaf("first_name", c.firstName)
	}
	if c.lastName.text != "" {
		w.leaf("last_name", c.lastName)
	}
	w.leaf("number", c.number)
	w.leaf("number_type", value{text: c.numberType})
	w.close("item")
}

func (w *xmlWriter) template(t template) {
	attrs := []attr{plain("MATCH", t.match)}
	if t.timeout != "" {
		attrs = append(attrs, plain("Timeout", t.timeout))
	}
	for _, a := range []attr{{"User", t.user}, {"Rewrite", t.rewrite}} {
		if a.value.text != "" {
			attrs = append(attrs, a)
		}
	}
	w.empty("TEMPLATE", attrs...)
}

// container writes <setting-files>, in the order in which the phone loads them.
func (w *xmlWriter) container(urls []string) {
	w.open("setting-files")
	for _, url := range urls {
		w.empty("file", plain("url", url))
	}
	w.close("setting-files")
}

// languages writes <gui-languages> or <web-languages>.
func (w *xmlWriter) languages(tag string, languages []language) {
	w.open(tag)
	for _, l := range languages {
		w.empty("language", attr{"url", l.url}, plain("name", l.name))
	}
	w.close(tag)
}

// firmware writes <firmware-settings>: the image's URL, or the reason why
// there is none.
func (w *xmlWriter) firmware(url, none string) {
	w.open("firmware-settings")
	if url == "" {
		w.comment(none)
	} else {
		w.leaf("firmware", value{text: url}, plain("perm", ""))
	}
	w.close("firmware-settings")
}
