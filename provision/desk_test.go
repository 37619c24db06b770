package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"dialtone/internal/config"
	"dialtone/internal/mac"
	"dialtone/profiles"
)

var (
	reception = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24} // a snomD785 of the example
	branch    = mac.Addr{0x00, 0x04, 0x13, 0x26, 0x00, 0x01} // redirected
	stranger  = mac.Addr{0x00, 0x04, 0x13, 0xff, 0xff, 0xff}

	receptionAt = netip.MustParseAddr("192.168.50.20")
	otherAt     = netip.MustParseAddr("192.168.50.101") // leased to stranger
	nobodyAt    = netip.MustParseAddr("192.168.50.66")
	local       = netip.MustParseAddr("192.168.50.1")
)

// leases is a Witness.
type leases map[netip.Addr]struct {
	mac   mac.Addr
	class string
}

func (l leases) Client(a netip.Addr) (mac.Addr, string, bool) {
	who, ok := l[a]
	return who.mac, who.class, ok
}

var witness = leases{
	receptionAt: {reception, "snomD785"},
	otherAt:     {stranger, "snomD717"},
}

// fakeSet is documents, as struct of functions.
func (fakeSet) Explain(profiles.Request) ([]profiles.Explained, error) { return nil, nil }

func (fakeSet) Login(mac.Addr) (user, password string, ok bool) { return "", "", false }

type fakeSet struct {
	phones map[mac.Addr]profiles.Phone
	render func(r profiles.Request) (profiles.Document, error)
}

func (f fakeSet) Phone(m mac.Addr) (profiles.Phone, bool) {
	p, ok := f.phones[m]
	return p, ok
}

func (f fakeSet) Server(model string, a netip.Addr) profiles.Server {
	return profiles.Server{URL: "http://" + a.String() + "/" + model, Address: a}
}

func (f fakeSet) ParsePath(path, rawQuery string) (profiles.Path, error) {
	return profiles.ParsePath(path, rawQuery)
}

func (f fakeSet) Render(r profiles.Request) (profiles.Document, error) { return f.render(r) }

func testConfig(dir string) Config {
	return Config{
		FilesDir: func() string { return dir },
		Secrets:  func() string { return SecretsLease },
		Witness:  witness,
		Log:      slog.New(slog.DiscardHandler),
		Now:      func() time.Time { return time.Unix(1, 0) },
		Wait:     func(time.Duration) {},
	}
}

type passwords struct{}

func (passwords) Password(name string) (string, error) { return "made-for-" + name, nil }

// exampleSet is the configuration that profiles is tested with.
func exampleSet(t testing.TB) *profiles.Set {
	t.Helper()
	cfg, rep := config.Load("../etc/dialtone", config.Options{})
	set := profiles.Load(cfg, passwords{}, rep)
	if rep.HasErrors() {
		rep.Write(os.Stderr, false, 80)
		t.Fatal("the example does not load")
	}
	return set
}

func exampleDesk(t testing.TB, change func(c *Config)) *Desk {
	t.Helper()
	set := exampleSet(t)
	c := testConfig(t.TempDir())
	c.Set = func() *profiles.Set { return set }
	if change != nil {
		change(&c)
	}
	return New(c)
}

func read(t testing.TB, a *Answer) string {
	t.Helper()
	defer a.Content.Close()
	b, err := io.ReadAll(a.Content)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != a.Size {
		t.Errorf("%s has %d octets and says %d", a.ETag, len(b), a.Size)
	}
	return string(b)
}

// refused is what a Refusal says, in one line.
func refused(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return fmt.Sprintf("%d %s", r.Status, r.Reason)
	}
	return fmt.Sprint(err)
}

// Every spelling that reaches the document of the phone at the reception.
var ownSpellings = []string{
	"/snomD785/000413922D24.xml",
	"snomD785/000413922D24.xml",
	"//snomD785/000413922D24.xml",
	"/snomd785/000413922d24.xml",
	"/SNOMD785/000413922D24.XML",
	"/snomD785/00:04:13:92:2D:24.xml",
	"/snomD785/00-04-13-92-2d-24.xml",
	"/snomD785/00%3A04%3A13%3a92%3a2D%3A24.xml",
	"/snomD785/0004.1392.2d24.xml",
	"/snomD785/ 000413922D24 .xml",
	"/snom370/000413922D24.xml", // of another model
}

func TestGuardReasons(t *testing.T) {
	t.Parallel()
	secret, err := os.ReadFile("../etc/dialtone/secrets/sip/101")
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(secret))
	elsewhere := "403 what belongs to 00:04:13:92:2d:24 goes only to its own address, leased here or seen on the wire, and %s is not it: " +
		"let the phone use DHCP, then restart it"
	mode := SecretsLease
	d := exampleDesk(t, func(c *Config) {
		c.Secrets = func() string { return mode }
		// The limits of the log are no limits of answers.
		c.Now = func() time.Time { return time.Unix(1, 0) }
	})
	for _, tt := range []struct {
		secrets string
		source  netip.Addr
		agent   string
		want    string // of the refusal; "" where the document is given
	}{
		{secrets: SecretsLease, source: receptionAt},
		{secrets: SecretsLease, source: netip.AddrFrom16(receptionAt.As16())}, // as a socket of both families gives it
		{secrets: SecretsLease, source: otherAt, want: fmt.Sprintf(elsewhere, otherAt)},
		{secrets: SecretsLease, source: nobodyAt, want: fmt.Sprintf(elsewhere, nobodyAt)},
		{
			secrets: SecretsLease, source: nobodyAt, want: fmt.Sprintf(elsewhere, nobodyAt),
			agent: "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 000413922D24)",
		},
		{secrets: SecretsLease, source: netip.Addr{}, want: fmt.Sprintf(elsewhere, "invalid IP")},
		{secrets: "a word of a later version", source: nobodyAt, want: fmt.Sprintf(elsewhere, nobodyAt)},
		{secrets: SecretsAnyone, source: nobodyAt},
		{
			secrets: SecretsCertificate, source: receptionAt,
			want: `403 what belongs to 00:04:13:92:2d:24 goes only over HTTPS to who shows its certificate, ` +
				`and none was shown: let the phone use https`,
		},
	} {
		mode = tt.secrets
		for _, protocol := range []string{"http", "tftp"} {
			for _, path := range ownSpellings {
				d.misses = misses{} // each is the first
				a, err := d.Open(Request{Path: path, Source: tt.source, Local: local, Protocol: protocol, UserAgent: tt.agent})
				if tt.want != "" {
					if got := refused(err); a != nil || got != tt.want {
						t.Errorf("secrets %q, %s %s from %s: %v, %q, want %q", tt.secrets, protocol, path, tt.source, a, got, tt.want)
					}
					continue
				}
				if err != nil {
					t.Errorf("secrets %q, %s %s from %s: %v", tt.secrets, protocol, path, tt.source, err)
					continue
				}
				if body := read(t, a); !strings.Contains(body, password) {
					t.Errorf("secrets %q, %s %s from %s: no password in %.200s", tt.secrets, protocol, path, tt.source, body)
				}
			}
		}
	}
}

// Whoever may not read a document does not learn whether there is one.
func TestGuardHidesWhoIsConfigured(t *testing.T) {
	t.Parallel()
	d := exampleDesk(t, nil)
	reasons := make(map[string]bool)
	for _, m := range []mac.Addr{reception, stranger} {
		_, err := d.Open(Request{Path: "/snomD785/" + m.Hex() + ".xml", Source: nobodyAt, Local: local})
		reasons[strings.ReplaceAll(refused(err), m.String(), "M")] = true
	}
	if len(reasons) != 1 {
		t.Errorf("two reasons: %v", reasons)
	}
}

func TestGuardOfRenderedDocument(t *testing.T) {
	t.Parallel()
	// Whatever the path, it is the document that says whom it belongs to.
	doc := profiles.Document{Body: []byte("secret"), Own: reception, Secrets: []profiles.Span{{Start: 0, End: 6}}}
	d := newDesk(testConfig(""), func() documents {
		return fakeSet{render: func(profiles.Request) (profiles.Document, error) { return doc, nil }}
	})
	for source, want := range map[netip.Addr]string{
		receptionAt: "<nil>",
		otherAt: "403 what belongs to 00:04:13:92:2d:24 goes only to its own address, leased here or seen on the wire, " +
			"and 192.168.50.101 is not it: let the phone use DHCP, then restart it",
	} {
		_, err := d.Open(Request{Path: "/snomD785.htm", Source: source})
		if got := refused(err); got != want {
			t.Errorf("from %s: %s, want %s", source, got, want)
		}
	}
	doc.Own = mac.Addr{}
	_, err := d.Open(Request{Path: "/snomD785.htm", Source: receptionAt})
	if got, want := refused(err), "403 this document holds a secret and belongs to no phone: run dialtone check"; got != want {
		t.Errorf("general document with a secret: %s, want %s", got, want)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	d := newDesk(testConfig(t.TempDir()), func() documents { return fakeSet{} })
	for _, tt := range []struct{ path, query, want string }{
		{"/" + strings.Repeat("a", 512), "", "404 the path is longer than 512 octets: nothing here has such a name"},
		{"/", strings.Repeat("a", 513), "404 the path is longer than 512 octets: nothing here has such a name"},
		{"/files/a\x00.bin", "", "404 the path holds a control character: nothing here has such a name"},
		{"/files/a\r\nX: y", "", "404 the path holds a control character: nothing here has such a name"},
		{"/files/\x1b[2J", "", "404 the path holds a control character: nothing here has such a name"},
		{"/files/\xff", "", "404 the path is not UTF-8: nothing here has such a name"},
		{"/favicon.ico", "", `404 no document is called "favicon.ico": phones ask for MODEL.htm and MODEL-MAC.htm`},
		{"/files/../x", "", `404 "../x" is not served: a name has no empty part and none that begins with a dot`},
	} {
		_, err := d.Open(Request{Path: tt.path, RawQuery: tt.query, Source: nobodyAt})
		if got := refused(err); got != tt.want {
			t.Errorf("%.40q: %s, want %s", tt.path, got, tt.want)
		}
	}
}

// What the Set is asked, by who asks and what is known of them.
func TestWhoAsks(t *testing.T) {
	t.Parallel()
	const agent = "Mozilla/4.0 (compatible; snomD717-SIP 10.1.33.33 000413260001)"
	type asked struct {
		MAC            mac.Addr
		Model, Version string
		URL            string
		Reveal         bool
	}
	for _, tt := range []struct {
		name string
		r    Request
		want asked
	}{
		{
			"the witness and the path",
			Request{Path: "/snomD785.htm", Source: receptionAt},
			asked{MAC: reception, Model: "snomD785"},
		},
		{
			"the witness alone",
			Request{Path: "/?mac=000413260001", Source: receptionAt},
			asked{MAC: reception, Model: "snomD785"},
		},
		{
			"the witness before the User-Agent",
			Request{Path: "/gui-lang.xml", Source: receptionAt, UserAgent: agent},
			asked{MAC: reception, Model: "snomD785"},
		},
		{
			"the User-Agent alone",
			Request{Path: "/gui-lang.xml", Source: nobodyAt, UserAgent: agent},
			asked{MAC: branch, Model: "snomD717", Version: "10.1.33.33"},
		},
		{
			"the version is that of the model",
			Request{Path: "/snomd717-firmware.htm", Source: nobodyAt, UserAgent: agent},
			asked{MAC: branch, Model: "snomd717", Version: "10.1.33.33"},
		},
		{
			"the version of another model",
			Request{Path: "/snomD785-firmware.htm", Source: nobodyAt, UserAgent: agent},
			asked{MAC: branch, Model: "snomD785"},
		},
		{
			"the configuration",
			Request{Path: "/000413922D24.xml", Source: nobodyAt},
			asked{Model: "snomD785"},
		},
		{"nobody", Request{Path: "/gui-lang.xml", Source: nobodyAt}, asked{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got asked
			d := newDesk(testConfig(""), func() documents {
				return fakeSet{
					phones: map[mac.Addr]profiles.Phone{reception: {MAC: reception, Model: "snomD785"}},
					render: func(r profiles.Request) (profiles.Document, error) {
						got = asked{r.MAC, r.Model, r.Version, r.Server.URL, r.Reveal}
						return profiles.Document{Body: []byte("x")}, nil
					},
				}
			})
			path, query, _ := strings.Cut(tt.r.Path, "?")
			tt.r.Path, tt.r.RawQuery, tt.r.Local = path, query, netip.AddrFrom16(local.As16())
			if _, err := d.Open(tt.r); err != nil {
				t.Fatal(err)
			}
			tt.want.Reveal, tt.want.URL = true, "http://192.168.50.1/"+tt.want.Model
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&profiles.NotFound{Reason: "not here\nbut there: ask there"}, "404 not here?but there: ask there"},
		{errors.New("secret 123"), "503 the appliance could not make this document: its log says why"},
	} {
		d := newDesk(testConfig(""), func() documents {
			return fakeSet{render: func(profiles.Request) (profiles.Document, error) { return profiles.Document{}, tt.err }}
		})
		_, err := d.Open(Request{Path: "/snomD785.htm", Source: nobodyAt})
		if got := refused(err); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// What Render shows is what the wire carries, less the secrets.
func TestRender(t *testing.T) {
	t.Parallel()
	d := exampleDesk(t, nil)
	for _, path := range []string{
		"/snomD785.htm", "/snomD785-000413922D24.htm", "/snomD785/general.xml", "/snomD785/000413922D24.xml",
		"/gui-lang.xml", "/web-lang.xml", "/snomD785-firmware.htm", "/000413922D24.xml", "/?mac=000413922d24",
	} {
		wirePath, query, _ := strings.Cut(path, "?")
		onWire, err := d.Open(Request{Path: wirePath, RawQuery: query, Source: receptionAt, Local: local, Protocol: "http"})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		shown, err := d.Render(Preview{Path: path, Who: reception, Local: local, Reveal: true})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if shown.ETag != onWire.ETag || shown.ContentType != onWire.ContentType {
			t.Errorf("%s: shown %+v, on the wire %+v", path, shown, onWire)
		}
		if diff := cmp.Diff(read(t, onWire), read(t, shown)); diff != "" {
			t.Errorf("%s (-wire +shown):\n%s", path, diff)
		}
	}
	masked, err := d.Render(Preview{Path: "/snomD785/000413922D24.xml", Local: local})
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, masked); strings.Contains(body, secretOf(t)) {
		t.Errorf("the password is shown in %s", body)
	}
	if _, err := d.Render(Preview{Path: "/nothing", Who: reception, Local: local}); !strings.HasPrefix(refused(err), "404 ") {
		t.Errorf("Render of an unknown path: %v", err)
	}
}

func secretOf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../etc/dialtone/secrets/sip/101")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestRedirectedPhone(t *testing.T) {
	t.Parallel()
	d := exampleDesk(t, func(c *Config) {
		c.Witness = leases{otherAt: {branch, "snomD717"}}
	})
	for _, path := range []string{"/snomD717.htm", "/snomD717-000413260001.htm"} {
		a, err := d.Open(Request{Path: path, Source: otherAt, Local: local})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if body := read(t, a); !strings.Contains(body, "https://provisioning.branch.example/") {
			t.Errorf("%s: no redirect in %s", path, body)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write := func(path, body string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "later")
	d := newDesk(testConfig(dir), func() documents { return fakeSet{} })
	open := func(path string) (*Answer, error) {
		return d.Open(Request{Path: path, Source: nobodyAt, Protocol: "http"})
	}
	if _, err := open("/firmware/a.bin"); refused(err) != `404 there is no file "firmware/a.bin": put it into files_dir` {
		t.Errorf("without a folder: %v", err)
	}

	write(filepath.Join(outside, "shadow"), "root")
	write(filepath.Join(dir, "firmware/a.bin"), "image")
	write(filepath.Join(dir, "firmware/M900/b.fwu"), "dect")
	write(filepath.Join(dir, "media/ü.xml"), "<x/>")
	write(filepath.Join(dir, ".hidden"), "x")
	write(filepath.Join(dir, "media/.git/config"), "x")
	must(os.Symlink("a.bin", filepath.Join(dir, "firmware/link.bin")))
	must(os.Symlink(filepath.Join(outside, "shadow"), filepath.Join(dir, "absolute")))
	must(os.Symlink("../../"+filepath.Base(outside)+"/shadow", filepath.Join(dir, "relative")))
	must(os.Symlink(outside, filepath.Join(dir, "folder")))
	must(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))

	const octets, xml = "application/octet-stream", "text/xml; charset=utf-8"
	for _, tt := range []struct{ path, want, kind string }{
		{"/firmware/a.bin", "image", octets},
		{"firmware/a.bin", "image", octets},
		{"/Firmware/a.bin", "image", octets},
		{"/files/firmware/a.bin", "image", octets},
		{"/firmware/M900/b.fwu", "dect", octets},
		{"/firmware/link.bin", "image", octets},
		{"/files/media/ü.xml", "<x/>", xml},
	} {
		a, err := open(tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if _, ok := a.Content.(*os.File); !ok || a.ModTime.IsZero() || a.ContentType != tt.kind {
			t.Errorf("%s: %+v", tt.path, a)
		}
		if got := read(t, a); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.path, got, tt.want)
		}
	}
	for _, path := range []string{
		"/firmware/A.BIN", "/firmware/a.bin/", "/firmware/a.bin/x", "/firmware/", "/firmware//a.bin",
		"/files/absolute", "/files/relative", "/files/folder/shadow", "/files/folder", "/files/media", "/files/fifo",
		"/files/../later/firmware/a.bin", "/firmware/../firmware/a.bin", "/firmware/./a.bin", "/files/" + outside + "/shadow",
		"/files//" + outside + "/shadow", "/files/..\\..\\shadow", "/files/%2e%2e/shadow", "/files/.hidden", "/files/media/.git/config",
		"/files/" + strings.Repeat("a", 300), "/files/" + strings.Repeat("a/", 200) + "b",
	} {
		a, err := open(path)
		if got := refused(err); a != nil || !strings.HasPrefix(got, "404 ") {
			t.Errorf("%s: %v, %s, want a 404", path, a, got)
		}
		if err != nil && strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the reason tells the folder: %v", path, err)
		}
		if name, ok := strings.CutPrefix(path, "/files/"); ok && d.files.has(name) {
			t.Errorf("%s: has says that it would be served", path)
		}
	}
	if !d.files.has("firmware/a.bin") {
		t.Error("has does not find firmware/a.bin")
	}

	first, err := open("/firmware/a.bin")
	must(err)
	read(t, first)
	write(filepath.Join(dir, "firmware/new"), "IMAGE")
	must(os.Rename(filepath.Join(dir, "firmware/new"), filepath.Join(dir, "firmware/a.bin")))
	second, err := open("/firmware/a.bin")
	must(err)
	read(t, second)
	if first.ETag == second.ETag {
		t.Errorf("another file has the same ETag %s", first.ETag)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	d := exampleDesk(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
	})
	ask := func(path string, source netip.Addr) {
		t.Helper()
		a, err := d.Open(Request{Path: path, Source: source, Local: local, Protocol: "http"})
		if err == nil {
			a.Content.Close()
		}
	}
	for _, tt := range []struct {
		path   string
		source netip.Addr
		want   []string
	}{
		{"/SNOMD785/00-04-13-92-2d-24.xml", receptionAt, []string{
			`level=INFO msg="document served"`, "path=/", "/000413922D24.xml ", "ip=192.168.50.20", "protocol=http",
			"mac=00:04:13:92:2d:24", "status=200", "bytes=",
		}},
		{"/snomD785/000413922D24.xml", otherAt, []string{
			`level=INFO msg="document refused"`, "path=/snomD785/000413922D24.xml", "ip=192.168.50.101",
			"mac=00:04:13:ff:ff:ff", "status=403", "reason=\"what belongs to",
		}},
		{"/\x1b[2J\n" + strings.Repeat("é", 200), nobodyAt, []string{"status=404", "path=/?[2J?éé", "…"}},
	} {
		lines.Reset()
		ask(tt.path, tt.source)
		got := lines.String()
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%.40q: no %q in %s", tt.path, want, got)
			}
		}
		if strings.Contains(got, secretOf(t)) || strings.Count(got, "\n") != 1 || len(got) > 1200 {
			t.Errorf("%.40q: %s", tt.path, got)
		}
	}

	// Neither refusals nor answers can flood it; what was held back is counted.
	lines.Reset()
	for i := range 20_000 {
		ask("/x", netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if n := strings.Count(lines.String(), "\n"); n > 256 {
		t.Errorf("%d lines about 20,000 refusals", n)
	}
	lines.Reset()
	for range 1000 {
		ask("/snomD785.htm", receptionAt)
	}
	if n := strings.Count(lines.String(), "\n"); n > 64 {
		t.Errorf("%d lines about 1,000 answers to one phone", n)
	}
}

func FuzzOpen(f *testing.F) {
	for _, path := range ownSpellings {
		f.Add(path, "", "", protocolTFTP)
	}
	for _, tt := range userAgents {
		f.Add("/snomD785-firmware.htm", "", tt.in, "http")
	}
	for _, path := range []string{
		"/", "/settings.php", "/snomD785.htm", "/gui-lang.xml", "/files/../../../etc/passwd", "/firmware/a.bin", "/files/out",
		"/%2e%2e/", "\x00", "/snomD785/\xff.xml", "/000413922D24.xml", "/000413260001.xml",
	} {
		f.Add(path, "mac=00:04:13:92:2d:24", "", "https")
	}
	for _, path := range []string{
		"/files/up/x", "/files/a/../up/x", "/files/%2e%2e/x", "/files/%252e%252e/x", "/files/pipe", "/firmware/..%2fx", "/files/dangling", "/files/socket",
		"/files/\xc0\xae\xc0\xae/x", "/files/..%5cx", "/files/x%00.png", "/files/x;a=b", "/snomD785%2f000413922D24.xml", "/snomD785/0004%31392%32D24.xml", "%2fsnomD785-000413922D24.htm",
	} {
		f.Add(path, "", "", protocolTFTP)
		f.Add(path, "", "", "http")
	}
	dir, outside := f.TempDir(), f.TempDir()
	const guarded = "FORBIDDEN"
	if err := os.WriteFile(filepath.Join(outside, "x"), []byte(guarded), 0o644); err != nil {
		f.Fatal(err)
	}
	for name, to := range map[string]string{"out": filepath.Join(outside, "x"), "up": outside, "dangling": "gone"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	for name, kind := range map[string]uint32{"pipe": syscall.S_IFIFO, "socket": syscall.S_IFSOCK} {
		if err := syscall.Mknod(filepath.Join(dir, name), kind|0o600, 0); err != nil {
			f.Fatal(err)
		}
	}
	set := exampleSet(f)
	c := testConfig(dir)
	c.Set = func() *profiles.Set { return set }
	d := New(c)
	secret, err := os.ReadFile("../etc/dialtone/secrets/sip/101")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query, agent, protocol string) {
		a, err := d.Open(Request{Path: path, RawQuery: query, UserAgent: agent, Source: otherAt, Local: local, Protocol: protocol})
		if err != nil {
			r, ok := errors.AsType[*Refusal](err)
			if !ok || a != nil {
				t.Fatalf("%v, %v", a, err)
			}
			if len(r.Reason) > maxReason+len("…") || strings.ContainsFunc(r.Reason, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("reason %q", r.Reason)
			}
			return
		}
		body := read(t, a)
		if strings.Contains(body, strings.TrimSpace(string(secret))) || strings.Contains(body, guarded) || strings.Contains(body, "made-for-") {
			t.Errorf("%q was given to somebody else: %s", path, body)
		}
	})
}

// A phone that moves from one VLAN to another has a lease in each for a while.
func TestGuardKnowsEveryLeaseOfAPhone(t *testing.T) {
	t.Parallel()
	set := exampleSet(t)
	c := testConfig(t.TempDir())
	c.Set = func() *profiles.Set { return set }
	c.Witness = leases{receptionAt: {reception, "snomD785"}, otherAt: {reception, "snomD785"}}
	d := New(c)
	for source, want := range map[netip.Addr]int{receptionAt: 0, otherAt: 0, nobodyAt: 403} {
		_, err := d.Open(Request{Path: "/snomD785/000413922D24.xml", Source: source, Local: local, Protocol: "http"})
		got := 0
		if r, ok := errors.AsType[*Refusal](err); ok {
			got = r.Status
		}
		if got != want {
			t.Errorf("from %s: status %d, want %d", source, got, want)
		}
	}
}

// The links of a document name a file in the same way whatever fetches it.
func TestNameWithBlankOverEveryProtocol(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "my logo.png"), []byte("logo"), 0o644); err != nil {
		t.Fatal(err)
	}
	set := exampleSet(t)
	c := testConfig(dir)
	c.Set = func() *profiles.Set { return set }
	d := New(c)
	for protocol, path := range map[string]string{"http": "/files/my logo.png", "tftp": "files/my%20logo.png", "https": "/files/my logo.png"} {
		a, err := d.Open(Request{Path: path, Source: nobodyAt, Local: local, Protocol: protocol})
		if err != nil {
			t.Errorf("%s: %v", protocol, err)
			continue
		}
		if body := read(t, a); body != "logo" {
			t.Errorf("%s: %q", protocol, body)
		}
	}
}

// Whatever path a document of the admin's is at: where a phone's MAC is in it,
// it is that phone's alone, and nobody else learns whether it is there.
func TestGuardOfOwnFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dialtone.hcl": `
appliance { interface = "eth0" }
document "/snomD785/000413922D24.xml" { file = "secret.txt" }
document "/snomD785-{mac}.htm" { file = "secret.txt" }
document "/{mac}.xml" { file = "secret.txt" }
document "/m3/settings/{MAC}.cfg" { file = "secret.txt" }
document "/old/x-000413922D24.cfg" { file = "secret.txt" }
document "/everybody.cfg" { file = "public.txt" }
document "me.cfg" {
  file = "secret.txt"
  join = "phone"
}
phone "000413922D24" {
  name  = "reception"
  model = "snomD785"
}
`,
		"secret.txt": "hush: 1\n",
		"public.txt": "hear",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, rep := config.Load(dir, config.Options{})
	set := profiles.Load(cfg, passwords{}, rep)
	if rep.HasErrors() {
		t.Fatal(rep.Diagnostics())
	}
	c := testConfig(t.TempDir())
	c.Set = func() *profiles.Set { return set }
	d := New(c)
	for _, path := range []string{
		"/snomD785/000413922D24.xml", "/snomD785-00:04:13:92:2d:24.htm", "/000413922d24.xml", "/M3/Settings/00-04-13-92-2d-24.CFG",
		"m3/settings/00%3A04%3A13%3A92%3A2D%3A24.cfg", "/old/x-0004.1392.2d24.cfg", "/snomD785/000413922D24/me.cfg", "/snomd785/000413922d24/ME.CFG",
	} {
		request := Request{Path: path, Source: receptionAt, Local: local, Protocol: "tftp"}
		a, err := d.Open(request)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if body := read(t, a); body != "hush: 1\n" {
			t.Errorf("%s: %q", path, body)
		}
		for _, source := range []netip.Addr{otherAt, nobodyAt} {
			request.Source = source
			if a, err := d.Open(request); a != nil || !strings.HasPrefix(refused(err), "403 ") {
				t.Errorf("%s from %s: %v, %v", path, source, a, err)
			}
		}
	}
	for _, path := range []string{"/snomD785/000413922D24/nothing.cfg", "/m3/settings/000413000009.cfg"} {
		if _, err := d.Open(Request{Path: path, Source: nobodyAt, Local: local}); !strings.HasPrefix(refused(err), "403 ") {
			t.Errorf("%s, which is not there: %v", path, err)
		}
	}
	a, err := d.Open(Request{Path: "/Everybody.cfg", Source: nobodyAt, Local: local})
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, a); body != "hear" {
		t.Errorf("/everybody.cfg: %q", body)
	}
}
