package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"

	"dialtone/dhcpd"
	"dialtone/internal/config"
	"dialtone/internal/folder"
	"dialtone/internal/leasefile"
	"dialtone/internal/mac"
	"dialtone/profiles"
)

// leasesCmd shows and moves leases. It asks the running service, or reads the
// state of one that is stopped, where an expiry is the recorded one: up to one
// lease time later than what the client was told.
type leasesCmd struct {
	List    leasesListCmd    `cmd:"" default:"withargs" help:"List the leases (the default)."`
	Export  leasesExportCmd  `cmd:"" help:"Write the leases as another DHCP server reads them."`
	Import  leasesImportCmd  `cmd:"" help:"Take over the leases of another DHCP server."`
	Release leasesReleaseCmd `cmd:"" help:"End a lease, or give a declined address free."`
}

type leasesListCmd struct {
	configFlag
	All  bool `help:"Ended leases and declined addresses, too."`
	JSON bool `name:"json" help:"Print the leases as JSON."`
}

func (c *leasesListCmd) Run(a *app) error {
	cfg, _ := config.Load(c.Config, config.Options{})
	leases, err := readLeases(cfg, a.Log)
	if err != nil {
		return err
	}
	known := len(leases)
	if !c.All {
		leases = slices.DeleteFunc(leases, func(l leasefile.Lease) bool { return l.State != leasefile.Active })
	}
	if c.JSON {
		return leasefile.Write(a.Stdout, leasefile.JSON, leases)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tMAC\tNAME\tSTATE\tUNTIL\tDEVICE\tNETWORK")
	for _, l := range leases {
		device := profiles.ModelOf(l.VendorClass)
		if device == "" {
			device = l.VendorClass
		}
		fmt.Fprintf(w, "%v\t%v\t%s\t%s\t%s\t%s\t%s\n",
			l.Address, client(l.MAC), cell(l.Hostname), l.State, l.Expiry.Local().Format(time.DateTime), cell(device), cell(l.Network))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	more := ""
	if n := known - len(leases); n > 0 {
		more = fmt.Sprintf(", and %d ended or declined: --all shows them", n)
	}
	fmt.Fprintf(a.Stdout, "%s%s.\n", count(len(leases), "lease"), more)
	return nil
}

// cell makes text from the network fit for a terminal.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// client shows a MAC, which is not known of every address.
func client(m mac.Addr) string {
	if m.IsZero() {
		return cell("")
	}
	return m.String()
}

type leasesExportCmd struct {
	configFlag
	Format string `required:"" enum:"csv,json,dnsmasq,isc,kea" help:"Format: ${enum}."`
	File   string `arg:"" optional:"" type:"path" help:"File to write; left out: standard output."`
}

func (c *leasesExportCmd) Run(a *app) error {
	cfg, _ := config.Load(c.Config, config.Options{})
	leases, err := readLeases(cfg, a.Log)
	if err != nil {
		return err
	}
	if c.File == "" {
		return leasefile.Write(a.Stdout, leasefile.Format(c.Format), leases)
	}
	f, err := renameio.NewPendingFile(c.File, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if err := leasefile.Write(f, leasefile.Format(c.Format), leases); err != nil {
		return err
	}
	// The other server does not run as root: the file stays its own.
	owner := c.File
	if _, err := os.Stat(owner); errors.Is(err, fs.ErrNotExist) {
		owner = filepath.Dir(c.File)
	}
	if err := folder.Own(f.File, owner); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

type leasesImportCmd struct {
	configFlag
	Format string `default:"auto" enum:"auto,csv,json,dnsmasq,isc,kea" help:"Format: ${enum}. By itself the file says."`
	DryRun bool   `help:"Say what would come of it, and change nothing."`
	File   string `arg:"" help:"The lease file: dnsmasq.leases, dhcpd.leases, kea-leases4.csv, or what export wrote."`
}

func (c *leasesImportCmd) Run(a *app) error {
	leases, problems, err := c.read()
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintf(a.Stderr, "%s:%d: %s\n", c.File, p.Line, p.Text)
	}
	table, err := openTable(a, c.Config)
	if err != nil {
		return err
	}
	verdicts, err := table.Import(leases, c.DryRun)
	if err = errors.Join(err, table.Close()); err != nil {
		return err
	}
	counts := map[dhcpd.Outcome]int{}
	for i, v := range verdicts {
		counts[v.Outcome]++
		if v.Outcome == dhcpd.LeftOut {
			fmt.Fprintf(a.Stderr, "%s:%d: %v %s\n", c.File, leases[i].Line, leases[i].Address, v.Reason)
		}
	}
	would := ""
	if c.DryRun {
		would = "would be "
	}
	fmt.Fprintf(a.Stdout, "%s %simported, %d unchanged, %d left out, %d not readable.\n", count(counts[dhcpd.Imported], "lease"), would,
		counts[dhcpd.Unchanged], counts[dhcpd.LeftOut], len(problems))
	return nil
}

func (c *leasesImportCmd) read() ([]leasefile.Lease, []leasefile.Problem, error) {
	f, err := os.Open(c.File)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	format := leasefile.Format(c.Format)
	if c.Format == "auto" {
		first, err := r.Peek(r.Size())
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("reading %s: %w", c.File, err)
		}
		if format = leasefile.Detect(first); format == "" {
			return nil, nil, fmt.Errorf("%s looks like no lease file that is known; say with --format what it is", c.File)
		}
	}
	leases, problems, err := leasefile.Read(r, format)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return leases, problems, nil
}

type leasesReleaseCmd struct {
	configFlag
	Who string `arg:"" name:"address|mac" help:"An address, or a client by its MAC in any spelling: all of its addresses."`
}

func (c *leasesReleaseCmd) Run(a *app) error {
	addr, err := netip.ParseAddr(c.Who)
	m, notMAC := mac.Parse(c.Who)
	if err != nil && notMAC != nil {
		return fmt.Errorf("%q is neither an IP address nor a MAC address", c.Who)
	}
	cfg, _ := config.Load(c.Config, config.Options{})
	leases, err := readLeases(cfg, a.Log)
	if err != nil {
		return err
	}
	leases = slices.DeleteFunc(leases, func(l leasefile.Lease) bool {
		return l.State == leasefile.Expired || l.Address != addr && (notMAC != nil || l.MAC != m)
	})
	if len(leases) == 0 {
		if notMAC != nil {
			return fmt.Errorf("nobody leases %v, and it is not declined: there is nothing to release", addr)
		}
		return fmt.Errorf("%v leases nothing, and has declined nothing: there is nothing to release", m)
	}
	table, err := openTable(a, c.Config)
	if err != nil {
		return err
	}
	for _, l := range leases {
		var found bool
		if found, err = table.Release(l.Address, l.MAC); err != nil {
			break
		}
		if found {
			fmt.Fprintf(a.Stdout, "%v is free.\n", l.Address)
		}
	}
	return errors.Join(err, table.Close())
}
