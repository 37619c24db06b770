package phonesim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/mac"
)

// version is a firmware version as numbers: 8.7.5.35.
type version []int

// parseVersion reads the numbers that s begins with, up to the first part that
// is none; 5.5a is 5.5.
func parseVersion(s string) version {
	var v version
	for part := range strings.SplitSeq(s, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		v = append(v, n)
		if digits != part {
			break
		}
	}
	return v
}

func (v version) atLeast(numbers ...int) bool { return slices.Compare(v, numbers) >= 0 }

// What a generation of firmware can do, with the version that began it.

// readsXML: V4 to V6 read the plain text format alone.
func (v version) readsXML() bool { return v.atLeast(7, 1, 8) }

// sendsClass: before it a phone sends no option 60.
func (v version) sendsClass() bool { return v.atLeast(7, 3, 15) }

// readsTunnel: before it option 43 means nothing to a phone.
func (v version) readsTunnel() bool {
	return v.atLeast(8, 2, 1) || v.atLeast(7, 3, 17) && !v.atLeast(8)
}

// fetchesFirmwareBy: V7 has no HTTPS for images, and TFTP from 7.2 on.
func (v version) fetchesFirmwareBy(scheme string) bool {
	switch scheme {
	case "https":
		return v.atLeast(8)
	case "tftp":
		return v.atLeast(7, 2)
	}
	return true
}

// DefaultVersion is a firmware version that a model plausibly came with,
// older than any that a configuration would name as its target.
func DefaultVersion(model string) string {
	m := strings.TrimPrefix(strings.ToLower(model), "snom")
	switch {
	case isDECT(model):
		return "05.20.0001"
	case strings.HasPrefix(m, "d"):
		return "10.1.33.33"
	case strings.HasPrefix(m, "7"):
		return "8.7.3.19"
	case strings.HasPrefix(m, "3"):
		return "7.3.30"
	case strings.HasPrefix(m, "1"), strings.HasPrefix(m, "2"):
		return "6.5.20"
	}
	return "8.4.35"
}

var dectModel = regexp.MustCompile(`(?i)^snomM[0-9]{3}`)

func isDECT(model string) bool { return dectModel.MatchString(model) }

// Firmware is what a phone runs. Before V7 the kernel and the root file system
// were apart from the application; Linux, JFFS2 and Ramdisk are "" later.
type Firmware struct {
	Version string `json:"version"`
	Linux   string `json:"linux,omitempty"`
	JFFS2   string `json:"jffs2,omitempty"`
	Ramdisk string `json:"ramdisk,omitempty"` // of the layout before JFFS2
}

// setParts gives an application of before V7 the parts that it came with where
// none are said.
func (f *Firmware) setParts(model string) {
	if isDECT(model) || parseVersion(f.Version).atLeast(7) {
		f.Linux, f.JFFS2, f.Ramdisk = "", "", ""
		return
	}
	setDefault(&f.Linux, "3.38")
	if f.Ramdisk == "" {
		setDefault(&f.JFFS2, "3.36")
	}
}

var (
	partName  = regexp.MustCompile(`(?i)^snom[0-9a-z]+-(?:(ramdiskToJffs2)-([0-9.]+)-br|([0-9.]+)-(l))\.bin$`)
	appName   = regexp.MustCompile(`(?i)^snom[0-9a-z]+-(from6to7-)?([0-9][0-9a-z.]*)(?:-SIP)?-(?:bf|[a-z])\.(?:bin|swu)$`)
	dectName  = regexp.MustCompile(`(?i)^m[0-9]+_v([0-9]{2})([0-9]{2})_b([0-9]{4})\.fwu$`)
	imageStem = regexp.MustCompile(`^[^-_]+`)
)

// Load gives what a phone of the model runs after it loaded the image of that
// name. The error is that of a phone which refuses the image, or would not
// start again.
func (f Firmware) Load(model, name string) (Firmware, error) {
	stem := imageStem.FindString(name)
	if !strings.EqualFold(stem, model) && !strings.EqualFold("snom"+stem, model) {
		return f, fmt.Errorf("the firmware image %s is none for a %s", name, model)
	}
	now := parseVersion(f.Version)
	if m := dectName.FindStringSubmatch(name); m != nil && isDECT(model) {
		f.Version = m[1] + "." + m[2] + "." + m[3]
		return f, dectStep(now, parseVersion(f.Version))
	}
	if m := partName.FindStringSubmatch(name); m != nil {
		if now.atLeast(7) || !now.atLeast(5) {
			return f, fmt.Errorf("an application of version %s does not load %s", f.Version, name)
		}
		if m[1] != "" {
			f.JFFS2, f.Ramdisk = m[2], ""
		} else {
			f.Linux = m[3]
		}
		return f, nil
	}
	m := appName.FindStringSubmatch(name)
	if m == nil {
		return f, fmt.Errorf("the name of the firmware image %s tells no version", name)
	}
	err := f.step(parseVersion(m[2]), m[1] != "")
	f.Version = m[2]
	if !parseVersion(f.Version).atLeast(7) && now.atLeast(7) {
		f.Linux, f.JFFS2 = "3.25", "3.36" // as V6 finds them
	}
	f.setParts(model)
	return f, err
}

// step says why an application does not take the place of the one that runs.
func (f Firmware) step(next version, from6to7 bool) error {
	now := parseVersion(f.Version)
	oldLayout := f.Ramdisk != "" || !parseVersion(f.JFFS2).atLeast(3, 36)
	switch {
	case next.atLeast(7) && !now.atLeast(7) && (!from6to7 || oldLayout || !now.atLeast(6, 5, 20) || !parseVersion(f.Linux).atLeast(3, 38)):
		return fmt.Errorf("from %s, Linux %s, JFFS2 %s and ramdisk %q there is no way to V7 at once", f.Version, f.Linux, f.JFFS2, f.Ramdisk)
	case next.atLeast(7) && now.atLeast(7) && !now.atLeast(7, 0, 17):
		return fmt.Errorf("firmware %s has the flash laid out the old way: it goes back to V6 first", f.Version)
	case next.atLeast(8) && !now.atLeast(7, 3, 14):
		return fmt.Errorf("firmware %s is too old for V8", f.Version)
	case next.atLeast(6) && !now.atLeast(6) && oldLayout:
		return fmt.Errorf("firmware %s needs another root file system for V6", f.Version)
	case !now.atLeast(5) && next.atLeast(5, 6):
		return fmt.Errorf("firmware %s goes to 5.5 first", f.Version)
	case now.atLeast(8, 9, 3) && !next.atLeast(8, 9, 3):
		return fmt.Errorf("firmware %s that goes back below 8.9.3 can never be updated again", f.Version)
	}
	return nil
}

// dectStep is the same for a DECT base.
func dectStep(now, next version) error {
	switch {
	case next.atLeast(5, 10) && !now.atLeast(5, 0):
		return errors.New("a DECT base goes to V5.00 or V5.01 before V5.10")
	case now.atLeast(4, 50) && !next.atLeast(4, 50):
		return errors.New("a DECT base does not go back below V4.50")
	}
	return nil
}

// UserAgent is what a phone of that model sends in HTTP requests, in the
// spelling of its firmware's generation.
func (f Firmware) UserAgent(model string, m mac.Addr) string {
	running := f.Version
	v := parseVersion(running)
	about := fmt.Sprintf("%s-SIP %s", model, running)
	switch {
	case isDECT(model):
		about = fmt.Sprintf("Snom %s %s %s", model[len("snom"):], running, strings.ToLower(m.Hex()))
	case v.atLeast(10, 1, 100):
		about += fmt.Sprintf(" 2010.12-00001-gd311851f1 (Feb 25 2019 - 14:19:43) %s SXM:0 UXM:0 UXMC:0", m.Hex())
	case v.atLeast(10):
		about += fmt.Sprintf(" 2010.12-00004-g9ba52f5 %s SXM:0 UXM:0", m.Hex())
	case v.atLeast(8, 7, 5):
		about += " 1.1.5-IFX-05.01.12 " + m.Hex()
	case v.atLeast(8, 7):
		about += " 2010.06"
	case v.atLeast(8):
		about += " 1.1.4-IFX-26.11.09"
	case v.atLeast(7, 3):
		about += " 1.1.3-u"
	case v.atLeast(7):
	default:
		for _, part := range []struct{ name, version string }{{"ramdisk v", f.Ramdisk}, {"jffs2 v", f.JFFS2}, {"linux ", f.Linux}} {
			if part.version != "" {
				about += "; " + model + " " + part.name + part.version
			}
		}
	}
	return "Mozilla/4.0 (compatible; " + about + ")"
}

// maxTFTPImage is where a phone's own TFTP client ends: 65,535 blocks of 512
// bytes, with no roll-over of the block number.
const maxTFTPImage = 512 * 65535
