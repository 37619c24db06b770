package profiles

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// word is a block for what people do, such as ldap: it has arguments alone, and
// writes settings.
type word struct {
	kind  *wordKind
	attrs hcl.Attributes
	rng   hcl.Range
}

type wordKind struct {
	name   string
	schema *hcl.BodySchema
	write  func(*evaluator, word)

	// perPhone says that the settings differ from phone to phone. Said in a
	// general layer, the word is written into the own file of each phone.
	perPhone bool
	// private says that only that file may have them.
	private bool
}

var wordKinds = []wordKind{
	{name: "ldap", schema: ldapSchema, write: (*evaluator).ldap},
	{name: "action_urls", schema: actionSchema, write: (*evaluator).actionURLs},
	{name: "vlan", schema: vlanSchema, write: (*evaluator).vlan},
	{name: "polling", schema: pollingSchema, write: (*evaluator).polling, perPhone: true},
	{name: "web_login", schema: webLoginSchema, write: (*evaluator).webLogin, perPhone: true, private: true},
	{name: "http_client", schema: httpClientSchema, write: (*evaluator).httpClient, perPhone: true, private: true},
	{name: "admin_mode", schema: adminModeSchema, write: (*evaluator).adminMode, perPhone: true, private: true},
}

func wordKindOf(name string) *wordKind {
	i := slices.IndexFunc(wordKinds, func(k wordKind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &wordKinds[i]
}

func (b *block) decodeWord(inner *hcl.Block) hcl.Diagnostics {
	w := word{kind: wordKindOf(inner.Type), rng: inner.DefRange}
	content, diags := inner.Body.Content(w.kind.schema)
	w.attrs = content.Attributes
	for _, first := range b.words {
		if first.kind == w.kind {
			return append(diags, errorAt(inner.DefRange, "Duplicate "+inner.Type,
				"This layer has a block %s already, at %s.", inner.Type, at(first.rng)))
		}
	}
	b.words = append(b.words, w)
	return diags
}

// hasPerPhone reports whether a layer has words that belong into phones' own
// files.
func hasPerPhone(raw hcl.Body) bool {
	b, ok := raw.(*hclsyntax.Body)
	return ok && slices.ContainsFunc(b.Blocks, func(block *hclsyntax.Block) bool {
		kind := wordKindOf(typeMade(block))
		return kind != nil && kind.perPhone
	})
}

// isPrivate reports whether a block's values end up in phones' own files alone.
func isPrivate(block *hclsyntax.Block) bool {
	kind := wordKindOf(typeMade(block))
	return kind != nil && kind.private
}

// ofPhones gives the words of a general layer that belong into phones' own files.
func (b *block) ofPhones() *block {
	own := &block{}
	for _, w := range b.words {
		if w.kind.perPhone {
			own.words = append(own.words, w)
		}
	}
	return own
}

func (b *body) ofPhones(ctx *hcl.EvalContext) (*block, hcl.Diagnostics) {
	if b.own != nil {
		return b.own, nil
	}
	wanted := &hcl.BodySchema{}
	for _, kind := range wordKinds {
		if kind.perPhone {
			wanted.Blocks = append(wanted.Blocks, hcl.BlockHeaderSchema{Type: kind.name})
		}
	}
	// What else the layer has is expanded and reported with its general file.
	content, _, diags := dynblock.Expand(b.raw, ctx).PartialContent(wanted)
	own := &block{}
	for _, inner := range content.Blocks {
		diags = append(diags, own.decodeWord(inner)...)
	}
	return own, dropUnknown(diags)
}

// write evaluates a word, unless the document that is being made may not have it.
func (e *evaluator) write(w word) {
	if w.kind.private && e.general {
		return
	}
	w.kind.write(e, w)
}

// argument writes an argument of a word as a setting: a value, or an object
// with value and perm. convert checks and rewrites the text; it may be nil. It
// reports whether there was something to write.
func (e *evaluator) argument(attrs hcl.Attributes, name string, s setting, convert func(string) (string, error)) bool {
	a, ok := attrs[name]
	if !ok {
		return false
	}
	v, diags := a.Expr.Value(e.ctx)
	if s.value.secret {
		for _, d := range diags {
			d.EvalContext = nil // which a report would show the values of
		}
	}
	e.failed(diags)
	if diags.HasErrors() {
		return false
	}
	block := e.word
	e.word += " " + name
	s.source, e.word = e.source(a.Range), block
	before := len(e.out.settings)
	e.settingValue(s, v, a.Expr.Range(), shape{object: true})
	if len(e.out.settings) == before {
		return false
	}
	if convert != nil {
		last := &e.out.settings[len(e.out.settings)-1]
		text, err := convert(last.value.text)
		switch {
		case err != nil && last.value.secret:
			e.fail(a.Expr.Range(), "Invalid "+name, "%s takes something else than this secret value.", name)
			return false
		case err != nil:
			e.fail(a.Expr.Range(), "Invalid "+name, "%s %v.", name, err)
			return false
		}
		last.value.text = text
	}
	return true
}

// written adds a setting that follows from a word without an argument for it.
func (e *evaluator) written(name, text string, rng hcl.Range) {
	e.add(setting{name: name, index: noIndex, value: value{text: text}, source: e.source(rng)})
}

// list reads an argument that takes a list of texts, or one.
func (e *evaluator) list(a *hcl.Attribute) ([]string, bool) {
	v, ok := e.eval(a.Expr)
	if !ok {
		return nil, false
	}
	v, marks := v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		return nil, false
	}
	items := []cty.Value{v}
	if t := v.Type(); t.IsTupleType() || t.IsListType() || t.IsSetType() {
		items = v.AsValueSlice()
	}
	var texts []string
	for _, item := range items {
		item, more := item.Unmark()
		if isSecret(marks) || isSecret(more) {
			e.refuseSecret(a.Name, a.Expr.Range())
			return nil, false
		}
		text, ok := e.scalar(item, false, a.Name, a.Expr.Range())
		if !ok {
			return nil, false
		}
		texts = append(texts, text.text)
	}
	return texts, true
}
