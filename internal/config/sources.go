package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	maxFile   = 4 << 20  // bytes that file() reads
	maxSecret = 64 << 10 // bytes that secret() reads

	secretsDir = "secrets" // beside the configuration
)

// sources reads the files that a configuration refers to, each once, so that
// every expression of one load sees the same content.
type sources struct {
	dir         string
	credentials string

	mu      sync.Mutex
	files   map[string]content
	secrets map[string]content
	tables  tables
	// documents holds the files of document blocks.
	documents map[string]*documentSource
}

type content struct {
	text string
	err  error
}

func newSources(dir, credentials string) *sources {
	return &sources{
		dir: dir, credentials: credentials, files: make(map[string]content), secrets: make(map[string]content),
		documents: make(map[string]*documentSource),
	}
}

// callError is a failed function call as the Report shows it.
type callError struct{ summary, detail string }

func (e *callError) Error() string { return e.summary + ": " + e.detail }

// file reads a text file inside the configuration's folder.
func (s *sources) file(name string) (string, error) { return s.once(s.files, name, s.readFile) }

// once gives what read said of a name first.
func (s *sources) once(known map[string]content, name string, read func(string) (string, error)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := known[name]
	if !ok {
		c.text, c.err = read(name)
		known[name] = c
	}
	return c.text, c.err
}

func (s *sources) readFile(name string) (string, error) {
	b, err := s.read("file()", name)
	if err != nil {
		return "", err
	}
	if err := checkUTF8(filepath.Join(s.dir, name), b); err != nil {
		return "", err
	}
	return string(b), nil
}

// read reads any file inside the configuration's folder, for who.
func (s *sources) read(who, name string) ([]byte, error) {
	path := filepath.Join(s.dir, name)
	b, err := readInside(s.dir, name, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &callError{"Missing file", fmt.Sprintf("There is no file %s. "+
			"%s looks in the folder of the configuration; check the name, or put the file there.", path, who)}
	case err != nil:
		return nil, &callError{"Unreadable file", fmt.Sprintf("Reading %s: %v. "+
			"%s reads files inside the folder of the configuration, %s, and nothing else.", path, reason(err), who, s.dir)}
	case isWithin(path, filepath.Join(s.dir, secretsDir)):
		return nil, &callError{"Secret as a file", fmt.Sprintf("%s is among the secrets, and would be shown, and sent to everybody, like any other text. "+
			"Read it with secret(…), which keeps it where it belongs, or move the file elsewhere if it is none.", path)}
	}
	return b, nil
}

func checkUTF8(path string, b []byte) error {
	switch {
	case strings.HasPrefix(string(b), "\xff\xfe") || strings.HasPrefix(string(b), "\xfe\xff"):
		return &callError{"File is not UTF-8", path + " is UTF-16 text. Save it as UTF-8; " +
			`spreadsheets call that "CSV UTF-8".`}
	case !utf8.Valid(b):
		return &callError{"File is not UTF-8", fmt.Sprintf("%s is no UTF-8 text, first at byte %d. Save it as UTF-8; "+
			`spreadsheets call that "CSV UTF-8".`, path, firstInvalid(b)+1)}
	}
	return nil
}

func firstInvalid(b []byte) int {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// secret reads secrets/NAME beside the configuration, else the credential of
// that name that systemd passed.
func (s *sources) secret(name string) (string, error) { return s.once(s.secrets, name, s.readSecret) }

func (s *sources) readSecret(name string) (string, error) {
	folder := filepath.Join(s.dir, secretsDir)
	places := filepath.Join(folder, name)
	b, err := readInside(folder, name, maxSecret)
	if errors.Is(err, fs.ErrNotExist) {
		// A credential's name is one path element.
		flat := strings.ReplaceAll(name, "/", "-")
		if s.credentials == "" {
			places += fmt.Sprintf(", and systemd passed no credentials (this one would be %q)", flat)
		} else {
			places += fmt.Sprintf(", nor a systemd credential %q in %s", flat, s.credentials)
			b, err = readInside(s.credentials, flat, maxSecret)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &callError{"Missing secret", fmt.Sprintf("There is no file %s. Write the secret to that file, "+
			"readable by the appliance alone, or pass it with LoadCredential=.", places)}
	case err != nil:
		return "", &callError{"Unreadable secret", fmt.Sprintf("Reading the secret %q: %v. "+
			"A secret is a file inside %s that the appliance can read.", name, reason(err), folder)}
	}
	text := strings.TrimRight(string(b), "\r\n")
	switch {
	case !utf8.ValidString(text):
		return "", &callError{"Unreadable secret", fmt.Sprintf("The secret %q is no UTF-8 text.", name)}
	case text == "":
		return "", &callError{"Empty secret", fmt.Sprintf("The secret %q is empty. Write its value to the file.", name)}
	}
	return text, nil
}

var errNotRegular = errors.New("it is no regular file")

// readInside reads a regular file of at most limit bytes that lies inside dir,
// symbolic links followed.
func readInside(dir, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Opening a FIFO would wait for its writer.
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, limit)
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return b, err
}

// reason drops what the sentence around it says already: the call and the path.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
