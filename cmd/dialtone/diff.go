package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// diffCmd compares the configuration as it is on the disk with what a phone
// last got: before a reload, it says what the reload will do.
type diffCmd struct {
	configFlag
	JSON   bool   `name:"json" help:"Print the changes as JSON."`
	Model  string `help:"Model of a phone that was never seen and whose block names none."`
	Server string `placeholder:"ADDRESS" help:"Address that a phone which was never seen would reach this appliance by, when it can't be found out."`
	Who    string `arg:"" name:"mac" help:"The phone, by its MAC in any spelling."`
}

// Help is printed below the flags.
func (*diffCmd) Help() string {
	return "Exit status: 0 nothing would change, 1 something would, 2 it cannot be told."
}

func (c *diffCmd) Run(a *app) error {
	d, err := c.compare(a)
	if err == nil {
		err = c.print(a.Stdout, d)
	}
	if err != nil {
		fmt.Fprintf(a.Stderr, "dialtone: %v\n", err)
		return exitError{exitUsage}
	}
	if len(d.Changes) > 0 {
		return exitError{exitWrong}
	}
	return nil
}

// phoneDiff is what would change on a phone.
type phoneDiff struct {
	MAC     mac.Addr  `json:"mac"`
	Seen    time.Time `json:"seen,omitzero"` // zero for a phone that was never seen
	Changes []change  `json:"changes"`
	Notes   []string  `json:"notes,omitempty"`
}

// change is one value that would be another. A side that has none is nil.
type change struct {
	Kind string  `json:"kind"` // as in an explanation; also phrase, file (a link) and document (of which size and hash alone are told)
	Name string  `json:"name,omitempty"`
	Idx  *int    `json:"idx,omitempty"`
	Old  *string `json:"old"`
	New  *string `json:"new"`
}

func (c *diffCmd) compare(a *app) (phoneDiff, error) {
	m, err := mac.Parse(c.Who)
	if err != nil {
		return phoneDiff{}, err
	}
	d := phoneDiff{MAC: m, Changes: []change{}}
	cfg, desk, err := openSealed(a, c.Config)
	if err != nil {
		return d, err
	}
	p, err := seen(cfg.Appliance.StateDir, m, a.Log)
	if err != nil {
		return d, err
	}
	configured, known := cfg.Set.Phone(m)
	if p == nil && !known {
		return d, fmt.Errorf("%s is not in the configuration and was never seen", m)
	}
	if p == nil {
		p = &seenPhone{}
		p.MAC, p.Model = m, cmp.Or(configured.Model, c.Model, cfg.Set.ModelHint(m))
	}
	if !p.Local.IsValid() {
		if p.Local, err = reachedBy(a, cfg, c.Server); err != nil {
			return d, err
		}
	}
	d.Seen = p.LastSeen
	if configured.Model != "" {
		p.Model = configured.Model
	}
	if p.Model == "" {
		return d, fmt.Errorf("the model of %s is not known; give it with --model", m)
	}
	before, after, notes, err := sides(desk, cfg.Set, p, cfg.Seal)
	if err != nil {
		return d, err
	}
	d.Notes, d.Changes = notes, before.changes(after)
	return d, nil
}

// valueID tells values of a phone apart.
type valueID struct {
	kind, name string
	idx        int // -1 where there is none
}

func (a valueID) compare(b valueID) int {
	return cmp.Or(cmp.Compare(kindOrder(a.kind), kindOrder(b.kind)), cmp.Compare(a.name, b.name), cmp.Compare(a.idx, b.idx))
}

func kindOrder(kind string) int {
	return slices.Index([]string{"setting", "key", "contact", "template", "gui language", "web language", "phrase", "upload", "certificate", "file", "document", "firmware"}, kind)
}

// values lists what a phone is set to, each as a line.
func (s *side) values() map[valueID]string {
	all := map[valueID]string{}
	for _, v := range s.Settings {
		id := valueID{"setting", v.Name, -1}
		if v.Index != nil {
			id.idx = *v.Index
		}
		all[id] = withPerm(v.Value, v.Perm)
	}
	for _, k := range s.Keys {
		text := k.Value
		for _, more := range []struct{ name, value string }{
			{"label", k.Label}, {"short_label", k.ShortLabel}, {"default_text", k.DefaultText}, {"lp", k.LongPress},
		} {
			if more.value != "" {
				text += fmt.Sprintf(" %s=%q", more.name, more.value)
			}
		}
		text += k.More
		if k.Context != "active" {
			text += fmt.Sprintf(" context=%q", k.Context)
		}
		all[valueID{"key", "", k.Index}] = withPerm(text, k.Perm)
	}
	for _, c := range s.Phonebook {
		// An entry's place in the book is no part of it: one that is put in
		// before others changes none of them.
		id := valueID{"contact", cmp.Or(c.Name, c.FirstName+" "+c.LastName), -1}
		text := ""
		for _, n := range c.Numbers {
			text += n.Number + " (" + n.Type + ") "
		}
		text += c.Type + " " + c.Context
		for n := 2; ; n++ {
			if _, taken := all[id]; !taken {
				break
			}
			id.idx = n
		}
		all[id] = text
	}
	for _, t := range s.Dialplan {
		all[valueID{"template", t.Match, -1}] = fmt.Sprintf("timeout=%q user=%q rewrite=%q", t.Timeout, t.User, t.Rewrite)
	}
	for _, l := range s.Languages {
		all[valueID{l.For + " language", l.Name, -1}] = l.URL
	}
	for path, list := range s.phrases {
		for _, p := range list {
			all[valueID{"phrase", path + " " + p.Name, -1}] = p.Text
		}
	}
	for _, u := range s.Uploads {
		all[valueID{"upload", u.Type, -1}] = u.URL
	}
	for n, c := range s.Certificates {
		all[valueID{"certificate", "", n + 1}] = cmp.Or(c.URL, c.Base64)
	}
	for _, link := range s.links {
		all[valueID{"file", link, -1}] = "linked"
	}
	for path, body := range s.others {
		all[valueID{"document", path, -1}] = sizeAndHash(body)
	}
	for what, list := range map[string][]phonefile.Link{"": s.images, "modules": s.modules} {
		for n, i := range list {
			id := valueID{"firmware", what, -1}
			if n > 0 {
				id.idx = n + 1
			}
			all[id] = i.URL
		}
	}
	for _, v := range s.versions {
		all[valueID{"firmware", cmp.Or(v.Handset, "version"), -1}] = v.Software + " branch " + v.Branch
	}
	return all
}

func withPerm(value, perm string) string {
	if perm != "" {
		return fmt.Sprintf("%s [%s]", value, perm)
	}
	return value
}

// changes lists what differs, sorted, with secrets masked.
func (s *side) changes(now *side) []change {
	before, after := s.values(), now.values()
	ids := make([]valueID, 0, len(after))
	for id := range after {
		ids = append(ids, id)
	}
	for id := range before {
		if _, stays := after[id]; !stays {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, valueID.compare)
	list := []change{}
	for _, id := range ids {
		was, had := before[id]
		is, has := after[id]
		if had && has && was == is {
			continue
		}
		c := change{Kind: id.kind, Name: id.name}
		if id.idx >= 0 {
			c.Idx = &id.idx
		}
		was, is = masked(was), masked(is)
		if had && has && was == is {
			is += " (another)"
		}
		if had {
			c.Old = &was
		}
		if has {
			c.New = &is
		}
		list = append(list, c)
	}
	return list
}

var seals = regexp.MustCompile(`sealed:[0-9a-f]{24}`)

// masked shows nothing of a secret, not even its seal.
func masked(s string) string { return seals.ReplaceAllString(s, "********") }

func (c *diffCmd) print(w io.Writer, d phoneDiff) error {
	if c.JSON {
		return printPlainJSON(w, d)
	}
	for _, note := range d.Notes {
		fmt.Fprintf(w, "# %s\n", note)
	}
	if len(d.Changes) == 0 {
		return nil
	}
	got := "which was never seen"
	if !d.Seen.IsZero() {
		got = "as it was served until " + ago(d.Seen)
	}
	fmt.Fprintf(w, "--- %s %s\n+++ %s as it is configured\n", d.MAC, got, d.MAC)
	for _, v := range d.Changes {
		name := valueName(v.Kind, v.Name, v.Idx)
		for _, line := range []struct {
			sign string
			text *string
		}{{"-", v.Old}, {"+", v.New}} {
			if line.text != nil {
				fmt.Fprintf(w, "%s%s = %s\n", line.sign, name, printable(*line.text))
			}
		}
	}
	return nil
}

// printable shows a value on one line, whole.
func printable(s string) string {
	if s == "" {
		return `""`
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
