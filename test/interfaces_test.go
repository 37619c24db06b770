package test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// within waits until the service has said something once more than before,
// and fails the test where that takes longer than an office notices.
func (o *office) within(t *testing.T, limit time.Duration, text string, do func()) {
	t.Helper()
	said := func() int { return strings.Count(o.service.Log.String(), text) }
	before := said()
	do()
	began := time.Now()
	for said() == before {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("it never said %q", text)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(began); took > limit {
		t.Errorf("%q took %v", text, took)
	}
}

// An interface goes down, changes its address, is deleted and made anew: the
// service answers again within two seconds, on the socket that is the true one.
func TestInterfacesComeAndGo(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	o := opened(t, "comego", nil)
	ip := func(args ...string) {
		t.Helper()
		if r := o.host.Run(t, "ip", args...); r.Status != 0 {
			t.Fatalf("ip %s: %s", strings.Join(args, " "), r.Stderr)
		}
	}
	phone := o.net.Host(t, reception, netip.Prefix{})
	leased := func(what string) {
		t.Helper()
		began := time.Now()
		if s := o.simulate(t, phone, "--mac", reception.String()); s.Lease.Address != netip.MustParseAddr("192.168.50.20") {
			t.Errorf("%s: leased %v", what, s.Lease.Address)
		}
		t.Logf("%s: leased and set in %v", what, time.Since(began).Round(time.Millisecond))
	}
	leased("at first")

	o.within(t, 2*time.Second, "is down", func() { ip("link", "set", "eth0", "down") })
	o.within(t, 2*time.Second, "listening for DHCP", func() { ip("link", "set", "eth0", "up") })
	leased("down and up")

	o.within(t, 2*time.Second, "interface has changed", func() { ip("address", "add", "192.168.50.2/24", "dev", "eth0") })
	leased("another address beside")

	o.within(t, 2*time.Second, "listening for DHCP", func() {
		ip("link", "delete", "eth0")
		if err := o.host.Plug(netnstest.Context(t), o.net.Bridge, "comego.1", "eth0", mac.Addr{2, 0, 0, 0, 0, 2}); err != nil {
			t.Fatal(err)
		}
		o.host.SetAddress(t, netip.MustParsePrefix(server+"/24"))
	})
	leased("deleted and made anew")
}

// An interface that is not there yet is waited for, and the log says so.
func TestInterfaceMissingAtStart(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	o := newOffice(t, "latecom", nil)
	if r := o.host.Run(t, "ip", "link", "delete", "eth0"); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	o.service = o.host.Start(t, nil, built(t), "serve", "--config", o.config)
	o.service.Wait("waiting for the interface")
	o.within(t, 2*time.Second, "listening for DHCP", func() {
		if err := o.host.Plug(netnstest.Context(t), o.net.Bridge, "latecom.1", "eth0", mac.Addr{2, 0, 0, 0, 0, 2}); err != nil {
			t.Fatal(err)
		}
		o.host.SetAddress(t, netip.MustParsePrefix(server+"/24"))
	})
	o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String())
}
