package profiles

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dialtone/internal/mac"
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
// what the configuration's model block says on top.
type Model struct {
	Name       string // canonical spelling, "snomD785"
	Family     string // "D7xx"; "" where the catalogue has no row
	Format     Format
	Identities int    // 0 where not known
	Keys       int    // function keys of its own; 0 where not known
	Modules    int    // expansion modules that it takes
	Firmware   string // target of the model block: a version, a file name or a URL
	Scheme     string // of the model block: "http", "https", "tftp", or "" for the appliance's

	runs       int    // major version of the firmware of the phone that asks, 0 where not known
	textBefore int    // major version of the first firmware that reads XML; 0 where all do
	image      string // name of a firmware image, with {model} and {version}, or {v4} and {b4}
}

// catalogue is the table of models that the program ships.
type catalogue struct {
	models   map[string]Model // by lower-case name
	patterns []Model          // rows with a trailing *, without it, longest first
	prefixes map[[4]byte]string
}

//go:embed builtin/models.csv
var modelsCSV []byte

var builtinCatalogue = sync.OnceValues(func() (catalogue, error) {
	return readCatalogue(bytes.NewReader(modelsCSV))
})

// lookupBuiltin finds a model of the built-in catalogue. A defect of the
// embedded table is reported by Load, and by a test, so it is not repeated here.
func lookupBuiltin(name string) (Model, bool) {
	c, _ := builtinCatalogue()
	return c.lookup(name)
}

// lookup gives the row of name, or one made by the longest pattern that fits.
func (c catalogue) lookup(name string) (Model, bool) {
	if m, ok := c.models[strings.ToLower(name)]; ok {
		return m, true
	}
	if checkModelName(name) != nil {
		return Model{}, false
	}
	for _, p := range c.patterns {
		if _, ok := cutPrefixFold(name, p.Name); ok {
			p.Name = name
			return p, true
		}
	}
	return Model{}, false
}

// readCatalogue reads the table strictly: every row has every column, no name
// or MAC prefix comes twice, counts are small numbers.
func readCatalogue(r io.Reader) (catalogue, error) {
	c := catalogue{models: map[string]Model{}, prefixes: map[[4]byte]string{}}
	rows := csv.NewReader(r)
	rows.Comment = '#'
	header := []string{"name", "family", "format", "identities", "keys", "modules", "firmware", "macs"}
	if got, err := rows.Read(); err != nil {
		return c, fmt.Errorf("reading the model catalogue: %w", err)
	} else if !slices.Equal(got, header) {
		return c, fmt.Errorf("reading the model catalogue: columns are %q, not %q", got, header)
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = c.add(row)
		}
		if err != nil {
			return c, fmt.Errorf("reading the model catalogue: %w", err)
		}
	}
	slices.SortStableFunc(c.patterns, func(a, b Model) int { return cmp.Compare(len(b.Name), len(a.Name)) })
	return c, nil
}

func (c catalogue) checkNew(name string) error {
	if _, ok := c.models[strings.ToLower(name)]; ok {
		return fmt.Errorf("%s comes twice", name)
	}
	return nil
}

func (c *catalogue) add(row []string) error {
	m := Model{Name: row[0], Family: row[1], image: row[6]}
	switch row[2] {
	case "xml":
	case "xml7":
		m.textBefore = 7
	case "text":
		m.Format = Text
	default:
		return fmt.Errorf("%s: format %q is none of xml, xml7 and text", m.Name, row[2])
	}
	for i, field := range []*int{&m.Identities, &m.Keys, &m.Modules} {
		n, err := strconv.ParseUint(row[3+i], 10, 12)
		if err != nil {
			return fmt.Errorf("%s: reading a count: %w", m.Name, err)
		}
		*field = int(n)
	}
	if !strings.Contains(m.image, "{version}") && !strings.Contains(m.image, "{v4}") {
		return fmt.Errorf("%s: firmware %q has no place for a version", m.Name, m.image)
	}
	if prefix, ok := strings.CutSuffix(m.Name, "*"); ok {
		m.Name = prefix
		c.patterns = append(c.patterns, m)
		return nil
	}
	if err := checkModelName(m.Name); err != nil {
		return err
	}
	if err := c.checkNew(m.Name); err != nil {
		return err
	}
	c.models[strings.ToLower(m.Name)] = m
	for _, s := range strings.Fields(row[7]) {
		if len(s) == 2 {
			s = "000413" + s
		}
		octets, err := hex.DecodeString(s)
		if err != nil || len(octets) != 4 {
			return fmt.Errorf("%s: %q is neither one octet nor four", m.Name, s)
		}
		prefix := [4]byte(octets)
		if other, ok := c.prefixes[prefix]; ok {
			return fmt.Errorf("%s: MAC prefix %s is %s's already", m.Name, s, other)
		}
		c.prefixes[prefix] = m.Name
	}
	return nil
}

// ModelOf reads a vendor class identifier (DHCP option 60): "snomD785" of
// "snomD785", with whatever may follow after a character that is no letter or
// digit, and in the catalogue's spelling where it has one. It is "" for
// anything but a Snom phone, and for one that names no model.
func ModelOf(vendorClass string) string {
	if _, ok := cutPrefixFold(vendorClass, "snom-m3-"); ok {
		return "snomM3"
	}
	name := alnumPrefix(vendorClass)
	m, ok := lookupBuiltin(name)
	if !ok {
		return ""
	}
	return m.Name
}

// ModelHint guesses the model from the fourth octet of a MAC, as the maker
// gave them out until about 2019. Octets are shared among models, so the answer
// is a hint and never proof. It is "" where the table has nothing.
func ModelHint(m mac.Addr) string {
	c, _ := builtinCatalogue()
	return c.prefixes[[4]byte(m[:4])]
}

// IsSnom reports whether m is out of a range of Snom (00:04:13) or of RTX, who
// make its DECT bases (00:08:7B). It is for phones older than firmware 7.3.15,
// which send no option 60.
func IsSnom(m mac.Addr) bool {
	oui := m.OUI()
	return oui == [3]byte{0x00, 0x04, 0x13} || oui == [3]byte{0x00, 0x08, 0x7b}
}

// imageName gives the firmware file of a version, by the model's pattern.
func (m Model) imageName(version string) string {
	major, build := version, ""
	// The version of a DECT base, 05.20.0001, is v0520_b0001 in a file name.
	if i := strings.LastIndexByte(version, '.'); i >= 0 {
		major, build = strings.ReplaceAll(version[:i], ".", ""), version[i+1:]
	}
	return strings.NewReplacer("{model}", m.Name, "{version}", version,
		"{v4}", fourDigits(major), "{b4}", fourDigits(build)).Replace(m.image)
}

func fourDigits(s string) string { return strings.Repeat("0", max(0, 4-len(s))) + s }
