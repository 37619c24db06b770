package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"dialtone/internal/mac"
	"dialtone/profiles"
	"dialtone/provision"
)

type renderCmd struct {
	configFlag
	Reveal bool   `help:"Show passwords, as the phone gets them. Without it they are ********."`
	Server string `placeholder:"ADDRESS" help:"Address that the phone reaches this appliance by, when it can't be found out."`
	Model  string `help:"Model of a phone whose block names none."`

	Explain bool `help:"Say of each value where it comes from and what it overrode, instead of printing documents."`
	JSON    bool `name:"json" help:"With --explain: print that as JSON."`

	All   string `placeholder:"DIR" help:"Write everything that all phones ask for as plain files into DIR, for any web or TFTP server."`
	Files string `default:"link" enum:"link,copy,none" help:"With --all: ${enum} the files of files_dir."`
	URL   string `name:"url" placeholder:"URL" help:"Setting server that links name, where it is not this appliance (http://files.office.example)."`

	FirmwareVersion string `placeholder:"VERSION" help:"Firmware that the phone runs, as its User-Agent would say: before 7 it is given plain text, and one that runs its target is given no other. Left out: what the phone was last seen with."`

	Who  string `arg:"" optional:"" name:"mac|model" help:"A phone, by its MAC in any spelling, or a model (snomD785)."`
	Path string `arg:"" optional:"" help:"What it asks for (/snomD785.htm); left out: every document that it gets."`
}

func (c *renderCmd) Run(a *app) error {
	if (c.All == "") == (c.Who == "") || c.All != "" && (c.Explain || c.JSON) {
		fmt.Fprintln(a.Stderr, "dialtone: render takes a MAC or a model, or --all DIR.\nTry dialtone render --help.")
		return exitError{exitUsage}
	}
	passwords := statePasswords
	if !c.Reveal {
		passwords = nil
	}
	cfg, err := load(c.Config, passwords)
	if err != nil {
		return err
	}
	if cfg.Report.HasErrors() {
		if err := writeReport(a.Stderr, cfg.Report); err != nil {
			return err
		}
		return exitError{exitWrong}
	}
	local, err := reachedBy(a, cfg, c.Server)
	if err != nil {
		return err
	}
	current := func() *configuration { return &cfg }
	var view provision.Preview
	if m, err := mac.Parse(c.Who); err == nil {
		view = c.lastSeen(a, cfg, m)
	}
	view.Local, view.Reveal, view.URL, view.Path = local, c.Reveal, c.URL, c.Path
	if c.FirmwareVersion != "" {
		view.Running = profiles.Running{Version: c.FirmwareVersion}
	}
	if c.All != "" {
		return c.renderAll(a, cfg, newDesk(current, provision.Config{Log: a.Log}), view)
	}
	if view.Who, view.Model, err = c.who(cfg.Set, view.Model); err != nil {
		return err
	}
	shown, err := showRollouts(cfg, a.Log)
	if err != nil {
		fmt.Fprintf(a.Stderr, "dialtone: %v: firmware is shown as for a phone whose turn it is\n", err)
	}
	desk := newDesk(current, provision.Config{Log: a.Log, Rollouts: shown})
	switch {
	case c.Explain:
		return c.explain(a.Stdout, desk, view)
	case c.JSON:
		return errors.New("--json is for --explain: documents are printed as the wire has them")
	case c.Path != "":
		return render(a.Stdout, desk, view)
	}
	for i, p := range cfg.Set.Documents(view.Who, view.Model, cfg.Set.Server(view.Model, local)) {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		fmt.Fprintf(a.Stdout, "-- %s --\n", p)
		view.Path = p.String()
		err := render(a.Stdout, desk, view)
		if refusal, ok := errors.AsType[*provision.Refusal](err); ok {
			fmt.Fprintf(a.Stdout, "(%d: %s)\n", refusal.Status, refusal.Reason)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// lastSeen gives the phone as it was last seen, no more than its MAC where nothing
// is known: nobody has to be able to read the state to see a document.
func (c *renderCmd) lastSeen(a *app, cfg configuration, who mac.Addr) provision.Preview {
	p, err := seen(cfg.Appliance.StateDir, who, a.Log)
	if err != nil {
		a.Log.Debug("the register cannot be read", "err", err)
	}
	if err != nil || p == nil {
		return provision.Preview{Who: who}
	}
	if p.Version != "" && c.FirmwareVersion == "" {
		fmt.Fprintf(a.Stderr, "dialtone: as for firmware %s, with which it was seen last (--firmware-version VERSION says another)\n", p.Version)
	}
	return asSeen(p.Phone)
}

// who reads the first argument: a phone with its model, or a model alone. seen is
// the model of a phone that was seen.
func (c *renderCmd) who(set *profiles.Set, seen string) (mac.Addr, string, error) {
	m, err := mac.Parse(c.Who)
	if err != nil {
		if model, ok := set.Model(c.Who); ok {
			return mac.Addr{}, model.Name, nil
		}
		return mac.Addr{}, "", fmt.Errorf("%q is neither a MAC address nor a model of a Snom phone (for instance snomD785)", c.Who)
	}
	phone, _ := set.Phone(m)
	model := cmp.Or(c.Model, phone.Model, seen, set.ModelHint(m))
	if model == "" && c.Path == "" {
		return mac.Addr{}, "", fmt.Errorf("the model of %s is not in the configuration; give it with --model", m)
	}
	return m, model, nil
}

// reachedBy gives the address by which phones reach the appliance: the one that
// --server names, or what can be found out.
func reachedBy(a *app, cfg configuration, server string) (netip.Addr, error) {
	if server != "" {
		local, err := netip.ParseAddr(server)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("reading --server: %w", err)
		}
		return local, nil
	}
	local, exact, err := localAddress(cfg)
	if err == nil && !exact {
		fmt.Fprintf(a.Stderr, "dialtone: interface %s is not on this machine; rendering for %s (--server ADDRESS says another)\n",
			cfg.Networks[0].Interface, local)
	}
	return local, err
}

func render(w io.Writer, desk *provision.Desk, view provision.Preview) error {
	answer, err := desk.Render(view)
	if err != nil {
		return err
	}
	defer answer.Content.Close()
	_, err = io.Copy(w, answer.Content)
	return err
}
