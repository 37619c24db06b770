package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/rollout"
	"dialtone/profiles"
	"dialtone/provision"
)

// rollouts joins the desk with the keeper of the rollouts.
type rollouts struct {
	keeper *rollout.Keeper
	set    func() *profiles.Set
	wait   func(context.Context, time.Duration) error // of a pace; nil for a timer

	mu    sync.Mutex
	paces map[string]pace // by rollout
}

// pace is a provision.Pace and what it was made for.
type pace struct {
	rate int64
	*provision.Pace
}

func newRollouts(keeper *rollout.Keeper, set func() *profiles.Set) *rollouts {
	return &rollouts{keeper: keeper, set: set, paces: map[string]pace{}}
}

// planOf gives a rollout of a configuration to the machine.
func planOf(set *profiles.Set, r profiles.Rollout) rollout.Plan {
	return rollout.Plan{
		Name: r.Name, Firmware: r.Firmware.Text, Canaries: r.Canaries, CanaryCount: r.CanaryCount,
		Wave: r.Wave, Percent: r.Percent, Window: rollout.Window(r.Window),
		Downloads: r.Downloads, Patience: r.Patience, Phones: r.Phones,
		Covers: func(m mac.Addr) bool {
			_, configured := set.Phone(m)
			return !configured || slices.Contains(r.Phones, m)
		},
	}
}

func (r *rollouts) plans() []rollout.Plan {
	var list []rollout.Plan
	set := r.set()
	for _, one := range set.Rollouts() {
		list = append(list, planOf(set, one))
	}
	return list
}

// Firmware is of provision.Rollouts.
func (r *rollouts) Firmware(q provision.FirmwareQuestion) (hold string) {
	plan, report, ok := reportOf(r.set(), q)
	switch {
	case !ok:
		return ""
	case q.Preview:
		return r.keeper.Snapshot(time.Now()).Hold(plan, report)
	}
	return r.keeper.Report(time.Now(), plan, report)
}

// reportOf turns a question of the desk into what the machine knows; ok is false
// where no rollout covers the phone.
func reportOf(set *profiles.Set, q provision.FirmwareQuestion) (rollout.Plan, rollout.Report, bool) {
	u, ok := set.Update(q.Request)
	if !ok {
		return rollout.Plan{}, rollout.Report{}, false
	}
	report := rollout.Report{
		MAC: q.Request.MAC, Known: q.Known, Version: q.Request.Version,
		Reached: u.Reached, Image: u.Image, Ready: u.Ready, Asks: q.Asks,
	}
	if q.Silent {
		report.Version = "" // what is remembered of it may be long past
	}
	return planOf(set, u.Rollout), report, true
}

// shownRollouts answers for the rollouts of the state folder, as they are now, by a
// configuration that may not be served yet.
type shownRollouts struct {
	set  *profiles.Set
	shot rollout.Snapshot
}

// Firmware is of provision.Rollouts.
func (r shownRollouts) Firmware(q provision.FirmwareQuestion) (hold string) {
	plan, report, ok := reportOf(r.set, q)
	if !ok {
		return ""
	}
	return r.shot.Hold(plan, report)
}

// Image is of provision.Rollouts.
func (shownRollouts) Image(string, mac.Addr) provision.ImageTerms { return provision.ImageTerms{} }

// showRollouts gives the rollouts of the running service, or of a stopped one; nil
// where the configuration has none.
func showRollouts(cfg configuration, log *slog.Logger) (provision.Rollouts, error) {
	if len(cfg.Set.Rollouts()) == 0 {
		return nil, nil
	}
	shot := rollout.Snapshot{Now: time.Now()}
	err := control(cfg.Appliance.StateDir, http.MethodGet, "/v1/rollouts/snapshot", &shot)
	if errors.Is(err, errNotRunning) {
		err = stopped(cfg.Appliance.StateDir, func(db *bbolt.DB) error {
			keeper, err := rollout.Open(db, log, shot.Now)
			if err == nil {
				shot = keeper.Snapshot(shot.Now)
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading how far the rollouts are: %w", err)
	}
	return shownRollouts{cfg.Set, shot}, nil
}

// Image is of provision.Rollouts.
func (r *rollouts) Image(name string, phone mac.Addr) provision.ImageTerms {
	of, ok := r.set().RolloutOfImage(name)
	if !ok {
		return provision.ImageTerms{}
	}
	terms := provision.ImageTerms{Sent: func() { r.keeper.Sent(time.Now(), of.Name, phone, name) }}
	if of.Bandwidth > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		p := r.paces[of.Name]
		if p.rate != of.Bandwidth {
			p = pace{of.Bandwidth, provision.NewPace(of.Bandwidth, r.wait)}
			r.paces[of.Name] = p
		}
		terms.Pace = p.Pace
	}
	return terms
}

// views shows the rollouts of the configuration.
func (r *rollouts) views() []rollout.View {
	list := []rollout.View{}
	for _, p := range r.plans() {
		list = append(list, r.keeper.View(time.Now(), p))
	}
	return list
}

func (a *appliance) getRollouts(w http.ResponseWriter, _ *http.Request) {
	list := a.rollouts.views()
	for _, v := range list {
		for i := range v.Phones {
			if p := &v.Phones[i]; p.Stage == rollout.Waiting {
				a.explainWaiting(p)
			}
		}
	}
	writeJSON(w, list)
}

// explainWaiting says what a phone runs that was not let in, and why it was not.
func (a *appliance) explainWaiting(p *rollout.ViewPhone) {
	seen, ok := a.seen.Last(p.MAC)
	if !ok {
		p.Reason = "it was not seen yet"
		return
	}
	p.Version = seen.Version
	view := asSeen(seen)
	if configured, ok := a.current.Load().Set.Phone(p.MAC); ok && configured.Model != "" {
		view.Model = configured.Model
	}
	view.Path = profiles.Path{Kind: profiles.FirmwareStatus, Model: view.Model}.String()
	answer, err := a.desk.Render(view)
	if err != nil {
		p.Reason = err.Error()
		return
	}
	switch offer := answer.Firmware(); {
	case offer.Wanting != "":
		p.Reason = offer.Wanting
	case offer.Image != "":
		p.Reason = "it may load " + path.Base(offer.Image) + " when it asks"
	default:
		p.Reason = "it ran the target when it was seen last: it counts when it asks again"
	}
}

func (a *appliance) getRolloutSnapshot(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, a.rollouts.keeper.Snapshot(time.Now()))
}

// postRollout pauses a rollout or lets it go on, and answers how it is then.
func (a *appliance) postRollout(w http.ResponseWriter, r *http.Request) {
	plans := a.rollouts.plans()
	i := slices.IndexFunc(plans, func(p rollout.Plan) bool { return p.Name == r.PathValue("name") })
	if i < 0 {
		http.Error(w, "the configuration that is served has no such rollout", http.StatusNotFound)
		return
	}
	err := errors.New("a rollout is paused or resumed")
	switch r.PathValue("verb") {
	case "pause":
		err = a.rollouts.keeper.Pause(time.Now(), plans[i])
	case "resume":
		err = a.rollouts.keeper.Resume(time.Now(), plans[i], r.URL.Query().Has("retry"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, a.rollouts.keeper.View(time.Now(), plans[i]))
}

// rolloutCmd shows and steers the rollouts of the running service.
type rolloutCmd struct {
	Show   rolloutShowCmd   `cmd:"" default:"withargs" help:"Show how far the rollouts are, and why one has stopped."`
	Pause  rolloutPauseCmd  `cmd:"" help:"Let no more phones load firmware."`
	Resume rolloutResumeCmd `cmd:"" help:"Go on after a pause or a stop."`
}

type rolloutShowCmd struct {
	configFlag
	Name string `arg:"" optional:"" help:"Only this rollout."`
	JSON bool   `name:"json" help:"Print the rollouts as JSON."`
}

func (c *rolloutShowCmd) Run(a *app) error {
	cfg, err := load(c.Config, nil)
	if err != nil {
		return err
	}
	var list []rollout.View
	if err := control(cfg.Appliance.StateDir, http.MethodGet, "/v1/rollouts", &list); err != nil {
		return err
	}
	if c.Name != "" {
		list = slices.DeleteFunc(list, func(v rollout.View) bool { return v.Name != c.Name })
		if len(list) == 0 {
			return fmt.Errorf("there is no rollout %q in the configuration that is served", c.Name)
		}
	}
	if c.JSON {
		return printJSON(a.Stdout, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Stdout, "The configuration has no rollout block.")
	}
	names := map[mac.Addr]string{}
	for _, p := range cfg.Set.Phones() {
		names[p.MAC] = p.Name
	}
	for i, v := range list {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		if err := writeRollout(a.Stdout, v, names); err != nil {
			return err
		}
	}
	return nil
}

func phaseOf(v rollout.View) string {
	if v.Phase == "wave" {
		return fmt.Sprintf("wave %d", v.Wave)
	}
	return v.Phase
}

func writeRollout(w io.Writer, v rollout.View, names map[mac.Addr]string) error {
	counts := map[string]int{}
	for _, p := range v.Phones {
		counts[p.Stage]++
	}
	fmt.Fprintf(w, "%s to %s: %s; %d updated, %d on their way, %d waiting, %d given up.\n", v.Name, v.Firmware, phaseOf(v),
		counts[rollout.Updated], counts[rollout.Loading]+counts[rollout.Loaded], counts[rollout.Waiting], counts[rollout.Failed])
	if v.Stopped != "" {
		fmt.Fprintf(w, "It has stopped: %s.\nWhen that is seen to, dialtone rollout resume %s goes on without the phones that were given up; with --retry they are tried again.\n", v.Stopped, v.Name)
	}
	if v.Paused {
		fmt.Fprintf(w, "It is paused: dialtone rollout resume %s lets it go on.\n", v.Name)
	}
	if n := counts[rollout.Failed]; n > 0 && v.Stopped == "" {
		fmt.Fprintf(w, "dialtone rollout resume %s --retry tries the %s again that %s given up.\n", v.Name, count(n, "phone"), map[bool]string{true: "was", false: "were"}[n == 1])
	}
	if !v.Open && v.Phase != "done" {
		fmt.Fprintf(w, "No phone is let in outside of its hours, %s: for the service it is %s.\n", v.Window, v.Now.Format("15:04 MST"))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MAC\tNAME\tWAVE\tSTATE\tFROM\tVERSION\tSINCE\tREASON")
	for _, p := range v.Phones {
		wave := "-"
		switch {
		case p.Canary:
			wave = "canary"
		case p.Wave > 0:
			wave = fmt.Sprint(p.Wave)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.MAC, cell(names[p.MAC]), wave, p.Stage, cell(p.From), cell(p.Version), ago(p.Since), cell(p.Reason))
	}
	return t.Flush()
}

type rolloutPauseCmd struct {
	configFlag
	Name string `arg:"" optional:"" help:"The rollout; left out where there is one."`
}

func (c *rolloutPauseCmd) Run(a *app) error { return steer(a, c.Config, c.Name, "pause") }

type rolloutResumeCmd struct {
	configFlag
	Name  string `arg:"" optional:"" help:"The rollout; left out where there is one."`
	Retry bool   `help:"Try the phones again that were given up, instead of going on without them."`
}

func (c *rolloutResumeCmd) Run(a *app) error {
	verb := "resume"
	if c.Retry {
		verb += "?retry"
	}
	return steer(a, c.Config, c.Name, verb)
}

// steer has the running service do something with a rollout.
func steer(a *app, config, name, verb string) error {
	cfg, err := load(config, nil)
	if err != nil {
		return err
	}
	if name == "" {
		all := cfg.Set.Rollouts()
		if len(all) != 1 {
			var names []string
			for _, r := range all {
				names = append(names, r.Name)
			}
			return fmt.Errorf("the configuration has %s: name the one (%s)", count(len(all), "rollout"), cmp.Or(strings.Join(names, ", "), "none"))
		}
		name = all[0].Name
	}
	var v rollout.View
	if err := control(cfg.Appliance.StateDir, http.MethodPost, "/v1/rollouts/"+url.PathEscape(name)+"/"+verb, &v); err != nil {
		return err
	}
	switch {
	case v.Paused && v.Stopped != "":
		fmt.Fprintf(a.Stdout, "%s is paused, and had stopped: %s.\n", v.Name, v.Stopped)
	case v.Paused:
		fmt.Fprintf(a.Stdout, "%s is paused: dialtone rollout resume %s lets it go on.\n", v.Name, v.Name)
	default:
		fmt.Fprintf(a.Stdout, "%s goes on: %s.\n", v.Name, phaseOf(v))
	}
	return nil
}
