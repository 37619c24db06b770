package provision

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
)

// loginOf is a Set in which the reception has credentials.
type loginOf struct{ secretsOf }

func (loginOf) Login(m mac.Addr) (user, password string, ok bool) {
	return reception.Hex(), "s3cret", m == reception
}

func loginDesk(t testing.TB, auth string, now *time.Time) *Desk {
	t.Helper()
	c := testConfig(t.TempDir())
	c.HTTPAuth = func() string { return auth }
	c.Now = func() time.Time { return *now }
	set := loginOf{secretsOf{exampleSet(t), ""}}
	return newDesk(c, func() documents { return set })
}

func hexOf(h hash.Hash, parts ...string) string {
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// The answer of RFC 7616 section 3.9.1, by its own numbers.
func TestDigestOfTheRFC(t *testing.T) {
	t.Parallel()
	p := parameters(`username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, ` +
		`nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth`)
	ha1 := hexOf(md5.New(), p["username"], p["realm"], "Circle of Life")
	ha2 := hexOf(md5.New(), "GET", p["uri"])
	if got := hexOf(md5.New(), ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], ha2); got != "8ca523f5e9506fed4657c9700eebdbec" {
		t.Errorf("the parameters were misread: %v", p)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	path := ownSpellings[0]
	digest := func(sum func() hash.Hash, algorithm, nonce, user, password, uri string) string {
		ha1, ha2 := hexOf(sum(), user, realm, password), hexOf(sum(), "GET", uri)
		return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s, qop=auth, nc=00000001, cnonce="c", response="%s"`,
			user, realm, nonce, uri, algorithm, hexOf(sum(), ha1, nonce, "00000001", "c", "auth", ha2))
	}
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, auth := range []string{"off", AuthDigest, AuthBasic} {
		d := loginDesk(t, auth, &now)
		nonce := d.nonces.make(now)
		old := d.nonces.make(now.Add(-nonceTime - time.Second))
		own := reception.Hex()
		rfc2069 := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, own, realm, nonce, path,
			hexOf(md5.New(), hexOf(md5.New(), own, realm, "s3cret"), nonce, hexOf(md5.New(), "GET", path)))
		for _, tt := range []struct {
			name, authorization string
			want                bool // with digest
			basic               bool // with basic
			stale               bool
		}{
			{"SHA-256", digest(sha256.New, "SHA-256", nonce, own, "s3cret", path), true, true, false},
			{"MD5", digest(md5.New, "MD5", nonce, own, "s3cret", path), true, true, false},
			{"RFC 2069", rfc2069, true, true, false},
			{"name in another spelling", digest(md5.New, "MD5", nonce, "00:04:13:92:2d:24", "s3cret", path), true, true, false},
			{"wrong password", digest(md5.New, "MD5", nonce, own, "s3cret!", path), false, false, false},
			{"wrong name", digest(md5.New, "MD5", nonce, stranger.Hex(), "s3cret", path), false, false, false},
			{"of another document", digest(md5.New, "MD5", nonce, own, "s3cret", "/x"), false, false, false},
			{"old nonce", digest(md5.New, "MD5", old, own, "s3cret", path), false, false, true},
			{"made-up nonce", digest(md5.New, "MD5", strings.Repeat("0", 48), own, "s3cret", path), false, false, false},
			{"unknown algorithm", digest(md5.New, "MD5-sess", nonce, own, "s3cret", path), false, false, false},
			{"nc of zero", strings.Replace(digest(md5.New, "MD5", nonce, own, "s3cret", path), "nc=00000001", "nc=00000000", 1), false, false, false},
			{"twice", digest(md5.New, "MD5", nonce, own, "s3cret", path) + `, uri="/x"`, false, false, false},
			{"basic", basic(own + ":s3cret"), false, true, false},
			{"basic, wrong", basic(own + ":"), false, false, false},
			{"basic, nothing", "Basic", false, false, false},
			{"none", "", false, false, false},
			{"long", "Digest " + strings.Repeat("a=b,", 1000), false, false, false},
		} {
			want := auth == AuthDigest && tt.want || auth == AuthBasic && tt.basic
			for _, protocol := range []string{"http", "https"} {
				d.misses = misses{}
				_, err := d.Open(Request{
					Path: path, Method: "GET", Target: path, Authorization: tt.authorization, Source: nobodyAt, Local: local, Protocol: protocol,
				})
				if (err == nil) != want {
					t.Errorf("%s, %s, %s: %v", auth, tt.name, protocol, err)
				}
				refusal, _ := errors.AsType[*Refusal](err)
				if refusal == nil {
					continue
				}
				if auth == "off" {
					if refusal.Status != http.StatusForbidden || refusal.Challenges != nil {
						t.Errorf("off, %s: %+v", tt.name, refusal)
					}
					continue
				}
				said := strings.Join(refusal.Challenges, "\n")
				if refusal.Status != http.StatusUnauthorized || strings.Contains(said, "stale=true") != tt.stale ||
					strings.Contains(said, "Basic") != (auth == AuthBasic) || !regexp.MustCompile(`SHA-256, nonce="[0-9a-f]{48}"`).MatchString(said) {
					t.Errorf("%s, %s: %d\n%s", auth, tt.name, refusal.Status, said)
				}
				if refusal.miss != (tt.authorization != "" && !tt.stale) {
					t.Errorf("%s, %s: miss %v", auth, tt.name, refusal.miss)
				}
			}
		}
		// The lease is enough, also with wrong credentials: a phone that was reset has none.
		for _, authorization := range []string{"", basic("x:y")} {
			if _, err := d.Open(Request{Path: path, Source: receptionAt, Local: local, Protocol: "http", Authorization: authorization}); err != nil {
				t.Errorf("%s: by its lease: %v", auth, err)
			}
		}
		if _, err := d.Open(Request{Path: path, Source: nobodyAt, Local: local, Protocol: "tftp"}); refusedStatus(err) != http.StatusForbidden {
			t.Errorf("%s: tftp: %v", auth, err)
		}
	}
}

// Credentials are more than an address: a phone that shows them at its own is known by
// them, whatever the address says, and one that shows others is known by its address.
func TestCredentialsAtItsAddress(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct{ auth, protocol, password, want string }{
		{AuthBasic, "http", "s3cret", ByCredentials},
		{AuthBasic, "http", "wrong", ByLease},
		{AuthBasic, "tftp", "s3cret", ByLease},
		{"off", "http", "s3cret", ByLease},
	} {
		var seen []Sighting
		d := loginDesk(t, tt.auth, &now)
		d.register = keeper{&seen}
		_, err := d.Open(Request{
			Path: ownSpellings[0], Source: receptionAt, Local: local, Protocol: tt.protocol, Method: "GET",
			Authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(reception.Hex()+":"+tt.password)),
		})
		if err != nil || len(seen) != 1 || seen[0].Witness != tt.want {
			t.Errorf("%+v: %v, seen %+v", tt, err, seen)
		}
	}
}

// The document of an answer is the one that is asked for, whether either names the
// server or does not.
func TestDigestTargets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	d := loginDesk(t, AuthDigest, &now)
	path := ownSpellings[0]
	for _, tt := range []struct {
		uri, target string
		want        bool
	}{
		{path, path, true},
		{path, "http://192.168.50.1" + path, true},
		{"http://192.168.50.1" + path, path, true},
		{"https://other" + path, "http://192.168.50.1" + path, true},
		{path + "?x", path, false},
		{path, path + "?x", false},
		{"x" + path, path, false},
		{"//x" + path, path, false},
		{"/x://y" + path, path, false},
		{"http://x", "", false},
	} {
		nonce := d.nonces.make(now)
		answer := hexOf(md5.New(), hexOf(md5.New(), reception.Hex(), realm, "s3cret"), nonce, hexOf(md5.New(), "GET", tt.uri))
		_, err := d.Open(Request{
			Path: path, Method: "GET", Target: tt.target, Source: nobodyAt, Local: local, Protocol: "http",
			Authorization: fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, reception.Hex(), realm, nonce, tt.uri, answer),
		})
		if (err == nil) != tt.want {
			t.Errorf("uri %s for %s: %v", tt.uri, tt.target, err)
		}
		d.misses = misses{}
	}
}

// Whoever sends TFTP can write another's address into it: that must not keep a phone
// there from its credentials.
func TestForgedMisses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	d := loginDesk(t, AuthBasic, &now)
	d.wait = func(time.Duration) {}
	r := Request{
		Path: ownSpellings[0], Source: nobodyAt, Local: local, Method: "GET",
		Authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(reception.Hex()+":s3cret")),
	}
	var err error
	for range maxMisses + 2 {
		r.Protocol = "tftp"
		_, err = d.Open(r)
	}
	if err != errShutOut {
		t.Errorf("over TFTP: %v", err)
	}
	r.Protocol = "http"
	if _, err := d.Open(r); err != nil {
		t.Errorf("with its credentials: %v", err)
	}
}

// Who guesses is slowed, then shut out, and is not told of a guess that is right. To
// be asked for credentials is no guess.
func TestGuessing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	d := loginDesk(t, AuthBasic, &now)
	waits := 0
	d.wait = func(time.Duration) { waits++ }
	ask := func(source netip.Addr, password string) error {
		r := Request{Path: ownSpellings[0], Source: source, Local: local, Protocol: "http", Method: "GET"}
		if password != "" {
			r.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(reception.Hex()+":"+password))
		}
		_, err := d.Open(r)
		return err
	}
	for range 3 * maxMisses {
		if err := ask(nobodyAt, ""); refusedStatus(err) != http.StatusUnauthorized {
			t.Fatal(err)
		}
	}
	if err := ask(nobodyAt, "s3cret"); err != nil || waits != 0 {
		t.Fatalf("after many questions: %v, %d waits", err, waits)
	}
	for i := range maxMisses + 1 {
		if err := ask(nobodyAt, fmt.Sprint(i)); refusedStatus(err) != http.StatusUnauthorized {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if waits != maxMisses-freeMisses {
		t.Errorf("%d answers waited, want %d", waits, maxMisses-freeMisses)
	}
	for _, password := range []string{"", "wrong", "s3cret"} {
		if err := ask(nobodyAt, password); err != errShutOut {
			t.Errorf("shut out, with %q: %v", password, err)
		}
	}
	if err := ask(receptionAt, "wrong"); err != nil {
		t.Errorf("by its lease: %v", err)
	}
	now = now.Add(shutOut)
	if err := ask(nobodyAt, "s3cret"); err != nil {
		t.Errorf("later: %v", err)
	}
}

func refusedStatus(err error) int {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Status
	}
	return 0
}

// Nobody gets in by a header that the password had no part in.
func FuzzAuthorization(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	d := loginDesk(f, AuthBasic, &now)
	f.Add("Basic MDAwNDEzOTIyRDI0OnM=", "/x")
	f.Add(`Digest username="000413922D24", realm="dialtone", nonce="`+d.nonces.make(now)+`", uri="/x", qop=auth, nc=00000001, cnonce="a\"b", response="0"`, "/x")
	f.Fuzz(func(t *testing.T, authorization, target string) {
		d.misses = misses{}
		if d.credentials(AuthBasic, reception, Request{Authorization: authorization, Target: target, Method: "GET"}) == credentialsWrong {
			return
		}
		_, encoded, _ := strings.Cut(authorization, " ")
		if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err != nil || !strings.HasSuffix(string(b), ":s3cret") {
			t.Errorf("%q is let in", authorization)
		}
	})
}
