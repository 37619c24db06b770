package firmware

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// headSize is how much of an image is looked at, in octets: a .swu has its
// description first.
const headSize = 64 << 10

// Evidence is what the first octets of an image say.
type Evidence struct {
	Format  string // "cpio", or "" where it is none that is known
	Version string // of the description in a .swu; "" where there is none
}

// The names that formats of other files begin with. The makers of images publish
// none for theirs, so these are what they are not.
var others = []struct{ magic, what string }{
	{"PK\x03\x04", "a ZIP archive: unpack it first"},
	{"\x1f\x8b", "compressed by gzip: unpack it first"},
	{"BZh", "compressed by bzip2: unpack it first"},
	{"\xfd7zXZ\x00", "compressed by xz: unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"},
	{"Rar!\x1a\x07", "a RAR archive: unpack it first"},
	{"%PDF-", "a PDF document"},
	{"\x7fELF", "a program"},
}

var (
	webPage     = regexp.MustCompile(`(?is)^\s*(<!doctype|<html|<\?xml|<[a-z-]+[ >])`)
	swuVersion  = regexp.MustCompile(`(?m)^\s*version\s*=\s*"([0-9A-Za-z._-]{1,64})"\s*;`)
	description = "sw-description"
)

// Examine says what the beginning of a file is, and refuses what can be no image:
// the page of an error that was saved under an image's name, an archive with the
// image in it.
func Examine(name string, head []byte) (Evidence, error) {
	if len(head) == 0 {
		return Evidence{}, errors.New("the file is empty")
	}
	if webPage.Match(head[:min(len(head), 512)]) {
		return Evidence{}, errors.New("this is a web page or an XML file, perhaps the answer of a failed download: load the image again")
	}
	for _, o := range others {
		if bytes.HasPrefix(head, []byte(o.magic)) {
			return Evidence{}, fmt.Errorf("this is %s", o.what)
		}
	}
	archive := bytes.HasPrefix(head, []byte("070701")) || bytes.HasPrefix(head, []byte("070702"))
	swu := strings.EqualFold(path.Ext(name), ".swu")
	switch {
	case swu && !archive:
		return Evidence{}, errors.New("a .swu file is a cpio archive, and this is none: load the image again")
	case archive && !swu:
		return Evidence{}, errors.New("this is a cpio archive, as .swu files are: give it the name that its maker gave it")
	case archive:
		return Evidence{Format: "cpio", Version: described(head)}, nil
	}
	return Evidence{}, nil
}

// described gives the version in the description of a .swu: the first file of a
// cpio archive in the "new ASCII" format, whose header is 110 octets of
// hexadecimal fields, as cpio(5) has it. The names are libconfig's.
func described(head []byte) string {
	const (
		header              = 110
		fileSize, nameSize  = 6 + 6*8, 6 + 11*8
		width               = 8
		alignment, maxField = 4, headSize
	)
	if len(head) < header {
		return ""
	}
	field := func(at int) (int, bool) {
		n, err := strconv.ParseUint(string(head[at:at+width]), 16, 32)
		return int(n), err == nil && n <= maxField
	}
	size, ok1 := field(fileSize)
	length, ok2 := field(nameSize)
	start := (header + length + alignment - 1) / alignment * alignment
	if !ok1 || !ok2 || length == 0 || start+size > len(head) {
		return ""
	}
	if string(head[header:header+length-1]) != description {
		return ""
	}
	m := swuVersion.FindSubmatch(head[start : start+size])
	if m == nil {
		return ""
	}
	return string(m[1])
}
