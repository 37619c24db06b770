package rig

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// Options are what every measurement is told on its command line.
type Options struct {
	Servers, Scenarios []string
	Dialtone           string // the program
	Dir                string // for folders of its own
	Install, JSON      bool
}

// Parse reads a command line that may name some of servers and scenarios; all is
// the default. The flags that the measurement has besides are in fs already.
func (o *Options) Parse(fs *flag.FlagSet, args, servers, scenarios []string) error {
	among := fs.String("servers", strings.Join(servers, ","), "the servers to measure")
	which := fs.String("scenarios", strings.Join(scenarios, ","), "the scenarios to measure")
	fs.StringVar(&o.Dialtone, "dialtone", "bin/dialtone", "the program to measure")
	fs.StringVar(&o.Dir, "dir", "/var/tmp", "a folder on a real disk, for the servers' state and files")
	fs.BoolVar(&o.Install, "install", true, "install with apt-get what is missing")
	fs.BoolVar(&o.JSON, "json", false, "print JSON instead of Markdown")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o.Servers, o.Scenarios = strings.Split(*among, ","), strings.Split(*which, ",")
	for _, list := range []struct {
		what       string
		named, all []string
	}{{"scenario", o.Scenarios, scenarios}, {"server", o.Servers, servers}} {
		for _, name := range list.named {
			if !slices.Contains(list.all, name) {
				return fmt.Errorf("no %s %q; there are %s", list.what, name, strings.Join(list.all, ", "))
			}
		}
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}
