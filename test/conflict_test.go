package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

const (
	inUse    = "address is in use by someone who does not lease it"
	alone    = "authoritative: no other DHCP server is on the wire"
	notAlone = "not authoritative: another DHCP server is on the wire"
)

// TestAddressTaken has a machine on the wire that has the first address of the
// range, and did not lease it.
func TestAddressTaken(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "taken", nil)
	squatter := mac.Addr{2, 0, 0, 0, 0, 0x66}
	o.net.Host(t, squatter, netip.MustParsePrefix("192.168.50.100/24"))
	o.start(t)
	phone := mac.Addr{0, 4, 0x13, 0x71, 0, 1}
	_, s := o.leased(t, phone, "snomD785")
	if s.Lease.Address.String() == "192.168.50.100" {
		t.Error("the phone was leased an address that is in use")
	}
	o.service.Wait(inUse)
	for _, want := range []string{"mac=" + squatter.String(), "ip=192.168.50.100"} {
		if !strings.Contains(o.service.Log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	for try := 0; ; try++ {
		status := o.status(t)
		if strings.Contains(status, `"declined":1`) {
			break
		}
		if try == 50 { // it is counted each second
			t.Fatalf("the status does not say that an address is kept back: %s", status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// It is kept back when the appliance starts again, and nobody answers.
	o.service.Kill()
	o.start(t)
	_, s = o.leased(t, mac.Addr{0, 4, 0x13, 0x71, 0, 2}, "snomD785")
	if s.Lease.Address.String() == "192.168.50.100" {
		t.Error("the phone was leased an address that is in quarantine")
	}
}

// rogue starts someone else's DHCP server on the wire.
func (o *office) rogue(t *testing.T) (mac.Addr, *netnstest.Process) {
	t.Helper()
	netnstest.NeedProgram(t, "dnsmasq")
	m := mac.Addr{2, 0, 0, 0, 0, 0x67}
	h := o.net.Host(t, m, netip.MustParsePrefix("192.168.50.9/24"))
	p := h.Start(t, nil, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=0", "--user=root", "--no-ping",
		"--interface=eth0", "--dhcp-authoritative", "--dhcp-range=192.168.50.210,192.168.50.220,1h",
		"--dhcp-option=66,http://192.168.50.9", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"))
	p.Wait("DHCP, IP range")
	return m, p
}

func (o *office) otherServers(t *testing.T) []map[string]string {
	t.Helper()
	text := o.status(t)
	var status struct {
		OtherServers []map[string]string `json:"other_servers"`
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return status.OtherServers
}

// status asks the running service for it.
func (o *office) status(t *testing.T) string {
	t.Helper()
	return o.host.Run(t, program(t, "curl"), "--silent", "--unix-socket", filepath.Join(o.state, "admin.sock"), "http://dialtone/v1/status").Stdout
}

// TestOtherServer starts beside another server, and has a look at both.
func TestOtherServer(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	o := newOffice(t, "other", nil)
	m, _ := o.rogue(t)
	o.start(t)
	o.service.Wait(notAlone)
	if log := o.service.Log.String(); strings.Contains(log, alone) || !strings.Contains(log, "ip=192.168.50.9 mac="+m.String()) {
		t.Errorf("log:\n%s", log)
	}
	others := o.otherServers(t)
	if len(others) != 1 || others[0]["server"] != "192.168.50.9" || others[0]["mac"] != m.String() || others[0]["interface"] != "eth0" {
		t.Errorf("status: %v", others)
	}

	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 0x68}, netip.Prefix{}) // without an address
	r := h.Run(t, built(t), "probe", "--interface", "eth0", "--wait", "2s", "--class", "snomD785")
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	slices.Sort(lines)
	if r.Status != 0 || len(lines) != 2 ||
		!strings.HasPrefix(lines[0], "192.168.50.1 at 02:00:00:00:00:01 offers 192.168.50.1") ||
		!strings.HasSuffix(lines[0], `for 12h, option 66 "http://192.168.50.1", option 67 "snomD785.htm"`) ||
		!strings.HasPrefix(lines[1], "192.168.50.9 at "+m.String()+" offers 192.168.50.2") ||
		!strings.HasSuffix(lines[1], `for 1h, option 66 "http://192.168.50.9"`) {
		t.Errorf("probe: exit status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	r = h.Run(t, built(t), "probe", "--interface", "eth0", "--wait", "1s", "--json")
	var found []struct {
		Server netip.Addr `json:"server"`
		Lease  int        `json:"lease_seconds"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &found); err != nil || len(found) != 2 || found[0].Lease == 0 {
		t.Errorf("probe --json: %v\n%s", err, r.Stdout)
	}
	r = h.Run(t, built(t), "probe", "--interface", "lo", "--wait", "10ms")
	if r.Status != 1 || !strings.Contains(r.Stderr, "interface is not Ethernet's") {
		t.Errorf("probe of lo: exit status %d: %s", r.Status, r.Stderr)
	}
}

// TestRogueServer has another server appear, and its first client noticed.
func TestRogueServer(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	netnstest.NeedProgram(t, "udhcpc")
	o := opened(t, "rogue", nil)
	o.service.Wait(alone)
	if others := o.otherServers(t); len(others) != 0 {
		t.Errorf("status: %v", others)
	}
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 0x69}, netip.Prefix{})
	r := h.Run(t, built(t), "probe", "--interface", "eth0", "--wait", "300ms")
	if !strings.HasPrefix(r.Stdout, "192.168.50.1 at ") || strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("probe: %s%s", r.Stdout, r.Stderr)
	}
	o.rogue(t)
	// A client that asks for a broadcast answer: the rogue's is heard whoever wins.
	h.Start(t, nil, "udhcpc", "-f", "-B", "-i", "eth0", "-s", "/bin/true")
	o.service.Wait("another DHCP server answers")
	o.service.Wait(notAlone)
	if others := o.otherServers(t); len(others) != 1 || others[0]["server"] != "192.168.50.9" {
		t.Errorf("status: %v", others)
	}
}

// TestBurst powers 250 phones on in the same instant, at an appliance that has
// never leased an address. None of them may have to send anything twice.
func TestBurst(t *testing.T) {
	for _, probed := range []bool{false, true} {
		t.Run(map[bool]string{false: "at the start", true: "probed ahead"}[probed], func(t *testing.T) {
			netnstest.Need(t)
			dir := t.TempDir()
			config := filepath.Join(dir, "dialtone.hcl")
			write(t, config, fmt.Sprintf(`
appliance {
  interface = "eth0"
  state_dir = %q
  files_dir = %q
}
network "hall" {
  subnet = "10.67.0.0/16"
  range  = ["10.67.1.0", "10.67.9.255"]
}
`, filepath.Join(dir, "state"), filepath.Join(dir, "files")))
			wire := netnstest.NewNet(t, "burst", netip.Prefix{})
			host := wire.Host(t, mac.Addr{2, 0, 0, 0, 0, 1}, netip.MustParsePrefix("10.67.0.1/16"))
			street := wire.Host(t, mac.Addr{2, 0, 0, 0, 0, 2}, netip.Prefix{})
			service := host.Service(t, nil, built(t), "serve", "--config", config)
			if probed {
				service.Wait(alone) // which takes longer than 256 probes
			}
			var conn *packet.Conn
			err := street.Do(func() error {
				ifi, err := net.InterfaceByName("eth0")
				if err != nil {
					return err
				}
				conn, err = packet.Listen(ifi, packet.Raw, 0x0800, nil)
				if err != nil {
					return err
				}
				return conn.SetPromiscuous(true)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			raw, err := conn.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			// The answers must not be lost here: a phone has a buffer of its own.
			if e := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
			}); e != nil || err != nil {
				t.Fatal(e, err)
			}
			times := powerOn(t, conn, 250)
			slices.Sort(times)
			percent := func(p int) time.Duration { return times[(len(times)*p+99)/100-1].Round(100 * time.Microsecond) }
			t.Logf("250 phones bound, nothing sent twice: 50 %% within %v, 99 %% %v, all %v", percent(50), percent(99), percent(100))
		})
	}
}

// powerOn has n phones get an address at once, each message sent once, and
// gives how long each took.
func powerOn(t *testing.T, conn *packet.Conn, n int) []time.Duration {
	t.Helper()
	everyone := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	send := func(m *dhcpv4.DHCPv4) {
		if _, err := conn.WriteTo(clientFrame(m), everyone); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for i := range n {
		m, err := dhcpv4.NewDiscovery(net.HardwareAddr{0, 4, 0x13, 0x80, byte(i >> 8), byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		send(m)
	}
	if err := conn.SetReadDeadline(start.Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	bound := map[string]time.Duration{} // by address
	clients := map[string]bool{}
	b := make([]byte, 2048)
	for len(bound) < n {
		k, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatalf("%d of %d phones are bound: %v", len(bound), n, err)
		}
		if k < 42 || b[23] != 17 || b[36] != 0 || b[37] != 68 {
			continue
		}
		m, err := dhcpv4.FromBytes(b[42:k])
		if err != nil {
			t.Fatal(err)
		}
		switch m.MessageType() {
		case dhcpv4.MessageTypeOffer:
			r, err := dhcpv4.NewRequestFromOffer(m)
			if err != nil {
				t.Fatal(err)
			}
			send(r)
		case dhcpv4.MessageTypeAck:
			bound[m.YourIPAddr.String()] = time.Since(start)
			clients[m.ClientHWAddr.String()] = true
		}
	}
	if len(clients) != n {
		t.Errorf("%d addresses for %d phones", n, len(clients))
	}
	var times []time.Duration
	for _, d := range bound {
		times = append(times, d)
	}
	return times
}

// clientFrame wraps a message as a phone without an address sends it. Its UDP
// checksum is left out (RFC 768).
func clientFrame(m *dhcpv4.DHCPv4) []byte {
	payload := m.ToBytes()
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	b = append(b, m.ClientHWAddr...)
	total, datagram := 28+len(payload), 8+len(payload)
	ip := []byte{0x45, 0, byte(total >> 8), byte(total), 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}
	sum := 0
	for i := 0; i < len(ip); i += 2 {
		sum += int(ip[i])<<8 | int(ip[i+1])
	}
	sum = sum&0xffff + sum>>16
	sum = ^(sum&0xffff + sum>>16)
	ip[10], ip[11] = byte(sum>>8), byte(sum)
	b = append(append(b, 8, 0), ip...)
	b = append(b, 0, 68, 0, 67, byte(datagram>>8), byte(datagram), 0, 0)
	return append(b, payload...)
}
