package profiles

import (
	"slices"
	"strings"
)

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
