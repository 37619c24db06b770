package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

var settingSchema = schema(attributes("meaning", "type", "values", "min", "max", "idx", "since", "until", "models", "secret", "wrong"))

// settingsOf reads the setting blocks: each adds a setting to the catalogue, or
// says differently what it says of one.
func (l *loader) settingsOf(blocks hcl.Blocks) {
	builtin, err := builtinSettings()
	if err != nil {
		l.fail(hcl.Range{Filename: "builtin/settings.csv"}, "Invalid settings catalogue", "%v", err)
	}
	l.set.settings = builtin
	said := map[string]hcl.Range{}
	for _, b := range blocks {
		if b.Type != "setting" {
			continue
		}
		name := b.Labels[0]
		if first, ok := said[name]; ok {
			l.fail(b.LabelRanges[0], "Duplicate setting", "The setting %s is described already, at %s.", name, at(first))
			continue
		}
		if len(said) == 0 {
			l.set.settings.byName = maps.Clone(builtin.byName)
		}
		said[name] = b.LabelRanges[0]
		l.settingBlock(b)
	}
	if len(said) > 0 {
		l.set.settings.names = slices.Sorted(maps.Keys(l.set.settings.byName))
	}
}

func (l *loader) settingBlock(b *hcl.Block) {
	content, diags := b.Body.Content(settingSchema)
	l.problems.add(diags)
	s := Setting{Name: b.Labels[0], Own: true}
	if known := l.set.settings.byName[s.Name]; known != nil {
		s = *known
		s.Own = true
	}
	for name, to := range map[string]*string{
		"meaning": &s.Meaning, "type": &s.Type, "idx": &s.Index, "since": &s.Since, "until": &s.Until, "wrong": &s.Wrong, "min": &s.Min, "max": &s.Max,
	} {
		if content.Attributes[name] != nil {
			*to = l.word(content.Attributes, name)
		}
	}
	if content.Attributes["secret"] != nil {
		s.Secret = l.word(content.Attributes, "secret") == "on"
	}
	if a := content.Attributes["models"]; a != nil {
		list, ok := l.valueList(a)
		if !ok {
			return
		}
		s.Models = nil
		for _, v := range list {
			s.Models = append(s.Models, v.Value)
		}
	}
	if a := content.Attributes["values"]; a != nil {
		var ok bool
		if s.Values, ok = l.valueList(a); !ok {
			return
		}
		if content.Attributes["type"] == nil && !slices.Contains([]string{"word", "words", "codecs", "keyevent", "timezone"}, s.Type) {
			s.Type = "word"
		}
	}
	switch {
	case s.Type != "":
	case s.Min != "" || s.Max != "":
		s.Type = "number"
	default:
		s.Type = "text"
	}
	if err := s.check(); err != nil {
		l.fail(b.LabelRanges[0], "Invalid setting", "%s: %v.", s.Name, err)
		return
	}
	l.set.settings.byName[s.Name] = &s
}

// valueList reads a list of values, or an object of values and their meanings. It
// is false where that is wrong, and was reported.
func (l *loader) valueList(a *hcl.Attribute) (list []SettingValue, ok bool) {
	e := evaluator{ctx: l.scope}
	defer func() { l.problems.add(e.diags) }()
	v, ok := e.eval(a.Expr)
	if !ok {
		return nil, false
	}
	v, marks := v.UnmarkDeep()
	if isSecret(marks) || !v.IsWhollyKnown() || v.IsNull() || !v.CanIterateElements() {
		e.fail(a.Expr.Range(), "Wrong type of value", "%s takes a list of texts.", a.Name)
		return nil, false
	}
	object := v.Type().IsObjectType() || v.Type().IsMapType()
	for it := v.ElementIterator(); it.Next(); {
		key, element := it.Element()
		switch text, ok := e.scalar(element, false, a.Name, a.Expr.Range()); {
		case !ok:
			return nil, false
		case object:
			list = append(list, SettingValue{key.AsString(), text.text})
		default:
			list = append(list, SettingValue{Value: text.text})
		}
	}
	return list, true
}

// Settings lists what is known of settings, sorted by name.
func (s *Set) Settings() []Setting { return s.settings.list() }

// NewSet gives the Set of no configuration: what the program knows by itself.
func NewSet() (*Set, error) {
	c, err := builtinSettings()
	return &Set{settings: c}, err
}

func (c settings) list() []Setting {
	list := make([]Setting, len(c.names))
	for i, name := range c.names {
		list[i] = *c.byName[name]
	}
	return list
}

// glued takes the name in a line of the plain format apart, where an idx stands
// right behind the name: a name that the catalogue has as a whole has none. What it
// does not have stays as it was read.
func (c settings) glued(name string, index int) (string, int) {
	whole := name
	if index != noIndex {
		whole += strconv.Itoa(index)
	}
	if c.byName[whole] != nil {
		return whole, noIndex
	}
	base := strings.TrimRight(whole, "0123456789")
	if n, err := strconv.ParseUint(whole[len(base):], 10, 16); err == nil && c.byName[base] != nil {
		return base, int(n)
	}
	return name, index
}

// suggest gives a sentence on what was meant by a name that is not in the
// catalogue.
func (c settings) suggest(name string) string {
	// Of so many names, one is near to anything.
	if near := config.Suggest(name, c.names); near != "" && config.Distance(name, near) <= max(1, len(name)/4) {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}
