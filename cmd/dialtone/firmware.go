package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"dialtone/internal/firmware"
	"dialtone/profiles"
)

// firmwareCmd keeps the images that phones fetch. Its commands may be used
// while the service runs.
type firmwareCmd struct {
	Add    firmwareAddCmd    `cmd:"" help:"Put images in their place, hashed and under the name that phones ask for."`
	Ls     firmwareLsCmd     `cmd:"" help:"List the images, and who wants them."`
	Verify firmwareVerifyCmd `cmd:"" help:"Read every image and compare its hash; say which images are missing."`
	Rm     firmwareRmCmd     `cmd:"" help:"Remove images that no phone needs."`
}

// imageFolder opens the store of a configuration.
func imageFolder(path string) (configuration, *firmware.Store, error) {
	cfg, err := load(path, nil)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Report.HasErrors() {
		return cfg, nil, fmt.Errorf("the configuration has %s: see dialtone check", count(cfg.Report.Errors(), "error"))
	}
	return cfg, firmware.New(filepath.Join(cfg.Appliance.FilesDir, "firmware")), nil
}

type firmwareAddCmd struct {
	configFlag
	Files   []string `arg:"" name:"file" help:"Images, under the names that their maker gave them."`
	Model   string   `placeholder:"MODEL" help:"The model whose firmware it is, where the name does not say it. The image is given its usual name."`
	Version string   `placeholder:"VERSION" help:"Its version, likewise."`
	Force   bool     `help:"Take the place of another file of the same name."`
	JSON    bool     `name:"json" help:"Print what was added as JSON."`
}

// addedImage is what came of adding a file.
type addedImage struct {
	File    string   `json:"file"`
	Path    string   `json:"path,omitempty"` // below files_dir/firmware
	Model   string   `json:"model,omitempty"`
	Version string   `json:"version,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Size    int64    `json:"size,omitempty"`
	SHA256  string   `json:"sha256,omitempty"`
	Already bool     `json:"already,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func (c *firmwareAddCmd) Run(a *app) error {
	if (c.Model == "") != (c.Version == "") || c.Model != "" && len(c.Files) > 1 {
		fmt.Fprintln(a.Stderr, "dialtone: --model and --version go together, and with one file.\nTry dialtone firmware add --help.")
		return exitError{exitUsage}
	}
	cfg, store, err := imageFolder(c.Config)
	if err != nil {
		return err
	}
	failed := false
	list := []addedImage{}
	for _, name := range c.Files {
		one := addedImage{File: name}
		if err := c.add(cfg.Set, store, &one); err != nil {
			one.Error, failed = err.Error(), true
		}
		list = append(list, one)
		if c.JSON {
			continue
		}
		for _, note := range one.Notes {
			fmt.Fprintf(a.Stderr, "%s: %s\n", name, note)
		}
		switch {
		case one.Error != "":
			fmt.Fprintf(a.Stderr, "dialtone: adding %s: %s\n", name, one.Error)
		case one.Already:
			fmt.Fprintf(a.Stdout, "%s is there already: %s.\n", one.Path, described(one.Kind, one.Model, one.Version))
		default:
			fmt.Fprintf(a.Stdout, "%s: %s, %d octets, sha256 %s.\n", one.Path, described(one.Kind, one.Model, one.Version), one.Size, one.SHA256)
		}
	}
	if c.JSON {
		if err := printJSON(a.Stdout, list); err != nil {
			return err
		}
	}
	if failed {
		return exitError{exitWrong}
	}
	return nil
}

func described(kind, model, version string) string {
	if kind == "" {
		return "not recognised"
	}
	text := kind + " of " + model
	if version != "" {
		text += ", version " + version
	}
	return text
}

const imageHead = 64 << 10

func (c *firmwareAddCmd) add(set *profiles.Set, store *firmware.Store, one *addedImage) error {
	// A pipe would hold its opening until somebody writes to it.
	f, err := os.OpenFile(one.File, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no plain file")
	}
	image := set.Image(one.File)
	if c.Model != "" {
		if image = set.ImagePath(c.Model, c.Version); image.Path == "" {
			return fmt.Errorf("%q is no model such as snomD785, or %q no version such as 10.1.215.13", c.Model, c.Version)
		}
	}
	if !profiles.IsImage(image.Path) {
		return errors.New("phones load files whose names end in .bin, .swu or .fwu: unpack it, or give it the name that its maker gave it")
	}
	buffered := bufio.NewReaderSize(f, imageHead)
	head, err := buffered.Peek(imageHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading: %w", err)
	}
	evidence, err := firmware.Examine(image.Path, head)
	if err != nil {
		return err
	}
	if evidence.Format != "" {
		if err := firmware.Whole(f, info.Size()); err != nil {
			return err
		}
	}
	if image.Kind == "" {
		one.Notes = append(one.Notes, unrecognised(image, evidence))
	}
	if evidence.Version != "" && image.Version != "" && evidence.Version != image.Version {
		one.Notes = append(one.Notes, fmt.Sprintf("the name says version %s, the description in it %s: phones go by the name", image.Version, evidence.Version))
	}
	one.Path, one.Kind, one.Model, one.Version = image.Path, image.Kind, image.Model, cmp.Or(image.Version, evidence.Version)
	added, err := store.Add(image.Path, buffered, c.Force)
	if errors.Is(err, firmware.ErrDifferent) {
		return fmt.Errorf("firmware/%s: %w; --force replaces it", image.Path, err)
	}
	if err != nil {
		return err
	}
	one.Size, one.SHA256, one.Already = added.Size, added.SHA256, added.Already
	return nil
}

// unrecognised says what the name of an image does not tell, and what to do.
func unrecognised(i profiles.Image, e firmware.Evidence) string {
	missing := "neither model nor version"
	switch {
	case i.Model != "" && i.Version != "":
		missing = "what kind of image it is"
	case i.Model != "":
		missing = "no version"
	}
	note := fmt.Sprintf("its name tells %s, so phones find it by this name alone (firmware = %q in a model or a phone); "+
		"give it the name that its maker gave it, such as snomD785-10.1.215.13-SIP-r.bin, or say --model and --version", missing, i.Path)
	if missing == "what kind of image it is" {
		note = "its name does not tell " + strings.TrimPrefix(note, "its name tells ")
	}
	if e.Version != "" {
		note += fmt.Sprintf(" (the description in it says version %s)", e.Version)
	}
	return note
}

type firmwareLsCmd struct {
	configFlag
	JSON bool `name:"json" help:"Print the images as JSON."`
}

// What an image is.
const (
	imageGood     = "indexed"     // as it was added, by size and time
	imageOK       = "ok"          // as it was added, by its hash
	imageNew      = "not indexed" // put there by hand: dialtone firmware add takes it into the index
	imageChanged  = "changed"     // since it was added
	imageMissing  = "missing"     // indexed or wanted, and not there
	imageMismatch = "mismatch"    // another hash than it was added with
)

// listedImage is one line.
type listedImage struct {
	Path    string   `json:"path"` // below files_dir/firmware
	Model   string   `json:"model,omitempty"`
	Version string   `json:"version,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Size    int64    `json:"size,omitempty"`
	SHA256  string   `json:"sha256,omitempty"` // of the index
	State   string   `json:"state"`
	Phones  []string `json:"phones,omitempty"` // that want it
	Models  []string `json:"models,omitempty"` // whose phones all do
}

// wanters says who wants an image, in a table.
func (i listedImage) wanters() string {
	all := slices.Clone(i.Models)
	if n := len(i.Phones); n > 0 {
		all = append(all, count(n, "phone"))
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

// listImages gives the images that are there, and those that should be.
func listImages(path string) ([]listedImage, *firmware.Store, error) {
	cfg, store, err := imageFolder(path)
	if err != nil {
		return nil, nil, err
	}
	files, err := store.List()
	if err != nil {
		return nil, nil, err
	}
	set, list := cfg.Set, []listedImage{}
	for _, f := range files {
		image := set.Image(f.Path)
		one := listedImage{Path: f.Path, Model: image.Model, Version: image.Version, Kind: image.Kind, Size: f.Size, SHA256: f.Sum.SHA256, State: imageGood}
		switch {
		case f.Missing:
			one.State, one.Size = imageMissing, 0
		case !f.Indexed:
			one.State = imageNew
		case f.Changed():
			one.State = imageChanged
		}
		list = append(list, one)
	}
	for _, n := range set.Needs() {
		i := slices.IndexFunc(list, func(l listedImage) bool { return l.Path == n.Path })
		if i < 0 {
			i = len(list)
			list = append(list, listedImage{Path: n.Path, Model: n.Model, Version: n.Version, Kind: n.Kind, State: imageMissing})
		}
		list[i].Phones, list[i].Models = n.Phones, n.Models
		if list[i].Kind == "" {
			list[i].Kind, list[i].Model = n.Kind, n.Model
		}
	}
	slices.SortFunc(list, func(a, b listedImage) int { return cmp.Compare(a.Path, b.Path) })
	return list, store, nil
}

func writeImages(w io.Writer, list []listedImage) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tMODEL\tVERSION\tKIND\tSIZE\tSTATE\tWANTED BY")
	for _, i := range list {
		size := "-"
		if i.State != imageMissing {
			size = fmt.Sprint(i.Size)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(i.Path), cell(i.Model), cell(i.Version), cell(i.Kind), size, i.State, cell(i.wanters()))
	}
	return t.Flush()
}

func (c *firmwareLsCmd) Run(a *app) error {
	list, store, err := listImages(c.Config)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.Stdout, list)
	}
	if err := writeImages(a.Stdout, list); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s in %s.\n", count(len(list), "image"), store.Dir())
	return nil
}

type firmwareVerifyCmd struct {
	configFlag
	JSON bool `name:"json" help:"Print the images as JSON."`
}

func (c *firmwareVerifyCmd) Run(a *app) error {
	list, store, err := listImages(c.Config)
	if err != nil {
		return err
	}
	wrong := 0
	for i, one := range list {
		switch one.State {
		case imageNew:
			continue // there is nothing to compare with
		case imageMissing:
			wrong++
			continue
		}
		sum, err := store.Hash(one.Path)
		if err != nil {
			return fmt.Errorf("verifying %s: %w", one.Path, err)
		}
		list[i].State = imageOK
		if sum != one.SHA256 {
			list[i].State = imageMismatch
			wrong++
		}
	}
	if c.JSON {
		err = printJSON(a.Stdout, list)
	} else {
		err = writeImages(a.Stdout, list)
	}
	if err != nil {
		return err
	}
	if wrong > 0 {
		fmt.Fprintf(a.Stderr, "dialtone: %s wrong or missing: add what should be there with dialtone firmware add (--force takes the place of what is).\n", count(wrong, "image"))
		return exitError{exitWrong}
	}
	return nil
}

type firmwareRmCmd struct {
	configFlag
	Images []string `arg:"" name:"image" help:"Images as dialtone firmware ls names them."`
	Force  bool     `help:"Remove also what the configuration needs."`
}

func (c *firmwareRmCmd) Run(a *app) error {
	cfg, store, err := imageFolder(c.Config)
	if err != nil {
		return err
	}
	needs := cfg.Set.Needs()
	for _, name := range c.Images {
		name = filepath.ToSlash(filepath.Clean(name))
		i := slices.IndexFunc(needs, func(n profiles.Need) bool { return n.Path == name })
		if i >= 0 && !c.Force {
			return fmt.Errorf("removing %s: %s it; change the configuration first, or say --force",
				name, wanting(needs[i]))
		}
		if err := store.Remove(name); err != nil {
			return fmt.Errorf("removing %s: %w", name, err)
		}
		fmt.Fprintf(a.Stdout, "Removed %s.\n", name)
	}
	return nil
}

func wanting(n profiles.Need) string {
	who := listedImage{Phones: n.Phones, Models: n.Models}.wanters()
	if len(n.Models)+len(n.Phones) == 1 {
		return who + " needs"
	}
	return who + " need"
}
