package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"dialtone/internal/migrate"
	"dialtone/internal/phonefile"
	"dialtone/profiles"
	"dialtone/provision"
)

// importSnomCmd turns a folder of phones' files into profiles, models and
// phones, and boots each phone on both to see that it is set to the same.
type importSnomCmd struct {
	Out       string `short:"o" placeholder:"DIR" type:"path" help:"Write the files, and the passwords under secrets/, into this folder; left out: the text alone to standard output."`
	Interface string `placeholder:"NAME" default:"eth0" help:"For the appliance block, which is written where the folder has no configuration yet (${default})."`
	InPlace   bool   `help:"Leave passwords in the text, instead of a file for each under secrets/."`
	Force     bool   `help:"Let --out replace files."`
	Dir       string `arg:"" type:"path" help:"The folder of the old setting server: snomD785.htm, snomD785-MAC.htm, MAC.xml and what they link."`
}

func (c *importSnomCmd) Run(a *app) error {
	trial := trial{appliance: fmt.Appendf(nil, "appliance {\n  interface = %q\n}\n", c.Interface)}
	result, err := migrate.Snom(c.Dir, migrate.SnomOptions{Model: profiles.ModelHint, InPlace: c.InPlace, Check: trial.check})
	if err != nil {
		return err
	}
	differing, err := trial.boot(a, result)
	if err != nil {
		return err
	}
	files := filesOf(result.Files, result.Secrets)
	if c.Out == "" {
		for i, f := range result.Files {
			if filepath.Ext(f.Name) != ".hcl" {
				fmt.Fprintf(a.Stderr, "%s is not written: give --out.\n", f.Name)
				continue
			}
			if i > 0 {
				fmt.Fprintln(a.Stdout)
			}
			if _, err := a.Stdout.Write(f.Text); err != nil {
				return err
			}
		}
		if n := len(result.Secrets); n > 0 {
			fmt.Fprintf(a.Stderr, "%s not written: give --out.\n", count(n, "password"))
		}
	} else {
		if has, err := filepath.Glob(filepath.Join(c.Out, "*.hcl")); err == nil && len(has) == 0 {
			files["dialtone.hcl"] = trial.appliance
		}
		if err := writeConfiguration(c.Out, files, c.Force); err != nil {
			return err
		}
		if n := len(result.Secrets); n > 0 {
			fmt.Fprintf(a.Stderr, "%s under %s, for their owner alone: the service has to be able to read them.\n", count(n, "password"), filepath.Join(c.Out, "secrets"))
		}
	}
	for _, p := range result.Problems {
		fmt.Fprintln(a.Stderr, p)
	}
	if n := len(result.Problems); n > 0 {
		fmt.Fprintf(a.Stderr, "%s to look at.\n", count(n, "line"))
	}
	fmt.Fprintf(a.Stderr, "%s, %d set to the same as before.\n", count(len(result.Phones), "phone"), len(result.Phones)-differing)
	return nil
}

// filesOf gives the files of a configuration by their names in its folder.
func filesOf(texts []migrate.SnomText, secrets map[string]string) map[string][]byte {
	files := map[string][]byte{}
	for _, f := range texts {
		files[f.Name] = f.Text
	}
	for name, value := range secrets {
		files["secrets/"+name] = []byte(value + "\n")
	}
	return files
}

// trial is what comes out, loaded as the appliance would load it.
type trial struct {
	appliance []byte
	loaded    configuration
}

// check loads a configuration from a folder that is gone afterwards.
func (t *trial) check(texts []migrate.SnomText, secrets map[string]string) ([]migrate.Refusal, error) {
	dir, err := os.MkdirTemp("", "dialtone-import-") // 0700: there are passwords in it
	if err != nil {
		return nil, fmt.Errorf("trying the configuration: %w", err)
	}
	defer os.RemoveAll(dir)
	files := filesOf(texts, secrets)
	files["dialtone.hcl"] = t.appliance
	if err := writeConfiguration(dir, files, false); err != nil {
		return nil, fmt.Errorf("trying the configuration: %w", err)
	}
	if t.loaded, err = load(dir, nil); err != nil {
		return nil, err
	}
	var refusals []migrate.Refusal
	for _, f := range t.loaded.Report.Faults() {
		refusals = append(refusals, migrate.Refusal{File: filepath.Base(f.File), Line: f.Line, Text: f.Text})
	}
	return refusals, nil
}

// boot boots each phone on the configuration that was checked, and tells where
// it is set to something else than by what was taken over of the folder.
func (t *trial) boot(a *app, result migrate.SnomResult) (differing int, err error) {
	for _, p := range result.Phones {
		now, err := setBy(a, t.loaded, p)
		if err != nil {
			return 0, fmt.Errorf("trying the configuration with %s: %w", p.MAC, err)
		}
		if lines := p.Differences(now); len(lines) > 0 {
			differing++
			for _, l := range lines {
				fmt.Fprintf(a.Stderr, "%s: %s\n", p.MAC, l)
			}
		}
	}
	return differing, nil
}

// setBy gives what a configuration sets a phone to, by all the files that the
// phone asks for.
func setBy(a *app, cfg configuration, p migrate.SnomPhone) (phonefile.Memory, error) {
	const host = "192.0.2.1" // TEST-NET-1: nobody's
	// A phone whose model nothing tells has no general file of a model of ours.
	model := cmp.Or(p.Model, profiles.ModelHint(p.MAC), "snom0")
	requests, err := phonefile.RequestsOf("http://"+host+"/", model, p.MAC)
	if err != nil {
		return phonefile.Memory{}, err
	}
	desk := newDesk(func() *configuration { return &cfg }, provision.Config{Log: a.Log})
	var state phonefile.Memory
	var failed error
	err = phonefile.Walk(requests, func(_, link string) ([]phonefile.Link, bool) {
		u, err := phonefile.ParseURL(link)
		if err != nil {
			failed = err
			return nil, false
		}
		var body bytes.Buffer
		err = render(&body, desk, provision.Preview{Path: u.RequestURI(), Who: p.MAC, Model: model, Local: netip.MustParseAddr(host), Reveal: true})
		if refusal, ok := errors.AsType[*provision.Refusal](err); ok && refusal.Status == 404 {
			return nil, true
		}
		if err != nil {
			failed = err
			return nil, false
		}
		file, err := phonefile.Read(u.Path, body.Bytes())
		if err != nil {
			failed = err
			return nil, false
		}
		state.Apply(file)
		return file.Links, true
	})
	return state, cmp.Or(failed, err)
}

// writeConfiguration writes the files of a configuration, passwords for the
// owner alone. Unless force is set it writes none where one is there already.
func writeConfiguration(dir string, files map[string][]byte, force bool) error {
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil && !force {
			return fmt.Errorf("%s is there already; --force replaces it", filepath.Join(dir, name))
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		mode, folder := os.FileMode(0o644), os.FileMode(0o755)
		if filepath.Dir(name) != "." {
			mode, folder = 0o600, 0o700
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
			return err
		}
		if err := renameio.WriteFile(path, files[name], mode); err != nil {
			return err
		}
	}
	return nil
}
