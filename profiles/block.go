package profiles

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// body is the body of a layer's block. Its structure is decoded once where it
// is static, and for each evaluation where dynamic blocks make it depend on
// values.
type body struct {
	name   string // of the layer, for messages: "profile desk"
	raw    hcl.Body
	schema *hcl.BodySchema
	static *block // nil where the body has dynamic blocks

	perPhone bool   // has words that are written into each phone's own file
	own      *block // those words, decoded; nil where dynamic blocks make them
}

// block is the structure of a layer, its expressions not yet evaluated.
type block struct {
	settings   []*hcl.Attribute
	codecs     *hcl.Attribute
	words      []word
	identities []indexed
	keys       []indexed
	books      []hcl.Attributes
	contacts   []named
	plans      []hcl.Attributes
	templates  []named
	languages  []hcl.Attributes

	certificates []named
	uploads      []named
	files        []named
}

// indexed is a block whose label is a number.
type indexed struct {
	index    int    // noIndex for a key of a module, which has a place on the module instead
	label    string // as it was written
	attrs    hcl.Attributes
	settings []*hcl.Attribute
	rng      hcl.Range
}

// named is a block whose label is a text.
type named struct {
	label string
	attrs hcl.Attributes
	rng   hcl.Range
}

var (
	keySchema = schema(attributes("type", "value", "pickup", "label", "short_label", "context", "perm", "default_text", "lp",
		"long_press", "module", "key", "raw", "xml", "attributes"))
	phonebookSchema = schema(attributes("everyone", "csv"), hcl.BlockHeaderSchema{Type: "contact", LabelNames: []string{"name"}})
	contactSchema   = schema(append(attributes("first_name", "last_name", "number_type", "type", "context", "favourite"),
		hcl.AttributeSchema{Name: "number", Required: true}))
	dialplanSchema  = schema(attributes("emergency", "timeout"), hcl.BlockHeaderSchema{Type: "template", LabelNames: []string{"match"}})
	templateSchema  = schema(attributes("timeout", "user", "rewrite"))
	languagesSchema = schema(attributes("gui", "web"))

	certificateSchema = schema(attributes("pem", "url"))
	uploadSchema      = schema([]hcl.AttributeSchema{{Name: "url", Required: true}})
	documentSchema    = schema(attributes("file", "template"))
)

func schema(attributes []hcl.AttributeSchema, blocks ...hcl.BlockHeaderSchema) *hcl.BodySchema {
	return &hcl.BodySchema{Attributes: attributes, Blocks: blocks}
}

func attributes(names ...string) []hcl.AttributeSchema {
	list := make([]hcl.AttributeSchema, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}

// layerSchema is that of a block which is a layer, with the attributes that
// are its own.
func layerSchema(own ...string) *hcl.BodySchema {
	layer := schema(attributes(append(own, "codecs")...),
		hcl.BlockHeaderSchema{Type: "settings"},
		hcl.BlockHeaderSchema{Type: "identity", LabelNames: []string{"number"}},
		hcl.BlockHeaderSchema{Type: "key", LabelNames: []string{"index"}},
		hcl.BlockHeaderSchema{Type: "phonebook"},
		hcl.BlockHeaderSchema{Type: "dialplan"},
		hcl.BlockHeaderSchema{Type: "languages"},
		hcl.BlockHeaderSchema{Type: "certificate", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "upload", LabelNames: []string{"type"}},
		hcl.BlockHeaderSchema{Type: "document", LabelNames: []string{"name"}},
	)
	for _, kind := range wordKinds {
		layer.Blocks = append(layer.Blocks, hcl.BlockHeaderSchema{Type: kind.name})
	}
	return layer
}

// newBody decodes a body as far as it is static. The attributes of its own are
// in the schema only so that a wrong one is told from them; see header.
func newBody(name string, raw hcl.Body, schema *hcl.BodySchema) (*body, hcl.Diagnostics) {
	b := &body{name: name, raw: raw, schema: schema, perPhone: hasPerPhone(raw)}
	if hasDynamic(raw) {
		return b, nil
	}
	var diags hcl.Diagnostics
	b.static, diags = decodeBlock(raw, schema)
	b.own = b.static.ofPhones()
	return b, diags
}

// header reads the attributes of a layer's own block, which are evaluated
// before any layer is.
func header(raw hcl.Body, schema *hcl.BodySchema) hcl.Attributes {
	// What is missing or too much, decodeBlock says.
	content, _, _ := raw.PartialContent(&hcl.BodySchema{Attributes: schema.Attributes})
	return content.Attributes
}

func hasDynamic(raw hcl.Body) bool {
	b, ok := raw.(*hclsyntax.Body)
	if !ok {
		return true
	}
	for _, block := range b.Blocks {
		if block.Type == "dynamic" || hasDynamic(block.Body) {
			return true
		}
	}
	return false
}

// mentions reports whether a block of that type is in b, written out or made by
// a dynamic block.
func (b *body) mentions(blockType string) bool {
	syntax, ok := b.raw.(*hclsyntax.Body)
	return ok && slices.ContainsFunc(syntax.Blocks, func(inner *hclsyntax.Block) bool { return typeMade(inner) == blockType })
}

// typeMade gives the type of a block, or of those that a dynamic block makes.
func typeMade(b *hclsyntax.Block) string {
	if b.Type == "dynamic" && len(b.Labels) > 0 {
		return b.Labels[0]
	}
	return b.Type
}

func (b *body) block(ctx *hcl.EvalContext) (*block, hcl.Diagnostics) {
	if b.static != nil {
		return b.static, nil
	}
	decoded, diags := decodeBlock(dynblock.Expand(b.raw, ctx), b.schema)
	return decoded, dropUnknown(diags)
}

// dropUnknown leaves out what is said of dynamic blocks whose labels cannot be
// known because no phone is at hand (a profile that none uses).
func dropUnknown(diags hcl.Diagnostics) hcl.Diagnostics {
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool {
		if d.Expression == nil || d.EvalContext == nil {
			return false
		}
		v, more := d.Expression.Value(d.EvalContext)
		return !more.HasErrors() && !v.IsKnown()
	})
}

func decodeBlock(raw hcl.Body, schema *hcl.BodySchema) (*block, hcl.Diagnostics) {
	content, diags := raw.Content(schema)
	b := &block{codecs: content.Attributes["codecs"]}
	for _, inner := range content.Blocks {
		var more hcl.Diagnostics
		switch inner.Type {
		case "step", "module", "handset": // of a model or a phone, which are no part of the layer
		case "settings":
			var attrs []*hcl.Attribute
			attrs, more = anyAttributes(inner.Body)
			b.settings = append(b.settings, attrs...)
		case "identity":
			more = b.decodeIdentity(inner)
		case "key":
			more = b.decodeKey(inner)
		case "phonebook":
			var attrs hcl.Attributes
			b.contacts, attrs, more = decodeNamed(b.contacts, inner.Body, phonebookSchema, contactSchema)
			b.books = append(b.books, attrs)
		case "dialplan":
			var attrs hcl.Attributes
			b.templates, attrs, more = decodeNamed(b.templates, inner.Body, dialplanSchema, templateSchema)
			b.plans = append(b.plans, attrs)
		case "languages":
			var languages *hcl.BodyContent
			languages, more = inner.Body.Content(languagesSchema)
			b.languages = append(b.languages, languages.Attributes)
		case "certificate":
			b.certificates, more = appendNamed(b.certificates, inner, certificateSchema)
		case "upload":
			b.uploads, more = appendNamed(b.uploads, inner, uploadSchema)
		case "document":
			b.files, more = appendNamed(b.files, inner, documentSchema)
		default:
			more = b.decodeWord(inner)
		}
		diags = append(diags, more...)
	}
	return b, diags
}

// anyAttributes gives all attributes of a body in the order of the file.
func anyAttributes(raw hcl.Body) ([]*hcl.Attribute, hcl.Diagnostics) {
	found, diags := raw.JustAttributes()
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	// Asked for by name, the attributes within a dynamic block know its iterator;
	// those of JustAttributes do not.
	content, _, _ := raw.PartialContent(schema(attributes(names...)))
	attrs := make([]*hcl.Attribute, 0, len(names))
	for _, a := range content.Attributes {
		attrs = append(attrs, a)
	}
	slices.SortFunc(attrs, func(a, b *hcl.Attribute) int { return cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte) })
	return attrs, diags
}

// Bounds of labels. A DECT base has up to 1,000 identities; keys are counted
// on through the expansion modules.
const (
	maxIdentity = 1000
	maxKey      = 999
)

func (b *block) decodeIdentity(inner *hcl.Block) hcl.Diagnostics {
	content, diags := inner.Body.Content(identitySchema)
	id := indexed{label: inner.Labels[0], attrs: content.Attributes, rng: inner.LabelRanges[0]}
	id.index, diags = label(inner, 1, maxIdentity, diags)
	for _, s := range content.Blocks {
		attrs, more := anyAttributes(s.Body)
		diags = append(diags, more...)
		id.settings = append(id.settings, attrs...)
	}
	if first, ok := find(b.identities, id.index); ok {
		return append(diags, errorAt(inner.LabelRanges[0], "Duplicate identity",
			"Identity %d of this layer is described already, at %s.", id.index, at(first.rng)))
	}
	b.identities = append(b.identities, id)
	return diags
}

func (b *block) decodeKey(inner *hcl.Block) hcl.Diagnostics {
	content, diags := inner.Body.Content(keySchema)
	k := indexed{index: noIndex, label: inner.Labels[0], attrs: content.Attributes, rng: inner.LabelRanges[0]}
	if k.attrs["module"] == nil {
		k.index, diags = label(inner, 0, maxKey, diags)
	}
	for _, first := range b.keys {
		if first.index == k.index && (k.index != noIndex || k.attrs["module"] != nil && first.label == k.label) {
			return append(diags, errorAt(inner.LabelRanges[0], "Duplicate key",
				"Key %s of this layer is described already, at %s.", k.label, at(first.rng)))
		}
	}
	b.keys = append(b.keys, k)
	return diags
}

func find(blocks []indexed, index int) (indexed, bool) {
	i := slices.IndexFunc(blocks, func(b indexed) bool { return b.index == index && index >= 0 })
	if i < 0 {
		return indexed{}, false
	}
	return blocks[i], true
}

// label reads the number that is a block's label; it is -1 where it is none.
func label(inner *hcl.Block, first, last int, diags hcl.Diagnostics) (int, hcl.Diagnostics) {
	n, err := strconv.ParseUint(inner.Labels[0], 10, 16)
	if err != nil || int(n) < first || int(n) > last {
		return -1, append(diags, errorAt(inner.LabelRanges[0], "Invalid "+inner.Type+" number",
			"The label of %s is a number from %d to %d, not %q.", inner.Type, first, last, inner.Labels[0]))
	}
	return int(n), diags
}

func decodeNamed(list []named, raw hcl.Body, outer, inner *hcl.BodySchema) ([]named, hcl.Attributes, hcl.Diagnostics) {
	content, diags := raw.Content(outer)
	for _, b := range content.Blocks {
		var more hcl.Diagnostics
		list, more = appendNamed(list, b, inner)
		diags = append(diags, more...)
	}
	return list, content.Attributes, diags
}

func appendNamed(list []named, b *hcl.Block, schema *hcl.BodySchema) ([]named, hcl.Diagnostics) {
	attrs, diags := b.Body.Content(schema)
	return append(list, named{label: b.Labels[0], attrs: attrs.Attributes, rng: b.LabelRanges[0]}), diags
}
