package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/password"
	"dialtone/profiles"
)

// defaultConfig is where the package puts the configuration.
const defaultConfig = "/etc/dialtone"

// configFlag names the configuration in every command that reads one.
type configFlag struct {
	Config string `short:"c" default:"/etc/dialtone" placeholder:"DIR|FILE" help:"Configuration: a folder of *.hcl files, or one file (${default})."`
}

// configuration is what one reading gave: the same for serve, check and
// render, so that they cannot disagree.
type configuration struct {
	*config.Config
	Set    *profiles.Set
	Report *config.Report
	// Seal is for secrets in the register; nil where the passwords are placeholders.
	Seal func(secret string) string
}

// load reads and checks a configuration whole. passwords makes the generated
// ones once it is known where the state is; nil stands for placeholders, for
// commands that show none.
func load(path string, passwords func(stateDir string) (*password.Source, error)) (configuration, error) {
	cfg, report := config.Load(path, config.Options{Credentials: os.Getenv("CREDENTIALS_DIRECTORY"), Now: time.Now()})
	var source profiles.Passwords = password.Placeholder{}
	var seal func(string) string
	if passwords != nil && !report.HasErrors() {
		s, err := passwords(cfg.Appliance.StateDir)
		if err != nil {
			return configuration{}, err
		}
		source, seal = s, s.Seal
	}
	return configuration{Config: cfg, Set: profiles.Load(cfg, source, report), Report: report, Seal: seal}, nil
}

// statePasswords are the real ones, of the state folder. The folder is made
// where it is missing: it is where every later state goes.
func statePasswords(stateDir string) (*password.Source, error) {
	if err := os.MkdirAll(stateDir, 0o750); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	return password.Open(stateDir)
}

// writeReport prints every diagnostic for a person.
func writeReport(w io.Writer, r *config.Report) error {
	columns, color := terminal(w)
	if columns == 0 {
		columns = 100
	}
	return r.Write(w, color, columns)
}
