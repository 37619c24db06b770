package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"

	"dialtone/internal/migrate"
)

// importCmd turns other configurations into ours. What
// could not be carried over is said, and is no error: much of it is not wanted.
type importCmd struct {
	Dnsmasq importDnsmasqCmd `cmd:"" help:"From dnsmasq: its ranges, reservations, options and vendor classes."`
	ISC     importISCCmd     `cmd:"" name:"isc" help:"From ISC dhcpd: its subnets, reservations, options and vendor classes."`
	Snom    importSnomCmd    `cmd:"" help:"From a folder of Snom XML or text files: profiles, models and phones that set the phones to the same."`
}

// importFlags are common to every server that is imported from.
type importFlags struct {
	Interface string   `placeholder:"NAME" help:"Write an appliance block too, for this interface: then the text is a whole configuration."`
	Output    string   `short:"o" placeholder:"FILE" type:"path" help:"Write to a file that is not there yet; left out: standard output."`
	Force     bool     `help:"Let --output replace a file."`
	Files     []string `arg:"" name:"file" help:"Configuration files, in the order in which the server reads them; those that they include are read by themselves."`
}

type importDnsmasqCmd struct{ importFlags }

func (c *importDnsmasqCmd) Run(a *app) error {
	result, err := migrate.Dnsmasq(c.Files...)
	if err != nil {
		return err
	}
	return c.write(a, result)
}

type importISCCmd struct{ importFlags }

func (c *importISCCmd) Run(a *app) error {
	result, err := migrate.ISC(c.Files...)
	if err != nil {
		return err
	}
	return c.write(a, result)
}

func (c *importFlags) write(a *app, result migrate.Result) error {
	text := result.HCL
	if c.Interface != "" {
		text = fmt.Appendf(nil, "appliance {\n  interface = %q\n}\n\n%s", c.Interface, text)
	}
	var err error
	switch {
	case c.Output == "":
		_, err = a.Stdout.Write(text)
	case c.Force:
		err = renameio.WriteFile(c.Output, text, 0o644, renameio.WithExistingPermissions())
	default:
		err = writeNew(c.Output, text)
	}
	if err != nil {
		return err
	}
	for _, p := range result.Problems {
		fmt.Fprintln(a.Stderr, p)
	}
	if n := len(result.Problems); n > 0 {
		fmt.Fprintf(a.Stderr, "%s to look at.\n", count(n, "line"))
	}
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; --force replaces it", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
