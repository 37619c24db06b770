package profiles

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Running is the firmware that a phone says it runs.
type Running struct {
	Version string // of the application: "8.7.5.35", of a DECT base "05.20.0001"; "" where it is not known
	Parts
}

// Parts are the versions of what firmware before V7 kept apart from the
// application. Each is "" where the phone does not name it.
type Parts struct {
	Linux   string // the kernel, "3.38"
	JFFS2   string // the root file system, "3.36"
	Ramdisk string // the root file system of an older layout, "3.31"
}

// StepKind says what a Step is.
type StepKind int

const (
	// Stay: there is nothing to load. Reason says why.
	Stay StepKind = iota
	// Direct: the image of the target.
	Direct
	// Between: an image on the way to the target. The phone asks again once it runs.
	Between
	// Chained: a helper, which pulls the image of the target.
	Chained
)

func (k StepKind) String() string {
	return [...]string{"stay", "direct", "between", "chained"}[k]
}

// Step is the next thing that a phone does about its firmware.
type Step struct {
	Kind StepKind
	// Image is what the phone loads: the path of a file under files_dir/firmware,
	// or the URL of a target that is elsewhere. "" to stay.
	Image string
	// Pulled is the image that a Chained helper pulls, likewise.
	Pulled string
	// After is what the phone runs once the step is done. Its Version is "" where
	// the name of a target's image does not tell.
	After  Running
	helper string // that is not there, and is done without
	// Reason is a sentence's worth for a person: why this image, or why none.
	Reason string
}

// Images lists what the step needs, in the order in which the phone fetches it.
func (s Step) Images() []string {
	var images []string
	for _, image := range []string{s.Image, s.Pulled} {
		if image != "" {
			images = append(images, image)
		}
	}
	return images
}

// stepRule is a step that a model's firmware may take, with what it depends on:
// a row of the catalogue, or a step block.
type stepRule struct {
	from, below string // versions of the application that runs
	linuxBelow  string // applies to phones that report an older kernel
	rootfsBelow string // or an older root file system
	target      string // applies on the way to at least this
	version     string // of the application that the image brings; "" where it is none
	image       pattern
	chained     bool
}

// applies reports whether a phone on its way to the target takes this step.
func (u stepRule) applies(m Model, running Running, target string) bool {
	switch {
	case target == "" || !m.inRange(target, u.target, ""):
		return false
	case !m.inRange(running.Version, u.from, u.below):
		return false
	case u.linuxBelow != "":
		return running.Linux != "" && compareVersions(running.Linux, u.linuxBelow) < 0
	case u.rootfsBelow != "":
		return running.Ramdisk != "" || running.JFFS2 != "" && compareVersions(running.JFFS2, u.rootfsBelow) < 0
	}
	return true
}

// imageName gives the step's image on the way to the target.
func (u stepRule) imageName(m Model, target string) string {
	if u.version != "" {
		target = u.version
	}
	if u.image == "" {
		return m.imageName(target)
	}
	return u.image.name(m.Name, target)
}

// after gives what a phone runs that has taken the step.
func (u stepRule) after(running Running) Running {
	if u.version != "" {
		running.Version = u.version
		return running
	}
	if u.linuxBelow != "" {
		running.Linux = u.linuxBelow
	}
	if u.rootfsBelow != "" {
		running.JFFS2, running.Ramdisk = u.rootfsBelow, ""
	}
	return running
}

// NextStep decides what a phone of the model that runs a firmware loads next,
// so that it ends at the target: a version, the name of a file under
// files_dir/firmware, or a URL; "" where none is configured. It knows nothing of
// which files are there.
//
// Each step is one answer to the phone's question for firmware: it loads the
// image, restarts, and asks again. Where the phone does not say what it runs, the
// steps that depend on that are left out.
func (m Model) NextStep(running Running, target string) Step {
	if target == "" {
		return Step{After: running, Reason: "no firmware is configured for " + m.Name}
	}
	image, version := m.targetImage(target)
	if running.Version != "" && version != "" && m.compare(running.Version, version) == 0 {
		return Step{After: running, Reason: "the phone runs the wanted firmware, " + target}
	}
	step := Step{Kind: Direct, Image: image, After: Running{Version: version}, Reason: "the wanted firmware, " + target}
	for _, u := range m.updates {
		if !u.applies(m, running, version) {
			continue
		}
		if u.chained {
			step.Kind, step.Image, step.Pulled = Chained, u.imageName(m, version), image
			step.Reason = "a helper, which loads " + target
		} else {
			step = Step{Kind: Between, Image: u.imageName(m, version), After: u.after(running), Reason: "on the way to " + target}
		}
		break
	}
	if m.Floor != "" && running.Version != "" && m.compare(running.Version, m.Floor) >= 0 {
		for _, v := range []string{version, step.After.Version} {
			if v != "" && m.compare(v, m.Floor) < 0 {
				return Step{After: running, Reason: fmt.Sprintf(
					"the phone runs %s: from %s on a %s must not go back to %s, or it could never be updated again",
					running.Version, m.Floor, m.Name, v)}
			}
		}
	}
	return step
}

// maxSteps is more than any way has.
const maxSteps = 16

// Way gives the steps from a firmware to the target, the last of which is to
// stay or, where the name of the target's image tells no version, to load it.
// The error is that of a way without an end.
func (m Model) Way(running Running, target string) ([]Step, error) {
	var way []Step
	for len(way) < maxSteps {
		step := m.NextStep(running, target)
		way = append(way, step)
		if step.Kind == Stay || step.Kind != Between && step.After.Version == "" {
			return way, nil
		}
		running = step.After
	}
	return way, fmt.Errorf("the way of %s to %s has no end: after %s it would load %s again", m.Name, target,
		baseName(way[maxSteps-2].Image), baseName(way[maxSteps-1].Image))
}

// between lists the images that phones of the model may need on their way to
// the target, whatever they run, besides its own.
func (m Model) between(target string) (images []string, chained string) {
	_, version := m.targetImage(target)
	for _, u := range m.updates {
		if version == "" || !m.inRange(version, u.target, "") {
			continue
		}
		image := u.imageName(m, version)
		if u.chained {
			chained = image
		} else if !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	return images, chained
}

// imageName gives the image of a version: a path under files_dir/firmware.
func (m Model) imageName(version string) string {
	if m.textImage != "" && m.compare(version, strconv.Itoa(m.textBefore)) < 0 {
		return m.textImage.name(m.Name, version)
	}
	return m.image.name(m.Name, version)
}

// targetImage tells which image a target means, and its version where the name
// says it: the path of a file under files_dir/firmware, or a URL.
func (m Model) targetImage(target string) (image, version string) {
	switch {
	case strings.Contains(target, "://"):
		u, err := url.Parse(target)
		if err != nil {
			return target, "" // checkTarget has refused it
		}
		return target, m.versionIn(u.Path)
	case IsImage(target):
		return target, m.versionIn(target)
	}
	return m.imageName(target), target
}

// versionIn finds the version in the name of an image, also where it is not
// named quite as the model's are: the first word between dashes that begins with
// a digit.
func (m Model) versionIn(name string) string {
	for _, p := range []pattern{m.image, m.textImage} {
		if v := p.version(m.Name, name); v != "" {
			return v
		}
	}
	if m.DECT {
		device, _, _ := strings.Cut(baseName(name), "_")
		return rowOf("handset", device).image.version(device, name)
	}
	words := strings.Split(baseName(name), "-")
	for _, w := range words[1:] {
		if isVersion(w) && strings.Contains(w, ".") && !IsImage(w) {
			return w
		}
	}
	return ""
}
