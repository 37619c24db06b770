package profiles

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"dialtone/internal/config"
)

// evaluator turns the expressions of a layer into values.
type evaluator struct {
	ctx     *hcl.EvalContext
	server  Server
	layer   string
	of      string // "phone anna": whose values they are, "" in a general layer
	general bool   // the layer ends up in documents that anyone may read

	diags hcl.Diagnostics
	said  map[settingID]hcl.Range
	out   layer
}

// evaluate gives the values of b. Those that cannot be known yet are left out.
func (e evaluator) evaluate(b *body) (layer, hcl.Diagnostics) {
	structure, diags := b.block(e.ctx)
	e.layer, e.diags, e.said = b.name, diags, map[settingID]hcl.Range{}
	for _, a := range structure.settings {
		e.setting(a, noIndex)
	}
	for _, id := range structure.identities {
		e.identity(id)
	}
	for _, k := range structure.keys {
		e.key(k)
	}
	for _, c := range structure.contacts {
		e.contact(c)
	}
	for _, t := range structure.templates {
		e.template(t)
	}
	for _, l := range structure.languages {
		e.languages(l)
	}
	return e.out, e.diags
}

func (e *evaluator) fail(rng hcl.Range, summary, detail string, args ...any) {
	d := errorAt(rng, summary, detail, args...)
	if e.of != "" {
		d.Extra = forPhone{phone: e.of}
	}
	e.diags = append(e.diags, d)
}

// failed adds what an evaluation has to say, and for which phone.
func (e *evaluator) failed(diags hcl.Diagnostics) {
	for _, d := range diags {
		if e.of != "" {
			d.Extra = forPhone{phone: e.of, inner: d.Extra}
		}
		e.diags = append(e.diags, d)
	}
}

func (e *evaluator) source(rng hcl.Range) source { return source{e.layer, rng} }

// eval gives the value of an expression, and whether there is one.
func (e *evaluator) eval(expr hcl.Expression) (cty.Value, bool) {
	v, diags := expr.Value(e.ctx)
	e.failed(diags)
	return v, !diags.HasErrors()
}

// text reads an attribute that takes one text, number or bool; a bool becomes
// "on" or "off". It is false where the attribute is absent, null, unknown or wrong.
func (e *evaluator) text(attrs hcl.Attributes, name string) (value, bool) {
	a, ok := attrs[name]
	if !ok {
		return value{}, false
	}
	v, ok := e.eval(a.Expr)
	if !ok {
		return value{}, false
	}
	v, marks := v.Unmark()
	return e.scalar(v, isSecret(marks), name, a.Expr.Range())
}

// open reads a text that steers the document, so it cannot be secret.
func (e *evaluator) open(attrs hcl.Attributes, name, otherwise string) string {
	v, ok := e.text(attrs, name)
	if !ok {
		return otherwise
	}
	if v.secret {
		e.fail(attrs[name].Expr.Range(), "Secret in a public place", "%s cannot be kept secret, so it cannot come from secret, password or sensitive.", name)
		return otherwise
	}
	return v.text
}

func isSecret(marks cty.ValueMarks) bool {
	_, ok := marks[config.Secret]
	return ok
}

func (e *evaluator) scalar(v cty.Value, secret bool, name string, rng hcl.Range) (value, bool) {
	if secret && e.general {
		e.fail(rng, "Secret in a general document",
			"%s is secret, but the default profile and the models make documents that every phone may read. Set it in a profile that phones name, or in the phone.", name)
		return value{}, false
	}
	if !v.IsKnown() || v.IsNull() {
		return value{}, false
	}
	s, ok := scalarText(v)
	if !ok {
		e.fail(rng, "Wrong type of value", "%s takes a text, a number of up to 300 digits, or true and false; this is %s.", name, v.Type().FriendlyName())
		return value{}, false
	}
	if err := checkText(s); err != nil {
		e.fail(rng, "Character that no document can hold", "The value of %s has %s, which XML cannot carry. Take it out.", name, err)
		return value{}, false
	}
	return value{s, secret}, true
}

// maxExponent bounds numbers to about 300 decimal digits, as an IEEE double has.
const maxExponent = 1024

func scalarText(v cty.Value) (string, bool) {
	switch v.Type() {
	case cty.String:
		return v.AsString(), true
	case cty.Bool:
		if v.True() {
			return "on", true
		}
		return "off", true
	case cty.Number:
		// Written out, since phones read no exponents. A few bytes of
		// configuration could make that as long as memory.
		if exponent := v.AsBigFloat().MantExp(nil); exponent > maxExponent || exponent < -maxExponent {
			return "", false
		}
		s, err := convert.Convert(v, cty.String)
		if err != nil {
			return "", false
		}
		return s.AsString(), true
	}
	return "", false
}

// checkText finds what is no Char of XML 1.0 (§2.2).
func checkText(s string) error {
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return fmt.Errorf("a byte that is no UTF-8 (0x%02X)", s[i])
			}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF:
			return fmt.Errorf("the character U+%04X", r)
		}
	}
	return nil
}

// setting evaluates one attribute of a settings block; index is that of the
// identity which it stands in, or noIndex.
func (e *evaluator) setting(a *hcl.Attribute, index int) {
	if !isSettingName(a.Name) {
		e.fail(a.NameRange, "Invalid setting name", "The phone knows no setting called %q: names have ASCII letters, digits and underscores.", a.Name)
		return
	}
	v, ok := e.eval(a.Expr)
	if !ok {
		return
	}
	s := setting{name: a.Name, index: index, source: e.source(a.Range)}
	e.settingValue(s, v, a.Expr.Range(), shape{list: index == noIndex, object: true, idx: index == noIndex})
}

func isSettingName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'A' || 'Z' < c) && (c < 'a' || 'z' < c) && (i == 0 || c < '0' || '9' < c) {
			return false
		}
	}
	return s != ""
}

// shape says what the value of a setting may be, besides a single one.
type shape struct {
	list   bool // several, for idx 1, 2, …
	object bool // with value and perm
	idx    bool // which may have idx
}

// settingValue adds what v says.
func (e *evaluator) settingValue(s setting, v cty.Value, rng hcl.Range, may shape) {
	v, marks := v.Unmark()
	s.value.secret = s.value.secret || isSecret(marks)
	t := v.Type()
	switch {
	case !v.IsKnown() || v.IsNull():
		e.scalar(v, s.value.secret, s.name, rng)
	case may.object && (t.IsObjectType() || t.IsMapType()):
		e.settingObject(s, v, rng, may)
	case may.list && (t.IsTupleType() || t.IsListType() || t.IsSetType()):
		may.list = false
		for i, item := range v.AsValueSlice() {
			s.index = i + 1
			e.settingValue(s, item, rng, may)
		}
	default:
		var ok bool
		if s.value, ok = e.scalar(v, s.value.secret, s.name, rng); ok {
			e.add(s)
		}
	}
}

// settingObject reads { value, perm, idx }.
func (e *evaluator) settingObject(s setting, v cty.Value, rng hcl.Range, may shape) {
	parts := v.AsValueMap()
	words := []string{"value", "perm", "idx"}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if !slices.Contains(words, name) {
			e.fail(rng, "Unknown part of a setting", "A setting is a value, a list of values, or an object with value, perm and idx. There is no %q.%s",
				name, didYouMean(name, words))
			return
		}
	}
	inner, ok := parts["value"]
	if !ok {
		e.fail(rng, "Setting without a value", "%s needs a value besides perm and idx.", s.name)
		return
	}
	if perm, ok := e.part(parts, "perm", rng); ok {
		s.perm = e.perm(perm, rng)
	}
	if idx, ok := e.part(parts, "idx", rng); ok {
		n, err := strconv.ParseUint(idx, 10, 16)
		switch {
		case !may.idx:
			e.fail(rng, "Index within an identity", "What an identity sets has the number of the identity for its idx.")
			return
		case err != nil:
			e.fail(rng, "Invalid index", "idx is a whole number from 0, not %q.", idx)
			return
		}
		s.index, may.list = int(n), false
	}
	e.settingValue(s, inner, rng, shape{list: may.list})
}

func (e *evaluator) part(parts map[string]cty.Value, name string, rng hcl.Range) (string, bool) {
	v, ok := parts[name]
	if !ok {
		return "", false
	}
	v, _ = v.Unmark()
	text, ok := e.scalar(v, false, name, rng)
	return text.text, ok
}

// perms are the flags that <phone-settings> knows. "" and " " are opposites.
var perms = []string{"", "RW", "R", "!", "$", "&", " "}

func (e *evaluator) perm(perm string, rng hcl.Range) string {
	if !slices.Contains(perms, perm) {
		e.fail(rng, "Invalid permission flag", `perm is one of "", "RW", "R", "!", "$", "&" and " ", not %q.`, perm)
	}
	return perm
}

func (e *evaluator) add(s setting) {
	if first, ok := e.said[s.id()]; ok {
		if !s.weak {
			e.fail(s.source.rng, "Duplicate setting", "This layer sets %s already, at %s.", s.describe(), at(first))
		}
		return
	}
	e.said[s.id()] = s.source.rng
	e.out.settings = append(e.out.settings, s)
}

func (s setting) describe() string {
	if s.index == noIndex {
		return s.name
	}
	return fmt.Sprintf("%s with idx %d", s.name, s.index)
}

// identityWords are the words of an identity block and the settings that they
// write. user_pname is the name that authenticates, not a password.
var identityWords = []struct{ word, setting string }{
	{"user", "user_name"},
	{"auth_user", "user_pname"},
	{"password", "user_pass"},
	{"registrar", "user_host"},
	{"outbound", "user_outbound"},
	{"display_name", "user_realname"},
	{"mailbox", "user_mailbox"},
	{"active", "user_active"},
}

func (e *evaluator) identity(id indexed) {
	for _, w := range identityWords {
		a, ok := id.attrs[w.word]
		if !ok {
			continue
		}
		v, diags := a.Expr.Value(e.ctx)
		if w.word == "password" {
			for _, d := range diags {
				d.EvalContext = nil // which a report would show the values of
			}
			v = v.Mark(config.Secret)
		}
		e.failed(diags)
		if diags.HasErrors() {
			continue
		}
		s := setting{name: w.setting, index: id.index, source: e.source(a.Range)}
		e.settingValue(s, v, a.Expr.Range(), shape{object: true})
	}
	for _, a := range id.settings {
		e.setting(a, id.index)
	}
	for _, s := range e.out.settings {
		if s.id() == (settingID{"user_name", id.index}) && s.value.text != "" {
			e.add(setting{name: "user_active", index: id.index, value: value{text: "on"}, weak: true, source: s.source})
			return
		}
	}
}

// keyTypes are the first words that a function key's text may have.
var keyTypes = []string{
	"blf", "button", "conference", "dest", "dtmf", "keyevent", "line", "multicast", "none",
	"orbit", "presence", "record", "redirect", "speed", "transfer", "url",
}

func (e *evaluator) key(b indexed) {
	k := key{
		index:   b.index,
		action:  e.open(b.attrs, "type", ""),
		context: e.open(b.attrs, "context", "active"),
		perm:    e.open(b.attrs, "perm", ""),
		source:  e.source(b.rng),
	}
	k.value, _ = e.text(b.attrs, "value")
	k.label, _ = e.text(b.attrs, "label")
	k.shortLabel, _ = e.text(b.attrs, "short_label")
	k.defaultText, _ = e.text(b.attrs, "default_text")
	k.longPress, _ = e.text(b.attrs, "lp")
	if a, ok := b.attrs["perm"]; ok {
		e.perm(k.perm, a.Expr.Range())
	}
	if a, ok := b.attrs["type"]; ok && k.action != "" && !slices.Contains(keyTypes, k.action) {
		e.fail(a.Expr.Range(), "Unknown key type", "Phones know no function key of type %q.%s The types are %s.",
			k.action, didYouMean(k.action, keyTypes), strings.Join(keyTypes, ", "))
	}
	if a, ok := b.attrs["value"]; ok && k.action == "line" && k.value.text != "" {
		e.fail(a.Range, "Value on a line key", "A line key takes no value: it is the identity that context names, or the active one.")
	}
	if b.index < 0 || k.action == "" {
		return // reported, or a type that is null: no key
	}
	e.out.keys = append(e.out.keys, k)
}

func (e *evaluator) contact(b named) {
	c := contact{
		name:       value{text: b.label},
		numberType: e.open(b.attrs, "number_type", "sip"),
		kind:       e.open(b.attrs, "type", "none"),
		context:    e.open(b.attrs, "context", "active"),
		source:     e.source(b.rng),
	}
	e.checkLabel(b)
	c.firstName, _ = e.text(b.attrs, "first_name")
	c.lastName, _ = e.text(b.attrs, "last_name")
	var ok bool
	if c.number, ok = e.text(b.attrs, "number"); !ok {
		return
	}
	e.out.contacts = append(e.out.contacts, c)
}

// checkLabel checks a label that goes into a document.
func (e *evaluator) checkLabel(b named) {
	if err := checkText(b.label); err != nil {
		e.fail(b.rng, "Character that no document can hold", "The label has %s, which XML cannot carry. Take it out.", err)
	}
}

func (e *evaluator) template(b named) {
	t := template{match: b.label, timeout: e.open(b.attrs, "timeout", ""), source: e.source(b.rng)}
	e.checkLabel(b)
	t.user, _ = e.text(b.attrs, "user")
	t.rewrite, _ = e.text(b.attrs, "rewrite")
	if _, err := strconv.ParseUint(t.timeout, 10, 16); err != nil && t.timeout != "" {
		e.fail(b.attrs["timeout"].Expr.Range(), "Invalid timeout", "timeout is a whole number of seconds, not %q.", t.timeout)
	}
	for _, other := range e.out.templates {
		if other.match == t.match {
			e.fail(b.rng, "Duplicate template", "This layer has a template for %q already, at %s.", t.match, at(other.source.rng))
			return
		}
	}
	e.out.templates = append(e.out.templates, t)
}

func (e *evaluator) languages(attrs hcl.Attributes) {
	for _, name := range []string{"gui", "web"} {
		if a := attrs[name]; a != nil && !e.general {
			e.fail(a.NameRange, "Languages of one phone", "Phones load languages with their general file. Move this to the default profile or to a model.")
			return
		}
	}
	e.out.gui = e.languageFiles(e.out.gui, attrs["gui"])
	e.out.web = e.languageFiles(e.out.web, attrs["web"])
}

// languageFiles reads an object of names and files, sorted by name.
func (e *evaluator) languageFiles(list []language, a *hcl.Attribute) []language {
	if a == nil {
		return list
	}
	v, ok := e.eval(a.Expr)
	if !ok {
		return list
	}
	v, marks := v.UnmarkDeep()
	if !v.IsKnown() || v.IsNull() {
		return list
	}
	if !v.Type().IsObjectType() && !v.Type().IsMapType() {
		e.fail(a.Expr.Range(), "Wrong type of value", `%s takes an object of names and files, such as { "Deutsch" = "languages/gui_lang_DE.xml" }.`, a.Name)
		return list
	}
	for it := v.ElementIterator(); it.Next(); {
		name, file := it.Element()
		text, ok := e.scalar(file, isSecret(marks), a.Name, a.Expr.Range())
		if !ok {
			continue
		}
		l := language{name: name.AsString(), url: text, source: e.source(a.Range)}
		if err := checkText(l.name); err != nil {
			e.fail(a.Expr.Range(), "Character that no document can hold", "The name of a language has %s, which XML cannot carry. Take it out.", err)
		}
		if !strings.Contains(text.text, "://") {
			if !isRelative(text.text) {
				e.fail(a.Expr.Range(), "Invalid path", "%q is neither a URL nor the path of a file within files_dir.", text.text)
				continue
			}
			l.file = text.text
			l.url.text = e.server.URL + escapePath(Path{Kind: File, Name: l.file})
		}
		list = append(list, l)
	}
	return list
}

// isRelative reports whether name is a clean path that stays in its folder.
func isRelative(name string) bool {
	return name != "" && name != "." && path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../")
}

func escapePath(p Path) string { return (&url.URL{Path: p.String()}).EscapedPath() }

// didYouMean gives a further sentence when one of the names is near.
func didYouMean(name string, among []string) string {
	if near := config.Suggest(name, among); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}
