package config

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// DocumentFile is a file of the admin's that becomes a document.
type DocumentFile struct {
	Name string // with the configuration's folder, as diagnostics show it
	Text []byte // not to be changed
}

// documentSource is a file that a document block names, read once.
type documentSource struct {
	file     DocumentFile
	err      error
	parsed   bool
	template hclsyntax.Expression
	diags    hcl.Diagnostics
}

// Document reads a file inside the configuration's folder, of any content. It is
// read once in the life of c, and may be asked for concurrently. rng is where the
// name stands.
func (c *Config) Document(name string, rng hcl.Range) (DocumentFile, hcl.Diagnostics) {
	c.sources.mu.Lock()
	defer c.sources.mu.Unlock()
	d := c.sources.document(name)
	return d.file, callDiagnostics(d.err, rng)
}

// Template is Document for a file that is an HCL template: text with ${…} and
// %{…}. The expression gives a string.
func (c *Config) Template(name string, rng hcl.Range) (hclsyntax.Expression, hcl.Diagnostics) {
	c.sources.mu.Lock()
	defer c.sources.mu.Unlock()
	d := c.sources.document(name)
	if d.err != nil {
		return nil, callDiagnostics(d.err, rng)
	}
	if !d.parsed {
		d.parsed = true
		d.template, d.diags = parseTemplate(d.file)
	}
	if d.diags.HasErrors() {
		return nil, d.diags
	}
	return d.template, nil
}

func (s *sources) document(name string) *documentSource {
	d, ok := s.documents[name]
	if !ok {
		d = &documentSource{file: DocumentFile{Name: filepath.Join(s.dir, name)}}
		d.file.Text, d.err = s.read("A document", name)
		s.documents[name] = d
	}
	return d
}

func parseTemplate(f DocumentFile) (hclsyntax.Expression, hcl.Diagnostics) {
	start := hcl.Range{Filename: f.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
	if len(f.Text) > maxSource {
		return nil, hcl.Diagnostics{{
			Severity: hcl.DiagError, Summary: "File too large", Subject: &start,
			Detail: fmt.Sprintf("%s has more than %d bytes, which is too much for a template. Serve it with file instead.", f.Name, maxSource),
		}}
	}
	if err := checkUTF8(f.Name, f.Text); err != nil {
		return nil, callDiagnostics(err, start)
	}
	tokens, _ := hclsyntax.LexTemplate(f.Text, f.Name, hcl.InitialPos)
	if diags := guardTokens(tokens); diags.HasErrors() {
		return nil, diags
	}
	return hclsyntax.ParseTemplate(f.Text, f.Name, hcl.InitialPos)
}

func callDiagnostics(err error, rng hcl.Range) hcl.Diagnostics {
	if err == nil {
		return nil
	}
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unreadable file", Detail: err.Error(), Subject: &rng}
	var failure *callError
	if errors.As(err, &failure) {
		d.Summary, d.Detail = failure.summary, failure.detail
	}
	return hcl.Diagnostics{d}
}

// addDocuments gives a report the lines that it shows.
func (s *sources) addDocuments(files map[string]*hcl.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.documents {
		if d.err == nil {
			files[d.file.Name] = &hcl.File{Bytes: d.file.Text}
		}
	}
}
