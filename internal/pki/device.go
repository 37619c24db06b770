package pki

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
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

// Makers are the authorities that sign the certificates of phones.
type Makers struct {
	list []*x509.Certificate
	pool *x509.CertPool
}

// ReadMakers reads the certificates of authorities.
func ReadMakers(path string) (*Makers, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &Makers{pool: x509.NewCertPool()}
	for block := range blocks(text) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", path, len(m.list)+1, err)
		}
		m.list = append(m.list, c)
		m.pool.AddCert(c)
	}
	if len(m.list) == 0 {
		return nil, fmt.Errorf("%s holds no certificate between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----", path)
	}
	return m, nil
}

// Certificates are those of the authorities, in the order of the file.
func (m *Makers) Certificates() []*x509.Certificate { return m.list }

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
	if err := m.ClientCA.verify(chain, now); err != nil {
		return nil, err
	}
	return macsOf(chain[0]), nil
}

func (m *Makers) verify(chain []*x509.Certificate, now time.Time) error {
	phone := chain[0]
	if now.Before(notBefore) {
		now = phone.NotBefore // a clock that is not set yet keeps no phone out
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := phone.Verify(x509.VerifyOptions{
		Roots: m.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		return err
	}
	maker := m.signedBySHA1(phone)
	if maker == nil {
		return fmt.Errorf("%w: if this is a phone, add its maker's to client_ca", err)
	}
	for _, c := range []*x509.Certificate{phone, maker} {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return x509.CertificateInvalidError{Cert: c, Reason: x509.Expired, Detail: "it is good from " + c.NotBefore.Format(time.DateOnly) + " to " + c.NotAfter.Format(time.DateOnly)}
		}
	}
	if u := phone.ExtKeyUsage; len(u)+len(phone.UnknownExtKeyUsage) > 0 && !slices.Contains(u, x509.ExtKeyUsageClientAuth) && !slices.Contains(u, x509.ExtKeyUsageAny) {
		return x509.CertificateInvalidError{Cert: phone, Reason: x509.IncompatibleUsage}
	}
	return nil
}

// signedBySHA1 gives the maker that signed a phone's certificate with RSA and SHA-1, nil
// where none did. Go takes no such signature any more, and phones whose authority is
// "Snom Phone 1", from before "Snom Phone 1 SHA-256", have no other. What is broken of
// SHA-1 is that two texts can be made with one sum: to gain by it somebody would have
// to have the maker's factory sign what he made.
func (m *Makers) signedBySHA1(phone *x509.Certificate) *x509.Certificate {
	if phone.SignatureAlgorithm != x509.SHA1WithRSA || len(phone.UnhandledCriticalExtensions) > 0 {
		return nil
	}
	sum := sha1.Sum(phone.RawTBSCertificate)
	for _, c := range m.list {
		key, ok := c.PublicKey.(*rsa.PublicKey)
		authority := c.IsCA || c.Version < 3 // which had no word for it
		if ok && authority && slices.Equal(c.RawSubject, phone.RawIssuer) && rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], phone.Signature) == nil {
			return c
		}
	}
	return nil
}

var (
	commonNameID   = asn1.ObjectIdentifier{2, 5, 4, 3}
	serialNumberID = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// macsOf reads the MACs from the subject's common names and serial numbers, each as
// often as it is there, and from the alternative names.
func macsOf(c *x509.Certificate) []mac.Addr {
	var names []string
	for _, n := range c.Subject.Names {
		if value, ok := n.Value.(string); ok && (n.Type.Equal(commonNameID) || n.Type.Equal(serialNumberID)) {
			names = append(names, value)
		}
	}
	names = append(names, c.DNSNames...)
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
