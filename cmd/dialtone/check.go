package main

import (
	"fmt"
)

type checkCmd struct {
	configFlag
	JSON bool `help:"Print the findings as JSON."`
}

func (c *checkCmd) Run(a *app) error {
	cfg, err := load(c.Config, nil)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(a.Stdout, cfg.Report); err != nil {
			return err
		}
	} else {
		if err := writeReport(a.Stdout, cfg.Report); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "%s, %s, %s.\n", count(cfg.Report.Errors(), "error"),
			count(cfg.Report.Warnings(), "warning"), count(len(cfg.Set.Phones()), "phone"))
	}
	if cfg.Report.HasErrors() {
		return exitError{exitWrong}
	}
	return nil
}

// count says how many of a thing there are: "1 error", "2 errors".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
