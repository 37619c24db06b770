package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
	"dialtone/internal/phonesim"
)

// maker signs certificates, as the phones' maker does.
type maker struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newMaker(t testing.TB) maker {
	t.Helper()
	var m maker
	m.key, m.certificate = m.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "maker"}, IsCA: true, BasicConstraintsValid: true})
	return m
}

func (m maker) sign(t testing.TB, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Unix(1_600_000_000, 0), time.Unix(4_000_000_000, 0)
	parent, by := c, key
	if m.key != nil {
		parent, by = m.certificate, m.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, signed
}

// phone writes a phone's certificate and key into a file.
func (m maker) phone(t testing.TB, name string) (path string) {
	t.Helper()
	key, c := m.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "phone.pem")
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return path
}

func (m maker) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.certificate.Raw}))
}

// A phone with its maker's certificate gets its own file from any address, and
// nobody else does, whatever address they have.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	snom := newMaker(t)
	o := newOffice(t, "https", map[string]string{"makers.pem": snom.pem(), "https.hcl": "https {\n  client_ca = \"makers.pem\"\n}\n"})
	o.edit(t, "dialtone.hcl", `scheme  = "http"`, `scheme  = "https"`)
	o.edit(t, "dialtone.hcl", `secrets = "lease"`, `secrets = "certificate"`)
	o.start(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	r := o.host.Run(t, built(t), "ca", "--config", o.config)
	if r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	write(t, ca, r.Stdout)
	h, s := o.leased(t, reception, "snomD785")
	if s.SettingServer != "https://"+server+"/snomD785.htm" {
		t.Errorf("the phone is sent to %s", s.SettingServer)
	}
	far := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	own := "/snomD785/" + reception.Hex() + ".xml"
	want := o.render(t, reception.String(), own)
	for _, c := range []struct {
		name, path string
		host       *netnstest.Host
		args       []string
		status     string
	}{
		{"general", "/snomD785/general.xml", far, nil, "200"},
		{"general, with a certificate of nobody", "/snomD785/general.xml", far, []string{"--cert", newMaker(t).phone(t, reception.Hex())}, "200"},
		{"own, with its certificate", own, h, []string{"--cert", snom.phone(t, reception.Hex())}, "200"},
		{"own, with its certificate, from elsewhere", own, far, []string{"--cert", snom.phone(t, "snomD785-"+reception.String())}, "200"},
		{"own, without", own, h, nil, "403"},
		{"own, with another's", own, h, []string{"--cert", snom.phone(t, anna.Hex())}, "403"},
		{"own, with a certificate of nobody", own, h, []string{"--cert", newMaker(t).phone(t, reception.Hex())}, "403"},
	} {
		status, body := curl(t, c.host, "https://"+server+c.path, append(c.args, "--cacert", ca)...)
		if status != c.status {
			t.Errorf("%s: status %s, want %s\n%s", c.name, status, c.status, body)
		}
		if c.path == own && status == "200" {
			checkServed(t, c.name, body, want)
		}
	}
	if status, _ := curl(t, h, "http://"+server+own); status != "403" {
		t.Errorf("own, over HTTP: status %s", status)
	}
	// A reload takes what the files are then, and leaves the old in force where they are no good.
	write(t, filepath.Join(o.config, "makers.pem"), "rubbish")
	if r := o.host.Run(t, built(t), "reload", "--config", o.config); r.Status == 0 || !strings.Contains(r.Stderr, "https.hcl:2: Invalid certificate: client_ca: ") {
		t.Errorf("rubbish is taken for certificates, or why not is not said: %s%s", r.Stdout, r.Stderr)
	}
	if status, _ := curl(t, far, "https://"+server+own, "--cacert", ca, "--cert", snom.phone(t, reception.Hex())); status != "200" {
		t.Errorf("after a bad reload: status %s", status)
	}
	other := newMaker(t)
	write(t, filepath.Join(o.config, "makers.pem"), other.pem())
	if r := o.host.Run(t, built(t), "reload", "--config", o.config); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	for _, c := range []struct {
		maker  maker
		status string
	}{{snom, "403"}, {other, "200"}} {
		if status, _ := curl(t, far, "https://"+server+own, "--cacert", ca, "--cert", c.maker.phone(t, reception.Hex())); status != c.status {
			t.Errorf("after the reload: status %s, want %s", status, c.status)
		}
	}
}

// Old firmware is served when the admin says so, and then only.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "openssl")
	o := newOffice(t, "oldtls", map[string]string{"https.hcl": "https {\n  legacy = false\n}\n"})
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	speaks := func(args ...string) bool {
		args = append([]string{"s_client", "-connect", server + ":443", "-quiet", "-ign_eof"}, args...)
		r := h.RunWith(t, nil, strings.NewReader("GET /snomD785.htm HTTP/1.0\r\n\r\n"), "openssl", args...)
		return strings.Contains(r.Stdout, "<setting-files")
	}
	for _, legacy := range []bool{false, true} {
		if legacy {
			o.edit(t, "https.hcl", "false", "true")
			if r := o.host.Run(t, built(t), "reload", "--config", o.config); r.Status != 0 {
				t.Fatal(r.Stderr)
			}
			o.service.Wait("TLS 1.0 and 1.1 and RSA key exchange are served")
		}
		for _, c := range []struct {
			args []string
			want bool
		}{
			{[]string{"-tls1_3"}, true},
			{[]string{"-tls1_2"}, true},
			{[]string{"-tls1_2", "-cipher", "AES128-SHA"}, legacy},
			{[]string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, legacy},
			{[]string{"-tls1", "-cipher", "AES128-SHA@SECLEVEL=0"}, legacy},
		} {
			if got := speaks(c.args...); got != c.want {
				t.Errorf("legacy = %v: %v is served: %v", legacy, c.args, got)
			}
		}
	}
}

// What is sent to the wrong port is answered, not waited for.
func TestHTTPToHTTPS(t *testing.T) {
	t.Parallel()
	o := opened(t, "wrongport", map[string]string{"https.hcl": "https {}\n"})
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	if status, body := curl(t, h, "http://"+server+":443/snomD785.htm"); status != "400" || !bytes.Contains(body, []byte("HTTPS")) {
		t.Errorf("status %s: %s", status, body)
	}
}

// A phone boots with its maker's certificate. It alone gets its own file, over
// HTTPS alone; whose lease it has does not matter. An address that the appliance
// gets later is in its certificate after a reload.
func TestBootWithCertificate(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "atftp")
	snom := newMaker(t)
	o := newOffice(t, "bootcert", map[string]string{"makers.pem": snom.pem(), "https.hcl": "https {\n  client_ca = \"makers.pem\"\n}\n"})
	o.edit(t, "dialtone.hcl", `scheme  = "http"`, `scheme  = "https"`)
	o.edit(t, "dialtone.hcl", `secrets = "lease"`, `secrets = "certificate"`)
	o.start(t)
	own := "/snomD785/" + reception.Hex() + ".xml"
	h := o.net.Host(t, reception, netip.Prefix{})
	var address netip.Addr
	for _, c := range []struct {
		name string
		args []string
		want bool
	}{
		{"without one", nil, false},
		{"another's", []string{"--certificate", snom.phone(t, anna.Hex())}, false},
		{"of another maker", []string{"--certificate", newMaker(t).phone(t, reception.Hex())}, false},
		{"its own", []string{"--certificate", snom.phone(t, reception.Hex())}, true},
	} {
		s := o.simulate(t, h, append([]string{"--mac", reception.String(), "--model", "snomD785", "--keep"}, c.args...)...)
		address = s.Lease.Address
		got := slices.ContainsFunc(s.Requests, func(f phonesim.Fetch) bool { return f.OK && pathOf(t, f.URL) == own })
		if asked := slices.ContainsFunc(s.Requests, func(f phonesim.Fetch) bool { return strings.HasSuffix(f.URL, reception.Hex()+".htm") }); !asked {
			t.Errorf("%s: it did not ask for what is its own", c.name)
		}
		if has := s.Setting("http_pass") != ""; got != c.want || has != c.want {
			t.Errorf("%s: it gets its own file: %v, and its password: %v\n%v", c.name, got, has, s.Requests)
		}
	}
	h.SetAddress(t, netip.PrefixFrom(address, 24))
	if status, body := curl(t, h, "http://"+server+own); status != "403" {
		t.Errorf("over HTTP from its lease: status %s\n%s", status, body)
	}
	if r := h.Run(t, "atftp", "--get", "--remote-file", own, "--local-file", filepath.Join(t.TempDir(), "own"), server); !strings.Contains(r.Stderr, "over HTTPS") {
		t.Errorf("over TFTP from its lease: exit status %d, %s%s", r.Status, r.Stdout, r.Stderr)
	}

	const later = "192.168.50.5"
	if r := o.host.Run(t, "ip", "address", "add", later+"/24", "dev", "eth0"); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, o.host.Run(t, built(t), "ca", "--config", o.config).Stdout)
	far := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("192.168.50.60/24"))
	if r := far.Run(t, "curl", "--silent", "--cacert", ca, "https://"+later+"/snomD785.htm"); r.Status != 60 {
		t.Errorf("before the certificate is made anew: curl ends with %d", r.Status)
	}
	if r := o.host.Run(t, built(t), "reload", "--config", o.config); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	for _, address := range []string{later, server} {
		if status, _ := curl(t, far, "https://"+address+"/snomD785.htm", "--cacert", ca); status != "200" {
			t.Errorf("%s afterwards: status %s", address, status)
		}
	}
}
