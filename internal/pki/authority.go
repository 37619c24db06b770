// Package pki has the certificates of the appliance: an authority of its own,
// the server certificates that this signs and renews or that the admin gives,
// and whose MAC a phone's client certificate holds.
package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"dialtone/internal/state"
)

// authorityFile holds the authority's certificate and its key: in one file, so
// that a power cut cannot part them.
const authorityFile = "ca.pem"

// rsaBits is what every firmware that knows TLS can read: 4,096 are too many for
// the oldest, and would take a small computer a minute to find.
const rsaBits = 2048

// Bounds of validity. A phone, and the machine of the appliance, may believe for a
// while after power-on that it is 1970 or the day when its image was built; what
// is made at such a time must hold later, and what is valid later must hold then.
var (
	notBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	// Clocks of 32 bits end in January 2038, so nothing ends later without need.
	notAfter = time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC)
)

// authorityTime is how long an authority is good for at least.
const authorityTime = 10 * 365 * 24 * time.Hour

// Authority signs the appliance's own server certificates.
//
// It has an RSA key, though elliptic curves are quicker: a phone that is to trust
// it has to understand its signature, and firmware before V8 knows no other. It
// signs a few times a year.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// OpenAuthority reads the authority of a state folder, and makes it where there
// is none yet.
func OpenAuthority(stateDir string, now time.Time) (*Authority, error) {
	path := filepath.Join(stateDir, authorityFile)
	a, err := readAuthority(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createAuthority(path, now); err != nil {
			return nil, fmt.Errorf("making the appliance's own certificate authority: %w", err)
		}
		a, err = readAuthority(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the appliance's own certificate authority: %w; "+
			"restore %s from a backup, or remove it to have another made, which phones then have to be told to trust", err, path)
	}
	return a, nil
}

func readAuthority(path string) (*Authority, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	if len(pairs) != 1 || !pairs[0].Leaf.IsCA {
		return nil, errors.New("the file does not hold one authority")
	}
	key, ok := pairs[0].PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return &Authority{certificate: pairs[0].Leaf, key: key}, nil
}

func createAuthority(path string, now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "appliance"
	}
	end := notAfter
	if least := now.Add(authorityTime); least.After(end) {
		end = least
	}
	number := serial()
	template := &x509.Certificate{
		SerialNumber: number,
		// Two appliances must not look like one to who trusts both.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("dialtone %.40s %.4s", host, number.Text(16)), Organization: []string{"dialtone"}},
		NotBefore:             notBefore,
		NotAfter:              end,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	text, err := encodePair(key, der)
	if err != nil {
		return err
	}
	return state.Create(path, text)
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40 // positive, and of one length
	return new(big.Int).SetBytes(b)
}

// encodePair writes a key and certificates as PEM.
func encodePair(key crypto.Signer, certificates ...[]byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return text, nil
}

// Certificate gives the authority's certificate in DER.
func (a *Authority) Certificate() []byte { return a.certificate.Raw }

// PEM gives the authority's certificate as phones and browsers take it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}
