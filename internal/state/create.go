package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"dialtone/internal/folder"
)

// Create makes a file of the state folder, mode 0600, that is there whole and
// durable when it returns. A power cut leaves it so or not at all; of two
// processes that make it the first wins, and it is no error to be the second.
// What root makes belongs to the owner of the folder: the service is not root.
func Create(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := folder.Own(f, dir); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		// The one that won may have tidied.
		if _, missing := os.Stat(path); missing != nil {
			return err
		}
	}
	return folder.Sync(dir)
}

// tidy removes what a power cut has left of making a file that is there now.
func tidy(path string) error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".*.new"))
	for _, name := range left {
		if e := os.Remove(name); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
