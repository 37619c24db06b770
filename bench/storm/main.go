// Command storm powers 250 phones on at once, as after a power cut: each leases
// an address and reads its documents, and its firmware. It measures dialtone
// against dnsmasq (DHCP, TFTP) with nginx (HTTP) and prints a table of ratios.
// It needs Linux and root: each trial has network namespaces of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"time"

	"dialtone/bench/internal/rig"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the command line's.
type options struct {
	rig.Options
	phones int
	image  int // MB
	rounds int
}

var scenarios = []string{"documents", "http", "tftp"}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("storm", flag.ContinueOnError)
	fs.SetOutput(stderr)
	small := fs.Bool("quick", false, "20 phones and images of 1 MB, to see that everything works")
	fs.IntVar(&o.phones, "phones", 250, "how many phones")
	fs.IntVar(&o.image, "image", 20, "MB of the image")
	fs.IntVar(&o.rounds, "rounds", 3, "trials of each server, the median counts; of TFTP there is one")
	var servers []string
	for _, p := range peers("", "") {
		servers = append(servers, p.name)
	}
	if err := o.Parse(fs, args, servers, scenarios); err != nil {
		return o, err
	}
	if *small {
		o.phones, o.image, o.rounds = 20, 1, 1
	}
	if o.phones < 1 || o.phones > 2000 || o.image < 1 || o.image > 100 || o.rounds < 1 {
		return o, errors.New("1 to 2,000 phones, 1 to 100 MB, 1 round or more")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	return rig.Main("bench/storm", args, stdout, stderr, parse, measure)
}

func rows(o options) []rig.Row {
	var all []rig.Row
	phones := fmt.Sprintf("%d phones at once: ", o.phones)
	for _, s := range []struct{ key, title string }{
		{"documents", phones + "lease and five documents over HTTP"},
		{"http", fmt.Sprintf("… then an image of %d MB over HTTP", o.image)},
		{"tftp", fmt.Sprintf("… all of it over TFTP, blocks of %d", tftpBlock)},
	} {
		all = append(all,
			rig.Row{Key: s.key, Title: s.title + ", s until all are done", Less: true, Decimals: 2},
			rig.Row{Key: s.key + "-lease", Title: "… s until all have a lease", Less: true, Decimals: 2},
			rig.Row{Key: s.key + "-failed", Title: "… phones that failed", Less: true},
			rig.Row{Key: s.key + "-resent", Title: "… messages sent again", Less: true},
			rig.Row{Key: s.key + "-cpu", Title: "… CPU seconds", Less: true, Decimals: 2},
			rig.Row{Key: s.key + "-resident", Title: "… resident MB at most", Less: true, Decimals: 1})
	}
	return all
}

// measure does what was asked for. What was measured is printed, even where it
// was interrupted.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	dir, err := os.MkdirTemp(o.Dir, "bench-storm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	report, err := rig.NewReport("storm", dir)
	if err != nil {
		return err
	}
	if o.Install {
		need := map[string][]string{"dnsmasq": {"dnsmasq-base"}, "nginx": {"nginx-light"}}
		if err := rig.Install(ctx, need, stderr); err != nil {
			report.Note("Packages could not be installed: %v.", err)
		}
	}
	office, err := newOffice(ctx, o, dir)
	if err != nil {
		return err
	}
	var among []peer
	for _, p := range peers(o.Dialtone, office.files) {
		if !slices.Contains(o.Servers, p.name) {
			continue
		}
		var versions [][]string
		for _, part := range p.parts {
			if _, err = exec.LookPath(part.program); err != nil {
				break
			}
			versions = append(versions, append([]string{part.program}, part.version...))
		}
		if err != nil {
			report.Note("%s is left out: %v.", p.title, err)
			continue
		}
		report.AddPeer(p.name, p.title, versions...)
		among = append(among, p)
	}
	for _, s := range o.Scenarios {
		rounds := o.rounds
		if s == "tftp" {
			rounds = 1
		}
		got := make(map[string][]outcome)
		for range rounds {
			for _, p := range among {
				if ctx.Err() != nil {
					continue
				}
				r, err := office.storm(ctx, p, s)
				if err != nil {
					report.Note("%s, %s: %v", p.title, s, err)
					continue
				}
				log.Info("storm", "server", p.name, "scenario", s, "outcome", fmt.Sprintf("%+v", r))
				got[p.name] = append(got[p.name], r)
			}
		}
		for name, all := range got {
			slices.SortFunc(all, func(x, y outcome) int { return int(x.all - y.all) })
			r := all[len(all)/2]
			report.Record(s, name, rig.Figure{Value: r.all.Seconds()})
			report.Record(s+"-lease", name, rig.Figure{Value: r.leased.Seconds()})
			report.Record(s+"-failed", name, rig.Figure{Value: float64(r.failed), Note: r.reason})
			report.Record(s+"-resent", name, rig.Figure{Value: float64(r.resent)})
			report.Record(s+"-cpu", name, rig.Figure{Value: r.cpu.Seconds()})
			report.Record(s+"-resident", name, rig.Figure{Value: rig.Megabytes(r.resident)})
		}
	}
	return report.Write(ctx, stdout, o.JSON, rows(o))
}

// limit is when a storm is given up.
const limit = 150 * time.Second
