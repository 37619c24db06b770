package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
	"dialtone/internal/register"
	"dialtone/profiles"
	"dialtone/provision"
)

// treeMark is the file by which a folder is known to be of our making: a
// comment, and a line for each file in it. A folder with anything else in it is
// left alone.
const treeMark = ".dialtone-tree"

const treeComment = "# Made by dialtone render --all, which replaces this folder whole. Each line is a file of it.\n"

// tree is the documents of everybody as plain files, for any web or TFTP server.
type tree struct {
	dir   string // where it is made
	set   *profiles.Set
	desk  *provision.Desk
	view  provision.Preview // what all documents have in common
	files map[string]bool   // made so far, with slashes
	left  []string          // what a plain server cannot do, for a person
}

// renderAll makes the tree, and puts it in the place of the one that is there.
func (c *renderCmd) renderAll(a *app, cfg configuration, desk *provision.Desk, view provision.Preview) (err error) {
	target, err := filepath.Abs(c.All)
	if err != nil {
		return err
	}
	if err := replaceable(target); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("making a folder beside %s: %w", target, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t := &tree{dir: dir, set: cfg.Set, desk: desk, view: view, files: map[string]bool{}}
	seen, err := seenPhones(cfg.Appliance.StateDir, a.Log)
	if err != nil { // nobody has to be able to read the state to have the documents
		a.Log.Debug("the register cannot be read", "err", err)
	}
	if err := t.documents(seen); err != nil {
		return err
	}
	if err := t.addFiles(c.Files, cfg.Appliance.FilesDir); err != nil {
		return err
	}
	if err := t.finish(); err != nil {
		return err
	}
	if err := exchange(dir, target); err != nil {
		return err
	}
	for _, line := range t.left {
		fmt.Fprintf(a.Stderr, "dialtone: %s\n", line)
	}
	if !view.Reveal {
		fmt.Fprintln(a.Stderr, "dialtone: passwords are ******** in these files; --reveal writes them, for the owner's eyes (0600)")
	}
	fmt.Fprintf(a.Stdout, "%s in %s.\n", count(len(t.files), "file"), target)
	return nil
}

// replaceable refuses a folder that has anything in it which is not of our making.
func replaceable(target string) error {
	entries, err := os.ReadDir(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	mark, err := os.ReadFile(filepath.Join(target, treeMark))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not empty and was not made by this command: name a new folder", target)
	}
	if err != nil {
		return err
	}
	ours := map[string]bool{treeMark: true}
	for line := range strings.Lines(string(mark)) {
		ours[strings.TrimSuffix(line, "\n")] = true
	}
	return filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(target, path)
		if err == nil && !ours[filepath.ToSlash(name)] {
			err = fmt.Errorf("%s is none of the files that this command made there: move it away first", path)
		}
		return err
	})
}

// exchange puts a finished folder in its place at once.
func exchange(made, target string) error {
	err := unix.Renameat2(unix.AT_FDCWD, made, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(made, target)
	}
	if err != nil {
		return fmt.Errorf("putting the new tree in its place: %w", err)
	}
	return nil
}

// documents writes what the wire answers to every phone, and for every model that
// is configured or was seen.
func (t *tree) documents(seen []register.Phone) error {
	models := t.set.ModelsInUse()
	modelOf := map[mac.Addr]string{}
	for _, p := range seen {
		if m, ok := t.set.Model(p.Model); ok {
			modelOf[p.MAC] = m.Name
			models = append(models, m.Name)
		}
	}
	slices.Sort(models)
	for _, model := range slices.Compact(models) {
		if err := t.answers(model); err != nil {
			return err
		}
	}
	// What is left is for whoever asks, of any model.
	if err := t.answers(""); err != nil {
		return err
	}
	for _, p := range t.set.Phones() {
		model := cmp.Or(p.Model, modelOf[p.MAC], t.set.ModelHint(p.MAC))
		if model == "" {
			t.leave("%s has no model in the configuration and was never seen, so it has no files: set model in its phone block", p.Name)
			continue
		}
		if p.Redirect != "" {
			t.leave("%s is sent on to %s only by its own file: its model's general file is there for all", p.Name, p.Redirect)
		}
		for _, path := range t.set.Answered(p.MAC, model, t.set.Server(model, t.view.Local)) {
			var err error
			if path.MAC.IsZero() {
				err = t.same(p, model, path.String())
			} else {
				err = t.document(p.MAC, model, path)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// answers writes what is for all phones of a model, or of every model.
func (t *tree) answers(model string) error {
	for _, path := range t.set.Answered(mac.Addr{}, model, t.set.Server(model, t.view.Local)) {
		if err := t.document(mac.Addr{}, model, path); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) leave(format string, args ...any) {
	t.left = append(t.left, fmt.Sprintf(format, args...))
}

// same notes where a phone would get another file than the rest of its model,
// which a plain server cannot tell apart.
func (t *tree) same(p profiles.Phone, model, path string) error {
	if p.Redirect != "" {
		return nil
	}
	own, err := t.render(p.MAC, model, path)
	if err != nil {
		return err
	}
	general, err := t.render(mac.Addr{}, model, path)
	if err == nil && own != general {
		t.leave("%s would get another %s than all of its model do here", p.Name, path)
	}
	return err
}

// render gives a document, "" where there is none.
func (t *tree) render(who mac.Addr, model, path string) (string, error) {
	view := t.view
	view.Who, view.Model, view.Path = who, model, path
	answer, err := t.desk.Render(view)
	if refusal, ok := errors.AsType[*provision.Refusal](err); ok && refusal.Status == 404 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("rendering %s: %w", path, err)
	}
	defer answer.Content.Close()
	body, err := io.ReadAll(answer.Content)
	return string(body), err
}

func (t *tree) document(who mac.Addr, model string, path profiles.Path) error {
	for _, name := range path.Spellings() {
		if t.files[strings.TrimPrefix(name, "/")] {
			continue // languages are every model's
		}
		body, err := t.render(who, model, name)
		if err != nil || body == "" {
			return err
		}
		// A phone's own file has its passwords.
		if err := t.write(strings.TrimPrefix(name, "/"), []byte(body), t.view.Reveal && !who.IsZero()); err != nil {
			return err
		}
		if err := t.linked(who, model, body); err != nil {
			return err
		}
	}
	return nil
}

// linked writes what a document names of ours: containers list files, and languages
// may have phrases.
func (t *tree) linked(who mac.Addr, model, body string) error {
	f, err := phonefile.Read("", []byte(body))
	if err != nil {
		return nil // a document of the admin's may be in any format, and then links nothing
	}
	urls := []string{}
	for _, l := range f.Links {
		urls = append(urls, l.URL)
	}
	for _, l := range f.Languages {
		urls = append(urls, l.URL)
	}
	for _, url := range urls {
		name, ours := strings.CutPrefix(phonefile.ExpandMAC(url, who), t.base(model))
		if !ours {
			continue
		}
		path, err := t.set.ParsePath(name, "")
		if err != nil || path.Kind == profiles.File || path.Kind == profiles.Firmware {
			continue
		}
		if err := t.document(who, model, path); err != nil {
			return err
		}
	}
	return nil
}

// base is the URL of the setting server that links name.
func (t *tree) base(model string) string {
	if t.view.URL != "" {
		return strings.TrimSuffix(t.view.URL, "/")
	}
	return t.set.Server(model, t.view.Local).URL
}

func (t *tree) write(name string, body []byte, private bool) error {
	mode := fs.FileMode(0o644)
	if private {
		mode = 0o600
	}
	full := filepath.Join(t.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(full, body, mode); err != nil {
		return err
	}
	t.files[name] = true
	return nil
}

// addFiles brings files_dir into the tree: as /files, and its folder firmware as
// /firmware too.
func (t *tree) addFiles(how, filesDir string) error {
	if how == "none" || filesDir == "" {
		return nil
	}
	filesDir, err := filepath.Abs(filesDir)
	if err != nil {
		return err
	}
	folders := map[string]string{"files": filesDir, "firmware": filepath.Join(filesDir, "firmware")}
	images, _ := os.ReadDir(folders["firmware"]) // where there is none, that is said below
	for _, d := range images {
		// DECT bases make a path of the server and a version.
		path, err := profiles.ParsePath(fmt.Sprintf("/%s/%s_v1_b1.fwu", d.Name(), d.Name()), "")
		if err == nil && path.Kind == profiles.Firmware && d.IsDir() {
			folders[d.Name()] = filepath.Join(folders["firmware"], d.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		from := folders[name]
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			t.leave("there is no %s", from)
			continue
		} else if err != nil {
			return err
		}
		if how == "link" {
			if err := os.Symlink(from, filepath.Join(t.dir, name)); err != nil {
				return err
			}
			t.files[name] = true
			continue
		}
		if err := t.copyFolder(name, from); err != nil {
			return err
		}
	}
	return nil
}

// copyFolder copies the regular files of a folder, as much as its root lets be
// read.
func (t *tree) copyFolder(name, from string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		in, err := root.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		full := filepath.Join(t.dir, name, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		t.files[name+"/"+path] = true
		return errors.Join(err, out.Close())
	})
}

// finish leaves the mark, and lets others than us read the folder.
func (t *tree) finish() error {
	mark := treeComment + strings.Join(slices.Sorted(maps.Keys(t.files)), "\n") + "\n"
	if err := os.WriteFile(filepath.Join(t.dir, treeMark), []byte(mark), 0o644); err != nil {
		return err
	}
	return os.Chmod(t.dir, 0o755)
}
