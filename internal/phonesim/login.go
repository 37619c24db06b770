package phonesim

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// challengeParameter is a name with a value, quoted or not.
var challengeParameter = regexp.MustCompile(`([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))`)

// authorize answers the first challenge that it understands (RFC 7616, RFC 7617),
// one in each header, for a GET of u; "" where it understands none or there is no
// user.
func authorize(challenges []string, user, password string, u *url.URL) string {
	if user == "" {
		return ""
	}
	for _, c := range challenges {
		scheme, rest, _ := strings.Cut(c, " ")
		switch {
		case strings.EqualFold(scheme, "Digest"):
			p := map[string]string{}
			for _, m := range challengeParameter.FindAllStringSubmatch(rest, -1) {
				p[strings.ToLower(m[1])] = m[2] + m[3]
			}
			if a := digest(p, user, password, u.RequestURI(), rand.Text()); a != "" {
				return a
			}
		case strings.EqualFold(scheme, "Basic"):
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
		}
	}
	return ""
}

// digest answers a challenge that offers qop "auth", by a nonce of the client's
// own; "" where it does not.
func digest(p map[string]string, user, password, uri, client string) string {
	sums := map[string]func() hash.Hash{"": md5.New, "MD5": md5.New, "SHA-256": sha256.New}
	sum := sums[strings.ToUpper(p["algorithm"])]
	offered := slices.ContainsFunc(strings.Split(p["qop"], ","), func(q string) bool { return strings.TrimSpace(q) == "auth" })
	if sum == nil || !offered || p["nonce"] == "" {
		return ""
	}
	h := func(parts ...string) string {
		s := sum()
		s.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(s.Sum(nil))
	}
	const count = "00000001"
	response := h(h(user, p["realm"], password), p["nonce"], count, client, "auth", h("GET", uri))
	a := fmt.Sprintf("Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q, qop=auth, nc=%s, cnonce=%q",
		user, p["realm"], p["nonce"], uri, response, count, client)
	if p["opaque"] != "" {
		a += fmt.Sprintf(", opaque=%q", p["opaque"])
	}
	if p["algorithm"] != "" {
		a += ", algorithm=" + p["algorithm"]
	}
	return a
}
