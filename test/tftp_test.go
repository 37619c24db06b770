package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

const firmwarePath = "/firmware/snomD785-10.1.215.13-SIP-r.bin"

// A way that takes only small packets, as through a tunnel to a branch, is not
// known before the first block is sent. Blocks of which the server thinks that
// they fit arrive all the same, in fragments.
func TestTFTPOverNarrowWay(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip", "atftp")
	o := newOffice(t, "narrow", nil)
	want := noise(t, filepath.Join(o.files, firmwarePath), 300_000)
	must := func(h *netnstest.Host, args ...string) {
		t.Helper()
		if r := h.Run(t, "ip", args...); r.Status != 0 {
			t.Fatalf("ip %s: %s", strings.Join(args, " "), r.Stderr)
		}
	}
	router := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 0x70}, netip.MustParsePrefix("192.168.50.254/24"))
	if err := router.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	branch := netnstest.NewNet(t, "narrow2", netip.Prefix{})
	if err := router.Plug(netnstest.Context(t), branch.Bridge, "narrow2.r", "eth1", mac.Addr{2, 0, 0, 0, 1, 0x70}); err != nil {
		t.Fatal(err)
	}
	must(router, "address", "add", "10.9.0.1/24", "dev", "eth1")
	must(router, "link", "set", "eth1", "mtu", "700")
	phone := branch.Host(t, mac.Addr{2, 0, 0, 0, 1, 0x71}, netip.MustParsePrefix("10.9.0.9/24"))
	must(phone, "route", "add", "default", "via", "10.9.0.1")
	must(o.host, "route", "add", "10.9.0.0/24", "via", "192.168.50.254")
	o.start(t)
	for _, options := range [][]string{nil, {"blksize 1428"}, {"blksize 65464"}, {"blksize 1428", "windowsize 8"}} {
		to := filepath.Join(t.TempDir(), "image")
		args := []string{"--get", "--remote-file", firmwarePath, "--local-file", to}
		for _, o := range options {
			args = append(args, "--option", o)
		}
		if r := phone.Run(t, "atftp", append(args, server)...); r.Status != 0 {
			t.Errorf("%v: exit status %d\n%s%s", options, r.Status, r.Stdout, r.Stderr)
			continue
		}
		if sum := sha256.Sum256(read(t, to)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%v: another image", options)
		}
	}
	if log := o.service.Log.String(); strings.Contains(log, "ended early") {
		t.Errorf("the log:\n%s", log)
	}
}

// loader is a client of TFTP that hears only the address that it asks.
type loader struct {
	testing.TB
	conn *net.UDPConn
	to   netip.Addr
	port uint16 // of the transfer
}

func newLoader(t testing.TB, h *netnstest.Host, from, to string) *loader {
	t.Helper()
	return &loader{TB: t, conn: udp(t, h, from+":0"), to: netip.MustParseAddr(to), port: 69}
}

func (l *loader) send(packet string) {
	l.Helper()
	if _, err := l.conn.WriteToUDPAddrPort([]byte(packet), netip.AddrPortFrom(l.to, l.port)); err != nil {
		l.Fatal(err)
	}
}

// receive gives a packet, or "" where none comes for so long.
func (l *loader) receive(patience time.Duration) string {
	l.Helper()
	b := make([]byte, 2048)
	_ = l.conn.SetReadDeadline(time.Now().Add(patience))
	n, from, err := l.conn.ReadFromUDPAddrPort(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ""
	}
	if err != nil {
		l.Fatal(err)
	}
	if from.Addr() != l.to {
		l.Fatalf("%v was asked, and %v answers", l.to, from)
	}
	if l.port == 69 {
		l.port = from.Port()
	}
	return string(b[:n])
}

// fetch takes a file in blocks of 512 octets, and does what is to be done when so many blocks
// are here. An ACK that is not answered is sent again.
func (l *loader) fetch(path string, at int, do func()) []byte {
	l.Helper()
	l.send("\x00\x01" + path + "\x00octet\x00")
	var all []byte
	ack, block := "", uint16(1)
	for silent := 0; ; {
		p := l.receive(5 * time.Second)
		switch {
		case p == "" && silent < 10 && ack != "":
			silent++
			l.send(ack)
			continue
		case len(p) < 4 || p[1] != 3:
			l.Fatalf("%s, block %d: received %q", path, block, p)
		case binary.BigEndian.Uint16([]byte(p[2:])) != block:
			continue
		}
		all, silent = append(all, p[4:]...), 0
		if int(block) == at {
			do()
		}
		ack = "\x00\x04" + p[2:4]
		l.send(ack)
		if block++; len(p) < 516 {
			return all
		}
	}
}

// What happens to the machine, to the file and to the service while a transfer runs does
// not end it, short of the end of the service: of that the client hears.
func TestTFTPWhileThingsChange(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	o := newOffice(t, "meanwhil", nil)
	image := filepath.Join(o.files, firmwarePath)
	noise(t, image, 20_000)
	o.start(t)
	ip := func(args ...string) {
		t.Helper()
		if r := o.host.Run(t, "ip", args...); r.Status != 0 {
			t.Fatalf("ip %s: %s", strings.Join(args, " "), r.Stderr)
		}
	}
	const phone, beside = "192.168.50.64", "192.168.50.9"
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 7}, netip.MustParsePrefix(phone+"/24"))
	fetch := func(what, server string, do func()) {
		t.Helper()
		want := read(t, image)
		if got := newLoader(t, h, phone, server).fetch(firmwarePath, 10, do); !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets of %d, or others", what, len(got), len(want))
		}
	}

	o.within(t, 30*time.Second, "interface has changed", func() { ip("address", "add", beside+"/24", "dev", "eth0") })
	fetch("from an address that came later", beside, func() {})
	missing := newLoader(t, h, phone, beside)
	missing.send("\x00\x01gone\x00octet\x00")
	if p := missing.receive(10 * time.Second); !strings.HasPrefix(p, "\x00\x05\x00\x01") {
		t.Errorf("from an address that came later: received %q", p)
	}

	fetch("a reload", server, func() {
		o.within(t, 30*time.Second, "msg=reloaded", func() { o.service.Signal(syscall.SIGHUP) })
	})
	fetch("another file in its place", server, func() {
		noise(t, image+".new", 30_000)
		if err := os.Rename(image+".new", image); err != nil {
			t.Fatal(err)
		}
	})
	fetch("a file that is deleted", server, func() {
		if err := os.Remove(image); err != nil {
			t.Fatal(err)
		}
	})
	noise(t, image, 20_000)
	cut := newLoader(t, h, phone, server)
	if got := cut.fetch(firmwarePath, 10, func() {
		ip("link", "set", "eth0", "down")
		// The block is sent again into nothing.
		if p := cut.receive(2500 * time.Millisecond); p != "" {
			t.Errorf("received %.20q by an interface that is down", p)
		}
		ip("link", "set", "eth0", "up")
	}); !bytes.Equal(got, read(t, image)) {
		t.Errorf("an interface that went down and up: %d octets, or others", len(got))
	}

	last := newLoader(t, h, phone, server)
	last.send("\x00\x01" + firmwarePath + "\x00octet\x00")
	if p := last.receive(10 * time.Second); len(p) != 516 {
		t.Fatalf("received %.20q", p)
	}
	o.service.Signal(syscall.SIGTERM)
	if p := last.receive(10 * time.Second); p != "\x00\x05\x00\x00the server stops\x00" {
		t.Errorf("when the service ends: received %.60q", p)
	}
	if status := o.service.Exit(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if log := o.service.Log.String(); strings.Count(log, "ended early") != 1 {
		t.Errorf("more than one transfer ended early:\n%s", log)
	}
}

// Of 513 phones at once one is told to try again, and gets its file when another has its own.
func TestTFTPManyAtOnce(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	o := newOffice(t, "many", nil)
	noise(t, filepath.Join(o.files, firmwarePath), 20_000)
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 7}, netip.MustParsePrefix("192.168.50.200/24"))
	const request, busy = "\x00\x01" + firmwarePath + "\x00octet\x00", "\x00\x05\x00\x00busy, try again\x00"
	var loaders []*loader
	for i := range 513 {
		from := fmt.Sprintf("192.168.50.%d", 200+i/60) // fewer than one source may have
		if i%60 == 0 && i > 0 {
			if r := h.Run(t, "ip", "address", "add", from+"/24", "dev", "eth0"); r.Status != 0 {
				t.Fatal(r.Stderr)
			}
		}
		l := newLoader(t, h, from, server)
		l.send(request)
		p := l.receive(10 * time.Second)
		if i < 512 && len(p) != 516 || i == 512 && p != busy {
			t.Fatalf("phone %d received %.60q", i+1, p)
		}
		loaders = append(loaders, l)
	}
	first, last := loaders[0], loaders[512]
	first.send("\x00\x05\x00\x00that is enough\x00")
	for p := busy; p == busy; {
		last.port = 69
		last.send(request)
		if p = last.receive(10 * time.Second); len(p) != 516 && p != busy {
			t.Fatalf("the last phone received %.60q", p)
		}
	}
}
