package profiles

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// target is what a firmware attribute says, and where: a version, the name of a
// file in files_dir/firmware, or a URL.
type target struct {
	text string
	rng  hcl.Range
}

// wanted is the firmware that a phone of the model should run. p is nil for a
// phone that the configuration does not name.
func (s *Set) wanted(p *phone, model string) target {
	for _, t := range s.targets(p, model) {
		if t.text != "" {
			return t
		}
	}
	return target{}
}

// targets gives what each layer says of the firmware, and the layer, the strongest
// first: the phone, its profile and those that this extends, the model, the default
// profile.
func (s *Set) targets(p *phone, model string) iter.Seq2[string, target] {
	return func(yield func(string, target) bool) {
		if p != nil {
			if !yield(p.block.body.name, p.firmware) {
				return
			}
			for _, profile := range slices.Backward(s.ownChain(p.Profile)) {
				if !yield(profile.body.name, profile.firmware) {
					return
				}
			}
		}
		if b := s.models[strings.ToLower(model)]; b != nil && !yield(b.body.name, b.firmware) {
			return
		}
		for _, profile := range slices.Backward(s.general) {
			if !yield(profile.body.name, profile.firmware) {
				return
			}
		}
	}
}

var imageSuffixes = []string{".bin", ".swu", ".fwu"}

// checkTarget reports what cannot be a firmware attribute.
func checkTarget(text string) error {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "tftp"}, u.Scheme) {
			return fmt.Errorf("%q is no http, https or tftp URL", text)
		}
		return nil
	}
	if !isRelative(text) {
		return fmt.Errorf("%q is no file within files_dir/firmware", text)
	}
	if !isImage(text) && strings.Trim(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") != "" {
		return fmt.Errorf("%q is neither a version, such as 10.1.215.13, nor the name of an image, nor a URL", text)
	}
	return nil
}

func isImage(name string) bool {
	return slices.Contains(imageSuffixes, strings.ToLower(path.Ext(name)))
}

// targetImage tells where the image of a target is: a file of files_dir/firmware, or
// elsewhere.
func (m Model) targetImage(text string) (name, elsewhere string) {
	switch {
	case strings.Contains(text, "://"):
		return "", text
	case isImage(text):
		return text, ""
	}
	return m.imageName(text), ""
}

// firmwareAnswer decides what a phone of the model that runs version, "" if unknown,
// is told: the URL of an image, or the reason why it gets none. A URL that does
// not exist would stop the phone with a question to its user.
func (m Model) firmwareAnswer(text, version string, server Server, hasFile func(string) bool) (imageURL, none string) {
	if text == "" {
		return "", "no firmware is configured for " + m.Name
	}
	name, imageURL := m.targetImage(text)
	wanted := path.Base(name)
	if name == "" {
		u, err := url.Parse(imageURL)
		if err != nil {
			return "", "the firmware's URL cannot be read"
		}
		wanted = path.Base(u.Path)
	}
	if version != "" && strings.EqualFold(wanted, path.Base(m.imageName(version))) {
		return "", "the phone runs the wanted firmware, " + text
	}
	if name == "" {
		return imageURL, ""
	}
	if hasFile != nil && !hasFile("firmware/"+name) {
		return "", fmt.Sprintf("firmware/%s is not among the files", name)
	}
	return server.URL + escapePath(Path{Kind: Firmware, Name: name}), ""
}

// maxTFTPImage is what the phones' loaders can count in blocks of 512 bytes.
const maxTFTPImage = 512 * 65535

// target reads a firmware attribute, already evaluated to text.
func (l *loader) target(text string, rng hcl.Range) target {
	if text == "" {
		return target{}
	}
	if err := checkTarget(text); err != nil {
		l.fail(rng, "Invalid firmware", "%s.", capital(err.Error()))
		return target{}
	}
	return target{text, rng}
}

// imageOf is a target as a model understands it.
type imageOf struct {
	target
	model string
}

// checkImage warns of an image that the phones will not get. Nothing is said
// where the model has to be learned first.
func (l *loader) checkImage(t target, of about) {
	if l.images[imageOf{t, of.model}] {
		return
	}
	l.images[imageOf{t, of.model}] = true
	m, ok := l.set.Model(of.model)
	if !ok || t.text == "" {
		return
	}
	name, _ := m.targetImage(t.text)
	if name == "" {
		return
	}
	if stem, _, ok := strings.Cut(path.Base(name), "-"); ok && checkModelName(stem) == nil && !strings.EqualFold(stem, m.Name) {
		l.warn(of, ruleOtherModel, t.rng, "Firmware of another model", "%s is for %s, not for %s.", name, stem, m.Name)
	}
	info, ok := l.stat(of, t.rng, "firmware/"+name)
	if ok && info.Size() > maxTFTPImage && l.set.scheme(m) == "tftp" {
		l.warn(of, ruleTFTPSize, t.rng, "Image too large for TFTP", "%s has more than 32 MB, and the phones' TFTP ends there. Set scheme = \"http\" for %s.", name, m.Name)
	}
}

// stat looks for a file that a document will name, and warns where it is missing.
func (l *loader) stat(of about, rng hcl.Range, name string) (os.FileInfo, bool) {
	if l.cfg.Appliance.FilesDir == "" {
		return nil, false
	}
	full := filepath.Join(l.cfg.Appliance.FilesDir, filepath.FromSlash(name))
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, os.ErrNotExist):
		l.warn(of, ruleMissingFile, rng, "Missing file", "There is no %s. Until it is there, phones go without it.", full)
	case err != nil:
		l.warn(of, ruleMissingFile, rng, "Missing file", "Reading %s: %v.", full, err)
	}
	return info, err == nil
}

// major gives the major version of the firmware that a phone of the model is
// taken to run: what it said, else that of its target, else of the newest that
// the model has. It decides between settings that took one another's place.
func (m Model) major(target string) int {
	switch {
	case m.Family == "DECT" || m.Family == "C":
		return 10 // whose versions are not counted like those of desk phones
	case m.runs > 0:
		return m.runs
	}
	name := target
	if strings.Contains(target, "://") || isImage(target) {
		name = path.Base(target)
		// snomD785-10.1.215.13-SIP-r.bin
		if _, version, ok := strings.Cut(name, "-"); ok {
			name = version
		}
	}
	if n := majorOf(name); n > 0 {
		return n
	}
	switch {
	case m.Format == Text:
		return 6
	case slices.Contains([]string{"3xx", "8xx", "MP", "PA"}, m.Family):
		return 8
	}
	return 10
}

// majorOf reads the major version of a firmware, 0 where there is none.
func majorOf(version string) int {
	major, _, ok := strings.Cut(version, ".")
	n, err := strconv.ParseUint(major, 10, 8)
	if err != nil || !ok {
		return 0
	}
	return int(n)
}
