package profiles

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

func errorAt(rng hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary,
		Detail: fmt.Sprintf(detail, args...), Subject: &rng,
	}
}

// at gives a place within a sentence: "phones.hcl, line 7".
func at(rng hcl.Range) string { return fmt.Sprintf("%s, line %d", rng.Filename, rng.Start.Line) }

// forPhone is the extra of a diagnostic that came up while the layers of one
// phone were evaluated.
type forPhone struct {
	phone string
	inner any
}

// UnwrapDiagnosticExtra gives the extra that the evaluation itself added.
func (f forPhone) UnwrapDiagnosticExtra() any { return f.inner }

// problems collects diagnostics. What is wrong at one place for many phones,
// most often because of the rows of a sheet, becomes one diagnostic that names
// them: a report shows a place once for each thing that is wrong with it.
type problems struct {
	order  []*problem
	known  map[problemPlace]*problem
	errors bool // there is one among them
}

type problemPlace struct {
	severity hcl.DiagnosticSeverity
	summary  string
	subject  hcl.Range
}

type problem struct {
	first   *hcl.Diagnostic
	details []string            // each differently wrong
	phones  map[string][]string // by detail
}

func (p *problems) add(diags hcl.Diagnostics) {
	for _, d := range diags {
		p.errors = p.errors || d.Severity == hcl.DiagError
		place := problemPlace{severity: d.Severity, summary: d.Summary}
		if d.Subject != nil {
			place.subject = *d.Subject
		}
		known, ok := p.known[place]
		if !ok {
			known = &problem{first: d, phones: map[string][]string{}}
			p.known[place] = known
			p.order = append(p.order, known)
		}
		if _, ok := known.phones[d.Detail]; !ok {
			known.details = append(known.details, d.Detail)
			known.phones[d.Detail] = nil
		}
		if of, ok := hcl.DiagnosticExtra[forPhone](d); ok {
			known.phones[d.Detail] = append(known.phones[d.Detail], of.phone)
		}
	}
}

// report hands on what was collected.
func (p *problems) report(rep *config.Report) {
	for _, known := range p.order {
		d := *known.first
		d.Detail = known.text()
		rep.Append(hcl.Diagnostics{&d})
	}
}

// Bounds of what one diagnostic tells: a sheet may be wrong in every row.
const (
	maxDetails = 10
	maxPhones  = 3
)

func (p *problem) text() string {
	var lines []string
	for _, detail := range p.details[:min(len(p.details), maxDetails)] {
		phones := p.phones[detail]
		switch more := len(phones) - maxPhones; {
		case len(phones) == 0:
		case more > 0:
			detail += fmt.Sprintf(" This is so for %s and %d more.", strings.Join(phones[:maxPhones], ", "), more)
		default:
			detail += " This is so for " + strings.Join(phones, ", ") + "."
		}
		lines = append(lines, detail)
	}
	if more := len(p.details) - maxDetails; more > 0 {
		lines = append(lines, fmt.Sprintf("There are %d more like these.", more))
	}
	return strings.Join(lines, "\n")
}
