// Command dialtone takes Snom phones from the box to a dial tone: it leases
// them addresses and serves them the settings and the firmware that fit.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// commandLine is what the arguments may be; kong reads it.
type commandLine struct {
	Debug bool `help:"Log every step, not only what matters."`

	Serve    serveCmd    `cmd:"" help:"Serve the phones until told to stop."`
	Check    checkCmd    `cmd:"" help:"Report every error and warning of a configuration."`
	Fmt      fmtCmd      `cmd:"" help:"Rewrite configuration files in the usual layout."`
	Render   renderCmd   `cmd:"" help:"Print the bytes that a phone would be served."`
	Diff     diffCmd     `cmd:"" help:"Say what would change on a phone, against what it last got."`
	Phones   phonesCmd   `cmd:"" help:"List the phones: configured, seen, up to date or not; settle those that were reset."`
	Firmware firmwareCmd `cmd:"" help:"Keep the firmware images that phones fetch."`
	Rollout  rolloutCmd  `cmd:"" help:"Show how far new firmware has come among the phones; pause it, go on."`
	Reload   reloadCmd   `cmd:"" help:"Have the running service read its configuration again."`
	CA       caCmd       `cmd:"" name:"ca" help:"Print the certificate of the appliance's own authority, for phones to trust."`
	Leases   leasesCmd   `cmd:"" help:"List the leases; move them from and to other DHCP servers."`
	Import   importCmd   `cmd:"" help:"Turn the configuration of another DHCP server into ours."`
	Probe    probeCmd    `cmd:"" help:"Show which DHCP servers answer on a wire."`
	Simulate simulateCmd `cmd:"" help:"Be a phone: lease an address, fetch everything, say what it would be set to."`
	Demo     demoCmd     `cmd:"" help:"Watch three simulated phones boot, in a network of its own."`
	Settings settingsCmd `cmd:"" help:"Search what phones can be set to."`
	Schema   schemaCmd   `cmd:"" help:"Describe the language of configurations for editors, as JSON."`
	Version  versionCmd  `cmd:"" help:"Say which version this is."`
}

// app is what a command gets from its surroundings.
type app struct {
	Stdout, Stderr io.Writer
	Log            *slog.Logger
}

// exitError ends the program with a status of its own. A command that returns
// one has said on Stderr what there was to say.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// Exit statuses, as DESIGN has them: 1 for what was found wrong, 2 for a
// command line that says nothing sensible.
const (
	exitWrong = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program but for its end.
func run(args []string, stdout, stderr io.Writer) int {
	var cl commandLine
	exited := -1
	parser, err := kong.New(&cl,
		kong.Name("dialtone"),
		kong.Description("DHCP, TFTP and HTTP for Snom phones, from one configuration."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintf(stderr, "dialtone: reading its own command line: %v\n", err)
		return exitWrong
	}
	ctx, err := parser.Parse(args)
	if exited >= 0 { // --help has printed and asked to end
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "dialtone: %v\nTry dialtone --help.\n", err)
		return exitUsage
	}
	a := &app{Stdout: stdout, Stderr: stderr, Log: newLogger(stderr, cl.Debug)}
	err = ctx.Run(a)
	if exit, ok := errors.AsType[exitError](err); ok {
		return exit.code
	}
	if err != nil {
		fmt.Fprintf(stderr, "dialtone: %v\n", err)
		return exitWrong
	}
	return 0
}

// newLogger writes a line an event. Under systemd the journal knows the time.
func newLogger(w io.Writer, debug bool) *slog.Logger {
	opt := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		opt.Level = slog.LevelDebug
	}
	if os.Getenv("JOURNAL_STREAM") != "" {
		opt.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

// terminal reports whether w is one, and how many columns it has; 0 where it
// is none or does not say.
func terminal(w io.Writer) (columns int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, true
	}
	return columns, true
}
