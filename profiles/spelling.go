package profiles

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// spelling is how a firmware wants the names of a document; a part that is ""
// says nothing.
type spelling struct {
	keys           string // "functionKeys" or "function-keys"
	book           string // "tbook" or "phone-book"
	bookVersion    string // "1" for <item>, "2.0" for <contact>
	plan           string // "dialplan" or "dial-plan"
	firmwareStatus string // "firmware_status" or "firmware-status"
}

// spellings lists what each element may be called, as the sources have it.
var spellings = map[string][]string{
	"functionKeys":    {"functionKeys", "function-keys"},
	"tbook":           {"tbook", "phone-book"},
	"tbook_version":   {"1", "2.0"},
	"dialplan":        {"dialplan", "dial-plan"},
	"firmware_status": {"firmware_status", "firmware-status"},
}

func (s *spelling) part(element string) *string {
	switch element {
	case "functionKeys":
		return &s.keys
	case "tbook":
		return &s.book
	case "tbook_version":
		return &s.bookVersion
	case "dialplan":
		return &s.plan
	case "firmware_status":
		return &s.firmwareStatus
	}
	return nil
}

// set notes one spelling.
func (s *spelling) set(element, text string) error {
	part := s.part(element)
	if part == nil {
		return fmt.Errorf("there is no choice of spelling for %q: there is for %s", element, strings.Join(slices.Sorted(maps.Keys(spellings)), ", "))
	}
	if !slices.Contains(spellings[element], text) {
		return fmt.Errorf("%s is spelled %s, not %q", element, strings.Join(spellings[element], " or "), text)
	}
	*part = text
	return nil
}

// over lays s upon a weaker spelling.
func (s spelling) over(weak spelling) spelling {
	return spelling{
		keys: cmp.Or(s.keys, weak.keys), book: cmp.Or(s.book, weak.book), bookVersion: cmp.Or(s.bookVersion, weak.bookVersion),
		plan: cmp.Or(s.plan, weak.plan), firmwareStatus: cmp.Or(s.firmwareStatus, weak.firmwareStatus),
	}
}

// spellingRow is a row of the shipped table.
type spellingRow struct {
	model        string // "" with prefix: all
	prefix       bool
	since, until string
	spelling     spelling
}

//go:embed builtin/spellings.csv
var spellingsCSV []byte

var builtinSpellings = sync.OnceValues(func() ([]spellingRow, error) {
	return readSpellings(bytes.NewReader(spellingsCSV))
})

func readSpellings(r io.Reader) ([]spellingRow, error) {
	var table []spellingRow
	err := readRows(r, []string{"models", "since", "until", "element", "spelling"}, func(row map[string]string) error {
		t := spellingRow{since: row["since"], until: row["until"]}
		t.model, t.prefix = strings.CutSuffix(row["models"], "*")
		for _, version := range []string{t.since, t.until} {
			if _, ok := versionNumbers(version); !ok && version != "" {
				return fmt.Errorf("%q is no version", version)
			}
		}
		table = append(table, t)
		return table[len(table)-1].spelling.set(row["element"], row["spelling"])
	})
	if err != nil {
		return nil, fmt.Errorf("reading the spellings: %w", err)
	}
	return table, nil
}

// spellingOf gives the spelling that a firmware of the model reads; version is
// "" where it is not known.
func (s *Set) spellingOf(model, version string) spelling {
	table, _ := builtinSpellings() // Load reports a defect
	var found spelling
	for _, row := range table {
		if row.fits(model, version) {
			found = row.spelling.over(found)
		}
	}
	if b, ok := s.models.get(model); ok {
		found = b.spelling.over(found)
	}
	return found
}

func (r spellingRow) fits(model, version string) bool {
	if r.prefix {
		if _, ok := cutPrefixFold(model, r.model); !ok {
			return false
		}
	} else if !strings.EqualFold(model, r.model) {
		return false
	}
	if r.since == "" && r.until == "" {
		return true
	}
	asked, ok := versionNumbers(version)
	if !ok {
		return false
	}
	since, _ := versionNumbers(r.since)
	until, bounded := versionNumbers(r.until)
	return slices.Compare(asked, since) >= 0 && (!bounded || slices.Compare(asked, until) < 0)
}

// versionNumbers reads a version of numbers and dots.
func versionNumbers(version string) ([]int, bool) {
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, int(n))
	}
	return numbers, true
}

// spellingWord reads the spelling argument of a model block: an object of
// elements and their names.
func (l *loader) spellingWord(attrs hcl.Attributes) spelling {
	var s spelling
	e := evaluator{ctx: l.scope}
	a := attrs["spelling"]
	for _, part := range e.members(a, ` of elements and their names, such as { functionKeys = "function-keys" }`) {
		if !part.value.IsKnown() {
			continue
		}
		text, ok := "", false
		if !part.value.IsNull() {
			text, ok = scalarText(part.value)
		}
		if part.value.Type() == cty.Number && part.name == "tbook_version" && text == "2" {
			text = "2.0"
		}
		if !ok {
			e.fail(a.Expr.Range(), "Wrong type of value", "The spelling of %s is a text.", part.name)
		} else if err := s.set(part.name, text); err != nil {
			e.fail(a.Expr.Range(), "Unknown spelling", "%s.", capital(err.Error()))
		}
	}
	l.problems.add(e.diags)
	return s
}
