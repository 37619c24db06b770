package profiles

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// plan reads what a dial plan says without templates.
func (e *evaluator) plan(attrs hcl.Attributes) {
	add := func(t template) {
		if !slices.ContainsFunc(e.out.templates, func(other template) bool { return other.match == t.match }) {
			e.out.templates = append(e.out.templates, t)
		}
	}
	if a := attrs["emergency"]; a != nil {
		numbers, _ := e.list(a)
		for _, number := range numbers {
			if number == "" || strings.Trim(number, "0123456789*#") != "" {
				e.fail(a.Expr.Range(), "Invalid number", "emergency takes numbers as they are dialled, such as [\"112\", \"110\"], not %q.", number)
				continue
			}
			add(template{match: number, timeout: "0", source: e.source(a.Range)})
		}
		if len(numbers) > 0 {
			// These can be dialled while the keyboard is locked.
			e.written("keyboard_lock_emergency", strings.Join(numbers, " "), a.Range)
		}
	}
	if a := attrs["timeout"]; a != nil {
		if timeout := e.open(attrs, "timeout", ""); timeout != "" {
			if e.checkTimeout(attrs, timeout) {
				add(template{match: "*", timeout: timeout, source: e.source(a.Range)})
			}
		}
	}
}

func (e *evaluator) checkTimeout(attrs hcl.Attributes, text string) bool {
	_, err := numberIn(0, 65535)(text)
	if err != nil {
		e.fail(attrs["timeout"].Expr.Range(), "Invalid timeout", "timeout takes a whole number of seconds, from 0 to 65535, not %q.", text)
	}
	return err == nil
}

func (e *evaluator) template(b named) {
	t := template{match: b.label, timeout: e.open(b.attrs, "timeout", ""), source: e.source(b.rng)}
	e.checkLabel(b)
	t.user, _ = e.text(b.attrs, "user")
	t.rewrite, _ = e.text(b.attrs, "rewrite")
	if t.timeout != "" {
		e.checkTimeout(b.attrs, t.timeout)
	}
	for _, other := range e.out.templates {
		if other.match == t.match {
			e.fail(b.rng, "Duplicate template", "This layer has a template for %q already, at %s.", t.match, at(other.source.rng))
			return
		}
	}
	e.out.templates = append(e.out.templates, t)
}

// impossible says why nobody can dial what a template matches, "" where somebody
// can. Letters are dialled too: they stand for what is typed as text.
func impossible(match string) string {
	switch {
	case strings.Trim(match, ",") == "":
		return "it has no digit"
	case strings.ContainsAny(match, " \t\r\n"):
		return "there is no key for a blank"
	}
	return ""
}

// shadows reports whether every number that match b fits has a beginning that
// match a fits, where a dials at once. In a match a full stop is one character,
// an asterisk is one or more, and a comma is the second dial tone and no
// character (Features/Dial_Plan/XML of the maker's wiki).
func shadows(a, b string) bool {
	a, b = strings.ReplaceAll(a, ",", ""), strings.ReplaceAll(b, ",", "")
	// An asterisk is there with its first character, after which a dials.
	first, _, endless := strings.Cut(a, "*")
	if endless {
		first += "."
	}
	if len(first) >= len(b) {
		return false
	}
	for i := range len(first) {
		switch {
		case b[i] == '*':
			// One character or more: what comes after the first one is open.
			return first[i] == '.' && i == len(first)-1
		case first[i] != '.' && first[i] != b[i]:
			return false
		}
	}
	return true
}
