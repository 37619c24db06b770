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

	// Renumbered: the old address is gone, and phones are sent to the new one.
	o.within(t, 2*time.Second, "addresses=[192.168.50.2/24]", func() {
		ip("address", "flush", "dev", "eth0")
		ip("address", "add", "192.168.50.2/24", "dev", "eth0")
	})
	leased("renumbered")
	if s := o.simulate(t, phone, "--mac", reception.String()); s.Lease.Server != netip.MustParseAddr("192.168.50.2") || s.Lease.TFTPServerName != "http://192.168.50.2" {
		t.Errorf("renumbered: the phone is sent to %+v", s.Lease)
	}
	o.within(t, 2*time.Second, "has no IPv4 address", func() { ip("address", "flush", "dev", "eth0") })
	o.within(t, 2*time.Second, "listening for DHCP", func() { ip("address", "add", server+"/24", "dev", "eth0") })
	leased("without an address for a while")

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

// A VLAN's interface appears long after the service has started, goes and comes
// again. What the service answers on other interfaces does not wait for it.
func TestVLANComesLater(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	o := newOffice(t, "vlan", map[string]string{"voice.hcl": `
network "voice" {
  interface = "eth0.20"
  subnet    = "192.168.70.0/24"
  range     = ["192.168.70.100", "192.168.70.150"]
  routers   = ["192.168.70.1"]
}
`})
	o.service = o.host.Start(t, nil, built(t), "serve", "--config", o.config)
	o.service.Wait("waiting for the interface")
	o.service.Wait("listening for DHCP")
	o.simulate(t, o.net.Host(t, reception, netip.Prefix{}), "--mac", reception.String())

	there := mac.Addr{0, 4, 0x13, 0x73, 0, 1}
	phone := o.net.Host(t, there, netip.Prefix{})
	// Where the kernel knows no VLANs a cable of that name stands in: the service
	// is told nothing else of it.
	cables := netnstest.NewNet(t, "vlan20", netip.Prefix{})
	tagged := func(h *netnstest.Host, port string, m mac.Addr) {
		t.Helper()
		r := h.Run(t, "ip", "link", "add", "link", "eth0", "name", "eth0.20", "type", "vlan", "id", "20")
		if r.Status == 0 {
			r = h.Run(t, "ip", "link", "set", "eth0.20", "up")
		} else if strings.Contains(r.Stderr, "Unknown device type") {
			t.Log("the kernel knows no VLANs")
			if err := h.Plug(netnstest.Context(t), cables.Bridge, port, "eth0.20", m); err != nil {
				t.Fatal(err)
			}
			return
		}
		if r.Status != 0 {
			t.Fatal(r.Stderr)
		}
	}
	tagged(phone, "vlan20.p", there)
	for _, what := range []string{"at first", "again"} {
		o.within(t, 2*time.Second, "listening for DHCP", func() {
			tagged(o.host, "vlan20.s", mac.Addr{2, 0, 0, 0, 20, 1})
			if r := o.host.Run(t, "ip", "address", "add", "192.168.70.1/24", "dev", "eth0.20"); r.Status != 0 {
				t.Fatal(r.Stderr)
			}
		})
		s := o.simulate(t, phone, "--mac", there.String(), "--interface", "eth0.20")
		if s.Lease.Server != netip.MustParseAddr("192.168.70.1") || s.Lease.TFTPServerName != "http://192.168.70.1" {
			t.Errorf("%s: lease %+v", what, s.Lease)
		}
		o.within(t, 2*time.Second, "waiting for the interface", func() {
			if r := o.host.Run(t, "ip", "link", "delete", "eth0.20"); r.Status != 0 {
				t.Fatal(r.Stderr)
			}
		})
	}
}
