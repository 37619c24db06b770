package profiles

import (
	"bytes"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// adminFile is a document that the admin wrote, as a file or as a template. In a
// layer its name is that of one of ours, whose place it takes, or any other:
// then the container of the layer's phones lists it last.
type adminFile struct {
	name   string
	parts  []filePart
	source source
}

// filePart is a run of an adminFile: the whole file, the text between two
// sequences of a template, or what a sequence gave.
type filePart struct {
	value
	rng     hcl.Range // where it stands in the admin's file
	literal bool      // the text is that of rng
}

// maxTemplate bounds what a template makes, in bytes.
const maxTemplate = 4 << 20

// macWord stands for a phone's MAC in the name of a document.
const macWord = "{mac}"

func (f adminFile) size() int {
	n := 200
	for _, p := range f.parts {
		n += len(p.text) + 100
	}
	return n
}

// shown gives the text, or what stands for a secret.
func (p filePart) shown(reveal bool) string {
	if p.secret && !reveal {
		return masked
	}
	return p.text
}

// whole reports whether the document is the admin's file as it is.
func (f adminFile) whole() bool { return len(f.parts) == 1 && f.parts[0].literal }

// bytes gives the document, and where the secrets are in it.
func (f adminFile) bytes(reveal bool) (body []byte, secrets []Span) {
	size := 0
	for _, p := range f.parts {
		size += len(p.shown(reveal))
	}
	body = make([]byte, 0, size)
	for _, p := range f.parts {
		start := len(body)
		body = append(body, p.shown(reveal)...)
		if p.secret {
			secrets = append(secrets, Span{start, len(body)})
		}
	}
	return body, secrets
}

// file names the admin's file.
func (f adminFile) file() string {
	if len(f.parts) == 0 {
		return ""
	}
	return filepath.Base(f.parts[0].rng.Filename)
}

// contentType tells XML, text and anything else apart by what is in the file:
// phones ignore it.
func contentType(body []byte) string {
	switch {
	case isXML(body):
		return "text/xml; charset=utf-8"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// isXML reports whether a body means to be XML, and not the plain format with
// its <html> and <pre>.
func isXML(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\ufeff")), " \t\r\n")
	if !bytes.HasPrefix(body, []byte("<")) {
		return false
	}
	start := strings.ToLower(string(body[:min(len(body), 6)]))
	return !strings.HasPrefix(start, "<html>") && !strings.HasPrefix(start, "<pre>")
}

// file evaluates a document block of a layer.
func (e *evaluator) file(b named) {
	if err := checkLayerFile(b.label, e.general); err != nil {
		e.fail(b.rng, "Invalid document name", "%s.", capital(err.Error()))
		return
	}
	for _, other := range e.out.files {
		if strings.EqualFold(other.name, b.label) {
			e.fail(b.rng, "Duplicate document", "This layer has a document called %q already, at %s.", b.label, at(other.source.rng))
			return
		}
	}
	if parts, ok := e.fileParts(b); ok {
		e.out.files = append(e.out.files, adminFile{name: b.label, parts: parts, source: e.source(b.rng)})
	}
}

// fileParts reads the file that a document block names. It is false where there
// is none: the name is null, cannot be known yet, or something is wrong.
func (e *evaluator) fileParts(b named) ([]filePart, bool) {
	file, template := b.attrs["file"], b.attrs["template"]
	if (file == nil) == (template == nil) {
		e.fail(b.rng, "Document without a source", "A document has file, to be served as it is, or template, with ${…} in it: one of the two.")
		return nil, false
	}
	word := "file"
	if template != nil {
		word, file = "template", template
	}
	name := e.open(b.attrs, word, "")
	if name == "" {
		return nil, false
	}
	rng := file.Expr.Range()
	if template == nil {
		source, diags := e.set.cfg.Document(name, rng)
		e.failed(diags)
		all := hcl.Range{Filename: source.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		return []filePart{{value: value{text: string(source.Text)}, rng: all, literal: true}}, !diags.HasErrors()
	}
	expr, diags := e.set.cfg.Template(name, rng)
	e.failed(diags)
	if diags.HasErrors() {
		return nil, false
	}
	e.templated = 0
	refused := e.refusePhone(expr)
	parts, ok := e.templateParts(nil, expr)
	return parts, ok && !refused
}

// refusePhone reports where the template of a general document speaks of one
// phone.
func (e *evaluator) refusePhone(expr hcl.Expression) bool {
	if !e.general {
		return false
	}
	found := false
	for _, t := range expr.Variables() {
		if t.RootName() == "phone" {
			found = true
			e.fail(t.SourceRange(), "Phone in a general document",
				"This template makes a file that many phones share, so it cannot ask which phone it is for. Name it in a profile that phones name or in a phone, join it to \"phone\", or put {mac} into its path.")
		}
	}
	return found
}

// templateParts evaluates a template sequence by sequence, so that a secret
// masks no more than its own, and every run of the document knows its line. It
// appends what they give, and is false where one is wrong.
func (e *evaluator) templateParts(parts []filePart, expr hclsyntax.Expression) ([]filePart, bool) {
	switch t := expr.(type) {
	case *hclsyntax.TemplateExpr:
		good := true
		for _, part := range t.Parts {
			var ok bool
			parts, ok = e.templateParts(parts, part)
			good = good && ok
		}
		return parts, good
	case *hclsyntax.TemplateWrapExpr:
		return e.templateParts(parts, t.Wrapped)
	case *hclsyntax.ConditionalExpr: // also of %{ if }
		if condition, ok := e.plainValue(t.Condition, cty.Bool); ok {
			if condition.True() {
				return e.templateParts(parts, t.TrueResult)
			}
			return e.templateParts(parts, t.FalseResult)
		}
	case *hclsyntax.TemplateJoinExpr: // of %{ for }
		if loop, ok := t.Tuple.(*hclsyntax.ForExpr); ok && loop.CondExpr == nil && loop.KeyExpr == nil {
			if list, ok := e.plainValue(loop.CollExpr, cty.DynamicPseudoType); ok && list.CanIterateElements() {
				return e.loopParts(parts, loop, list)
			}
		}
	}
	part, ok := e.onePart(expr)
	if !ok {
		return parts, false
	}
	return append(parts, part), true
}

// plainValue gives the value of an expression that decides what a template has.
// It is false for one that is secret or not to be known, and for what is wrong:
// the evaluation of the whole says so.
func (e *evaluator) plainValue(expr hclsyntax.Expression, want cty.Type) (cty.Value, bool) {
	v, diags := expr.Value(e.ctx)
	if diags.HasErrors() || v.IsMarked() || !v.IsKnown() || v.IsNull() {
		return v, false
	}
	v, err := convert.Convert(v, want)
	return v, err == nil
}

func (e *evaluator) loopParts(parts []filePart, loop *hclsyntax.ForExpr, list cty.Value) ([]filePart, bool) {
	outer := e.ctx
	defer func() { e.ctx = outer }()
	good := true
	for it := list.ElementIterator(); it.Next(); {
		key, v := it.Element()
		vars := map[string]cty.Value{loop.ValVar: v}
		if loop.KeyVar != "" {
			vars[loop.KeyVar] = key
		}
		e.ctx = child(outer, vars)
		var ok bool
		parts, ok = e.templateParts(parts, loop.ValExpr)
		good = good && ok
	}
	return parts, good
}

// onePart evaluates text, or what a sequence gives as a whole.
func (e *evaluator) onePart(expr hclsyntax.Expression) (filePart, bool) {
	v, ok := e.eval(expr)
	if !ok {
		return filePart{}, false
	}
	v, marks := v.Unmark()
	if !v.IsKnown() {
		e.out.laterFiles = true
		return filePart{}, false
	}
	_, literal := expr.(*hclsyntax.LiteralValueExpr)
	p := filePart{value: value{secret: isSecret(marks)}, rng: expr.Range(), literal: literal}
	if p.secret && e.general {
		e.fail(p.rng, "Secret in a general document",
			"This is secret, but the template makes a file that every phone may read. Name it in a profile that phones name or in a phone, join it to \"phone\", or put {mac} into its path.")
		return filePart{}, false
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() {
		e.fail(p.rng, "Wrong type of value", "A template takes a text, a number, or true and false; this is %s.", friendlyType(v))
		return filePart{}, false
	}
	p.text = text.AsString()
	before := e.templated
	if e.templated += len(p.text); e.templated > maxTemplate {
		if before <= maxTemplate {
			e.fail(p.rng, "Document too large", "The template makes more than %d bytes.", maxTemplate)
		}
		return filePart{}, false
	}
	return p, true
}

func friendlyType(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	return v.Type().FriendlyName()
}

// xmlFunction is xml(value): a value as it may stand in an element or between
// the quotes of an attribute. true and false are on and off, as in settings.
func xmlFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowMarked: true, AllowDynamicType: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, marks := args[0].Unmark()
			text, ok := scalarText(v)
			if !ok {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "xml takes a text, a number, or true and false, not %s", v.Type().FriendlyName())
			}
			if err := checkText(text); err != nil {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "it has %s, which XML cannot carry", err)
			}
			return cty.StringVal(attrEscapes.Replace(text)).WithMarks(marks), nil
		},
	})
}
