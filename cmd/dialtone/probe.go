package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"dialtone/dhcpd/probe"
	"dialtone/internal/mac"
)

// probeCmd looks for DHCP servers. That it finds some, or none, is an answer
// and no error: the exit status says only whether the wire could be asked.
type probeCmd struct {
	Interface string        `required:"" placeholder:"NAME" help:"The interface whose wire is asked. Needs CAP_NET_RAW; it needs no address."`
	Wait      time.Duration `default:"3s" help:"Listen for so long."`
	Class     string        `placeholder:"TEXT" help:"Say this vendor class (option 60), like snomD785: servers answer some differently."`
	JSON      bool          `name:"json" help:"Print the servers as JSON."`
}

// Validate is called by kong.
func (c *probeCmd) Validate() error {
	if c.Wait <= 0 || c.Wait > time.Hour {
		return errors.New("--wait takes more than nothing and at most an hour")
	}
	if len(c.Class) > 255 {
		return errors.New("--class takes at most 255 octets")
	}
	return nil
}

// foundServer is a DHCP server as probe shows it.
type foundServer struct {
	Server         netip.Addr `json:"server"`
	MAC            mac.Addr   `json:"mac"`
	Offered        netip.Addr `json:"offered"`
	LeaseSeconds   int64      `json:"lease_seconds"`
	TFTPServerName string     `json:"tftp_server_name,omitempty"`
	Bootfile       string     `json:"bootfile_name,omitempty"`
}

func (c *probeCmd) Run(a *app) error {
	ifi, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return fmt.Errorf("looking for interface %s: %w (ip link lists those that there are)", c.Interface, err)
	}
	servers, err := c.ask(ifi)
	if errors.Is(err, probe.ErrNotAllowed) {
		return fmt.Errorf("asking for DHCP servers on %s: %w: run it as root", c.Interface, err)
	}
	if err != nil {
		return fmt.Errorf("asking for DHCP servers on %s: %w", c.Interface, err)
	}
	if c.JSON {
		return printPlainJSON(a.Stdout, servers)
	}
	if len(servers) == 0 {
		fmt.Fprintf(a.Stdout, "No DHCP server answers on %s. One of this machine's own would not be heard there.\n", c.Interface)
	}
	for _, s := range servers {
		fmt.Fprintf(a.Stdout, "%s at %s offers %s for %s", s.Server, s.MAC, s.Offered, span(time.Duration(s.LeaseSeconds)*time.Second))
		if s.TFTPServerName != "" {
			fmt.Fprintf(a.Stdout, ", option 66 %q", s.TFTPServerName)
		}
		if s.Bootfile != "" {
			fmt.Fprintf(a.Stdout, ", option 67 %q", s.Bootfile)
		}
		fmt.Fprintln(a.Stdout)
	}
	return nil
}

// short shows a time as people write it: without minutes and seconds that are 0.
func span(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// ask sends a DISCOVER at the beginning and after each third of the time, and
// collects the servers that answer, in the order of their first answer.
func (c *probeCmd) ask(ifi *net.Interface) ([]foundServer, error) {
	wire, err := probe.OpenServers(ifi, probe.RandomMAC())
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	wire.Class = c.Class
	found := []foundServer{}
	now := time.Now()
	for i := range time.Duration(3) {
		if err := wire.Discover(); err != nil {
			return nil, err
		}
		if err := wire.SetDeadline(now.Add(c.Wait * (i + 1) / 3)); err != nil {
			return nil, err
		}
		for {
			s, err := wire.Receive()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			known := slices.ContainsFunc(found, func(f foundServer) bool { return f.Server == s.ID && f.MAC == s.MAC })
			if !s.Answer || known {
				continue
			}
			found = append(found, foundServer{
				Server: s.ID, MAC: s.MAC, Offered: s.Offered, LeaseSeconds: int64(s.LeaseTime / time.Second),
				TFTPServerName: s.TFTPServerName, Bootfile: s.Bootfile,
			})
		}
	}
	return found, nil
}
