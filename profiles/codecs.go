package profiles

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// codecNumbers are the codecs that sources name, and their numbers in the
// settings of firmware before V7, -1 where it has none.
var codecNumbers = map[string]int{
	"pcmu": 0, "pcma": 8, "gsm": 3, "g722": 9, "g729": 18, "g726-32": 2, "g723": 4,
	"aal2-g726-32": -1, "amr-0": -1, "amrwb-0": -1, "opus": -1, telephoneEvent: -1,
}

// telephoneEvent carries key presses (RFC 4733) and belongs into every list.
const telephoneEvent = "telephone-event"

var codecAliases = map[string]string{"ulaw": "pcmu", "alaw": "pcma", "g711u": "pcmu", "g711a": "pcma", "g726": "g726-32"}

// identitiesOf is how many identities a model of which nothing is known may have.
const identitiesOf = 12

// codecs writes the codecs of all identities, the preferred one first; an
// identity with codecs of its own keeps those.
func (e *evaluator) codecs(a *hcl.Attribute) {
	n := e.model.Identities
	if n == 0 {
		n = identitiesOf
	}
	list, ok := e.codecList(a)
	for index := 1; ok && index <= n; index++ {
		e.codecSettings(list, index, a.Range)
	}
}

// codecList reads and checks a list of codecs.
func (e *evaluator) codecList(a *hcl.Attribute) ([]string, bool) {
	names, ok := e.list(a)
	if !ok {
		return nil, false
	}
	var list []string
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if alias := codecAliases[name]; alias != "" {
			name = alias
		}
		switch {
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "":
			e.fail(a.Expr.Range(), "Invalid codec", "codecs takes a list of names such as [\"g722\", \"pcma\"], not %q.", name)
			return nil, false
		case slices.Contains(list, name):
			e.fail(a.Expr.Range(), "Duplicate codec", "%s comes twice.", name)
			return nil, false
		}
		if _, known := codecNumbers[name]; !known {
			known := slices.Sorted(maps.Keys(codecNumbers))
			e.warn(ruleUnknownCodec, a.Expr.Range(), "Unknown codec", "No source has a codec %q.%s Write one of %s.", name, didYouMean(name, known), strings.Join(known, ", "))
		}
		list = append(list, name)
	}
	return list, true
}

// codecSettings writes the codecs of one identity, unless it has said them.
func (e *evaluator) codecSettings(list []string, index int, rng hcl.Range) {
	add := func(name, text string) {
		s := setting{name: name, index: index, value: value{text: text}, source: e.source(rng)}
		if _, said := e.said[s.id()]; !said {
			e.add(s)
		}
	}
	if e.major >= 7 {
		if !slices.Contains(list, telephoneEvent) {
			list = append(slices.Clip(list), telephoneEvent)
		}
		add("codec_priority_list", strings.Join(list, ","))
		return
	}
	place := 0
	for _, name := range list {
		if n, ok := codecNumbers[name]; ok && n >= 0 {
			place++
			add("codec"+strconv.Itoa(place)+"_name", strconv.Itoa(n))
		}
	}
}
