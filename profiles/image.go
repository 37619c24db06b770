package profiles

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Kinds of firmware images.
const (
	ImageFirmware = "firmware" // of a phone or a DECT base
	ImageStep     = "step"     // needed on the way from older firmware: a kernel, a root file system
	ImageHelper   = "helper"   // boots and pulls the firmware
	ImageModule   = "module"   // of an expansion module
	ImageHandset  = "handset"  // of a DECT handset
)

// Image is what the name of a firmware image says. A text is "" where the name
// does not say it.
type Image struct {
	Path    string // under files_dir/firmware, where phones ask for it
	Kind    string
	Model   string // as the catalogue spells it; of a module or handset its type, "D7C"
	Version string
}

// Image recognises a firmware image by the name that its maker gave it; folders
// before the name do not matter. It knows the names of the catalogue and of the
// configuration's model blocks.
func (s *Set) Image(name string) Image {
	base := baseName(name)
	image := Image{Path: base}
	stem, _, _ := strings.Cut(base, "-")
	dect, _, _ := strings.Cut(base, "_")
	switch m, ok := s.Model(stem); {
	case !IsImage(base):
		return image
	case stem == base && dect != base:
		if m, ok := s.Model("snom" + dect); ok && m.DECT {
			if v := m.image.version(m.Name, base); v != "" {
				return Image{m.image.name(m.Name, v), ImageFirmware, m.Name, v}
			}
		}
		dect = strings.ToUpper(dect) // as handsets say it
		row := rowOf("handset", dect)
		if v := row.image.version(dect, base); v != "" {
			return Image{row.image.name(dect, v), ImageHandset, dect, v}
		}
	case ok && m.recognise(&image, base):
	case strings.HasPrefix(strings.ToLower(stem), "snom") && len(stem) > len("snom"):
		// snomD7C-1.6.1-r.bin: the name of a model that nobody knows, or a module's.
		module := strings.ToUpper(stem[len("snom"):])
		row := rowOf("module", module)
		if v := row.image.version(module, base); v != "" && !s.listed(stem) {
			return Image{baseName(row.image.name(module, v)), ImageModule, module, v}
		}
		if ok {
			image.Model, image.Version = m.Name, m.versionIn(base)
			if image.Version != "" && m.namesImage(base) {
				image.Kind = ImageFirmware
			}
		}
	}
	return image
}

// listed reports whether a model has a row of its own, or a block.
func (s *Set) listed(name string) bool {
	c, _ := builtinCatalogue()
	_, row := c.models.get(name)
	_, block := s.models.get(name)
	return row || block
}

// recognise reads the name of an image of the model: as the catalogue has it.
func (m Model) recognise(image *Image, base string) bool {
	for _, p := range []pattern{m.image, m.textImage} {
		if v := p.version(m.Name, base); v != "" && m.Family != "" {
			*image = Image{spelled(base, p.name(m.Name, v)), ImageFirmware, m.Name, v}
			return true
		}
	}
	for _, u := range m.updates {
		if u.image == "" {
			continue
		}
		v := u.image.version(m.Name, base)
		if v == "" && !strings.EqualFold(baseName(u.image.name(m.Name, u.version)), base) {
			continue
		}
		kind := ImageStep
		if u.chained {
			kind = ImageHelper
		}
		v = cmp.Or(v, u.version)
		*image = Image{spelled(base, u.image.name(m.Name, v)), kind, m.Name, v}
		return true
	}
	return false
}

// spelled gives the name of an image as phones ask for it: what has come to an admin
// may have been through a system that keeps no case.
func spelled(base, path string) string {
	if name := baseName(path); strings.EqualFold(name, base) {
		return name
	}
	return base
}

// ImagePath gives the place of an image that the admin says is a model's and of
// a version: where phones of the model ask for it. It is "" where the model is
// none.
func (s *Set) ImagePath(model, version string) Image {
	m, ok := s.Model(model)
	if !ok || !isVersion(version) {
		return Image{}
	}
	return Image{m.imageName(version), ImageFirmware, m.Name, version}
}

// Need is an image that the configuration sends phones to.
type Need struct {
	Image
	// Phones are the phones that want it, by name or MAC; Models the models whose
	// phones all do.
	Phones, Models []string
}

// Needs lists what the configuration wants to be in files_dir/firmware, by path.
func (s *Set) Needs() []Need {
	byPath := map[string]*Need{}
	need := func(image, kind, of, model, phone string) {
		if image == "" || strings.Contains(image, "://") {
			return
		}
		n := byPath[image]
		if n == nil {
			n = &Need{Image: Image{Path: image, Kind: kind, Model: of}}
			byPath[image] = n
			if recognised := s.Image(image); recognised.Kind == kind {
				n.Version = recognised.Version
			}
		}
		if phone != "" {
			n.Phones = append(n.Phones, phone)
		} else if !slices.Contains(n.Models, model) {
			n.Models = append(n.Models, model)
		}
	}
	of := func(p *phone, model string) {
		m, ok := s.Model(model)
		if !ok {
			return
		}
		name := ""
		if p != nil {
			name = cmp.Or(p.Name, p.MAC.String())
		}
		if text := s.wanted(p, m.Name).text; text != "" {
			image, _ := m.targetImage(text)
			need(image, ImageFirmware, m.Name, m.Name, name)
			steps, helper := m.between(text)
			for _, step := range steps {
				need(step, ImageStep, m.Name, m.Name, name)
			}
			need(helper, ImageHelper, m.Name, m.Name, name)
		}
		a := s.accessoriesOf(p, m.Name)
		for _, one := range a.modules {
			need(rowOf("module", one.name).imageOf(one), ImageModule, one.name, m.Name, name)
		}
		for _, one := range a.handsets {
			need(rowOf("handset", one.name).imageOf(one), ImageHandset, one.name, m.Name, name)
		}
	}
	for _, b := range s.models {
		of(nil, b.Name)
	}
	for _, p := range s.phones {
		if p.Redirect == "" {
			of(p, cmp.Or(p.Model, s.ModelHint(p.MAC)))
		}
	}
	list := make([]Need, 0, len(byPath))
	for _, n := range byPath {
		slices.Sort(n.Models)
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Need) int { return cmp.Compare(path.Clean(a.Path), path.Clean(b.Path)) })
	return list
}
