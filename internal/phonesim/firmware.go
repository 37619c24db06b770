package phonesim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/mac"
)

// version is a firmware version as numbers: 8.7.5.35.
type version []int

// parseVersion reads the numbers that s begins with, up to the first part
// that is none.
func parseVersion(s string) version {
	var v version
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		v = append(v, n)
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

// UserAgent is what a phone of that model sends in HTTP requests, in the
// spelling of its firmware's generation.
func UserAgent(model, running string, m mac.Addr) string {
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
		about += fmt.Sprintf("; %s jffs2 v3.36; %s linux 3.38", model, model)
	}
	return "Mozilla/4.0 (compatible; " + about + ")"
}

// maxTFTPImage is where a phone's own TFTP client ends: 65,535 blocks of 512
// bytes, with no roll-over of the block number.
const maxTFTPImage = 512 * 65535

// imageVersion finds a firmware version in an image's file name, as in
// snomD785-10.1.215.13-SIP-r.bin.
var imageVersion = regexp.MustCompile(`-([0-9]+(?:\.[0-9]+)+)-`)
