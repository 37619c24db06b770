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
	"dialtone/internal/mac"
)

// evaluator turns the expressions of a layer into values.
type evaluator struct {
	set     *Set // nil where only the header of a block is evaluated
	ctx     *hcl.EvalContext
	server  Server
	model   Model    // whose document it is; zero where that is not known
	major   int      // of the firmware that the phone is taken to run
	phone   mac.Addr // zero in a general layer
	layer   string
	word    string // the block within the layer, for sources
	of      string // "phone anna": whose values they are, "" in a general layer
	general bool   // the layer ends up in documents that anyone may read

	// perPhone reads, of a general layer, only the words that belong into each
	// phone's own file.
	perPhone bool

	diags     hcl.Diagnostics
	templated int // octets of the template at hand
	said      map[settingID]hcl.Range
	out       layer
}

// evaluate gives the values of b. Those that cannot be known yet are left out.
func (e evaluator) evaluate(b *body) (layer, hcl.Diagnostics) {
	structure, diags := b.block(e.ctx)
	if e.perPhone {
		structure, diags = b.ofPhones(e.ctx)
	}
	e.layer, e.diags, e.said = b.name, diags, map[settingID]hcl.Range{}
	e.word = "settings"
	e.out.settings = slices.Grow(e.out.settings, len(structure.settings))
	for _, a := range structure.settings {
		e.setting(a, noIndex)
	}
	for _, id := range structure.identities {
		e.word = fmt.Sprintf("identity %d", id.index)
		e.identity(id)
	}
	for _, k := range structure.keys {
		e.word = "key " + k.label
		e.key(k)
	}
	e.word = "phonebook"
	for _, b := range structure.books {
		e.book(b)
	}
	for _, c := range structure.contacts {
		e.contact(c)
	}
	e.word = "dialplan"
	for _, t := range structure.templates {
		e.template(t)
	}
	for _, p := range structure.plans {
		e.plan(p)
	}
	for _, w := range structure.words {
		e.word = w.kind.name
		e.write(w)
	}
	if structure.codecs != nil {
		e.word = "codecs"
		e.codecs(structure.codecs)
	}
	e.word = "languages"
	for _, l := range structure.languages {
		e.languages(l)
	}
	for _, c := range structure.certificates {
		e.word = "certificate " + c.label
		e.certificate(c)
	}
	for _, u := range structure.uploads {
		e.word = "upload " + u.label
		e.upload(u)
	}
	for _, f := range structure.files {
		e.word = "document " + f.label
		e.file(f)
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

func (e *evaluator) warn(rule config.Rule, rng hcl.Range, summary, detail string, args ...any) {
	d := errorAt(rng, summary, detail, args...)
	d.Severity = hcl.DiagWarning
	f := config.Finding{Rule: rule, Model: e.model.Name}
	d.Extra = f
	if p := e.set.byMAC[e.phone]; p != nil {
		f.Phones = p.names()
		d.Extra = forPhone{phone: e.of, inner: f}
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

func (e *evaluator) source(rng hcl.Range) source { return source{e.layer, e.word, rng} }

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
		e.refuseSecret(name, attrs[name].Expr.Range())
		return otherwise
	}
	return v.text
}

// refuseSecret reports a secret in what everybody gets to see.
func (e *evaluator) refuseSecret(name string, rng hcl.Range) {
	e.fail(rng, "Secret in a public place", "%s cannot be kept secret, so it cannot come from secret, password or sensitive.", name)
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
	return value{text: s, secret: secret}, true
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

// keeps reports whether the catalogue has a setting as a password, which is then
// masked wherever it came from. In a general layer it is read by everyone
// anyhow, and check warns of that.
func (e *evaluator) keeps(name string) bool {
	if e.general || e.set == nil {
		return false
	}
	known := e.set.settings.byName[name]
	return known != nil && known.Secret
}

// settingValue adds what v says.
func (e *evaluator) settingValue(s setting, v cty.Value, rng hcl.Range, may shape) {
	v, marks := v.Unmark()
	s.value.secret = s.value.secret || isSecret(marks) || e.keeps(s.name)
	t := v.Type()
	switch {
	case !v.IsKnown() || v.IsNull():
		if !v.IsKnown() {
			e.out.later = overLater(e.out.later, map[settingID]bool{s.id(): true})
		}
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
	words := []string{"value", "xml", "perm", "idx"}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if !slices.Contains(words, name) {
			e.fail(rng, "Unknown part of a setting", "A setting is a value, a list of values, or an object with value or xml, perm and idx. There is no %q.%s",
				name, didYouMean(name, words))
			return
		}
	}
	inner, ok := parts["value"]
	xml, isXML := parts["xml"]
	if ok == isXML {
		e.fail(rng, "Setting without a value", "%s needs a value, or xml, besides perm and idx.", s.name)
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
	if !isXML {
		e.settingValue(s, inner, rng, shape{list: may.list})
		return
	}
	xml, marks := xml.Unmark()
	if s.value, ok = e.scalar(xml, s.value.secret || isSecret(marks), s.name, rng); ok && e.markup(&s.value, "xml", rng) {
		e.add(s)
	}
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

// member is a part of an object.
type member struct {
	name   string
	value  cty.Value // without marks, in any depth
	secret bool
}

// members evaluates an attribute that takes an object, and gives its parts in the
// order of their names: none where it is absent, null, unknown or something else.
func (e *evaluator) members(a *hcl.Attribute, takes string) []member {
	if a == nil {
		return nil
	}
	v, ok := e.eval(a.Expr)
	if !ok {
		return nil
	}
	v, marks := v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
		e.fail(a.Expr.Range(), "Wrong type of value", "%s takes an object%s.", a.Name, takes)
		return nil
	}
	var list []member
	for it := v.ElementIterator(); it.Next(); {
		name, part := it.Element()
		part, more := part.UnmarkDeep()
		list = append(list, member{name.AsString(), part, isSecret(marks) || isSecret(more)})
	}
	return list
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

// checkLabel checks a label that goes into a document.
func (e *evaluator) checkLabel(b named) {
	if err := checkText(b.label); err != nil {
		e.fail(b.rng, "Character that no document can hold", "The label has %s, which XML cannot carry. Take it out.", err)
	}
}

// link gives the URL of a file that phones fetch: text is one, or the path of a
// file within files_dir, which is given too.
func (e *evaluator) link(text value, rng hcl.Range) (url value, file string, ok bool) {
	if strings.Contains(text.text, "://") {
		return text, "", true
	}
	if !isRelative(text.text) {
		e.fail(rng, "Invalid path", "%q is neither a URL nor the path of a file within files_dir.", text.text)
		return text, "", false
	}
	file = text.text
	text.text = e.server.URL + escapePath(Path{Kind: File, Name: file})
	return text, file, true
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
