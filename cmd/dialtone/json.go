package main

import (
	"encoding/json"
	"io"
)

// printJSON prints what --json asks for, as a person can read it too.
func printJSON(w io.Writer, v any) error { return jsonTo(w).Encode(v) }

// printPlainJSON is printJSON for what holds XML, URLs and the like: <, > and & stand
// as they are.
func printPlainJSON(w io.Writer, v any) error {
	out := jsonTo(w)
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

func jsonTo(w io.Writer) *json.Encoder {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out
}
