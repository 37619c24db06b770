package config

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/hashicorp/hcl/v2"
)

// quotable is what people forget to quote, and what HCL takes for a broken
// number: addresses and subnets, durations, MAC addresses, versions, paths.
var quotable = regexp.MustCompile(`^(?:` +
	`\d+(?:\.\d+){2,3}(?:/\d+)?` +
	`|[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{1,2}){5}` +
	`|\d[0-9A-Fa-f]{11}` +
	`|\d+(?:ms|s|m|h|d)(?:\d+(?:s|m|h))*` +
	`|(?:\.{0,2}/)[\w.-]+(?:/[\w.-]*)*` +
	`)$`)

// hints replaces the syntax errors of a line by one that says what is wrong,
// where something on the line lacks its quotes, or one of them. The Report keeps
// one of those that are then equal.
func hints(diags hcl.Diagnostics, src []byte) hcl.Diagnostics {
	unclosed := false
	var out hcl.Diagnostics
	for _, d := range diags {
		if d.Subject == nil {
			out = append(out, d)
			continue
		}
		if d.Summary == "Invalid multi-line string" || d.Summary == "Unterminated template string" {
			// From an open quote on, quotes open where they should close.
			if unclosed {
				continue
			}
			unclosed = true
			d.Summary = "Missing closing quote"
			d.Detail = "A text in quotes ends on its line. Close it there; for several lines write \\n, or a heredoc (<<EOT)."
		}
		if at, ok := unquoted(src, *d.Subject); ok {
			text := at.SliceBytes(src)
			d = &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Missing quotes",
				Detail:   fmt.Sprintf(`%s is text to HCL. Write it in quotes: "%s".`, text, text),
				Subject:  &at,
			}
		}
		out = append(out, d)
	}
	return out
}

// unquoted finds the first word outside quotes and comments on the line where r
// begins that should be in quotes.
func unquoted(src []byte, r hcl.Range) (hcl.Range, bool) {
	if r.Start.Byte > len(src) {
		return hcl.Range{}, false
	}
	begin := bytes.LastIndexByte(src[:r.Start.Byte], '\n') + 1
	line := src[begin:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == '#' || bytes.HasPrefix(line[i:], []byte("//")):
			return hcl.Range{}, false
		case c == '"':
			closing := bytes.IndexByte(line[i+1:], '"')
			if closing < 0 {
				return hcl.Range{}, false
			}
			i += closing + 2
		case isSeparator(c):
			i++
		default:
			end := i
			for end < len(line) && !isSeparator(line[end]) && line[end] != '"' {
				end++
			}
			if quotable.Match(line[i:end]) {
				return hcl.Range{
					Filename: r.Filename,
					Start:    hcl.Pos{Line: r.Start.Line, Column: i + 1, Byte: begin + i},
					End:      hcl.Pos{Line: r.Start.Line, Column: end + 1, Byte: begin + end},
				}, true
			}
			i = end
		}
	}
	return hcl.Range{}, false
}

func isSeparator(c byte) bool { return bytes.IndexByte([]byte(" \t\r=,;()[]{}"), c) >= 0 }
