package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Report collects what is wrong with a configuration.
type Report struct {
	diags    hcl.Diagnostics
	seen     map[string]bool
	files    map[string]*hcl.File
	errors   int
	unparsed bool
	broken   map[line]bool
	silences []*silence
	sources  *sources // whose documents diagnostics may point into
}

// line is a line of a file.
type line struct {
	file   string
	number int
}

func newReport() *Report {
	return &Report{seen: make(map[string]bool), files: make(map[string]*hcl.File), broken: make(map[line]bool)}
}

// Append adds diagnostics. One that equals an earlier one in severity, summary
// and place is left out: an expression that is evaluated for each phone is wrong
// once. So is one on a line that has a syntax error, as it follows from that, and
// a warning that a silence block covers.
func (r *Report) Append(diags hcl.Diagnostics) {
	for _, d := range diags {
		if r.Silenced(d) {
			continue
		}
		d = r.refine(d)
		key := fmt.Sprintf("%d %s", d.Severity, d.Summary)
		if d.Subject != nil {
			key += fmt.Sprintf(" %s:%d-%d", d.Subject.Filename, d.Subject.Start.Byte, d.Subject.End.Byte)
		} else {
			key += " " + d.Detail
		}
		if at := place(d); r.seen[key] || r.broken[line{at.Filename, at.Start.Line}] {
			continue
		}
		r.seen[key] = true
		r.diags = append(r.diags, d)
		if d.Severity == hcl.DiagError {
			r.errors++
		}
	}
}

// refine gives a failed function call the summary that the function chose, adds
// advice that HCL does not know, and keeps secret keys out of the text.
func (r *Report) refine(d *hcl.Diagnostic) *hcl.Diagnostic {
	if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok {
		var failure *callError
		if errors.As(extra.FunctionCallError(), &failure) {
			refined := *d
			refined.Summary, refined.Detail = failure.summary, failure.detail
			if call, ok := d.Expression.(*hclsyntax.FunctionCallExpr); ok && len(call.Args) > 0 {
				refined.Subject, refined.Context = call.Args[0].Range().Ptr(), call.Range().Ptr()
			}
			return &refined
		}
	}
	if d.Summary == "Unknown variable" && !strings.Contains(d.Detail, "Did you mean") {
		refined := *d
		refined.Detail += " If a text is meant, write it in quotes."
		return &refined
	}
	if d.Summary == "Duplicate object key" && d.Expression != nil && d.EvalContext != nil {
		if v, _ := d.Expression.Value(d.EvalContext); v.IsMarked() {
			refined := *d
			refined.Detail = "Two items produced the same key, which is a secret. Make the key from something else."
			return &refined
		}
	}
	return d
}

// Incomplete reports whether a file could not be parsed whole. What is missing
// from the configuration may then only be unread, and is not worth an error.
func (r *Report) Incomplete() bool { return r.unparsed }

// HasErrors reports whether the configuration must not be used.
func (r *Report) HasErrors() bool { return r.errors > 0 }

// Errors counts the errors.
func (r *Report) Errors() int { return r.errors }

// Warnings counts the warnings.
func (r *Report) Warnings() int { return len(r.diags) - r.errors }

// Fault is an error and where it is.
type Fault struct {
	File string // "" where it is of no file
	Line int
	Text string
}

// Faults gives the errors by file and line, for whoever made the text and can
// mend it.
func (r *Report) Faults() []Fault {
	var faults []Fault
	for _, d := range r.Diagnostics() {
		if d.Severity == hcl.DiagError {
			at := place(d)
			faults = append(faults, Fault{at.Filename, at.Start.Line, d.Detail})
		}
	}
	return faults
}

// Diagnostics gives everything that was collected, by file, line and column;
// what has no place comes first.
func (r *Report) Diagnostics() hcl.Diagnostics {
	sorted := slices.Clone(r.diags)
	slices.SortStableFunc(sorted, func(a, b *hcl.Diagnostic) int {
		x, y := place(a), place(b)
		return cmp.Or(
			cmp.Compare(x.Filename, y.Filename),
			cmp.Compare(x.Start.Line, y.Start.Line),
			cmp.Compare(x.Start.Column, y.Start.Column),
		)
	})
	return sorted
}

func place(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}

// title is the summary of a diagnostic, with the rule of a warning.
func title(d *hcl.Diagnostic) string {
	if rule := RuleOf(d); rule != "" {
		return fmt.Sprintf("%s [%s]", d.Summary, rule)
	}
	return d.Summary
}

// Write prints the diagnostics with the lines that they point at, for a
// terminal of the given width; 0 wraps nothing.
func (r *Report) Write(w io.Writer, color bool, width int) error {
	shown := r.Diagnostics()
	for i, d := range shown {
		if summary := title(d); summary != d.Summary {
			named := *d
			named.Summary = summary
			shown[i] = &named
		}
	}
	files := maps.Clone(r.files)
	if r.sources != nil {
		r.sources.addDocuments(files)
	}
	err := hcl.NewDiagnosticTextWriter(w, files, uint(max(width, 0)), color).WriteDiagnostics(shown)
	if err != nil {
		return fmt.Errorf("writing diagnostics: %w", err)
	}
	return nil
}

// Lines gives each diagnostic as one line, "FILE:LINE: SUMMARY: DETAIL" with the
// rule of a warning after its summary, for a log.
func (r *Report) Lines() (errors, warnings []string) {
	for _, d := range r.Diagnostics() {
		line := title(d) + ": " + d.Detail
		if at := place(d); at.Filename != "" {
			line = fmt.Sprintf("%s:%d: %s", at.Filename, at.Start.Line, line)
		}
		if d.Severity == hcl.DiagError {
			errors = append(errors, line)
		} else {
			warnings = append(warnings, line)
		}
	}
	return errors, warnings
}

// MarshalJSON gives a list of objects with severity ("error" or "warning"), rule
// (of warnings alone), summary, detail, file, line and column; the last three are
// left out where a diagnostic has no place.
func (r *Report) MarshalJSON() ([]byte, error) {
	type entry struct {
		Severity string `json:"severity"`
		Rule     Rule   `json:"rule,omitempty"`
		Summary  string `json:"summary"`
		Detail   string `json:"detail"`
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
	}
	entries := make([]entry, 0, len(r.diags))
	for _, d := range r.Diagnostics() {
		at := place(d)
		e := entry{"error", RuleOf(d), d.Summary, d.Detail, at.Filename, at.Start.Line, at.Start.Column}
		if d.Severity == hcl.DiagWarning {
			e.Severity = "warning"
		}
		entries = append(entries, e)
	}
	return json.Marshal(entries)
}
