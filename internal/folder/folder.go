// Package folder is what keeps the files of a folder: that which files it has is
// durable, and that all of them belong to whom it belongs.
package folder

import (
	"fmt"
	"os"
	"syscall"
)

// Sync makes durable which files a folder has.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}

// Own gives a file that root has made to the owner of another, or of a folder: the
// service is not root.
func Own(f *os.File, of string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(of)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
