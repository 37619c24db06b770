package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"dialtone/profiles"
	"dialtone/provision"
)

// explain prints where each value comes from.
func (c *renderCmd) explain(w io.Writer, desk *provision.Desk, view provision.Preview) error {
	list, err := desk.Explain(view)
	if err != nil {
		return err
	}
	if c.JSON {
		if list == nil {
			list = []profiles.Explained{}
		}
		return printPlainJSON(w, list)
	}
	return writeExplained(w, list)
}

// writeExplained prints a table for each document: a line per value, and below
// it what the value overrode.
func writeExplained(w io.Writer, list []profiles.Explained) error {
	for len(list) > 0 {
		document := list[0].Document
		end := slices.IndexFunc(list, func(e profiles.Explained) bool { return e.Document != document })
		if end < 0 {
			end = len(list)
		}
		fmt.Fprintf(w, "-- %s --\n", document)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, e := range list[:end] {
			name := valueName(e.Kind, e.Name, e.Index)
			fmt.Fprintf(table, "%s\t%s\n", name, originCells(name, e.Origin))
			for _, o := range e.Overrode {
				fmt.Fprintf(table, "  instead of\t%s\n", originCells(name, o))
			}
			for _, note := range e.Notes {
				// A cell that no tab ends is no column: it widens nothing.
				fmt.Fprintf(table, "  (%s)\n", note)
			}
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if list = list[end:]; len(list) > 0 {
			fmt.Fprintln(w)
		}
	}
	return nil
}

// valueName names a value as a person would: "user_name 1", "key 3", "contact
// Boiler room".
func valueName(kind, name string, index *int) string {
	parts := []string{kind}
	if kind == "setting" {
		parts = nil
	}
	if name != "" {
		parts = append(parts, cell(name))
	}
	if index != nil {
		parts = append(parts, strconv.Itoa(*index))
	}
	return strings.Join(parts, " ")
}

func originCells(name string, o profiles.Origin) string {
	value := short(o.Value)
	if o.Perm != "" {
		value += fmt.Sprintf(" [%s]", o.Perm)
	}
	from := o.Layer
	if o.Word != "settings" && o.Word != name { // they say nothing more
		from += ", " + o.Word
	}
	return fmt.Sprintf("%s\t%s\t%s:%d", value, from, o.File, o.Line)
}

// short makes a value fit for a cell of a table.
func short(s string) string {
	const limit = 48
	text := strings.ReplaceAll(cell(s), `\"`, `"`)
	switch {
	case s == "" || strings.TrimSpace(s) != s:
		return strconv.Quote(s)
	case utf8.RuneCountInString(text) > limit:
		return string([]rune(text)[:limit-1]) + "…"
	}
	return text
}
