package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"dialtone/internal/mac"
)

// maxChain bounds how many certificates of a client are looked at, and maxNames
// how many names of one.
const (
	maxChain = 8
	maxNames = 16
)

// Devices gives the MACs that a client's certificate holds, once the chain is
// found to be signed by an authority of client_ca and to be good at the time now.
// Whether the client has the key was settled when the connection was made.
func (s *Server) Devices(chain []*x509.Certificate, now time.Time) ([]mac.Addr, error) {
	m := s.current.Load()
	switch {
	case len(chain) == 0:
		return nil, nil
	case m == nil || m.ClientCA == nil:
		return nil, errNotAsked
	case len(chain) > maxChain:
		return nil, fmt.Errorf("its chain has %d certificates", len(chain))
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: m.ClientCA, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return nil, err
	}
	return macsOf(chain[0]), nil
}

// macsOf reads the MACs from the subject's common name and serial number, and from
// the alternative names.
func macsOf(c *x509.Certificate) []mac.Addr {
	names := append([]string{c.Subject.CommonName, c.Subject.SerialNumber}, c.DNSNames...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	var found []mac.Addr
	for _, name := range names[:min(len(names), maxNames)] {
		if m, ok := macOf(name); ok && !slices.Contains(found, m) {
			found = append(found, m)
		}
	}
	return found
}

// macOf reads a MAC that is the name, or its first label ("000413922D24.phones.example"),
// alone or after a word: "snomD785-000413922D24", "MAC:…", "urn:dev:mac:…" (RFC 9039).
func macOf(name string) (mac.Addr, bool) {
	if len(name) > 255 {
		return mac.Addr{}, false
	}
	label, _, _ := strings.Cut(name, ".")
	for _, s := range []string{name, label} {
		for _, prefix := range []string{"urn:dev:mac:", "mac:", "mac="} {
			if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
				s = s[len(prefix):]
			}
		}
		if m, err := mac.Parse(s); err == nil && !m.IsZero() {
			return m, true
		}
		if model, rest, ok := strings.Cut(s, "-"); ok && len(model) > 4 && strings.EqualFold(model[:4], "snom") {
			if m, err := mac.Parse(rest); err == nil && !m.IsZero() {
				return m, true
			}
		}
	}
	return mac.Addr{}, false
}
