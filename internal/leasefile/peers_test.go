package leasefile

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// moving is the client that takes its lease from our file to the other server.
var moving = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}

// toPeers are leases that reach into the future, as an office has them that
// changes over to another server: the same at each call, whatever the clock
// says by then.
var toPeers = sync.OnceValue(func() []Lease {
	now := time.Now().UTC().Truncate(time.Second)
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, 50, last}) }
	id := func(m mac.Addr) []byte { return append([]byte{1}, m[:]...) }
	ls := []Lease{
		{Address: at(105), MAC: moving, ClientID: id(moving), Hostname: "reception", VendorClass: "snomD785", Start: now, Expiry: now.Add(time.Hour)},
		{Address: at(106), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 1}, Hostname: "printer"},
		{Address: at(107), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 2}, ClientID: bytes.Repeat([]byte{0xfe}, 255), Start: now, Expiry: now.Add(48 * time.Hour)},
		{Address: at(108), ClientID: []byte{0, 'i', 'd', '"', '\n', 0xff}, Start: now, Expiry: now.Add(time.Hour)},
		{Address: at(109), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 3}, State: Expired, Start: now.Add(-2 * time.Hour), Expiry: now.Add(-time.Hour)},
		{Address: at(110), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 4}, State: Declined, Start: now, Expiry: now.Add(24 * time.Hour)},
	}
	for i, name := range []string{"we,ird&#x2c", "a b\"c\\'`$x;{}", "new\nline 192.168.50.1 x", "\x1b[2J\x00", "\xff\u00fc"} {
		ls = append(ls, Lease{Address: at(byte(120 + i)), MAC: mac.Addr{2, 0, 0x5e, 0x10, 1, byte(i)}, Hostname: name, VendorClass: name, Start: now, Expiry: now.Add(time.Hour)})
	}
	return ls
})

type wire struct {
	dir, file string
	server    *netnstest.Host
	client    *netnstest.Host
}

// newWire lays a wire between a server and the moving client, and our file in
// a folder.
func newWire(t *testing.T, f Format, programs ...string) wire {
	t.Helper()
	netnstest.Need(t, append(programs, "udhcpc")...)
	w := wire{dir: t.TempDir()}
	w.file = filepath.Join(w.dir, "leases")
	if err := os.WriteFile(w.file, []byte(written(t, f, toPeers()...)), 0o644); err != nil {
		t.Fatal(err)
	}
	n := netnstest.NewNet(t, string(f), netip.Prefix{})
	w.server = n.Host(t, mac.Addr{2, 0, 0x5e, 0x10, 0xff, 1}, netip.MustParsePrefix("192.168.50.1/24"))
	w.client = n.Host(t, moving, netip.Prefix{})
	return w
}

// config writes a configuration beside the file.
func (w wire) config(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(w.dir, "config")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// moves lets the client ask the other server, which must know it.
func (w wire) moves(t *testing.T) {
	t.Helper()
	r := w.client.Run(t, "udhcpc", "-f", "-q", "-n", "-t", "5", "-T", "2", "-i", "eth0", "-s", "/bin/true", "-x", "hostname:reception", "-V", "snomD785")
	if !strings.Contains(r.Stdout+r.Stderr, "lease of 192.168.50.105 obtained") {
		t.Errorf("the client did not get its address back: %s%s", r.Stdout, r.Stderr)
	}
}

// wrote compares what the other server has made of our file, times of renewal
// aside.
func (w wire) wrote(t *testing.T, f Format, want []Lease) {
	t.Helper()
	file, err := os.Open(w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, problems, err := Read(file, f)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	for _, ls := range [][]Lease{want, got} {
		for i := range ls {
			if ls[i].MAC == moving {
				ls[i].Start, ls[i].Expiry = time.Time{}, time.Time{}
			}
		}
	}
	if diff := cmp.Diff(want, got, compareAddr, ignoreLine); diff != "" {
		t.Errorf("(-ours +theirs)\n%s", diff)
	}
}

// TestDnsmasqLoads lets dnsmasq read our file, serve from it and write it.
func TestDnsmasqLoads(t *testing.T) {
	w := newWire(t, Dnsmasq, "dnsmasq")
	p := w.server.Start(t, nil, "dnsmasq", "--no-daemon", "--port=0", "--conf-file=/dev/null", "--user=root", "--interface=eth0", "--no-ping",
		"--dhcp-range=192.168.50.100,192.168.50.199,1h", "--dhcp-leasefile="+w.file, "--pid-file="+filepath.Join(w.dir, "pid"))
	p.Wait("DHCP, IP range")
	w.moves(t)
	p.Wait("DHCPACK")
	p.Signal(15)
	p.Exit()
	for _, bad := range []string{"ignoring invalid line", "failed to parse"} {
		if strings.Contains(p.Log.String(), bad) {
			t.Errorf("dnsmasq says %q", bad)
		}
	}
	w.wrote(t, Dnsmasq, carried(Dnsmasq, toPeers()))
}

// TestISCLoads lets ISC dhcpd read our file, write it anew as it does at each
// start, and serve from it.
func TestISCLoads(t *testing.T) {
	w := newWire(t, ISC, "dhcpd")
	config := w.config(t, `authoritative; ping-check false; ddns-update-style none;
subnet 192.168.50.0 netmask 255.255.255.0 {
  range 192.168.50.100 192.168.50.199;
  set vendor-class-identifier = option vendor-class-identifier;
}
`)
	r := w.server.Run(t, "dhcpd", "-T", "-cf", config, "-lf", w.file)
	if r.Status != 0 || !strings.Contains(r.Stderr, fmt.Sprintf("Wrote %d leases to leases file.", len(toPeers()))) {
		t.Fatalf("dhcpd -T: %d\n%s", r.Status, r.Stderr)
	}
	p := w.server.Start(t, nil, "dhcpd", "-f", "-d", "-cf", config, "-lf", w.file, "--no-pid", "eth0")
	p.Wait("Server starting service.")
	w.moves(t)
	p.Wait("DHCPACK")
	p.Signal(15)
	p.Exit()
	want := carried(ISC, toPeers())
	for i, l := range want {
		// dhcpd reads any name, but writes none that it would have to escape.
		if strings.ContainsFunc(l.Hostname, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			want[i].Hostname = ""
		}
	}
	w.wrote(t, ISC, want)
}

// TestKeaLoads lets Kea's lease file clean-up rewrite our file, and Kea serve
// from it.
func TestKeaLoads(t *testing.T) {
	w := newWire(t, Kea, "kea-dhcp4", "kea-lfc")
	config := w.config(t, fmt.Sprintf(`{"Dhcp4": {
"interfaces-config": {"interfaces": ["eth0"]},
"lease-database": {"type": "memfile", "name": %q, "lfc-interval": 0},
"subnet4": [{"id": 1, "subnet": "192.168.50.0/24", "pools": [{"pool": "192.168.50.100-192.168.50.199"}]}],
"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]
}}`, w.file))
	env := []string{"KEA_PIDFILE_DIR=" + w.dir, "KEA_LOCKFILE_DIR=none", "KEA_DHCP_DATA_DIR=" + w.dir, "KEA_LOG_FILE_DIR=" + w.dir}
	want := carried(Kea, toPeers())

	// The clean-up takes the finished file, the copy of the journal, and where
	// to write; it leaves the result in place of the finished file.
	journal := filepath.Join(w.dir, "leases.1")
	if err := os.WriteFile(journal, []byte(keaColumns+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.server.RunWith(t, env, nil, "kea-lfc", "-4", "-d", "-c", config, "-x", w.file, "-i", journal,
		"-o", filepath.Join(w.dir, "leases.output"), "-f", filepath.Join(w.dir, "leases.completed"), "-p", filepath.Join(w.dir, "lfc.pid"))
	if r.Status != 0 || strings.Contains(r.Stdout+r.Stderr, "ROW_ERROR") {
		t.Fatalf("kea-lfc: %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	w.wrote(t, Kea, want)

	p := w.server.Start(t, env, "kea-dhcp4", "-c", config)
	p.Wait("DHCP4_STARTED")
	w.moves(t)
	p.Signal(15)
	p.Exit()
	if strings.Contains(p.Log.String(), "ROW_ERROR") {
		t.Errorf("kea-dhcp4 refused a row")
	}
	w.wrote(t, Kea, want)
}
