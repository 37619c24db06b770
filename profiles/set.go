// Package profiles turns the profiles, models and phones of a configuration
// into an immutable Set, and a Set into the documents that phones fetch.
//
// What a document says comes from layers, weakest first: what the program
// ships, the default profile, the model, the phone's profile with those that it
// extends, the phone. The first three make the general file of a model, the
// others the file of one phone.
package profiles

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// Set is everything that phones can be told. It does not change, and may be
// used by many goroutines.
type Set struct {
	cfg       *config.Config
	passwords Passwords
	scope     *hcl.EvalContext // functions, local and phones
	builtin   *body
	settings  settings
	models    byModel[*modelBlock]
	known     byModel[*Model] // those that have a name, with what the blocks say
	ranges    []macRange      // the macs of model blocks
	rollouts  []*rollout
	rolloutOf byModel[*rollout]
	profiles  map[string]*profile
	general   []*profile // the default profile after those that it extends
	phones    []*phone
	byMAC     map[mac.Addr]*phone
	byAddress map[netip.Addr]*phone // those for which a network keeps one

	pathFiles   map[pathKey]*pathFile // document blocks that name a path
	pathOrder   []*pathFile           // the same, in the order of the configuration
	extras      []extraPath           // what of them is no path of ours
	joinGeneral []*body               // document blocks with join = "general": a layer each
	joinPhone   []*body               // likewise "phone"
	ownFiles    bool                  // a phone may have documents besides its own file

	layers    *cache[layerKey, generalLayer]
	documents *cache[documentKey, Document]
	logins    sync.Map // of phones that asked with one: mac.Addr to login
	sheets    sync.Map // of contacts that were read already: sheetKey to []contact
}

// profile is a profile block.
type profile struct {
	name     string
	body     *body
	extends  string
	isBase   bool // default = true
	firmware target
	rng      hcl.Range // the label
	extendsR hcl.Range
}

// Server is the appliance as one phone reaches it.
type Server struct {
	URL     string // "http://192.168.50.1": no slash at the end, the port only where it is not the scheme's
	Address netip.Addr
	Domain  string // of the network that has the address
}

//go:embed builtin/general.hcl
var builtinGeneral []byte

var profileSchema = layerSchema("default", "extends", "firmware")

// loader is a Set under construction.
type loader struct {
	cfg       *config.Config
	rep       *config.Report
	set       *Set
	scope     *hcl.EvalContext      // functions and local
	server    Server                // one that stands for those of the requests to come
	macs      map[mac.Addr]string   // whose it is, and where that is said
	names     map[string]string     // likewise, by lower-case name
	addresses map[netip.Addr]string // likewise
	images    map[imageOf]bool      // checked already
	checked   sync.Map              // files served as they are: name to *checkedFile
	problems  problems
	// phones' own files that no phone could read: a fault only where nothing else
	// is wrong
	unreadable hcl.Diagnostics
}

func (l *loader) fail(rng hcl.Range, summary, detail string, args ...any) {
	l.problems.add(hcl.Diagnostics{errorAt(rng, summary, detail, args...)})
}

// Bounds of the caches, in bytes: the documents of some thousand phones, and the
// general layers of the models that are about. A flood of requests for made-up
// models fills no more.
const (
	documentBytes = 8 << 20
	layerBytes    = 2 << 20
)

// Load builds a Set. Everything is evaluated once, for each model and each
// phone, so that whatever is wrong is in rep now and not in a phone's answer
// later. The Set is never nil, and not to be used if rep has errors.
func Load(cfg *config.Config, passwords Passwords, rep *config.Report) *Set {
	functions := cfg.Functions()
	functions["password"] = passwordFunction(passwords)
	functions["xml"] = xmlFunction()
	local, diags := localValues(cfg.Blocks, functions)
	l := &loader{
		cfg: cfg, rep: rep,
		scope:     &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{"local": local}},
		macs:      map[mac.Addr]string{},
		names:     map[string]string{},
		addresses: map[netip.Addr]string{},
		images:    map[imageOf]bool{},
		problems:  problems{known: map[problemPlace]*problem{}},
		set: &Set{
			cfg:       cfg,
			passwords: passwords,
			models:    byModel[*modelBlock]{},
			rolloutOf: byModel[*rollout]{},
			profiles:  map[string]*profile{},
			byMAC:     map[mac.Addr]*phone{},
			byAddress: map[netip.Addr]*phone{},
			pathFiles: map[pathKey]*pathFile{},
			layers:    newCache[layerKey, generalLayer](layerBytes),
			documents: newCache[documentKey, Document](documentBytes),
		},
	}
	l.problems.add(diags)
	l.tables()
	l.settingsOf(cfg.Blocks)
	l.loadBuiltin()
	l.reserve()
	for _, b := range cfg.Blocks {
		switch b.Type {
		case "profile":
			l.profile(b)
		case "model":
			l.model(b)
		}
	}
	l.set.known = l.set.knownModels()
	l.rollouts()
	l.chains()
	l.documents(cfg.Blocks)
	l.server = l.set.Server("", l.exampleAddress())
	l.phonesOf(cfg.Blocks)
	l.rolloutPhones()
	l.phoneObjects()
	l.evaluateAll()
	l.rolloutDocuments()
	l.verify()
	l.problems.report(rep)
	rep.CloseSilences(Rules())
	return l.set
}

// exampleAddress stands for the address at which phones will reach the appliance.
func (l *loader) exampleAddress() netip.Addr {
	if len(l.cfg.Networks) > 0 && l.cfg.Networks[0].Subnet.IsValid() {
		return l.cfg.Networks[0].Subnet.Masked().Addr().Next()
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, 1}) // RFC 5737
}

// tables reads what is shipped of models. A defect in it is one of the program's.
func (l *loader) tables() {
	_, models := builtinCatalogue()
	_, spellings := builtinSpellings()
	_, accessories := builtinAccessories()
	for _, table := range []struct {
		file, summary string
		err           error
	}{
		{"builtin/models.csv", "Invalid model catalogue", models},
		{"builtin/spellings.csv", "Invalid spellings", spellings},
		{"builtin/accessories.csv", "Invalid model catalogue", accessories},
	} {
		if table.err != nil {
			l.fail(hcl.Range{Filename: table.file}, table.summary, "%v", table.err)
		}
	}
}

func (l *loader) loadBuiltin() {
	file, diags := hclsyntax.ParseConfig(builtinGeneral, "builtin/general.hcl", hcl.InitialPos)
	l.problems.add(diags)
	var more hcl.Diagnostics
	l.set.builtin, more = newBody("built in", file.Body, layerSchema())
	l.problems.add(more)
}

// reserve notes the addresses and MACs that are no phone's.
func (l *loader) reserve() {
	for _, n := range l.cfg.Networks {
		for _, a := range n.Routers {
			l.addresses[a] = "a router of network " + n.Name
		}
		for _, h := range n.Hosts {
			host := fmt.Sprintf("host %s (%s)", h.MAC, at(h.DeclRange))
			l.macs[h.MAC], l.addresses[h.Address] = host, host
			if h.Name != "" {
				l.names[h.Name] = host
			}
		}
		for _, p := range n.Ports {
			l.addresses[p.Address] = fmt.Sprintf("a port (%s)", at(p.DeclRange))
		}
	}
}

// word evaluates an attribute of a profile's or model's own block: a text, ""
// where it is absent or wrong.
func (l *loader) word(attrs hcl.Attributes, name string) string {
	e := evaluator{ctx: l.scope}
	text := e.open(attrs, name, "")
	l.problems.add(e.diags)
	return text
}

func (l *loader) profile(b *hcl.Block) {
	name := b.Labels[0]
	if name == "" {
		l.fail(b.LabelRanges[0], "Profile without a name", "Phones and other profiles name a profile by its label.")
		return
	}
	body, diags := newBody("profile "+name, b.Body, profileSchema)
	l.problems.add(diags)
	attrs := header(b.Body, profileSchema)
	p := &profile{name: name, body: body, extends: l.word(attrs, "extends"), rng: b.LabelRanges[0]}
	if a := attrs["extends"]; a != nil {
		p.extendsR = a.Expr.Range()
	}
	if a := attrs["default"]; a != nil {
		switch l.word(attrs, "default") {
		case "on":
			p.isBase = true
		case "off":
		default:
			l.fail(a.Expr.Range(), "Wrong type of value", "default is true or false.")
		}
	}
	p.firmware = l.firmwareWord(attrs)
	if first, ok := l.set.profiles[name]; ok {
		l.fail(p.rng, "Duplicate profile", "There is a profile called %q already, at %s.", name, at(first.rng))
		return
	}
	l.set.profiles[name] = p
	if p.isBase {
		if len(l.set.general) > 0 {
			l.fail(p.rng, "Second default profile", "Every phone has the profile %q already, at %s. Take out one default = true, or let one profile extend the other.",
				l.set.general[0].name, at(l.set.general[0].rng))
			return
		}
		l.set.general = []*profile{p}
	}
}

func (l *loader) firmwareWord(attrs hcl.Attributes) target {
	a := attrs["firmware"]
	if a == nil {
		return target{}
	}
	return l.target(l.word(attrs, "firmware"), a.Expr.Range())
}

func (l *loader) oneOf(attrs hcl.Attributes, name string, words ...string) string {
	word := l.word(attrs, name)
	if word != "" && !slices.Contains(words, word) {
		l.fail(attrs[name].Expr.Range(), "Invalid "+name, "%s is one of %s, not %q.", name, strings.Join(words, ", "), word)
		return ""
	}
	return word
}

func (l *loader) unknownProfile(rng hcl.Range, name, where string) {
	if l.rep.Incomplete() {
		return // it may stand where the parser could not read on
	}
	names := slices.Sorted(maps.Keys(l.set.profiles))
	l.fail(rng, "Unknown profile", "There is no profile called %q.%s This is %s.", name, didYouMean(name, names), where)
}

// chains checks what profiles extend: existing profiles, and never in a circle.
// A link that is wrong is taken out, so that what is left can be followed.
func (l *loader) chains() {
	for _, name := range slices.Sorted(maps.Keys(l.set.profiles)) {
		p := l.set.profiles[name]
		if _, ok := l.set.profiles[p.extends]; !ok && p.extends != "" {
			l.unknownProfile(p.extendsR, p.extends, "what profile "+p.name+" extends")
			p.extends = ""
		}
		circle := []string{p.name}
		for q := p; q.extends != ""; q = l.set.profiles[q.extends] {
			circle = append(circle, q.extends)
			if q.extends == p.name {
				l.fail(p.extendsR, "Circle of extends", "These profiles extend one another: %s.", strings.Join(circle, " → "))
				p.extends = ""
				break
			}
			if len(circle) > len(l.set.profiles) {
				break // a circle further on, which one of its own members reports
			}
		}
	}
	if len(l.set.general) > 0 {
		l.set.general = l.set.chain(l.set.general[0].name)
	}
}

// chain gives a profile after those that it extends.
func (s *Set) chain(name string) []*profile {
	var chain []*profile
	for p := s.profiles[name]; p != nil; p = s.profiles[p.extends] {
		chain = append(chain, p)
	}
	slices.Reverse(chain)
	return chain
}

// ownChain leaves out of a chain what every phone has from the general file.
func (s *Set) ownChain(name string) []*profile {
	return slices.DeleteFunc(s.chain(name), func(p *profile) bool { return slices.Contains(s.general, p) })
}

// phoneObjects completes the scope with the list of all phones.
func (l *loader) phoneObjects() {
	objects := make([]cty.Value, len(l.set.phones))
	for i, p := range l.set.phones {
		extension := l.extension(p)
		object := p.Phone.object()
		object["extension"] = extension
		p.object = cty.ObjectVal(object)
		objects[i] = p.object
	}
	phones := cty.ListValEmpty(cty.Object(map[string]cty.Type{}))
	if len(objects) > 0 {
		phones = cty.ListVal(objects)
	}
	l.set.scope = child(l.scope, map[string]cty.Value{"phones": phones})
}

// evaluateAll tries every layer, and warns of what should not be in it.
func (l *loader) evaluateAll() {
	s := l.set
	for _, p := range s.profiles {
		s.ownFiles = s.ownFiles || !slices.Contains(s.general, p) && p.body.mentions("document")
	}
	for _, p := range s.phones {
		s.ownFiles = s.ownFiles || p.block.body.mentions("document")
	}
	lint := newLint(l)
	for _, p := range s.general {
		l.refuseByPhone(p.body)
	}
	layers, diags := s.baseLayers(Model{}, l.server)
	l.add(diags)
	base := merge(layers)
	lint.general(base, base, Model{})
	l.perPhone(Model{})
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		b := s.models[name]
		l.refuseByPhone(b.body)
		l.checkImage(b.firmware, about{model: b.Name})
		l.checkAccessories(b.accessories, about{model: b.Name})
		layer, diags := s.evaluateModel(b, s.Server(b.Name, l.server.Address))
		l.add(diags)
		lint.general(layer, layer.over(base), b.Model)
		l.perPhone(b.Model)
	}

	used := map[*profile]bool{}
	for _, p := range s.general {
		used[p] = true
	}
	answered := false // somebody has what http_auth asks for
	l.tryPhones(func(p *phone, t tried) {
		for _, profile := range s.ownChain(p.Profile) {
			used[profile] = true
		}
		l.add(t.diags)
		m, _ := s.Model(p.Model)
		// What is wrong with the general file was said above.
		general, err := s.generalLayer(m, s.Server(m.Name, l.server.Address))
		lint.phone(p, t, general.layer, m, err == nil && !t.diags.HasErrors())
		login := loginOf(t.own)
		answered = answered || login.user != "" && login.password != "" && cmp.Or(p.Secrets, l.cfg.Provisioning.Secrets) != "certificate"
	})
	if p := l.cfg.Provisioning; p.HTTPAuth != "off" && len(s.phones) > 0 && !answered {
		l.warn(about{}, ruleIdleAuth, p.AuthRange, "Credentials that nobody has", "No phone is given credentials by which it would get its own file, so http_auth lets nobody in. "+
			"Write http_client {} into a profile; with secrets = \"certificate\" credentials do not count.")
	}
	for _, name := range slices.Sorted(maps.Keys(s.profiles)) {
		if p := s.profiles[name]; !used[p] {
			ctx := s.context(l.server, map[string]cty.Value{"phone": unknownPhone()})
			layer, diags := s.evaluator(ctx, nil, Model{}, l.server).evaluate(p.body)
			l.add(diags)
			lint.unused(layer)
		}
	}
	lint.pathFiles()
	lint.finish()
}

// perPhone tries the words of general layers that belong into phones' own
// files, also where there is no phone yet.
func (l *loader) perPhone(m Model) {
	e := l.set.evaluator(l.set.generalContext(l.server), nil, m, l.server)
	_, diags := l.set.perPhoneLayers(e)
	l.add(diags)
}

// refuseByPhone reports where a layer of the general file speaks of one phone.
func (l *loader) refuseByPhone(b *body) {
	syntax, ok := b.raw.(*hclsyntax.Body)
	if !ok {
		return
	}
	for _, block := range syntax.Blocks {
		for _, t := range variables(block.Body) {
			if t.RootName() == "phone" && !isPrivate(block) {
				l.fail(t.SourceRange(), "Phone in a general document",
					"%s makes the file that all phones of a model share, so it cannot ask which phone it is for. Move this to a profile that phones name.", capital(b.name))
			}
		}
	}
}

func variables(b *hclsyntax.Body) []hcl.Traversal {
	var all []hcl.Traversal
	for _, a := range b.Attributes {
		all = append(all, a.Expr.Variables()...)
	}
	for _, block := range b.Blocks {
		all = append(all, variables(block.Body)...)
	}
	return all
}

// Server gives the appliance as a phone of the model reaches it at the given
// address: the one place where the setting server's URL is made. model may be
// "".
func (s *Set) Server(model string, addr netip.Addr) Server {
	m, _ := s.Model(model)
	return s.serverBy(s.scheme(m), addr)
}

// serverBy gives the appliance as it is reached by a scheme.
func (s *Set) serverBy(scheme string, addr netip.Addr) Server {
	addr = addr.Unmap()
	server := Server{Address: addr}
	if n, ok := s.cfg.NetworkOf(addr); ok {
		server.Domain = n.Domain
	}
	port, usual := s.cfg.Provisioning.HTTPPort, 80
	switch scheme {
	case "https":
		port, usual = 443, 443
		if s.cfg.HTTPS != nil {
			port = s.cfg.HTTPS.Port
		}
	case "tftp":
		port, usual = s.cfg.Provisioning.TFTPPort, 69
	}
	host := addr.String()
	switch {
	case port != usual && port != 0:
		host = net.JoinHostPort(host, strconv.Itoa(port))
	case addr.Is6():
		host = "[" + host + "]"
	}
	server.URL = scheme + "://" + host
	return server
}

func (s *Set) scheme(m Model) string {
	if m.Scheme != "" {
		return m.Scheme
	}
	return s.cfg.Provisioning.Scheme
}

// SettingServer gives options 66 and 67 for a phone of the model that reaches
// the appliance at addr. bootfile is "" where the model is not known: the phone
// then adds the default names itself.
func (s *Set) SettingServer(model string, addr netip.Addr) (tftpServerName, bootfile string) {
	server := s.Server(model, addr)
	if m, ok := s.Model(model); ok {
		bootfile = m.Name + ".htm"
	}
	return server.URL, bootfile
}

// Phone finds a phone of the configuration.
func (s *Set) Phone(m mac.Addr) (Phone, bool) {
	if p, ok := s.byMAC[m]; ok {
		return p.Phone, true
	}
	return Phone{}, false
}

// PhoneAt finds the phone for which a network keeps an address.
func (s *Set) PhoneAt(a netip.Addr) (Phone, bool) {
	if p, ok := s.byAddress[a]; ok {
		return p.Phone, true
	}
	return Phone{}, false
}

// Phones lists the phones in the order of the configuration.
func (s *Set) Phones() []Phone {
	phones := make([]Phone, len(s.phones))
	for i, p := range s.phones {
		phones[i] = p.Phone
	}
	return phones
}

// ModelsInUse names the models that the configuration has a block or a phone of,
// sorted.
func (s *Set) ModelsInUse() []string {
	used := map[string]bool{}
	for _, b := range s.models {
		used[b.Name] = true
	}
	for _, p := range s.phones {
		if model := cmp.Or(p.Model, s.ModelHint(p.MAC)); model != "" {
			used[model] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}
