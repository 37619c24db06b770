package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"dialtone/internal/config"
)

type fmtCmd struct {
	Check bool     `help:"Change nothing; say which files would change, and exit with 1 if any would."`
	Paths []string `arg:"" optional:"" help:"Files, or folders of *.hcl files (the current one)." type:"path"`
}

func (c *fmtCmd) Run(a *app) error {
	if len(c.Paths) == 0 {
		c.Paths = []string{"."}
	}
	wrong := false
	for _, p := range c.Paths {
		files, err := hclFiles(p)
		if err != nil {
			return err
		}
		for _, f := range files {
			changed, ok, err := c.format(a, f)
			if err != nil {
				return err
			}
			if changed {
				fmt.Fprintln(a.Stdout, f)
			}
			wrong = wrong || !ok || changed && c.Check
		}
	}
	if wrong {
		return exitError{exitWrong}
	}
	return nil
}

// format lays out one file. ok is false where it is no HCL, which was said.
func (c *fmtCmd) format(a *app, path string) (changed, ok bool, err error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return false, false, err
	}
	formatted, report := config.Format(old, path)
	if report.HasErrors() {
		return false, false, writeReport(a.Stderr, report)
	}
	if bytes.Equal(old, formatted) {
		return false, true, nil
	}
	if c.Check {
		return true, true, nil
	}
	// In one step, so that a power cut leaves the old text or the new one.
	return true, true, renameio.WriteFile(path, formatted, 0o644, renameio.WithExistingPermissions())
}

// hclFiles lists what path stands for: itself, or a folder's *.hcl files.
func hclFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".hcl") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}
