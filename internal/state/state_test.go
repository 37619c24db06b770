package state

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

var things = []byte("things")

func put(t *testing.T, db *bbolt.DB, value string) {
	t.Helper()
	if err := Bucket(db, things, "1"); err != nil {
		t.Fatal(err)
	}
	err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(things).Put([]byte("key"), []byte(value)) })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, db *bbolt.DB) (value string) {
	t.Helper()
	err := db.View(func(tx *bbolt.Tx) error {
		value = string(tx.Bucket(things).Get([]byte("key")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func opened(t *testing.T, dir string) *bbolt.DB {
	t.Helper()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenReadOnly(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	db := opened(t, dir)
	put(t, db, "value")
	if _, err := Open(dir); err == nil || !strings.HasSuffix(err.Error(), "another dialtone is running on it") {
		t.Errorf("a second time: %v", err)
	}
	db.Close()
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Mode() != 0o600 {
		t.Errorf("file: %v %v", info.Mode(), err)
	}
	db, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, db); got != "value" {
		t.Errorf("kept: %q", got)
	}
	if err := Bucket(db, []byte("others"), "1"); err != nil {
		t.Errorf("a bucket of a database that was opened read-only: %v", err)
	}
	db.Close()
}

// TestUnfinished begins every beginning of a file again, and nothing else.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	image, err := blank()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	hole := func(from, to int) []byte {
		b := bytes.Clone(image)
		clear(b[from:to])
		return b
	}
	for name, b := range map[string][]byte{
		"empty": {}, "one page": image[:pageSize], "three pages": image[:3*pageSize], "within a page": image[:100], "zeros": make([]byte, 4*pageSize),
		"no root": hole(3*pageSize, 4*pageSize), "second meta page alone": hole(0, pageSize), "half a meta page": hole(40, 512),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReadOnly(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: reading: %v", name, err)
		}
		db, err := Open(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		put(t, db, name)
		db.Close()
		db = opened(t, dir)
		if got := get(t, db); got != name {
			t.Errorf("%s: kept %q", name, got)
		}
		db.Close()
	}
	db := opened(t, dir)
	put(t, db, "precious")
	db.Close()
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("not a database\n", 300))
	for name, b := range map[string][]byte{
		"a text": text, "a short text": text[:40], "both meta pages lost": append(make([]byte, 2*pageSize), kept[2*pageSize:]...),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(dir)
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "or damaged") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s: was changed (%v)", name, err)
		}
	}
}

// TestStartedTwice has many make the file at once: one has it, and what it
// writes is in the file that is there afterwards.
func TestStartedTwice(t *testing.T) {
	t.Parallel()
	for range 3 {
		dir := t.TempDir()
		won := make(chan *bbolt.DB, 8)
		var starts sync.WaitGroup
		for range cap(won) {
			starts.Go(func() {
				if db, err := Open(dir); err == nil {
					won <- db
				}
			})
		}
		starts.Wait()
		if len(won) != 1 {
			t.Fatalf("%d have it", len(won))
		}
		db := <-won
		put(t, db, "value")
		db.Close()
		db = opened(t, dir)
		if got := get(t, db); got != "value" {
			t.Errorf("kept: %q", got)
		}
		db.Close()
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("in the folder: %v %v", files, err)
		}
	}
}

func TestBucketOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := opened(t, dir)
	put(t, db, "value")
	db.Close()
	before, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	db = opened(t, dir)
	if err := Bucket(db, things, "2"); !errors.Is(err, ErrVersion) {
		t.Errorf("error: %v", err)
	}
	db.Close()
	if after, err := os.ReadFile(filepath.Join(dir, File)); err != nil || !bytes.Equal(after, before) {
		t.Error("the database was changed", err)
	}
}
