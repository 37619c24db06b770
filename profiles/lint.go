package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

// lint warns of what phones will make nothing of, or something else than was
// meant. It sees each document's layers as they were evaluated, those of a
// profile once for each phone that has it.
type lint struct {
	l     *loader
	said  map[finding]bool
	reach map[hcl.Range]*reach
	order []*reach
	// what documents of the admin's own that all phones of a model load say, by
	// its name
	documents map[string][]setting
}

// finding is a warning that is the same for all phones, and is given once.
type finding struct {
	rule config.Rule
	rng  hcl.Range
}

// reach is which phones know a setting where it is written.
type reach struct {
	setting setting
	of      about
	known   bool   // by one of the phones that are sent it, or nobody can tell
	why     string // else
}

func newLint(l *loader) *lint {
	return &lint{l: l, said: map[finding]bool{}, reach: map[hcl.Range]*reach{}, documents: map[string][]setting{}}
}

// once warns of what is not of one phone alone.
func (t *lint) once(of about, rule config.Rule, rng hcl.Range, summary, detail string, args ...any) {
	f := finding{rule, rng}
	if t.said[f] {
		return
	}
	of.shared = true
	t.said[f] = t.l.warn(of, rule, rng, summary, detail, args...)
}

// general looks at the layers of a general file. m is the zero Model for those
// that all models share.
func (t *lint) general(own, whole layer, m Model) {
	of := about{model: m.Name}
	t.settings(own, of, m, "", true)
	t.files(own, t.l.readAll(own.files), of, m, "", true)
	t.whole(own, whole, of, m)
}

// phone looks at what was tried of one phone, beside the general file that it
// loads before. whole says that no value is missing for an error that was reported.
func (t *lint) phone(p *phone, tried tried, general layer, m Model, whole bool) {
	of := about{phone: p}
	own := tried.own
	t.settings(own, of, m, t.l.set.runs(p, m), false)
	said := t.files(own, tried.read, of, m, t.l.set.runs(p, m), false)
	if whole {
		t.identities(own, general, said, of, m)
	}
	t.flags(own, general, of)
	t.keysTwice(append([]layer{general}, tried.layers...), of)
	t.whole(own, own.over(general), of, m)
}

// unused looks at a profile that no phone has.
func (t *lint) unused(l layer) {
	t.settings(l, about{}, Model{}, "", false)
	t.files(l, t.l.readAll(l.files), about{}, Model{}, "", false)
}

// files looks for the files that a layer names, and gives the settings in those that
// are documents, which were read.
func (t *lint) files(l layer, read []*checkedFile, of about, m Model, version string, general bool) []setting {
	var said []setting
	for i, f := range l.files {
		said = append(said, t.file(f, read[i], of, m, version, general)...)
	}
	for _, u := range l.uploads {
		if u.file != "" {
			t.l.stat(of, u.source.rng, u.file)
		}
	}
	for _, c := range l.certificates {
		if c.file != "" {
			t.l.stat(of, c.source.rng, c.file)
		}
	}
	for _, language := range slices.Concat(l.gui, l.web) {
		if language.file != "" {
			t.l.stat(of, language.source.rng, language.file)
		}
	}
	return said
}

// runs gives the version that a phone is to run, "" where the configuration does
// not say.
func (s *Set) runs(p *phone, m Model) string {
	if text := s.wanted(p, m.Name).text; text != "" && '0' <= text[0] && text[0] <= '9' && !IsImage(text) {
		return text
	}
	return ""
}

func (t *lint) settings(l layer, of about, m Model, version string, general bool) {
	for _, s := range l.settings {
		of.setting = s.name
		known := t.l.set.settings.byName[s.name]
		if known == nil {
			t.unknown(s, of, m)
			continue
		}
		t.rules(s, known, of)
		t.index(s, known, of, m)
		t.value(s, known, of)
		t.reaches(s, known, of, m, version)
		if general && known.Secret && s.value.text != "" {
			t.once(of, ruleOpenSecret, s.source.rng, "Password in a general document",
				"%s is a password, and the default profile and the models make documents that every phone, and whoever asks, may read. Set it in a profile that phones name, or in the phone.", s.name)
		}
	}
}

func (t *lint) unknown(s setting, of about, m Model) {
	near := t.l.set.settings.suggest(s.name)
	if m.Family == "DECT" && near == "" {
		return // the catalogue has few of their settings
	}
	name := strings.TrimRight(s.name, "0123456789")
	if known := t.l.set.settings.byName[name]; known != nil && name != s.name && known.Index != "" {
		near = fmt.Sprintf(" Write %s with an idx, or in an identity: the number is no part of the name.", name)
	}
	t.once(of, ruleUnknownSetting, s.source.rng, "Unknown setting", "No phone is known to have a setting called %s.%s "+
		`If yours has it, say so with setting %q { meaning = "…" }.`, s.name, near, s.name)
}

// rules warns of what the maker asks not to provision (mass deployment guide,
// slide 9), and of what makes trouble in the field.
func (t *lint) rules(s setting, known *Setting, of about) {
	warn := func(summary, detail string) {
		t.once(of, known.Rule, s.source.rng, summary, detail, s.name)
	}
	switch known.Rule {
	case ruleNetworkSetting:
		if len(t.l.cfg.Networks) > 0 {
			warn("Network setting beside DHCP", "%s comes to the phone by DHCP from this appliance. Set here, it outlives what the network block says. Take it out.")
		}
	case ruleFirmwareSetting:
		warn("Firmware setting", "%s makes the phone load an image past firmware_status. Use firmware = \"…\" in a model, profile or phone.")
	case ruleInternalSetting:
		warn("Internal setting", "%s is the phone's own business, and the maker asks not to provision it. Take it out.")
	case ruleSettingServer:
		warn("Setting server outside a redirect", "%s sends the phone elsewhere at its next start. Use redirect = \"…\" in its phone block if that is meant.")
	case rulePhoneType:
		warn("Setting that breaks provisioning", "With %s set the phone asks for file names that do not exist. Take it out.")
	case ruleAdminLocked:
		if textFlag(s.perm) == "&" {
			warn("Admin locked out", "%s is read-only with this flag, so nobody can log in as admin at the phone. Use perm = \"RW\".")
		}
	}
}

// index warns of an idx where there is none, of one that is missing, and of one
// of an identity that the model does not have.
func (t *lint) index(s setting, known *Setting, of about, m Model) {
	inIdentity := strings.HasPrefix(s.source.word, "identity ")
	switch {
	case known.Index == "identity" && s.index == noIndex:
		write := `Write it in identity "1" { settings { … } }, or as a list for identities 1, 2, ….`
		switch s.source.word {
		case wordElement:
			write = `Give it idx="1", or the number of another identity.`
		case wordLine:
			write = fmt.Sprintf("Write %s1, or the number of another identity behind it.", s.name)
		}
		t.once(of, ruleIdentitySetting, s.source.rng, "Setting of an identity", "%s is of one identity. %s", s.name, write)
	case known.Index == "" && inIdentity:
		t.once(of, ruleIdentitySetting, s.source.rng, "Setting of the phone in an identity",
			"%s is of the phone as a whole, which an identity cannot have for itself. Move it to the settings block outside.", s.name)
	case known.Index == "" && s.index != noIndex:
		t.once(of, ruleSettingIndex, s.source.rng, "Setting without an idx", "The phone has one %s and no list of them, so it takes no idx. %s", s.name, s.source.without())
	case (known.Index == "identity" || known.Index == "list1") && s.index == 0:
		t.once(of, ruleSettingIndex, s.source.rng, "Invalid idx", "The idx of %s counts from 1. Write 1 where the first is meant.", s.name)
	case (known.Index == "list0" || known.Index == "list1") && s.index == noIndex:
		first := known.Index[len("list"):]
		write := fmt.Sprintf("{ value = …, idx = %s }", first)
		switch s.source.word {
		case wordElement:
			write = fmt.Sprintf("idx=%q", first)
		case wordLine:
			write = s.name + first
		}
		t.once(of, ruleSettingIndex, s.source.rng, "Missing idx", "%s is a list whose idx counts from %s. Say which one is meant: %s.", s.name, first, write)
	case known.Index == "identity" && m.Identities > 0 && s.index > m.Identities && m.Family != "DECT":
		t.l.warn(of, ruleIdentityBeyond, s.source.rng, "Identity beyond the model's",
			"%s has %d identities, so that there is no %s. Take it out, or write one of the numbers 1 to %d.", m.Name, m.Identities, s.describe(), m.Identities)
	}
}

// value warns of a value that the setting does not take. A secret one is not
// looked at, so that nothing is told of it; what a word such as ldap writes, the
// word has looked at.
func (t *lint) value(s setting, known *Setting, of about) {
	if s.value.secret || s.value.markup || known.Secret || !s.source.bySetting() {
		return
	}
	wrong := known.wrongValue(s.value.text)
	if wrong == "" {
		return
	}
	shown := s.value.text
	if r := []rune(shown); len(r) > 80 {
		shown = string(r[:80]) + "…"
	}
	consequence := ""
	if known.Wrong != "" {
		consequence = " " + strings.TrimSuffix(known.Wrong, ".") + "."
	}
	t.l.warn(of, ruleWrongValue, s.source.rng, "Wrong value", "%q is no value of %s: it %s%s", shown, s.name, wrong, consequence)
}

// reaches notes whether the phone of whom the layer is knows the setting. Where
// a profile is that of several, it is enough that one does.
func (t *lint) reaches(s setting, known *Setting, of about, m Model, version string) {
	if known.Since == "" && known.Until == "" && len(known.Models) == 0 {
		return
	}
	r := t.reach[s.source.rng]
	if r == nil {
		r = &reach{setting: s, of: of}
		t.reach[s.source.rng] = r
		t.order = append(t.order, r)
	}
	if why := known.unknownTo(m, version); why == "" {
		r.known = true
	} else if r.why == "" {
		r.why = why
	}
}

// finish warns of what only all phones together show.
func (t *lint) finish() {
	for _, r := range t.order {
		if !r.known {
			t.once(r.of, ruleUnsupportedSetting, r.setting.source.rng, "Setting that no phone knows", "%s: %s. Take it out, or set it where phones know it.", r.setting.name, r.why)
		}
	}
}

// identities warns of identities that cannot register. said is what documents of
// the phone's own layers say, which it loads last.
func (t *lint) identities(own, general layer, said []setting, of about, m Model) {
	var users []setting
	for _, s := range own.settings {
		if s.name == "user_name" && s.value.text != "" && s.index > 0 {
			users = append(users, s)
		}
	}
	if len(users) == 0 || own.laterFiles {
		return // the rest may be in a document that is not known yet
	}
	has := map[settingID]bool{}
	for _, list := range [][]setting{general.settings, t.generalDocuments(general, m), own.settings, said} {
		for _, s := range list {
			switch s.name {
			case "user_pass", "user_hash", "user_host", "user_active":
				has[s.id()] = s.value.text != "" && s.value.text != "off"
			}
		}
	}
	maps.Copy(has, general.later)
	maps.Copy(has, own.later)
	for _, s := range users {
		if active, said := has[settingID{"user_active", s.index}]; said && !active {
			continue
		}
		if !has[settingID{"user_pass", s.index}] && !has[settingID{"user_hash", s.index}] {
			t.l.warn(of, ruleNoPassword, s.source.rng, "Identity without a password",
				"Identity %d has a user and no password, so no registrar that asks for one will take it. Set password in the identity, or user_pass in a document of yours.", s.index)
		}
		if !has[settingID{"user_host", s.index}] {
			t.l.warn(of, ruleNoRegistrar, s.source.rng, "Identity without a registrar",
				"Identity %d has a user and no registrar, so it registers nowhere. Set registrar in the identity, or user_host in a document of yours.", s.index)
		}
	}
}

// generalDocuments gives what documents of the general layer of a model say. What is
// wrong with them was said before.
func (t *lint) generalDocuments(general layer, m Model) []setting {
	said, known := t.documents[m.Name]
	if known {
		return said
	}
	for _, f := range general.files {
		said = append(said, t.l.read(f).settings(t.l.set.settings, f.source)...) // none of one that a phone drops
	}
	t.documents[m.Name] = said
	return said
}

// flags warns where a value is the user's by the phone's file and not by the
// general one. The phone loads both at each provisioning, the general one first:
// it takes away what the user changed, and what the phone's own file says is then
// not written, because the user changed it once.
func (t *lint) flags(own, general layer, of about) {
	for _, s := range own.settings {
		if textFlag(s.perm) != "!" {
			continue
		}
		i := slices.IndexFunc(general.settings, func(g setting) bool { return g.id() == s.id() })
		if i < 0 || textFlag(general.settings[i].perm) == "!" {
			continue
		}
		of.setting = s.name
		t.once(of, ruleFlagConflict, s.source.rng, "Flags that work against each other",
			"With perm = \"!\" a value that the user changed is left alone, but the general file, which comes first, overwrites %s each time (%s). Give it perm = \"!\" there too, or set it in one place.",
			s.describe(), at(general.settings[i].source.rng))
	}
}

// keysTwice warns where a stronger layer changes a key of a weaker one.
func (t *lint) keysTwice(layers []layer, of about) {
	keys := 0
	for _, l := range layers {
		keys += len(l.keys)
	}
	if keys == 0 {
		return
	}
	first := make(map[int]key, keys)
	for _, l := range layers {
		for _, k := range l.keys {
			weak, ok := first[k.index]
			first[k.index] = k
			if ok && !weak.same(k) {
				t.once(of, ruleKeyTwice, k.source.rng, "Key set twice",
					"Key %d is another one in a weaker layer, at %s, and this takes its place. Leave out one of the two.", k.index, at(weak.source.rng))
			}
		}
	}
}

// whole looks at what the phone has from a file and those before it: whole is
// everything, own what stands in layers that were not looked at yet.
func (t *lint) whole(own, whole layer, of about, m Model) {
	t.keys(own, of, m)
	t.templates(own, whole, of)
	t.languages(own, whole, of)
	t.phonebook(whole, of, m)
}

func (t *lint) keys(own layer, of about, m Model) {
	if m.Keys == 0 {
		return
	}
	last, with := m.Keys-1, ""
	if m.Modules > 0 {
		last += m.Modules * m.moduleKeys()
		with = fmt.Sprintf(", those of %d expansion modules among them", m.Modules)
	}
	for _, k := range own.keys {
		if k.index > last {
			t.l.warn(of, ruleKeyBeyond, k.source.rng, "Key beyond the model's", "%s has the keys 0 to %d%s, so that there is no key %d. Take it out, or correct keys and modules in the model block.", m.Name, last, with, k.index)
		}
	}
}

// phonebook warns of entries for which the phone has no room, where the first of
// them is written.
func (t *lint) phonebook(whole layer, of about, m Model) {
	limit := m.PhonebookLimit
	if limit == 0 {
		return
	}
	if e := whole.everyone; e != nil {
		if t.said[finding{rulePhonebookFull, e.source.rng}] || len(whole.contacts)+len(t.l.set.phones) <= limit {
			return
		}
		whole = t.l.set.complete(whole, nil, of.phone)
	}
	if n := len(whole.contacts); n > limit {
		t.once(of, rulePhonebookFull, whole.contacts[limit].source.rng, "Phone book that is too long",
			"%s takes %d entries, and its phone book has %d: the phone leaves out those from here on. Let it search a directory instead (ldap).", m.Name, limit, n)
	}
}

// templates warns of those that never match, because the phone dials before.
func (t *lint) templates(own, whole layer, of about) {
	for _, b := range own.templates {
		if why := impossible(b.match); why != "" {
			t.once(of, ruleDeadTemplate, b.source.rng, "Template that never matches", "Nobody can dial %q: %s. Correct its match, or take it out.", b.match, why)
			continue
		}
		for _, a := range whole.templates {
			if a.timeout == "0" && a.match != b.match && impossible(a.match) == "" && shadows(a.match, b.match) {
				t.once(of, ruleDeadTemplate, b.source.rng, "Template that never matches",
					"The phone never gets to %q: %q (%s) has timeout = 0, so the number is dialled as soon as that matches. Give that one a timeout.", b.match, a.match, at(a.source.rng))
				break
			}
		}
	}
}

// languages warns of a language that no file brings. Without any files phones
// have those of their firmware.
func (t *lint) languages(own, whole layer, of about) {
	for _, s := range own.settings {
		var list []language
		switch s.name {
		case "language":
			list = whole.gui
		case "web_language":
			list = whole.web
		}
		value := s.value.text
		if len(list) == 0 || value == "" || strings.HasPrefix(value, "English") || slices.ContainsFunc(list, func(l language) bool { return l.name == value }) {
			continue
		}
		names := make([]string, len(list))
		for i, l := range list {
			names[i] = l.name
		}
		of.setting = s.name
		t.l.warn(of, ruleMissingLanguage, s.source.rng, "Language without a file",
			"%s is %q, and the languages block has %s.%s Add its file there, or set one of these: phones with a firmware before V10 stay in English.", s.name, value, strings.Join(names, ", "), didYouMean(value, names))
	}
}
