package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Load reads the configuration at path: a folder, of which every *.hcl file is
// read in the order of their names as if they were one, or a single file. What
// is wrong goes to the Report, with paths as path names them; neither result is
// ever nil. A Config whose Report has errors is what could be understood.
func Load(path string, opt Options) (*Config, *Report) {
	rep := newReport()
	cfg := &Config{Dir: path}
	names, diags := find(path)
	rep.Append(diags)
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		cfg.Dir = filepath.Dir(path)
	}
	cfg.sources = newSources(cfg.Dir, opt.Credentials)
	rep.sources = cfg.sources

	var bodies []*hclsyntax.Body
	for _, name := range names {
		src, diags := readSource(name)
		if diags.HasErrors() {
			rep.Append(diags)
			rep.unparsed = true
			continue
		}
		if body := rep.parse(src, name); body != nil {
			bodies = append(bodies, body)
		}
	}
	if len(names) > 0 {
		decode(cfg, rep, bodies, opt.Now)
	}
	return cfg, rep
}

// Format gives src in the canonical style: indented, equal signs aligned. A
// source that is no HCL comes back as it was, with errors in the Report.
func Format(src []byte, name string) ([]byte, *Report) {
	rep := newReport()
	if rep.parse(src, name); rep.HasErrors() {
		return src, rep
	}
	return hclwrite.Format(src), rep
}

// parse adds a file to the report and gives its body, as far as it could be
// read, or nil.
func (r *Report) parse(src []byte, name string) *hclsyntax.Body {
	r.files[name] = &hcl.File{Bytes: src}
	if diags := guard(src, name); diags.HasErrors() {
		r.Append(diags)
		r.unparsed = true
		return nil
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		r.unparsed = true
		diags = hints(diags, src)
	}
	r.Append(diags)
	for _, d := range diags {
		at := place(d)
		r.broken[line{at.Filename, at.Start.Line}] = true
	}
	if file == nil {
		return nil
	}
	r.files[name] = file
	body, _ := file.Body.(*hclsyntax.Body)
	return body
}

// find lists the files of the configuration.
func find(path string) ([]string, hcl.Diagnostics) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	var names []string
	for _, e := range entries {
		// A name with a leading dot is an editor's lock or copy.
		if strings.HasSuffix(e.Name(), ".hcl") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if names == nil {
		return nil, hcl.Diagnostics{{
			Severity: hcl.DiagError,
			Summary:  "No configuration",
			Detail: fmt.Sprintf("The folder %s has no file whose name ends in .hcl. "+
				"Give the folder that holds the configuration, or make a first one with \"dialtone init\".", path),
		}}
	}
	return names, nil
}

func readSource(name string) ([]byte, hcl.Diagnostics) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		return nil, unreadable(name, err)
	}
	if info.Size() > maxSource {
		return nil, tooLarge(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	src, err := readAtMost(f, maxSource)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return src, nil
}

func unreadable(path string, err error) hcl.Diagnostics {
	advice := "Check that it is a configuration file or a folder of them."
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "Check the name; --config takes a folder or a file."
	case errors.Is(err, fs.ErrPermission):
		advice = "Let the user that the appliance runs as read it."
	}
	return hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "Unreadable configuration",
		Detail:   fmt.Sprintf("Reading %s: %v. %s", path, reason(err), advice),
	}}
}
