// Package state opens the file below the state folder that holds what has to
// outlive a power cut: a bbolt database, in which each part of the program has a
// bucket with a version of its own. Whoever has it open keeps a second copy of
// the service out.
//
// A power cut at any moment, that in which the file is made included, leaves a
// folder that opens again, with all that was committed before.
package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"dialtone/internal/folder"
)

// File is the database's name in the state folder.
const File = "dialtone.db"

// pageSize is the same on every machine, so that a file may move to one with
// another kernel, and a small change is a small write on those with large pages.
const pageSize = 4096

// Open opens the state of a folder, and makes it where there is none.
func Open(dir string) (*bbolt.DB, error) {
	path := filepath.Join(dir, File)
	if err := begin(path); err != nil {
		return nil, fmt.Errorf("making %s: %w", path, err)
	}
	db, err := open(path, false)
	if err != nil {
		return nil, err
	}
	// The last start may have ended between the link and the sync of the folder.
	if err := errors.Join(folder.Sync(dir), tidy(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return db, nil
}

// OpenReadOnly opens the state of a folder for reading. The error is
// fs.ErrNotExist where nothing was ever kept in it.
func OpenReadOnly(dir string) (*bbolt.DB, error) {
	path := filepath.Join(dir, File)
	f, err := os.Open(path)
	if err == nil {
		var never bool
		if never, err = unfinished(f); never {
			err = fmt.Errorf("%s is empty: %w", path, fs.ErrNotExist)
		}
		f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	return open(path, true)
}

func open(path string, readOnly bool) (_ *bbolt.DB, err error) {
	defer func() {
		// This is how bbolt speaks of pages that are none.
		if v := recover(); v != nil {
			err = damaged(path, v)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        time.Second,
		PageSize:       pageSize,
		NoFreelistSync: true, // a third less to write at each commit; rebuilt at the start
		FreelistType:   bbolt.FreelistMapType,
		ReadOnly:       readOnly,
	})
	var system syscall.Errno
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, fmt.Errorf("opening %s: another dialtone is running on it", path)
	case errors.As(err, &system):
		return nil, fmt.Errorf("opening %s: %w", path, err)
	default:
		return nil, damaged(path, err)
	}
}

func damaged(path string, why any) error {
	return fmt.Errorf("opening %s: it is no database of this program, or damaged (%v): move it away, and put a backup in its place if there is one; "+
		"without one, clients get their addresses back as they renew", path, why)
}

// begin sees to it that there is a whole file at path. One that was begun in
// place and not finished is begun again, under its lock.
func begin(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		image, err := blank()
		if err != nil {
			return err
		}
		return Create(path, image)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // another copy has it; who opens it will say so
	}
	again, err := unfinished(f)
	if !again {
		return err
	}
	return f.Truncate(0) // for bbolt to fill
}

// unfinished reports whether a file is the beginning of a new database: of each
// of its octets what that has, or nothing. Once anything is committed to it the
// file is longer.
func unfinished(f *os.File) (bool, error) {
	b, err := io.ReadAll(io.LimitReader(f, 4*pageSize+1))
	if err != nil {
		return false, err
	}
	image, err := blank()
	if err != nil || len(b) > len(image) || bytes.Equal(b, image) {
		return false, err
	}
	for i, c := range b {
		if c != 0 && c != image[i] {
			return false, nil
		}
	}
	return true, nil
}

// blank gives a new database as bbolt makes it.
func blank() ([]byte, error) {
	var f *os.File
	db, err := bbolt.Open("", 0, &bbolt.Options{PageSize: pageSize, OpenFile: func(string, int, os.FileMode) (*os.File, error) {
		fd, err := unix.MemfdCreate(File, unix.MFD_CLOEXEC)
		if err != nil {
			return nil, err
		}
		f = os.NewFile(uintptr(fd), File)
		return f, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("making a new database: %w", err)
	}
	image := make([]byte, 4*pageSize)
	_, err = f.ReadAt(image, 0)
	return image, errors.Join(err, db.Close())
}
