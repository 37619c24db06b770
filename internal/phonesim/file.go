package phonesim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
	Links     []string // of <setting-files>, in order
	Images    []string // URLs of <firmware>
	Notes     []string
	// ReplaceBook: Contacts are the whole phone book.
	ReplaceBook bool
}

// summary counts what is in a file, for a person: no value is shown.
func (f File) summary() string {
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
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

const (
	maxDepth = 32        // nested elements
	maxFile  = 4 << 20   // bytes of a settings file
	maxImage = 512 << 20 // bytes of a firmware image
)

// ReadFile reads a settings file: XML with one of the root elements that
// phones know, or the plain text format of V3 to V6. Malformed XML, or an
// unknown root element, is an error: a phone drops the whole file.
func ReadFile(body []byte) (File, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch {
	case len(body) == 0:
		return File{}, nil
	case isText(body):
		return readText(body), nil
	}
	root, err := readXML(body)
	if err != nil {
		return File{}, err
	}
	if root == nil { // comments alone: "nothing for you"
		return File{}, nil
	}
	f := File{Root: root.name}
	switch root.name {
	case "settings":
		for _, c := range root.children {
			if err := f.part(c); err != nil {
				return File{}, err
			}
		}
	default:
		if err := f.part(root); err != nil {
			return File{}, err
		}
	}
	return f, nil
}

var textStart = regexp.MustCompile(`(?i)^(?:<html>|<pre>|[^<])`)

func isText(body []byte) bool { return textStart.Match(body) }

// node is an element. inner is what stands between its tags, as written.
type node struct {
	name     string
	attrs    map[string]string
	children []*node
	chars    []byte
	inner    []byte
}

// readXML builds the tree of a document, nil where it holds comments alone.
// It is stricter than encoding/xml: one root, nothing but blanks around it,
// no attribute twice.
func readXML(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *node
	var open []*node
	var begins []int64
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("malformed XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				if _, twice := n.attrs[a.Name.Local]; twice {
					return nil, fmt.Errorf("malformed XML: <%s> has the attribute %s twice", n.name, a.Name.Local)
				}
				n.attrs[a.Name.Local] = a.Value
			}
			switch {
			case len(open) >= maxDepth:
				return nil, fmt.Errorf("elements nested deeper than %d", maxDepth)
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, fmt.Errorf("malformed XML: a second root element <%s>", n.name)
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
				return nil, errors.New("malformed XML: text outside the root element")
			}
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("malformed XML: <%s> is not closed", open[len(open)-1].name)
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

func (f *File) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// part reads one of the elements that may be a root or a child of <settings>.
func (f *File) part(n *node) error {
	switch n.name {
	case "phone-settings":
		return f.phoneSettings(n)
	case "functionKeys", "function-keys":
		return f.functionKeys(n)
	case "tbook", "phone-book":
		f.phoneBook(n)
	case "dialplan":
		f.dialplan(n)
	case "gui-languages", "web-languages":
		f.languages(n, strings.TrimSuffix(n.name, "-languages"))
	case "setting-files":
		for _, c := range n.children {
			if u := strings.TrimSpace(c.attrs["url"]); c.name == "file" && u != "" {
				f.Links = append(f.Links, u)
			} else {
				f.note("<setting-files> holds <%s> with no url", c.name)
			}
		}
	case "firmware-settings":
		for _, c := range n.children {
			if u := strings.TrimSpace(c.text()); c.name == "firmware" && u != "" {
				f.Images = append(f.Images, u)
			}
		}
	case "ReplacementPlan", "uploads", "certificates", "phrases", "w_phrases":
		f.note("<%s> is left as it is: nothing here simulates it", n.name)
	default:
		return fmt.Errorf("no phone knows the element <%s>", n.name)
	}
	return nil
}

func (f *File) phoneSettings(n *node) error {
	missing := 0
	for _, c := range n.children {
		s := Setting{Name: c.name, Value: c.value(), Perm: c.attrs["perm"]}
		if _, ok := c.attrs["perm"]; !ok {
			missing++
		}
		if idx, ok := c.attrs["idx"]; ok {
			i, err := strconv.Atoi(idx)
			if err != nil {
				return fmt.Errorf("the setting %s has the idx %q, which is no number", c.name, idx)
			}
			s.Index = &i
		}
		f.Settings = append(f.Settings, s)
	}
	if missing > 0 {
		f.note("%d settings have no perm, which no document of the maker explains", missing)
	}
	return nil
}

func (f *File) functionKeys(n *node) error {
	for _, c := range n.children {
		if c.name != "fkey" {
			f.note("<%s> holds <%s>, which is no <fkey>", n.name, c.name)
			continue
		}
		i, err := strconv.Atoi(c.attrs["idx"])
		if err != nil {
			return fmt.Errorf("a function key has the idx %q, which is no number", c.attrs["idx"])
		}
		f.Keys = append(f.Keys, Key{
			Index: i, Context: c.attrs["context"], Label: c.attrs["label"], ShortLabel: c.attrs["short_label"],
			DefaultText: c.attrs["default_text"], LongPress: c.attrs["lp"], Perm: c.attrs["perm"], Value: c.value(),
		})
	}
	return nil
}

func (f *File) phoneBook(n *node) {
	f.ReplaceBook = n.attrs["complete"] == "true"
	for _, c := range n.children {
		contact := Contact{
			Index: c.attrs["index"], Context: c.attrs["context"], Type: c.attrs["type"],
			Name: c.child("name"), FirstName: c.child("first_name"), LastName: c.child("last_name"),
		}
		switch c.name {
		case "item":
			contact.Numbers = []Number{{Number: c.child("number"), Type: c.child("number_type")}}
		case "contact": // version 2.0
			for _, list := range c.children {
				for _, e := range list.children {
					if list.name == "numbers" && e.name == "number" {
						contact.Numbers = append(contact.Numbers, Number{Number: e.attrs["no"], Type: e.attrs["type"]})
					}
				}
			}
		default:
			f.note("<%s> holds <%s>, which is no entry", n.name, c.name)
			continue
		}
		f.Contacts = append(f.Contacts, contact)
	}
}

func (f *File) dialplan(n *node) {
	f.Dialplan = []Template{}
	for _, c := range n.children {
		if c.name != "TEMPLATE" || c.attrs["MATCH"] == "" {
			f.note("<dialplan> holds <%s>, which is no <TEMPLATE MATCH=…>", c.name)
			continue
		}
		f.Dialplan = append(f.Dialplan, Template{
			Match: c.attrs["MATCH"], Timeout: c.attrs["Timeout"], User: c.attrs["User"], Rewrite: c.attrs["Rewrite"],
		})
	}
}

func (f *File) languages(n *node, what string) {
	for _, c := range n.children {
		if c.name != "language" || c.attrs["url"] == "" || c.attrs["name"] == "" {
			f.note("<%s> holds <%s>, which is no <language url=… name=…>", n.name, c.name)
			continue
		}
		f.Languages = append(f.Languages, Language{For: what, Name: c.attrs["name"], URL: c.attrs["url"]})
	}
}

var (
	textLine = regexp.MustCompile(`^([A-Za-z0-9_]+)([!$&]?):[ \t]?(.*)$`)
	textTags = regexp.MustCompile(`(?i)^(?:</?(?:html|pre|head|body)>\s*)+|(?:\s*</?(?:html|pre|head|body)>)+$`)
	// textIndexed are names whose index is glued on where XML has idx.
	textIndexed = regexp.MustCompile(`^(user_[a-z_]*[a-z_])([0-9]+)$`)
	textKey     = regexp.MustCompile(`^fkey(|_context|_label|_short_label)([0-9]{1,4})$`)
)

// readText reads the plain format: a line for each setting, its name, one
// flag, a colon and the value. Lines that begin with # or < say nothing. Keys
// and identities get the index that XML would give them; no flag is read-only.
func readText(body []byte) File {
	f := File{Root: "text"}
	if !utf8.Valid(body) {
		body = latin1(body)
	}
	body = textTags.ReplaceAll(body, nil)
	keys, odd := map[int]int{}, 0
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" || line[0] == '#' || line[0] == '<' {
			continue
		}
		m := textLine.FindStringSubmatch(line)
		if m == nil {
			odd++
			continue
		}
		name, perm, value := m[1], m[2], m[3]
		if perm == "" {
			perm = "&"
		}
		if name == "firmware" {
			f.Images = append(f.Images, strings.TrimSpace(value))
			continue
		}
		if k := textKey.FindStringSubmatch(name); k != nil {
			f.textKeyLine(keys, k[1], k[2], perm, value)
			continue
		}
		s := Setting{Name: name, Value: value, Perm: perm}
		if k := textIndexed.FindStringSubmatch(name); k != nil {
			if i, err := strconv.Atoi(k[2]); err == nil {
				s.Name, s.Index = k[1], &i
			}
		}
		f.Settings = append(f.Settings, s)
	}
	if odd > 0 {
		f.note("%d lines of text are no setting", odd)
	}
	return f
}

// textKeyLine adds one line of a function key: fkey0, fkey_context0.
func (f *File) textKeyLine(at map[int]int, field, number, perm, value string) {
	i, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	if _, known := at[i]; !known {
		at[i] = len(f.Keys)
		f.Keys = append(f.Keys, Key{Index: i})
	}
	k := &f.Keys[at[i]]
	switch field {
	case "_context":
		k.Context = value
	case "_label":
		k.Label = value
	case "_short_label":
		k.ShortLabel = value
	default:
		k.Value, k.Perm = value, perm
	}
}

// latin1 makes UTF-8 of ISO-8859-1, which old files are written in.
func latin1(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
