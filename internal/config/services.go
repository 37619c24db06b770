package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/pki"
)

const (
	maxPort = 1<<16 - 1

	defaultStateDir    = "/var/lib/dialtone"
	defaultFilesDir    = "/srv/dialtone"
	defaultAdminListen = "127.0.0.1:8067"
)

// The schemas of the blocks that this file reads.
var (
	applianceSchema    = arguments("interface", "state_dir", "files_dir")
	provisioningSchema = arguments("scheme", "secrets", "http_auth", "pnp", "http_port", "tftp_port")
	httpsSchema        = arguments("certificate", "key", "client_ca", "port", "legacy")
	dnsSchema          = with(arguments("forwarders", "hold"), "record", "name")
	recordSchema       = arguments("address", "addresses")
	adminSchema        = arguments("listen", "password")
)

func (d *decoder) appliance(block *hcl.Block) {
	a := &d.cfg.Appliance
	a.StateDir, a.FilesDir = defaultStateDir, defaultFilesDir
	if block == nil {
		return
	}
	b := d.open(block, applianceSchema)
	a.Interface, _ = b.interfaceName()
	a.StateDir, _ = b.path("state_dir", defaultStateDir)
	a.FilesDir, _ = b.path("files_dir", defaultFilesDir)
}

// checkFilesDir refuses a files_dir that has what nobody may read in it: every file
// of it goes to whoever asks.
func (d *decoder) checkFilesDir(appliance *hcl.Block) {
	a := d.cfg.Appliance
	if a.FilesDir == "" || appliance == nil {
		return // what is wrong was said, or nothing is where it was not expected
	}
	at := appliance.DefRange
	if given, _ := appliance.Body.JustAttributes(); given["files_dir"] != nil {
		at = given["files_dir"].Expr.Range()
	}
	var found []string
	for _, inner := range []struct{ path, what string }{
		{d.cfg.Dir, "the configuration with its secrets"}, {a.StateDir, "the state"}, {d.key(), "the key of the https block"},
	} {
		if inner.path != "" && isWithin(inner.path, a.FilesDir) {
			found = append(found, fmt.Sprintf("%s (%s)", inner.what, inner.path))
		}
	}
	if len(found) > 0 {
		d.fail(at, "Secrets among the files", "Everybody may read every file within files_dir, %s, and there is %s. Give the files a folder of their own.",
			a.FilesDir, strings.Join(found, ", and "))
	}
}

// key is the path of the key of HTTPS, "" where none is given.
func (d *decoder) key() string {
	if d.cfg.HTTPS == nil {
		return ""
	}
	return d.cfg.HTTPS.Key
}

// isWithin reports whether path is dir or lies in it, whatever links lead there.
func isWithin(path, dir string) bool {
	rel, err := filepath.Rel(realPath(dir), realPath(path))
	return err == nil && filepath.IsLocal(rel)
}

// realPath follows the links of a path, as far as there is something at it yet.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		parent := filepath.Dir(path)
		if parent == path {
			return filepath.Join(path, rest)
		}
		path, rest = parent, filepath.Join(filepath.Base(path), rest)
	}
}

func (d *decoder) provisioning(block *hcl.Block) {
	p := &d.cfg.Provisioning
	*p = Provisioning{Scheme: "http", Secrets: "lease", HTTPAuth: "off", PnP: true, HTTPPort: 80, TFTPPort: 69}
	if block == nil {
		return
	}
	b := d.open(block, provisioningSchema)
	p.Scheme = b.oneOf("scheme", p.Scheme, "http", "https", "tftp")
	p.Secrets = b.oneOf("secrets", p.Secrets, "lease", "certificate", "anyone")
	p.HTTPAuth = b.oneOf("http_auth", p.HTTPAuth, "off", "digest", "basic")
	if given := b.Attributes["http_auth"]; given != nil {
		p.AuthRange = given.Expr.Range()
	}
	p.PnP = b.boolean("pnp", p.PnP)
	p.HTTPPort = b.integer("http_port", p.HTTPPort, 1, maxPort)
	p.TFTPPort = b.integer("tftp_port", p.TFTPPort, 1, maxPort)

	https := d.cfg.HTTPS
	if d.rep.Incomplete() {
		return
	}
	if p.Scheme == "https" && https == nil {
		d.warn(MissingHTTPS, b.Attributes["scheme"].Expr.Range(), "Missing https block", "Phones are sent to https, and there is no https block. "+
			"Add one with the certificate and the key of this appliance.")
	}
	switch {
	case p.Secrets == "certificate" && (https == nil || https.ClientCA == ""):
		d.warn(MissingClientCA, b.Attributes["secrets"].Expr.Range(), "Missing client_ca", "Secrets go only to phones that show a certificate, and none can be checked: "+
			"name the certificates of the phones' maker as client_ca in the https block. Until then no phone gets its own file.")
	case p.Secrets == "certificate" && p.Scheme != "https":
		d.warn(CertificateScheme, b.Attributes["secrets"].Expr.Range(), "Certificates without HTTPS", "Secrets go only to phones that show a certificate, which only HTTPS can, and phones are sent to %s, "+
			"where none of them gets its own file. Set scheme = \"https\", here or in the models.", p.Scheme)
	case p.Secrets == "anyone":
		d.warn(SecretsAnyone, b.Attributes["secrets"].Expr.Range(), "Secrets for anyone", "Every phone's own file, with its passwords, goes to whoever asks, and MACs are easily guessed. "+
			"Leave secrets out outside of a closed laboratory.")
	}
	if p.HTTPAuth == "basic" && p.Scheme != "https" {
		d.warn(ClearPassword, b.Attributes["http_auth"].Expr.Range(), "Password in the clear", "With basic a phone sends its http_client_pass as it is, and phones are sent to %s: "+
			"whoever reads the wire can have the phone's file from then on. Set http_auth = \"digest\", or scheme = \"https\".", p.Scheme)
	}
	if at := d.certificateAt; p.Scheme == "https" && at != nil {
		d.checkNames(*at)
	}
	if https != nil && https.Port == p.HTTPPort {
		d.fail(block.DefRange, "Port used twice", "Port %d is given for HTTP and for HTTPS. Change http_port here or port in the https block.", p.HTTPPort)
	}
}

func (d *decoder) https(block *hcl.Block) {
	if block == nil {
		return
	}
	b := d.open(block, httpsSchema)
	h := &HTTPS{
		Certificate: b.existing("certificate"),
		Key:         b.existing("key"),
		ClientCA:    b.existing("client_ca"),
		Port:        b.integer("port", 443, 1, maxPort),
		Legacy:      b.boolean("legacy", false),
	}
	d.cfg.HTTPS = h
	if certificate, key := b.Attributes["certificate"], b.Attributes["key"]; (certificate == nil) != (key == nil) {
		d.fail(block.DefRange, "Incomplete certificate", "certificate and key belong together. Give both, or neither for a certificate of the appliance's own making.")
	}
	if h.Legacy {
		d.warn(LegacyTLS, b.Attributes["legacy"].Expr.Range(), "Old TLS", "TLS 1.0 and 1.1, and keys that whoever recorded the traffic can open later, are taken from every client. "+
			"Set this only while there are phones whose firmware knows nothing better.")
	}
	d.certificates(h, b)
}

// certificates reads what https names, as serve will.
func (d *decoder) certificates(h *HTTPS, b body) {
	if d.rep.HasErrors() {
		return // a file may be missing
	}
	if h.ClientCA != "" {
		d.makers(h.ClientCA, b.Attributes["client_ca"].Expr.Range())
	}
	if h.Certificate == "" {
		return
	}
	// A group that has certificates for its work is a custom; everybody is none.
	if info, err := os.Stat(h.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
		d.warn(ReadableKey, b.Attributes["key"].Expr.Range(), "Key readable by everybody", "Every user of this machine can read the key, and pass for the appliance with it. Run: chmod o= %s", h.Key)
	}
	at := b.Attributes["certificate"].Expr.Range()
	pair, err := pki.ReadPair(h.Certificate, h.Key)
	if err != nil {
		d.fail(at, "Invalid certificate", "%s. Both are PEM; in certificate the server's comes first, then those between it and its authority.", sentence(err))
		return
	}
	d.certificate, d.certificateAt = pair.Leaf, &at
	ends := pair.Leaf.NotAfter
	switch left := ends.Sub(d.now); {
	case d.now.IsZero():
	case d.now.Before(pair.Leaf.NotBefore):
		d.warn(CertificateEnds, at, "Certificate not good yet", "The certificate is good from %s. Until then phones that look at it find nothing here: is the clock right?", pair.Leaf.NotBefore.Format(time.DateTime))
	case left > pki.WarnAhead:
	case left <= 0:
		d.warn(CertificateEnds, at, "Certificate out of date", "The certificate was good until %s. Phones that look at it find nothing here: renew it, then reload.", ends.Format(time.DateOnly))
	default:
		d.warn(CertificateEnds, at, "Certificate ends soon", "The certificate is good until %s. Renew it, then reload.", ends.Format(time.DateOnly))
	}
}

// checkNames warns where the admin's certificate is for no address: links name the
// appliance by its own, and what is sold for a name of the internet holds none. Which
// it has is for the machine to say that serves.
func (d *decoder) checkNames(at hcl.Range) {
	if len(d.certificate.IPAddresses) == 0 && net.ParseIP(d.certificate.Subject.CommonName) == nil {
		d.warn(CertificateName, at, "Certificate without an address", "Phones are sent to https by the appliance's address, and the certificate names none: those that look at it refuse it. "+
			"Have the address put into it as an alternative name, or leave certificate and key out for one of the appliance's own making.")
	}
}

// makers reads client_ca.
func (d *decoder) makers(path string, at hcl.Range) {
	makers, err := pki.ReadMakers(path)
	if err != nil {
		d.fail(at, "Invalid certificate", "client_ca: %s.", sentence(err))
		return
	}
	var ended []string
	for _, c := range makers.Certificates() {
		if !d.now.IsZero() && d.now.After(c.NotAfter) {
			ended = append(ended, fmt.Sprintf("%q on %s", c.Subject.CommonName, c.NotAfter.Format(time.DateOnly)))
		}
	}
	if len(ended) > 0 {
		d.warn(CertificateEnds, at, "Authority out of date", "In client_ca ended: %s. No certificate that it signed holds any more: ask the phones' maker for its successor.", strings.Join(ended, ", "))
	}
}

// existing reads the path of a file that must be there.
func (b body) existing(name string) string {
	path, at := b.path(name, "")
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		b.d.fail(at, "Missing file", "%s: reading %s: %v. Paths are relative to the folder of the configuration.", name, path, reason(err))
	}
	return path
}

func (d *decoder) dns(block *hcl.Block) {
	if block == nil {
		return
	}
	b := d.open(block, dnsSchema)
	d.cfg.DNS = &DNS{}
	forwarders, _ := b.list("forwarders")
	for _, e := range forwarders {
		s, ok := d.text(e)
		if !ok {
			continue
		}
		ap, err := parseEndpoint(s, 53)
		if err == nil && (ap.Addr().IsUnspecified() || ap.Addr().IsMulticast()) {
			err = fmt.Errorf("%s is not the address of a server", s)
		}
		if err != nil {
			d.fail(e.at(), "Invalid address", "forwarders: %v.", err)
			continue
		}
		d.cfg.DNS.Forwarders = append(d.cfg.DNS.Forwarders, ap)
	}
	hold, _ := b.list("hold")
	for _, e := range hold {
		if name, ok := d.domain(e); ok {
			d.cfg.DNS.Hold = append(d.cfg.DNS.Hold, name)
		}
	}
	given := make(map[string]hcl.Range)
	for _, block := range b.ofType("record") {
		if r, ok := d.record(block, given); ok {
			d.cfg.DNS.Records = append(d.cfg.DNS.Records, r)
		}
	}
}

func (d *decoder) record(block *hcl.Block, given map[string]hcl.Range) (Record, bool) {
	b := d.open(block, recordSchema)
	at := block.LabelRanges[0]
	r := Record{DeclRange: at}
	var err error
	if r.Name, err = parseDomain(block.Labels[0]); err != nil {
		d.fail(at, "Invalid domain name", "%s.", sentence(err))
		return r, false
	}
	if earlier, ok := given[r.Name]; ok {
		d.fail(at, "Duplicate name", "The record %q was given at %s. Join the two: addresses = [ … ].", r.Name, where(earlier))
		return r, false
	}
	given[r.Name] = at
	if (b.Attributes["address"] == nil) == (b.Attributes["addresses"] == nil) {
		d.fail(block.DefRange, "Invalid record", "Give the record either an address or a list: addresses = [ … ].")
		return r, false
	}
	elements, _ := b.list("addresses")
	if v, ok := b.get("address", false); ok {
		elements = append(elements, v)
	}
	for _, e := range elements {
		s, ok := d.text(e)
		if !ok {
			continue
		}
		ap, err := parseEndpoint(s, 0)
		if err != nil || ap.Port() != 0 || ap.Addr().Zone() != "" {
			d.fail(e.at(), "Invalid address", `%s: %q is no IP address; write it like "192.168.50.5".`, e.name, s)
			continue
		}
		r.Addresses = append(r.Addresses, ap.Addr())
	}
	return r, len(r.Addresses) > 0
}

func (d *decoder) admin(block *hcl.Block) {
	if block == nil {
		return
	}
	b := d.open(block, adminSchema)
	a := &Admin{Listen: defaultAdminListen}
	d.cfg.Admin = a
	if v, ok := b.get("password", true); ok {
		if a.Password, ok = d.text(v); ok && a.Password == "" {
			d.fail(v.at(), "Empty password", "The password is empty. Write one, or leave it out and let the page listen on 127.0.0.1.")
		}
	}
	s, at, ok := b.text("listen")
	if !ok {
		return
	}
	host, listen, err := parseListen(s)
	if err != nil {
		d.fail(at, "Invalid address", "listen: %v.", err)
		return
	}
	a.Listen = listen
	if !host.IsLoopback() && b.Attributes["password"] == nil {
		d.fail(at, "Missing password", "The status page would be open to everyone who reaches %s. Set a password, "+
			"or let it listen on 127.0.0.1.", s)
	}
}
