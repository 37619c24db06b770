package profiles

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dialtone/internal/config"
)

// Setting is what is known of one setting: a row of the catalogue, with what the
// configuration's setting block says on top.
type Setting struct {
	Name    string         `json:"name"`
	Meaning string         `json:"meaning"`
	Type    string         `json:"type"`             // one of SettingTypes
	Values  []SettingValue `json:"values,omitempty"` // of the types that have some
	Min     string         `json:"min,omitempty"`    // of numbers, both ends included
	Max     string         `json:"max,omitempty"`
	Index   string         `json:"idx,omitempty"`    // identity, list0, list1, any, or "" for none
	Since   string         `json:"since,omitempty"`  // the first firmware that knows it
	Until   string         `json:"until,omitempty"`  // the last one
	Models  []string       `json:"models,omitempty"` // that know it, with * for any end; none means any desk phone
	Rule    config.Rule    `json:"rule,omitempty"`   // by which check warns of whoever sets it
	Secret  bool           `json:"secret,omitempty"`
	Wrong   string         `json:"wrong,omitempty"` // what the phone does with a wrong value
	Own     bool           `json:"own,omitempty"`   // the configuration adds it or changes what is known of it
}

// SettingValue is a value that a setting takes.
type SettingValue struct {
	Value   string `json:"value"`
	Meaning string `json:"meaning,omitempty"`
}

// SettingTypes are the types of values, as profiles/builtin/settings.csv explains
// them.
func SettingTypes() []string {
	return []string{
		"address", "codecs", "color", "host", "keyevent", "list", "number", "onoff", "text", "time",
		"timezone", "url", "word", "words",
	}
}

// SettingIndexes are the words of Setting.Index.
func SettingIndexes() []string { return []string{"", "any", "identity", "list0", "list1"} }

// settings is the catalogue of settings.
type settings struct {
	byName map[string]*Setting
	names  []string // sorted
}

var (
	//go:embed builtin/settings.csv
	settingsCSV []byte
	//go:embed builtin/values.csv
	valuesCSV []byte
)

var builtinSettings = sync.OnceValues(func() (settings, error) {
	return readSettings(bytes.NewReader(settingsCSV), bytes.NewReader(valuesCSV))
})

// readSettings reads the tables strictly.
func readSettings(table, values io.Reader) (settings, error) {
	c := settings{byName: map[string]*Setting{}}
	lists := map[string][]SettingValue{}
	err := readRows(values, []string{"list", "value", "meaning"}, func(row map[string]string) error {
		lists[row["list"]] = append(lists[row["list"]], SettingValue{row["value"], row["meaning"]})
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("reading the lists of values: %w", err)
	}
	columns := []string{"name", "type", "values", "idx", "since", "until", "models", "rule", "secret", "meaning", "wrong"}
	err = readRows(table, columns, func(row map[string]string) error {
		s := &Setting{
			Name: row["name"], Meaning: row["meaning"], Type: row["type"], Index: row["idx"], Since: row["since"], Until: row["until"],
			Models: strings.Fields(row["models"]), Rule: config.Rule(row["rule"]), Secret: row["secret"] == "yes", Wrong: row["wrong"],
		}
		switch list, named := strings.CutPrefix(row["values"], "@"); {
		case named:
			s.Values = lists[list]
		case s.Type == "number":
			s.Min, s.Max = cutRange(list)
		case list != "":
			for v := range strings.SplitSeq(list, "|") {
				s.Values = append(s.Values, SettingValue{Value: v})
			}
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		if c.byName[s.Name] != nil {
			return fmt.Errorf("%s comes twice", s.Name)
		}
		c.byName[s.Name] = s
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("reading the catalogue of settings: %w", err)
	}
	c.names = slices.Sorted(maps.Keys(c.byName))
	return c, nil
}

// readRows reads a CSV file whose lines may be comments.
func readRows(r io.Reader, columns []string, add func(map[string]string) error) error {
	rows := csv.NewReader(r)
	rows.Comment = '#'
	switch got, err := rows.Read(); {
	case err != nil:
		return err
	case !slices.Equal(got, columns):
		return fmt.Errorf("columns are %q, not %q", got, columns)
	}
	for {
		fields, err := rows.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		row := make(map[string]string, len(columns))
		for i, name := range columns {
			row[name] = fields[i]
		}
		if err := add(row); err != nil {
			return err
		}
	}
}

// cutRange splits MIN-MAX, of which either may be negative.
func cutRange(s string) (least, most string) {
	i := strings.IndexByte(strings.TrimPrefix(s, "-"), '-')
	if i < 0 {
		return s, ""
	}
	i += len(s) - len(strings.TrimPrefix(s, "-"))
	return s[:i], s[i+1:]
}

// check finds what makes no sense in a row or a block.
func (s *Setting) check() error {
	least, err1 := strconv.ParseFloat(s.Min, 64)
	most, err2 := strconv.ParseFloat(s.Max, 64)
	switch {
	case !isSettingName(s.Name):
		return errors.New("names have ASCII letters, digits and underscores")
	case !slices.Contains(SettingTypes(), s.Type):
		return fmt.Errorf("there is no type %q; the types are %s", s.Type, strings.Join(SettingTypes(), ", "))
	case !slices.Contains(SettingIndexes(), s.Index):
		return fmt.Errorf("idx is any, identity, list0 or list1, or left out for none, not %q", s.Index)
	case s.Type == "number" && (s.Min != "" && err1 != nil || s.Max != "" && err2 != nil || s.Min != "" && s.Max != "" && least > most):
		return fmt.Errorf("the range of a number is from its least to its greatest value, not from %q to %q", s.Min, s.Max)
	case (s.Type == "word" || s.Type == "words") && len(s.Values) == 0:
		return fmt.Errorf("the type %s needs values", s.Type)
	case s.Meaning == "":
		return errors.New("the meaning is missing")
	}
	return nil
}

// wrong says what is wrong with a value, in sentences that follow the name; ""
// for nothing. An empty value brings
// back what the phone has from its factory, whatever the setting.
func (s *Setting) wrongValue(value string) string {
	if value == "" {
		return ""
	}
	switch s.Type {
	case "onoff":
		if !slices.Contains([]string{"on", "off", "true", "false"}, value) {
			return "takes on or off, which true and false without quotes become."
		}
	case "word":
		if !s.has(value) {
			return "takes " + strings.Join(s.words(), ", ") + "." + didYouMean(value, s.words())
		}
	case "words":
		if near := slip(value, s.words()); near != "" && !s.has(value) {
			return fmt.Sprintf("is not known to take that. Did you mean %q?", near)
		}
	case "number":
		return s.wrongNumber(value)
	case "url":
		if !strings.Contains(value, "://") || strings.ContainsAny(value, " \t\r\n") {
			return "takes a URL, with its scheme and without blanks."
		}
	case "host":
		if strings.Contains(value, "://") || strings.ContainsAny(value, " \t\r\n") {
			return "takes a name or an address, with :port where needed, and no URL."
		}
	case "address":
		if a, err := netip.ParseAddr(value); err != nil || !a.Is4() {
			return "takes an IPv4 address."
		}
	case "time":
		h, m, ok := strings.Cut(value, ":")
		if hour, err := strconv.ParseUint(h, 10, 8); !ok || err != nil || hour > 23 || len(m) != 2 || m > "59" || strings.Trim(m, "0123456789") != "" {
			return "takes a time from 00:00 to 23:59."
		}
	case "color":
		parts := strings.Fields(value)
		if len(parts) < 3 || len(parts) > 4 || slices.ContainsFunc(parts, func(p string) bool { _, err := strconv.ParseUint(p, 10, 8); return err != nil }) {
			return "takes red, green, blue and alpha from 0 to 255, with blanks between."
		}
	case "keyevent":
		first, _, _ := strings.Cut(value, " ")
		if !s.has(first) && !strings.HasPrefix(value, "F_") && !strings.HasPrefix(value, "<") {
			return "takes what a key does, such as keyevent F_REDIAL or speed 112." + didYouMean(first, s.words())
		}
	case "codecs":
		for codec := range strings.SplitSeq(value, ",") {
			if codec = strings.TrimSpace(codec); !s.has(codec) {
				return fmt.Sprintf("takes %s, and %q is none of them.%s", strings.Join(s.words(), ", "), codec, didYouMean(codec, s.words()))
			}
		}
	case "timezone":
		return s.wrongZone(value)
	}
	return ""
}

func (s *Setting) wrongNumber(value string) string {
	n, err := strconv.ParseFloat(value, 64)
	least, err1 := strconv.ParseFloat(s.Min, 64)
	most, err2 := strconv.ParseFloat(s.Max, 64)
	if err == nil && (err1 != nil || n >= least) && (err2 != nil || n <= most) && strings.Trim(value, "-.0123456789") == "" {
		return ""
	}
	switch {
	case s.Min == "" && s.Max == "":
		return "takes a number."
	case s.Max == "":
		return "takes a number from " + s.Min + "."
	}
	return fmt.Sprintf("takes a number from %s to %s.", cmp.Or(s.Min, "0"), s.Max)
}

// wrongZone knows that there are more countries than those of the list, but not
// that one of the list has more offsets.
func (s *Setting) wrongZone(value string) string {
	country := strings.TrimRight(value, "+-.0123456789")
	offset := value[len(country):]
	known := slices.ContainsFunc(s.Values, func(v SettingValue) bool {
		return strings.TrimRight(v.Value, "+-.0123456789") == country
	})
	looks := len(country) == 3 && strings.ToUpper(country) == country && strings.ContainsAny(offset, "+-") && !strings.HasSuffix(offset, "+") && !strings.HasSuffix(offset, "-")
	if s.has(value) || looks && !known {
		return ""
	}
	return "takes a country and its offset, such as GER+1 or USA-5." + didYouMean(value, s.words())
}

func (s *Setting) words() []string {
	words := make([]string, len(s.Values))
	for i, v := range s.Values {
		words[i] = v.Value
	}
	return words
}

func (s *Setting) has(value string) bool {
	return slices.ContainsFunc(s.Values, func(v SettingValue) bool { return v.Value == value })
}

// slip finds the one of words that value was meant to be: another case, or one
// letter too many, too few or wrong. What differs in digits is another word.
func slip(value string, words []string) string {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return -1
			}
			return r
		}, s)
	}
	for _, w := range words {
		if strings.EqualFold(w, value) {
			return w
		}
	}
	near := config.Suggest(value, words)
	if near == "" || letters(near) == letters(value) || len(value) < 4 || config.Distance(near, value) > 1 {
		return ""
	}
	return near
}

// KnownTo reports whether phones of a model know the setting at all, whatever
// their firmware.
func (s Setting) KnownTo(m Model) bool {
	if len(s.Models) == 0 {
		return m.Family != "DECT"
	}
	return slices.ContainsFunc(s.Models, func(pattern string) bool {
		prefix, any := strings.CutSuffix(pattern, "*")
		rest, ok := cutPrefixFold(m.Name, prefix)
		return ok && (any || rest == "")
	})
}

// unknownTo says why a phone of the model with a firmware does not know the
// setting, "" where it does or nobody can tell. version is "" where unknown.
func (s *Setting) unknownTo(m Model, version string) string {
	switch {
	case m.Name != "" && len(s.Models) > 0 && !s.KnownTo(m):
		return fmt.Sprintf("%s does not know it; it is for %s", m.Name, strings.Join(s.Models, ", "))
	case version == "" || m.Family == "DECT":
	case s.Since != "" && compareVersions(version, s.Since) < 0:
		return fmt.Sprintf("firmware %s does not know it yet; it came with %s", version, s.Since)
	case s.Until != "" && compareVersions(s.Until, version) < 0:
		return fmt.Sprintf("firmware %s does not know it any more", version)
	}
	return ""
}

// Matches reports whether the name, the meaning or a value has each of the words,
// in any case.
func (s Setting) Matches(words []string) bool {
	for _, w := range words {
		if !containsFold(s.Name, w) && !containsFold(s.Meaning, w) && !slices.ContainsFunc(s.Values, func(v SettingValue) bool { return v.Matches([]string{w}) }) {
			return false
		}
	}
	return true
}

// Matches reports whether the value or its meaning has one of the words.
func (v SettingValue) Matches(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return containsFold(v.Value, w) || containsFold(v.Meaning, w) })
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
