package profiles

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// certificate is a server certificate, or that of an authority, which the phone
// is to trust: an entry of <certificates> (Gigaset wiki, "Certificates", for the
// same firmware; V8 and later).
type certificate struct {
	name   string
	base64 string // DER; or
	url    value  // where to fetch it
	file   string // under files_dir, "" where url is elsewhere
	source source
}

func (e *evaluator) certificate(b named) {
	pemAttr, urlAttr := b.attrs["pem"], b.attrs["url"]
	if (pemAttr == nil) == (urlAttr == nil) {
		e.fail(b.rng, "Certificate without a source", "A certificate has pem = file(\"ca.pem\") to be in the settings itself, or url for the phone to fetch it: one of the two.")
		return
	}
	c := certificate{name: b.label, source: e.source(b.rng)}
	if urlAttr != nil {
		text, ok := e.text(b.attrs, "url")
		if !ok {
			return
		}
		if c.url, c.file, ok = e.link(text, urlAttr.Expr.Range()); ok {
			e.addCertificate(c)
		}
		return
	}
	text := e.open(b.attrs, "pem", "")
	if text == "" {
		return
	}
	der, reason := readPEM(text)
	if reason != "" {
		e.fail(pemAttr.Expr.Range(), "Invalid certificate", "%s Give the certificate as PEM: the lines from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.", reason)
		return
	}
	c.base64 = base64.StdEncoding.EncodeToString(der)
	e.addCertificate(c)
}

func (e *evaluator) addCertificate(c certificate) {
	for _, other := range e.out.certificates {
		if other.name == c.name {
			e.fail(c.source.rng, "Duplicate certificate", "This layer has a certificate called %q already, at %s.", c.name, at(other.source.rng))
			return
		}
	}
	e.out.certificates = append(e.out.certificates, c)
}

// readPEM gives the one certificate of a PEM text, or why there is none.
func readPEM(text string) (der []byte, reason string) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, "There is a private key in it, which no phone is to get."
		case block.Type != "CERTIFICATE":
			return nil, "There is a " + block.Type + " in it."
		case der != nil:
			return nil, "There is more than one certificate in it: write a block for each."
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, "It cannot be read: " + err.Error() + "."
		}
		der = block.Bytes
	}
	if der == nil {
		return nil, "There is no certificate in it."
	}
	return der, ""
}

func (w *xmlWriter) certificates(list []certificate) {
	if len(list) == 0 {
		return
	}
	w.open("certificates")
	for _, c := range list {
		if c.base64 != "" {
			w.leaf("certificate", value{text: c.base64}, plain("type", "base64"))
		} else {
			w.empty("certificate", attr{"url", c.url})
		}
	}
	w.close("certificates")
}
