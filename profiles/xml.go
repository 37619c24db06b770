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
	spell   spelling
	secrets []Span // where secrets were written, masked or not
}

type attr struct {
	name  string
	value value
}

func plain(name, text string) attr { return attr{name, value{text: text}} }

func newXML(reveal bool, spell spelling) *xmlWriter {
	w := &xmlWriter{reveal: reveal, spell: spell}
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

// comment writes a remark for whoever reads the document.
func (w *xmlWriter) comment(text string) {
	for range w.depth {
		w.b.WriteString("  ")
	}
	text = strings.Map(func(r rune) rune {
		if checkText(string(r)) != nil {
			return '?'
		}
		return r
	}, text)
	for strings.Contains(text, "--") { // which may not stand in a comment (XML 1.0 §2.5)
		text = strings.ReplaceAll(text, "--", "- -")
	}
	w.b.WriteString("<!-- " + text + " -->\n")
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
	if v.markup {
		w.b.WriteString(text)
	} else {
		escapes.WriteString(&w.b, text) // a bytes.Buffer refuses nothing
	}
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
		w.open(w.spell.keys, e2)
		for _, k := range byIndex(l.keys) {
			w.key(k)
		}
		w.close(w.spell.keys)
	}
	if len(l.contacts) > 0 {
		w.phonebook(l.contacts)
	}
	if len(l.templates) > 0 {
		w.open(w.spell.plan, e2)
		for _, t := range l.templates {
			w.template(t)
		}
		w.close(w.spell.plan)
	}
	w.uploads(l.uploads)
	w.certificates(l.certificates)
	w.close("settings")
}

// inPhoneOrder puts first what the phone obeys only at the top of a file.
func inPhoneOrder(settings []setting) []setting {
	ordered := slices.Clone(settings)
	slices.SortStableFunc(ordered, func(a, b setting) int { return cmp.Compare(rank(a), rank(b)) })
	return ordered
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
	name := s.name
	if name == "firmware_status" {
		name = w.spell.firmwareStatus
	}
	// perm is always written: what the phone makes of its absence is not documented.
	if s.index == noIndex {
		w.leaf(name, s.value, plain("perm", s.perm))
		return
	}
	w.leaf(name, s.value, plain("idx", strconv.Itoa(s.index)), plain("perm", s.perm))
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
	attrs = append(append(attrs, k.more...), plain("perm", k.perm))
	w.leaf("fkey", k.text(), attrs...)
}

// phonebook writes <tbook>, in either form.
func (w *xmlWriter) phonebook(contacts []contact) {
	// complete: the one way to make the phone forget entries that are gone.
	attrs := []attr{e2, plain("complete", "true")}
	if w.spell.bookVersion == "2.0" {
		w.open(w.spell.book, append(attrs, plain("version", "2.0"))...)
		for i := 0; i < len(contacts); {
			n := 1
			for i+n < len(contacts) && contacts[i+n].person() == contacts[i].person() {
				n++
			}
			w.person(contacts[i : i+n])
			i += n
		}
	} else {
		w.open(w.spell.book, attrs...)
		for i, c := range contacts {
			w.contact(i, c)
		}
	}
	w.close(w.spell.book)
}

// person is what entries of one person have in common.
func (c contact) person() [5]value {
	return [5]value{c.name, c.firstName, c.lastName, {text: c.kind}, {text: strconv.FormatBool(c.favourite)}}
}

// person writes the entries of one as a <contact> of version 2.0, since 10.1.178
// (service.snom.com, "Local directory").
func (w *xmlWriter) person(entries []contact) {
	c := entries[0]
	if c.firstName.text == "" && c.lastName.text == "" {
		c.firstName = c.name
	}
	flag := func(name string, is bool) attr { return plain(name, strconv.FormatBool(is)) }
	w.open("contact", flag("fav", c.favourite), flag("vip", c.kind == "vip"), flag("blocked", c.kind == "deny"))
	if c.firstName.text != "" {
		w.leaf("first_name", c.firstName)
	}
	if c.lastName.text != "" {
		w.leaf("last_name", c.lastName)
	}
	if c.kind != "none" && c.kind != "vip" && c.kind != "deny" {
		w.leaf("group", value{text: c.kind})
	}
	w.open("numbers")
	for _, c := range entries {
		// An identity by its number; 0 is the one that is active.
		id := strings.TrimPrefix(c.context, "line")
		if c.context == "active" {
			id = "0"
		}
		w.empty("number", attr{"no", c.number}, plain("type", c.numberType), plain("outgoing_id", id))
	}
	w.close("numbers")
	w.close("contact")
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

// firmware writes <firmware-settings>: URLs of images, versions, and remarks on
// what there is none of.
func (w *xmlWriter) firmware(lines []firmwareLine) {
	w.open("firmware-settings")
	for _, l := range lines {
		var attrs []attr
		if l.handset != "" {
			attrs = append(attrs, plain("type", l.handset))
		}
		if l.perm {
			attrs = append(attrs, plain("perm", ""))
		}
		if l.tag == "" {
			w.comment(l.text)
		} else {
			w.leaf(l.tag, value{text: l.text}, attrs...)
		}
	}
	w.close("firmware-settings")
}
