package profiles

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/mac"
)

// pathFile is a document block that names a whole path: a document of ours
// whose place it takes, or one that there was none of.
type pathFile struct {
	named
	key pathKey
	// what is in the path is about one phone, so that phone is in scope and the
	// document guarded
	own bool
}

// pathKey is what a path means, with model and name in lower case. "*" is any
// model, anyMAC any phone.
type pathKey struct {
	kind   Kind
	model  string
	mac    mac.Addr
	anyMAC bool
	name   string
}

// The words of a path that stand for what the request says, and what stands for
// them while ParsePath reads the path.
const (
	modelWord = "{model}"
	someModel = "snomModelOfTheRequest"
	someMAC   = "02D1A170E000" // locally administered, and no phone's
)

var documentPathSchema = schema(attributes("file", "template", "join"))

// documents decodes the document blocks of the top level.
func (l *loader) documents(blocks hcl.Blocks) {
	for _, b := range blocks {
		if b.Type != "document" {
			continue
		}
		list, diags := appendNamed(nil, b, documentPathSchema)
		l.problems.add(diags)
		doc := list[0]
		if doc.attrs["join"] == nil {
			l.pathFile(doc)
			continue
		}
		body := &body{name: fmt.Sprintf("document %q", doc.label), raw: b.Body, static: &block{files: []named{doc}}}
		switch l.oneOf(doc.attrs, "join", "general", "phone") {
		case "general":
			l.refuseVariables(doc)
			l.set.joinGeneral = append(l.set.joinGeneral, body)
		case "phone":
			l.set.joinPhone = append(l.set.joinPhone, body)
			l.set.ownFiles = true
		}
	}
}

// refuseVariables reports where the attributes of a general document speak of
// one phone.
func (l *loader) refuseVariables(doc named) {
	for _, name := range []string{"file", "template"} {
		if a := doc.attrs[name]; a != nil {
			for _, t := range a.Expr.Variables() {
				if t.RootName() == "phone" {
					l.fail(t.SourceRange(), "Phone in a general document", "Every phone may read this document, so it cannot ask which phone it is for. Put {mac} into its path, or join it to \"phone\".")
				}
			}
		}
	}
}

// literalMAC finds a MAC that is spelled out in a path.
var literalMAC = regexp.MustCompile(`(?i)(^|[^0-9a-z])(000413[0-9a-f]{6}|00087b[0-9a-f]{6})([^0-9a-z]|$)`)

func (l *loader) pathFile(doc named) {
	label := strings.TrimLeft(doc.label, "/")
	fail := func(detail string, args ...any) {
		l.fail(doc.rng, "Invalid document path", detail, args...)
	}
	plain := strings.NewReplacer(macWord, someMAC, "{MAC}", someMAC, modelWord, someModel).Replace(label)
	switch {
	case checkFileName(plain) != nil || len(plain) > 200:
		fail("%q is no path of a document: a path has ASCII letters, digits, dots, dashes, underscores, slashes, and at most {mac} and {model}.", doc.label)
		return
	case strings.Count(plain, someMAC) > 1 || strings.Count(plain, someModel) > 1:
		fail("%q has {mac} or {model} more than once.", doc.label)
		return
	case strings.EqualFold(label, "settings.php"):
		fail("settings.php is asked for with ?mac=MAC, and gives what {mac}.xml does: write document \"{mac}.xml\".")
		return
	}
	p, err := ParsePath(plain, "")
	if err != nil {
		p = Path{Kind: Extra}
	}
	f := &pathFile{named: doc, key: pathKey{kind: p.Kind, mac: p.MAC, model: strings.ToLower(p.Model)}}
	switch p.Kind {
	case Firmware, File:
		fail("Files below /firmware/ and /files/ are those of files_dir: put the file there.")
		return
	case Extra:
		if strings.Contains(plain, someModel) {
			fail("%q has {model} where no model stands: it goes first, as in {model}/name.xml or {model}.htm.", doc.label)
			return
		}
		p.Name = strings.ReplaceAll(plain, someMAC, macWord)
		if p.Name == plain {
			if m := literalMAC.FindStringSubmatchIndex(plain); m != nil {
				f.key.mac, _ = mac.Parse(plain[m[4]:m[5]]) // it is one: the pattern says so
				p.Name = plain[:m[4]] + macWord + plain[m[5]:]
			}
		}
		f.key.name = strings.ToLower(p.Name)
		f.key.anyMAC = strings.Contains(plain, someMAC)
		l.set.addExtra(p.Name)
	default:
		f.key.name = strings.ToLower(p.Name)
		f.key.anyMAC = p.MAC.Hex() == someMAC
		if p.Model == someModel {
			f.key.model = "*"
		}
	}
	if f.key.anyMAC {
		f.key.mac = mac.Addr{}
	}
	f.own = f.key.anyMAC || !f.key.mac.IsZero()
	if !f.own {
		l.refuseVariables(doc)
	}
	if first, ok := l.set.pathFiles[f.key]; ok {
		l.fail(doc.rng, "Duplicate document", "There is a document of this path already, at %s.", at(first.rng))
		return
	}
	l.set.pathFiles[f.key] = f
	l.set.pathOrder = append(l.set.pathOrder, f)
}

// extraPath is a path of the configuration that is none of ours: before and
// after its MAC, where it has one. All in lower case but name.
type extraPath struct {
	name          string
	before, after string
	hasMAC        bool
}

func (s *Set) addExtra(name string) {
	for _, x := range s.extras {
		if strings.EqualFold(x.name, name) {
			return
		}
	}
	x := extraPath{name: name}
	x.before, x.after, x.hasMAC = strings.Cut(strings.ToLower(name), macWord)
	s.extras = append(s.extras, x)
}

// ParsePath reads the path of a request, as the function of that name does, with
// the paths that the configuration adds.
func (s *Set) ParsePath(path, rawQuery string) (Path, error) {
	if len(s.extras) > 0 {
		name := strings.ToLower(strings.TrimLeft(path, "/"))
		for _, x := range s.extras {
			if p, ok := x.parse(name); ok {
				return p, nil
			}
		}
	}
	return ParsePath(path, rawQuery)
}

func (x extraPath) parse(name string) (Path, bool) {
	p := Path{Kind: Extra, Name: x.name}
	if !x.hasMAC {
		return p, name == x.before
	}
	rest, ok := strings.CutPrefix(name, x.before)
	if !ok {
		return p, false
	}
	if rest, ok = strings.CutSuffix(rest, x.after); !ok {
		return p, false
	}
	m, err := mac.Parse(rest)
	p.MAC = m
	return p, err == nil
}

// findPathFile finds the document block that names the path, the most exact
// one; p.Model is in any case.
func (s *Set) findPathFile(p Path) (*pathFile, bool) {
	if len(s.pathFiles) == 0 {
		return nil, false
	}
	key := pathKey{kind: p.Kind, model: strings.ToLower(p.Model), mac: p.MAC, name: strings.ToLower(p.Name)}
	models := []string{key.model}
	if key.model != "" {
		models = append(models, "*")
	}
	for _, model := range models {
		key.model, key.mac, key.anyMAC = model, p.MAC, false
		if f, ok := s.pathFiles[key]; ok {
			return f, true
		}
		if p.MAC.IsZero() {
			continue
		}
		key.mac, key.anyMAC = mac.Addr{}, true
		if f, ok := s.pathFiles[key]; ok {
			return f, true
		}
	}
	return nil, false
}

// evaluatePathFile gives the document for a phone, nil for none, and a model, the
// zero one where it is not known.
func (s *Set) evaluatePathFile(f *pathFile, p *phone, m Model, server Server) (adminFile, bool, hcl.Diagnostics) {
	vars := map[string]cty.Value{"model": cty.StringVal(m.Name), "phone": unknownPhone()} // refused where there is none
	if m.Name == "" {
		vars["model"] = cty.UnknownVal(cty.String)
	}
	if p != nil {
		vars["phone"] = p.object
		if p.Model == "" {
			vars["phone"] = s.learned(p, m.Name)
		}
	}
	e := s.evaluator(s.context(server, vars), p, m, server)
	e.general, e.layer, e.word = !f.own, fmt.Sprintf("document %q", f.label), "document"
	parts, ok := e.fileParts(f.named)
	return adminFile{name: f.label, parts: parts, source: e.source(f.rng)}, ok, e.diags
}

// pathFiles tries every document of the top level.
func (t *lint) pathFiles() {
	s := t.l.set
	for _, f := range s.pathOrder {
		fixed, _ := s.Model(strings.TrimPrefix(f.key.model, "*"))
		if !f.own {
			t.pathFile(f, nil, fixed, t.tryPathFile(f, nil, fixed))
			continue
		}
		if !f.key.anyMAC && s.byMAC[f.key.mac] == nil {
			t.l.fail(f.rng, "Document of an unknown phone", "%s is not in the configuration: add a block such as phone %q { name = \"…\" }.", f.key.mac, f.key.mac.Hex())
		}
		var phones []*phone
		for _, p := range s.phones {
			if (f.key.anyMAC || p.MAC == f.key.mac) && (fixed.Name == "" || p.Model == "" || p.Model == fixed.Name) {
				phones = append(phones, p)
			}
		}
		model := func(p *phone) Model {
			if p.Model == "" {
				return fixed
			}
			m, _ := s.Model(p.Model)
			return m
		}
		inOrder(phones, func(p *phone) triedFile { return t.tryPathFile(f, p, model(p)) }, func(p *phone, tried triedFile) {
			t.pathFile(f, p, model(p), tried)
		})
	}
}

// triedFile is a document of the top level for one phone; read is nil where there
// is none.
type triedFile struct {
	file  adminFile
	read  *checkedFile
	diags hcl.Diagnostics
}

// tryPathFile makes such a document and reads it, for no phone where p is nil.
func (t *lint) tryPathFile(f *pathFile, p *phone, m Model) triedFile {
	file, ok, diags := t.l.set.evaluatePathFile(f, p, m, t.l.server)
	tried := triedFile{file: file, diags: diags}
	if ok {
		tried.read = t.l.read(file)
	}
	return tried
}

// pathFile looks at what was tried. A document in the place of one of ours is looked
// at as closely as those of layers; what else there is may be for anything.
func (t *lint) pathFile(f *pathFile, p *phone, m Model, tried triedFile) {
	t.l.add(tried.diags)
	of := about{model: m.Name, phone: p}
	switch {
	case tried.read == nil:
	case f.key.kind == ModelFile, f.key.kind == PhoneFile, f.key.kind == Extra:
		t.l.checkFile(tried.file, tried.read, p)
	case p == nil:
		t.file(tried.file, tried.read, of, m, "", true)
	default:
		t.file(tried.file, tried.read, of, m, t.l.set.runs(p, m), false)
	}
}

// Names of documents in a layer that take the place of ours.
var layerNames = map[Kind]string{
	General: "general.xml", GUILanguages: "gui-lang.xml", WebLanguages: "web-lang.xml", FirmwareStatus: "firmware.xml",
	Own: macWord + ".xml",
}

// layerName is what a document of that path is called in a layer, "" where a
// layer has no say in it.
func (p Path) layerName() string {
	switch p.Kind {
	case ModelFile, PhoneFile:
		return p.Name
	case GUIPhrases:
		return "gui_lang_" + p.Name + ".xml"
	case WebPhrases:
		return "web_lang_" + p.Name + ".xml"
	}
	return layerNames[p.Kind]
}

// checkLayerFile reports what cannot be the name of a document in a layer.
func checkLayerFile(name string, general bool) error {
	if !general && strings.EqualFold(name, layerNames[Own]) {
		return nil
	}
	if err := checkFileName(name); err != nil {
		return err
	}
	folder := someModel + "/"
	if !general {
		folder += someMAC + "/"
	}
	p, err := ParsePath(folder+name, "")
	if err != nil || general != p.MAC.IsZero() || !strings.EqualFold(p.layerName(), name) {
		return fmt.Errorf("%q cannot be the name of a document in a layer: it is one of another kind", name)
	}
	return nil
}

// findFile finds the document of that path in a layer.
func (l layer) findFile(p Path) (adminFile, bool) {
	name := p.layerName()
	for _, f := range l.files {
		if name != "" && strings.EqualFold(f.name, name) {
			return f, true
		}
	}
	return adminFile{}, false
}

// joined lists the names of l's documents that no other document links.
func (l layer) joined() []string {
	var names []string
	for _, f := range l.files {
		if isJoined(f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// isJoined reports whether a layer's document of that name is listed by the
// container: else it takes the place of one of ours.
func isJoined(name string) bool {
	p, _ := ParsePath(someModel+"/"+name, "")
	return p.Kind == ModelFile && !strings.EqualFold(name, layerNames[Own])
}

// adminFile finds the admin's own document that a key describes, if there is one.
func (t *draft) adminFile() (file adminFile, ok bool, err error) {
	s, k, m := t.set, t.key, t.model
	var diags hcl.Diagnostics
	f, named := s.findPathFile(k.path)
	switch {
	case named:
		p := s.byMAC[k.path.MAC]
		if f.own && p == nil {
			return file, false, notConfigured(k.path.MAC)
		}
		file, ok, diags = s.evaluatePathFile(f, p, m, k.server)
	case k.path.layerName() == "":
	case k.path.Kind == Own || k.path.Kind == PhoneFile:
		if s.ownFiles {
			var own layer
			own, diags = t.own()
			file, ok = own.findFile(k.path)
		}
	default:
		general, err := s.generalLayer(m, k.server)
		if err != nil {
			return file, false, err
		}
		file, ok = general.findFile(k.path)
	}
	switch {
	case diags.HasErrors():
		return file, false, notFound("the document cannot be made: %v", diags)
	case !ok && (k.path.Kind == ModelFile || k.path.Kind == PhoneFile || k.path.Kind == Extra):
		return file, false, notFound("nothing is at %s: no document block of the configuration is for it", k.path)
	}
	return file, ok, nil
}

// adminDocument makes that document.
func (t *draft) adminDocument() (Document, bool, error) {
	k := t.key
	file, ok, err := t.adminFile()
	if !ok || err != nil {
		return Document{}, false, err
	}
	d := Document{Path: k.path, Own: k.path.MAC, byAdmin: true}
	d.Body, d.Secrets = file.bytes(k.reveal)
	d.ContentType = contentType(d.Body)
	if checkLayerFile(file.name, k.path.MAC.IsZero()) == nil && strings.EqualFold(file.name, k.path.Name) {
		d.Path.Name = file.name // in the admin's spelling
	}
	return d, true, nil
}

func notConfigured(m mac.Addr) error {
	return notFound("%s is not in the configuration: add a block such as phone %q { name = \"…\" }, and reload", m, m.Hex())
}

// Documents lists what a phone asks for at its start, in its order, with what
// the containers and document blocks add to that; for the zero MAC, the part that
// every phone of the model gets. What is wrong with a layer is left for Render to
// say.
func (s *Set) Documents(who mac.Addr, model string, server Server) []Path {
	m, _ := s.Model(model)
	general, _ := s.generalLayer(m, server)
	var paths []Path
	add := func(p Path) {
		p.Model = m.Name
		paths = append(paths, p)
	}
	add(Path{Kind: ModelContainer})
	if !who.IsZero() {
		add(Path{Kind: PhoneContainer, MAC: who})
	}
	add(Path{Kind: General})
	gui, _ := s.languagesPath(GUILanguages, general, m)
	web, _ := s.languagesPath(WebLanguages, general, m)
	paths = append(paths, gui, web)
	for _, l := range general.gui {
		if l.phrases != nil {
			paths = append(paths, Path{Kind: GUIPhrases, Model: gui.Model, Name: l.slug()})
		}
	}
	for _, l := range general.web {
		if l.phrases != nil {
			paths = append(paths, Path{Kind: WebPhrases, Model: web.Model, Name: l.slug()})
		}
	}
	for _, name := range general.joined() {
		add(Path{Kind: ModelFile, Name: name})
	}
	if !who.IsZero() {
		add(Path{Kind: Own, MAC: who})
		if p := s.byMAC[who]; p != nil && s.ownFiles {
			own, _ := s.ownLayer(p, m, server)
			for _, name := range own.joined() {
				add(Path{Kind: PhoneFile, MAC: who, Name: name})
			}
		}
	}
	for _, f := range s.pathOrder {
		p := Path{Kind: f.key.kind, Name: f.key.name}
		if f.own && (who.IsZero() || !f.key.anyMAC && f.key.mac != who) || f.key.model != "*" && f.key.model != strings.ToLower(m.Name) {
			continue
		}
		if f.own {
			p.MAC = who
		}
		if p.Kind == ModelFile || p.Kind == PhoneFile {
			add(p)
		}
	}
	add(Path{Kind: FirmwareStatus})
	return paths
}

// Answered lists what the wire answers beyond that: the phone's one container for
// setting servers of the {mac} kind, paths of the configuration's own, and languages
// at the path of the model too. Where no model is given, it is what phones of any model
// may ask for.
func (s *Set) Answered(who mac.Addr, model string, server Server) []Path {
	m, known := s.Model(model)
	var paths []Path
	for _, p := range s.Documents(who, model, server) {
		switch p.Kind {
		case GUILanguages, WebLanguages, GUIPhrases, WebPhrases:
			paths = append(paths, p)
			if p.Model == "" && known {
				p.Model = m.Name
				paths = append(paths, p)
			}
		default:
			if known {
				paths = append(paths, p)
			}
		}
	}
	if !who.IsZero() {
		paths = append(paths, Path{Kind: MACContainer, MAC: who})
	}
	return append(paths, s.Extras(who)...)
}

// Extras lists the paths that are the configuration's own invention: those that
// are for everybody, or, of a phone, those that are for it alone.
func (s *Set) Extras(who mac.Addr) []Path {
	var paths []Path
	for _, f := range s.pathOrder {
		switch {
		case f.key.kind != Extra || f.own != !who.IsZero() || f.own && !f.key.anyMAC && f.key.mac != who:
		default:
			paths = append(paths, Path{Kind: Extra, Name: f.key.name, MAC: who})
		}
	}
	return paths
}
