package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/register"
	"dialtone/profiles"
	"dialtone/provision"
)

// phonesCmd is about the phones of the configuration and those that were seen.
type phonesCmd struct {
	List   phonesListCmd   `cmd:"" default:"withargs" help:"List the phones: configured, seen, up to date or not."`
	Settle phonesSettleCmd `cmd:"" help:"Take from phones the mark that they were reset or their address taken: you have looked."`
}

type phonesListCmd struct {
	configFlag
	JSON bool `name:"json" help:"Print the phones as JSON."`
}

// What a phone is, in the order in which somebody should look at it.
const (
	stateRefused  = "refused"        // its last request for its own file, and why
	stateUnknown  = "not configured" // it was seen, and nothing is said of it
	stateNever    = "never seen"
	stateWaits    = "waits for firmware" // and why
	stateLoads    = "told of firmware"   // and of which image; it does not run it yet
	stateOutdated = "to change"          // what it got is not what it would get now; dialtone diff says what
	stateCurrent  = "up to date"
)

// listedPhone is one line.
type listedPhone struct {
	MAC       mac.Addr   `json:"mac"`
	Name      string     `json:"name,omitempty"`
	Model     string     `json:"model,omitempty"`
	Version   string     `json:"version,omitempty"`
	Firmware  string     `json:"firmware,omitempty"` // that it should run
	Address   netip.Addr `json:"address,omitzero"`
	FirstSeen time.Time  `json:"first_seen,omitzero"`
	LastSeen  time.Time  `json:"last_seen,omitzero"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	Refused   uint64     `json:"refused,omitempty"`
	Misses    uint64     `json:"misses,omitempty"`
	// LastMiss, Witness, Weaker and Challenged are as in register.Phone.
	LastMiss   *register.Stranger `json:"last_miss,omitempty"`
	Witness    string             `json:"witness,omitempty"`
	Weaker     time.Time          `json:"weaker,omitzero"`
	Challenged *register.Stranger `json:"challenged,omitempty"`
	// Documents are the last requests, by kind.
	Documents map[string]register.Document `json:"documents,omitempty"`
}

func (c *phonesListCmd) Run(a *app) error {
	cfg, desk, err := openSealed(a, c.Config)
	if err != nil {
		return err
	}
	known, err := seenPhones(cfg.Appliance.StateDir, a.Log)
	if err != nil {
		return err
	}
	list := listPhones(cfg.Set, desk, known)
	if c.JSON {
		return printJSON(a.Stdout, list)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MAC\tNAME\tMODEL\tVERSION\tADDRESS\tLAST SEEN\tSTATE")
	for _, p := range list {
		address, state := "-", p.State
		if p.Address.IsValid() {
			address = p.Address.String()
		}
		if p.Reason != "" {
			state += ": " + cell(p.Reason)
		}
		if p.LastMiss != nil {
			state += fmt.Sprintf("; asked by others %d×, last from %s at %s", p.Misses, p.LastMiss.Address, ago(p.LastMiss.Time))
		}
		if !p.Weaker.IsZero() {
			state += "; reset, or its address taken, at " + ago(p.Weaker)
		}
		if p.Challenged != nil {
			state += fmt.Sprintf("; asked for without its credentials, from %s at %s", p.Challenged.Address, ago(p.Challenged.Time))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.MAC, cell(p.Name), cell(p.Model), cell(p.Version), address, ago(p.LastSeen), state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s.\n", count(len(list), "phone"))
	if slices.ContainsFunc(list, func(p listedPhone) bool { return !p.Weaker.IsZero() || p.Challenged != nil }) {
		fmt.Fprintln(a.Stdout, "Look at those that were reset, or whose address was taken: dialtone phones settle MAC takes the mark away.")
	}
	return nil
}

// listPhones gives the phones of the configuration in its order, then the others.
func listPhones(set *profiles.Set, desk *provision.Desk, known []register.Phone) []listedPhone {
	list := []listedPhone{}
	for _, p := range set.Phones() {
		l := listedPhone{MAC: p.MAC, Name: p.Name, Model: p.Model, Firmware: p.Firmware, State: stateNever}
		i, ok := slices.BinarySearchFunc(known, p.MAC, func(k register.Phone, m mac.Addr) int { return slices.Compare(k.MAC[:], m[:]) })
		if ok {
			l.add(known[i])
			l.State, l.Reason = stateOf(desk, known[i])
		}
		list = append(list, l)
	}
	for _, k := range known {
		if _, configured := set.Phone(k.MAC); !configured {
			l := listedPhone{MAC: k.MAC, State: stateUnknown}
			l.add(k)
			list = append(list, l)
		}
	}
	return list
}

func (l *listedPhone) add(k register.Phone) {
	l.Model = cmp.Or(l.Model, k.Model)
	l.Version, l.Address, l.FirstSeen, l.LastSeen = k.Version, k.Address, k.FirstSeen, k.LastSeen
	l.Refused, l.Misses, l.Documents = k.Refused, k.Misses, k.Documents
	l.LastMiss, l.Witness, l.Weaker, l.Challenged = k.LastMiss, k.Witness, k.Weaker, k.Challenged
}

// phonesSettleCmd has the running service forget that phones were marked.
type phonesSettleCmd struct {
	configFlag
	MAC []string `arg:"" name:"mac" help:"The phones."`
}

func (c *phonesSettleCmd) Run(a *app) error {
	var phones []mac.Addr
	for _, text := range c.MAC {
		m, err := mac.Parse(text)
		if err != nil {
			return err
		}
		phones = append(phones, m)
	}
	cfg, err := load(c.Config, nil)
	if err != nil {
		return err
	}
	for _, m := range phones {
		var s settled
		if err := control(cfg.Appliance.StateDir, http.MethodPost, "/v1/phones/"+m.String()+"/settle", &s); err != nil {
			return err
		}
		switch {
		case !s.Known:
			return fmt.Errorf("%s was never seen: dialtone phones lists those that were", m)
		case s.Marked:
			fmt.Fprintf(a.Stdout, "%s: settled.\n", m)
		default:
			fmt.Fprintf(a.Stdout, "%s: it was not marked.\n", m)
		}
	}
	return nil
}

// stateOf says how a configured phone is that was seen.
func stateOf(desk *provision.Desk, k register.Phone) (state, reason string) {
	if own := k.Documents[profiles.Own.String()]; own.Status != 0 && own.Status != 200 {
		return stateRefused, own.Reason
	}
	state, view := stateCurrent, asSeen(k)
	started := k.Documents[profiles.ModelContainer.String()].Asked
	if one := k.Documents[profiles.MACContainer.String()].Asked; one.After(started) {
		started = one
	}
	for slot, d := range k.Documents {
		if slot == profiles.Firmware.String() {
			continue // an image
		}
		if linked := d.Asked.Before(started); linked && (strings.HasPrefix(slot, "/") || strings.HasSuffix(slot, " languages")) {
			continue // the containers that it has now do not list it any more
		}
		view.Path = d.Path
		now := ""
		answer, err := desk.Render(view)
		if err == nil {
			now = answer.Revision()
			if firmware := answer.Firmware(); firmware.Wanting != "" {
				// Until then it gets none, whatever was the reason when it asked.
				state, reason = stateWaits, firmware.Wanting
				continue
			} else if firmware.Image != "" && k.Version != "" && now == d.Revision {
				state, reason = stateLoads, path.Base(firmware.Image)
			}
		} else if refusal, ok := errors.AsType[*provision.Refusal](err); ok && refusal.Status != 404 {
			continue // it cannot be told
		}
		if now != d.Revision {
			return stateOutdated, ""
		}
	}
	return state, reason
}
