package migrate

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"dialtone/internal/phonefile"
)

func composed(s string) string { return norm.NFC.String(s) }

// write gives the layers as HCL, in the layout of `dialtone fmt`: profiles and
// models in one file, phones in others, as many as their size needs.
func (s *snom) write(dir string) []SnomText {
	s.plans = nil
	var body hclWriter
	if !s.base.empty() {
		body.open("profile", "base")
		var lines attributes
		lines.add("default", "true")
		s.writeLayer(&body, lines, s.base, snomOwner{general: true})
		body.shut()
	}
	for _, g := range s.groups {
		if g.model == "" || g.layer.empty() {
			continue
		}
		body.open("model", g.model)
		s.writeLayer(&body, nil, g.layer, snomOwner{general: true})
		body.shut()
	}
	for _, shared := range s.shared {
		body.open("profile", shared.name)
		s.writeLayer(&body, nil, shared.layer, snomOwner{name: shared.name})
		body.shut()
	}
	head := []byte(fmt.Sprintf("# Made from %s.\n", plain(dir)))
	var files []SnomText
	if body.Len() > 0 {
		if body.Len() > maxHCL-maxText {
			s.problem(phonefile.Place{File: "profiles.hcl"}, "the text is larger than the %d KiB that a file may have: split it", maxHCL>>10)
		}
		files = append(files, SnomText{"profiles.hcl", slices.Concat(head, []byte("\n"), body.Bytes())})
		s.placed("profiles.hcl", 2, body.items)
	}
	var chunk bytes.Buffer
	number := 0
	var items []written
	flush := func() {
		if chunk.Len() == 0 {
			return
		}
		number++
		name := "phones.hcl"
		if number > 1 {
			name = fmt.Sprintf("phones-%d.hcl", number)
		}
		files = append(files, SnomText{name, slices.Concat(head, bytes.Clone(chunk.Bytes()))})
		s.placed(name, 1, items)
		chunk.Reset()
		items = nil
	}
	for _, p := range s.phones {
		var one hclWriter
		s.writePhone(&one, p)
		if chunk.Len()+one.Len() > maxHCL-maxText {
			flush()
		}
		chunk.WriteByte('\n')
		above := bytes.Count(chunk.Bytes(), []byte("\n"))
		for _, i := range one.items {
			items = append(items, written{i.first + above, i.last + above, i.item})
		}
		chunk.Write(one.Bytes())
	}
	flush()
	return append(files, s.plans...)
}

// placed remembers where the items of a file stand, below the lines above them.
func (s *snom) placed(name string, above int, items []written) {
	for _, i := range items {
		s.items[name] = append(s.items[name], written{i.first + above, i.last + above, i.item})
	}
}

// snomOwner is whose layer is written.
type snomOwner struct {
	general bool
	name    string // for the names of its secrets
	phone   *snomPhone
}

func (s *snom) writePhone(w *hclWriter, p *snomPhone) {
	w.open("phone", p.mac.String())
	var lines attributes
	if p.name != "" {
		lines.add("name", quote(p.name))
	}
	if p.group.model != "" {
		lines.add("model", quote(p.group.model))
	}
	if p.redirect != "" {
		lines.add("redirect", quote(p.redirect))
	} else if p.group.shared != nil {
		lines.add("profile", quote(p.group.shared.name))
	}
	s.writeLayer(w, lines, p.layer, snomOwner{name: p.mac.Hex(), phone: p})
	w.shut()
}

// writeLayer writes what a block says, behind the given attributes of it.
func (s *snom) writeLayer(w *hclWriter, lines attributes, l snomLayer, owner snomOwner) {
	if l.firmware != "" {
		lines.add("firmware", quote(l.firmware))
	}
	if l.newBook {
		lines.add("spelling", `{ tbook_version = "2.0" }`)
	}
	w.attributes(lines)
	for _, m := range l.modules {
		w.open("module", m.name)
		w.attributes(attributesOf("firmware", quote(m.firmware)))
		w.shut()
	}
	identities, rest := ofIdentities(l.settings)
	s.writeSettings(w, rest, owner)
	s.writeLanguages(w, l.languages)
	for _, list := range identities {
		s.writeIdentity(w, list, owner)
	}
	for _, k := range l.keys {
		first := w.line()
		i := item{k.At, fmt.Sprintf("key %d", k.Index)}
		writeKey(w, k, s.raw[i] || isBare(k.Value))
		w.wrote(first, i)
	}
	if len(l.contacts) > 0 {
		w.open("phonebook")
		for _, c := range l.contacts {
			first := w.line()
			writeContact(w, c)
			w.wrote(first, item{c.At, fmt.Sprintf("the contact %q", c.Name)})
		}
		w.shut()
	}
	for _, u := range l.uploads {
		first := w.line()
		w.open("upload", u.Type)
		w.attributes(attributesOf("url", quote(u.URL)))
		w.shut()
		w.wrote(first, uploadItem(u))
	}
	for i, c := range l.certificates {
		first := w.line()
		w.open("certificate", fmt.Sprintf("imported %d", i+1))
		if c.Base64 != "" {
			w.attributes(attributesOf("pem", quote("-----BEGIN CERTIFICATE-----\n"+c.Base64+"\n-----END CERTIFICATE-----\n")))
		} else {
			w.attributes(attributesOf("url", quote(c.URL)))
		}
		w.shut()
		w.wrote(first, certificateItem(c))
	}
	for i, p := range l.plans {
		name := "replacement-plan.xml"
		if i > 0 {
			name = fmt.Sprintf("replacement-plan-%d.xml", i+1)
		}
		w.open("document", name)
		w.attributes(attributesOf("file", quote(s.planFile(p))))
		w.shut()
	}
	if len(l.templates) > 0 {
		w.open("dialplan")
		for _, t := range l.templates {
			first := w.line()
			writeTemplate(w, t)
			w.wrote(first, item{t.At, fmt.Sprintf("the template %q", t.Match)})
		}
		w.shut()
	}
}

// planFile keeps a plan in a file, and names that.
func (s *snom) planFile(p phonefile.Plan) string {
	text := []byte(`<?xml version="1.0" encoding="utf-8"?>` + "\n" + p.XML + "\n")
	for _, f := range s.plans {
		if bytes.Equal(f.Text, text) {
			return f.Name
		}
	}
	name := fmt.Sprintf("replacement-plan-%d.xml", len(s.plans)+1)
	s.plans = append(s.plans, SnomText{name, text})
	return name
}

func attributesOf(name, expression string) attributes {
	var lines attributes
	lines.add(name, expression)
	return lines
}

// isBare reports whether a key watches or calls an extension alone, which our
// words would complete.
func isBare(value string) bool {
	kind, number, _ := strings.Cut(value, " ")
	number, _, _ = strings.Cut(number, "|")
	return slices.Contains([]string{"blf", "dest", "presence"}, kind) && !strings.ContainsAny(number, ":@<>; ")
}

var ofIdentity = regexp.MustCompile(`^(user_|codec|keepalive_interval$|stun_server$|record_|hide_identity$|fwd_|dnd_mode$)`)

const maxIdentity = 1000

// ofIdentities parts the settings of identities, each identity's together, from
// the others.
func ofIdentities(settings []phonefile.Setting) (identities [][]phonefile.Setting, rest []phonefile.Setting) {
	at := map[int]int{}
	for _, v := range settings {
		if v.Index == nil || *v.Index < 1 || *v.Index > maxIdentity || !ofIdentity.MatchString(v.Name) {
			rest = append(rest, v)
			continue
		}
		i, ok := at[*v.Index]
		if !ok {
			i = len(identities)
			at[*v.Index] = i
			identities = append(identities, nil)
		}
		identities[i] = append(identities[i], v)
	}
	slices.SortFunc(identities, func(a, b []phonefile.Setting) int { return cmp.Compare(*a[0].Index, *b[0].Index) })
	return identities, rest
}

// writeSettings writes a settings block. Of a setting with idx all values are
// one list; where it has one without besides, that takes a block of its own.
func (s *snom) writeSettings(w *hclWriter, settings []phonefile.Setting, owner snomOwner) {
	var lines, more settingLines
	for i := 0; i < len(settings); {
		name := settings[i].Name
		var list []phonefile.Setting
		both := false
		for ; i < len(settings) && settings[i].Name == name; i++ {
			if settings[i].Index == nil {
				lines.add(name, s.expression(settings[i], owner, false), settings[i])
				both = true
				continue
			}
			list = append(list, settings[i])
		}
		switch {
		case len(list) == 0:
		case both:
			more.add(name, s.list(list, owner), list...)
		default:
			lines.add(name, s.list(list, owner), list...)
		}
	}
	for _, block := range []settingLines{lines, more} {
		if len(block.of) > 0 {
			w.open("settings")
			block.write(w)
			w.shut()
		}
	}
}

// settingLines are arguments, with the settings that each says.
type settingLines struct {
	attributes
	of [][]phonefile.Setting
}

func (l *settingLines) add(name, expression string, of ...phonefile.Setting) {
	l.attributes.add(name, expression)
	l.of = append(l.of, of)
}

func (l settingLines) write(w *hclWriter) {
	line := w.line()
	w.attributes(l.attributes)
	for i, list := range l.of {
		for _, v := range list {
			w.items = append(w.items, written{line + i, line + i, item{v.At, describe(v)}})
		}
	}
}

// list writes the values of a setting with idx.
func (s *snom) list(list []phonefile.Setting, owner snomOwner) string {
	counted := true
	for i, v := range list {
		counted = counted && *v.Index == i+1
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = s.expression(v, owner, !counted)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

var number = regexp.MustCompile(`^(0|[1-9][0-9]{0,14})$`)

// expression writes the value of a setting, with its flag and, where it is
// asked for, its idx.
func (s *snom) expression(v phonefile.Setting, owner snomOwner, idx bool) string {
	text := ""
	switch {
	case v.Markup:
		text = quote(v.Value)
	case secretName.MatchString(v.Name) && v.Value != "" && !owner.general:
		text = s.secret(v, owner)
	case v.Value == "on":
		text = "true"
	case v.Value == "off":
		text = "false"
	case number.MatchString(v.Value):
		text = v.Value
	default:
		text = quote(v.Value)
	}
	return withParts(text, v, idx)
}

func withParts(text string, v phonefile.Setting, idx bool) string {
	if idx {
		text += fmt.Sprintf(", idx = %d", *v.Index)
	}
	if v.Perm != "" {
		text += ", perm = " + quote(v.Perm)
	}
	switch {
	case v.Markup:
		return "{ xml = " + text + " }"
	case idx || v.Perm != "":
		return "{ value = " + text + " }"
	}
	return text
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// secret puts a password into a file of its own, and gives the call that reads
// it.
func (s *snom) secret(v phonefile.Setting, owner snomOwner) string {
	if s.options.InPlace || strings.TrimRight(v.Value, "\r\n") != v.Value {
		return "sensitive(" + quote(v.Value) + ")"
	}
	name := v.Name + "/" + owner.name
	if v.Index != nil {
		name += fmt.Sprintf("-%d", *v.Index)
	}
	if v.Name == "user_pass" && owner.phone != nil {
		for _, o := range owner.phone.state.memory.Settings {
			if o.Name == "user_name" && o.Index != nil && v.Index != nil && *o.Index == *v.Index && plainName.MatchString(o.Value) {
				name = "sip/" + o.Value
			}
		}
		if other, taken := s.secrets[name]; taken && other != v.Value {
			name += fmt.Sprintf("-%s-%d", owner.name, *v.Index)
		}
	}
	s.secrets[name] = v.Value
	return "secret(" + quote(name) + ")"
}

// identityWords are the words for settings of an identity.
var identityWords = []struct{ setting, word string }{
	{"user_name", "user"},
	{"user_pname", "auth_user"},
	{"user_pass", "password"},
	{"user_host", "registrar"},
	{"user_outbound", "outbound"},
	{"user_realname", "display_name"},
	{"user_mailbox", "mailbox"},
	{"user_active", "active"},
}

func (s *snom) writeIdentity(w *hclWriter, list []phonefile.Setting, owner snomOwner) {
	w.open("identity", fmt.Sprint(*list[0].Index))
	var words, rest settingLines
	said := map[string]bool{}
	for _, iw := range identityWords {
		i := slices.IndexFunc(list, func(v phonefile.Setting) bool { return v.Name == iw.setting })
		// A password is secret by its word, which no general layer may hold.
		if i < 0 || list[i].Markup || iw.word == "password" && owner.general {
			continue
		}
		v := list[i]
		said[v.Name] = true
		text := quote(v.Value)
		switch {
		case iw.word == "password" && v.Value != "" && !s.options.InPlace:
			text = s.secret(v, owner)
		case iw.word == "active" && v.Value == "on":
			text = "true"
		case iw.word == "active" && v.Value == "off":
			text = "false"
		}
		words.add(iw.word, withParts(text, v, false), v)
	}
	for _, v := range list {
		if !said[v.Name] {
			rest.add(v.Name, s.expression(v, owner, false), v)
		}
	}
	words.write(w)
	if len(rest.of) > 0 {
		w.open("settings")
		rest.write(w)
		w.shut()
	}
	w.shut()
}

// writeKey writes a key with the words for its type, or as it is.
func writeKey(w *hclWriter, k phonefile.Key, raw bool) {
	w.open("key", fmt.Sprint(k.Index))
	kind, value, _ := strings.Cut(k.Value, " ")
	var lines attributes
	switch {
	case k.Markup:
		lines.add("xml", quote(k.Value))
		value = ""
	case raw:
		lines.add("raw", quote(k.Value))
		value = ""
	default:
		lines.add("type", quote(kind))
	}
	for _, a := range []struct{ name, value, otherwise string }{
		{"value", value, ""},
		{"label", k.Label, ""},
		{"short_label", k.ShortLabel, ""},
		{"default_text", k.DefaultText, ""},
		{"lp", k.LongPress, ""},
		{"context", k.Context, "active"},
		{"perm", k.Perm, ""},
	} {
		if a.value != a.otherwise {
			lines.add(a.name, quote(a.value))
		}
	}
	if more := k.Attributes(); len(more) > 0 {
		parts := make([]string, len(more))
		for i, a := range more {
			parts[i] = a[0] + " = " + quote(a[1])
		}
		lines.add("attributes", "{ "+strings.Join(parts, ", ")+" }")
	}
	w.attributes(lines)
	w.shut()
}

func writeContact(w *hclWriter, c phonefile.Contact) {
	w.open("contact", c.Name)
	var lines attributes
	for _, a := range []struct{ name, value, otherwise string }{
		{"number", c.Numbers[0].Number, ""},
		{"first_name", c.FirstName, ""},
		{"last_name", c.LastName, ""},
		{"number_type", c.Numbers[0].Type, "sip"},
		{"type", c.Type, "none"},
		{"context", c.Context, "active"},
	} {
		if a.value != a.otherwise {
			lines.add(a.name, quote(a.value))
		}
	}
	if c.Favourite {
		lines.add("favourite", "true")
	}
	w.attributes(lines)
	w.shut()
}

func writeTemplate(w *hclWriter, t phonefile.Template) {
	w.open("template", t.Match)
	var lines attributes
	if t.Timeout != "" {
		timeout := t.Timeout
		if !number.MatchString(timeout) {
			timeout = quote(timeout)
		}
		lines.add("timeout", timeout)
	}
	if t.User != "" {
		lines.add("user", quote(t.User))
	}
	if t.Rewrite != "" {
		lines.add("rewrite", quote(t.Rewrite))
	}
	w.attributes(lines)
	w.shut()
}

func (s *snom) writeLanguages(w *hclWriter, list []phonefile.Language) {
	if len(list) == 0 {
		return
	}
	w.open("languages")
	for _, what := range []string{"gui", "web"} {
		var lines attributes
		for _, l := range list {
			if l.For == what {
				lines.add(quote(l.Name), quote(l.URL))
			}
		}
		if len(lines) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s%s = {\n", w.indent(), what)
		w.depth++
		w.attributes(lines)
		w.depth--
		fmt.Fprintf(w, "%s}\n", w.indent())
	}
	w.shut()
}
