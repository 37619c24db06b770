package test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dialtone/internal/netnstest"
)

// dhcpCase is someone else's DHCP client, told to be the reception's phone.
type dhcpCase struct {
	*testing.T
	o    *office
	h    *netnstest.Host
	dir  string
	peer *netnstest.Process
}

func newDHCPCase(t *testing.T, name string) *dhcpCase {
	t.Helper()
	o := opened(t, name, nil)
	return &dhcpCase{T: t, o: o, h: o.net.Host(t, reception, netip.Prefix{}), dir: t.TempDir()}
}

// script writes a program that a client calls at each event. Only it changes
// the interface: the machine's own scripts would write to /etc.
func (c *dhcpCase) script(text string) string {
	path := filepath.Join(c.dir, "script")
	write(c, path, "#!/bin/sh\n"+text)
	run(c.T, chmod(path))
	return path
}

// checkGuard asks for the phone's own file, which the appliance gives to the
// address that it knows to be leased to the phone, and to no other. A RELEASE
// has no answer: it is asked again for a while where the outcome differs.
func (c *dhcpCase) checkGuard(when, want string) {
	c.Helper()
	url := fmt.Sprintf("http://%s/snomD785/%s.xml", server, reception.Hex())
	status := ""
	for deadline := time.Now().Add(5 * time.Second); status != want && time.Now().Before(deadline); {
		status, _ = curl(c, c.h, url)
	}
	if status != want {
		c.Errorf("%s: %s for the phone's own file, want %s", when, status, want)
	}
}

func TestDhclient(t *testing.T) {
	t.Parallel()
	c := newDHCPCase(t, "dhclient")
	netnstest.NeedProgram(t, "dhclient")
	script := c.script(`
case $reason in
BOUND|RENEW|REBIND|REBOOT) ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface" ;;
esac
echo "script $reason $new_ip_address $new_tftp_server_name $new_bootfile_name $new_routers $new_time_offset"
`)
	config := filepath.Join(c.dir, "dhclient.conf")
	// The server's own renewal time is hours away.
	write(t, config, `
send vendor-class-identifier "snomD785";
request subnet-mask, routers, domain-name-servers, time-offset, tftp-server-name, bootfile-name;
supersede dhcp-renewal-time 2;
`)
	leases := filepath.Join(c.dir, "leases")
	args := []string{"-4", "-d", "-v", "-cf", config, "-sf", script, "-lf", leases, "-pf", filepath.Join(c.dir, "pid"), "eth0"}
	c.peer = c.h.Start(t, nil, "dhclient", args...)
	c.peer.Wait("script BOUND 192.168.50.20 http://192.168.50.1 snomD785.htm 192.168.50.1 3600")
	c.checkGuard("bound", "200")
	c.peer.Wait("script RENEW 192.168.50.20 http://192.168.50.1 snomD785.htm")
	c.checkGuard("renewed", "200")
	// The next start finds the old lease and asks for it again (INIT-REBOOT).
	c.peer.Kill()
	c.peer = c.h.Start(t, nil, "dhclient", args...)
	c.peer.Wait("script REBOOT 192.168.50.20 http://192.168.50.1 snomD785.htm")
	c.peer.Kill()
	r := c.h.Run(t, "dhclient", append([]string{"-r"}, args...)...)
	if !strings.Contains(r.Stdout+r.Stderr, "DHCPRELEASE of 192.168.50.20") {
		t.Errorf("dhclient did not release:\n%s%s", r.Stdout, r.Stderr)
	}
	c.checkGuard("released", "403")
}

func TestUdhcpc(t *testing.T) {
	t.Parallel()
	c := newDHCPCase(t, "udhcpc")
	netnstest.NeedProgram(t, "udhcpc")
	script := c.script(`
case $1 in
bound|renew) ip addr replace "$ip/$mask" dev "$interface" ;;
esac
echo "script $1 $ip $bootfile$boot_file $router"
`) // not $tftp: udhcpc has a URL for no host name, and says "bad"
	c.peer = c.h.Start(t, nil, "udhcpc", "-f", "-i", "eth0", "-s", script, "-V", "snomD785", "-O", "tftp", "-O", "bootfile", "-R")
	c.peer.Wait("script bound 192.168.50.20 snomD785.htm 192.168.50.1")
	c.checkGuard("bound", "200")
	c.peer.Signal(syscall.SIGUSR1)
	c.peer.Wait("script renew 192.168.50.20 snomD785.htm")
	c.checkGuard("renewed", "200")
	c.peer.Signal(syscall.SIGUSR2)
	c.peer.Wait("entering released state")
	c.checkGuard("released", "403")
}

func TestDhcpcd(t *testing.T) {
	t.Parallel()
	c := newDHCPCase(t, "dhcpcd")
	netnstest.NeedProgram(t, "dhcpcd")
	netnstest.NeedRoot(t) // it gives up root, for a user of its own
	config := filepath.Join(c.dir, "dhcpcd.conf")
	write(t, config, "nohook resolv.conf, hostname, ntp.conf\noption tftp_server_name, bootfile_name, time_offset\n")
	common := []string{"-4", "-f", config, "-c", "/bin/true"}
	c.peer = c.h.Start(t, nil, "dhcpcd", append(common, "-B", "-d", "-A", "-L", "-i", "snomD785", "eth0")...)
	c.peer.Wait("adding default route via 192.168.50.1")
	c.checkGuard("bound", "200")
	dump := c.h.Run(t, "dhcpcd", "-4", "-U", "eth0").Stdout
	// It has a URL for no host name either, and shows option 66 empty.
	for _, want := range []string{"ip_address=192.168.50.20", "bootfile_name=snomD785.htm", "time_offset=3600", "domain_name=office.example"} {
		if !slices.Contains(strings.Fields(dump), want) {
			t.Errorf("dhcpcd's lease has no %s:\n%s", want, dump)
		}
	}
	if r := c.h.Run(t, "dhcpcd", append(common, "-N", "eth0")...); r.Status != 0 {
		t.Fatalf("dhcpcd -N: %s", r.Stderr)
	}
	c.peer.Wait("renewing lease of 192.168.50.20")
	c.peer.Wait("acknowledged 192.168.50.20")
	c.checkGuard("renewed", "200")
	c.h.Run(t, "dhcpcd", append(common, "-k", "eth0")...)
	c.peer.Wait("releasing lease of 192.168.50.20")
	c.peer.Exit()
	c.h.SetAddress(t, netip.MustParsePrefix("192.168.50.20/24"))
	c.checkGuard("released", "403")
}
