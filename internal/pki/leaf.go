package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dialtone/internal/state"
)

// leafFile holds the server certificates that the authority signed, each after
// its key. It can be removed: they are made again.
const leafFile = "server.pem"

const (
	leafTime   = 397 * 24 * time.Hour // the longest that browsers take
	renewAhead = leafTime / 3
)

// WarnAhead is how long before its end an admin is told of a certificate, once a day.
const WarnAhead = 30 * 24 * time.Hour

// Names are what a certificate is for.
type Names struct {
	DNS []string
	IP  []net.IP
}

// Leaves gives the server certificates for names: those of the state folder
// while they fit and are far from their end, else new ones. There are two, as
// no kind of key is good for all phones: on an elliptic curve, which costs a small
// computer a tenth of the time, and RSA for firmware that knows nothing else.
func (a *Authority) Leaves(stateDir string, names Names, now time.Time) (_ []tls.Certificate, made bool, err error) {
	path := filepath.Join(stateDir, leafFile)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		// What cannot be read is made again like what has ended.
		if pairs, err := parsePairs(text); err == nil && len(pairs) == 2 && !slices.ContainsFunc(pairs, func(p tls.Certificate) bool {
			return !a.fits(p.Leaf, names, now)
		}) {
			return pairs, false, nil
		}
		if err := os.Remove(path); err != nil {
			return nil, false, fmt.Errorf("removing the old server certificates: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("reading the server certificates: %w", err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, false, fmt.Errorf("making a key: %w", err)
	}
	old, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, false, fmt.Errorf("making a key: %w", err)
	}
	text = nil
	for _, key := range []crypto.Signer{curve, old} {
		pair, err := a.sign(key, names, now)
		if err != nil {
			return nil, false, fmt.Errorf("signing a server certificate: %w", err)
		}
		text = append(text, pair...)
	}
	if err := state.Create(path, text); err != nil {
		return nil, false, fmt.Errorf("keeping the server certificates: %w", err)
	}
	pairs, err := parsePairs(text)
	return pairs, true, err
}

// fits reports whether a leaf need not be replaced. A clock that is before any
// certificate says nothing.
func (a *Authority) fits(leaf *x509.Certificate, names Names, now time.Time) bool {
	if leaf.CheckSignatureFrom(a.certificate) != nil {
		return false
	}
	if now.After(notBefore) && leaf.NotAfter.Sub(now) < renewAhead && leaf.NotAfter.Before(a.certificate.NotAfter) {
		return false
	}
	for _, name := range names.DNS {
		if !slices.Contains(leaf.DNSNames, name) {
			return false
		}
	}
	for _, ip := range names.IP {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func (a *Authority) sign(key crypto.Signer, names Names, now time.Time) ([]byte, error) {
	end := now.Add(leafTime)
	if now.Before(notBefore) {
		end = notBefore.Add(leafTime) // renewed once the clock is right
	}
	if end.After(a.certificate.NotAfter) {
		end = a.certificate.NotAfter
	}
	usage := x509.KeyUsageDigitalSignature
	if _, ok := key.(*rsa.PrivateKey); ok {
		usage |= x509.KeyUsageKeyEncipherment // for the key exchange of old firmware
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: commonName(names), Organization: []string{"dialtone"}},
		NotBefore:             notBefore,
		NotAfter:              end,
		KeyUsage:              usage,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              names.DNS,
		IPAddresses:           names.IP,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return encodePair(key, der, a.certificate.Raw)
}

// commonName is what firmware looks at that knows no alternative names: phones are
// given an address.
func commonName(names Names) string {
	switch {
	case len(names.IP) > 0:
		return names.IP[0].String()
	case len(names.DNS) > 0:
		return names.DNS[0]
	}
	return "dialtone"
}

// parsePairs reads what encodePair wrote, as often as it was written.
func parsePairs(text []byte) ([]tls.Certificate, error) {
	var pairs []tls.Certificate
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "PRIVATE KEY" {
			return nil, errors.New("there is something that is neither a key nor its certificate")
		}
		text = rest
		key := pem.EncodeToMemory(block)
		var chain []byte
		for {
			block, rest := pem.Decode(text)
			if block == nil || block.Type != "CERTIFICATE" {
				break
			}
			chain, text = append(chain, pem.EncodeToMemory(block)...), rest
		}
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}
