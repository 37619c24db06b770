package config

import (
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// A table becomes one object per row, each of which costs far more memory than
// its bytes in the file.
const (
	maxRows  = 20_000
	maxCells = 500_000
)

// tables remembers what csvdecode made of a text: it is asked for the type and
// for the value, and again for every phone.
type tables struct {
	mu      sync.Mutex
	decoded map[[sha256.Size]byte]table
}

type table struct {
	rows cty.Value
	err  error
}

func (t *tables) decode(text string) (cty.Value, error) {
	const remembered = 64
	key := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.decoded[key]; ok {
		return c.rows, c.err
	}
	var c table
	c.rows, c.err = decodeCSV(text)
	if t.decoded == nil || len(t.decoded) >= remembered {
		t.decoded = make(map[[sha256.Size]byte]table)
	}
	t.decoded[key] = c
	return c.rows, c.err
}

func (t *tables) function() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			v, err := t.decode(args[0].AsString())
			return v.Type(), err
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return t.decode(args[0].AsString()) },
	})
}

func invalidCSV(format string, args ...any) error {
	return &callError{"Invalid CSV", fmt.Sprintf(format, args...)}
}

// decodeCSV reads a table as spreadsheets write it: with or without a byte
// order mark, fields separated by comma, semicolon or tab, lines ended by LF or
// CRLF, values in quotes or not. The first row names the columns. Spaces around
// names and values do not count; rows without any value are skipped. The result
// is a list of objects of strings.
func decodeCSV(text string) (cty.Value, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	comma := separator(text)
	r := csv.NewReader(strings.NewReader(unpadded(text, byte(comma))))
	r.Comma = comma
	r.FieldsPerRecord = -1 // counted below: the message should say more
	r.ReuseRecord = true

	header, line, err := record(r)
	if err == io.EOF {
		return cty.DynamicVal, invalidCSV("The table is empty. Its first line has to name the columns.")
	}
	if err != nil {
		return cty.DynamicVal, err
	}
	columns := make([]string, len(header))
	types := make(map[string]cty.Type, len(header))
	for i, name := range header {
		name = cty.NormalizeString(name)
		if name == "" {
			return cty.DynamicVal, invalidCSV("Line %d: column %d has no name. Give every column a name in the first line, "+
				"or delete it.", line, i+1)
		}
		if _, taken := types[name]; taken {
			return cty.DynamicVal, invalidCSV("Line %d: two columns are named %q. Rename one.", line, name)
		}
		columns[i], types[name] = name, cty.String
	}

	var rows []cty.Value
	for {
		fields, line, err := record(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return cty.DynamicVal, err
		}
		if len(fields) != len(columns) {
			return cty.DynamicVal, invalidCSV("Line %d has %s, not %d as the first line names (%s). "+
				"A value that contains the separator has to stand in quotes.",
				line, counted(len(fields), "value"), len(columns), strings.Join(columns, ", "))
		}
		if len(rows) == maxRows || (len(rows)+1)*len(columns) > maxCells {
			return cty.DynamicVal, invalidCSV("Line %d: the table is too large. It may have %d rows and %d values; split it.",
				line, maxRows, maxCells)
		}
		row := make(map[string]cty.Value, len(columns))
		for i, v := range fields {
			row[columns[i]] = cty.StringVal(v)
		}
		rows = append(rows, cty.ObjectVal(row))
	}
	if rows == nil {
		return cty.ListValEmpty(cty.Object(types)), nil
	}
	return cty.ListVal(rows), nil
}

// record reads the next row that has a value, trimmed, and the line it begins on.
func record(r *csv.Reader) (fields []string, line int, err error) {
	for {
		fields, err = r.Read()
		if err != nil {
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				err = invalidCSV("Line %d: %s.", parse.Line, csvAdvice(parse.Err))
			}
			return nil, 0, err
		}
		line, _ = r.FieldPos(0)
		empty := true
		for i, f := range fields {
			fields[i] = strings.TrimSpace(f)
			empty = empty && fields[i] == ""
		}
		if !empty {
			return fields, line, nil
		}
	}
}

func csvAdvice(err error) string {
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return `a quote stands inside a value without quotes; put the whole value in quotes and double the inner one: "4"" pipe"`
	case errors.Is(err, csv.ErrQuote):
		return "a value in quotes is not closed, or goes on after its closing quote; double a quote that belongs to the value"
	}
	return err.Error()
}

// separator finds what separates the columns in the header line: of ; , and tab
// outside quotes the one that comes most often, a comma where there is none.
func separator(text string) rune {
	var commas, semicolons, tabs int
	quoted := false
	for _, c := range strings.TrimLeft(text, " \r\n") {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
			continue
		case c == ',':
			commas++
		case c == ';':
			semicolons++
		case c == '\t':
			tabs++
		}
		if c == '\n' && !quoted {
			break
		}
	}
	switch most := max(commas, semicolons, tabs); most {
	case commas:
		return ','
	case semicolons:
		return ';'
	default:
		return '\t'
	}
}

// unpadded leaves out the spaces that stand between a value in quotes and its
// neighbours: encoding/csv takes them for a part of the value.
func unpadded(text string, comma byte) string {
	var b strings.Builder
	b.Grow(len(text))
	for len(text) > 0 {
		// text begins a field here.
		blank := len(text) - len(strings.TrimLeft(text, " "))
		if !strings.HasPrefix(text[blank:], `"`) {
			end := strings.IndexAny(text, string([]byte{comma, '\n'})) + 1
			if end == 0 {
				end = len(text)
			}
			b.WriteString(text[:end])
			text = text[end:]
			continue
		}
		text = text[blank:]
		end := 1
		for end < len(text) {
			if text[end] == '"' {
				if !strings.HasPrefix(text[end+1:], `"`) {
					break
				}
				end++
			}
			end++
		}
		end = min(end+1, len(text))
		b.WriteString(text[:end])
		text = strings.TrimLeft(text[end:], " ")
		// What else follows the quote is for encoding/csv to refuse.
		end = strings.IndexAny(text, string([]byte{comma, '\n'})) + 1
		if end == 0 {
			end = len(text)
		}
		b.WriteString(text[:end])
		text = text[end:]
	}
	return b.String()
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
