package main

import (
	"fmt"
	"net/http"

	"dialtone/internal/config"
)

type reloadCmd struct {
	configFlag
}

func (c *reloadCmd) Run(a *app) error {
	cfg, _ := config.Load(c.Config, config.Options{})
	var r reloaded
	if err := control(cfg.Appliance.StateDir, http.MethodPost, "/v1/reload", &r); err != nil {
		return err
	}
	for _, line := range r.Errors {
		fmt.Fprintln(a.Stderr, line)
	}
	fmt.Fprintln(a.Stdout, r.Status)
	if !r.OK {
		return exitError{exitWrong}
	}
	return nil
}
