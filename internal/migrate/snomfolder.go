package migrate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// Limits of a folder of phones' files.
const (
	maxEntries      = 65536
	maxSettingsFile = 4 << 20
)

// snomFolder is a folder of files as phones would find them on its server.
// Case has no meaning in the names, nor has the spelling of a MAC.
type snomFolder struct {
	root    *os.Root
	names   []string          // all files, sorted
	index   map[string]string // canonical name to name
	parsed  map[string]*snomFile
	problem func(at phonefile.Place, format string, args ...any)
}

// snomFile is a file that was read, once for all phones.
type snomFile struct {
	phonefile.File
	err error
}

var macInName = regexp.MustCompile(`(?i)(^|[^0-9a-z])((?:[0-9a-f]{2}(?::|-|_|%3a)){5}[0-9a-f]{2}|[0-9a-f]{12})([^0-9a-z]|$)`)

// canonical gives the one spelling of a name by which files are found.
func canonical(name string) string {
	name = macInName.ReplaceAllStringFunc(name, func(s string) string {
		m := macInName.FindStringSubmatch(s)
		return m[1] + hexDigits(m[2]) + m[3]
	})
	return strings.ToLower(name)
}

func hexDigits(s string) string {
	s = strings.ReplaceAll(strings.ToLower(s), "%3a", "")
	return strings.NewReplacer(":", "", "-", "", "_", "").Replace(s)
}

// macIn finds the MAC in the base of a name; before and after are what stands
// around it.
func macIn(base string) (before string, m mac.Addr, after string, ok bool) {
	at := macInName.FindStringSubmatchIndex(base)
	if at == nil {
		return "", mac.Addr{}, "", false
	}
	m, err := mac.Parse(hexDigits(base[at[4]:at[5]]))
	return base[:at[4]], m, base[at[5]:], err == nil
}

func openSnomFolder(dir string, problem func(phonefile.Place, string, ...any)) (*snomFolder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &snomFolder{root: root, index: map[string]string{}, parsed: map[string]*snomFile{}, problem: problem}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			problem(phonefile.Place{File: name}, "%v", err)
			return nil
		case d.IsDir():
			return nil
		case len(f.names) == maxEntries:
			return fmt.Errorf("there are more than %d files", maxEntries)
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := root.Stat(name); err != nil || info.IsDir() {
				problem(phonefile.Place{File: name}, "links to folders, or out of this one, are not followed: copy what it leads to")
				return nil
			}
		}
		f.names = append(f.names, name)
		if first, ok := f.index[canonical(name)]; ok {
			problem(phonefile.Place{File: name}, "the name is that of %s, spelled otherwise: it is not read", first)
			return nil
		}
		f.index[canonical(name)] = name
		return nil
	})
	if err != nil {
		root.Close()
		return nil, err
	}
	slices.Sort(f.names)
	return f, nil
}

func (f *snomFolder) close() { _ = f.root.Close() }

// folderHost is the host of the URLs that stand for the folder itself.
const folderHost = "folder.invalid"

func folderURL(name string) string {
	return (&url.URL{Scheme: "http", Host: folderHost, Path: "/" + name}).String()
}

// find gives the file that a URL means: its path, or what is left of it without
// the folders of the old server that lie above ours, or the one file whose name
// ends in it.
func (f *snomFolder) find(u *url.URL) (string, bool) {
	name := strings.TrimPrefix(path.Clean("/"+u.Path), "/")
	if u.RawQuery != "" {
		if found, ok := f.index[canonical(name+"?"+u.RawQuery)]; ok {
			return found, true
		}
	}
	for rest, more := name, true; more; _, rest, more = strings.Cut(rest, "/") {
		if found, ok := f.index[canonical(rest)]; ok {
			return found, true
		}
	}
	found := ""
	for key, candidate := range f.index {
		if strings.HasSuffix(key, "/"+canonical(name)) {
			if found != "" {
				return "", false
			}
			found = candidate
		}
	}
	return found, found != "" && name != ""
}

// read reads and understands a file, and says what is odd in it.
func (f *snomFolder) read(name string) *snomFile {
	if file, ok := f.parsed[name]; ok {
		return file
	}
	file := &snomFile{}
	f.parsed[name] = file
	body, err := f.bytes(name)
	if err == nil && isProgram(name, body) {
		err = errors.New("it is a program that makes files, not a file: fetch what it answers and import that")
	}
	if err != nil {
		file.err = err
		f.problem(phonefile.Place{File: name}, "nothing is taken from it: %v", err)
		return file
	}
	var notes []phonefile.Note
	file.File, notes, file.err = phonefile.Strict(name, body)
	for _, n := range append(notes, file.Notes...) {
		f.problem(n.At, "%s", n.Text)
	}
	if file.err != nil {
		at := phonefile.Place{File: name}
		var dropped *phonefile.Error
		if errors.As(file.err, &dropped) {
			at = dropped.At
		}
		f.problem(at, "nothing is taken from the file, since phones drop it whole: %v", file.err)
	}
	return file
}

func (f *snomFolder) bytes(name string) ([]byte, error) {
	info, err := f.root.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case info.Size() > maxSettingsFile:
		return nil, fmt.Errorf("it has more than %d MiB", maxSettingsFile>>20)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSettingsFile))
}

func isProgram(name string, body []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".php", ".cgi", ".pl", ".py", ".sh", ".asp":
		return true
	}
	head := strings.ToLower(string(body[:min(len(body), 512)]))
	return strings.Contains(head, "<?php") || strings.HasPrefix(head, "#!")
}

// walk applies the files that a phone gets, in a phone's order. The zero MAC
// stands for a phone that the folder does not know: links to the file of one
// phone lead nowhere for it.
func (f *snomFolder) walk(r phonefile.Requests, m mac.Addr, used func(name string)) phonefile.Memory {
	var state phonefile.Memory
	err := phonefile.Walk(r, func(what, link string) ([]phonefile.Link, bool) {
		u, err := phonefile.ParseURL(link)
		if err != nil {
			return nil, true
		}
		name, ok := f.find(u)
		if !ok {
			return nil, true
		}
		used(name)
		file := f.read(name)
		if file.err != nil {
			return nil, true
		}
		state.Apply(file.File)
		return f.links(name, file.Links, m), true
	})
	if err != nil {
		f.problem(phonefile.Place{File: strings.TrimPrefix(r.First, folderURL(""))}, "%v", err)
	}
	return state
}

// links makes whole URLs of the links in a file.
func (f *snomFolder) links(name string, links []phonefile.Link, m mac.Addr) []phonefile.Link {
	var out []phonefile.Link
	for _, l := range links {
		if m.IsZero() && phonefile.ExpandMAC(l.URL, mac.Addr{1}) != l.URL {
			continue
		}
		l.URL = phonefile.ExpandMAC(l.URL, m)
		if !strings.Contains(l.URL, "://") {
			rest, query, _ := strings.Cut(l.URL, "?")
			if !strings.HasPrefix(rest, "/") {
				rest = path.Join(path.Dir(name), rest)
			}
			l.URL = folderURL(strings.TrimPrefix(path.Clean(rest), "/"))
			if query != "" {
				l.URL += "?" + query
			}
		}
		u, err := phonefile.ParseURL(l.URL)
		if err != nil {
			f.problem(l.At, "%v: the link is left out", err)
			continue
		}
		if _, ok := f.find(u); !ok {
			f.problem(l.At, "%s is not in the folder: nothing is taken from it", u.Redacted())
			continue
		}
		out = append(out, l)
	}
	return out
}
