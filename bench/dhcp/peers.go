package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

// peer is a DHCP server that is measured.
type peer struct {
	name     string
	title    string
	program  string
	packages []string // Debian's
	version  []string // arguments that have it say its version
	// command writes the configuration below s.dir, and says how the server
	// is run in the foreground.
	command func(s setup) (args, env []string, err error)
	// seed, where the server is too slow to be filled over the network, writes
	// its lease file: leases are client(0)'s and on, until end.
	seed func(s setup, leases []netip.Addr, end time.Time) error
}

// setup is what all servers are configured with.
type setup struct {
	dir         string // the configuration
	state       string // below dir: the leases
	prefix      netip.Prefix
	first, last netip.Addr // the range
	lease       time.Duration
	probes      bool // look for a conflict before an address is given out, where that is the default
}

func (s setup) mask() string { return net.IP(net.CIDRMask(s.prefix.Bits(), 32)).String() }

// peers are all there are, ours first. The settings are those that favour the
// peer: no log line for a lease, Kea with threads and without its hourly
// cleanup.
func peers(dialtone string) []peer {
	return []peer{
		{
			name: "dialtone", title: "dialtone", program: dialtone, version: []string{"version"},
			command: dialtoneCommand,
		},
		{
			name: "kea", title: "Kea", program: "kea-dhcp4", version: []string{"-v"},
			packages: []string{"kea-dhcp4-server"},
			command:  keaCommand,
		},
		{
			name: "dnsmasq", title: "dnsmasq", program: "dnsmasq", version: []string{"--version"},
			packages: []string{"dnsmasq-base"},
			command:  dnsmasqCommand, seed: dnsmasqSeed,
		},
		{
			name: "isc", title: "ISC dhcpd", program: "dhcpd", version: []string{"--version"},
			packages: []string{"isc-dhcp-server"},
			command:  iscCommand, seed: iscSeed,
		},
	}
}

func dialtoneCommand(s setup) (args, env []string, err error) {
	files := filepath.Join(s.dir, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return nil, nil, err
	}
	conf := filepath.Join(s.dir, "dialtone.hcl")
	return []string{"serve", "--config", conf}, nil, rig.WriteConfig(conf, `appliance {
  interface = %q
  state_dir = %q
  files_dir = %q
}

network "bench" {
  subnet     = %q
  range      = [%q, %q]
  lease_time = %q
  probe      = %t
}

provisioning {
  pnp = false
}
`, rig.ServerIf, s.state, files, s.prefix, s.first, s.last, s.lease, s.probes)
}

func keaCommand(s setup) (args, env []string, err error) {
	conf := filepath.Join(s.dir, "kea.json")
	// Newer versions keep lease files below one folder, which the environment
	// can name.
	env = []string{"KEA_PIDFILE_DIR=" + s.dir, "KEA_LOCKFILE_DIR=" + s.dir, "KEA_DHCP_DATA_DIR=" + s.state}
	return []string{"-c", conf}, env, rig.WriteConfig(conf, `{"Dhcp4": {
  "interfaces-config": {"interfaces": [%q]},
  "lease-database": {"type": "memfile", "persist": true, "name": %q, "lfc-interval": 0},
  "multi-threading": {"enable-multi-threading": true},
  "valid-lifetime": %d,
  "subnet4": [{"id": 1, "subnet": %q, "pools": [{"pool": "%s-%s"}]}],
  "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stderr"}]}]
}}
`, rig.ServerIf, filepath.Join(s.state, "leases.csv"), s.lease/time.Second, s.prefix, s.first, s.last)
}

func dnsmasqCommand(s setup) (args, env []string, err error) {
	args = []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=",
		"--log-facility=-", "--quiet-dhcp", "--no-hosts", "--no-resolv",
		"--interface=" + rig.ServerIf, "--bind-interfaces", "--dhcp-authoritative", "--dhcp-lease-max=1000000",
		"--dhcp-leasefile=" + filepath.Join(s.state, "dnsmasq.leases"),
		fmt.Sprintf("--dhcp-range=%s,%s,%s,%d", s.first, s.last, s.mask(), s.lease/time.Second),
	}
	if !s.probes {
		args = append(args, "--no-ping")
	}
	return args, nil, nil
}

func dnsmasqSeed(s setup, leases []netip.Addr, end time.Time) error {
	var b strings.Builder
	for i, a := range leases {
		fmt.Fprintf(&b, "%d %s %s * 01:%s\n", end.Unix(), client(i), a, client(i))
	}
	return os.WriteFile(filepath.Join(s.state, "dnsmasq.leases"), []byte(b.String()), 0o644)
}

func iscCommand(s setup) (args, env []string, err error) {
	conf, leases := filepath.Join(s.dir, "dhcpd.conf"), filepath.Join(s.state, "dhcpd.leases")
	// It does not start without the file.
	f, err := os.OpenFile(leases, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	args = []string{"-4", "-f", "-q", "-cf", conf, "-lf", leases, "-pf", filepath.Join(s.dir, "dhcpd.pid"), rig.ServerIf}
	return args, nil, rig.WriteConfig(conf, `authoritative;
ping-check %t;
default-lease-time %[2]d;
max-lease-time %[2]d;
subnet %[3]s netmask %[4]s {
  range %[5]s %[6]s;
}
`, s.probes, s.lease/time.Second, s.prefix.Addr(), s.mask(), s.first, s.last)
}

func iscSeed(s setup, leases []netip.Addr, end time.Time) error {
	var b strings.Builder
	start := end.Add(-s.lease).Unix()
	for i, a := range leases {
		m := client(i)
		fmt.Fprintf(&b, "lease %s {\n  starts epoch %d;\n  ends epoch %d;\n  cltt epoch %d;\n  binding state active;\n"+
			"  hardware ethernet %s;\n  uid \"\\001", a, start, end.Unix(), start, m)
		for _, octet := range m {
			fmt.Fprintf(&b, "\\%03o", octet)
		}
		b.WriteString("\";\n}\n")
	}
	return os.WriteFile(filepath.Join(s.state, "dhcpd.leases"), []byte(b.String()), 0o644)
}
