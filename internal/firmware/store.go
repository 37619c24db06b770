// Package firmware keeps the images in files_dir/firmware, and an index of their
// hashes beside them. Everything is put in place whole, by a temporary file, its
// sync, a rename and a sync of the folder: whoever reads an image while it is
// replaced has the one that was opened.
package firmware

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"dialtone/internal/folder"
)

// Store is a folder of images.
type Store struct{ dir string }

// New gives the store of a folder, which is made when something is added.
func New(dir string) *Store { return &Store{dir} }

// Dir is the folder.
func (s *Store) Dir() string { return s.dir }

// File is an image of the store.
type File struct {
	Path     string // below the folder, with slashes
	Size     int64
	Modified time.Time
	Indexed  bool
	Sum      Sum // zero where not indexed
	Missing  bool
}

// Changed reports whether the file is no longer as it was added, as far as that
// can be told without reading it.
func (f File) Changed() bool {
	return f.Indexed && f.Sum.Size >= 0 && !f.Missing && (f.Size != f.Sum.Size || !f.Modified.Equal(f.Sum.Modified))
}

// ErrDifferent says that there is another file of that name.
var ErrDifferent = errors.New("another file of that name is there already")

// Added is what came of adding.
type Added struct {
	Sum
	// Already says that the same file was there.
	Already bool
}

// Add puts an image in its place below the folder and into the index. Another
// file of that name stays, with ErrDifferent, unless force says that it may be
// replaced.
func (s *Store) Add(name string, image io.Reader, force bool) (a Added, err error) {
	if err := checkName(name); err != nil {
		return a, err
	}
	full := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return a, fmt.Errorf("making the folder: %w", err)
	}
	unlock, err := s.lock()
	if err != nil {
		return a, err
	}
	defer unlock()
	if err := errors.Join(tidy(s.dir), tidy(filepath.Dir(full))); err != nil {
		return a, fmt.Errorf("removing what was begun and not finished: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(full), temporary)
	if err != nil {
		return a, fmt.Errorf("making a temporary file: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(f, io.TeeReader(image, hash)); err != nil {
		return a, fmt.Errorf("copying: %w", err)
	}
	a.SHA256 = hex.EncodeToString(hash.Sum(nil))
	switch there, err := hashOf(full); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return a, fmt.Errorf("reading what is there: %w", err)
	case there == a.SHA256:
		a.Already = true
	case !force:
		return a, ErrDifferent
	}
	if !a.Already {
		if err := errors.Join(f.Chmod(0o644), folder.Own(f, s.dir), f.Sync(), f.Close()); err != nil {
			return a, fmt.Errorf("writing: %w", err)
		}
		if err := os.Rename(f.Name(), full); err != nil {
			return a, fmt.Errorf("putting it in place: %w", err)
		}
		if err := folder.Sync(filepath.Dir(full)); err != nil {
			return a, err
		}
	}
	info, err := os.Stat(full)
	if err != nil {
		return a, err
	}
	a.Size, a.Modified = info.Size(), info.ModTime()
	return a, s.change(func(sums map[string]Sum) { sums[name] = a.Sum })
}

// Remove takes an image away, and out of the index.
func (s *Store) Remove(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	full := filepath.Join(s.dir, filepath.FromSlash(name))
	gone := os.Remove(full)
	if gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return gone
	}
	known := false
	err = s.change(func(sums map[string]Sum) {
		_, known = sums[name]
		delete(sums, name)
	})
	if err != nil {
		return err
	}
	if gone != nil {
		if known {
			return nil // half of it had happened before
		}
		return fmt.Errorf("there is no %s", full)
	}
	return folder.Sync(filepath.Dir(full))
}

// List gives the images, and what the index has that is no longer there.
func (s *Store) List() ([]File, error) {
	sums, err := s.sums()
	if err != nil {
		return nil, err
	}
	var list []File
	err = filepath.WalkDir(s.dir, func(full string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.dir, full)
		if err != nil || rel == "." {
			return err
		}
		name := filepath.ToSlash(rel)
		switch {
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || name == SumsFile:
			return nil
		}
		info, err := os.Stat(full) // what a link leads to is what is served
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		sum, indexed := sums[name]
		delete(sums, name)
		list = append(list, File{Path: name, Size: info.Size(), Modified: info.ModTime(), Indexed: indexed, Sum: sum})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", s.dir, err)
	}
	for name, sum := range sums {
		list = append(list, File{Path: name, Size: sum.Size, Modified: sum.Modified, Indexed: true, Sum: sum, Missing: true})
	}
	slices.SortFunc(list, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return list, nil
}

// Hash reads an image of the store and gives its SHA-256.
func (s *Store) Hash(name string) (string, error) {
	return hashOf(filepath.Join(s.dir, filepath.FromSlash(name)))
}

func hashOf(full string) (string, error) {
	f, err := os.Open(full)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// checkName refuses what would not be served, and what a line of the index
// cannot hold.
func checkName(name string) error {
	if !fs.ValidPath(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || path.Base(name) == SumsFile ||
		strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return fmt.Errorf("%q is no name of an image", name)
	}
	return nil
}

func (s *Store) sums() (map[string]Sum, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, SumsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the index: %w", err)
	}
	sums, err := readSums(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w; move it away, and run dialtone firmware add on the images in the folder", filepath.Join(s.dir, SumsFile), err)
	}
	return sums, nil
}

// change writes the index anew. The caller has the lock.
func (s *Store) change(how func(map[string]Sum)) error {
	sums, err := s.sums()
	if err != nil {
		return err
	}
	how(sums)
	f, err := os.CreateTemp(s.dir, temporary)
	if err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = f.Write(writeSums(sums))
	if err := errors.Join(err, f.Chmod(0o644), folder.Own(f, s.dir), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(s.dir, SumsFile)); err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	return folder.Sync(s.dir)
}

// temporary is the pattern of what is not in its place yet. It is made under the
// lock: one that is there when the lock is taken was left by a command that was
// interrupted, or by a power cut.
const temporary = ".new.*"

func tidy(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), strings.TrimSuffix(temporary, "*")) {
			if e := os.Remove(filepath.Join(dir, e.Name())); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}

// lock keeps two commands from changing the index at once.
func (s *Store) lock() (unlock func(), err error) {
	d, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", s.dir, err), d.Close())
	}
	return func() { _ = d.Close() }, nil
}
