package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// branch is the office's server, and two networks behind someone else's relay:
// one whose clients get what is free, one whose only place has an address.
const branch = `
network "branch" {
  subnet    = "10.9.0.0/24"
  range     = ["10.9.0.100", "10.9.0.150"]
  routers   = ["10.9.0.1"]
}
network "lobby" {
  subnet    = "10.9.1.0/24"
  range     = ["10.9.1.100", "10.9.1.150"]
  routers   = ["10.9.1.1"]
  port "desk" {
    circuit_id = "eth2"
    address    = "10.9.1.10"
  }
}
`

// TestRelay has phones behind a relay: the router of two networks, in a machine
// of its own. A machine there has the address that comes first, and did not lease
// it. The first phone gets another; the second gets its place's address, and
// renews it past the relay, which then says no word of the place, also when the
// appliance has started again.
func TestRelay(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip", "dhclient", "dhcrelay")
	o := newOffice(t, "relay", map[string]string{"branch.hcl": branch})
	must := func(h *netnstest.Host, name string, args ...string) {
		t.Helper()
		if r := h.Run(t, name, args...); r.Status != 0 {
			t.Fatalf("%s %s: %s", name, strings.Join(args, " "), r.Stderr)
		}
	}
	router := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 0x70}, netip.MustParsePrefix("192.168.50.254/24"))
	if err := router.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	var wires []*netnstest.Net
	for i, name := range []string{"relay1", "relay2"} {
		wire := netnstest.NewNet(t, name, netip.Prefix{})
		eth := fmt.Sprintf("eth%d", i+1)
		if err := router.Plug(netnstest.Context(t), wire.Bridge, name+".r", eth, mac.Addr{2, 0, 0, 0, byte(i + 1), 0x70}); err != nil {
			t.Fatal(err)
		}
		must(router, "ip", "address", "add", fmt.Sprintf("10.9.%d.1/24", i), "dev", eth)
		wires = append(wires, wire)
	}
	must(o.host, "ip", "route", "add", "10.9.0.0/16", "via", "192.168.50.254")
	squatter := wires[0].Host(t, mac.Addr{2, 0, 0, 0, 0, 0x71}, netip.MustParsePrefix("10.9.0.100/24"))
	must(squatter, "ip", "route", "add", "default", "via", "10.9.0.1")

	relay := router.Start(t, nil, "dhcrelay", "-4", "-d", "--no-pid", "-a", "-id", "eth1", "-id", "eth2", "-iu", "eth0", server)
	relay.Wait("Sending on   Socket/")
	o.start(t)

	dir := t.TempDir()
	script, config := filepath.Join(dir, "script"), filepath.Join(dir, "dhclient.conf")
	write(t, script, `#!/bin/sh
case $reason in
BOUND|RENEW)
	ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
	ip route replace default via "$new_routers"
	;;
esac
echo "script $reason $new_ip_address $new_routers $new_dhcp_server_identifier"
`)
	run(t, chmod(script))
	write(t, config, "send vendor-class-identifier \"snomD785\";\nsupersede dhcp-renewal-time 2;\n")
	client := func(wire *netnstest.Net, m mac.Addr) *netnstest.Process {
		t.Helper()
		own := t.TempDir()
		return wire.Host(t, m, netip.Prefix{}).Start(t, nil, "dhclient", "-4", "-d", "-v", "-cf", config, "-sf", script,
			"-lf", filepath.Join(own, "leases"), "-pf", filepath.Join(own, "pid"), "eth0")
	}
	// renewed waits until a client has sent and been granted one renewal more.
	renewed := func(p *netnstest.Process, a string) {
		t.Helper()
		p.WaitTimes("script RENEW "+a+" ", strings.Count(p.Log.String(), "script RENEW "+a+" ")+2)
	}

	first := client(wires[0], mac.Addr{0, 4, 0x13, 0x72, 0, 1})
	first.Wait("script BOUND 10.9.0.1")
	got := regexp.MustCompile(`script BOUND (\S+) 10\.9\.0\.1 ` + regexp.QuoteMeta(server)).FindStringSubmatch(first.Log.String())
	if got == nil || got[1] == "10.9.0.100" {
		t.Fatalf("the phone was leased %v, and 10.9.0.100 is in use", got)
	}
	o.service.Wait(inUse)
	if log := o.service.Log.String(); !strings.Contains(log, "ip=10.9.0.100") {
		t.Errorf("the log does not name the address:\n%s", log)
	}
	leases := func(more ...string) string {
		t.Helper()
		r := o.host.Run(t, built(t), append([]string{"leases", "--config", o.config}, more...)...)
		if r.Status != 0 {
			t.Fatalf("leases: %s", r.Stderr)
		}
		return r.Stdout
	}
	if !regexp.MustCompile(`(?m)^10\.9\.0\.100\s.*declined`).MatchString(leases("--all")) {
		t.Errorf("the quarantine is not shown:\n%s", leases("--all"))
	}

	second := client(wires[1], mac.Addr{0, 4, 0x13, 0x72, 0, 2})
	second.Wait("script BOUND 10.9.1.10 10.9.1.1 " + server)

	// The relay would hear what passes it, and forward that too.
	if !strings.Contains(relay.Log.String(), "Forwarded BOOTREPLY") {
		t.Errorf("the relay has forwarded no answer:\n%s", relay.Log)
	}
	relay.Kill()
	renewed(first, got[1])
	renewed(second, "10.9.1.10")
	o.service.Kill()
	o.start(t)
	renewed(first, got[1])
	renewed(second, "10.9.1.10")
	for _, p := range []*netnstest.Process{first, second} {
		if log := p.Log.String(); strings.Contains(log, "DHCPNAK") || strings.Count(log, "script BOUND") != 1 {
			t.Errorf("a renewal was refused:\n%s", log)
		}
	}
}
