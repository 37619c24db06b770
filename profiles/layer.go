package profiles

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// source is where a value was written, kept with every value so that warnings
// and explanations can point at it.
type source struct {
	layer string // "profile desk", "phone anna"
	word  string // the block that wrote it: "settings", "identity 1", "ldap"; wordElement, wordLine
	rng   hcl.Range
}

// The words of what the admin's own documents say: an element of XML, a line of the
// plain format.
const (
	wordElement = "element"
	wordLine    = "line"
)

// without says how to take an idx away.
func (s source) without() string {
	switch s.word {
	case wordElement:
		return "Take the idx out."
	case wordLine:
		return "Take the number out of its name."
	}
	return "Give it one value."
}

// bySetting reports whether a settings block or a document of the admin's wrote the
// value, and no word.
func (s source) bySetting() bool {
	rest, identity := strings.CutPrefix(s.word, "identity ")
	return s.word == "settings" || s.word == wordElement || s.word == wordLine || identity && !strings.Contains(rest, " ")
}

// value is a text for a phone; a secret one is masked wherever it is shown.
type value struct {
	text   string
	secret bool
	markup bool // text is XML, to be written as it is
}

// noIndex is the index of a setting that has none.
const noIndex = -1

// setting is one line of <phone-settings>.
type setting struct {
	name   string
	index  int // noIndex, or from 0
	perm   string
	value  value
	weak   bool // follows from another word: gives way to any layer that says it itself
	source source
}

// key is one function key.
type key struct {
	index       int
	action      string // "line", "blf", …: the first word of the element's text
	value       value  // the rest of it, as far as it is no pickup code
	raw         bool   // the value is the whole of the element's text, action is ""
	extension   bool   // the value is but an extension, of the identity's registrar
	brackets    bool   // the firmware wants a SIP URI within < and >
	pickup      string // what is dialled to pick up a call, after a |
	context     string
	label       value
	shortLabel  value
	defaultText value
	longPress   value
	more        []attr // attributes of the element that have no word
	perm        string
	source      source
}

// contact is one entry of the phone book.
type contact struct {
	name, firstName, lastName, number value
	numberType, kind, context         string
	favourite                         bool // only version 2.0 of a phone book tells
	generated                         bool // for everyone: gives way to another layer's everyone
	source                            source
}

// template is one line of the dial plan.
type template struct {
	match         string
	timeout       string // seconds, or "" where not said
	user, rewrite value
	source        source
}

// language is a file of the phone's display or web pages.
type language struct {
	name   string
	url    value
	file   string // its path under files_dir, "" where it is elsewhere
	source source
	// phrases are the texts of a language that the configuration itself holds;
	// then url and file are "", as the link depends on whose list it is in.
	phrases []phrase
}

// layer is what one block says, or several of them merged, with every
// expression evaluated.
type layer struct {
	settings  []setting
	keys      []key
	contacts  []contact
	templates []template
	gui, web  []language

	certificates []certificate
	uploads      []upload
	files        []adminFile
	everyone     *everyone          // nil where not said
	later        map[settingID]bool // settings whose values are not known before the phone says which model it is
	laterFiles   bool               // likewise, there are documents
}

// over lays l upon weaker layers: what l says wins, by setting and index, by
// key, by the name of a contact, by the match of a template, by language. Order
// is that of first appearance.
func (l layer) over(weaker layer) layer {
	return layer{
		settings:  overSettings(weaker.settings, l.settings),
		keys:      overBy(weaker.keys, l.keys, func(k key) int { return k.index }),
		contacts:  overContacts(weaker.contacts, l.contacts),
		templates: overTemplates(weaker.templates, l.templates),
		gui:       overBy(weaker.gui, l.gui, languageName),
		web:       overBy(weaker.web, l.web, languageName),
		everyone:  cmp.Or(l.everyone, weaker.everyone),

		certificates: overBy(weaker.certificates, l.certificates, func(c certificate) string { return c.name }),
		uploads:      overBy(weaker.uploads, l.uploads, func(u upload) string { return u.kind }),
		files:        overBy(weaker.files, l.files, func(f adminFile) string { return strings.ToLower(f.name) }),
		later:        overLater(weaker.later, l.later),
		laterFiles:   l.laterFiles || weaker.laterFiles,
	}
}

func overLater(weak, strong map[settingID]bool) map[settingID]bool {
	if len(weak) == 0 {
		return strong
	}
	merged := maps.Clone(weak)
	maps.Copy(merged, strong)
	return merged
}

// merge lays each layer upon those before it.
func merge(layers []layer) layer {
	var merged layer
	for _, l := range layers {
		merged = l.over(merged)
	}
	return merged
}

// size estimates what l takes in memory.
func (l layer) size() int {
	const item = 400 // its struct, with the place that it came from and short texts
	more := 0
	for _, list := range [][]language{l.gui, l.web} {
		for _, language := range list {
			more += len(language.phrases) * item / 2
		}
	}
	for _, c := range l.certificates {
		more += len(c.base64)
	}
	for _, f := range l.files {
		more += f.size()
	}
	return more + item*(1+len(l.certificates)+len(l.uploads)+len(l.files)+len(l.settings)+len(l.keys)+len(l.contacts)+len(l.templates)+len(l.gui)+len(l.web))
}

func languageName(l language) string { return l.name }

// overBy replaces the items of weak that have an item of strong with the same
// identity, in place, and appends the rest of strong. Neither slice changes.
func overBy[T any, K comparable](weak, strong []T, identity func(T) K) []T {
	return overUnless(weak, strong, identity, func(T) bool { return false })
}

// overUnless is overBy, but that an item of strong which yields replaces none.
func overUnless[T any, K comparable](weak, strong []T, identity func(T) K, yields func(T) bool) []T {
	if len(weak) == 0 {
		return strong
	}
	if len(strong) == 0 {
		return weak
	}
	merged := append(make([]T, 0, len(weak)+len(strong)), weak...)
	at := make(map[K]int, len(weak))
	for i, item := range weak {
		at[identity(item)] = i
	}
	for _, item := range strong {
		i, ok := at[identity(item)]
		switch {
		case !ok:
			merged = append(merged, item)
		case !yields(item):
			merged[i] = item
		}
	}
	return merged
}

// settingID is what the phone tells settings apart by.
type settingID struct {
	name  string
	index int
}

func (s setting) id() settingID { return settingID{s.name, s.index} }

func overSettings(weak, strong []setting) []setting {
	return overUnless(weak, strong, setting.id, func(s setting) bool { return s.weak })
}

func overTemplates(weak, strong []template) []template {
	return overBy(weak, strong, func(t template) string { return t.match })
}

// overContacts differs from overBy in that a person may have several entries
// in one layer: all of a name go when a stronger layer has the name.
func overContacts(weak, strong []contact) []contact {
	if len(weak) == 0 {
		return strong
	}
	if len(strong) == 0 {
		return weak
	}
	named := make(map[string]bool, len(strong))
	for _, c := range strong {
		named[c.name.text] = true
	}
	kept := slices.DeleteFunc(slices.Clone(weak), func(c contact) bool { return named[c.name.text] })
	return append(kept, strong...)
}
