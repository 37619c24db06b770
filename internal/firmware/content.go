package firmware

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
)

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
	webPage    = regexp.MustCompile(`(?is)^\s*(<!doctype|<html|<\?xml|<[a-z-]+[ >])`)
	swuVersion = regexp.MustCompile(`(?m)^\s*version\s*=\s*"([0-9A-Za-z._-]{1,64})"\s*;`)
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
	archive := isArchive(head)
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

// Whole refuses a .swu that ends before its archive does, as a download does that
// was cut off. Of other images nobody can tell.
func Whole(image io.ReaderAt, size int64) error {
	for at := int64(0); ; {
		e, err := entryAt(image, at)
		switch {
		case errors.Is(err, io.EOF) || e.end > size:
			return fmt.Errorf("it is cut off after %d octets: load the image again", size)
		case errors.Is(err, errNoEntry) || e.name == trailer:
			return nil
		case err != nil:
			return fmt.Errorf("reading: %w", err)
		}
		at = e.next
	}
}

// entry is the header of a file in a cpio archive of the "new ASCII" format: 110
// octets of hexadecimal fields, and the name, as cpio(5) has it.
type entry struct {
	name       string
	start, end int64 // of the content
	next       int64 // where the next header is
}

const (
	trailer     = "TRAILER!!!"
	description = "sw-description"
)

var errNoEntry = errors.New("no header of a cpio archive")

func entryAt(archive io.ReaderAt, at int64) (e entry, err error) {
	const (
		width, alignment   = 8, 4
		fileSize, nameSize = 6 + 6*width, 6 + 11*width
		maxName            = 4096
	)
	header := make([]byte, 6+13*width)
	if _, err := archive.ReadAt(header, at); err != nil {
		return e, err
	}
	size, err := strconv.ParseUint(string(header[fileSize:fileSize+width]), 16, 32)
	length, err2 := strconv.ParseUint(string(header[nameSize:nameSize+width]), 16, 32)
	if !isArchive(header) || err != nil || err2 != nil || length == 0 || length > maxName {
		return e, errNoEntry
	}
	name := make([]byte, length)
	if _, err := archive.ReadAt(name, at+int64(len(header))); err != nil {
		return e, err
	}
	aligned := func(n int64) int64 { return (n + alignment - 1) / alignment * alignment }
	e.name = string(name[:length-1]) // ends in a zero
	e.start = aligned(at + int64(len(header)) + int64(length))
	e.end = e.start + int64(size)
	e.next = aligned(e.end)
	return e, nil
}

func isArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte("070701")) || bytes.HasPrefix(head, []byte("070702"))
}

// described gives the version in the description of a .swu, which is the first
// file in it. The names are libconfig's.
func described(head []byte) string {
	e, err := entryAt(bytes.NewReader(head), 0)
	if err != nil || e.name != description || e.end > int64(len(head)) {
		return ""
	}
	m := swuVersion.FindSubmatch(head[e.start:e.end])
	if m == nil {
		return ""
	}
	return string(m[1])
}
