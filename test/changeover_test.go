package test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// oldServer is a DHCP server that an office has had before.
type oldServer struct {
	program string
	// Where Debian's package has its configuration and its leases.
	debianConfig, debianLeases string
	// files gives its configuration; clients are told the domain.
	config func(leases, domain string) string
	// start starts it. It has a folder of its own.
	start func(t *testing.T, h *netnstest.Host, dir, config, leases string) *netnstest.Process
	// network is the HCL that stands for config where no import makes it.
	network string
}

var oldServers = map[string]oldServer{
	"dnsmasq": {
		program:      "dnsmasq",
		debianConfig: "/etc/dnsmasq.conf", debianLeases: "/var/lib/misc/dnsmasq.leases",
		config: func(leases, domain string) string {
			return fmt.Sprintf(`
# The office's own.
port=0
interface=eth0
user=root
no-ping
dhcp-range=192.168.50.100,192.168.50.199,255.255.255.0,12h
dhcp-option=option:router,192.168.50.1
domain=%s
dhcp-leasefile=%s
dhcp-host=00:04:13:92:2d:24,reception,192.168.50.20
dhcp-host=02:00:5e:10:00:77,printer,192.168.50.30
`, domain, leases)
		},
		start: func(t *testing.T, h *netnstest.Host, dir, config, _ string) *netnstest.Process {
			p := h.Start(t, nil, "dnsmasq", "--no-daemon", "--conf-file="+config, "--pid-file="+filepath.Join(dir, "pid"))
			p.Wait("DHCP, IP range")
			return p
		},
	},
	"isc": {
		program:      "dhcpd",
		debianConfig: "/etc/dhcp/dhcpd.conf", debianLeases: "/var/lib/dhcp/dhcpd.leases",
		config: func(_, domain string) string {
			return fmt.Sprintf(`
ddns-update-style none;
ping-check false;
default-lease-time 43200;
max-lease-time 43200;
option domain-name "%s";
subnet 192.168.50.0 netmask 255.255.255.0 {
  range 192.168.50.100 192.168.50.199;
  option routers 192.168.50.1;
}
host reception { hardware ethernet 00:04:13:92:2d:24; fixed-address 192.168.50.20; }
`, domain)
		},
		start: func(t *testing.T, h *netnstest.Host, _, config, leases string) *netnstest.Process {
			p := h.Start(t, nil, "dhcpd", "-f", "-d", "-cf", config, "-lf", leases, "--no-pid", "eth0")
			p.Wait("Server starting service.")
			return p
		},
	},
	"kea": {
		program:      "kea-dhcp4",
		debianLeases: "/var/lib/kea/kea-leases4.csv",
		config: func(leases, domain string) string {
			return fmt.Sprintf(`{"Dhcp4": {
"interfaces-config": {"interfaces": ["eth0"]},
"lease-database": {"type": "memfile", "name": %q, "lfc-interval": 0},
"valid-lifetime": 43200,
"subnet4": [{"id": 1, "subnet": "192.168.50.0/24", "pools": [{"pool": "192.168.50.100-192.168.50.199"}],
  "option-data": [{"name": "domain-name", "data": %q}],
  "reservations": [{"hw-address": "00:04:13:92:2d:24", "ip-address": "192.168.50.20"}]}],
"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]
}}`, leases, domain)
		},
		start: func(t *testing.T, h *netnstest.Host, dir, config, _ string) *netnstest.Process {
			env := []string{"KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=none", "KEA_DHCP_DATA_DIR=" + dir, "KEA_LOG_FILE_DIR=" + dir}
			p := h.Start(t, env, "kea-dhcp4", "-c", config)
			p.Wait("DHCP4_STARTED")
			return p
		},
		network: `
network "office" {
  subnet = "192.168.50.0/24"
  range  = ["192.168.50.100", "192.168.50.199"]
  domain = "old.example"
}
phone "00:04:13:92:2D:24" { address = "192.168.50.20" }
`,
	},
}

// TestChangingOver moves an office from another server to the appliance and
// back, as docs/changing-over.md says. Its clients stay on, and keep their
// addresses.
func TestChangingOver(t *testing.T) {
	t.Parallel()
	for name, old := range oldServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			netnstest.Need(t, old.program, "udhcpc")
			program := built(t)
			dir := t.TempDir()
			config, leases, exported := filepath.Join(dir, "old.conf"), filepath.Join(dir, "old.leases"), filepath.Join(dir, "exported.leases")
			write(t, leases, "")
			net := netnstest.NewNet(t, "co"+name[:3], netip.Prefix{})
			h := net.Host(t, mac.Addr{2, 0, 0, 0, 0, 1}, netip.MustParsePrefix(server+"/24"))
			h.Capture(t)

			// The old server, and its clients: the last without an identifier.
			write(t, config, old.config(leases, "old.example"))
			p := old.start(t, h, dir, config, leases)
			script := filepath.Join(dir, "script")
			write(t, script, "#!/bin/sh\ncase $1 in\nbound|renew) ip addr replace \"$ip/$mask\" dev \"$interface\" ;;\nesac\necho \"script $1 $ip $domain\"\n")
			run(t, chmod(script))
			var clients []*changingClient
			for i, hw := range []mac.Addr{reception, {2, 0, 0x5e, 0x10, 0, 1}, {2, 0, 0x5e, 0x10, 0, 2}} {
				args := []string{"-f", "-i", "eth0", "-s", script, "-t", "20", "-T", "1"}
				if i == 2 {
					args = append(args, "-C")
				}
				c := &changingClient{Process: net.Host(t, hw, netip.Prefix{}).Start(t, nil, "udhcpc", args...)}
				c.bound(t)
				clients = append(clients, c)
			}
			p.Signal(syscall.SIGTERM)
			p.Exit()

			// Its configuration and its leases become the appliance's.
			imported := filepath.Join(dir, "config", "imported.hcl")
			documented := string(read(t, "../docs/changing-over.md"))
			asDebian := strings.NewReplacer(leases, old.debianLeases, exported, old.debianLeases, config, old.debianConfig, imported, "/etc/dialtone/imported.hcl")
			dialtone := func(args ...string) string {
				t.Helper()
				if line := "dialtone " + asDebian.Replace(strings.Join(args, " ")); !strings.Contains(documented, "    "+line+"\n") {
					t.Errorf("docs/changing-over.md has no line %s", line)
				}
				if args[0] != "import" {
					args = append(args, "--config", filepath.Join(dir, "config"))
				}
				r := h.Run(t, program, args...)
				if r.Status != 0 {
					t.Fatalf("dialtone %s: exit status %d\n%s%s", strings.Join(args, " "), r.Status, r.Stdout, r.Stderr)
				}
				if r.Stderr != "" {
					t.Logf("dialtone %s:\n%s", strings.Join(args, " "), r.Stderr)
				}
				return r.Stdout
			}
			write(t, filepath.Join(dir, "config", "dialtone.hcl"), fmt.Sprintf("appliance {\n  interface = \"eth0\"\n  state_dir = %q\n  files_dir = %q\n}\n",
				filepath.Join(dir, "state"), filepath.Join(dir, "files")))
			if old.network != "" {
				write(t, imported, old.network)
			} else {
				dialtone("import", name, "-o", imported, config)
			}
			dialtone("check")
			dialtone("leases", "import", leases)
			checkLeases(t, dialtone("leases", "--json"), clients)

			// It serves, and a second import changes nothing.
			service := h.Service(t, nil, program, "serve", "--config", filepath.Join(dir, "config"))
			if out := dialtone("leases", "import", leases); !strings.HasPrefix(out, "0 leases imported") {
				t.Errorf("a second import: %s", out)
			}
			for _, c := range clients {
				c.renewed("old.example")
			}
			checkLeases(t, dialtone("leases", "--json"), clients)
			dialtone("leases", "export", "--format", name, exported)

			// And back.
			service.Signal(syscall.SIGTERM)
			service.Exit()
			write(t, config, old.config(exported, "new.example"))
			old.start(t, h, dir, config, exported)
			for _, c := range clients {
				c.renewed("new.example")
			}
		})
	}
}

// changingClient is a udhcpc that stays on while the servers change.
type changingClient struct {
	*netnstest.Process
	address string
}

// bound waits for the first lease.
func (c *changingClient) bound(t *testing.T) {
	t.Helper()
	c.Wait("script bound 192.168.50.")
	_, rest, _ := strings.Cut(c.Log.String(), "script bound ")
	c.address, _, _ = strings.Cut(rest, " ")
}

// renewed has the client renew, and waits until a server that says the domain
// has granted what it had.
func (c *changingClient) renewed(domain string) {
	c.Signal(syscall.SIGUSR1)
	c.Wait("script renew " + c.address + " " + domain)
}

// checkLeases holds the active leases to those of clients: of all but the
// reserved one, which not every server writes down.
func checkLeases(t *testing.T, list string, clients []*changingClient) {
	t.Helper()
	var leases []struct{ Address, State string }
	if err := json.Unmarshal([]byte(list), &leases); err != nil {
		t.Fatalf("%v\n%s", err, list)
	}
	active := map[string]bool{}
	for _, l := range leases {
		active[l.Address] = l.State == "active"
	}
	for _, c := range clients {
		if !active[c.address] && c.address != "192.168.50.20" {
			t.Errorf("%s is not leased:\n%s", c.address, list)
		}
	}
}

// TestImportExamples carries over the configurations that dnsmasq and ISC dhcpd
// come with: as they are, which is comments, and with all that they show
// switched on.
func TestImportExamples(t *testing.T) {
	t.Parallel()
	for path, server := range map[string]string{
		"/usr/share/doc/dnsmasq-base/examples/dnsmasq.conf.example":  "dnsmasq",
		"/usr/share/doc/isc-dhcp-server/examples/dhcpd.conf.example": "isc",
		"/etc/dhcp/dhcpd.conf": "isc",
	} {
		t.Run(server+" "+filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Skip(err)
			}
			all := strings.ReplaceAll("\n"+string(text), "\n#", "\n")
			for name, text := range map[string]string{"as it is": string(text), "all of it": all} {
				dir := t.TempDir()
				conf, imported := filepath.Join(dir, "conf"), filepath.Join(dir, "imported.hcl")
				write(t, conf, text)
				out, err := dialtone(t, "import", server, "--interface", "eth0", "--output", imported, conf).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v\n%s", name, err, out)
				}
				if name == "all of it" && !strings.Contains(string(read(t, imported)), "network ") {
					t.Errorf("%s: no network\n%s", name, out)
				}
				if out, err := dialtone(t, "check", "--config", imported).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s\n%s", name, err, out, read(t, imported))
				}
			}
		})
	}
}
