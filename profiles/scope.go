package profiles

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// Passwords makes up passwords. The same name has the same password for as
// long as the appliance lives. It is called from many goroutines.
type Passwords interface {
	Password(name string) (string, error)
}

// passwordFunction is password(name).
func passwordFunction(p Passwords) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := p.Password(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(s).Mark(config.Secret), nil
		},
	})
}

// child gives a context that has vars besides what ctx has.
func child(ctx *hcl.EvalContext, vars map[string]cty.Value) *hcl.EvalContext {
	c := ctx.NewChild()
	c.Variables = vars
	return c
}

// localValues evaluates the locals blocks. Locals may use one another and
// functions, and nothing that belongs to a phone or a request.
func localValues(blocks hcl.Blocks, functions map[string]function.Function) (cty.Value, hcl.Diagnostics) {
	l := locals{
		functions: functions,
		attrs:     map[string]*hcl.Attribute{},
		values:    map[string]cty.Value{},
	}
	var names []string
	for _, b := range blocks {
		if b.Type != "locals" {
			continue
		}
		attrs, diags := anyAttributes(b.Body)
		l.diags = append(l.diags, diags...)
		for _, a := range attrs {
			if first, ok := l.attrs[a.Name]; ok {
				l.diags = append(l.diags, errorAt(a.NameRange, "Duplicate local", "%s has a value already, at %s.", a.Name, at(first.Range)))
				continue
			}
			l.attrs[a.Name] = a
			names = append(names, a.Name)
		}
	}
	for _, name := range names {
		l.evaluate(name, nil)
	}
	return cty.ObjectVal(l.values), l.diags
}

type locals struct {
	functions map[string]function.Function
	attrs     map[string]*hcl.Attribute
	values    map[string]cty.Value
	diags     hcl.Diagnostics
}

// evaluate sees to it that values has name, after whatever it refers to. path
// is the way that led here.
func (l *locals) evaluate(name string, path []string) {
	if _, done := l.values[name]; done {
		return
	}
	a := l.attrs[name]
	if i := slices.Index(path, name); i >= 0 {
		circle := append(slices.Clone(path[i:]), name)
		l.diags = append(l.diags, errorAt(a.Range, "Circle of locals", "These locals need one another: %s.", strings.Join(circle, " → ")))
		l.values[name] = cty.DynamicVal
		return
	}
	needed := map[string]cty.Value{}
	for _, t := range a.Expr.Variables() {
		if t.RootName() != "local" || len(t) < 2 {
			continue
		}
		step, ok := t[1].(hcl.TraverseAttr)
		if !ok {
			continue
		}
		if _, ok := l.attrs[step.Name]; !ok {
			continue // the evaluation below says so
		}
		l.evaluate(step.Name, append(slices.Clip(path), name))
		needed[step.Name] = l.values[step.Name]
	}
	if _, done := l.values[name]; done {
		return // it was found to be part of a circle
	}
	v, diags := a.Expr.Value(&hcl.EvalContext{
		Functions: l.functions,
		Variables: map[string]cty.Value{"local": cty.ObjectVal(needed)},
	})
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() {
		v = cty.DynamicVal
	}
	l.values[name] = v
}

func (s Server) object() cty.Value {
	address := ""
	if s.Address.IsValid() {
		address = s.Address.String()
	}
	return cty.ObjectVal(map[string]cty.Value{
		"url":     cty.StringVal(s.URL),
		"address": cty.StringVal(address),
		"domain":  cty.StringVal(s.Domain),
	})
}

// object is the phone as expressions see it: every part is a text, "" where it
// is not known. The MAC is spelled as in file names, 12 upper-case digits.
func (p Phone) object() map[string]cty.Value {
	address := ""
	if p.Address.IsValid() {
		address = p.Address.String()
	}
	return map[string]cty.Value{
		"mac":       cty.StringVal(p.MAC.Hex()),
		"model":     cty.StringVal(p.Model),
		"name":      cty.StringVal(p.Name),
		"address":   cty.StringVal(address),
		"firmware":  cty.StringVal(p.Firmware),
		"profile":   cty.StringVal(p.Profile),
		"extension": cty.StringVal(p.Extension),
	}
}

// unknownPhone stands for the phone in a profile that none uses.
func unknownPhone() cty.Value {
	object := Phone{MAC: mac.Addr{}}.object()
	for name := range object {
		object[name] = cty.UnknownVal(cty.String)
	}
	return cty.ObjectVal(object)
}
