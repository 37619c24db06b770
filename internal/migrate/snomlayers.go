package migrate

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"dialtone/internal/phonefile"
)

// layOut decides which layer says what.
func (s *snom) layOut() {
	for _, g := range s.groups {
		g.layer = s.common(g)
		g.shared = s.sharedSecrets(g)
	}
	s.joinShared()
	s.takeBase()
	for _, g := range s.groups {
		for _, p := range g.phones {
			if p.redirect == "" {
				p.layer = s.own(p, over(g.layer, s.base))
			}
		}
	}
	s.names()
}

// set gives the phones of a group that are set to something by us.
func (g *snomGroup) set() []*snomPhone {
	return slices.DeleteFunc(slices.Clone(g.phones), func(p *snomPhone) bool { return p.redirect != "" })
}

// everywhere reports whether all of the phones have a thing.
func everywhere(phones []*snomPhone, has func(*snomState) bool) bool {
	return !slices.ContainsFunc(phones, func(p *snomPhone) bool { return !has(&p.state) })
}

// several is how many phones have to share what no general file of the folder
// says, for it to be more than a coincidence.
const several = 2

// ofOnePhone are settings that name a phone or its user. They stay with the
// phone whoever shares them.
var ofOnePhone = []string{"user_name", "user_pname", "user_pass", "user_hash", "user_realname", "user_idle_text", "user_mailbox", "phone_name"}

var secretName = regexp.MustCompile(`(?i)(pass|passwd|password|_pin|secret|user_hash|_psk|private_key)(_confirm)?$`)

// isSecret tells what no file may hold that every phone can read.
func (s *snom) isSecret(v phonefile.Setting) bool {
	return !s.options.InPlace && v.Value != "" && secretName.MatchString(v.Name)
}

// common gives what the phones of a group share: what their general file says,
// and what several of them have alike.
func (s *snom) common(g *snomGroup) snomLayer {
	phones := g.set()
	var l snomLayer
	known := map[phonefile.ID]bool{}
	for _, v := range g.general.memory.Settings {
		known[v.ID()] = true
		if !s.isSecret(v) {
			l.settings = append(l.settings, v)
		}
	}
	l.keys = slices.Clone(g.general.memory.Keys)
	l.contacts = slices.DeleteFunc(slices.Clone(g.general.contacts), func(c phonefile.Contact) bool {
		return !everywhere(phones, func(o *snomState) bool { return hasContact(o.contacts, c) })
	})
	l.templates = slices.DeleteFunc(slices.Clone(g.general.memory.Dialplan), func(t phonefile.Template) bool {
		return !everywhere(phones, func(o *snomState) bool { return hasTemplate(o.memory.Dialplan, t) })
	})
	l.languages = s.languages(g)
	l.uploads, l.certificates = g.general.memory.Uploads, g.general.memory.Certificates
	l.plans = g.general.memory.Plans
	states := []*snomState{&g.general}
	for _, p := range g.phones {
		states = append(states, &p.state)
	}
	for _, state := range states {
		l.newBook = l.newBook || state.memory.BookVersion == "2.0"
		for _, m := range state.modules {
			switch i := slices.IndexFunc(l.modules, func(o snomModule) bool { return o.name == m.name }); {
			case i < 0:
				l.modules = append(l.modules, m)
			case l.modules[i] != m:
				s.problem(phonefile.Place{File: g.top}, "phones of one model have several images for %s: only the first is taken over", m.name)
			}
		}
	}
	l.firmware = g.general.firmware
	if len(phones) > 0 && g.top == "" && everywhere(phones, func(o *snomState) bool { return o.firmware == phones[0].state.firmware }) {
		l.firmware = phones[0].state.firmware
	}
	if len(phones) < several {
		return l
	}
	first := phones[0].state
	for _, v := range first.memory.Settings {
		if !known[v.ID()] && !s.isSecret(v) && !slices.Contains(ofOnePhone, v.Name) &&
			everywhere(phones, func(o *snomState) bool { return hasSetting(o.memory.Settings, v) }) {
			l.settings = append(l.settings, v)
		}
	}
	for _, k := range first.memory.Keys {
		if _, ok := keyAt(l.keys, k.Index); !ok && everywhere(phones, func(o *snomState) bool { return hasKey(o.memory.Keys, k) }) {
			l.keys = append(l.keys, k)
		}
	}
	for _, c := range first.contacts {
		if !hasContact(l.contacts, c) && everywhere(phones, func(o *snomState) bool { return hasContact(o.contacts, c) }) {
			l.contacts = append(l.contacts, c)
		}
	}
	for _, t := range first.memory.Dialplan {
		if !hasTemplate(l.templates, t) && everywhere(phones, func(o *snomState) bool { return hasTemplate(o.memory.Dialplan, t) }) {
			l.templates = append(l.templates, t)
		}
	}
	l.sort()
	return l
}

func (l *snomLayer) sort() {
	slices.SortStableFunc(l.settings, func(a, b phonefile.Setting) int { return a.ID().Compare(b.ID()) })
	slices.SortStableFunc(l.keys, func(a, b phonefile.Key) int { return cmp.Compare(a.Index, b.Index) })
}

func (l *snomLayer) empty() bool {
	return len(l.settings)+len(l.keys)+len(l.contacts)+len(l.templates)+len(l.languages)+len(l.uploads)+len(l.certificates)+len(l.plans)+len(l.modules) == 0 && l.firmware == "" && !l.newBook
}

// languages gives all that a phone of the group can fetch: phones load them
// with their general file.
func (s *snom) languages(g *snomGroup) []phonefile.Language {
	list := slices.Clone(g.general.memory.Languages)
	for _, p := range g.set() {
		for _, l := range p.state.memory.Languages {
			i := slices.IndexFunc(list, func(o phonefile.Language) bool { return o.For == l.For && o.Name == l.Name })
			switch {
			case i < 0:
				list = append(list, l)
			case list[i].URL != l.URL:
				s.problem(l.At, "the %s language %q of %s is another file for other phones: that of %s stays", l.For, l.Name, p.mac, list[i].At)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b phonefile.Language) int {
		return cmp.Or(cmp.Compare(a.For, b.For), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// sharedSecrets gives the passwords that all phones of a group share.
func (s *snom) sharedSecrets(g *snomGroup) *snomShared {
	phones := g.set()
	candidates := g.general.memory.Settings
	if len(phones) >= several {
		candidates = phones[0].state.memory.Settings
	}
	shared := &snomShared{}
	for _, v := range candidates {
		if s.isSecret(v) && !slices.Contains(ofOnePhone, v.Name) &&
			everywhere(phones, func(o *snomState) bool { return hasSetting(o.memory.Settings, v) }) {
			shared.layer.settings = append(shared.layer.settings, v)
			if len(phones) == 0 {
				s.problem(v.At, "%s is for every %s, but no general file may hold a password: give the phones the profile %q", v.Name, g.model, g.model)
			}
		}
	}
	if shared.layer.empty() {
		return nil
	}
	return shared
}

// joinShared names the profiles of shared secrets, one for all groups where
// they do not differ.
func (s *snom) joinShared() {
	same := true
	for _, g := range s.groups {
		same = same && g.shared != nil && slices.EqualFunc(g.shared.layer.settings, s.groups[0].shared.layer.settings, sameSetting)
	}
	for _, g := range s.groups {
		switch {
		case g.shared == nil:
			continue
		case same && len(s.groups) > 1:
			s.groups[0].shared.name = "shared"
			g.shared = s.groups[0].shared
		default:
			g.shared.name = cmp.Or(g.model, "shared")
		}
		if !slices.Contains(s.shared, g.shared) {
			s.shared = append(s.shared, g.shared)
		}
	}
}

// takeBase moves what all groups share to the default profile. Keys and
// firmware belong to a model where there is but one.
func (s *snom) takeBase() {
	first := s.groups[0]
	in := func(has func(snomLayer) bool) bool {
		return !slices.ContainsFunc(s.groups, func(g *snomGroup) bool { return !has(g.layer) })
	}
	for _, v := range first.layer.settings {
		if in(func(l snomLayer) bool { return hasSetting(l.settings, v) }) {
			s.base.settings = append(s.base.settings, v)
		}
	}
	for _, k := range first.layer.keys {
		if (len(s.groups) > 1 || first.model == "") && in(func(l snomLayer) bool { return hasKey(l.keys, k) }) {
			s.base.keys = append(s.base.keys, k)
		}
	}
	for _, c := range first.layer.contacts {
		if in(func(l snomLayer) bool { return hasContact(l.contacts, c) }) {
			s.base.contacts = append(s.base.contacts, c)
		}
	}
	for _, t := range first.layer.templates {
		if in(func(l snomLayer) bool { return hasTemplate(l.templates, t) }) {
			s.base.templates = append(s.base.templates, t)
		}
	}
	for _, lang := range first.layer.languages {
		if in(func(l snomLayer) bool { return hasLanguage(l.languages, lang) }) {
			s.base.languages = append(s.base.languages, lang)
		}
	}
	for _, g := range s.groups {
		if g.model == "" { // it has no block of its own: what is left goes to its phones
			for _, m := range g.layer.modules {
				s.problem(phonefile.Place{File: g.top}, "the firmware of %s is left out: the model of its phones is not known", m.name)
			}
			for _, l := range g.layer.languages {
				if !hasLanguage(s.base.languages, l) {
					s.problem(l.At, "the %s language %q is left out: phones load languages with their general file, and the model of these is not known", l.For, l.Name)
				}
			}
			g.layer = snomLayer{}
			continue
		}
		g.layer = minus(g.layer, s.base)
		g.layer.languages = slices.DeleteFunc(g.layer.languages, func(l phonefile.Language) bool { return hasLanguage(s.base.languages, l) })
	}
}

// own gives what a phone's block has to say beside its general layers and its
// profile.
func (s *snom) own(p *snomPhone, general snomLayer) snomLayer {
	state := p.state
	all := snomLayer{
		settings: state.memory.Settings, keys: state.memory.Keys, contacts: state.contacts, templates: state.memory.Dialplan,
		uploads: state.memory.Uploads, certificates: state.memory.Certificates, plans: state.memory.Plans,
	}
	l := minus(all, general)
	if shared := p.group.shared; shared != nil {
		l.settings = slices.DeleteFunc(l.settings, func(v phonefile.Setting) bool { return hasSetting(shared.layer.settings, v) })
	}
	// An identity with a user is active unless its own layer says otherwise.
	user := func(v phonefile.Setting) bool {
		return v.Name == "user_active" && slices.ContainsFunc(l.settings, func(o phonefile.Setting) bool {
			return o.Name == "user_name" && o.Value != "" && o.ID().Index == v.ID().Index
		})
	}
	active := func(v phonefile.Setting) bool { return v.Value == "on" && v.Perm == "" }
	l.settings = slices.DeleteFunc(l.settings, func(v phonefile.Setting) bool { return user(v) && active(v) })
	for _, v := range state.memory.Settings {
		if user(v) && !active(v) && !hasSetting(l.settings, v) {
			l.settings = append(l.settings, v)
		}
	}
	l.sort()
	if state.firmware != p.group.layer.firmware {
		l.firmware = state.firmware
	}
	return l
}

// over joins two layers, of which the first is the stronger.
func over(strong, weak snomLayer) snomLayer {
	l := snomLayer{
		settings: slices.Clone(strong.settings), keys: slices.Clone(strong.keys), contacts: slices.Clone(strong.contacts), templates: slices.Clone(strong.templates),
		uploads: strong.uploads, certificates: strong.certificates, plans: strong.plans,
	} // the weak one is the default profile, which has none
	for _, v := range weak.settings {
		if !slices.ContainsFunc(strong.settings, func(o phonefile.Setting) bool { return o.ID() == v.ID() }) {
			l.settings = append(l.settings, v)
		}
	}
	for _, k := range weak.keys {
		if _, ok := keyAt(strong.keys, k.Index); !ok {
			l.keys = append(l.keys, k)
		}
	}
	for _, c := range weak.contacts {
		if !hasContact(strong.contacts, c) {
			l.contacts = append(l.contacts, c)
		}
	}
	for _, t := range weak.templates {
		if !slices.ContainsFunc(strong.templates, func(o phonefile.Template) bool { return o.Match == t.Match }) {
			l.templates = append(l.templates, t)
		}
	}
	return l
}

// minus gives what the weaker layers do not say already. A layer that has a
// contact of a name has all of that name.
func minus(l, weaker snomLayer) snomLayer {
	out := snomLayer{languages: slices.Clone(l.languages), firmware: l.firmware, modules: l.modules, newBook: l.newBook}
	for _, p := range l.plans {
		if !hasPlan(weaker.plans, p) {
			out.plans = append(out.plans, p)
		}
	}
	for _, v := range l.settings {
		if !hasSetting(weaker.settings, v) {
			out.settings = append(out.settings, v)
		}
	}
	for _, k := range l.keys {
		if !hasKey(weaker.keys, k) {
			out.keys = append(out.keys, k)
		}
	}
	for _, u := range l.uploads {
		if !hasUpload(weaker.uploads, u) {
			out.uploads = append(out.uploads, u)
		}
	}
	for _, c := range l.certificates {
		if !hasCertificate(weaker.certificates, c) {
			out.certificates = append(out.certificates, c)
		}
	}
	names := map[string]bool{}
	for _, c := range l.contacts {
		if countContact(l.contacts, c) != countContact(weaker.contacts, c) {
			names[c.Name] = true
		}
	}
	for _, c := range l.contacts {
		if names[c.Name] {
			out.contacts = append(out.contacts, c)
		}
	}
	for _, t := range l.templates {
		if !hasTemplate(weaker.templates, t) {
			out.templates = append(out.templates, t)
		}
	}
	return out
}

func sameSetting(a, b phonefile.Setting) bool {
	return a.ID() == b.ID() && a.Value == b.Value && a.Perm == b.Perm && a.Markup == b.Markup
}

// A file that belongs into files_dir now has its name there for a URL, and
// another where the phone is.
func sameLink(a, b string) bool {
	return a == b || a != "" && b != "" && (strings.HasSuffix(a, "/"+b) || strings.HasSuffix(b, "/"+a))
}

func hasUpload(list []phonefile.Upload, u phonefile.Upload) bool {
	return slices.ContainsFunc(list, func(o phonefile.Upload) bool { return o.Type == u.Type && sameLink(o.URL, u.URL) })
}

func hasCertificate(list []phonefile.Certificate, c phonefile.Certificate) bool {
	return slices.ContainsFunc(list, func(o phonefile.Certificate) bool { return o.Base64 == c.Base64 && sameLink(o.URL, c.URL) })
}

func hasSetting(list []phonefile.Setting, v phonefile.Setting) bool {
	return slices.ContainsFunc(list, func(o phonefile.Setting) bool { return sameSetting(o, v) })
}

func keyAt(list []phonefile.Key, index int) (phonefile.Key, bool) {
	i := slices.IndexFunc(list, func(k phonefile.Key) bool { return k.Index == index })
	if i < 0 {
		return phonefile.Key{}, false
	}
	return list[i], true
}

func hasKey(list []phonefile.Key, k phonefile.Key) bool {
	o, ok := keyAt(list, k.Index)
	o.At, k.At = phonefile.Place{}, phonefile.Place{}
	return ok && o == k
}

func sameContact(a, b phonefile.Contact) bool {
	return a.Name == b.Name && a.FirstName == b.FirstName && a.LastName == b.LastName && a.Context == b.Context &&
		a.Type == b.Type && a.Favourite == b.Favourite && slices.Equal(a.Numbers, b.Numbers)
}

func hasContact(list []phonefile.Contact, c phonefile.Contact) bool { return countContact(list, c) > 0 }

func countContact(list []phonefile.Contact, c phonefile.Contact) int {
	n := 0
	for _, o := range list {
		if sameContact(o, c) {
			n++
		}
	}
	return n
}

func hasTemplate(list []phonefile.Template, t phonefile.Template) bool {
	return slices.ContainsFunc(list, func(o phonefile.Template) bool {
		return o.Match == t.Match && o.Timeout == t.Timeout && o.User == t.User && o.Rewrite == t.Rewrite
	})
}

func hasPlan(list []phonefile.Plan, p phonefile.Plan) bool {
	return slices.ContainsFunc(list, func(o phonefile.Plan) bool { return o.XML == p.XML })
}

func hasLanguage(list []phonefile.Language, l phonefile.Language) bool {
	return slices.ContainsFunc(list, func(o phonefile.Language) bool { return o.For == l.For && o.Name == l.Name && o.URL == l.URL })
}

// names gives phones the names that their files have for them, each once.
func (s *snom) names() {
	taken := map[string]int{}
	for _, p := range s.phones {
		p.name = nameOf(p.state.memory.Settings)
		taken[strings.ToLower(p.name)]++
	}
	for _, p := range s.phones {
		if taken[strings.ToLower(p.name)] > 1 {
			p.name = ""
		}
	}
}

// nameOf takes the phone's name, or that of its first identity with one.
func nameOf(settings []phonefile.Setting) string {
	for _, word := range []string{"phone_name", "user_realname", "user_name"} {
		for _, v := range settings {
			if v.Name == word && v.Value != "" && len(v.Value) <= 63 &&
				!strings.ContainsFunc(v.Value, func(r rune) bool { return !unicode.IsPrint(r) }) && strings.TrimSpace(v.Value) == v.Value {
				return v.Value
			}
		}
	}
	return ""
}

// Differences compares what a phone would now be set to with what the folder
// set it to, a line for each that differs; values are not shown. Flags that
// mean the same are the same, as are a missing context and "active", and a SIP
// URI with < and > and without. What the
// appliance says by itself is none: where the firmware file is, and that an
// identity with a user is active.
func (p SnomPhone) Differences(now phonefile.Memory) []string {
	var out []string
	differ := func(what string, was, is bool) {
		switch {
		case was && is:
			out = append(out, what+" is another")
		case was:
			out = append(out, what+" is gone")
		default:
			out = append(out, what+" is new")
		}
	}
	was, is := spelledAlike(p.State), spelledAlike(now)
	for _, v := range was.settings {
		if !hasSetting(is.settings, v) {
			differ(describe(v), true, slices.ContainsFunc(is.settings, func(o phonefile.Setting) bool { return o.ID() == v.ID() }))
		}
	}
	for _, v := range is.settings {
		known := slices.ContainsFunc(was.settings, func(o phonefile.Setting) bool { return o.ID() == v.ID() })
		active := v.Name == "user_active" && v.Value == "on" && v.Perm == "RW"
		if !known && v.Name != "firmware_status" && v.Name != "firmware-status" && !active {
			differ(describe(v), false, true)
		}
	}
	for _, k := range was.keys {
		if !hasKey(is.keys, k) {
			_, there := keyAt(is.keys, k.Index)
			differ(fmt.Sprintf("key %d", k.Index), true, there)
		}
	}
	for _, k := range is.keys {
		if _, known := keyAt(was.keys, k.Index); !known {
			differ(fmt.Sprintf("key %d", k.Index), false, true)
		}
	}
	for _, side := range [][2][]phonefile.Contact{{was.contacts, is.contacts}, {is.contacts, was.contacts}} {
		for _, c := range side[0] {
			if countContact(side[0], c) != countContact(side[1], c) {
				out = append(out, fmt.Sprintf("the contact %q differs", c.Name))
			}
		}
	}
	for _, side := range [][2][]phonefile.Template{{was.templates, is.templates}, {is.templates, was.templates}} {
		for _, t := range side[0] {
			if !hasTemplate(side[1], t) {
				out = append(out, fmt.Sprintf("the dial plan's template %q differs", t.Match))
			}
		}
	}
	for _, side := range [][2]phonefile.Memory{{p.State, now}, {now, p.State}} {
		for _, u := range side[0].Uploads {
			if !hasUpload(side[1].Uploads, u) {
				out = append(out, fmt.Sprintf("the upload %s differs", u.Type))
			}
		}
		for _, c := range side[0].Certificates {
			if !hasCertificate(side[1].Certificates, c) {
				out = append(out, "a certificate differs")
			}
		}
		for _, plan := range side[0].Plans {
			if !hasPlan(side[1].Plans, plan) {
				out = append(out, "a replacement plan differs")
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func describe(v phonefile.Setting) string {
	if v.Index == nil {
		return v.Name
	}
	return fmt.Sprintf("%s with idx %d", v.Name, *v.Index)
}

// spelledAlike brings what a phone is set to into one spelling.
func spelledAlike(m phonefile.Memory) snomLayer {
	l := snomLayer{settings: slices.Clone(m.Settings), keys: slices.Clone(m.Keys), templates: m.Dialplan}
	for i := range l.settings {
		l.settings[i].Perm = meaningOf(l.settings[i].Perm)
	}
	for i := range l.keys {
		k := &l.keys[i]
		k.Context, k.Perm = cmp.Or(k.Context, "active"), meaningOf(k.Perm)
		k.Value = withoutBrackets(cmp.Or(strings.TrimSpace(k.Value), "none"))
	}
	for _, c := range m.Phonebook {
		for _, n := range c.Numbers {
			c := phonefile.Contact{
				Name: cmp.Or(c.Name, strings.TrimSpace(c.FirstName+" "+c.LastName), n.Number), FirstName: c.FirstName, LastName: c.LastName,
				Context: cmp.Or(n.Context, c.Context, "active"), Type: cmp.Or(c.Type, "none"), Favourite: c.Favourite,
				Numbers: []phonefile.Number{{Number: n.Number, Type: cmp.Or(n.Type, "sip")}},
			}
			// A full name may stand for the first one.
			if c.FirstName == "" && c.LastName == "" {
				c.FirstName = c.Name
			}
			if n.Number != "" {
				l.contacts = append(l.contacts, c)
			}
		}
	}
	return l
}

var bracketed = regexp.MustCompile(`^([a-z]+) <([^<>]*)>`)

// withoutBrackets takes < and > from the SIP URI of a key, which firmware
// before V10 wants, and later one does not.
func withoutBrackets(value string) string { return bracketed.ReplaceAllString(value, "$1 $2") }
