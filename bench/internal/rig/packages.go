package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// noDaemons is where Debian's package scripts ask whether they may start a
// service; status 101 says no.
const noDaemons = "/usr/sbin/policy-rc.d"

// Install has apt-get install the packages of those programs that this machine
// has not. The services in them are not started.
func Install(ctx context.Context, need map[string][]string, stderr io.Writer) (err error) {
	var packages []string
	for program, names := range need {
		if _, err := exec.LookPath(program); err != nil {
			packages = append(packages, names...)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	f, err := os.OpenFile(noDaemons, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	switch {
	case errors.Is(err, os.ErrExist): // whoever wrote it has decided
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, os.Remove(noDaemons)) }()
		_, err := f.WriteString("#!/bin/sh\nexit 101\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-qq", "-y", "--no-install-recommends"}, packages...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=120"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = stderr, stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("running apt-get %s: %w", args[0], err)
		}
	}
	return nil
}

// Unpack puts the files of a Debian package below folder, without installing it:
// for one that would push out another that is measured too.
func Unpack(ctx context.Context, name, folder string, stderr io.Writer) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{{"apt-get", "download", "-q", name}, {"sh", "-c", "dpkg-deb -x " + name + "_*.deb ."}} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = folder, stderr, stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
	return nil
}
