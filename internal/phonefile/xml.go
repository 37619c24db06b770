package phonefile

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxDepth = 32 // nested elements

// node is an element. inner is what stands between its tags, as written.
type node struct {
	name     string
	line     int // of its start tag
	attrs    map[string]string
	children []*node
	chars    []byte
	inner    []byte
}

// CheckXML reports whether body is XML as phones read it, and whether there is
// an element in it, or comments alone.
func CheckXML(body []byte) (element bool, err error) {
	r := reader{}
	root, err := r.tree(bytes.TrimPrefix(body, []byte("\ufeff")), 1)
	return root != nil, err
}

var declaredLatin1 = regexp.MustCompile(`(?i)^(\s*<\?xml[^>]*encoding\s*=\s*["'])(?:iso-8859-1|latin1|us-ascii)(["'])`)

// utf8Of makes UTF-8 of a document that is declared to be ISO-8859-1, as many
// old ones are.
func utf8Of(body []byte) []byte {
	if !declaredLatin1.Match(body) {
		return body
	}
	return declaredLatin1.ReplaceAll(latin1(body), []byte("${1}utf-8${2}"))
}

// tree builds the tree of a document that begins in the given line, nil where
// it holds comments alone. It is stricter than encoding/xml: one root, nothing
// but blanks around it, no attribute twice.
func (r *reader) tree(body []byte, first int) (*node, error) {
	body = utf8Of(body)
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *node
	var open []*node
	var begins []int64
	for {
		line, _ := d.InputPos() // behind the token before, so where this one begins
		line += first - 1
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				syntax.Line += first - 1
				line = syntax.Line
			}
			return nil, r.fail(line, fmt.Errorf("malformed XML: %w", err))
		}
		switch t := token.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local, line: line, attrs: map[string]string{}}
			for _, a := range t.Attr {
				if _, twice := n.attrs[a.Name.Local]; twice {
					return nil, r.fail(line, fmt.Errorf("malformed XML: <%s> has the attribute %s twice", n.name, a.Name.Local))
				}
				n.attrs[a.Name.Local] = a.Value
			}
			switch {
			case len(open) >= maxDepth:
				return nil, r.fail(line, fmt.Errorf("elements nested deeper than %d", maxDepth))
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, r.fail(line, fmt.Errorf("malformed XML: a second root element <%s>", n.name))
			default:
				root = n
			}
			open, begins = append(open, n), append(begins, d.InputOffset())
		case xml.EndElement:
			n := open[len(open)-1]
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
				return nil, r.fail(line, errors.New("malformed XML: text outside the root element"))
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				r.odd(line, "<?%s … ?> says nothing to a phone", t.Target)
			} else if bytes.Contains(body[:d.InputOffset()], []byte("<!--")) {
				r.odd(line, "the XML declaration does not stand at the beginning")
			}
		}
	}
	if len(open) > 0 {
		n := open[len(open)-1]
		return nil, r.fail(n.line, fmt.Errorf("malformed XML: <%s> is not closed", n.name))
	}
	return root, nil
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
	var b strings.Builder
	b.WriteString("<" + n.name)
	for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
		b.WriteString(" " + name + `="`)
		_ = xml.EscapeText(&b, []byte(n.attrs[name])) // a strings.Builder refuses nothing
		b.WriteByte('"')
	}
	return b.String() + ">" + string(n.inner) + "</" + n.name + ">"
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

// attributes minds those of n that are not known, and what stands between its
// children.
func (r *reader) attributes(n *node, known ...string) {
	if !r.strict {
		return
	}
	for name := range n.attrs {
		if !slices.Contains(known, name) {
			r.odd(n.line, "<%s> has the attribute %s, which is not read", n.name, name)
		}
	}
	if len(n.children) > 0 && len(bytes.TrimSpace(n.chars)) > 0 {
		r.odd(n.line, "<%s> has text between its elements", n.name)
	}
}

// list minds what is odd in an element that holds others alone.
func (r *reader) list(n *node, known ...string) {
	r.attributes(n, known...)
	if r.strict && len(n.children) == 0 && len(bytes.TrimSpace(n.chars)) > 0 {
		r.odd(n.line, "<%s> has text instead of elements", n.name)
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
			if u := strings.TrimSpace(c.attrs["url"]); c.name == "file" && u != "" {
				f.Links = append(f.Links, Link{u, r.at(c.line)})
			} else {
				r.note(c.line, "<setting-files> holds <%s> with no url", c.name)
			}
		}
	case "firmware-settings":
		r.list(n)
		for _, c := range n.children {
			text := strings.TrimSpace(c.text())
			switch {
			case text == "":
			case c.name == "firmware":
				f.Images = append(f.Images, Link{text, r.at(c.line)})
			case c.name == "firmware_uxm":
				f.Modules = append(f.Modules, Link{text, r.at(c.line)})
			case strings.HasPrefix(c.name, "fp_fwu_"):
				f.version("", c.name, text)
			case strings.HasPrefix(c.name, "pp_fwu_"):
				f.version(c.attrs["type"], c.name, text)
			}
		}
	case "uploads":
		r.uploads(n)
	case "certificates":
		r.certificates(n)
	case "phrases", "w_phrases":
		r.phrases(n)
	case "ReplacementPlan":
		f.Plans = append(f.Plans, Plan{n.whole(), r.at(n.line)})
	default:
		return r.fail(n.line, fmt.Errorf("no phone knows the element <%s>", n.name))
	}
	return nil
}

func (r *reader) phoneSettings(n *node) error {
	r.list(n, "e")
	type id struct{ name, idx string }
	said := map[id]int{}
	missing, firstMissing := 0, 0
	for _, c := range n.children {
		s := Setting{Name: c.name, Value: c.value(), Perm: c.attrs["perm"], Markup: len(c.children) > 0, At: r.at(c.line)}
		if _, ok := c.attrs["perm"]; !ok {
			if missing == 0 {
				firstMissing = c.line
			}
			missing++
		} else if !knownPerm(s.Perm) {
			r.odd(c.line, "%s has the perm %q, which is no flag", c.name, s.Perm)
		}
		r.attributes(c, "perm", "idx")
		if idx, ok := c.attrs["idx"]; ok {
			i, err := strconv.Atoi(idx)
			if err != nil {
				return r.fail(c.line, fmt.Errorf("the setting %s has the idx %q, which is no number", c.name, idx))
			}
			s.Index = &i
		}
		if r.strict {
			this := id{c.name, c.attrs["idx"]}
			if line, ok := said[this]; ok {
				r.odd(c.line, "%s is set a second time, as in line %d: the last one stays", s.describe(), line)
			}
			said[this] = c.line
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
	said := map[int]int{}
	for _, c := range n.children {
		if c.name != "fkey" {
			r.note(c.line, "<%s> holds <%s>, which is no <fkey>", n.name, c.name)
			continue
		}
		r.attributes(c, slices.Collect(maps.Keys(c.attrs))...)
		i, err := strconv.Atoi(c.attrs["idx"])
		if err != nil {
			return r.fail(c.line, fmt.Errorf("a function key has the idx %q, which is no number", c.attrs["idx"]))
		}
		if r.strict {
			if line, ok := said[i]; ok {
				r.odd(c.line, "key %d is set a second time, as in line %d: the last one stays", i, line)
			}
			said[i] = c.line
			if !knownPerm(c.attrs["perm"]) {
				r.odd(c.line, "key %d has the perm %q, which is no flag", i, c.attrs["perm"])
			}
			if i < 0 {
				r.odd(c.line, "key %d: they are counted from 0", i)
			}
		}
		r.file.Keys = append(r.file.Keys, Key{
			Index: i, Context: c.attrs["context"], Label: c.attrs["label"], ShortLabel: c.attrs["short_label"],
			DefaultText: c.attrs["default_text"], LongPress: c.attrs["lp"], Perm: c.attrs["perm"], Value: c.value(),
			More: c.moreAttributes(), Markup: len(c.children) > 0, At: r.at(c.line),
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
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
		if !slices.Contains(keyAttributes, name) {
			b.WriteString(" " + name + `="`)
			_ = xml.EscapeText(&b, []byte(n.attrs[name])) // a strings.Builder refuses nothing
			b.WriteByte('"')
		}
	}
	return b.String()
}

func (r *reader) uploads(n *node) {
	r.list(n)
	for _, c := range n.children {
		r.attributes(c, "url", "type")
		u := Upload{Type: c.attrs["type"], URL: strings.TrimSpace(c.attrs["url"]), At: r.at(c.line)}
		if c.name != "file" || u.Type == "" || u.URL == "" {
			r.note(c.line, "<uploads> holds <%s>, which is no <file url=… type=…>", c.name)
			continue
		}
		r.file.Uploads = append(r.file.Uploads, u)
	}
}

func (r *reader) certificates(n *node) {
	r.list(n)
	for _, c := range n.children {
		r.attributes(c, "url", "type")
		certificate := Certificate{URL: strings.TrimSpace(c.attrs["url"]), At: r.at(c.line)}
		if c.attrs["type"] == "base64" {
			certificate.Base64 = strings.Join(strings.Fields(c.text()), "")
		}
		if c.name != "certificate" || certificate.URL == "" && certificate.Base64 == "" {
			r.note(c.line, "<certificates> holds <%s>, which is neither a link to a certificate nor one in base64", c.name)
			continue
		}
		r.file.Certificates = append(r.file.Certificates, certificate)
	}
}

func (r *reader) phoneBook(n *node) {
	r.list(n, "e", "complete", "version")
	r.file.ReplaceBook = n.attrs["complete"] == "true"
	if n.attrs["version"] == "2.0" {
		r.file.BookVersion = "2.0"
	}
	for _, c := range n.children {
		contact := Contact{
			Index: c.attrs["index"], Context: c.attrs["context"], Type: c.attrs["type"],
			Name: c.child("name"), FirstName: c.child("first_name"), LastName: c.child("last_name"), At: r.at(c.line),
		}
		switch c.name {
		case "item":
			r.attributes(c, "index", "context", "type")
			contact.Numbers = []Number{{Number: c.child("number"), Type: c.child("number_type")}}
		case "contact": // version 2.0
			r.attributes(c, "index", "context", "type", "fav", "vip", "blocked")
			contact.Favourite = c.attrs["fav"] == "true"
			switch {
			case contact.Type != "":
			case c.attrs["blocked"] == "true":
				contact.Type = "deny"
			case c.attrs["vip"] == "true":
				contact.Type = "vip"
			default:
				contact.Type = c.child("group")
			}
			for _, list := range c.children {
				for _, e := range list.children {
					if list.name == "numbers" && e.name == "number" {
						r.attributes(e, "no", "type", "outgoing_id")
						number := Number{Number: e.attrs["no"], Type: e.attrs["type"]}
						if id := e.attrs["outgoing_id"]; id != "" && id != "0" {
							number.Context = "line" + id
						}
						contact.Numbers = append(contact.Numbers, number)
					}
				}
			}
		default:
			r.note(c.line, "<%s> holds <%s>, which is no entry", n.name, c.name)
			continue
		}
		numbered := false
		for _, part := range c.children {
			switch part.name {
			case "name", "first_name", "last_name", "number_type", "numbers", "group":
			case "number":
				numbered = true
			default:
				r.odd(part.line, "an entry of the phone book holds <%s>, which is not read", part.name)
			}
		}
		if c.name == "contact" && len(contact.Numbers) == 0 || c.name == "item" && !numbered {
			r.odd(c.line, "an entry of the phone book has no number")
		}
		r.file.Contacts = append(r.file.Contacts, contact)
	}
}

func (r *reader) dialplan(n *node) {
	r.list(n, "e")
	r.file.Dialplan = []Template{}
	for _, c := range n.children {
		t := Template{At: r.at(c.line)}
		match := false
		// The maker's pages of V7 have <template match=… timeout=… scheme="sip">.
		for name, value := range c.attrs {
			switch strings.ToLower(name) {
			case "match":
				t.Match, match = value, true
			case "timeout":
				t.Timeout = value
			case "user":
				t.User = value
			case "rewrite":
				t.Rewrite = value
			}
		}
		if !strings.EqualFold(c.name, "TEMPLATE") || !match {
			r.note(c.line, "<dialplan> holds <%s>, which is no <TEMPLATE MATCH=…>", c.name)
			continue
		}
		if c.name == "template" {
			if scheme := c.attrs["scheme"]; scheme != "" && scheme != "sip" {
				r.odd(c.line, "the scheme %q of a template is not read", scheme)
			}
		} else {
			r.attributes(c, "MATCH", "Timeout", "User", "Rewrite")
		}
		if _, err := strconv.ParseUint(t.Timeout, 10, 16); err != nil && t.Timeout != "" {
			r.odd(c.line, "the Timeout %q of a template is no number of seconds", t.Timeout)
		}
		r.file.Dialplan = append(r.file.Dialplan, t)
	}
}

func (r *reader) languages(n *node, what string) {
	r.list(n)
	for _, c := range n.children {
		if c.name != "language" || c.attrs["url"] == "" || c.attrs["name"] == "" {
			r.note(c.line, "<%s> holds <%s>, which is no <language url=… name=…>", n.name, c.name)
			continue
		}
		r.attributes(c, "url", "name")
		r.file.Languages = append(r.file.Languages, Language{For: what, Name: c.attrs["name"], URL: c.attrs["url"], At: r.at(c.line)})
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
		if c.name != "phrase" || c.attrs["n"] == "" {
			r.note(c.line, "<%s> holds <%s>, which is no <phrase n=… t=…>", n.name, c.name)
			continue
		}
		r.attributes(c, "i", "n", "t")
		r.file.Phrases = append(r.file.Phrases, Phrase{Name: c.attrs["n"], Text: c.attrs["t"], At: r.at(c.line)})
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
