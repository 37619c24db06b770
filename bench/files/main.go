// Command files measures dialtone's HTTP against nginx and its TFTP against
// tftpd-hpa, atftpd and dnsmasq, side by side on the same machine, and prints a
// table of ratios. It needs Linux and root: each server runs in a network
// namespace of its own, with its clients in another one.
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
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the command line's.
type options struct {
	servers, scenarios []string
	only               *regexp.Regexp // of loads
	sizes              sizes
	dialtone, dir      string
	install, json      bool
}

// sizes are how much is measured.
type sizes struct {
	period  time.Duration // of a trial
	rounds  int           // trials of each server, in turns; the median counts
	missing int           // requests for files that are not there
	burst   int           // requests at once
}

var (
	full  = sizes{period: 3 * time.Second, rounds: 3, missing: 10_000, burst: 2_000}
	quick = sizes{period: 500 * time.Millisecond, rounds: 1, missing: 500, burst: 300}
)

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("files", flag.ContinueOnError)
	fs.SetOutput(stderr)
	servers := fs.String("servers", strings.Join(names(), ","), "the servers to measure")
	which := fs.String("scenarios", "documents,images,tftp,misuse", "the scenarios to measure")
	only := fs.String("only", "", "of documents, images and tftp, the loads whose key matches the regular expression, such as tftp-512-1")
	small := fs.Bool("quick", false, "small sizes, to see that everything works")
	rounds := fs.Int("rounds", 0, "trials of each server (default 3, or 1 with -quick)")
	fs.StringVar(&o.dialtone, "dialtone", "bin/dialtone", "the program to measure")
	fs.StringVar(&o.dir, "dir", "/var/tmp", "a folder on a real disk, for the servers' files")
	fs.BoolVar(&o.install, "install", true, "install with apt-get what is missing")
	fs.BoolVar(&o.json, "json", false, "print JSON instead of Markdown")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("reading -only: %w", err)
	}
	o.servers, o.scenarios, o.sizes = strings.Split(*servers, ","), strings.Split(*which, ","), full
	if *small {
		o.sizes = quick
	}
	if *rounds > 0 {
		o.sizes.rounds = *rounds
	}
	for _, s := range o.servers {
		if !slices.Contains(names(), s) {
			return o, fmt.Errorf("no server %q; there are %s", s, strings.Join(names(), ", "))
		}
	}
	for _, s := range o.scenarios {
		if !slices.Contains(scenarios, s) {
			return o, fmt.Errorf("no scenario %q; there are %s", s, strings.Join(scenarios, ", "))
		}
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	return rig.Main("bench/files", args, stdout, stderr, parse, measure)
}

// measure does what was asked for. What was measured is printed, even where it
// was interrupted.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	b := &bench{sizes: o.sizes, only: o.only, log: slog.New(slog.NewTextHandler(stderr, nil))}
	if b.dir, err = os.MkdirTemp(o.dir, "bench-files-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.report, err = rig.NewReport("files", b.dir); err != nil {
		return err
	}
	// Debian's tftpd-hpa and atftpd exclude each other.
	unpacked := filepath.Join(b.dir, "unpacked")
	all := peers(o.dialtone, filepath.Join(unpacked, "usr/sbin/in.tftpd"))
	if o.install {
		need := map[string][]string{"wrk": {"wrk"}}
		for _, p := range all {
			if p.packages != nil {
				need[p.program] = p.packages
			}
		}
		if err := rig.Install(ctx, need, stderr); err != nil {
			b.note("Packages could not be installed: %v.", err)
		}
		if err := rig.Unpack(ctx, "tftpd-hpa", unpacked, stderr); err != nil {
			b.note("%v.", err)
		}
	}
	defer func() {
		for _, s := range b.servers {
			err = errors.Join(err, s.stop())
		}
	}()
	for _, p := range all {
		if !slices.Contains(o.servers, p.name) {
			continue
		}
		if _, err := exec.LookPath(p.program); err != nil {
			b.note("%s is left out: %v.", p.title, err)
			continue
		}
		if err := b.boot(ctx, p); err != nil {
			return err
		}
		b.report.AddPeer(p.name, p.title, append([]string{p.program}, p.version...))
	}
	for _, s := range o.scenarios {
		if ctx.Err() != nil {
			b.note("Interrupted: the table is not complete.")
			break
		}
		b.log.Info("scenario", "name", s)
		if err := b.scenario(ctx, s); err != nil && ctx.Err() == nil {
			b.note("%s: %v", s, err)
		}
	}
	if o.json {
		return errors.Join(ctx.Err(), b.report.WriteJSON(stdout))
	}
	return errors.Join(ctx.Err(), b.report.WriteMarkdown(stdout, rows(b.sizes)))
}
