package profiles

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/mac"
)

// Request asks for a document.
type Request struct {
	Path    Path
	MAC     mac.Addr // who asks, zero where nobody can tell
	Model   string   // of the phone that asks, where the path names none; "" if unknown
	Server  Server
	Version string // of the firmware that asks, from its User-Agent; "" if unknown
	Parts   Parts  // of the same, before V7
	Reveal  bool   // write secrets out instead of masking them
	// Hold is the reason why a phone that would load firmware is to wait, "" where
	// it may. The answer for firmware is empty then, with the reason as a remark.
	Hold string
	// HasFile reports whether files_dir has a file, named with slashes. Nil
	// means that every file is there.
	HasFile func(name string) bool
}

// Document is the answer to a Request.
type Document struct {
	Body        []byte // not to be changed
	ContentType string
	Own         mac.Addr      // the one phone that may have it; zero for anyone
	Path        Path          // in canonical spelling
	Secrets     []Span        // where in Body secrets are, masked or not, in order
	Revision    string        // the hash of Body, as an entity tag (RFC 9110 section 8.8.3)
	Firmware    FirmwareOffer // of an answer about firmware
	byAdmin     bool          // as the admin wrote it
}

// Span is a part of a document: octets from Start up to End.
type Span struct{ Start, End int }

// Seal gives Body with each secret replaced by what seal makes of it.
func (d Document) Seal(seal func(secret string) string) []byte {
	if len(d.Secrets) == 0 {
		return d.Body
	}
	sealed := make([]byte, 0, len(d.Body)+32*len(d.Secrets))
	end := 0
	for _, s := range d.Secrets {
		sealed = append(sealed, d.Body[end:s.Start]...)
		sealed = append(sealed, seal(string(d.Body[s.Start:s.End]))...)
		end = s.End
	}
	return append(sealed, d.Body[end:]...)
}

// NotFound says why there is no document.
type NotFound struct{ Reason string }

func (e *NotFound) Error() string { return e.Reason }

func notFound(format string, args ...any) error { return &NotFound{fmt.Sprintf(format, args...)} }

// documentKey is everything that a document depends on.
type documentKey struct {
	path     Path
	model    string // of a MACContainer, whose path names none
	server   Server
	format   Format
	reveal   bool
	major    int    // of the firmware that asks, 0 where it is not known
	redirect string // URL, "" for a document of ours
	spelling spelling
	entries  int // of a phone's own book, for a sample of it; 0 for all
}

// Render makes a document, the same bytes each time. The error is a *NotFound.
func (s *Set) Render(r Request) (Document, error) {
	key, err := s.documentKey(r)
	if err != nil {
		return Document{}, err
	}
	if key.path.Kind == FirmwareStatus {
		// It depends on all that phones may say of themselves, and is soon made.
		d, err := s.document(key, r)
		d.Revision = revision(d.Body)
		return d, err
	}
	if d, ok := s.documents.get(key); ok {
		return d, nil
	}
	d, err := s.document(key, r)
	if err != nil {
		return Document{}, err
	}
	d.Revision = revision(d.Body)
	s.documents.put(key, d, len(d.Body)+len(key.server.URL)+16*len(d.Secrets)+512)
	return d, nil
}

func revision(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// documentKey decides what the answer will be.
func (s *Set) documentKey(r Request) (documentKey, error) {
	key := documentKey{path: r.Path, server: r.Server, reveal: r.Reveal}
	who := r.Path.MAC
	if who.IsZero() {
		who = r.MAC
	}
	p := s.byMAC[who]
	redirected := p != nil && p.Redirect != ""
	model, err := s.modelFor(r, p)
	if err != nil && !redirected {
		return key, err
	}
	if key.path.Model != "" {
		key.path.Model = model.Name
	}
	key.major = min(majorOf(r.Version), 99)
	if model.reads(r.Version) == Text {
		key.format = Text
	}
	switch key.path.Kind {
	case Firmware, File:
		return key, notFound("%s is a file, not a document", key.path)
	case FirmwareStatus:
		return key, nil
	}
	if redirected && key.path.Kind != Extra {
		// Whatever it asks for, so that no setting of ours stays behind.
		key.redirect, key.path.MAC = p.Redirect, p.MAC
		return key, nil
	}
	switch key.path.Kind {
	case Own, PhoneContainer, PhoneFile:
		if p == nil {
			return key, notConfigured(r.Path.MAC)
		}
	case MACContainer, Extra:
		key.model = model.Name
	}
	key.spelling = s.spellingOf(model.Name, r.Version)
	return key, nil
}

// firmwareStatus makes the answer to a phone that asks for firmware.
func (t *draft) firmwareStatus(r Request) (Document, error) {
	s, k, m := t.set, t.key, t.model
	p := s.byMAC[r.MAC]
	lines := []firmwareLine{{text: "the phone is sent to another setting server"}}
	var says FirmwareOffer
	if p == nil || p.Redirect == "" {
		if d, ok, err := t.adminDocument(); ok || err != nil {
			return d, err
		}
		lines, says = s.firmwareLines(p, m, r)
	}
	d := Document{Path: k.path, Firmware: says}
	if k.format == Text {
		w := newText(k.reveal, m.Identities)
		w.firmware(lines)
		d.Body, d.ContentType = w.bytes(), "text/plain; charset=utf-8"
		return d, nil
	}
	w := newXML(k.reveal, k.spelling)
	w.firmware(lines)
	d.Body, d.ContentType = w.b.Bytes(), "text/xml; charset=utf-8"
	return d, nil
}

// modelFor finds the model whose documents are asked for.
func (s *Set) modelFor(r Request, p *phone) (Model, error) {
	name := r.Path.Model
	if name == "" && p != nil {
		name = p.Model
	}
	if name == "" {
		name = r.Model
	}
	if name == "" && r.Path.Kind == MACContainer {
		name = s.ModelHint(r.Path.MAC)
	}
	m, ok := s.Model(name)
	switch {
	case ok:
		return m, nil
	case slices.Contains([]Kind{GUILanguages, WebLanguages, GUIPhrases, WebPhrases, Extra}, r.Path.Kind):
		return Model{}, nil
	case name != "":
		return m, notFound("%q is no model: models look like snomD785", name)
	}
	return m, notFound("the model of %s is not known: set model in its phone block, or let it ask for MODEL.htm", r.Path.MAC)
}

// reads tells the format that a firmware of the model reads; version is "" where
// it is not known.
func (m Model) reads(version string) Format {
	if n := majorOf(version); 0 < n && n < m.textBefore {
		return Text
	}
	return m.Format
}

// modelOf gives a model as the phone that asks has it.
func (s *Set) modelOf(k documentKey, name string) Model {
	m, _ := s.Model(name)
	m.runs = k.major
	return m
}

// document makes the document that a key describes, of firmware with what else
// the request says.
func (s *Set) document(k documentKey, r Request) (Document, error) {
	return s.draft(k).document(r)
}

// draft is a document in the making.
type draft struct {
	set   *Set
	key   documentKey
	model Model
	own   func() (layer, hcl.Diagnostics) // what the layers of the key's phone say, evaluated once
}

func (s *Set) draft(k documentKey) *draft {
	m := s.modelOf(k, cmp.Or(k.path.Model, k.model))
	return &draft{set: s, key: k, model: m, own: sync.OnceValues(func() (layer, hcl.Diagnostics) {
		return s.ownLayer(s.byMAC[k.path.MAC], m, k.server)
	})}
}

func (t *draft) document(r Request) (Document, error) {
	if t.key.path.Kind == FirmwareStatus {
		return t.firmwareStatus(r)
	}
	if t.key.redirect == "" {
		if d, ok, err := t.adminDocument(); ok || err != nil {
			return d, err
		}
	}
	d := Document{Path: t.key.path}
	var err error
	if t.key.format == Text {
		err = t.text(&d)
	} else {
		err = t.xml(&d)
	}
	return d, err
}

// redirection is all that a phone of another setting server is told.
func redirection(url string) layer {
	return layer{settings: []setting{{name: "setting_server", index: noIndex, perm: "RW", value: value{text: url}}}}
}

func (t *draft) xml(d *Document) error {
	s, k, m := t.set, t.key, t.model
	w := newXML(k.reveal, k.spelling)
	switch kind := k.path.Kind; {
	case k.redirect != "":
		w.settings(redirection(k.redirect))
		d.Own = k.path.MAC
	case kind == ModelContainer, kind == MACContainer:
		links, err := t.modelLinks()
		if err != nil {
			return err
		}
		if _, ok := s.byMAC[k.path.MAC]; ok && kind == MACContainer {
			own, err := t.ownLinks()
			if err != nil {
				return err
			}
			links = append(links, own...)
		}
		w.container(links)
	case kind == PhoneContainer:
		// Never settings: a phone loads linked files after both containers, so
		// that general.xml would win over them.
		own, err := t.ownLinks()
		if err != nil {
			return err
		}
		w.container(own)
	case kind == General:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return err
		}
		w.settings(general.layer)
	case kind == Own:
		own, err := t.wholeOwn()
		if err != nil {
			return err
		}
		w.settings(own)
		d.Own = k.path.MAC
	case kind == GUILanguages, kind == WebLanguages:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return err
		}
		tag, list := "gui-languages", general.gui
		if kind == WebLanguages {
			tag, list = "web-languages", general.web
		}
		if len(list) == 0 {
			return notFound("no languages are configured: see the languages block of the default profile")
		}
		w.languages(tag, k.ownPhrases(list))
	case kind == GUIPhrases, kind == WebPhrases:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return err
		}
		tag, list := "phrases", general.gui
		if kind == WebPhrases {
			tag, list = "w_phrases", general.web
		}
		l, ok := findPhrases(list, k.path.Name)
		if !ok {
			return notFound("no language of that file has phrases in the configuration: see the languages block of the default profile")
		}
		w.phrases(tag, l)
		d.Path.Name = l.slug()
	}
	d.Body, d.ContentType, d.Secrets = w.b.Bytes(), "text/xml; charset=utf-8", w.secrets
	return nil
}

// text makes the documents of firmware V3 to V6. It reads no containers of the
// new kind, so that each of the two files that it asks for has the settings itself.
func (t *draft) text(d *Document) error {
	s, k, m := t.set, t.key, t.model
	w := newText(k.reveal, m.Identities)
	switch kind := k.path.Kind; {
	case k.redirect != "":
		w.settings(redirection(k.redirect))
		d.Own = k.path.MAC
	case kind == ModelContainer, kind == General:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return err
		}
		w.settings(general.layer)
	case kind == PhoneContainer, kind == Own:
		own, err := t.wholeOwn()
		if err != nil {
			return err
		}
		w.settings(own)
		d.Own = k.path.MAC
	case kind == MACContainer:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return err
		}
		merged := general.layer
		if p, ok := s.byMAC[k.path.MAC]; ok {
			own, diags := t.own()
			if diags.HasErrors() {
				return notFound("the settings cannot be made: %v", diags)
			}
			merged = own.over(merged)
			merged = s.complete(merged, merged.settings, p)
			d.Own = k.path.MAC
		}
		w.settings(merged)
	case kind == GUILanguages, kind == WebLanguages, kind == GUIPhrases, kind == WebPhrases:
		return notFound("firmware before V7 reads no language files")
	}
	d.Body, d.ContentType, d.Secrets = w.bytes(), "text/plain; charset=utf-8", w.secrets
	return nil
}

// modelLinks gives what the container of a model lists: what its phones share.
func (t *draft) modelLinks() ([]string, error) {
	s, k, m := t.set, t.key, t.model
	general, err := s.generalLayer(m, k.server)
	if err != nil {
		return nil, err
	}
	var links []string
	add := func(p Path) { links = append(links, k.server.URL+p.String()) }
	if m.DECT { // which learns of its firmware no other way
		add(Path{Kind: FirmwareStatus, Model: m.Name})
	}
	add(Path{Kind: General, Model: m.Name})
	for _, kind := range []Kind{GUILanguages, WebLanguages} {
		if p, ok := s.languagesPath(kind, general, m); ok {
			add(p)
		}
	}
	for _, name := range general.joined() {
		add(Path{Kind: ModelFile, Model: m.Name, Name: name})
	}
	return links, nil
}

// ownLinks gives what the container of one phone lists: its own file, and the
// admin's documents for it.
func (t *draft) ownLinks() ([]string, error) {
	k, m := t.key, t.model
	links := []string{k.server.URL + Path{Kind: Own, Model: m.Name, MAC: k.path.MAC}.String()}
	if !t.set.ownFiles {
		return links, nil
	}
	own, diags := t.own()
	if diags.HasErrors() {
		return nil, notFound("the settings of %s cannot be made: %v", k.path.MAC, diags)
	}
	for _, name := range own.joined() {
		links = append(links, k.server.URL+Path{Kind: PhoneFile, Model: m.Name, MAC: k.path.MAC, Name: name}.String())
	}
	return links, nil
}

// languagesPath gives the container of languages that the phones of a model are
// to load: the model's where it differs from that of all others.
func (s *Set) languagesPath(kind Kind, general generalLayer, m Model) (Path, bool) {
	list := general.gui
	if kind == WebLanguages {
		list = general.web
	}
	common, own := Path{Kind: kind}, Path{Kind: kind, Model: m.Name}
	_, file := general.findFile(own)
	_, commonFile := s.findPathFile(common)
	_, ownFile := s.findPathFile(own)
	switch any := len(list) > 0 || file; {
	case ownFile, general.ownLanguages && any:
		return own, true
	case commonFile:
		return common, true
	case any && m.Scheme != "":
		return own, true
	default:
		return common, any
	}
}

// ownPhrases completes the list of a language container with the links to the
// languages that the configuration itself holds, beside it.
func (k documentKey) ownPhrases(list []language) []language {
	list = slices.Clone(list)
	kind := GUIPhrases
	if k.path.Kind == WebLanguages {
		kind = WebPhrases
	}
	for i, l := range list {
		if l.phrases != nil {
			list[i].url.text = k.server.URL + Path{Kind: kind, Model: k.path.Model, Name: l.slug()}.String()
		}
	}
	return list
}

// layerKey is what a general layer depends on.
type layerKey struct {
	model  string
	major  int
	server Server
}

// generalLayer is the general file of a model, from all its layers.
type generalLayer struct {
	layer
	ownLanguages bool // the model changes what the default profile says of them
}

// generalLayer evaluates what all phones of a model share; the zero Model has
// the layers that all models share.
func (s *Set) generalLayer(m Model, server Server) (generalLayer, error) {
	key := layerKey{m.Name, m.runs, server}
	if g, ok := s.layers.get(key); ok {
		return g, nil
	}
	layers, ownLanguages, diags := s.generalLayers(m, server)
	g := generalLayer{layer: s.wholeGeneral(layers), ownLanguages: ownLanguages}
	if diags.HasErrors() {
		return g, notFound("the general settings cannot be made: %v", diags)
	}
	s.layers.put(key, g, g.size())
	return g, nil
}

// generalLayers evaluates the layers of a model's general file, weakest first.
func (s *Set) generalLayers(m Model, server Server) (layers []layer, ownLanguages bool, diags hcl.Diagnostics) {
	if m.Name != "" {
		ctx := s.context(server, map[string]cty.Value{"model": cty.StringVal(m.Name)})
		e := s.evaluator(ctx, nil, m, server)
		e.general = true
		builtin, more := e.evaluate(s.builtin)
		layers, diags = append(layers, builtin), append(diags, more...)
	}
	base, more := s.baseLayers(m, server)
	layers, diags = append(layers, base...), append(diags, more...)
	if b, ok := s.models.get(m.Name); ok {
		own, more := s.evaluateModel(b, server)
		layers, diags = append(layers, own), append(diags, more...)
		_, gui := own.findFile(Path{Kind: GUILanguages})
		_, web := own.findFile(Path{Kind: WebLanguages})
		ownLanguages = len(own.gui)+len(own.web) > 0 || gui || web
	}
	return layers, ownLanguages, diags
}

// evaluator is that of the layers of a phone, nil for all phones of a model.
func (s *Set) evaluator(ctx *hcl.EvalContext, p *phone, m Model, server Server) evaluator {
	e := evaluator{set: s, ctx: ctx, server: server, model: m, major: m.major(s.wanted(p, m.Name).text)}
	if p != nil {
		e.of, e.phone = p.where, p.MAC
	}
	return e
}

func (s *Set) context(server Server, vars map[string]cty.Value) *hcl.EvalContext {
	vars["server"] = server.object()
	return child(s.scope, vars)
}

// generalContext is that of the layers which are of no phone. While the
// configuration is loaded, a mention of one is reported on its own.
func (s *Set) generalContext(server Server) *hcl.EvalContext {
	return s.context(server, map[string]cty.Value{"phone": unknownPhone()})
}

// baseLayers evaluates the default profile after those that it extends.
func (s *Set) baseLayers(m Model, server Server) ([]layer, hcl.Diagnostics) {
	var layers []layer
	var diags hcl.Diagnostics
	e := s.evaluator(s.generalContext(server), nil, m, server)
	e.general = true
	for _, b := range s.joinGeneral {
		l, more := e.evaluate(b)
		layers, diags = append(layers, l), append(diags, more...)
	}
	for _, p := range s.general {
		l, more := e.evaluate(p.body)
		layers, diags = append(layers, l), append(diags, more...)
	}
	return layers, diags
}

func (s *Set) evaluateModel(b *modelBlock, server Server) (layer, hcl.Diagnostics) {
	e := s.evaluator(s.generalContext(server), nil, b.Model, server)
	e.general = true
	return e.evaluate(b.body)
}

// ownLayer is what the phone's own layers say together.
func (s *Set) ownLayer(p *phone, m Model, server Server) (layer, hcl.Diagnostics) {
	layers, diags := s.ownLayers(p, m, server)
	return merge(layers), diags
}

// ownLayers evaluates the phone's own layers, weakest first, for a phone that
// turned out to be of the given model; the zero Model leaves unknown what the
// configuration does not say.
func (s *Set) ownLayers(p *phone, m Model, server Server) ([]layer, hcl.Diagnostics) {
	object := p.object
	if p.Model == "" {
		object = s.learned(p, m.Name)
	}
	if m.Name == "" {
		m, _ = s.Model(p.Model)
	}
	e := s.evaluator(s.context(server, map[string]cty.Value{"phone": object}), p, m, server)
	layers, diags := s.perPhoneLayers(e)
	for _, b := range s.joinPhone {
		l, more := e.evaluate(b)
		layers, diags = append(layers, l), append(diags, more...)
	}
	for _, profile := range s.ownChain(p.Profile) {
		l, more := e.evaluate(profile.body)
		layers, diags = append(layers, l), append(diags, more...)
	}
	if p.each != cty.NilVal {
		e.ctx = child(e.ctx, map[string]cty.Value{"each": p.each})
	}
	l, more := e.evaluate(p.block.body)
	return append(layers, l), append(diags, more...)
}

// perPhoneLayers evaluates, of the general layers, what belongs into each phone's
// own file.
func (s *Set) perPhoneLayers(e evaluator) ([]layer, hcl.Diagnostics) {
	var layers []layer
	var diags hcl.Diagnostics
	e.perPhone = true
	evaluate := func(b *body) {
		if b.perPhone {
			l, more := e.evaluate(b)
			layers, diags = append(layers, l), append(diags, more...)
		}
	}
	for _, p := range s.general {
		evaluate(p.body)
	}
	if b, ok := s.models.get(e.model.Name); ok {
		evaluate(b.body)
	}
	return layers, diags
}

// learned is the phone's object once it has said which model it is.
func (s *Set) learned(p *phone, model string) cty.Value {
	object := p.object.AsValueMap()
	if model == "" {
		object["model"] = cty.UnknownVal(cty.String)
		return cty.ObjectVal(object)
	}
	object["model"] = cty.StringVal(model)
	object["firmware"] = cty.StringVal(s.wanted(p, model).text)
	return cty.ObjectVal(object)
}

// wholeOwn gives the file of one phone. The phone book and the dial plan replace
// on the phone what general.xml brought, so that they come with what it holds.
func (t *draft) wholeOwn() (layer, error) {
	s, k := t.set, t.key
	own, diags := t.own()
	if diags.HasErrors() {
		return own, notFound("the settings of %s cannot be made: %v", k.path.MAC, diags)
	}
	if !own.replacesWhole() {
		return own, nil
	}
	general, err := s.generalLayer(t.model, k.server)
	if err != nil {
		return own, err
	}
	if k.entries > 0 {
		own, general.layer = own.sample(k.entries), general.sample(k.entries)
	}
	return s.whole(own, general.layer, s.byMAC[k.path.MAC]), nil
}

// replacesWhole reports whether l has a part that the phone does not merge into
// what it has, but puts in its place.
func (l layer) replacesWhole() bool {
	return len(l.contacts)+len(l.templates) > 0 || l.isIncomplete()
}

// wholeGeneral is the general file of its layers.
func (s *Set) wholeGeneral(layers []layer) layer {
	merged := merge(layers)
	return s.complete(merged, merged.settings, nil)
}

// whole is the file of a phone whose own layers say own.
func (s *Set) whole(own, general layer, p *phone) layer {
	return s.complete(own.whole(general), overSettings(general.settings, own.settings), p)
}

// whole completes such parts of a phone's file with those of the general one.
func (l layer) whole(general layer) layer {
	if len(l.contacts) > 0 || l.everyone != nil {
		l.contacts = overContacts(general.contacts, l.contacts)
	}
	if len(l.templates) > 0 {
		l.templates = overTemplates(general.templates, l.templates)
	}
	return l
}
