package phonesim

import (
	"net/url"
	"strings"
	"testing"
)

// The example of RFC 7616 section 3.9.1.
func TestDigest(t *testing.T) {
	t.Parallel()
	for algorithm, response := range map[string]string{
		"":        "8ca523f5e9506fed4657c9700eebdbec",
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		a := digest(map[string]string{
			"realm": "http-auth@example.org", "qop": "auth, auth-int", "algorithm": algorithm,
			"nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
		}, "Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
		if !strings.Contains(a, `response="`+response+`"`) {
			t.Errorf("%q: %s", algorithm, a)
		}
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("http://192.0.2.1/snomD785/000413922D24.xml?x=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		challenges []string
		user, want string // the beginning; "" for no answer
	}{
		{[]string{`Basic realm="a, b", charset="UTF-8"`}, "anna", "Basic YW5uYTpzZWNyZXQ="},
		{[]string{`Basic realm="x"`}, "", ""},
		{[]string{`Digest realm="a, b", qop="auth", nonce="n"`, `Basic realm="x"`}, "anna", `Digest username="anna", realm="a, b", nonce="n", uri="/snomD785/000413922D24.xml?x=1", response=`},
		{[]string{`Digest realm="x", qop="auth", algorithm=SHA-512-256, nonce="n"`, `Digest realm="y", qop=auth, algorithm=MD5, nonce=n`}, "anna", `Digest username="anna", realm="y"`},
		{[]string{`Digest realm="x", qop="auth-int", nonce="n"`, `Digest realm="x", nonce="n"`, `Digest realm="x", qop="auth"`, `Negotiate`, ``}, "anna", ""},
	} {
		got := authorize(c.challenges, c.user, "secret", u)
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%q: %q, want %q", c.challenges, got, c.want)
		}
	}
}
