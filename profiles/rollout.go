package profiles

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// Rollout is a rollout block, and which phones of the configuration it covers:
// those whose firmware it says.
type Rollout struct {
	config.Rollout
	Phones []mac.Addr
}

// rollout is a Rollout with what its target is.
type rollout struct {
	Rollout
	target target
	images map[string]bool // paths that its phones may load, under files_dir/firmware
}

func (r *rollout) layer() string { return "rollout " + r.Name }

// rollouts reads the rollout blocks.
func (l *loader) rollouts() {
	for _, block := range l.cfg.Rollouts {
		r := &rollout{Rollout: Rollout{Rollout: block}, images: map[string]bool{}}
		r.target = l.target(block.Firmware.Text, block.Firmware.Range)
		for _, w := range block.Models {
			m, ok := l.set.Model(w.Text)
			if !ok {
				l.fail(w.Range, "Invalid model", "%q is no model: models look like snomD785.", w.Text)
				continue
			}
			if other, ok := l.set.rolloutOf.get(m.Name); ok && other == r {
				l.fail(w.Range, "Model named twice", "%s stands in models already. Name each model once.", m.Name)
				continue
			} else if ok {
				l.fail(w.Range, "Model in two rollouts", "The phones of %s are updated by rollout %s, at %s. A phone can have one target.", m.Name, other.Name, at(other.DeclRange))
				continue
			}
			if _, version := m.targetImage(r.target.text); r.target.text != "" && version == "" {
				l.fail(r.target.rng, "Firmware without a version", "A rollout waits for phones to say that they run the version, and %q does not tell which it is. Write the version itself.", r.target.text)
				continue
			}
			l.set.rolloutOf.put(m.Name, r)
			if r.target.text == "" {
				continue
			}
			l.checkImage(r.target, about{model: m.Name})
			if l.set.scheme(m) == "tftp" {
				l.warn(about{model: m.Name}, ruleRolloutTFTP, w.Range, "Rollout over TFTP", "Phones of %s ask over TFTP, where they do not say what they run, so the rollout could not see them come back and leaves them as they are. "+
					"Set scheme = \"http\" for %s, or give the firmware to the model instead of a rollout.", m.Name, m.Name)
			}
			image, _ := m.targetImage(r.target.text)
			l.checkPatience(r, m, image)
			steps, helper := m.between(r.target.text)
			for _, name := range append(steps, image, helper) {
				r.images[name] = true
			}
		}
		l.set.rollouts = append(l.set.rollouts, r)
	}
}

// checkPatience warns where phones that load at once share so little that they are
// given up before they have all of the image.
func (l *loader) checkPatience(r *rollout, m Model, image string) {
	if r.Bandwidth == 0 || l.cfg.Appliance.FilesDir == "" || strings.Contains(image, "://") {
		return
	}
	info, err := os.Stat(filepath.Join(l.cfg.Appliance.FilesDir, "firmware", filepath.FromSlash(image)))
	if err != nil {
		return // which is warned of
	}
	atOnce := r.Downloads
	if r.Wave > 0 {
		atOnce = min(atOnce, max(r.Wave, r.CanaryCount, len(r.Canaries)))
	}
	takes := time.Duration(float64(info.Size()) * float64(atOnce) / float64(r.Bandwidth) * float64(time.Second)).Round(time.Minute)
	if takes > r.Patience {
		l.warn(about{model: m.Name}, ruleSlowRollout, r.DeclRange, "Bandwidth too small", "At this bandwidth %d phones take %s to load %s, and are given up after %s, which stops the rollout. "+
			"Raise bandwidth or patience, or lower downloads.", atOnce, takes, baseName(image), r.Patience)
	}
}

// rolloutPhones finds the phones that each rollout covers, when all are known.
func (l *loader) rolloutPhones() {
	for _, p := range l.set.phones {
		if p.Redirect != "" {
			continue
		}
		if r := l.set.rolloutFor(p, cmp.Or(p.Model, l.set.ModelHint(p.MAC))); r != nil {
			r.Phones = append(r.Phones, p.MAC)
		}
	}
	for _, r := range l.set.rollouts {
		if n := len(r.Phones); n > 0 && r.CanaryCount > 1 && len(r.Canaries) == 0 && r.CanaryCount >= n {
			l.warn(about{}, ruleAllCanaries, r.DeclRange, "All phones are canaries", "The first %d phones that ask are canaries, and the rollout covers %d: all of them load the firmware before one has come back with it. Set canaries to fewer.", r.CanaryCount, n)
		}
		for _, canary := range r.Canaries {
			if len(r.Phones) > 0 && !slices.Contains(r.Phones, canary) {
				l.fail(r.DeclRange, "Canary outside of the rollout", "%s is no phone of this rollout, which would wait for it for ever: it is not in the configuration, is of another model, or has a firmware of its own.", canary)
			}
		}
	}
}

// rolloutDocuments warns where a document of the admin's own is served in the place
// of what a rollout decides on. It can be told once layers can be evaluated.
func (l *loader) rolloutDocuments() {
	for _, r := range l.set.rollouts {
		for _, w := range r.Models {
			m, ok := l.set.Model(w.Text)
			if !ok {
				continue
			}
			t := l.set.draft(documentKey{path: Path{Kind: FirmwareStatus, Model: m.Name}, server: l.server})
			if file, ok, err := t.adminFile(); ok && err == nil {
				l.warn(about{model: m.Name}, ruleRolloutDocument, w.Range, "Rollout passed over", "Phones of %s get the document %q of your own instead of the firmware that the rollout lets them have, so it holds nobody back. "+
					"Remove the document, or the model from the rollout.", m.Name, file.name)
			}
		}
	}
}

// rolloutFor gives the rollout that says the firmware of a phone, nil for none.
func (s *Set) rolloutFor(p *phone, model string) *rollout {
	r, _ := s.rolloutOf.get(model)
	if r == nil {
		return nil
	}
	for layer, t := range s.targets(p, model) {
		if t.text != "" {
			if layer == r.layer() {
				return r
			}
			return nil
		}
	}
	return nil
}

// Rollouts lists the rollouts in the order of the configuration.
func (s *Set) Rollouts() []Rollout {
	list := make([]Rollout, len(s.rollouts))
	for i, r := range s.rollouts {
		list[i] = r.Rollout
	}
	return list
}

// RolloutOfImage gives the rollout that sends phones to an image, by its path
// under files_dir/firmware.
func (s *Set) RolloutOfImage(name string) (Rollout, bool) {
	for _, r := range s.rollouts {
		if r.images[name] {
			return r.Rollout, true
		}
	}
	return Rollout{}, false
}

// Update is what a phone that a rollout covers would do next about its firmware.
type Update struct {
	Rollout Rollout
	Reached bool   // it runs the target
	Image   string // that it would load, the last where one pulls another; "" for none
	Ready   bool   // all of the step can be had
}

// Update gives the next step of the phone that asks; ok is false where no rollout
// covers it.
func (s *Set) Update(r Request) (u Update, ok bool) {
	if len(s.rollouts) == 0 {
		return u, false
	}
	m, ok := s.Model(cmp.Or(r.Path.Model, r.Model))
	p := s.byMAC[r.MAC]
	if !ok || p != nil && p.Redirect != "" {
		return u, false
	}
	block := s.rolloutFor(p, m.Name)
	if block == nil {
		return u, false
	}
	u = Update{Rollout: block.Rollout, Ready: true}
	step := s.nextStep(p, m, r)
	for _, image := range step.Images() {
		u.Image = image
		u.Ready = u.Ready && r.has(image)
	}
	_, version := m.targetImage(block.target.text)
	u.Reached = step.Kind == Stay && r.Version != "" && m.compare(r.Version, version) == 0
	return u, true
}
