package config

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"dialtone/internal/mac"
)

// Rollout is a rollout block: new firmware for the phones of some models, a few
// at a time. The models and the firmware are checked by package profiles.
type Rollout struct {
	Name        string
	Models      []Word
	Firmware    Word
	Canaries    []mac.Addr // that go first; empty for the first CanaryCount that ask
	CanaryCount int
	Wave        int           // phones of a wave, 0 for Percent
	Percent     int           // of the phones that it covers
	Window      Window        // when phones are let in
	Downloads   int           // at once
	Bandwidth   int64         // octets per second for its images, in all; 0 for no limit
	Patience    time.Duration // with a phone that does not come back

	DeclRange hcl.Range // the label
}

// Word is a text and where it was written.
type Word struct {
	Text  string
	Range hcl.Range
}

// Window is a part of the day, in minutes since midnight: from From up to To,
// past midnight where that is less. Both are 0 for the whole day.
type Window struct{ From, To int }

var rolloutSchema = arguments("models!", "firmware!", "canaries", "wave", "window", "downloads", "bandwidth", "patience")

func (d *decoder) rollout(block *hcl.Block) {
	b := d.open(block, rolloutSchema)
	r := Rollout{Name: block.Labels[0], CanaryCount: 1, Wave: 10, DeclRange: block.LabelRanges[0]}
	if !rolloutName.MatchString(r.Name) {
		d.fail(r.DeclRange, "Invalid name", "%q is no name of a rollout; write letters, digits, - and _, at most 63.", r.Name)
	}
	for _, other := range d.cfg.Rollouts {
		if other.Name == r.Name {
			d.fail(r.DeclRange, "Duplicate block", "There is a rollout %q already, at %s. Give this one another name, or join the two.", r.Name, where(other.DeclRange))
		}
	}
	models, _ := b.list("models")
	for _, e := range models {
		if s, ok := d.text(e); ok {
			r.Models = append(r.Models, Word{s, e.at()})
		}
	}
	if a := b.Attributes["models"]; a != nil && len(r.Models) == 0 && !d.rep.HasErrors() {
		d.fail(a.Expr.Range(), "Empty list", `models is empty. Name the models whose phones are to be updated, like ["snomD785"].`)
	}
	if s, at, ok := b.text("firmware"); ok {
		r.Firmware = Word{s, at}
		if s == "" {
			d.fail(at, "Invalid firmware", "firmware is empty. Write the version that phones are to run, such as 10.1.226.16.")
		}
	}
	d.canaries(b, &r)
	if v, ok := b.get("wave", false); ok {
		percent, isPercent := "", false
		if v.Type() == cty.String {
			percent, isPercent = strings.CutSuffix(v.AsString(), "%")
		}
		if n, err := strconv.Atoi(percent); isPercent && err == nil && 1 <= n && n <= 100 {
			r.Wave, r.Percent = 0, n
		} else if isPercent {
			d.fail(v.at(), "Number out of range", `wave takes a number of phones, or a share of them from "1%%" to "100%%".`)
		} else {
			r.Wave = b.integer("wave", r.Wave, 1, 10_000)
		}
	}
	r.Window = b.window("window")
	r.Downloads = b.integer("downloads", 5, 1, 1000)
	r.Bandwidth = b.bandwidth("bandwidth")
	r.Patience = b.duration("patience", 30*time.Minute, 2*time.Minute, 7*24*time.Hour)
	d.cfg.Rollouts = append(d.cfg.Rollouts, r)
}

var rolloutName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

// canaries reads a number of phones, or which.
func (d *decoder) canaries(b body, r *Rollout) {
	v, ok := b.get("canaries", false)
	if !ok {
		return
	}
	if ty := v.Type(); !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		r.CanaryCount = b.integer("canaries", r.CanaryCount, 0, 1000)
		return
	}
	elements, _ := d.elements(v)
	for _, e := range elements {
		s, ok := d.text(e)
		if !ok {
			continue
		}
		m, err := mac.Parse(s)
		if err != nil {
			d.fail(e.at(), "Invalid MAC", "canaries: %v.", err)
			continue
		}
		r.Canaries = append(r.Canaries, m)
	}
	if len(elements) == 0 {
		r.CanaryCount = 0
	}
}

var timeOfDay = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

func (b body) window(name string) Window {
	elements, ok := b.list(name)
	if !ok {
		return Window{}
	}
	var minutes []int
	for _, e := range elements {
		s, ok := b.d.text(e)
		if !ok {
			return Window{}
		}
		m := timeOfDay.FindStringSubmatch(s)
		if s == "24:00" {
			m = []string{s, "0", "00"}
		}
		if m == nil {
			b.d.fail(e.at(), "Invalid time of day", `%s: %q is no time of day; write hours and minutes, like "22:00".`, name, s)
			return Window{}
		}
		hours, _ := strconv.Atoi(m[1])
		minute, _ := strconv.Atoi(m[2])
		minutes = append(minutes, hours*60+minute)
	}
	if len(minutes) != 2 || minutes[0] == minutes[1] {
		b.d.fail(b.Attributes[name].Expr.Range(), "Invalid window", `%s takes two times of day, from and to: ["22:00", "05:00"]. Leave it out for any time.`, name)
		return Window{}
	}
	return Window{minutes[0], minutes[1]}
}

var (
	bandwidthForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([kMG]?)(bit|B)/s$`)
	unitFactors   = map[string]int64{"": 1, "k": 1000, "M": 1000 * 1000, "G": 1000 * 1000 * 1000}
)

// bandwidth reads a rate and gives it in octets per second.
func (b body) bandwidth(name string) int64 {
	s, at, ok := b.text(name)
	if !ok {
		return 0
	}
	m := bandwidthForm.FindStringSubmatch(s)
	if m == nil {
		b.d.fail(at, "Invalid bandwidth", `%s: %q is no rate; write a number with its unit, like "20Mbit/s" or "2.5MB/s".`, name, s)
		return 0
	}
	rate, _, err := big.ParseFloat(m[1], 10, 64, big.ToZero)
	if err != nil {
		b.d.fail(at, "Invalid bandwidth", "%s: %q is no number.", name, m[1])
		return 0
	}
	rate.Mul(rate, big.NewFloat(float64(unitFactors[m[2]])))
	if m[3] == "bit" {
		rate.Quo(rate, big.NewFloat(8))
	}
	octets, _ := rate.Int64()
	if least := int64(64 << 10); octets < least || octets > 1<<40 {
		b.d.fail(at, "Bandwidth out of range", "%s may be from %s on, where a phone does not give up, not %q.", name, fmt.Sprintf("%d kB/s", least/1000), s)
		return 0
	}
	return octets
}
