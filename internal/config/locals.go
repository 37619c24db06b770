package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// scope gives the names that the blocks of this package may use: local. The
// names that have a value per phone are there too, without one, so that their
// use is an error that says so, not an unknown variable. What is wrong with a
// local value is for package profiles to report; here it has no value.
func scope(blocks hcl.Blocks, functions map[string]function.Function) map[string]cty.Value {
	l := locals{
		exprs:  make(map[string]hcl.Expression),
		values: make(map[string]cty.Value),
		ctx: &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{
			"phone": cty.DynamicVal, "phones": cty.DynamicVal, "server": cty.DynamicVal, "each": cty.DynamicVal,
		}},
	}
	for _, block := range blocks {
		attributes, _ := block.Body.JustAttributes()
		for name, attr := range attributes {
			l.exprs[name] = attr.Expr
		}
	}
	for name := range l.exprs {
		l.resolve(name)
	}
	variables := map[string]cty.Value{"local": cty.ObjectVal(l.values)}
	for name, v := range l.ctx.Variables {
		variables[name] = v
	}
	return variables
}

type locals struct {
	exprs  map[string]hcl.Expression
	values map[string]cty.Value
	ctx    *hcl.EvalContext
}

// resolve evaluates a local value after those that it refers to. One that leads
// back to itself has no value.
func (l *locals) resolve(name string) {
	if _, done := l.values[name]; done {
		return
	}
	l.values[name] = cty.DynamicVal
	expr := l.exprs[name]
	needs := make(map[string]cty.Value)
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" || len(traversal) < 2 {
			continue
		}
		if step, ok := traversal[1].(hcl.TraverseAttr); ok && l.exprs[step.Name] != nil {
			l.resolve(step.Name)
			needs[step.Name] = l.values[step.Name]
		}
	}
	ctx := l.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"local": cty.ObjectVal(needs)}
	if v, diags := expr.Value(ctx); !diags.HasErrors() {
		l.values[name] = v
	}
}
