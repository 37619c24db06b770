package profiles

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// Phone is a phone that the configuration names.
type Phone struct {
	MAC       mac.Addr
	Name      string // any text; see HostName
	Model     string // canonical; "" where it is left to be learned
	Address   netip.Addr
	Firmware  string // target: its own, its profile's, or its model's; "" for none
	Profile   string
	Extension string // the user of its first identity that has one
	Secrets   string // who may read its own file: lease, certificate, anyone; "" for what provisioning says
	Redirect  string // URL of another setting server, "" for a phone of ours
}

// phone is a Phone with what its documents are made of.
type phone struct {
	Phone
	block    *phoneBlock
	each     cty.Value // NilVal outside of phones blocks
	object   cty.Value
	firmware target // of its own block
	// what is attached to it, by its own block
	accessories accessories
	where       string // for messages: "phone anna"
	rng         hcl.Range
}

// phoneBlock is a phone block, or a phones block with all its rows.
type phoneBlock struct {
	body  *body
	attrs hcl.Attributes
	rng   hcl.Range
}

var (
	phoneWords   = []string{"name", "model", "profile", "address", "firmware", "redirect", "secrets"}
	phoneSchema  = withAccessories(layerSchema(phoneWords...))
	phonesSchema = withAccessories(layerSchema(append([]string{"for_each", "mac"}, phoneWords...)...))
)

// phonesOf decodes the phone and phones blocks. What they refer to has to be
// loaded before.
func (l *loader) phonesOf(blocks hcl.Blocks) {
	named := map[string]hcl.Range{}
	for _, b := range blocks {
		switch b.Type {
		case "phone":
			l.phone(b)
		case "phones":
			if first, ok := named[b.Labels[0]]; ok {
				l.fail(b.LabelRanges[0], "Duplicate phones", "There is a block of phones called %q already, at %s.", b.Labels[0], at(first))
			}
			named[b.Labels[0]] = b.DefRange
			l.rows(b)
		}
	}
}

func (l *loader) newPhoneBlock(b *hcl.Block, schema *hcl.BodySchema) *phoneBlock {
	body, diags := newBody(fmt.Sprintf("%s %s", b.Type, b.Labels[0]), b.Body, schema)
	l.problems.add(diags)
	return &phoneBlock{body: body, attrs: header(b.Body, schema), rng: b.DefRange}
}

func (l *loader) phone(b *hcl.Block) {
	block := l.newPhoneBlock(b, phoneSchema)
	m, err := mac.Parse(b.Labels[0])
	if err != nil {
		l.fail(b.LabelRanges[0], "Invalid MAC address", "%s.", capital(err.Error()))
		return
	}
	l.addPhone(&phone{Phone: Phone{MAC: m}, block: block, rng: b.LabelRanges[0]}, l.scope)
}

// rows makes a phone of every element of for_each.
func (l *loader) rows(b *hcl.Block) {
	block := l.newPhoneBlock(b, phonesSchema)
	for _, name := range []string{"for_each", "mac"} {
		if block.attrs[name] == nil {
			l.fail(b.DefRange, "Missing required argument", "A phones block needs %s: for_each is the list, mac comes from each.value.", name)
			return
		}
	}
	forEach := block.attrs["for_each"].Expr
	list, diags := forEach.Value(l.scope)
	l.problems.add(diags)
	list, marks := list.Unmark()
	if diags.HasErrors() || !list.IsKnown() {
		return
	}
	if isSecret(marks) {
		l.fail(forEach.Range(), "Secret in a public place",
			"The names and MACs of phones are no secret, so for_each cannot come from one. Read the list with file, and use sensitive(…) where a value needs it.")
		return
	}
	if list.IsNull() || !list.CanIterateElements() {
		l.fail(forEach.Range(), "Invalid for_each", "for_each takes a list, a set, a map or an object, as csvdecode(file(…)) gives it.")
		return
	}
	n := 0
	for it := list.ElementIterator(); it.Next(); {
		n++
		key, value := it.Element()
		each := cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})
		ctx := child(l.scope, map[string]cty.Value{"each": each})
		p := &phone{block: block, each: each, rng: block.attrs["mac"].Expr.Range()}
		p.where = fmt.Sprintf("element %d of phones %q", n, b.Labels[0])
		text := l.header(p, ctx, "mac")
		if text == "" {
			l.fail(p.rng, "Missing MAC address", "Each phone needs its MAC; this is %s.", p.where)
			continue
		}
		var err error
		if p.MAC, err = mac.Parse(text); err != nil {
			l.fail(p.rng, "Invalid MAC address", "%s; this is %s.", capital(err.Error()), p.where)
			continue
		}
		l.addPhone(p, ctx)
	}
}

// header evaluates an attribute of the phone's block itself: a text, "" where it
// is absent or wrong.
func (l *loader) header(p *phone, ctx *hcl.EvalContext, name string) string {
	a := p.block.attrs[name]
	if a == nil {
		return ""
	}
	e := evaluator{ctx: ctx, of: p.where}
	text := e.open(p.block.attrs, name, "")
	l.problems.add(e.diags)
	return text
}

// addPhone evaluates the header of a phone and checks it against the rest of
// the configuration. Unless another phone has its MAC it is kept whatever is
// wrong with it, so that its layers are checked too.
func (l *loader) addPhone(p *phone, ctx *hcl.EvalContext) {
	p.Name = l.header(p, ctx, "name")
	if p.Name == "" {
		p.Name = p.MAC.Hex()
	}
	p.where = "phone " + p.Name
	if owner, ok := l.macs[p.MAC]; ok {
		l.fail(p.rng, "Duplicate MAC address", "%s belongs to %s, so it cannot be that of %s.", p.MAC, owner, p.where)
		return
	}
	l.macs[p.MAC] = fmt.Sprintf("%s (%s)", p.where, at(p.rng))
	if strings.ContainsFunc(p.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		l.fail(p.at("name"), "Invalid phone name", "%q has a character that cannot be shown. A name is one line of text.", p.Name)
	}
	p.Profile = l.header(p, ctx, "profile")
	p.Redirect = l.header(p, ctx, "redirect")
	if model := l.header(p, ctx, "model"); model != "" {
		m, ok := l.set.Model(model)
		if !ok {
			l.fail(p.at("model"), "Invalid model", "%q is no model: models look like snomD785. This is %s.", model, p.where)
		}
		p.Model = m.Name
	}
	if _, ok := l.set.profiles[p.Profile]; !ok && p.Profile != "" {
		l.unknownProfile(p.at("profile"), p.Profile, "the profile of "+p.where)
	}
	p.firmware = l.target(l.header(p, ctx, "firmware"), p.at("firmware"))
	wanted := l.set.wanted(p, p.Model)
	p.Firmware = wanted.text
	l.checkImage(wanted, about{model: p.Model, phone: p, shared: true})
	p.accessories = l.accessoriesOf(p.block.body, ctx, p.where)
	l.checkAccessories(p.accessories, about{model: p.Model, phone: p, shared: true})
	l.address(p, ctx)
	l.redirect(p)
	l.secrets(p, ctx)
	name := strings.ToLower(p.Name)
	if owner, ok := l.names[name]; ok {
		l.fail(p.at("name"), "Duplicate phone name", "%s cannot be called %q, as is %s: a name is a host name too.", p.MAC, p.Name, owner)
	} else {
		l.names[name] = fmt.Sprintf("%s (%s)", p.MAC, at(p.at("name")))
	}
	l.set.phones = append(l.set.phones, p)
	l.set.byMAC[p.MAC] = p
}

// at gives the place of an attribute of the header, or of the phone.
func (p *phone) at(name string) hcl.Range {
	if a := p.block.attrs[name]; a != nil {
		return a.Expr.Range()
	}
	return p.rng
}

// address reads the reserved address, and checks that it is free and ours to give.
func (l *loader) address(p *phone, ctx *hcl.EvalContext) {
	text := l.header(p, ctx, "address")
	if text == "" {
		return
	}
	rng := p.at("address")
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		l.fail(rng, "Invalid address", "%q is no IPv4 address. This is %s.", text, p.where)
		return
	}
	p.Address = a
	if len(l.cfg.Networks) == 0 {
		l.warn(about{phone: p, shared: true}, ruleIdleAddress, rng, "Address without a network", "No network block leases addresses, so nothing gives %s to %s.", a, p.where)
		return
	}
	network, ok := l.cfg.NetworkOf(a)
	if !ok {
		l.fail(rng, "Address outside its subnet", "No network has %s, which is for %s.", a, p.where)
		return
	}
	if network.Subnet.Bits() < 31 && (a == network.Subnet.Masked().Addr() || a == broadcast(network.Subnet)) {
		l.fail(rng, "Address outside its subnet", "%s is the network's own or its broadcast address, so it cannot be for %s.", a, p.where)
		return
	}
	if owner, ok := l.addresses[a]; ok {
		l.fail(rng, "Reservation of a taken address", "%s is for %s, but it belongs to %s.", a, p.where, owner)
		return
	}
	l.addresses[a] = fmt.Sprintf("%s (%s)", p.where, at(rng))
	l.set.byAddress[a] = p
}

func broadcast(subnet netip.Prefix) netip.Addr {
	b := subnet.Masked().Addr().As4()
	for i := subnet.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// redirect checks that a redirected phone has nothing else to be set to.
func (l *loader) redirect(p *phone) {
	if p.Redirect == "" {
		return
	}
	rng := p.at("redirect")
	u, err := url.Parse(p.Redirect)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "tftp"}, u.Scheme) {
		l.fail(rng, "Invalid URL", "redirect takes an http, https or tftp URL, not %q.", p.Redirect)
	}
	if p.block.body.static == nil || !p.block.body.static.isEmpty() || p.Profile != "" || p.block.attrs["firmware"] != nil {
		l.fail(rng, "Redirect beside settings", "%s gets nothing but the other setting server's URL. Take out redirect, or its profile, firmware and blocks.", capital(p.where))
	}
}

func (b *block) isEmpty() bool {
	return len(b.settings)+len(b.identities)+len(b.keys)+len(b.contacts)+len(b.templates)+len(b.languages)+len(b.words)+
		len(b.books)+len(b.plans)+len(b.certificates)+len(b.uploads)+len(b.files) == 0 && b.codecs == nil
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// extension finds the user of the first identity that has one, before the phones
// are known to each other.
func (l *loader) extension(p *phone) cty.Value {
	object := p.Phone.object()
	delete(object, "extension")
	ctx := child(l.scope, map[string]cty.Value{
		"phone": cty.ObjectVal(object), "phones": cty.DynamicVal, "server": l.server.object(),
	})
	if p.each != cty.NilVal {
		ctx.Variables["each"] = p.each
	}
	b, _ := p.block.body.block(ctx) // what is wrong with it, the evaluation of the layer says
	var first *indexed
	for i, id := range b.identities {
		if id.attrs["user"] != nil && (first == nil || id.index < first.index) {
			first = &b.identities[i]
		}
	}
	if first == nil {
		return cty.StringVal("")
	}
	e := evaluator{ctx: ctx, of: p.where, said: map[settingID]hcl.Range{}}
	user := first.attrs["user"].Expr
	if written, ok := e.eval(user); ok {
		e.settingValue(setting{name: "user"}, written, user.Range(), shape{object: true})
	}
	l.problems.add(e.diags)
	var v value
	if len(e.out.settings) > 0 {
		v = e.out.settings[0].value
	}
	if v.secret {
		return cty.StringVal(v.text).Mark(config.Secret)
	}
	p.Extension = v.text
	return cty.StringVal(v.text)
}

// secrets reads who may have the phone's own file.
func (l *loader) secrets(p *phone, ctx *hcl.EvalContext) {
	p.Secrets = l.header(p, ctx, "secrets")
	if p.Secrets != "" && !slices.Contains([]string{"lease", "certificate", "anyone"}, p.Secrets) {
		l.fail(p.at("secrets"), "Invalid secrets", "secrets is lease, certificate or anyone, not %q. This is %s.", p.Secrets, p.where)
	}
	m, _ := l.set.Model(p.Model)
	of, at, scheme := about{model: p.Model, phone: p}, p.at("secrets"), l.set.scheme(m)
	switch {
	case p.Secrets == "certificate" && (l.cfg.HTTPS == nil || l.cfg.HTTPS.ClientCA == ""):
		l.warn(of, config.MissingClientCA, at, "Missing client_ca", "%s gets its own file only by its certificate, and none can be checked: "+
			"name the certificates of the phones' maker as client_ca in the https block.", capital(p.where))
	case p.Secrets == "certificate" && scheme != "https":
		l.warn(of, config.CertificateScheme, at, "Certificates without HTTPS", "The own file goes only to a certificate, which only HTTPS can show, and phones of this model are sent to %s: "+
			"set scheme = \"https\", in provisioning or in the model.", scheme)
	case p.Secrets == "anyone":
		l.warn(of, config.SecretsAnyone, at, "Secrets for anyone", "The own file, with its passwords, goes to whoever asks, and MACs are easily guessed. "+
			"Leave secrets out outside of a closed laboratory.")
	}
}
