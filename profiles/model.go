package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Format is the language of a phone's settings.
type Format int

// XML is read since firmware V7, the plain text format by V3 to V6 alone.
const (
	XML Format = iota
	Text
)

func (f Format) String() string {
	if f == Text {
		return "text"
	}
	return "xml"
}

// Model is what is known of one type of phone: a row of the catalogue, with
// what the configuration's model block says on top. A count is 0, and a text "",
// where it is not known.
type Model struct {
	Name           string // canonical spelling, "snomD785"
	Family         string // "D7xx"; "" where the catalogue has no row
	Format         Format
	DECT           bool   // a base that updates itself and its handsets by version, not by image
	Identities     int    // a DECT base has them by handset
	Keys           int    // function keys of its own
	Modules        int    // expansion modules that it takes
	ModuleKeys     int    // function keys of each
	PhonebookLimit int    // entries
	WebLogin       string // the settings of the web page's login: "http" for http_user and http_pass, "webserver" for webserver_*
	Latest         string // the newest firmware known when this program was made
	Floor          string // from this firmware on, nothing older may be loaded
	Firmware       string // target of the model block: a version, a file name or a URL
	Scheme         string // of the model block: "http", "https", "tftp", or "" for the appliance's

	runs       int // major version of the firmware of the phone that asks, 0 where not known
	textBefore int // major version of the first firmware that reads XML; 0 where all do
	image      pattern
	textImage  pattern // of firmware before textBefore, where it has another
	updates    []stepRule
}

// modelWords are the words that a row of the catalogue and a model block have in
// common. An error goes on after the word: "is a whole number …".
var modelWords = []struct {
	name string
	set  func(*Model, string) error
}{
	{"format", func(m *Model, text string) error {
		formats := map[string]Model{"xml": {}, "xml7": {textBefore: 7}, "text": {Format: Text}}
		f, ok := formats[text]
		m.Format, m.textBefore = f.Format, f.textBefore
		if !ok {
			return fmt.Errorf("is one of xml, xml7 (text before firmware V7), text, not %q", text)
		}
		return nil
	}},
	{"identities", func(m *Model, text string) error { return readCount(&m.Identities, text) }},
	{"keys", func(m *Model, text string) error { return readCount(&m.Keys, text) }},
	{"modules", func(m *Model, text string) error { return readCount(&m.Modules, text) }},
	{"module_keys", func(m *Model, text string) error { return readCount(&m.ModuleKeys, text) }},
	{"phonebook_limit", func(m *Model, text string) error { return readCount(&m.PhonebookLimit, text) }},
	{"login", func(m *Model, text string) error {
		m.WebLogin = text
		if !slices.Contains([]string{"", "http", "webserver"}, text) {
			return fmt.Errorf("is one of http, webserver, not %q", text)
		}
		return nil
	}},
	{"image", func(m *Model, text string) error {
		m.image = pattern(text)
		m.DECT = m.image.isDECT()
		return m.image.check(true)
	}},
	{"text_image", func(m *Model, text string) error {
		m.textImage = pattern(text)
		if text == "" {
			return nil
		}
		return m.textImage.check(true)
	}},
	{"latest", func(m *Model, text string) error { m.Latest = text; return readVersion(text) }},
	{"floor", func(m *Model, text string) error { m.Floor = text; return readVersion(text) }},
}

func readVersion(text string) error {
	if text != "" && !isVersion(text) {
		return fmt.Errorf("is a version such as 8.9.3, not %q", text)
	}
	return nil
}

// check reports what cannot name images.
func (p pattern) check(needsVersion bool) error {
	left := strings.NewReplacer("{model}", "", "{version}", "", "{v4}", "", "{b4}", "").Replace(string(p))
	switch {
	case strings.ContainsAny(left, "{}"):
		return fmt.Errorf("has only {model}, {version}, {v4} and {b4} in braces, unlike %q", string(p))
	case needsVersion && !strings.Contains(string(p), "{version}") && !(p.isDECT() && strings.Contains(string(p), "{v4}")):
		return fmt.Errorf("needs {version}, or {v4} and {b4}, where %q has no place for a version", string(p))
	case !isRelative(string(p)):
		return fmt.Errorf("is the path of a file within files_dir/firmware, not %q", string(p))
	case !IsImage(string(p)):
		return fmt.Errorf("ends in %s, unlike %q", strings.Join(imageSuffixes, ", "), string(p))
	}
	return nil
}

// modelBlock is a model block.
type modelBlock struct {
	Model
	body        *body
	firmware    target
	spelling    spelling
	accessories accessories
	rng         hcl.Range
}

var (
	stepSchema  = schema(attributes("from", "below", "linux_below", "rootfs_below", "target", "version", "image", "chained"))
	modelSchema = modelBlockSchema()
)

func modelBlockSchema() *hcl.BodySchema {
	words := []string{"firmware", "scheme", "spelling", "direct", "macs"}
	for _, w := range modelWords {
		words = append(words, w.name)
	}
	s := withAccessories(layerSchema(words...))
	s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: "step"})
	return s
}

// model reads a model block: a layer, and what the catalogue has of the model or
// should have.
func (l *loader) model(b *hcl.Block) {
	name := b.Labels[0]
	m, ok := lookupBuiltin(name)
	if !ok {
		l.fail(b.LabelRanges[0], "Invalid model", "%q is no model: models look like snomD785.", name)
		return
	}
	body, diags := newBody("model "+name, b.Body, modelSchema)
	l.problems.add(diags)
	block := &modelBlock{Model: m, body: body, rng: b.LabelRanges[0]}
	if first, ok := l.set.models.get(m.Name); ok {
		l.fail(block.rng, "Duplicate model", "The model %s is described already, at %s.", m.Name, at(first.rng))
		return
	}
	attrs := header(b.Body, modelSchema)
	for _, w := range modelWords {
		a := attrs[w.name]
		if a == nil {
			continue
		}
		if text, ok := l.said(attrs, w.name); ok {
			if err := w.set(&block.Model, text); err != nil {
				l.fail(a.Expr.Range(), "Invalid "+w.name, "%s %v.", w.name, err)
			}
		}
	}
	l.macsOf(block.Name, attrs["macs"])
	l.stepsOf(block, b.Body, attrs)
	block.firmware = l.firmwareWord(attrs)
	block.Firmware = block.firmware.text
	block.spelling = l.spellingWord(attrs)
	block.Scheme = l.oneOf(attrs, "scheme", "http", "https", "tftp")
	if block.Scheme == "https" && l.cfg.HTTPS == nil {
		l.warn(about{model: m.Name}, ruleMissingHTTPS, attrs["scheme"].Expr.Range(), "Missing https block", "Phones of this model are sent to https, and there is no https block. Add one, or change scheme.")
	}
	block.accessories = l.accessoriesOf(body, l.scope, "")
	l.set.models.put(m.Name, block)
}

// said evaluates an attribute of a model's own block; it is false where that is
// absent, null or wrong.
func (l *loader) said(attrs hcl.Attributes, name string) (string, bool) {
	e := evaluator{ctx: l.scope}
	v, ok := e.text(attrs, name)
	if v.secret {
		e.refuseSecret(name, attrs[name].Expr.Range())
	}
	l.problems.add(e.diags)
	return v.text, ok && !v.secret
}

// macsOf reads the MACs of a model block.
func (l *loader) macsOf(model string, a *hcl.Attribute) {
	if a == nil {
		return
	}
	list, diags := a.Expr.Value(l.scope)
	l.problems.add(diags)
	list, _ = list.UnmarkDeep()
	if diags.HasErrors() || !list.IsKnown() || list.IsNull() {
		return
	}
	if !list.CanIterateElements() {
		l.fail(a.Expr.Range(), "Invalid macs", `macs is a list such as ["92", "791000-79FFFF", "00087BD7"].`)
		return
	}
	for it := list.ElementIterator(); it.Next(); {
		_, v := it.Element()
		text, _ := scalarText(v)
		r, err := parseMACRange(text)
		if err != nil {
			l.fail(a.Expr.Range(), "Invalid macs", "%s.", capital(err.Error()))
			continue
		}
		r.model = model
		for _, other := range l.set.ranges {
			if other.model != model && other.first == r.first && other.last == r.last {
				l.fail(a.Expr.Range(), "Invalid macs", "The MACs %s are %s's already.", text, other.model)
			}
		}
		l.set.ranges = append(l.set.ranges, r)
	}
}

// stepsOf reads the step blocks of a model, which take the place of the
// catalogue's.
func (l *loader) stepsOf(block *modelBlock, raw hcl.Body, attrs hcl.Attributes) {
	direct := l.oneOf(attrs, "direct", "on", "off") == "on"
	content, _, _ := raw.PartialContent(schema(nil, hcl.BlockHeaderSchema{Type: "step"}))
	switch {
	case direct && len(content.Blocks) > 0:
		l.fail(content.Blocks[0].DefRange, "Step of a direct update", "direct = true says that phones load the target's image at once. Take out one of the two.")
		return
	case direct:
		block.updates = nil
	}
	var updates []stepRule
	for _, b := range content.Blocks {
		inner, diags := b.Body.Content(stepSchema)
		l.problems.add(diags)
		word := func(name string) string { return l.word(inner.Attributes, name) }
		u := stepRule{
			from: word("from"), below: word("below"), linuxBelow: word("linux_below"), rootfsBelow: word("rootfs_below"),
			target: word("target"), version: word("version"), image: pattern(word("image")),
			chained: l.oneOf(inner.Attributes, "chained", "on", "off") == "on",
		}
		if err := u.check(); err != nil {
			l.fail(b.DefRange, "Invalid step", "%s.", capital(err.Error()))
			continue
		}
		updates = append(updates, u)
	}
	if updates == nil {
		return
	}
	block.updates = updates
	if err := block.checkWays(); err != nil {
		l.fail(content.Blocks[0].DefRange, "Update without an end", "%s. Bound the step with from, below or target.", capital(err.Error()))
	}
}

// check reports what cannot be a step.
func (u stepRule) check() error {
	for _, w := range []struct{ name, version string }{
		{"from", u.from},
		{"below", u.below},
		{"linux_below", u.linuxBelow},
		{"rootfs_below", u.rootfsBelow},
		{"target", u.target},
		{"version", u.version},
	} {
		if err := readVersion(w.version); err != nil {
			return fmt.Errorf("%s of a step %w", w.name, err)
		}
	}
	switch {
	case u.image == "" && u.version == "":
		return fmt.Errorf("a step needs an image, or the version of one that is named as the model's are")
	case u.image == "":
		return nil
	case u.chained && u.version != "":
		return fmt.Errorf("a chained helper has no version of its own: it brings the target's")
	}
	if err := u.image.check(false); err != nil {
		return fmt.Errorf("image of a step %w", err)
	}
	return nil
}

// checkWays follows the steps from each firmware that they tell apart to each
// target that they do.
func (m Model) checkWays() error {
	versions := []string{"0", m.Latest}
	for _, u := range m.updates {
		versions = append(versions, u.from, u.below, u.target, u.version)
	}
	slices.Sort(versions)
	versions = slices.DeleteFunc(slices.Compact(versions), func(v string) bool { return v == "" })
	for _, from := range versions {
		for _, target := range versions {
			for _, parts := range []Parts{{}, {Linux: "0", Ramdisk: "0"}} {
				if _, err := m.Way(Running{from, parts}, target); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Model finds a model in any case: one of the configuration or the catalogue, or
// a new one whose name looks like a Snom phone's. A name that it is sold as
// (snomD715) finds what the phone calls itself (snom715).
func (s *Set) Model(name string) (Model, bool) {
	if m, ok := s.known.get(name); ok {
		return *m, true
	}
	return lookupBuiltin(name)
}

// knownModels gives the models of the catalogue and of the configuration, by all of their names.
func (s *Set) knownModels() byModel[*Model] {
	c, _ := builtinCatalogue()
	known := make(byModel[*Model], len(c.models)+len(s.models))
	for name, m := range c.models {
		known[name] = &m
		if b, ok := s.models.get(m.Name); ok {
			known[name] = &b.Model
		}
	}
	for name, b := range s.models {
		known[name] = &b.Model
	}
	return known
}
