package profiles

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Explained is a value that a phone is told, and where it comes from.
type Explained struct {
	Document string `json:"document"` // the path that brings it
	// Kind is setting, key, contact, template, gui language, web language,
	// certificate, upload, document or firmware.
	Kind string `json:"kind"`
	// Name tells it from others of its kind: of a setting, a contact, a language; the
	// match of a template. A key has none.
	Name  string `json:"name,omitempty"`
	Index *int   `json:"idx,omitempty"` // of a key, and of a setting that has one
	Origin
	Overrode []Origin `json:"overrode,omitempty"` // the strongest first
	Notes    []string `json:"notes,omitempty"`    // what the phone makes of it
}

// Origin is where a value was written.
type Origin struct {
	Value string `json:"value"` // masked where it is secret
	Perm  string `json:"perm"`
	Layer string `json:"layer"` // "profile desk"
	File  string `json:"file"`
	Line  int    `json:"line"`
	Word  string `json:"word,omitempty"` // the block or word that wrote it: "identity 1 user"
}

// The kinds of what layers hold.
const (
	kindSetting  = "setting"
	kindKey      = "key"
	kindContact  = "contact"
	kindTemplate = "template"
	kindGUI      = "gui language"
	kindWeb      = "web language"
	kindFirmware = "firmware"

	kindCertificate = "certificate"
	kindUpload      = "upload"
	kindDocument    = "document" // of the admin's own
)

// item is anything that a layer says, for a person.
type item struct {
	itemID
	value  value
	perm   string
	source source
}

// itemID tells items apart as the merge of layers does.
type itemID struct {
	kind, name string
	index      int // noIndex where it has none
}

// items lists what l says, in the order of the documents.
func (l layer) items() []item {
	var all []item
	add := func(kind, name string, index int, v value, perm string, s source) {
		all = append(all, item{itemID{kind, name, index}, v, perm, s})
	}
	for _, s := range inPhoneOrder(l.settings) {
		add(kindSetting, s.name, s.index, s.value, s.perm, s.source)
	}
	for _, k := range byIndex(l.keys) {
		v := k.text()
		for _, more := range []struct {
			name string
			value
		}{{"label", k.label}, {"short_label", k.shortLabel}, {"default_text", k.defaultText}, {"lp", k.longPress}} {
			if more.text != "" {
				v = v.with(value{text: fmt.Sprintf(" %s=%q", more.name, more.text), secret: more.secret})
			}
		}
		for _, a := range k.more {
			v = v.with(value{text: fmt.Sprintf(" %s=%q", a.name, a.value.text), secret: a.value.secret})
		}
		if k.context != "active" {
			v = v.with(value{text: fmt.Sprintf(" context=%q", k.context)})
		}
		add(kindKey, "", k.index, v, k.perm, k.source)
	}
	for _, c := range l.contacts {
		add(kindContact, c.name.text, noIndex, c.number, "", c.source)
	}
	for _, t := range l.templates {
		v := t.rewrite
		if t.user.text != "" {
			v = v.with(value{text: " user=" + t.user.text, secret: t.user.secret})
		}
		if t.timeout != "" {
			v = v.with(value{text: " timeout=" + t.timeout})
		}
		v.text = strings.TrimPrefix(v.text, " ")
		add(kindTemplate, t.match, noIndex, v, "", t.source)
	}
	for _, g := range l.gui {
		add(kindGUI, g.name, noIndex, g.where(), "", g.source)
	}
	for _, w := range l.web {
		add(kindWeb, w.name, noIndex, w.where(), "", w.source)
	}
	for _, u := range l.uploads {
		add(kindUpload, u.kind, noIndex, u.url, "", u.source)
	}
	for _, c := range l.certificates {
		v := c.url
		if c.base64 != "" {
			v.text = "in the settings"
		}
		add(kindCertificate, c.name, noIndex, v, "", c.source)
	}
	for _, f := range l.files {
		add(kindDocument, f.name, noIndex, value{text: f.file()}, "", f.source)
	}
	return all
}

// where says where a language's texts are.
func (l language) where() value {
	if l.phrases != nil {
		if len(l.phrases) == 1 {
			return value{text: "a phrase of the configuration"}
		}
		return value{text: fmt.Sprintf("%d phrases of the configuration", len(l.phrases))}
	}
	return l.url
}

// with appends to v; a secret part makes a secret whole.
func (v value) with(more value) value {
	return value{text: v.text + more.text, secret: v.secret || more.secret}
}

// Explain says where each value of the document r.Path comes from, and what it
// overrode. Without a path it is of everything that the phone r.MAC ends up with,
// or every phone of r.Model. It evaluates each layer by itself and merges them
// as Render does. The error is a *NotFound.
func (s *Set) Explain(r Request) ([]Explained, error) {
	whole := r.Path.Kind == 0
	if whole {
		r.Path = Path{Kind: General, Model: r.Model}
		if _, known := s.byMAC[r.MAC]; known {
			r.Path = Path{Kind: Own, Model: r.Model, MAC: r.MAC}
		}
	}
	k, err := s.documentKey(r)
	if err != nil {
		return nil, err
	}
	x := explanation{set: s, key: k, request: r, phone: s.byMAC[r.MAC]}
	if !k.path.MAC.IsZero() {
		x.phone = s.byMAC[k.path.MAC]
	}
	x.model = s.modelOf(k, cmp.Or(k.path.Model, k.model))
	if k.redirect != "" {
		return x.redirection(), nil
	}
	if !whole {
		own, err := x.ownFile(k.path)
		if own.Kind != "" || err != nil {
			return []Explained{own}, err
		}
	}
	switch {
	case k.path.Kind == FirmwareStatus:
		return x.firmware(), nil
	case k.format == XML && slices.Contains([]Kind{ModelContainer, PhoneContainer, MACContainer}, k.path.Kind):
		return nil, notFound("%s lists files and holds no value: explain one of them, or leave the path out", k.path)
	}
	list, err := x.values(whole || k.path.Kind == MACContainer)
	if whole && err == nil {
		list = append(list, x.firmware()...)
		list, err = x.withOwnFiles(list)
	}
	return list, err
}

// ownFile explains the admin's own document at the path; its Kind is "" where
// there is none.
func (x *explanation) ownFile(p Path) (Explained, error) {
	k := x.key
	k.path = p
	f, ok, err := x.set.draft(k).adminFile()
	if !ok || err != nil {
		return Explained{}, err
	}
	return Explained{
		Document: p.String(), Kind: kindDocument, Name: f.name, Origin: x.origin(value{text: f.file()}, "", f.source),
		Notes: []string{"a file of your own: what it says is not explained"},
	}, nil
}

// withOwnFiles puts the admin's own documents in the place of what they replace.
func (x *explanation) withOwnFiles(list []Explained) ([]Explained, error) {
	kept := make([]Explained, 0, len(list))
	files := map[string]Explained{} // by path
	look := func(document string) (Explained, error) {
		own, known := files[document]
		if known {
			return own, nil
		}
		p, err := x.set.ParsePath(document, "")
		if err == nil {
			own, err = x.ownFile(p)
		}
		if own.Kind != "" {
			kept = append(kept, own)
		}
		files[document] = own
		return own, err
	}
	for _, e := range list {
		own := Explained{}
		if e.Kind != kindDocument {
			var err error
			if own, err = look(e.Document); err != nil {
				return nil, err
			}
		}
		if own.Kind == "" {
			kept = append(kept, e)
		}
	}
	// Of a document that would hold nothing, the list says nothing.
	for _, kind := range []Kind{General, GUILanguages, WebLanguages, Own, FirmwareStatus} {
		if kind == Own && x.phone == nil {
			continue
		}
		if _, err := look(x.path(kind)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// explanation is one call of Explain.
type explanation struct {
	set     *Set
	request Request
	key     documentKey
	model   Model
	phone   *phone // nil for a model
}

// path gives the path at which the phone gets a kind of document: of languages, as
// the containers list it, or as it was asked for.
func (x *explanation) path(kind Kind) string {
	switch {
	case kind != GUILanguages && kind != WebLanguages:
	case x.key.path.Kind == kind:
		return x.key.path.String()
	default:
		general, _ := x.set.generalLayer(x.model, x.key.server) // what is wrong with it, values has said
		p, _ := x.set.languagesPath(kind, general, x.model)
		return p.String()
	}
	return Path{Kind: kind, Model: x.model.Name, MAC: x.key.path.MAC}.String()
}

func (x *explanation) origin(v value, perm string, s source) Origin {
	if v.secret && !x.request.Reveal {
		v.text = masked
	}
	return Origin{Value: v.text, Perm: perm, Layer: s.layer, File: filepath.ToSlash(s.rng.Filename), Line: s.rng.Start.Line, Word: s.word}
}

func (x *explanation) explain(kind Kind, i item) Explained {
	path := x.path(kind)
	if i.kind == kindDocument {
		path = x.fileOf(kind, i.name)
	}
	e := Explained{Document: path, Kind: i.kind, Name: i.name, Origin: x.origin(i.value, i.perm, i.source)}
	if i.index != noIndex {
		e.Index = &i.index
	}
	return e
}

// fileOf gives the path of an own document of the general layers, or the phone's.
func (x *explanation) fileOf(kind Kind, name string) string {
	p := Path{Kind: ModelFile, Model: x.model.Name, Name: name}
	if kind == Own {
		p.Kind, p.MAC = PhoneFile, x.key.path.MAC
	}
	return p.String()
}

// values explains one document of settings or languages; whole, the general one
// and then the phone's own, as the phone loads them.
func (x *explanation) values(whole bool) ([]Explained, error) {
	layers, _, diags := x.set.generalLayers(x.model, x.key.server)
	if diags.HasErrors() {
		return nil, notFound("the general settings cannot be made: %v", diags)
	}
	general := x.set.wholeGeneral(layers)
	var own layer
	ofPhone := x.key.path.Kind == Own || x.key.path.Kind == PhoneContainer || whole && x.phone != nil
	if ofPhone {
		more, diags := x.set.ownLayers(x.phone, x.model, x.key.server)
		if diags.HasErrors() {
			return nil, notFound("the settings of %s cannot be made: %v", x.phone.MAC, diags)
		}
		layers = append(layers, more...)
		own = merge(more)
		if own.replacesWhole() {
			own = x.set.whole(own, general, x.phone)
		}
	}
	said := make([][]item, len(layers))
	for i, l := range layers {
		said[i] = l.items()
	}
	ownItems, taken := own.items(), map[itemID]bool{}
	for _, i := range ownItems {
		taken[i.itemID] = true
	}

	var list []Explained
	sent := map[itemID]item{} // by the general file
	for _, i := range general.items() {
		if i.kind == kindDocument && !isJoined(i.name) {
			continue // it is explained in the place of what it replaces
		}
		sent[i.itemID] = i
		kind := map[string]Kind{kindGUI: GUILanguages, kindWeb: WebLanguages}[i.kind]
		switch {
		case kind == 0:
			kind = General
			replaced := i.kind == kindContact && len(own.contacts) > 0 || i.kind == kindTemplate && len(own.templates) > 0
			if replaced || taken[i.itemID] || !whole && ofPhone {
				continue
			}
			if !whole && x.key.path.Kind != General && x.key.path.Kind != ModelContainer {
				continue
			}
		case !whole && x.key.path.Kind != kind:
			continue
		}
		e := x.explain(kind, i)
		e.Overrode = x.overridden(said, i)
		e.Notes = x.notes(i, nil)
		list = append(list, e)
	}
	for _, i := range ownItems {
		if i.kind == kindDocument && !isJoined(i.name) {
			continue
		}
		e := x.explain(Own, i)
		e.Overrode = x.overridden(said, i)
		var before *item
		if g, ok := sent[i.itemID]; ok {
			before = &g
		}
		e.Notes = x.notes(i, before)
		list = append(list, e)
	}
	return list, nil
}

// overridden gives what other layers say of the same, the strongest first.
func (x *explanation) overridden(said [][]item, winner item) []Origin {
	var list []Origin
	for _, items := range slices.Backward(said) {
		for _, i := range items {
			if i.itemID != winner.itemID {
				continue
			}
			if i.source == winner.source || i.source.layer == winner.source.layer {
				break // this is it; a contact may have several entries in a layer
			}
			list = append(list, x.origin(i.value, i.perm, i.source))
		}
	}
	return list
}

// notes says what the phone makes of a value; general is what the general
// file sends it before, nil for nothing.
func (x *explanation) notes(i item, general *item) []string {
	var notes []string
	switch {
	case x.key.format == Text && i.kind == kindTemplate:
		notes = append(notes, "firmware before V7 gets of the dial plan what user_dp_str can say")
	case x.key.format == Text && i.kind != kindSetting && i.kind != kindKey && i.kind != kindContact:
		notes = append(notes, "firmware before V7 reads none of this")
	case i.perm != "!":
	case general != nil && general.perm != "!" && general.source != i.source:
		notes = append(notes, "the general file writes its own value first, over what the user chose: give that the flag \"!\" too")
	default:
		notes = append(notes, "written only if the user never changed it on the phone")
	}
	return notes
}

// firmware explains what the phone, and what is attached to it, is told to run.
func (x *explanation) firmware() []Explained {
	kind := Path{Kind: FirmwareStatus, Model: x.model.Name}
	var e Explained
	for layer, t := range x.set.targets(x.phone, x.model.Name) {
		switch origin := x.origin(value{text: t.text}, "", source{layer: layer, word: "firmware", rng: t.rng}); {
		case t.text == "":
		case e.Kind == "":
			e = Explained{Document: kind.String(), Kind: kindFirmware, Origin: origin}
		default:
			e.Overrode = append(e.Overrode, origin)
		}
	}
	lines, _ := x.set.firmwareLines(x.phone, x.model, x.request)
	for _, l := range lines {
		if l.tag == "" {
			e.Notes = append(e.Notes, l.text)
		} else {
			e.Notes = append(e.Notes, strings.TrimPrefix(l.tag+" "+l.handset+" ", "firmware  ")+l.text)
		}
	}
	var all []Explained
	if e.Kind != "" {
		all = append(all, e)
	}
	attached := x.set.accessoriesOf(x.phone, x.model.Name)
	for _, a := range slices.Concat(attached.modules, attached.handsets) {
		origin := x.origin(value{text: a.firmware.text}, "", source{layer: a.layer, word: "firmware", rng: a.firmware.rng})
		all = append(all, Explained{Document: kind.String(), Kind: kindFirmware, Name: a.name, Origin: origin})
	}
	return all
}

// redirection explains the one setting of a phone that is sent elsewhere.
func (x *explanation) redirection() []Explained {
	i := redirection(x.key.redirect).items()[0]
	i.source = source{layer: x.phone.block.body.name, word: "redirect", rng: x.phone.at("redirect")}
	e := x.explain(Own, i)
	e.Notes = []string{"all that this phone is told, whatever it asks for"}
	return []Explained{e}
}
