package phonesim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
	"dialtone/internal/phonefile"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// office is a wire with dnsmasq for DHCP and TFTP, and Python's server for
// HTTP: peers that share no line with this project. The phones run in the test
// program itself, which can have an address once only: these tests run one by
// one.
type office struct {
	net    *netnstest.Net
	server *netnstest.Host
	files  string
	dhcp   *netnstest.Process
}

func newOffice(t *testing.T, name string, options ...string) *office {
	t.Helper()
	netnstest.Need(t, "dnsmasq", "python3")
	// dnsmasq may run as another user, who has to get here.
	files, err := os.MkdirTemp("", "phonesim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(files) })
	if err := os.Chmod(files, 0o755); err != nil {
		t.Fatal(err)
	}
	o := &office{net: netnstest.NewNet(t, name, netip.Prefix{}), files: files}
	o.server = o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 1}, netip.MustParsePrefix("192.168.50.1/24"))
	o.server.Capture(t)
	// In a file, quotes keep dnsmasq from making a number of digits.
	config := filepath.Join(t.TempDir(), "dnsmasq.conf")
	if err := os.WriteFile(config, []byte(strings.Join(options, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.dhcp = o.server.Start(t, nil, "dnsmasq",
		"--no-daemon", "--log-dhcp", "--port=0", "--no-hosts", "--no-resolv", "--conf-file="+config,
		"--leasefile-ro", "--no-ping", "--dhcp-authoritative", "--bind-interfaces", "--interface=eth0", "--except-interface=lo",
		"--dhcp-range=192.168.50.100,192.168.50.250,12h", "--dhcp-option=6,192.168.50.2",
		"--enable-tftp", "--tftp-root="+files)
	o.dhcp.Wait("DHCP, IP range")
	o.dhcp.Wait("TFTP root is")
	o.server.Start(t, nil, "python3", "-u", "-m", "http.server", "--bind", "192.168.50.1", "--directory", files, "80").Wait("Serving HTTP")
	return o
}

// write puts a file where TFTP and HTTP find it.
func (o *office) write(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join(o.files, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (o *office) phone(t *testing.T, cfg Config) *Phone {
	t.Helper()
	cfg.Interface = o.net.Bridge
	if cfg.MAC.IsZero() {
		cfg.MAC = phoneMAC
	}
	cfg.Event = func(e Event) { t.Log(cfg.MAC, e) }
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// boot runs a phone to the end of its boot and gives its lease back.
func boot(t *testing.T, p *Phone) *State {
	t.Helper()
	s, err := p.Boot(netnstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	return s
}

// image is deterministic noise.
func image(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// An office as Wazo sets it up: option 66 alone, containers, the phone's own
// settings in a linked file.
func TestBootOverHTTP(t *testing.T) {
	o := newOffice(t, "http", "dhcp-option-force=66,http://192.168.50.1", `dhcp-option-force=132,"20"`, `dhcp-option-force=133,"5"`)
	o.write(t, "snomD785.htm", `<?xml version="1.0"?><setting-files><file url="http://192.168.50.1/general.xml"/><file url="http://192.168.50.1/gone.xml"/><file url="http://192.168.50.1/lang.xml"/></setting-files>`)
	o.write(t, "snomD785-000413922D24.htm", `<setting-files><file url="http://192.168.50.1/{mac}.xml"/></setting-files>`)
	o.write(t, "general.xml", `<settings><phone-settings><language perm="!">Deutsch</language><timezone perm="">GER+1</timezone><update_policy perm="">auto_update</update_policy></phone-settings></settings>`)
	o.write(t, "000413922D24.xml", `<settings><phone-settings><timezone perm="">GBR-0</timezone></phone-settings></settings>`)
	o.write(t, "lang.xml", `<gui-languages><language url="http://192.168.50.1/de.xml" name="Deutsch"/></gui-languages>`)
	o.write(t, "de.xml", `<phrases/>`)
	o.write(t, "snomD785-firmware.htm", `<firmware-settings><firmware perm="">http://192.168.50.1/snomD785-10.1.215.13-SIP-r.bin</firmware></firmware-settings>`)
	firmware := image(300_000)
	o.write(t, "snomD785-10.1.215.13-SIP-r.bin", firmware)

	s := boot(t, o.phone(t, Config{Model: "snomD785", Changed: []phonefile.Setting{{Name: "language", Value: "English"}}}))
	if err := s.Works(); err != nil {
		t.Error(err)
	}
	want := &State{
		MAC: phoneMAC, Model: "snomD785", Version: "10.1.33.33",
		UserAgent: "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12-00004-g9ba52f5 000413922D24 SXM:0 UXM:0)",
		Lease: &Lease{
			Bits: 24, Server: netip.MustParseAddr("192.168.50.1"),
			Routers: []netip.Addr{netip.MustParseAddr("192.168.50.1")}, DNSServers: []netip.Addr{netip.MustParseAddr("192.168.50.2")},
			LeaseSeconds: 43200, RenewalSeconds: 21600, RebindingSeconds: 37800, TFTPServerName: "http://192.168.50.1", VLANID: "20", VLANPriority: "5",
		},
		SettingServer: "http://192.168.50.1",
		Requests: []Fetch{
			{What: "first file", URL: "http://192.168.50.1/snomD785.htm", Status: "200 OK", OK: true},
			{What: "second file", URL: "http://192.168.50.1/snomD785-000413922D24.htm", Status: "200 OK", OK: true},
			{What: "linked file", URL: "http://192.168.50.1/general.xml", Status: "200 OK", OK: true},
			{What: "linked file", URL: "http://192.168.50.1/gone.xml", Status: "404 File not found"},
			{What: "linked file", URL: "http://192.168.50.1/lang.xml", Status: "200 OK", OK: true},
			{What: "linked file", URL: "http://192.168.50.1/000413922D24.xml", Status: "200 OK", OK: true},
			{What: "gui language Deutsch", URL: "http://192.168.50.1/de.xml", Status: "200 OK", OK: true},
			{What: "firmware status", URL: "http://192.168.50.1/snomD785-firmware.htm", Status: "200 OK", OK: true},
			{What: "firmware", URL: "http://192.168.50.1/snomD785-10.1.215.13-SIP-r.bin", Status: "200 OK", OK: true},
		},
		Memory: phonefile.Memory{Settings: []phonefile.Setting{
			{Name: "language", Value: "English", Changed: true},
			{Name: "timezone", Value: "GBR-0"},
			{Name: "update_policy", Value: "auto_update"},
		}, Languages: []phonefile.Language{{For: "gui", Name: "Deutsch", URL: "http://192.168.50.1/de.xml"}}},
		Firmware: []Image{{URL: "http://192.168.50.1/snomD785-10.1.215.13-SIP-r.bin", Size: 300_000, SHA256: sha(firmware)}},
	}
	if d := cmp.Diff(want, s, cmpopts.IgnoreFields(Lease{}, "Address"), cmpopts.IgnoreFields(Fetch{}, "Bytes", "SHA256"), cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreTypes(phonefile.Place{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	// The lease went back, by what the server itself saw.
	o.dhcp.Wait("DHCPRELEASE(eth0) " + s.Lease.Address.String())
	for _, step := range []string{"vendor class: snomD785", "DHCPDISCOVER(eth0)", "DHCPOFFER(eth0)", "DHCPREQUEST(eth0)", "DHCPACK(eth0)", "DHCPINFORM(eth0)"} {
		if !strings.Contains(o.dhcp.Log.String(), step) {
			t.Errorf("dnsmasq did not see %s", step)
		}
	}
}

// The same over TFTP, by the options that go with a bare host name, with the
// setting server in option 43 winning over another one.
func TestBootOverTFTP(t *testing.T) {
	for name, blockSize := range map[string]int{"512": 0, "1428": 1428} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, "tftp"+name, "dhcp-option-force=66,http://192.0.2.1/wrong", "dhcp-option-force=43,42:0c:31:39:32:2e:31:36:38:2e:35:30:2e:31:43:0b:73:6e:6f:6d:33:37:30:2e:68:74:6d")
			o.write(t, "snom370.htm", `<settings><phone-settings><update_policy perm="">auto_update</update_policy><firmware_status perm="">tftp://192.168.50.1/fw.htm</firmware_status></phone-settings></settings>`)
			o.write(t, "fw.htm", "<html><pre>\nfirmware: tftp://192.168.50.1/snom370-8.7.5.35-SIP-f.bin\n</pre></html>")
			// Ends on a whole block: an empty one has to follow.
			firmware := image(512 * 1428)
			o.write(t, "snom370-8.7.5.35-SIP-f.bin", firmware)
			s := boot(t, o.phone(t, Config{Model: "snom370", Version: "8.4.35", Broadcast: true, BlockSize: blockSize}))
			if err := s.Works(); err != nil {
				t.Error(err)
			}
			if want := "tftp://192.168.50.1/snom370.htm"; s.SettingServer != want {
				t.Errorf("setting server %s, want %s", s.SettingServer, want)
			}
			want := []Image{{URL: "tftp://192.168.50.1/snom370-8.7.5.35-SIP-f.bin", Size: 512 * 1428, SHA256: sha(firmware)}}
			if d := cmp.Diff(want, s.Firmware); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			second := s.Requests[1]
			if second.OK || !strings.HasPrefix(second.Status, "error 1: ") {
				t.Errorf("a missing file over TFTP: %+v", second)
			}
		})
	}
}

// Phones of one process share an interface and keep their addresses apart.
func TestManyPhones(t *testing.T) {
	o := newOffice(t, "many", "dhcp-option-force=66,http://192.168.50.1")
	const phones = 30
	type result struct {
		s   *State
		err error
	}
	results := make(chan result)
	start := time.Now()
	for i := range phones {
		m := mac.Addr{0x00, 0x04, 0x13, 0x26, 0, byte(i)}
		o.write(t, "snom370-"+m.Hex()+".htm", fmt.Sprintf(`<settings><phone-settings><phone_name perm="">%s</phone_name></phone-settings></settings>`, m.Hex()))
		p := o.phone(t, Config{MAC: m, Model: "snom370"})
		go func() {
			s, err := p.Boot(netnstest.Context(t))
			if err == nil {
				err = p.Renew(context.Background(), false)
			}
			if err == nil {
				err = p.Release()
			}
			results <- result{s, err}
		}()
	}
	addresses := map[netip.Addr]bool{}
	for range phones {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
			continue
		}
		if got, want := r.s.Setting("phone_name"), r.s.MAC.Hex(); got != want {
			t.Errorf("%s is called %q", want, got)
		}
		addresses[r.s.Lease.Address] = true
	}
	if len(addresses) != phones {
		t.Errorf("%d phones had %d addresses", phones, len(addresses))
	}
	t.Logf("%d phones in %s", phones, time.Since(start))
}

func TestNothingAnswers(t *testing.T) {
	netnstest.Need(t)
	n := netnstest.NewNet(t, "silent", netip.Prefix{})
	n.Host(t, mac.Addr{2, 0, 0, 0, 0, 1}, netip.Prefix{})
	p, err := New(Config{MAC: phoneMAC, Model: "snomD785", Interface: n.Bridge, Retransmit: 10 * time.Millisecond, Jitter: -1, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Boot(netnstest.Context(t))
	if err == nil || !strings.HasPrefix(err.Error(), "no answer to DISCOVER after 2 tries") {
		t.Errorf("error %v", err)
	}
	if s.Works() == nil {
		t.Error("a phone without a lease works")
	}
}

// A server without options for phones is no setting server.
func TestLeaseWithoutSettingServer(t *testing.T) {
	o := newOffice(t, "plain", "dhcp-option-force=132,20")
	s := boot(t, o.phone(t, Config{Model: "snomD785"}))
	// dnsmasq makes one octet of an unquoted number.
	problems := []string{"VLAN id \"?\" is no decimal number from 0 to 4094", "the lease has no setting server (option 66)"}
	if d := cmp.Diff(problems, s.Problems); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	want := "no setting server was found: " + problems[0]
	if err := s.Works(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		`model "a b" is no name such as snomD785`:                  {MAC: phoneMAC, Model: "a b", Server: "http://h"},
		"MAC address 00:00:00:00:00:00 is no phone's":              {Model: "snomD785", Server: "http://h"},
		"MAC address 01:00:5e:00:00:01 is no phone's":              {MAC: mac.Addr{1, 0, 0x5e, 0, 0, 1}, Model: "snomD785", Server: "http://h"},
		"a phone needs an interface or a setting server, not both": {MAC: phoneMAC, Model: "snomD785"},
		`URL "ftp://h" is neither http, https nor tftp`:            {MAC: phoneMAC, Model: "snomD785", Server: "ftp://h"},
	} {
		if _, err := New(cfg); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// The JSON of a phone is the same each time.
func TestStateIsDeterministic(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 3 {
		s := State{}
		for _, f := range []string{
			`<phone-settings><b idx="2" perm="">1</b><a perm="">2</a><b idx="1" perm="">3</b></phone-settings>`,
			`<functionKeys><fkey idx="9" perm="">line</fkey><fkey idx="1" perm="">line</fkey></functionKeys>`,
		} {
			if _, err := s.ApplyFile([]byte(f)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if d := cmp.Diff(string(first), string(b)); d != "" {
			t.Errorf("(-first +again):\n%s", d)
		}
	}
}
