// Package password makes the passwords that the configuration asks for by
// name: one key in the state folder, and every password derived from the key
// and its name. So a password is the same at every start, needs no write when
// it is first asked for, can be shown by `render` while the service runs, and
// a copy of the key is a copy of all of them.
package password

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dialtone/internal/state"
)

// keyFile holds 32 random octets as hexadecimal digits, mode 0600.
const keyFile = "password.key"

// alphabet leaves out what a person would misread: 0 o 1 l.
const alphabet = "23456789abcdefghijkmnpqrstuvwxyz"

// length in characters of five bits each: 80 bits, which nobody guesses
// through a phone's web server, and short enough to be typed on its keys.
const length = 16

// Source derives passwords.
type Source struct{ key []byte }

// Open reads the key of a state folder, and makes it where there is none yet.
func Open(stateDir string) (*Source, error) {
	path := filepath.Join(stateDir, keyFile)
	s, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("making the key of generated passwords: %w", err)
		}
		s, err = read(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of generated passwords: %w", err)
	}
	return s, nil
}

func read(path string) (*Source, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("%s does not hold 64 hexadecimal digits; restore it from a backup, or remove it to have every generated password made anew", path)
	}
	return &Source{key: key}, nil
}

// create makes the key so that of two processes that start together one wins
// and both read the same. `render` may be the first to ask.
func create(path string) error {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return state.Create(path, []byte(hex.EncodeToString(key)+"\n"))
}

// Password gives the password of a name, sixteen characters of [2-9a-z].
func (s *Source) Password(name string) (string, error) {
	if name == "" {
		return "", errors.New("password(name) needs a name, for instance password(\"web/${phone.mac}\")")
	}
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(name))
	sum := h.Sum(nil)
	var b strings.Builder
	for _, c := range sum[:length] {
		b.WriteByte(alphabet[c&31])
	}
	return b.String(), nil
}

// Seal gives a text that shows whether a secret changed, and not what it is:
// "sealed:" and 24 hexadecimal digits.
func (s *Source) Seal(secret string) string {
	// A key of its own, so that no name of a password gives a seal.
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("\x00seal"))
	h = hmac.New(sha256.New, h.Sum(nil))
	h.Write([]byte(secret))
	return SealPrefix + hex.EncodeToString(h.Sum(nil)[:12])
}

// SealPrefix is what sealed secrets begin with.
const SealPrefix = "sealed:"

// Placeholder stands in for a Source where no password will be shown, so that
// a check of a configuration needs no state folder and leaves nothing behind.
type Placeholder struct{}

// Password gives a text of the right form that is no phone's password.
func (Placeholder) Password(name string) (string, error) {
	return (&Source{key: make([]byte, sha256.Size)}).Password(name)
}
