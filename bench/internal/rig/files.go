package rig

import (
	"fmt"
	"os"
)

// CopyFile copies a regular file with its mode.
func CopyFile(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}

// WriteConfig writes the configuration of a server.
func WriteConfig(name, format string, args ...any) error {
	if err := os.WriteFile(name, fmt.Appendf(nil, format, args...), 0o644); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}
