package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"dialtone/profiles"
)

type settingsCmd struct {
	Word  []string `arg:"" optional:"" help:"Words that the name, the meaning or a value has; none lists all."`
	Model string   `short:"m" placeholder:"MODEL" help:"Only what phones of this model know."`
	JSON  bool     `help:"Print everything that is known as JSON."`
	settingsSource
}

func (c *settingsCmd) Run(a *app) error {
	set, err := c.load()
	if err != nil {
		return err
	}
	m := profiles.Model{}
	if c.Model != "" {
		var ok bool
		if m, ok = set.Model(c.Model); !ok {
			return fmt.Errorf("%q is no model: models look like snomD785", c.Model)
		}
	}
	found := []profiles.Setting{}
	for _, s := range set.Settings() {
		if s.Matches(c.Word) && (c.Model == "" || s.KnownTo(m)) {
			found = append(found, s)
		}
	}
	if c.JSON {
		return printJSON(a.Stdout, found)
	}
	if len(found) == 0 {
		fmt.Fprintf(a.Stderr, "No setting has %s in its name, meaning or values.\n", strings.Join(c.Word, " and "))
		return exitError{exitWrong}
	}
	return writeSettings(a.Stdout, found, c.Word)
}

// settingsSource names a configuration whose setting blocks add to what the
// program knows. None is needed.
type settingsSource struct {
	Config string `short:"c" placeholder:"DIR|FILE" help:"Configuration whose setting blocks count too (/etc/dialtone, where it is)."`
}

// load reads the configuration where one was named or is in its usual place.
func (s settingsSource) load() (*profiles.Set, error) {
	path := s.Config
	if path == "" {
		path = defaultConfig
		if _, err := os.Stat(path); err != nil {
			return profiles.NewSet()
		}
	}
	cfg, err := load(path, nil)
	if err != nil {
		return nil, err
	}
	if cfg.Report.HasErrors() && s.Config != "" {
		return nil, errors.New("the configuration has errors: see dialtone check")
	}
	return cfg.Set, nil
}

// detailed is how many settings are shown with all that is known of them.
const detailed = 5

func writeSettings(w io.Writer, list []profiles.Setting, words []string) error {
	if len(list) > detailed {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range list {
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, takes(s, words, 4), s.Meaning)
		}
		return table.Flush()
	}
	for i, s := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n  %s.\n", s.Name, s.Meaning)
		row := func(label, text string) {
			if text != "" {
				fmt.Fprintf(w, "  %-9s %s\n", label, text)
			}
		}
		row("takes", takes(s, words, 40))
		row("idx", map[string]string{
			"identity": "of an identity: 1, 2, …", "list0": "0, 1, 2, …", "list1": "1, 2, …", "any": "with or without",
		}[s.Index])
		row("since", s.Since)
		row("until", s.Until)
		row("models", strings.Join(s.Models, " "))
		row("if wrong", s.Wrong)
		if s.Secret {
			row("secret", "yes: not for general files")
		}
		if s.Rule != "" {
			row("rule", fmt.Sprintf("%s: check warns of it", s.Rule))
		}
		if s.Own {
			row("from", "a setting block")
		}
	}
	return nil
}

// takes says which values a setting takes: those that have one of the words first.
func takes(s profiles.Setting, words []string, most int) string {
	switch {
	case s.Type == "onoff":
		return "on, off"
	case s.Type == "number" && s.Max != "":
		return s.Min + " to " + s.Max
	case len(s.Values) == 0:
		return s.Type
	}
	var first, rest []string
	for _, v := range s.Values {
		text := v.Value
		if v.Meaning != "" && most > 10 {
			text += " (" + v.Meaning + ")"
		}
		if len(words) > 0 && v.Matches(words) {
			first = append(first, text)
		} else {
			rest = append(rest, text)
		}
	}
	all := append(first, rest...)
	if more := len(all) - most; more > 0 {
		return fmt.Sprintf("%s, … (%d more)", strings.Join(all[:most], ", "), more)
	}
	return strings.Join(all, ", ")
}
