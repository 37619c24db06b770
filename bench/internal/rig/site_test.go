package rig

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"dialtone/internal/netnstest"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// congestion is what a connection finds its rate with.
func congestion(t *testing.T, c net.Conn) string {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var failed error
	err = raw.Control(func(fd uintptr) { name, failed = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return name
}

func TestSiteHasOneCongestionControl(t *testing.T) {
	netnstest.Need(t)
	site, err := NewSite(netip.MustParsePrefix("10.10.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	var l net.Listener
	err = site.Server.Do(func() (err error) {
		l, err = net.Listen("tcp4", netip.AddrPortFrom(site.ServerAddr, 80).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	client, err := site.Dial(site.ClientAddr, netip.AddrPortFrom(site.ServerAddr, 80))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for end, c := range map[string]net.Conn{"client": client, "server": server} {
		if got := congestion(t, c); got != Congestion {
			t.Errorf("the %s's end uses %s, want %s", end, got, Congestion)
		}
	}
}
