package provision

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"
	"time"

	"dialtone/internal/mac"
)

// The values of Config.HTTPAuth. Anything else asks nobody for credentials.
const (
	AuthDigest = "digest" // RFC 7616, SHA-256 and MD5
	AuthBasic  = "basic"  // RFC 7617 too: over plain HTTP the wire reads the password
)

const (
	realm = "dialtone"
	// nonceTime is how long an answer to a challenge is good for: what was overheard
	// can be sent again so long, for the same document and no other.
	nonceTime = 2 * time.Minute
	// maxAuthorization bounds a header, in octets, and maxParameters what is in it.
	maxAuthorization = 1024
	maxParameters    = 16
)

// nonces makes and knows nonces without keeping any.
type nonces struct{ key [32]byte }

func (n *nonces) sum(seconds []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(seconds)
	return h.Sum(nil)[:16]
}

func (n *nonces) make(now time.Time) string {
	seconds := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	return hex.EncodeToString(append(seconds, n.sum(seconds)...))
}

// check reports whether a nonce was made here, and whether it is fresh.
func (n *nonces) check(nonce string, now time.Time) (ours, fresh bool) {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) != 24 || !hmac.Equal(n.sum(b[:8]), b[8:]) {
		return false, false
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(b)), 0))
	return true, -time.Second <= age && age <= nonceTime
}

// asksFor reports whether a value of Config.HTTPAuth asks for credentials.
func asksFor(auth string) bool { return auth == AuthDigest || auth == AuthBasic }

// challenges are the values of WWW-Authenticate, the best first.
func (d *Desk) challenges(auth string, stale bool) []string {
	nonce := d.nonces.make(d.now())
	var list []string
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		c := `Digest realm="` + realm + `", qop="auth", algorithm=` + algorithm + `, nonce="` + nonce + `"`
		if stale {
			c += ", stale=true"
		}
		list = append(list, c)
	}
	if auth == AuthBasic {
		list = append(list, `Basic realm="`+realm+`", charset="UTF-8"`)
	}
	return list
}

// outcome is what credentials turn out to be.
type outcome int

const (
	credentialsNone outcome = iota
	credentialsWrong
	credentialsStale // right, for a nonce that is too old
	credentialsRight
)

// credentials checks the header of r against what the phone own was told.
func (d *Desk) credentials(auth string, own mac.Addr, r Request) outcome {
	if len(r.Authorization) > maxAuthorization {
		return credentialsWrong
	}
	scheme, rest, _ := strings.Cut(r.Authorization, " ")
	switch {
	case strings.EqualFold(scheme, "Digest"):
		p := parameters(rest)
		// The cheap questions come first.
		ours, fresh := d.nonces.check(p["nonce"], d.now())
		if !ours || p["realm"] != realm || resourceOf(p["uri"]) != resourceOf(r.Target) {
			return credentialsWrong
		}
		user, password, ok := d.set().Login(own)
		if !ok || !sameUser(p["username"], user, own) || !digestHolds(p, r.Method, password) {
			return credentialsWrong
		}
		if !fresh {
			return credentialsStale
		}
		return credentialsRight
	case strings.EqualFold(scheme, "Basic") && auth == AuthBasic:
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		said, secret, ok := strings.Cut(string(b), ":")
		if err != nil || !ok {
			return credentialsWrong
		}
		user, password, ok := d.set().Login(own)
		if ok && sameUser(said, user, own) && subtle.ConstantTimeCompare([]byte(secret), []byte(password)) == 1 {
			return credentialsRight
		}
	}
	return credentialsWrong
}

// resourceOf is a request target without the server that it may name: a proxy, and who
// thinks that we are one, writes either (RFC 7616 section 3.4.6).
func resourceOf(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// sameUser takes any spelling of a MAC where the name is one.
func sameUser(said, user string, own mac.Addr) bool {
	if said == user {
		return true
	}
	m, err := mac.Parse(said)
	n, other := mac.Parse(user)
	return err == nil && other == nil && m == own && n == own
}

// digestHolds computes the response (RFC 7616 section 3.4.1). Without qop it is
// that of RFC 2069, which old clients send.
func digestHolds(p map[string]string, method, password string) bool {
	var sum func() hash.Hash
	switch strings.ToUpper(p["algorithm"]) {
	case "", "MD5":
		sum = md5.New
	case "SHA-256":
		sum = sha256.New
	default:
		return false
	}
	h := func(parts ...string) string {
		s := sum()
		s.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(s.Sum(nil))
	}
	ha1, ha2 := h(p["username"], realm, password), h(method, p["uri"])
	var want string
	switch p["qop"] {
	case "auth":
		// Who counts is the client: without a memory of nonces no more can be asked than
		// that it began.
		if n, err := hex.DecodeString(p["nc"]); err != nil || len(n) != 4 || binary.BigEndian.Uint32(n) == 0 || p["cnonce"] == "" {
			return false
		}
		want = h(ha1, p["nonce"], p["nc"], p["cnonce"], "auth", ha2)
	case "":
		want = h(ha1, p["nonce"], ha2)
	default:
		return false
	}
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(p["response"])), []byte(want)) == 1
}

// parameters reads name=value pairs, quoted or not (RFC 9110 section 11.2); nil
// where there is one twice, or too many.
func parameters(s string) map[string]string {
	p := make(map[string]string)
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return p
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := p[name]; !ok || twice || len(p) == maxParameters {
			return nil
		}
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, `"`) {
			value, after, _ := strings.Cut(rest, ",")
			p[name], s = strings.TrimSpace(value), after
			continue
		}
		var value strings.Builder
		i := 1
		for ; i < len(rest) && rest[i] != '"'; i++ {
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
			}
			value.WriteByte(rest[i])
		}
		if i >= len(rest) {
			return nil
		}
		p[name], s = value.String(), rest[i+1:]
	}
}
