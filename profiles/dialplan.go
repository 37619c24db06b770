package profiles

import (
	"strconv"
)

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
