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
	"time"

	"dialtone/bench/internal/rig"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the command line's.
type options struct {
	rig.Options
	only  *regexp.Regexp // of loads
	sizes sizes
}

// sizes are how much is measured.
type sizes struct {
	period  time.Duration // of a trial
	rounds  int           // trials of each server, in turns; the median counts
	missing int           // requests for files that are not there
	burst   int           // requests at once
}

var (
	full  = sizes{period: 3 * time.Second, rounds: 5, missing: 10_000, burst: 2_000}
	quick = sizes{period: 500 * time.Millisecond, rounds: 1, missing: 500, burst: 300}
)

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("files", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "of documents, images and tftp, the loads whose key matches the regular expression, such as tftp-512-1")
	small := fs.Bool("quick", false, "small sizes, to see that everything works")
	rounds := fs.Int("rounds", 0, "trials of each server (default 5, or 1 with -quick)")
	if err := o.Parse(fs, args, names(), scenarios); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("reading -only: %w", err)
	}
	if o.sizes = full; *small {
		o.sizes = quick
	}
	if *rounds > 0 {
		o.sizes.rounds = *rounds
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
	if b.dir, err = os.MkdirTemp(o.Dir, "bench-files-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.report, err = rig.NewReport("files", b.dir); err != nil {
		return err
	}
	// Debian's tftpd-hpa and atftpd exclude each other.
	unpacked := filepath.Join(b.dir, "unpacked")
	all := peers(o.Dialtone, filepath.Join(unpacked, "usr/sbin/in.tftpd"))
	if o.Install {
		need := map[string][]string{"wrk": {"wrk"}}
		for _, p := range all {
			if p.packages != nil {
				need[p.program] = p.packages
			}
		}
		if err := rig.Install(ctx, need, stderr); err != nil {
			b.report.Note("Packages could not be installed: %v.", err)
		}
		if err := rig.Unpack(ctx, "tftpd-hpa", unpacked, stderr); err != nil {
			b.report.Note("%v.", err)
		}
	}
	defer func() {
		for _, s := range b.servers {
			err = errors.Join(err, s.stop())
		}
	}()
	for _, p := range all {
		if !slices.Contains(o.Servers, p.name) {
			continue
		}
		if _, err := exec.LookPath(p.program); err != nil {
			b.report.Note("%s is left out: %v.", p.title, err)
			continue
		}
		if err := b.boot(ctx, p); err != nil {
			return err
		}
		b.report.AddPeer(p.name, p.title, append([]string{p.program}, p.version...))
	}
	for _, s := range o.Scenarios {
		if ctx.Err() != nil {
			break
		}
		b.log.Info("scenario", "name", s)
		if err := b.scenario(ctx, s); err != nil && ctx.Err() == nil {
			b.report.Note("%s: %v", s, err)
		}
	}
	return b.report.Write(ctx, stdout, o.JSON, rows(b.sizes))
}
