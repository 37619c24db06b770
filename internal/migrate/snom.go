package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// SnomOptions steer the import of a folder.
type SnomOptions struct {
	// Model gives the model that a phone with a MAC may be, "" where nothing is
	// known; it is asked where no file name says it. May be nil.
	Model func(mac.Addr) string
	// Check reads what comes out as the appliance would, and gives what is wrong
	// with it; the things that stand there are left out, and reported. May be nil.
	Check func(files []SnomText, secrets map[string]string) ([]Refusal, error)
	// InPlace leaves passwords in the text instead of files of their own.
	InPlace bool
}

// SnomResult is the configuration that a folder of phones' files becomes. It
// has no appliance block.
type SnomResult struct {
	Files    []SnomText        // of HCL
	Secrets  map[string]string // for files of these names in secrets/
	Phones   []SnomPhone       // in the order of their MACs
	Problems []Problem         // by file and line
}

// Refusal is an error in a file that came out.
type Refusal struct {
	File string // as in SnomText; "" for an error of no file
	Line int
	Text string
}

// SnomText is a file of HCL.
type SnomText struct {
	Name string
	Text []byte
}

// SnomPhone is what a phone was set to by the folder, as far as it was taken
// over.
type SnomPhone struct {
	MAC   mac.Addr
	Model string // "" where nothing says it
	State phonefile.Memory
}

// Snom reads a folder of Snom phones' files: general ones (MODEL.htm), those of
// a phone (MODEL-MAC.htm, MAC.xml), and what these link. What each phone would
// be set to is found by a phone's rules, then laid out in layers: what all
// phones share in the default profile, what those of a model share in its
// block, the rest with the phone. Passwords that several phones share are in a
// profile, since no general file may hold them. The error is that of reading
// the folder itself.
func Snom(dir string, o SnomOptions) (SnomResult, error) {
	s := &snom{options: o, raw: map[item]bool{}, said: map[Problem]bool{}, used: map[string]bool{}}
	folder, err := openSnomFolder(dir, s.problem)
	if err != nil {
		return SnomResult{}, fmt.Errorf("reading the folder of phones' files: %w", err)
	}
	defer folder.close()
	s.folder = folder
	s.survey()
	if len(s.phones)+len(s.groups) == 0 {
		return SnomResult{}, fmt.Errorf("there is no file of a Snom phone in %s: they are called snomD785.htm, snomD785-000413922D24.htm or 000413922D24.xml", dir)
	}
	for _, g := range s.groups {
		s.tidy(g)
	}
	result := SnomResult{}
	if result.Files, err = s.settle(filepath.Clean(dir)); err != nil {
		return SnomResult{}, err
	}
	s.unused()
	result.Secrets = s.secrets
	for _, p := range s.phones {
		if p.redirect != "" {
			p.state.memory = phonefile.Memory{Settings: []phonefile.Setting{{Name: "setting_server", Value: p.redirect, Perm: "RW"}}}
		}
		result.Phones = append(result.Phones, SnomPhone{p.mac, p.group.model, p.state.memory})
	}
	slices.SortStableFunc(s.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	result.Problems = s.problems
	return result, nil
}

// settle lays everything out and writes it, less what the check refuses. Each
// round that is refused leaves something out, so that there is an end.
func (s *snom) settle(dir string) ([]SnomText, error) {
	for {
		s.base, s.shared = snomLayer{}, nil
		s.secrets, s.items = map[string]string{}, map[string][]written{}
		s.layOut()
		files := s.write(dir)
		if s.options.Check == nil {
			return files, nil
		}
		refusals, err := s.options.Check(files, s.secrets)
		if err != nil || len(refusals) == 0 {
			return files, err
		}
		out, raw := map[item]bool{}, false
		for _, r := range refusals {
			for _, w := range s.items[r.File] {
				if w.first > r.Line || r.Line > w.last || out[w.item] {
					continue
				}
				if strings.HasPrefix(w.item.what, "key ") && !s.raw[w.item] {
					s.raw[w.item], raw = true, true
				} else {
					out[w.item] = true
					s.problem(w.item.Place, "%s is left out: %s", w.item.what, r.Text)
				}
			}
		}
		if len(out) == 0 && !raw {
			return nil, fmt.Errorf("the folder becomes a configuration with errors, such as %s:%d: %s", refusals[0].File, refusals[0].Line, refusals[0].Text)
		}
		for _, g := range s.groups {
			g.general.leaveOut(out)
			for _, p := range g.phones {
				p.state.leaveOut(out)
			}
		}
	}
}

// leaveOut drops things from what files set.
func (s *snomState) leaveOut(out map[item]bool) {
	s.memory.Settings = slices.DeleteFunc(s.memory.Settings, func(v phonefile.Setting) bool { return out[item{v.At, describe(v)}] })
	s.memory.Keys = slices.DeleteFunc(s.memory.Keys, func(k phonefile.Key) bool { return out[item{k.At, fmt.Sprintf("key %d", k.Index)}] })
	s.memory.Uploads = slices.DeleteFunc(s.memory.Uploads, func(u phonefile.Upload) bool { return out[uploadItem(u)] })
	s.memory.Certificates = slices.DeleteFunc(s.memory.Certificates, func(c phonefile.Certificate) bool { return out[certificateItem(c)] })
	s.memory.Dialplan = slices.DeleteFunc(s.memory.Dialplan, func(t phonefile.Template) bool { return out[item{t.At, fmt.Sprintf("the template %q", t.Match)}] })
	s.contacts = slices.DeleteFunc(s.contacts, func(c phonefile.Contact) bool { return out[item{c.At, fmt.Sprintf("the contact %q", c.Name)}] })
}

func uploadItem(u phonefile.Upload) item { return item{u.At, "the upload " + u.Type} }

func certificateItem(c phonefile.Certificate) item {
	return item{c.At, strings.TrimSpace("the certificate " + c.URL)}
}

// snom is an import in the making.
type snom struct {
	options  SnomOptions
	folder   *snomFolder
	groups   []*snomGroup // by model, that without one last
	plans    []SnomText   // files of plans, which documents name
	phones   []*snomPhone // by MAC
	used     map[string]bool
	problems []Problem
	said     map[Problem]bool
	secrets  map[string]string
	raw      map[item]bool        // keys that the words for keys refuse
	items    map[string][]written // by the file that came out

	base   snomLayer // of the default profile
	shared []*snomShared
}

// snomGroup is the phones of one model, or those whose model is not known ("").
type snomGroup struct {
	model   string
	top     string // its general file, "" for none
	general snomState
	phones  []*snomPhone

	layer  snomLayer // of the model's block
	shared *snomShared
}

// snomShared is a profile of what phones share and no general file may hold.
type snomShared struct {
	name  string
	layer snomLayer
}

type snomPhone struct {
	mac   mac.Addr
	group *snomGroup
	first string // the file by which it was found
	state snomState

	name     string
	redirect string
	layer    snomLayer
}

// snomState is what files set, in the words of our layers.
type snomState struct {
	memory   phonefile.Memory
	contacts []phonefile.Contact // one number each
	firmware string
	modules  []snomModule
}

// snomModule is the firmware of an expansion module.
type snomModule struct{ name, firmware string }

// snomLayer is what one block will say.
type snomLayer struct {
	settings  []phonefile.Setting
	keys      []phonefile.Key
	contacts  []phonefile.Contact
	templates []phonefile.Template
	languages []phonefile.Language
	uploads   []phonefile.Upload
	firmware  string

	certificates []phonefile.Certificate
	plans        []phonefile.Plan
	// Of a model alone: its modules' firmware, and that its phone books are of version 2.0.
	modules []snomModule
	newBook bool
}

func (s *snom) problem(at phonefile.Place, format string, args ...any) {
	p := Problem{at.File, at.Line, fmt.Sprintf(format, args...)}
	if len(p.Text) > maxText {
		p.Text = p.Text[:maxText] + "…"
	}
	switch n := len(s.problems); {
	case s.said[p] || n == maxProblems:
		return
	case n == maxProblems-1:
		p.Text = "there are more problems, which are not listed"
	}
	s.said[p] = true
	s.problems = append(s.problems, p)
}

func (s *snom) use(name string) { s.used[name] = true }

var (
	modelFile = regexp.MustCompile(`(?i)^(snom[a-z0-9]{1,28})\.html?$`)
	modelStem = regexp.MustCompile(`(?i)^(snom[a-z0-9]{1,28})-$`)
)

// survey finds the phones and models, and what the files set them to.
func (s *snom) survey() {
	byModel := map[string]*snomGroup{}
	group := func(model string) *snomGroup {
		key := strings.ToLower(model)
		if byModel[key] == nil {
			byModel[key] = &snomGroup{model: model}
			s.groups = append(s.groups, byModel[key])
		}
		return byModel[key]
	}
	for _, name := range s.folder.names {
		if m := modelFile.FindStringSubmatch(path.Base(name)); m != nil && s.folder.index[canonical(name)] == name {
			g := group(m[1])
			if g.top != "" {
				s.problem(phonefile.Place{File: name}, "%s is the general file of %s already: this one is not read", g.top, g.model)
				continue
			}
			g.top = name
		}
	}
	found := map[mac.Addr]*snomPhone{}
	add := func(m mac.Addr, model, name string, r phonefile.Requests) {
		if p, ok := found[m]; ok {
			if !s.used[name] {
				s.problem(phonefile.Place{File: name}, "%s is the phone of %s already: it is not read", m, p.first)
			}
			s.use(name)
			return
		}
		p := &snomPhone{mac: m, group: group(model), first: name}
		p.state.memory = s.folder.walk(r, m, s.use)
		p.group.phones = append(p.group.phones, p)
		s.phones = append(s.phones, p)
		found[m] = p
	}
	// The second file of a phone: X-MAC.ext beside X.ext. Phones ask for .htm, so
	// that any other of its name is linked there.
	names := slices.Clone(s.folder.names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(notAsked(a), notAsked(b)) })
	for _, name := range names {
		before, m, ext, ok := macIn(path.Base(name))
		if !ok || s.folder.index[canonical(name)] != name {
			continue
		}
		stem := strings.TrimSuffix(before, "-")
		first := path.Join(path.Dir(name), stem+ext)
		_, general := s.folder.index[canonical(first)]
		model := modelStem.FindStringSubmatch(before)
		if stem == before || model == nil && !general {
			continue
		}
		if model != nil {
			add(m, model[1], name, phonefile.Requests{First: folderURL(first), Second: folderURL(name)})
		} else {
			add(m, s.hint(m), name, phonefile.Requests{First: folderURL(first), Second: folderURL(name)})
		}
	}
	s.linkedByMAC(found, add)
	// The one file of a setting server of the {mac} kind.
	for _, name := range s.folder.names {
		before, m, ext, ok := macIn(path.Base(name))
		if ok && before == "" && !s.used[name] && path.Ext(ext) == ext && s.folder.index[canonical(name)] == name {
			add(m, s.hint(m), name, phonefile.Requests{First: folderURL(name)})
		}
	}
	for _, g := range s.groups {
		if g.top != "" {
			g.general.memory = s.folder.walk(phonefile.Requests{First: folderURL(g.top)}, mac.Addr{}, s.use)
		}
		slices.SortFunc(g.phones, func(a, b *snomPhone) int { return slices.Compare(a.mac[:], b.mac[:]) })
	}
	slices.SortFunc(s.phones, func(a, b *snomPhone) int { return slices.Compare(a.mac[:], b.mac[:]) })
	slices.SortFunc(s.groups, func(a, b *snomGroup) int {
		return cmp.Or(-cmp.Compare(min(len(a.model), 1), min(len(b.model), 1)), cmp.Compare(strings.ToLower(a.model), strings.ToLower(b.model)))
	})
}

func notAsked(name string) int {
	if strings.HasPrefix(strings.ToLower(path.Ext(name)), ".htm") {
		return 0
	}
	return 1
}

func (s *snom) hint(m mac.Addr) string {
	if s.options.Model == nil {
		return ""
	}
	return s.options.Model(m)
}

// linkedByMAC finds the phones whose own file the general file of their model
// links by {mac}. Where several general files do, the MAC has to tell the model.
func (s *snom) linkedByMAC(found map[mac.Addr]*snomPhone, add func(mac.Addr, string, string, phonefile.Requests)) {
	type candidate struct {
		name   string
		groups []*snomGroup
	}
	candidates := map[mac.Addr]*candidate{}
	for _, name := range s.folder.names {
		_, m, _, ok := macIn(path.Base(name))
		if !ok || found[m] != nil || candidates[m] != nil {
			continue
		}
		c := &candidate{name: name}
		for _, g := range s.groups {
			if g.top == "" {
				continue
			}
			reached := false
			s.folder.walk(phonefile.Requests{First: folderURL(g.top)}, m, func(used string) { reached = reached || used == name })
			if reached {
				c.groups = append(c.groups, g)
			}
		}
		if len(c.groups) > 0 {
			candidates[m] = c
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(candidates), func(a, b mac.Addr) int { return slices.Compare(a[:], b[:]) }) {
		c := candidates[m]
		g := c.groups[0]
		if len(c.groups) > 1 {
			hint := s.hint(m)
			i := slices.IndexFunc(c.groups, func(g *snomGroup) bool { return strings.EqualFold(g.model, hint) })
			if i < 0 {
				s.problem(phonefile.Place{File: c.name}, "the general files of %d models link it, and nothing says which model %s is: it is taken for a %s", len(c.groups), m, g.model)
				i = 0
			}
			g = c.groups[i]
		}
		add(m, g.model, c.name, phonefile.Requests{First: folderURL(g.top)})
	}
}

// unused names the files that no phone gets.
func (s *snom) unused() {
	for _, name := range s.folder.names {
		switch strings.ToLower(path.Ext(name)) {
		case ".bin", ".swu", ".fwu":
			continue
		}
		if !s.used[name] {
			s.problem(phonefile.Place{File: name}, "no phone asks for it, and no file that one asks for links it: it is not read")
		}
	}
}

// tidy brings what the files set into the words of our layers.
func (s *snom) tidy(g *snomGroup) {
	for _, p := range g.phones {
		p.redirect = redirectOf(p.state.memory, g.general.memory)
	}
	s.tidyState(&g.general, g, g.top)
	for _, p := range g.set() {
		s.tidyState(&p.state, g, p.first)
	}
}

// redirectOf gives the setting server of a phone that is told nothing else of
// its own.
func redirectOf(phone, general phonefile.Memory) string {
	var own []phonefile.Setting
	for _, v := range phone.Settings {
		if !hasSetting(general.Settings, v) {
			own = append(own, v)
		}
	}
	if len(own) != 1 || own[0].Name != "setting_server" || own[0].Index != nil ||
		len(phone.Keys) != len(general.Keys) || len(phone.Phonebook) != len(general.Phonebook) || len(phone.Dialplan) != len(general.Dialplan) {
		return ""
	}
	u, err := phonefile.ParseURL(own[0].Value)
	if err != nil {
		return ""
	}
	return u.String()
}

func (s *snom) tidyState(state *snomState, g *snomGroup, first string) {
	m := &state.memory
	status := ""
	m.Settings = slices.DeleteFunc(m.Settings, func(v phonefile.Setting) bool { return !s.keepSetting(v) })
	for i := range m.Settings {
		m.Settings[i].Perm = knownPerm(m.Settings[i].Perm)
		m.Settings[i].Value = s.text(m.Settings[i].At, m.Settings[i].Name, m.Settings[i].Value)
	}
	m.Settings = slices.DeleteFunc(m.Settings, func(v phonefile.Setting) bool {
		if v.Name != "firmware_status" || v.Index != nil || v.Value == "" {
			return false
		}
		status = v.Value
		image, ok := s.firmware(status)
		state.firmware, state.modules = image, s.modulesOf(status)
		if !ok {
			s.problem(v.At, "firmware_status stays %s: its file is not in the folder", redactURL(v.Value))
		}
		return ok
	})
	if status == "" && g.model != "" && first != "" {
		status := folderURL(path.Join(path.Dir(first), g.model+"-firmware.htm"))
		state.firmware, _ = s.firmware(status)
		state.modules = s.modulesOf(status)
	}
	if state.firmware == "" && len(m.Images) > 0 {
		state.firmware, _ = s.image(m.Images)
	}
	if len(state.modules) == 0 {
		state.modules = s.modules(m.Modules)
	}
	m.Keys = slices.DeleteFunc(m.Keys, func(k phonefile.Key) bool { return !s.keepKey(k) })
	for i := range m.Keys {
		k := &m.Keys[i]
		k.Context, k.Perm = cmp.Or(k.Context, "active"), knownPerm(k.Perm)
		k.Value = s.text(k.At, fmt.Sprintf("key %d", k.Index), cmp.Or(strings.TrimSpace(k.Value), "none"))
		k.Label, k.ShortLabel, k.DefaultText = s.text(k.At, "a label", k.Label), s.text(k.At, "a label", k.ShortLabel), s.text(k.At, "a label", k.DefaultText)
	}
	m.Uploads, m.Certificates = slices.Clone(m.Uploads), slices.Clone(m.Certificates)
	for i := range m.Uploads {
		u := &m.Uploads[i]
		u.URL = s.text(u.At, "an upload", s.toCopy(u.At, u.URL))
	}
	for i := range m.Certificates {
		c := &m.Certificates[i]
		c.URL = s.text(c.At, "a certificate", s.toCopy(c.At, c.URL))
	}
	s.tidyBook(state)
	s.tidyDialplan(m)
	m.Languages = slices.Clone(m.Languages)
	for i := range m.Languages {
		l := &m.Languages[i]
		l.Name = s.text(l.At, "a language", l.Name)
		l.URL = s.toCopy(l.At, l.URL)
	}
}

// toCopy gives the URL of a file that phones fetch; for one of the folder its
// name, since it belongs into files_dir from now on.
func (s *snom) toCopy(at phonefile.Place, url string) string {
	name, ok := s.inFolder(url)
	if !ok {
		return url
	}
	s.use(name)
	s.problem(at, "copy %s to files_dir/%s, from where phones get it now", name, name)
	return name
}

// text is a value as HCL can say it.
func (s *snom) text(at phonefile.Place, of, value string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "\ufffd"))
	if clean != value {
		s.problem(at, "%s has characters that no document can hold: they are left out", of)
	}
	if !quotable(clean) {
		s.problem(at, "%s is brought to the Unicode form NFC", of)
		clean = composed(clean)
	}
	return clean
}

var (
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// leftOut are settings that would take the phone away from us, or
	// spoil its requests.
	leftOut = map[string]string{
		"setting_server": "it would send phones away from the appliance; a phone that is to go has redirect in its block",
		"phone_type":     "it spoils the names of the files that the phone asks for",
	}
)

func (s *snom) keepSetting(v phonefile.Setting) bool {
	why, out := leftOut[v.Name]
	switch {
	case out:
	case !settingName.MatchString(v.Name):
		why = "its name has characters that no setting of the configuration can have"
	case v.Index != nil && (*v.Index < 0 || *v.Index > 65535):
		why = fmt.Sprintf("its idx is %d", *v.Index)
	default:
		return true
	}
	s.problem(v.At, "%s is left out: %s", v.Name, why)
	return false
}

// knownPerm gives the flag, "" for what is none.
func knownPerm(perm string) string {
	switch perm {
	case "", "RW", "$", "R", "&", " ", "!":
		return perm
	}
	return ""
}

// meaningOf gives one spelling to the flags that mean the same.
func meaningOf(perm string) string {
	switch knownPerm(perm) {
	case "R", "&", " ":
		return "R"
	case "!":
		return "!"
	}
	return "RW"
}

const maxKeyIndex = 999

func (s *snom) keepKey(k phonefile.Key) bool {
	if k.Index >= 0 && k.Index <= maxKeyIndex {
		return true
	}
	s.problem(k.At, "key %d is left out: keys are counted from 0 to %d", k.Index, maxKeyIndex)
	return false
}

// contactTypes are the groups of a phone book.
var contactTypes = []string{"none", "friends", "colleagues", "family", "vip", "deny"}

// tidyBook makes an entry of each number.
func (s *snom) tidyBook(state *snomState) {
	state.memory.Phonebook = slices.Clone(state.memory.Phonebook)
	for i, c := range state.memory.Phonebook {
		name := cmp.Or(c.Name, strings.TrimSpace(c.FirstName+" "+c.LastName))
		kept := 0
		if c.Type != "" && !slices.Contains(contactTypes, c.Type) {
			s.problem(c.At, "the contact %q is in the group %q, which is left out: the groups are %s", name, c.Type, strings.Join(contactTypes, ", "))
			c.Type = ""
			state.memory.Phonebook[i].Type = ""
		}
		for _, n := range c.Numbers {
			if n.Number == "" {
				continue
			}
			kept++
			if c.FirstName == name && c.LastName == "" {
				c.FirstName = "" // as it is written for a name alone
			}
			state.contacts = append(state.contacts, phonefile.Contact{
				Name:      s.text(c.At, "a contact", cmp.Or(name, n.Number)),
				FirstName: s.text(c.At, "a contact", c.FirstName), LastName: s.text(c.At, "a contact", c.LastName),
				Context: cmp.Or(n.Context, c.Context, "active"), Type: cmp.Or(c.Type, "none"), Favourite: c.Favourite,
				Numbers: []phonefile.Number{{Number: s.text(c.At, "a number", n.Number), Type: cmp.Or(n.Type, "sip")}}, At: c.At,
			})
		}
		if kept == 0 {
			s.problem(c.At, "the contact %q is left out: it has no number", name)
		}
	}
}

func (s *snom) tidyDialplan(m *phonefile.Memory) {
	said := map[string]bool{}
	var kept []phonefile.Template
	for _, t := range m.Dialplan {
		if said[t.Match] {
			s.problem(t.At, "a second template for %q is left out", t.Match)
			continue
		}
		said[t.Match] = true
		if _, err := strconv.ParseUint(t.Timeout, 10, 16); err != nil && t.Timeout != "" {
			s.problem(t.At, "the Timeout %q is no number of seconds: it is left out", t.Timeout)
			t.Timeout = ""
		}
		t.Match, t.User, t.Rewrite = s.text(t.At, "a template", t.Match), s.text(t.At, "a template", t.User), s.text(t.At, "a template", t.Rewrite)
		kept = append(kept, t)
	}
	m.Dialplan = kept
}

// inFolder finds a file of the folder by its URL.
func (s *snom) inFolder(link string) (string, bool) {
	u, err := url.Parse(link)
	if err != nil || u.Path == "" {
		return "", false
	}
	return s.folder.find(u)
}

// firmware gives the image that a firmware file names: the name of a file of
// the folder, or a URL. It is false where the file is not there.
func (s *snom) firmware(status string) (string, bool) {
	name, ok := s.inFolder(status)
	if !ok {
		return "", false
	}
	s.use(name)
	file := s.folder.read(name)
	if file.err != nil || file.Root != "firmware-settings" && file.Root != "text" && file.Root != "" {
		return "", false
	}
	return s.image(file.Images)
}

var moduleImage = regexp.MustCompile(`^snom([A-Za-z0-9]+)-[0-9].*\.bin$`)

// modulesOf gives the images of expansion modules that a firmware file names.
func (s *snom) modulesOf(status string) []snomModule {
	name, ok := s.inFolder(status)
	if !ok {
		return nil
	}
	return s.modules(s.folder.read(name).Modules)
}

func (s *snom) modules(images []phonefile.Link) (list []snomModule) {
	for _, l := range images {
		m := moduleImage.FindStringSubmatch(path.Base(l.URL))
		if m == nil {
			s.problem(l.At, "the image of an expansion module is left out: it is not called as its maker calls it, such as snomD7C-1.6.1-r.bin")
			continue
		}
		module := snomModule{m[1], l.URL}
		if found, ok := s.inFolder(l.URL); ok {
			module.firmware = path.Base(found)
			s.problem(l.At, "copy %s to files_dir/firmware/%s, from where phones get it now", found, module.firmware)
		}
		list = append(list, module)
	}
	return list
}

// image gives the first of the images that a phone is told to load.
func (s *snom) image(images []phonefile.Link) (string, bool) {
	if len(images) == 0 {
		return "", true
	}
	image := images[0]
	if len(images) > 1 {
		s.problem(images[1].At, "of several images only the first is taken over")
	}
	u, err := phonefile.ParseURL(image.URL)
	if err != nil {
		s.problem(image.At, "%v: the firmware is left out", err)
		return "", true
	}
	if next := u.Query().Get("chained_url"); next != "" {
		s.problem(image.At, "the image %s fetches another one by itself: put firmware, with the version that it leads to, where this URL stands", path.Base(u.Path))
		return u.String(), true
	}
	if found, ok := s.folder.find(u); ok {
		base := path.Base(found)
		s.problem(image.At, "copy %s to files_dir/firmware/%s, from where phones get it now", found, base)
		return base, true
	}
	return image.URL, true
}

func redactURL(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "a URL"
}
