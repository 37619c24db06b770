package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/pki"
)

// caCmd prints the certificate of the appliance's authority. It holds no secret.
type caCmd struct {
	configFlag
	DER bool `name:"der" help:"Print it in binary form (DER), as a phone fetches it from a URL."`
}

func (c *caCmd) Run(a *app) error {
	// Certificates that are named and missing are no matter here.
	cfg, _ := config.Load(c.Config, config.Options{Credentials: os.Getenv("CREDENTIALS_DIRECTORY")})
	if cfg.Appliance.StateDir == "" {
		return errors.New("the configuration does not say where the state is: dialtone check says why")
	}
	if err := os.MkdirAll(cfg.Appliance.StateDir, 0o750); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	authority, err := pki.OpenAuthority(cfg.Appliance.StateDir, time.Now())
	if err != nil {
		return err
	}
	out := authority.PEM()
	if c.DER {
		out = authority.Certificate()
	}
	_, err = a.Stdout.Write(out)
	return err
}
