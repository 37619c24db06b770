package phonefile

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds how deep elements nest: the phones' own files need five.
const maxDepth = 100

// node is an element. inner is what stands between its tags, as written.
type node struct {
	name     string
	at       Place
	attrs    []xml.Attr
	children []*node
	chars    []byte
	inner    []byte
}

// CheckXML reports whether body is XML as phones read it, and whether there is
// an element in it, or comments alone.
func CheckXML(body []byte) (element bool, err error) {
	r := reader{}
	root, err := r.tree(bytes.TrimPrefix(body, []byte("\ufeff")), Place{Line: 1})
	return root != nil, err
}

var declaredLatin1 = regexp.MustCompile(`(?i)^(\s*<\?xml[^>]*encoding\s*=\s*["'])(iso-8859-1|latin1|us-ascii)(["'])`)

// utf8Of makes UTF-8 of a document that is declared to be ISO-8859-1, as many
// old ones are.
func (r *reader) utf8Of(body []byte) []byte {
	declared := declaredLatin1.FindSubmatch(body)
	if declared == nil {
		return body
	}
	r.file.Charset = string(declared[2])
	return declaredLatin1.ReplaceAll(latin1(body), []byte("${1}utf-8${3}"))
}

// OtherCharset refuses what is declared to be in another character set than phones read.
type OtherCharset string

func (c OtherCharset) Error() string {
	return fmt.Sprintf("it says that it is %s; phones read UTF-8", string(c))
}

// reasonOf gives what an XML decoder minds, without the place.
func reasonOf(err error) string {
	if charset, ok := errors.AsType[OtherCharset](err); ok {
		return charset.Error()
	}
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return syntax.Msg
	}
	return strings.TrimPrefix(err.Error(), "xml: ")
}

// tree builds the tree of a document that begins at the given place, nil where
// it holds comments alone. It is stricter than encoding/xml: one root, nothing
// but blanks around it, no attribute twice.
func (r *reader) tree(body []byte, first Place) (*node, error) {
	body = r.utf8Of(body)
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) { return nil, OtherCharset(charset) }
	var root *node
	var open []*node
	var begins []int64
	var spare []node // made many at once
	here := func() Place {
		line, _ := d.InputPos()
		at := first.Start + int(d.InputOffset())
		return Place{File: first.File, Line: first.Line + line - 1, Start: at, End: at}
	}
	for {
		at := here() // behind the token before, so where this one begins
		malformed := func(format string, args ...any) error {
			return &Error{at, &Malformed{Line: at.Line, Reason: fmt.Sprintf(format, args...)}}
		}
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			at = here()
			at.Start-- // what is wrong was read already
			return nil, malformed("%s", reasonOf(err))
		}
		at.End = first.Start + int(d.InputOffset())
		switch t := token.(type) {
		case xml.StartElement:
			for i, a := range t.Attr {
				if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
					return nil, malformed("<%s> has the attribute %s twice", t.Name.Local, a.Name.Local)
				}
			}
			if len(spare) == 0 {
				spare = make([]node, 32)
			}
			n := &spare[0]
			spare = spare[1:]
			n.name, n.at, n.attrs = t.Name.Local, at, t.Attr
			switch {
			case len(open) >= maxDepth:
				return nil, malformed("more than %d elements are nested", maxDepth)
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, malformed("<%s> is a second element beside the first, and there may be one", n.name)
			default:
				root = n
			}
			open, begins = append(open, n), append(begins, d.InputOffset())
		case xml.EndElement:
			n := open[len(open)-1]
			n.at.End = at.End
			// InputOffset stands behind the end tag, which a self-closing
			// element does not have.
			inner := body[begins[len(begins)-1]:d.InputOffset()]
			if i := bytes.LastIndex(inner, []byte("</")); i >= 0 {
				n.inner = inner[:i]
			}
			open, begins = open[:len(open)-1], begins[:len(begins)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.chars = append(n.chars, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, malformed("there is text outside of the element")
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				r.odd(at, "<?%s … ?> says nothing to a phone", t.Target)
			} else if bytes.Contains(body[:d.InputOffset()], []byte("<!--")) {
				r.odd(at, "the XML declaration does not stand at the beginning")
			}
		}
	}
}

// attr gives an attribute, and whether the element has it.
func (n *node) attr(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// get gives an attribute, "" where the element has none of that name.
func (n *node) get(name string) string {
	value, _ := n.attr(name)
	return value
}

// written gives those attributes that are wanted as XML, each behind a blank, in
// the order of their names.
func (n *node) written(wanted func(name string) bool) string {
	var b strings.Builder
	for _, a := range slices.SortedFunc(slices.Values(n.attrs), func(a, b xml.Attr) int { return cmp.Compare(a.Name.Local, b.Name.Local) }) {
		if wanted(a.Name.Local) {
			b.WriteString(" " + a.Name.Local + `="`)
			_ = xml.EscapeText(&b, []byte(a.Value)) // a strings.Builder refuses nothing
			b.WriteByte('"')
		}
	}
	return b.String()
}

// value is the text of an element, or the elements in it as they are written.
func (n *node) value() string {
	if len(n.children) > 0 {
		return string(bytes.TrimSpace(n.inner))
	}
	return n.text()
}

// whole is the element as it was written, its attributes in the order of their names.
func (n *node) whole() string {
	all := n.written(func(string) bool { return true })
	return "<" + n.name + all + ">" + string(n.inner) + "</" + n.name + ">"
}

// text is the character data of an element.
func (n *node) text() string { return string(n.chars) }

// child gives the text of the first child of that name.
func (n *node) child(name string) string {
	for _, c := range n.children {
		if c.name == name {
			return c.text()
		}
	}
	return ""
}

// attributes minds those of n that are not known, and text between its children.
func (r *reader) attributes(n *node, known ...string) {
	if !r.strict {
		return
	}
	for _, a := range n.attrs {
		if !slices.Contains(known, a.Name.Local) {
			r.odd(n.at, "<%s> has the attribute %s, which is not read", n.name, a.Name.Local)
		}
	}
	r.mixed(n)
}

// mixed minds text between the children of n.
func (r *reader) mixed(n *node) {
	if r.strict && len(n.children) > 0 && len(bytes.TrimSpace(n.chars)) > 0 {
		r.odd(n.at, "<%s> has text between its elements", n.name)
	}
}

// list minds what is odd in an element that holds others alone.
func (r *reader) list(n *node, known ...string) {
	r.attributes(n, known...)
	if r.strict && len(n.children) == 0 && len(bytes.TrimSpace(n.chars)) > 0 {
		r.odd(n.at, "<%s> has text instead of elements", n.name)
	}
}

// knownPart reports whether phones know an element as a root, or as a child of
// <settings>.
func knownPart(name string) bool {
	switch name {
	case "phone-settings", "functionKeys", "function-keys", "tbook", "phone-book", "dialplan", "dial-plan", "gui-languages", "web-languages",
		"setting-files", "firmware-settings", "ReplacementPlan", "uploads", "certificates", "phrases", "w_phrases":
		return true
	}
	return false
}

// part reads one of the elements that may be a root or a child of <settings>.
func (r *reader) part(n *node) error {
	f := &r.file
	switch n.name {
	case "phone-settings":
		return r.phoneSettings(n)
	case "functionKeys", "function-keys":
		return r.functionKeys(n)
	case "tbook", "phone-book":
		r.phoneBook(n)
	case "dialplan", "dial-plan":
		r.dialplan(n)
	case "gui-languages", "web-languages":
		r.languages(n, strings.TrimSuffix(n.name, "-languages"))
	case "setting-files":
		r.list(n)
		for _, c := range n.children {
			r.attributes(c, "url")
			if u := strings.TrimSpace(c.get("url")); c.name == "file" && u != "" {
				f.Links = append(f.Links, Link{u, c.at})
			} else {
				r.note(c.at, "<setting-files> holds <%s> with no url", c.name)
			}
		}
	case "firmware-settings":
		r.list(n)
		for _, c := range n.children {
			text := strings.TrimSpace(c.text())
			switch {
			case text == "":
			case c.name == "firmware":
				f.Images = append(f.Images, Link{text, c.at})
			case c.name == "firmware_uxm":
				f.Modules = append(f.Modules, Link{text, c.at})
			case strings.HasPrefix(c.name, "fp_fwu_"):
				f.version("", c.name, text)
			case strings.HasPrefix(c.name, "pp_fwu_"):
				f.version(c.get("type"), c.name, text)
			}
		}
	case "uploads":
		r.uploads(n)
	case "certificates":
		r.certificates(n)
	case "phrases", "w_phrases":
		r.phrases(n)
	case "ReplacementPlan":
		f.Plans = append(f.Plans, Plan{n.whole(), n.at})
	default:
		return r.fail(n.at, fmt.Errorf("no phone knows the element <%s>", n.name))
	}
	return nil
}

func (r *reader) phoneSettings(n *node) error {
	r.list(n, "e")
	type id struct{ name, idx string }
	var said map[id]Place
	if r.strict {
		said = make(map[id]Place, len(n.children))
	}
	missing, firstMissing := 0, Place{}
	r.file.Settings = slices.Grow(r.file.Settings, len(n.children))
	for _, c := range n.children {
		s := Setting{Name: c.name, Value: c.value(), Perm: c.get("perm"), Markup: len(c.children) > 0, At: c.at}
		if _, ok := c.attr("perm"); !ok {
			if missing == 0 {
				firstMissing = c.at
			}
			missing++
		} else if !knownPerm(s.Perm) {
			r.odd(c.at, "%s has the perm %q, which is no flag", c.name, s.Perm)
		}
		r.attributes(c, "perm", "idx")
		if idx, ok := c.attr("idx"); ok {
			i, err := strconv.Atoi(idx)
			if err != nil {
				return r.fail(c.at, fmt.Errorf("the setting %s has the idx %q, which is no number", c.name, idx))
			}
			s.Index = &i
		}
		if r.strict {
			this := id{c.name, c.get("idx")}
			if first, ok := said[this]; ok {
				r.odd(c.at, "%s is set a second time, as in line %d: the last one stays", s.describe(), first.Line)
			}
			said[this] = c.at
		}
		r.file.Settings = append(r.file.Settings, s)
	}
	switch missing {
	case 0:
	case 1:
		r.note(firstMissing, "one setting has no perm, which no document of the maker explains")
	default:
		r.note(firstMissing, "%d settings have no perm, which no document of the maker explains", missing)
	}
	return nil
}

func (s Setting) describe() string {
	if s.Index == nil {
		return s.Name
	}
	return fmt.Sprintf("%s with idx %d", s.Name, *s.Index)
}

func (r *reader) functionKeys(n *node) error {
	r.list(n, "e")
	said := map[int]Place{}
	for _, c := range n.children {
		if c.name != "fkey" {
			r.note(c.at, "<%s> holds <%s>, which is no <fkey>", n.name, c.name)
			continue
		}
		r.mixed(c) // any attribute: firmware has more of them with each version
		i, err := strconv.Atoi(c.get("idx"))
		if err != nil {
			return r.fail(c.at, fmt.Errorf("a function key has the idx %q, which is no number", c.get("idx")))
		}
		if r.strict {
			if first, ok := said[i]; ok {
				r.odd(c.at, "key %d is set a second time, as in line %d: the last one stays", i, first.Line)
			}
			said[i] = c.at
			if !knownPerm(c.get("perm")) {
				r.odd(c.at, "key %d has the perm %q, which is no flag", i, c.get("perm"))
			}
			if i < 0 {
				r.odd(c.at, "key %d: they are counted from 0", i)
			}
		}
		r.file.Keys = append(r.file.Keys, Key{
			Index: i, Context: c.get("context"), Label: c.get("label"), ShortLabel: c.get("short_label"),
			DefaultText: c.get("default_text"), LongPress: c.get("lp"), Perm: c.get("perm"), Value: c.value(),
			More: c.moreAttributes(), Markup: len(c.children) > 0, At: c.at,
		})
	}
	return nil
}

// keyAttributes are those that a Key has fields for, and clp, which says no more
// than that lp counts.
var keyAttributes = []string{"idx", "context", "label", "short_label", "default_text", "lp", "clp", "perm"}

// Attributes gives those of More: names and values, in the order of the names.
func (k Key) Attributes() [][2]string {
	var element struct {
		Attrs []xml.Attr `xml:",any,attr"`
	}
	if err := xml.Unmarshal([]byte("<key"+k.More+"/>"), &element); err != nil {
		return nil // made by hand
	}
	list := make([][2]string, len(element.Attrs))
	for i, a := range element.Attrs {
		list[i] = [2]string{a.Name.Local, a.Value}
	}
	return list
}

// moreAttributes gives all others, which firmware has more of with each version:
// ringer, icon_type, label_mode.
func (n *node) moreAttributes() string {
	return n.written(func(name string) bool { return !slices.Contains(keyAttributes, name) })
}

func (r *reader) uploads(n *node) {
	r.list(n)
	for _, c := range n.children {
		r.attributes(c, "url", "type")
		u := Upload{Type: c.get("type"), URL: strings.TrimSpace(c.get("url")), At: c.at}
		if c.name != "file" || u.Type == "" || u.URL == "" {
			r.note(c.at, "<uploads> holds <%s>, which is no <file url=… type=…>", c.name)
			continue
		}
		r.file.Uploads = append(r.file.Uploads, u)
	}
}

func (r *reader) certificates(n *node) {
	r.list(n)
	for _, c := range n.children {
		r.attributes(c, "url", "type")
		certificate := Certificate{URL: strings.TrimSpace(c.get("url")), At: c.at}
		if c.get("type") == "base64" {
			certificate.Base64 = strings.Join(strings.Fields(c.text()), "")
		}
		if c.name != "certificate" || certificate.URL == "" && certificate.Base64 == "" {
			r.note(c.at, "<certificates> holds <%s>, which is neither a link to a certificate nor one in base64", c.name)
			continue
		}
		r.file.Certificates = append(r.file.Certificates, certificate)
	}
}

func (r *reader) phoneBook(n *node) {
	r.list(n, "e", "complete", "version")
	r.file.ReplaceBook = n.get("complete") == "true"
	if n.get("version") == "2.0" {
		r.file.BookVersion = "2.0"
	}
	for _, c := range n.children {
		contact := Contact{
			Index: c.get("index"), Context: c.get("context"), Type: c.get("type"),
			Name: c.child("name"), FirstName: c.child("first_name"), LastName: c.child("last_name"), At: c.at,
		}
		switch c.name {
		case "item":
			r.attributes(c, "index", "context", "type")
			contact.Numbers = []Number{{Number: c.child("number"), Type: c.child("number_type")}}
		case "contact": // version 2.0
			r.attributes(c, "index", "context", "type", "fav", "vip", "blocked")
			contact.Favourite = c.get("fav") == "true"
			switch {
			case contact.Type != "":
			case c.get("blocked") == "true":
				contact.Type = "deny"
			case c.get("vip") == "true":
				contact.Type = "vip"
			default:
				contact.Type = c.child("group")
			}
			for _, list := range c.children {
				for _, e := range list.children {
					if list.name == "numbers" && e.name == "number" {
						r.attributes(e, "no", "type", "outgoing_id")
						number := Number{Number: e.get("no"), Type: e.get("type")}
						if id := e.get("outgoing_id"); id != "" && id != "0" {
							number.Context = "line" + id
						}
						contact.Numbers = append(contact.Numbers, number)
					}
				}
			}
		default:
			r.note(c.at, "<%s> holds <%s>, which is no entry", n.name, c.name)
			continue
		}
		numbered := false
		for _, part := range c.children {
			switch part.name {
			case "name", "first_name", "last_name", "number_type", "numbers", "group":
			case "number":
				numbered = true
			default:
				r.odd(part.at, "an entry of the phone book holds <%s>, which is not read", part.name)
			}
		}
		if c.name == "contact" && len(contact.Numbers) == 0 || c.name == "item" && !numbered {
			r.odd(c.at, "an entry of the phone book has no number")
		}
		r.file.Contacts = append(r.file.Contacts, contact)
	}
}

func (r *reader) dialplan(n *node) {
	r.list(n, "e")
	r.file.Dialplan = []Template{}
	for _, c := range n.children {
		t := Template{At: c.at}
		match := false
		// The maker's pages of V7 have <template match=… timeout=… scheme="sip">.
		for _, a := range c.attrs {
			switch strings.ToLower(a.Name.Local) {
			case "match":
				t.Match, match = a.Value, true
			case "timeout":
				t.Timeout = a.Value
			case "user":
				t.User = a.Value
			case "rewrite":
				t.Rewrite = a.Value
			}
		}
		if !strings.EqualFold(c.name, "TEMPLATE") || !match {
			r.note(c.at, "<dialplan> holds <%s>, which is no <TEMPLATE MATCH=…>", c.name)
			continue
		}
		if c.name == "template" {
			if scheme := c.get("scheme"); scheme != "" && scheme != "sip" {
				r.odd(c.at, "the scheme %q of a template is not read", scheme)
			}
		} else {
			r.attributes(c, "MATCH", "Timeout", "User", "Rewrite")
		}
		if _, err := strconv.ParseUint(t.Timeout, 10, 16); err != nil && t.Timeout != "" {
			r.odd(c.at, "the Timeout %q of a template is no number of seconds", t.Timeout)
		}
		r.file.Dialplan = append(r.file.Dialplan, t)
	}
}

func (r *reader) languages(n *node, what string) {
	r.list(n)
	for _, c := range n.children {
		if c.name != "language" || c.get("url") == "" || c.get("name") == "" {
			r.note(c.at, "<%s> holds <%s>, which is no <language url=… name=…>", n.name, c.name)
			continue
		}
		r.attributes(c, "url", "name")
		r.file.Languages = append(r.file.Languages, Language{For: what, Name: c.get("name"), URL: c.get("url"), At: c.at})
	}
}

// phrases reads a language file: <phrase n="NAME" t="TEXT"/>, and <language>
// with the language's own name.
func (r *reader) phrases(n *node) {
	r.list(n)
	for _, c := range n.children {
		if c.name == "language" {
			continue
		}
		if c.name != "phrase" || c.get("n") == "" {
			r.note(c.at, "<%s> holds <%s>, which is no <phrase n=… t=…>", n.name, c.name)
			continue
		}
		r.attributes(c, "i", "n", "t")
		r.file.Phrases = append(r.file.Phrases, Phrase{Name: c.get("n"), Text: c.get("t"), At: c.at})
	}
}

// version notes half of a version.
func (f *File) version(handset, tag, text string) {
	i := slices.IndexFunc(f.Versions, func(v Version) bool { return v.Handset == handset })
	if i < 0 {
		i = len(f.Versions)
		f.Versions = append(f.Versions, Version{Handset: handset})
	}
	if strings.HasSuffix(tag, "_branch_version") {
		f.Versions[i].Branch = text
	} else {
		f.Versions[i].Software = text
	}
}
