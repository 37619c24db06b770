package leasefile

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readCSV reads our own CSV, also as spreadsheets save it: with a byte order
// mark, with ; or tabs, the columns in any order. A record is one line.
func (t *table) readCSV(r io.Reader) error {
	var columns []string
	var separator rune
	err := t.eachLine(r, func(n int, line string, _ bool) error {
		if columns == nil {
			columns, separator = header(line)
			for _, c := range []string{"address", "expiry"} {
				if !slices.Contains(columns, c) {
					return fmt.Errorf("line %d: the header has no column %s", n, c)
				}
			}
			return nil
		}
		fields, err := csvFields(line, separator)
		if err != nil {
			t.problem(n, "the line's quotes are wrong")
			return nil
		}
		if len(fields) != len(columns) {
			t.problem(n, "the line has %d fields, not %d", len(fields), len(columns))
			return nil
		}
		var rec record
		for i, c := range columns {
			if p := rec.field(c); p != nil {
				*p = csvShown(fields[i])
			}
		}
		l, err := rec.lease()
		if err != nil {
			t.problem(n, "%s", err)
			return nil
		}
		return t.once(n, l)
	})
	if err == nil && columns == nil {
		return fmt.Errorf("the file has no header")
	}
	return err
}

// header splits the first line of a CSV file and tells what separates it.
func header(line string) (columns []string, separator rune) {
	separator = ','
	for _, s := range ";\t" {
		if strings.Count(line, string(s)) > strings.Count(line, string(separator)) {
			separator = s
		}
	}
	columns, _ = csvFields(line, separator)
	for i, c := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(c))
	}
	return columns, separator
}

func csvFields(line string, separator rune) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.Comma = separator
	return r.Read()
}

// A spreadsheet takes text that begins with one of these for a formula.
const formula = "=+-@'"

// csvGuard keeps a spreadsheet from running what a client called itself.
func csvGuard(s string) string {
	if s != "" && strings.IndexByte(formula, s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// csvShown takes the guard off.
func csvShown(s string) string {
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte(formula, s[1]) >= 0 {
		return s[1:]
	}
	return s
}

func writeCSV(b *bufio.Writer, leases []Lease) {
	w := csv.NewWriter(b)
	line := slices.Clone(columns)
	w.Write(line) // b keeps the error
	for _, l := range leases {
		rec := recordOf(l)
		for i, c := range columns {
			line[i] = csvGuard(*rec.field(c))
		}
		w.Write(line)
	}
	w.Flush()
}
