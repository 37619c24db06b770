package main

import (
	"context"
	"errors"
	"os"
)

type serveCmd struct {
	configFlag
}

func (c *serveCmd) Run(a *app) error {
	cfg, err := load(c.Config, statePasswords)
	if err != nil {
		return err
	}
	if cfg.Report.HasErrors() {
		if err := writeReport(a.Stderr, cfg.Report); err != nil {
			return err
		}
		return exitError{exitWrong}
	}
	_, warnings := cfg.Report.Lines()
	for _, line := range warnings {
		a.Log.Warn("configuration", "reason", line)
	}
	if os.Getenv("GOGC") == "" {
		boundGarbage()
	}
	appliance, err := newAppliance(c.Config, cfg, a.Log)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 && os.Getenv("INVOCATION_ID") != "" {
		a.Log.Warn("running as root; the unit's own user and two capabilities are enough")
	}
	for _, sentence := range notServed(cfg) {
		a.Log.Warn(sentence)
	}
	return errors.Join(appliance.Run(context.Background()), appliance.Close())
}

// notServed says which parts of a configuration this version reads and checks
// but does not serve, so that nobody waits for them.
func notServed(cfg configuration) []string {
	var s []string
	if cfg.DNS != nil {
		s = append(s, "the dns block is checked, but DNS is not served yet: phones are given the network's dns_servers, else its routers")
	}
	if cfg.Admin != nil {
		s = append(s, "the admin block is checked, but the status page is not served yet")
	}
	if cfg.Provisioning.PnP {
		s = append(s, "provisioning.pnp is on, but SIP PnP is not answered yet: phones learn of this appliance by DHCP")
	}
	return s
}
