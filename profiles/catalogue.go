package profiles

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dialtone/internal/mac"
)

// catalogue is the table of models that the program ships.
type catalogue struct {
	models   byModel[Model] // by their names, and by those they are sold as
	rows     []Model        // in the order of the table, without patterns
	patterns []Model        // rows with a trailing *, without it, longest first
	ranges   []macRange
	updates  []updateRow
}

// updateRow is an update of some models.
type updateRow struct {
	models []string // names; a trailing * is for all that begin so
	stepRule
}

var (
	//go:embed builtin/models.csv
	modelsCSV []byte
	//go:embed builtin/updates.csv
	updatesCSV []byte
)

var builtinCatalogue = sync.OnceValues(func() (catalogue, error) {
	return readCatalogue(bytes.NewReader(modelsCSV), bytes.NewReader(updatesCSV))
})

// lookupBuiltin finds a model of the built-in catalogue. A defect of the
// embedded table is reported by Load, and by a test, so it is not repeated here.
func lookupBuiltin(name string) (Model, bool) {
	c, _ := builtinCatalogue()
	return c.lookup(name)
}

// lookup gives the row of name, or one made by the longest pattern that fits.
func (c catalogue) lookup(name string) (Model, bool) {
	if m, ok := c.models.get(name); ok {
		return m, true
	}
	if checkModelName(name) != nil {
		return Model{}, false
	}
	for _, p := range c.patterns {
		if _, ok := cutPrefixFold(name, p.Name); ok {
			p.Name = name
			p.updates = c.updatesOf(name)
			return p, true
		}
	}
	return Model{}, false
}

// updatesOf gives the steps of a model, in the order of the table.
func (c catalogue) updatesOf(name string) []stepRule {
	var list []stepRule
	for _, row := range c.updates {
		if slices.ContainsFunc(row.models, func(m string) bool {
			prefix, any := strings.CutSuffix(m, "*")
			_, begins := cutPrefixFold(name, prefix)
			return begins && (any || len(prefix) == len(name))
		}) {
			list = append(list, row.stepRule)
		}
	}
	return list
}

// readCatalogue reads the tables strictly: every row has every column, no name
// or range of MACs comes twice, counts are small numbers.
func readCatalogue(models, updates io.Reader) (catalogue, error) {
	c := catalogue{models: byModel[Model]{}}
	err := readRows(updates, strings.Split("models,from,below,linux_below,rootfs_below,target,version,image,chained", ","), func(row map[string]string) error {
		u := updateRow{strings.Fields(row["models"]), stepRule{
			from: row["from"], below: row["below"], linuxBelow: row["linux_below"], rootfsBelow: row["rootfs_below"],
			target: row["target"], version: row["version"], image: pattern(row["image"]), chained: row["chained"] == "yes",
		}}
		c.updates = append(c.updates, u)
		return u.check()
	})
	if err != nil {
		return c, fmt.Errorf("reading the table of updates: %w", err)
	}
	err = readRows(models, strings.Split("name,sold_as,family,format,identities,keys,modules,module_keys,phonebook_limit,login,image,text_image,latest,floor,macs", ","), c.add)
	if err != nil {
		return c, fmt.Errorf("reading the model catalogue: %w", err)
	}
	slices.SortStableFunc(c.patterns, func(a, b Model) int { return cmp.Compare(len(b.Name), len(a.Name)) })
	return c, nil
}

func (c *catalogue) checkNew(name string) error {
	if _, ok := c.models.get(name); ok {
		return fmt.Errorf("%s comes twice", name)
	}
	return nil
}

func (c *catalogue) add(row map[string]string) error {
	m := Model{Name: row["name"], Family: row["family"]}
	for _, w := range modelWords {
		if err := w.set(&m, row[w.name]); err != nil {
			return fmt.Errorf("%s: %s %w", m.Name, w.name, err)
		}
	}
	if prefix, ok := strings.CutSuffix(m.Name, "*"); ok {
		m.Name = prefix
		c.patterns = append(c.patterns, m)
		return nil
	}
	m.updates = c.updatesOf(m.Name)
	for _, name := range append([]string{m.Name}, strings.Fields(row["sold_as"])...) {
		if err := errors.Join(checkModelName(name), c.checkNew(name)); err != nil {
			return err
		}
		c.models.put(name, m)
	}
	c.rows = append(c.rows, m)
	for _, s := range strings.Fields(row["macs"]) {
		r, err := parseMACRange(s)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		r.model = m.Name
		if other := slices.IndexFunc(c.ranges, func(o macRange) bool { return o.first == r.first && o.last == r.last }); other >= 0 {
			return fmt.Errorf("%s: the MACs %s are %s's already", m.Name, s, c.ranges[other].model)
		}
		c.ranges = append(c.ranges, r)
	}
	return nil
}

// macRange is a range of MACs that a model has, as numbers of 48 bits.
type macRange struct {
	first, last uint64
	model       string
}

// parseMACRange reads what follows 00:04:13, as one octet ("92") or as a range of
// three ("791000-79FFFF"), or the first four octets of any MAC ("00087BD7").
func parseMACRange(s string) (macRange, error) {
	const snom = "000413"
	first, last, isRange := strings.Cut(s, "-")
	switch {
	case isRange && len(first) == 6 && len(last) == 6:
		first, last = snom+first, snom+last
	case !isRange && len(s) == 2:
		first, last = snom+s+"0000", snom+s+"ffff"
	case !isRange && len(s) == 8:
		first, last = s+"0000", s+"ffff"
	default:
		return macRange{}, fmt.Errorf("%q is neither an octet (92), nor a range of three octets (791000-79FFFF), nor four octets (00087BD7)", s)
	}
	r := macRange{}
	for text, n := range map[string]*uint64{first: &r.first, last: &r.last} {
		var octets [8]byte
		if _, err := hex.Decode(octets[2:], []byte(text)); err != nil {
			return macRange{}, fmt.Errorf("%q has a character that is no hexadecimal digit", s)
		}
		*n = bigEndian(octets[2:])
	}
	if r.first > r.last {
		return macRange{}, fmt.Errorf("%q ends before it begins", s)
	}
	return r, nil
}

func bigEndian(octets []byte) uint64 {
	var n uint64
	for _, o := range octets {
		n = n<<8 | uint64(o)
	}
	return n
}

// hint gives the model of the narrowest range that has m; "" for none.
func hint(ranges []macRange, m mac.Addr) string {
	model, width := "", uint64(1<<48)
	n := bigEndian(m[:])
	for _, r := range ranges {
		if r.first <= n && n <= r.last && r.last-r.first < width {
			model, width = r.model, r.last-r.first
		}
	}
	return model
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

// ModelHint guesses the model from a MAC, as the maker gave them out until about
// 2019. Octets are shared among models, so the answer is a hint and never
// proof. It is "" where the table has nothing.
func ModelHint(m mac.Addr) string {
	c, _ := builtinCatalogue()
	return hint(c.ranges, m)
}

// ModelHint is the same with the macs of the configuration's model blocks, which
// go before the table.
func (s *Set) ModelHint(m mac.Addr) string {
	return cmp.Or(hint(s.ranges, m), ModelHint(m))
}

// IsSnom reports whether m is out of a range of Snom (00:04:13), of RTX, who
// make its DECT bases (00:08:7B), or of the macs of a model block. It is for
// phones older than firmware 7.3.15, which send no option 60.
func (s *Set) IsSnom(m mac.Addr) bool {
	oui := m.OUI()
	return oui == [3]byte{0x00, 0x04, 0x13} || oui == [3]byte{0x00, 0x08, 0x7b} || hint(s.ranges, m) != ""
}

// readCount reads a count of the catalogue.
func readCount(to *int, text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n > 10_000 {
		return fmt.Errorf("is a whole number up to 10000, not %q", text)
	}
	*to = int(n)
	return nil
}
