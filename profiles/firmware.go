package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
// first: the phone, its profile and those that this extends, a rollout of the model, the
// model, the default profile.
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
		if r, ok := s.rolloutOf.get(model); ok && !yield(r.layer(), r.target) {
			return
		}
		if b, ok := s.models.get(model); ok && !yield(b.body.name, b.firmware) {
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
	if !IsImage(text) && !isVersion(text) {
		return fmt.Errorf("%q is neither a version, such as 10.1.215.13, nor the name of an image, nor a URL", text)
	}
	return nil
}

// IsImage reports whether a name ends as those of the images that phones load.
func IsImage(name string) bool {
	return slices.Contains(imageSuffixes, strings.ToLower(path.Ext(name)))
}

// firmwareLine is one element of <firmware-settings>, or a remark for a person.
type firmwareLine struct {
	tag     string // "" for a remark
	handset string // the type attribute; "" for none
	perm    bool   // has the attribute perm=""
	text    string
}

// firmwareLines decides what a phone is told about firmware: URLs of images that
// are there, and reasons for what it does not get. A URL that does not exist
// would stop the phone with a question to its user.
func (s *Set) firmwareLines(p *phone, m Model, r Request) ([]firmwareLine, FirmwareOffer) {
	a := firmwareAnswer{
		model: m, running: Running{r.Version, r.Parts}, accessories: s.accessoriesOf(p, m.Name),
		server: s.imageServer(m, r, s.wanted(p, m.Name).text), request: r,
	}
	step := s.nextStep(p, m, r)
	if r.Hold != "" && step.Kind != Stay {
		a.remark("%s", r.Hold)
		return a.lines, FirmwareOffer{Wanting: r.Hold}
	}
	target := s.wanted(p, m.Name).text
	if m.DECT {
		a.base(step, target)
	} else {
		a.desk(step)
	}
	says := FirmwareOffer{Image: a.image}
	if _, version := m.targetImage(target); a.image == "" && target != "" && (r.Version == "" || m.compare(r.Version, version) != 0) {
		says.Wanting = a.why
	}
	return a.lines, says
}

// FirmwareOffer is what an answer about firmware comes to.
type FirmwareOffer struct {
	Image   string // that the phone is told to load, the first where that pulls another; "" for none
	Wanting string // why it is told of none, though it does not run what it should
}

// nextStep is what a phone would do next with the files that are there.
func (s *Set) nextStep(p *phone, m Model, r Request) Step {
	step := m.NextStep(Running{r.Version, r.Parts}, s.wanted(p, m.Name).text)
	if step.Kind == Chained && !r.has(step.Image) {
		// The phone's own loader may manage.
		step.helper = step.Image
		step.Kind, step.Image, step.Pulled = Direct, step.Pulled, ""
	}
	return step
}

// has reports whether phones can have an image: a path under files_dir/firmware,
// or a URL.
func (r Request) has(image string) bool {
	return image == "" || strings.Contains(image, "://") || r.HasFile == nil || r.HasFile("firmware/"+image)
}

// firmwareAnswer is the answer under construction.
type firmwareAnswer struct {
	model       Model
	running     Running
	accessories accessories
	server      Server
	request     Request
	lines       []firmwareLine
	image       string // of the device itself that it is told to load
	why         string // it is told of none
}

func (a *firmwareAnswer) remark(format string, args ...any) {
	a.lines = append(a.lines, firmwareLine{text: fmt.Sprintf(format, args...)})
}

// has reports whether phones can have an image, and remarks where not.
func (a *firmwareAnswer) has(image string) bool {
	if a.request.has(image) {
		return true
	}
	a.remark("firmware/%s is not among the files", image)
	return false
}

func (a *firmwareAnswer) url(image string) string {
	if strings.Contains(image, "://") {
		return image
	}
	return a.server.URL + escapePath(Path{Kind: Firmware, Name: image})
}

// inQuery makes a URL a value of another's query. The phone puts its MAC for
// {mac} wherever it stands, and the helpers know URLs with their colons and
// slashes as they are.
var inQuery = strings.NewReplacer("%", "%25", "?", "%3F", "=", "%3D", "&", "%26", "#", "%23", "+", "%2B", " ", "%20")

// desk answers a desk phone.
func (a *firmwareAnswer) desk(step Step) {
	a.has(step.helper)
	switch {
	case step.Kind == Stay:
		a.remark("%s", step.Reason)
	case !a.has(step.Image) || !a.has(step.Pulled):
	case step.Kind == Chained:
		a.image = step.Image
		pulled := a.url(step.Pulled)
		if !strings.Contains(pulled, "?") {
			pulled += "?mac={mac}"
		}
		a.lines = append(a.lines, firmwareLine{tag: "firmware", perm: true, text: a.url(step.Image) + "?mac={mac}&chained_url=" + inQuery.Replace(pulled)})
	default:
		a.image = step.Image
		a.lines = append(a.lines, firmwareLine{tag: "firmware", perm: true, text: a.url(step.Image)})
	}
	if a.image == "" {
		a.why = a.lines[len(a.lines)-1].text
	}
	for _, m := range a.accessories.modules {
		row := rowOf("module", m.name)
		switch image := row.imageOf(m); {
		case step.Kind == Between:
			a.remark("the module %s waits for the phone's own firmware", m.name)
		case a.running.Version != "" && a.model.compare(a.running.Version, row.since) < 0:
			a.remark("the module %s needs a phone with firmware %s", m.name, row.since)
		case a.has(image):
			a.lines = append(a.lines, firmwareLine{tag: row.tag, perm: true, text: a.url(image)})
		}
	}
}

// base answers a DECT base, which makes the paths of its image and of its
// handsets' from versions. Its handsets have their turn when it has what it
// should run itself, or is sent the last of it.
func (a *firmwareAnswer) base(step Step, target string) {
	url := a.server.URL
	elsewhere := step.Kind != Between && strings.Contains(target, "://")
	if elsewhere {
		image := a.model.image.name(a.model.Name, "")
		url = strings.TrimSuffix(strings.TrimSuffix(target, baseName(target)), strings.TrimSuffix(image, baseName(image)))
		url = strings.TrimSuffix(url, "/")
	}
	var versions []firmwareLine
	switch {
	case step.Kind == Stay:
		a.remark("%s", step.Reason)
	case a.has(step.Image):
		a.image = step.Image
		versions = dectVersions(versions, "fp_fwu_", "", step.After.Version)
	}
	if a.image == "" {
		a.why = a.lines[len(a.lines)-1].text
	}
	for _, h := range a.accessories.handsets {
		switch {
		case step.Kind == Between:
			a.remark("the handsets %s wait for the base's own firmware", h.name)
		case elsewhere || a.has(rowOf("handset", h.name).imageOf(h)):
			versions = dectVersions(versions, "pp_fwu_", h.name, h.firmware.text)
		}
	}
	if len(versions) > 0 {
		a.lines = append(append(a.lines, firmwareLine{tag: "firmware", perm: true, text: url}), versions...)
	}
}

// dectVersions adds the elements of one device: "740" and "104" of 07.40.0104.
func dectVersions(lines []firmwareLine, prefix, handset, version string) []firmwareLine {
	v, b := cutBranch(version)
	plain := func(s string) string {
		n, _ := cutNumber(s)
		return cmp.Or(n, "0")
	}
	return append(lines,
		firmwareLine{tag: prefix + "sw_version", handset: handset, text: plain(v)},
		firmwareLine{tag: prefix + "branch_version", handset: handset, text: plain(b)})
}

// accessoriesOf gives what is attached to a phone: its own words over its
// model's.
func (s *Set) accessoriesOf(p *phone, model string) accessories {
	var a accessories
	if b, ok := s.models.get(model); ok {
		a = b.accessories
	}
	if p != nil {
		a = p.accessories.over(a)
	}
	return a
}

// imageServer gives the appliance as a phone fetches images from it. Firmware
// before V8 loads none over HTTPS, and before 7.2 none over TFTP: it gets them
// over HTTP. So does a phone that does not say what it runs, where phones of its model
// may run firmware before V8 on their way to the wanted one.
func (s *Set) imageServer(m Model, r Request, wanted string) Server {
	scheme, _, _ := strings.Cut(r.Server.URL, "://")
	if r.Version != "" {
		if fetchesImages(r.Version, scheme) {
			return r.Server
		}
		return s.serverBy("http", r.Server.Address)
	}
	if _, version := m.targetImage(wanted); scheme == "https" && !m.DECT && version != "" && m.passes(version, scheme) {
		return s.serverBy("http", r.Server.Address)
	}
	return r.Server
}

func fetchesImages(running, scheme string) bool {
	switch scheme {
	case "https":
		return compareVersions(running, "8") >= 0
	case "tftp":
		return compareVersions(running, "7.2") >= 0
	}
	return true
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
	image, version := m.targetImage(t.text)
	local := !strings.Contains(image, "://")
	l.checkImageName(t, of, m, image)
	if m.Floor != "" && version != "" && m.compare(version, m.Floor) < 0 {
		l.warn(of, ruleBelowFloor, t.rng, "Firmware below the floor", "A %s that runs %s or later could never be updated again after it had loaded %s, so it stays as it is. Choose %s or later.",
			m.Name, m.Floor, version, m.Floor)
	}
	scheme := l.set.scheme(m)
	if m.DECT {
		l.checkBase(t, of, m, image, version)
	} else if version != "" && scheme == "https" && m.passes(version, scheme) {
		l.warn(of, ruleImageHTTPS, t.rng, "Firmware over HTTPS", "A %s with firmware before V8 loads no image over HTTPS, so it is sent to http, port %d, for images alone. Keep that port open to phones, or set scheme = \"http\".",
			m.Name, l.cfg.Provisioning.HTTPPort)
	}
	if !local {
		return
	}
	info, ok := l.statWith(of, t.rng, "firmware/"+image, newest(m, version))
	if ok && info.Size() > maxTFTPImage && scheme == "tftp" {
		l.warn(of, ruleTFTPSize, t.rng, "Image too large for TFTP", "%s has more than 32 MB, and the phones' TFTP ends there. Set scheme = \"http\" for %s.", image, m.Name)
	}
	if ok { // else the first thing to do is said
		l.checkSteps(t, of, m)
	}
}

// newest says what is the newest firmware for a model, where a newer one is wanted.
func newest(m Model, version string) string {
	if m.Latest == "" || version == "" || m.compare(version, m.Latest) <= 0 {
		return ""
	}
	return fmt.Sprintf(" The newest firmware of %s that this program has heard of is %s.", m.Name, m.Latest)
}

// passes reports whether phones of the model may run, on their way to a version
// or at its end, what fetches no image by the scheme.
func (m Model) passes(version, scheme string) bool {
	if !fetchesImages(version, scheme) {
		return true
	}
	return slices.ContainsFunc(m.updates, func(u stepRule) bool {
		return u.below != "" && m.inRange(version, u.target, "") && !fetchesImages(cmp.Or(u.from, "0"), scheme)
	})
}

// checkImageName warns where a name says that the image is not for the model.
func (l *loader) checkImageName(t target, of about, m Model, image string) {
	name := baseName(image)
	if strings.Contains(image, "://") {
		u, err := url.Parse(image)
		if err != nil || !IsImage(u.Path) {
			return // a script, which decides for itself
		}
		name = baseName(u.Path)
	}
	stem := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' })[0]
	own := baseName(m.image.name(m.Name, "VERSION"))
	if m.DECT {
		own = m.Name[len("snom"):] + "_vVERSION_bBRANCH.fwu"
		if checkModelName("snom"+stem) == nil {
			stem = "snom" + stem
		}
	}
	want, got := path.Ext(own), strings.ToLower(path.Ext(name))
	switch {
	case checkModelName(stem) == nil && !strings.EqualFold(stem, m.Name):
		l.warn(of, ruleOtherModel, t.rng, "Firmware of another model", "%s is for %s, not for %s. Name an image of %s, which is called %s, or set firmware where only phones of %s have it.", name, stem, m.Name, m.Name, own, stem)
	case got != want:
		l.warn(of, ruleImageType, t.rng, "Image of another type", "A %s loads %s files, and %s is none. Name the image that it takes, which is called %s.", m.Name, want, name, own)
	case !m.namesImage(name):
		l.warn(of, ruleMisnamedImage, t.rng, "Misnamed image", "Phones tell firmware by the name of its image, which for %s is %s; this is %s. Give it the name that its maker gave it.", m.Name, own, name)
	}
}

// partImage is how the maker names images of several kinds: -SIP-j.bin, -bf.bin.
var partImage = regexp.MustCompile(`^(?i)(?:-SIP)?-[a-z]{1,2}\.(?:bin|swu)$`)

// namesImage reports whether an image is named as the maker names those of the
// model.
func (m Model) namesImage(name string) bool {
	version := m.versionIn(name)
	if version == "" || m.DECT {
		return version != ""
	}
	return partImage.MatchString(name[strings.Index(name, version)+len(version):])
}

// checkSteps warns of images that phones with older firmware need first.
func (l *loader) checkSteps(t target, of about, m Model) {
	images, helper := m.between(t.text)
	missing := slices.DeleteFunc(images, func(image string) bool { return l.exists("firmware/" + image) })
	if len(missing) > 0 {
		l.warn(of, ruleMissingStep, t.rng, "Missing update step", "A %s with old firmware reaches %s in steps, and stays as it is until these are in files_dir/firmware: %s. Get them from the maker, and add them with dialtone firmware add.",
			m.Name, t.text, strings.Join(missing, ", "))
	}
	if helper != "" && !l.exists("firmware/"+helper) {
		l.warn(of, ruleMissingStep, t.rng, "Missing update step", "A %s loads %s by the maker's helper, which is not in files_dir/firmware: %s. Get it from the maker, and add it with dialtone firmware add; until then, phones load the image by themselves.",
			m.Name, t.text, helper)
	}
}

func (l *loader) exists(name string) bool {
	if l.cfg.Appliance.FilesDir == "" {
		return true
	}
	_, err := os.Stat(filepath.Join(l.cfg.Appliance.FilesDir, filepath.FromSlash(name)))
	return err == nil
}

// checkBase warns of what a DECT base makes of its firmware file.
func (l *loader) checkBase(t target, of about, m Model, image, version string) {
	if version == "" {
		l.fail(t.rng, "Invalid firmware", "A DECT base is told a version, such as 07.40.0104 or 740.104, and %q has none.", t.text)
		return
	}
	if want := m.image.name(m.Name, version); !strings.EqualFold(baseName(image), baseName(want)) || !strings.Contains(image, "://") && image != want {
		l.warn(of, ruleMisnamedImage, t.rng, "Misnamed image", "A %s makes the path of its image from the version, and asks for %s; this is %s. Put the image there, and set firmware to its version.", m.Name, want, image)
	}
	server := l.set.Server(m.Name, l.server.Address)
	if u, err := url.Parse(server.URL); err == nil && u.Port() != "" && !strings.Contains(image, "://") {
		l.warn(of, ruleBasePort, t.rng, "Port that DECT bases drop", "A %s is sent to %s for firmware, and may ask at the scheme's own port all the same. Serve it at port 80: set http_port = 80 and scheme = \"http\" for %s.",
			m.Name, server.URL, m.Name)
	}
}

// checkAccessories warns of modules and handsets whose firmware does not come.
func (l *loader) checkAccessories(a accessories, of about) {
	m, ok := l.set.Model(of.model)
	if !ok {
		return
	}
	elsewhere := strings.Contains(l.set.wanted(of.phone, m.Name).text, "://")
	for _, h := range a.handsets {
		if !m.DECT {
			l.fail(h.rng, "Handset of a desk phone", "%s is no DECT base, so it has no handsets.", m.Name)
			continue
		}
		if elsewhere {
			continue // from where the base has its own
		}
		l.stat(of, h.firmware.rng, "firmware/"+rowOf("handset", h.name).imageOf(h))
	}
	for _, one := range a.modules {
		if m.DECT {
			l.fail(one.rng, "Module of a DECT base", "%s is a DECT base, which takes no expansion modules.", m.Name)
			continue
		}
		if m.Modules == 0 {
			l.warn(of, ruleMissingModule, one.rng, "Module on a phone without", "Nothing says that %s takes expansion modules, so %s has no use there. If it takes some, say modules = … in its model block.", m.Name, one.name)
		}
		if image := rowOf("module", one.name).imageOf(one); !strings.Contains(image, "://") {
			l.stat(of, one.firmware.rng, "firmware/"+image)
		}
	}
}

// stat looks for a file that a document will name, and warns where it is missing.
func (l *loader) stat(of about, rng hcl.Range, name string) (os.FileInfo, bool) {
	return l.statWith(of, rng, name, "")
}

// statWith is stat with a further sentence to say.
func (l *loader) statWith(of about, rng hcl.Range, name, more string) (os.FileInfo, bool) {
	if l.cfg.Appliance.FilesDir == "" {
		return nil, false
	}
	full := filepath.Join(l.cfg.Appliance.FilesDir, filepath.FromSlash(name))
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, os.ErrNotExist):
		l.warn(of, ruleMissingFile, rng, "Missing file", "There is no %s. Put it there; until then, phones go without it.%s", full, more)
	case err != nil:
		l.warn(of, ruleMissingFile, rng, "Missing file", "Reading %s: %v. The service has to be able to read it.", full, err)
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
	_, version := m.targetImage(target)
	for _, v := range []string{version, m.Latest} {
		if n := majorOf(v); n > 0 {
			return n
		}
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
	if !ok {
		return 0 // mostly nothing is said: that is no error to be made
	}
	n, err := strconv.ParseUint(major, 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}
