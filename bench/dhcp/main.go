// Command dhcp measures dialtone's DHCP server against Kea, dnsmasq and ISC
// dhcpd, one after the other on the same machine, and prints a table of
// ratios. It needs Linux and root: each server runs in a network namespace of
// its own, with its clients in another one. The namespaces have no names and
// end with their processes, so nothing is left behind however this ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"dialtone/bench/internal/rig"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the command line's.
type options struct {
	rig.Options
	sizes sizes
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("dhcp", flag.ContinueOnError)
	fs.SetOutput(stderr)
	seconds := fs.Int("seconds", 0, "the length of a trial (default 10, or 2 with -quick)")
	small := fs.Bool("quick", false, "small sizes, to see that everything works")
	var servers, names []string
	for _, p := range peers("") {
		servers = append(servers, p.name)
	}
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	if err := o.Parse(fs, args, servers, names); err != nil {
		return o, err
	}
	if o.sizes = full; *small {
		o.sizes = quick
	}
	if *seconds > 0 {
		o.sizes.seconds = *seconds
	}
	return o, nil
}

// bench is a run.
type bench struct {
	sizes  sizes
	dir    string // emptied for each server
	report *rig.Report
	log    *slog.Logger
}

func (b *bench) period() time.Duration { return time.Duration(b.sizes.seconds) * time.Second }

func (b *bench) record(key string, p peer, value float64) { b.recordNote(key, p, value, "") }

func (b *bench) recordNote(key string, p peer, value float64, note string) {
	b.log.Info("measured", "server", p.name, "what", key, "value", value, "note", note)
	b.report.Record(key, p.name, rig.Figure{Value: value, Note: note})
}

// boot starts a server with an empty state.
func (b *bench) boot(ctx context.Context, p peer, prefix netip.Prefix) (*server, error) {
	return b.bootWith(ctx, p, prefix, func(*setup) error { return nil })
}

// bootWith does so after prepare has changed the setup.
func (b *bench) bootWith(ctx context.Context, p peer, prefix netip.Prefix, prepare func(*setup) error) (*server, error) {
	s, err := newSetup(filepath.Join(b.dir, p.name), prefix)
	if err != nil {
		return nil, fmt.Errorf("making folders: %w", err)
	}
	if err := prepare(&s); err != nil {
		return nil, fmt.Errorf("preparing the state: %w", err)
	}
	return boot(ctx, p, s)
}

func run(args []string, stdout, stderr io.Writer) int {
	return rig.Main("bench/dhcp", args, stdout, stderr, parse, measure)
}

// measure does everything that was asked for. What was measured is printed,
// even where it was interrupted.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	b := &bench{sizes: o.sizes, log: slog.New(slog.NewTextHandler(stderr, nil))}
	if b.dir, err = os.MkdirTemp(o.Dir, "bench-dhcp-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if _, err := rig.FileSystem(b.dir); err != nil {
		return err
	}

	var among []peer
	var left []string
	if o.Install {
		need := map[string][]string{"perfdhcp": {"kea-admin"}, "perf": {"linux-perf"}}
		for _, p := range peers(o.Dialtone) {
			if slices.Contains(o.Servers, p.name) && p.packages != nil {
				need[p.program] = p.packages
			}
		}
		if err := rig.Install(ctx, need, stderr); err != nil {
			left = append(left, fmt.Sprintf("Packages could not be installed: %v.", err))
		}
	}
	for _, p := range peers(o.Dialtone) {
		if !slices.Contains(o.Servers, p.name) {
			continue
		}
		if _, err := exec.LookPath(p.program); err != nil {
			left = append(left, fmt.Sprintf("%s is left out: %v.", p.title, err))
			continue
		}
		among = append(among, p)
	}
	if b.report, err = rig.NewReport("dhcp", b.dir); err != nil {
		return err
	}
	for _, p := range among {
		b.report.AddPeer(p.name, p.title, append([]string{p.program}, p.version...))
	}
	b.report.Notes = append(b.report.Notes, left...)
	b.plan(o, among, stderr)

	for _, p := range among {
		for _, s := range scenarios {
			if !slices.Contains(o.Scenarios, s.name) || ctx.Err() != nil {
				continue
			}
			b.log.Info("scenario", "name", s.name, "server", p.name)
			err := s.run(ctx, b, p)
			if err != nil && ctx.Err() == nil {
				b.log.Error("scenario", "name", s.name, "server", p.name, "err", err)
				b.report.Note("%s, %s: %v", p.title, s.name, err)
			}
		}
	}
	return b.report.Write(ctx, stdout, o.JSON, rows(b.sizes))
}

// plan says how long it will take.
func (b *bench) plan(o options, among []peer, w io.Writer) {
	total := 0.0
	for _, s := range scenarios {
		if slices.Contains(o.Scenarios, s.name) {
			m := s.minutes(b.sizes)
			total += m * float64(len(among))
			fmt.Fprintf(w, "%-8s %4.1f min for each of %d servers\n", s.name, m, len(among))
		}
	}
	fmt.Fprintf(w, "about %.0f minutes in all\n", total)
}
