package pki

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"
)

// Material is what HTTPS is served with.
type Material struct {
	Certificates []tls.Certificate // the first that a client understands is shown
	Legacy       bool              // for firmware that knows no TLS 1.2
	ClientCA     *Makers           // the makers of phones; nil where none is asked for a certificate
}

// Ends gives when the first of the certificates does.
func (m Material) Ends() time.Time {
	var end time.Time
	for _, c := range m.Certificates {
		if c.Leaf != nil && (end.IsZero() || c.Leaf.NotAfter.Before(end)) {
			end = c.Leaf.NotAfter
		}
	}
	return end
}

// ReadPair reads the admin's certificate, with those between it and its
// authority behind it, and its key.
func ReadPair(certificate, key string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil && needsPassphrase(key) {
		return pair, fmt.Errorf("%s is locked with a passphrase, for which nobody could be asked: take it away (openssl pkey -in OLD -out NEW)", key)
	}
	if err != nil {
		return pair, fmt.Errorf("reading the certificate and its key: %w", err)
	}
	return pair, nil
}

// needsPassphrase reports whether a file holds a key that is encrypted (PKCS #8, or as
// OpenSSL did before that).
func needsPassphrase(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for block := range blocks(text) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return true
		}
	}
	return false
}

// blocks yields the blocks of a PEM file.
func blocks(text []byte) iter.Seq[*pem.Block] {
	return func(yield func(*pem.Block) bool) {
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if !yield(block) {
				return
			}
		}
	}
}

// Server is the TLS side of a listener. Its material can be replaced while it
// serves: connections that stand go on, the next ones see the new.
type Server struct {
	current atomic.Pointer[served]
}

type served struct {
	Material
	config *tls.Config
}

// Use puts m in place of what was served.
func (s *Server) Use(m Material) {
	c := &tls.Config{
		Certificates: m.Certificates,
		MinVersion:   tls.VersionTLS12,
		// HTTP/2 is of no use to phones, and more than the limits here know of.
		NextProtos: []string{"http/1.1"},
	}
	if m.ClientCA != nil {
		// A certificate that nobody here knows must not keep a phone from what is no
		// secret, so it is checked where it matters: in Devices.
		c.ClientAuth = tls.RequestClientCert
		c.ClientCAs = m.ClientCA.pool
	}
	if m.Legacy {
		c.MinVersion = tls.VersionTLS10
		for _, suite := range tls.CipherSuites() {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
		// Without forward secrecy, but not broken in themselves: RC4 and 3DES stay out.
		c.CipherSuites = append(c.CipherSuites,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA)
	}
	s.current.Store(&served{m, c})
}

// Material gives what is served, zero before Use.
func (s *Server) Material() Material {
	if m := s.current.Load(); m != nil {
		return m.Material
	}
	return Material{}
}

// Config is for the listener. Use must have been called.
func (s *Server) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // of the certificate's own, below
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load().config, nil
		},
	}
}

// errNotAsked says that certificates of clients are not looked at.
var errNotAsked = errors.New("no client_ca is configured to check it with")
