package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dialtone/internal/mac"
)

var (
	now   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	names = Names{DNS: []string{"phones", "phones.office.example"}, IP: []net.IP{net.IPv4(192, 168, 50, 1)}}
)

func leaves(t testing.TB, dir string, n Names, at time.Time) (*Authority, []tls.Certificate, bool) {
	t.Helper()
	a, err := OpenAuthority(dir, at)
	if err != nil {
		t.Fatal(err)
	}
	l, made, err := a.Leaves(dir, n, at)
	if err != nil {
		t.Fatal(err)
	}
	return a, l, made
}

// The certificates stay as long as they are good, and follow names and time.
func TestLeaves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, l, made := leaves(t, dir, names, now)
	if !made {
		t.Error("the first were not made")
	}
	pool := x509.NewCertPool()
	pool.AddCert(first.certificate)
	for _, c := range l {
		for _, name := range []string{"192.168.50.1", "phones", "phones.office.example"} {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, DNSName: name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.Leaf.Subject.CommonName != "192.168.50.1" || c.Leaf.NotAfter.After(first.certificate.NotAfter) {
			t.Errorf("CN %s, until %v", c.Leaf.Subject.CommonName, c.Leaf.NotAfter)
		}
	}
	more := Names{DNS: names.DNS, IP: append([]net.IP{net.IPv4(10, 0, 0, 1)}, names.IP...)}
	for _, step := range []struct {
		name  string
		names Names
		at    time.Time
		made  bool
	}{
		{"at once", names, now, false},
		{"a day later", names, now.AddDate(0, 0, 1), false},
		{"fewer names", Names{IP: names.IP}, now, false},
		{"clock not set", names, time.Unix(0, 0), false},
		{"one more address", more, now, true},
		{"again", more, now, false},
		{"near the end", more, now.AddDate(0, 10, 0), true},
		{"after the end", more, now.AddDate(5, 0, 0), true},
		{"the authority's last day", more, time.Date(2037, 12, 30, 0, 0, 0, 0, time.UTC), true},
		{"the authority's last day, again", more, time.Date(2037, 12, 30, 0, 1, 0, 0, time.UTC), false},
	} {
		if a, _, made := leaves(t, dir, step.names, step.at); made != step.made || !a.certificate.Equal(first.certificate) {
			t.Errorf("%s: made %v, want %v; same authority %v", step.name, made, step.made, a.certificate.Equal(first.certificate))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, leafFile), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, made := leaves(t, dir, more, now); !made {
		t.Error("rubbish is not replaced")
	}
	for _, name := range []string{leafFile, authorityFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	// What phones trust is not replaced behind the admin's back.
	if err := os.WriteFile(filepath.Join(dir, authorityFile), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthority(dir, now); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("a broken authority: %v", err)
	}
}

// What is made while the clock is not set is good later, and replaced soon.
func TestUnsetClock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, l, _ := leaves(t, dir, names, time.Unix(0, 0))
	if a.certificate.NotAfter.Before(now.AddDate(10, 0, 0)) || !a.certificate.NotBefore.Before(now) {
		t.Errorf("authority from %v to %v", a.certificate.NotBefore, a.certificate.NotAfter)
	}
	if l[0].Leaf.NotBefore.After(now) {
		t.Error("the leaf is good later only")
	}
	if _, l, made := leaves(t, dir, names, now); !made || l[0].Leaf.NotAfter.Before(now) {
		t.Error("it was not replaced once the clock was right")
	}
}

func handshake(t testing.TB, s *Server, client *tls.Config) (*tls.ConnectionState, *tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan *tls.ConnectionState, 1)
	go func() {
		defer close(got)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		served := tls.Server(c, s.Config())
		if served.HandshakeContext(t.Context()) == nil {
			state := served.ConnectionState()
			served.Write([]byte("x"))
			got <- &state
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1)) // with TLS 1.3 the server decides after the client
	}
	if err != nil {
		return nil, nil, err
	}
	state := c.ConnectionState()
	return &state, <-got, nil
}

func TestVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, l, _ := leaves(t, dir, names, now)
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	rsaCBC := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, tt := range []struct {
		name           string
		legacy         bool
		version        uint16
		suites         []uint16
		ok             bool
		publicKeyStart string
	}{
		{"TLS 1.3", false, tls.VersionTLS13, nil, true, "ECDSA"},
		{"TLS 1.2", false, tls.VersionTLS12, nil, true, "ECDSA"},
		{"TLS 1.2 with RSA alone", false, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, true, "RSA"},
		{"TLS 1.2 without forward secrecy", false, tls.VersionTLS12, rsaCBC, false, ""},
		{"TLS 1.1", false, tls.VersionTLS11, nil, false, ""},
		{"TLS 1.0", false, tls.VersionTLS10, rsaCBC, false, ""},
		{"legacy, TLS 1.3", true, tls.VersionTLS13, nil, true, "ECDSA"},
		{"legacy, TLS 1.2 without forward secrecy", true, tls.VersionTLS12, rsaCBC, true, "RSA"},
		{"legacy, TLS 1.1", true, tls.VersionTLS11, nil, true, ""},
		{"legacy, TLS 1.0", true, tls.VersionTLS10, rsaCBC, true, "RSA"},
		{"legacy, RC4", true, tls.VersionTLS10, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &Server{}
			s.Use(Material{Certificates: l, Legacy: tt.legacy})
			client, _, err := handshake(t, s, &tls.Config{
				MinVersion: tt.version, MaxVersion: tt.version, CipherSuites: tt.suites, RootCAs: pool, ServerName: "192.168.50.1",
				Time: func() time.Time { return now },
			})
			if (err == nil) != tt.ok {
				t.Fatalf("handshake: %v", err)
			}
			if err == nil && !strings.HasPrefix(client.PeerCertificates[0].PublicKeyAlgorithm.String(), tt.publicKeyStart) {
				t.Errorf("shown a certificate of %s", client.PeerCertificates[0].PublicKeyAlgorithm)
			}
		})
	}
}

// maker is an authority that makes phones, and device one's certificate.
func device(t testing.TB, maker *Authority, change func(c *x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "000413922D24"}, NotBefore: notBefore, NotAfter: now.AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, maker.certificate, key.Public(), maker.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	_, l, _ := leaves(t, t.TempDir(), names, now)
	maker, _, _ := leaves(t, t.TempDir(), names, now)
	other, _, _ := leaves(t, t.TempDir(), names, now)
	path := filepath.Join(t.TempDir(), "makers.pem")
	if err := os.WriteFile(path, append([]byte("of Snom:\n"), maker.PEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	pool, err := ReadMakers(path)
	if err != nil {
		t.Fatal(err)
	}
	reception := mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}
	for _, tt := range []struct {
		name    string
		maker   *Authority
		change  func(c *x509.Certificate)
		want    []mac.Addr
		problem string
	}{
		{"common name", maker, nil, []mac.Addr{reception}, ""},
		{"two common names", maker, func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: commonNameID, Value: "000413922D24"}, {Type: commonNameID, Value: "phone"}}
		}, []mac.Addr{reception}, ""},
		{"a serial number and two words", maker, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: "phone", SerialNumber: "00:04:13:92:2D:24", OrganizationalUnit: []string{"000413922D25"}}
		}, []mac.Addr{reception}, ""},
		{"SHA-1", maker, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }, []mac.Addr{reception}, ""},
		{"SHA-1, without a use", maker, func(c *x509.Certificate) { c.SignatureAlgorithm, c.ExtKeyUsage = x509.SHA1WithRSA, nil }, []mac.Addr{reception}, ""},
		{"SHA-1 of another maker", other, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }, nil, "add its maker's to client_ca"},
		{"SHA-1, too old", maker, func(c *x509.Certificate) { c.SignatureAlgorithm, c.NotAfter = x509.SHA1WithRSA, now.AddDate(0, 0, -1) }, nil, "expired"},
		{"SHA-1, not yet good", maker, func(c *x509.Certificate) { c.SignatureAlgorithm, c.NotBefore = x509.SHA1WithRSA, now.AddDate(0, 0, 1) }, nil, "not yet valid"},
		{"SHA-1, a server's", maker, func(c *x509.Certificate) {
			c.SignatureAlgorithm, c.ExtKeyUsage = x509.SHA1WithRSA, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, nil, "usage"},
		{"not yet good", maker, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) }, nil, "not yet valid"},
		{"alternative name", maker, func(c *x509.Certificate) {
			c.Subject.CommonName = "phone"
			c.DNSNames = []string{"000413922D24.phones.example"}
			c.URIs = []*url.URL{{Scheme: "urn", Opaque: "dev:mac:000413922d25"}}
		}, []mac.Addr{reception, {0, 4, 0x13, 0x92, 0x2d, 0x25}}, ""},
		{"no MAC", maker, func(c *x509.Certificate) { c.Subject.CommonName = "admin" }, nil, ""},
		{"another maker", other, nil, nil, "unknown authority"},
		{"too old", maker, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) }, nil, "expired"},
		{"a server's", maker, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, nil, "usage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &Server{}
			s.Use(Material{Certificates: l, ClientCA: pool})
			_, served, err := handshake(t, s, &tls.Config{
				InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					c := device(t, tt.maker, tt.change)
					return &c, nil
				},
			})
			if err != nil {
				t.Fatal(err) // whoever it is may connect
			}
			got, err := s.Devices(served.PeerCertificates, now)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%v\n%s", err, diff)
			}
			// A computer whose clock is not set yet lets in whom it would let in later.
			if got, err := s.Devices(served.PeerCertificates, time.Unix(0, 0)); (err == nil) != (tt.problem == "" || strings.Contains(tt.problem, "valid") || tt.problem == "expired") {
				t.Errorf("before the clock is set: %v, %v", got, err)
			}
			s.Use(Material{Certificates: l})
			if got, err := s.Devices(served.PeerCertificates, now); !errors.Is(err, errNotAsked) {
				t.Errorf("without client_ca: %v, %v", got, err)
			}
		})
	}
}

func TestMACOf(t *testing.T) {
	t.Parallel()
	want := mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}
	for _, name := range []string{
		"000413922D24", "000413922d24", "00:04:13:92:2D:24", "00-04-13-92-2d-24", "0004.1392.2d24", "00%3A04%3A13%3A92%3A2D%3A24",
		"snomD785-000413922D24", "SNOM760-00:04:13:92:2D:24", "000413922D24.phones.example", "snomD785-000413922D24.phones.example",
		"MAC:000413922D24", "mac=000413922d24", "urn:dev:mac:000413922d24",
	} {
		if got, ok := macOf(name); !ok || got != want {
			t.Errorf("macOf(%q) = %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", "snom", "snomD785", "000413922D2", "000413922D244", "x000413922D24", "www.000413922D24.example", "000000000000",
		"other-000413922D24", strings.Repeat("0", 1<<16), "000413922D24 CN=x",
	} {
		if got, ok := macOf(name); ok {
			t.Errorf("macOf(%.40q) = %v", name, got)
		}
	}
}

func FuzzMACOf(f *testing.F) {
	f.Add("snomD785-000413922D24.phones.example")
	f.Fuzz(func(t *testing.T, name string) {
		if m, ok := macOf(name); ok && m.IsZero() {
			t.Error("no MAC")
		}
	})
}

func TestReadMakers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadMakers(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, text := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		path := filepath.Join(dir, "pool")
		if err := os.WriteFile(path, bytes.TrimSpace([]byte(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMakers(path); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// A locked key is said to be locked, in both forms that there are.
func TestLockedKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	a, _, _ := leaves(t, t.TempDir(), names, now)
	if err := os.WriteFile(certificate, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, locked := range map[string]bool{
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n":                                       true,
		"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n": true,
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n":                                                           false,
		"rubbish": false,
	} {
		if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPair(certificate, key); err == nil || strings.Contains(err.Error(), "passphrase") != locked {
			t.Errorf("%q: %v", text, err)
		}
	}
}
