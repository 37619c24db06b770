package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dialtone/httpd"
	"dialtone/internal/mac"
	"dialtone/internal/pki"
	"dialtone/profiles"
	"dialtone/provision"
	"dialtone/tftpd"
)

var hostileOctets = flag.Int("hostile", 256<<10, "octets of hostile requests for TestHostileRequests")

const (
	canaryText = "cAnArY-0utside-of-files_dir" // in files that nobody may have
	secretText = "pAssw0rd-0f-the-reception"   // in documents of one phone
)

var (
	hostileMAC   = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}
	hostilePhone = netip.MustParseAddr("127.0.0.2") // its lease
)

// hostileSite has everything that a request must not lead to.
type hostileSite struct {
	desk   *provision.Desk
	files  string // files_dir
	tls    *tls.Config
	log    *slog.Logger
	panics atomic.Int64
}

// oneLease is the lease table.
type oneLease struct{}

func (oneLease) Client(a netip.Addr) (mac.Addr, string, bool) {
	return hostileMAC, "", a == hostilePhone
}

// panicCounter is a log that counts what it says of panics.
type panicCounter struct {
	slog.Handler
	n *atomic.Int64
}

func (c panicCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c panicCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "panic" || strings.Contains(r.Message, "http: panic") {
		c.n.Add(1)
	}
	return nil
}

func newHostileSite(t *testing.T) *hostileSite {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	secrets := strings.Repeat(canaryText+"\n", 60)
	for _, name := range []string{
		"outside.txt", "files.txt", "filesystem/x.xml", "state/dialtone.db", "config/secrets/sip",
		"files/.hidden", "files/.git/config", "files/firmware/.new.1",
	} {
		put(name, secrets)
	}
	put("files/languages/de.xml", "<x/>")
	put("files/firmware/snomD785-10.1.215.13-SIP-r.bin", "image")
	for link, to := range map[string]string{
		"link.txt": "../outside.txt", "absolute.txt": filepath.Join(dir, "outside.txt"), "up": "..", "root": "/",
		"firmware/image.bin": "../../outside.txt", "firmware/up": "../..", "languages/up": "../../filesystem", "loop": "loop",
		"dangling": "gone", "turn.0": "languages/de.xml", "turn.1": "../outside.txt", "turns.0": "languages", "turns.1": "..",
	} {
		if err := os.Symlink(to, filepath.Join(dir, "files", link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, kind := range map[string]uint32{"pipe": syscall.S_IFIFO, "socket": syscall.S_IFSOCK} {
		if err := syscall.Mknod(filepath.Join(dir, "files", name), kind|0o600, 0); err != nil {
			t.Fatal(err)
		}
	}
	put("config/own.cfg", strings.Repeat(secretText+"\n", 60))
	put("config/dialtone.hcl", fmt.Sprintf(`
appliance {
  interface = "lo"
  files_dir = %q
  state_dir = %q
}
provisioning {
  http_auth = "basic"
}
profile "desk" {
  http_client {
    user     = "reception"
    password = sensitive(%q)
  }
  settings {
    http_pass = [%s]
  }
}
phone "000413922D24" {
  name     = "reception"
  model    = "snomD785"
  profile  = "desk"
  firmware = "10.1.215.13"
}
document "/m3/settings/{mac}.cfg" {
  file = "own.cfg"
}
`, filepath.Join(dir, "files"), filepath.Join(dir, "state"), secretText, strings.Repeat(fmt.Sprintf("sensitive(%q), ", secretText), 60)))
	cfg := loaded(t, filepath.Join(dir, "config"))
	authority, err := pki.OpenAuthority(cfg.Appliance.StateDir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificates, _, err := authority.Leaves(cfg.Appliance.StateDir, pki.Names{DNS: []string{"appliance"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var server pki.Server
	server.Use(pki.Material{Certificates: certificates})
	s := &hostileSite{files: filepath.Join(dir, "files"), tls: server.Config()}
	s.log = slog.New(panicCounter{slog.DiscardHandler, &s.panics})
	// Time flies, or all that is guarded would soon be shut out.
	var calls atomic.Int64
	s.desk = provision.New(provision.Config{
		Set:      func() *profiles.Set { return cfg.Set },
		FilesDir: func() string { return cfg.Appliance.FilesDir },
		Secrets:  func() string { return cfg.Provisioning.Secrets },
		HTTPAuth: func() string { return cfg.Provisioning.HTTPAuth },
		Witness:  oneLease{},
		Log:      s.log,
		Now:      func() time.Time { return time.Unix(1_800_000_000+60*calls.Add(1), 0) },
		Wait:     func(time.Duration) {},
	})
	return s
}

// turn has the links turn and turns lead within files_dir, or out of it: what is a
// file when a request looks may be a link when it is opened. The way of a link is
// changed as by a person, by another one that takes its name.
func (s *hostileSite) turn(out int) error {
	for _, name := range []string{"turn", "turns"} {
		name = filepath.Join(s.files, name)
		to, err := os.Readlink(fmt.Sprintf("%s.%d", name, out))
		if err == nil {
			err = os.Symlink(to, name+".new")
		}
		if err == nil {
			err = os.Rename(name+".new", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hostileWords are what paths, headers and options are made of.
var hostileWords = []string{
	"/", "//", "\\", "..", "../", "..\\", "/../", "/./", "....//", "%2e%2e%2f", "%2E%2E/", "..%2f", "..%5c", "%252e%252e%252f", "%c0%ae%c0%ae/", "%c0%af",
	"%uff0e%uff0e/", "．．/", "..;/", "%e0%80%ae", "%f0%80%80%ae", "%ef%bc%8f", "%25%32%65", "%2500", ".%00./", "..%3b/", "..%20/", "%09", ";x=1", "%3bx", "%23", "%3f",
	"C:\\", "c:/", "C|/", "\\\\127.0.0.1\\", "//127.0.0.1/", "::$DATA", "/proc/self/environ", "/dev/zero", "turn", "turns/", "turns/outside.txt", "socket", "dangling", "%00", "\x00", "%0d%0a", "\r\n", "\n", "\t", " ", "%", "%2", "?", "#", "&", "=", ";", ":", "~", "*", "|", "\xff", "\xc0\xae", "é",
	"files/", "/files/", "firmware/", "/firmware/", "FILES/", "files", "link.txt", "absolute.txt", "up/", "up/outside.txt", "root/etc/passwd", "image.bin", "loop", "pipe", ".hidden", ".git/config",
	".new.1", "outside.txt", "languages/de.xml", "languages/up/x.xml", "snomD785-10.1.215.13-SIP-r.bin", "SHA256SUMS", "files.txt", "filesystem/x.xml", "state/dialtone.db", "etc/passwd",
	"000413922D24", "000413922d24", "00:04:13:92:2D:24", "00-04-13-92-2d-24", "00%3A04%3a13:92:2d:24", "0004.1392.2D24", "0004139-22D24", "000413922D25", "{mac}",
	"snomD785", "SNOMd785", "snomd785", "snom", "general", "firmware", "gui-lang", "web-lang", ".xml", ".XML", ".htm", ".cfg", "-firmware.htm", "/m3/settings/", "settings.php", "?mac=", "?MAC=",
	"mac=", "file=", "path=", "http://127.0.0.1/", "file:///", "GET", "HEAD", "POST", "OPTIONS", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "\r\n\r\n", "octet", "netascii", "mail", "blksize", "tsize", "timeout", "windowsize", "1428", "65464", "0", "-1",
}

// hostileHeaders are whole.
var hostileHeaders = []string{
	"Host: x\r\n", "Range: bytes=0-10\r\n",
	"Range: bytes=-5,0-1,3-\r\n", "If-None-Match: *\r\n", "If-Range: \"x\"\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Content-Length: 99999999999999999999\r\n",
	"Connection: close\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\n", "X-Forwarded-For: 127.0.0.2\r\n", "Forwarded: for=127.0.0.2\r\n", "X-Original-URL: /snomD785/000413922D24.xml\r\n",
	"Authorization: Basic cmVjZXB0aW9uOng=\r\n", "Authorization: Digest username=\"reception\", realm=\"dialtone\", nonce=\"0\", uri=\"/\", response=\"\"\r\n",
	"User-Agent: Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 1.1.3-u 000413922D24)\r\n",
	"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "Range: bytes=0-99999999999999999999\r\n", "Range: bytes=0-0,0-0,0-0,0-0\r\n",
}

var hostilePaths = []string{
	"/snomD785/000413922D24.xml", "/snomD785-000413922D24.htm", "/000413922D24.xml", "/?mac=000413922D24", "/settings.php?mac=000413922D24", "/m3/settings/000413922D24.cfg",
	"/files/link.txt", "/files/up/outside.txt", "/firmware/image.bin", "/files/languages/de.xml", "/files/../outside.txt", "/firmware/../../outside.txt", "/snomD785.htm", "/snomD785/general.xml",
	"/snomD785-firmware.htm", "/gui-lang.xml", "/firmware/snomD785-10.1.215.13-SIP-r.bin", "/files/root/etc/passwd", "/files/pipe", "/files/.hidden",
	"/files/turn", "/files/turns/de.xml", "/files/turns/outside.txt", "/files/socket", "/files/dangling",
}

// hostileSource makes requests from nothing but its seed.
type hostileSource struct{ *rand.Rand }

func (h hostileSource) word() string     { return hostileWords[h.IntN(len(hostileWords))] }
func (h hostileSource) oneIn(n int) bool { return h.IntN(n) == 0 }

// path is one of those that are dangerous, or words in any order, or both, in any
// encoding.
func (h hostileSource) path() string {
	if h.oneIn(3) {
		return hostilePaths[h.IntN(len(hostilePaths))]
	}
	var b strings.Builder
	if !h.oneIn(3) {
		b.WriteString(hostilePaths[h.IntN(len(hostilePaths))])
	}
	if h.oneIn(2) {
		for range h.IntN(8) {
			b.WriteString(h.word())
		}
	}
	s := b.String()
	if h.oneIn(3) && s != "" { // something within
		at := h.IntN(len(s))
		s = s[:at] + h.word() + s[at:]
	}
	if h.oneIn(4) { // some or all of it encoded, once or twice
		for range 1 + h.IntN(2) {
			var e strings.Builder
			for _, c := range []byte(s) {
				if h.oneIn(2) {
					fmt.Fprintf(&e, "%%%02x", c)
				} else {
					e.WriteByte(c)
				}
			}
			s = e.String()
		}
	}
	if h.oneIn(6) {
		s = strings.ToUpper(s)
	}
	if h.oneIn(40) {
		s += strings.Repeat(h.word(), 1+h.IntN(300))
	}
	return s
}

// mutate changes octets of b here and there.
func (h hostileSource) mutate(b []byte) []byte {
	for range h.IntN(6) {
		if len(b) == 0 {
			return b
		}
		at := h.IntN(len(b))
		switch h.IntN(4) {
		case 0:
			b[at] ^= byte(1 << h.IntN(8))
		case 1:
			b = append(b[:at:at], append([]byte(h.word()), b[at:]...)...)
		case 2:
			b = append(b[:at:at], b[min(len(b), at+1+h.IntN(8)):]...)
		case 3:
			b[at] = byte(h.IntN(256))
		}
	}
	return b
}

// http is what one connection sends.
func (h hostileSource) http() []byte {
	var b []byte
	for range 1 + h.IntN(4) { // one that is broken keeps the rest from being read
		method := "GET"
		if h.oneIn(8) {
			method = h.word()
		}
		r := []byte(method + " " + h.path() + " HTTP/1.1\r\nHost: appliance\r\n")
		for range h.IntN(3) {
			switch h.IntN(8) {
			case 0:
				r = append(r, h.word()...)
			case 1:
				r = append(append(r, "X: "...), h.word()+h.word()+"\r\n"...)
			default:
				r = append(r, hostileHeaders[h.IntN(len(hostileHeaders))]...)
			}
		}
		r = append(r, "\r\n"...)
		if h.oneIn(6) {
			r = h.mutate(r)
		}
		b = append(b, r...)
	}
	return b
}

// tftp is one packet.
func (h hostileSource) tftp() []byte {
	op := uint16(1)
	if h.oneIn(10) {
		op = uint16(h.IntN(8))
	}
	b := binary.BigEndian.AppendUint16(nil, op)
	b = append(append(b, h.path()...), 0)
	mode := "octet"
	if h.oneIn(5) {
		mode = h.word()
	}
	b = append(append(b, mode...), 0)
	for range h.IntN(4) {
		b = append(append(b, h.word()...), 0)
		b = append(append(b, h.word()...), 0)
	}
	if h.oneIn(3) {
		b = h.mutate(b)
	}
	return b[:min(len(b), 1400)]
}

func loopbackTCP(h hostileSource) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+h.IntN(200)), byte(h.IntN(256)), byte(1+h.IntN(254)))}
}

// leaks fails the test where an answer holds what it must not.
func leaks(t *testing.T, what string, request, answer []byte) {
	for _, s := range []string{canaryText, secretText, "root:x:0:0"} {
		if bytes.Contains(answer, []byte(s)) {
			t.Errorf("%s %q gives %s", what, request, s)
		}
	}
}

// Requests that nobody sent before, by the million, over the real listeners: none
// brings down anything, and no answer to somebody else holds a phone's secret or a
// file from outside of files_dir.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s := newHostileSite(t)
	const limit = 4096
	ctx, stop := context.WithCancel(t.Context())
	var listeners [2]*net.TCPListener // for HTTP and HTTPS
	for i := range listeners {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = l
	}
	plain, secure := httpDialer(listeners[0].Addr()), httpsDialer(listeners[1].Addr())
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	servers.Go(func() {
		if err := (&httpd.Server{Desk: s.desk, Log: s.log}).Serve(ctx, listeners[0]); err != nil {
			t.Error(err)
		}
	})
	servers.Go(func() {
		if err := (&httpd.Server{Desk: s.desk, Log: s.log, TLS: s.tls}).Serve(ctx, listeners[1]); err != nil {
			t.Error(err)
		}
	})
	servers.Go(func() {
		if err := (&tftpd.Server{Desk: s.desk, Log: s.log, Transfers: limit, PerSource: limit}).Serve(ctx, conn); err != nil {
			t.Error(err)
		}
	})
	own := func(dial hostileDialer) []byte {
		t.Helper()
		c, err := dial(&net.TCPAddr{IP: hostilePhone.AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", hostilePaths[0])
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, dial := range []hostileDialer{plain, secure} {
		if !bytes.Contains(own(dial), []byte(secretText)) {
			t.Fatalf("the phone does not get its own file:\n%s", own(dial))
		}
	}

	// A handshake costs more than a request does.
	const secured = 8
	var clients sync.WaitGroup
	clients.Go(func() { hostileHTTP(t, "HTTP", plain, 1, *hostileOctets/2-*hostileOctets/secured) })
	clients.Go(func() { hostileHTTP(t, "HTTPS", secure, 3, *hostileOctets/secured) })
	clients.Go(func() {
		if err := hostileTFTP(t, conn.LocalAddr().(*net.UDPAddr), *hostileOctets/2); err != nil {
			t.Error(err)
		}
	})
	attacked, turns := make(chan struct{}), 0
	var turner sync.WaitGroup
	turner.Go(func() {
		for ; ; turns++ {
			select {
			case <-attacked:
				return
			default:
			}
			if err := s.turn(turns % 2); err != nil {
				t.Error(err)
				return
			}
		}
	})
	clients.Wait()
	close(attacked)
	turner.Wait()
	t.Logf("meanwhile links turned %d times", turns)
	if n := s.panics.Load(); n > 0 {
		t.Errorf("%d panics", n)
	}
	for _, dial := range []hostileDialer{plain, secure} {
		if !bytes.Contains(own(dial), []byte(secretText)) {
			t.Error("afterwards, the phone does not get its own file")
		}
	}
	stop()
	servers.Wait()
}

// hostileConn can say that it has sent everything, and read on.
type hostileConn interface {
	net.Conn
	CloseWrite() error
}

// hostileDialer connects from an address.
type hostileDialer func(from *net.TCPAddr) (hostileConn, error)

func httpDialer(to net.Addr) hostileDialer {
	return func(from *net.TCPAddr) (hostileConn, error) {
		c, err := (&net.Dialer{LocalAddr: from}).Dial("tcp4", to.String())
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
}

// httpsDialer has shaken hands when it returns.
func httpsDialer(to net.Addr) hostileDialer {
	dial, config := httpDialer(to), &tls.Config{InsecureSkipVerify: true, ServerName: "appliance"}
	return func(from *net.TCPAddr) (hostileConn, error) {
		c, err := dial(from)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(c, config)
		if err := secured.Handshake(); err != nil {
			c.Close()
			return nil, err
		}
		return secured, nil
	}
}

// hostileHTTP sends so many octets of requests, a few over each connection.
func hostileHTTP(t *testing.T, protocol string, dial hostileDialer, seed uint64, octets int) {
	h := hostileSource{rand.New(rand.NewPCG(seed, seed))}
	served, answered := 0, 0
	for sent := 0; sent < octets; {
		request := h.http()
		sent += len(request)
		c, err := dial(loopbackTCP(h))
		if err != nil {
			t.Errorf("%s: %v", protocol, err)
			return
		}
		// What the server does not want to read it does not: no error of writing counts.
		_, _ = c.Write(request)
		_ = c.CloseWrite()
		answer, _ := io.ReadAll(c)
		c.Close()
		leaks(t, protocol, request, answer)
		served += bytes.Count(answer, []byte("HTTP/1.1 200"))
		answered += bytes.Count(answer, []byte("HTTP/1.1 "))
	}
	if served == 0 || answered < 2*served {
		t.Errorf("%d of %d answers over %s have a document: the requests are no good", served, answered, protocol)
	}
	t.Logf("%d answers over %s, %d of them with a document", answered, protocol, served)
}

// hostileTFTP sends so many octets of packets, and takes what comes to its end.
func hostileTFTP(t *testing.T, server *net.UDPAddr, octets int) error {
	h := hostileSource{rand.New(rand.NewPCG(2, 2))}
	type client struct {
		*net.UDPConn
		last atomic.Pointer[[]byte] // that it sent
	}
	clients := make([]*client, 32)
	var readers sync.WaitGroup
	var data atomic.Int64
	for i := range clients {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopbackTCP(h).IP})
		if err != nil {
			return err
		}
		clients[i] = &client{UDPConn: c}
		readers.Go(func() {
			b := make([]byte, 65536)
			for {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				if n < 4 {
					continue
				}
				leaks(t, "TFTP", *clients[i].last.Load(), b[:n])
				ack := []byte{0, 4, b[2], b[3]}
				switch b[1] {
				case 3:
					data.Add(1)
				case 6: // OACK
					ack[2], ack[3] = 0, 0
				default:
					continue
				}
				_, _ = c.WriteToUDPAddrPort(ack, from)
			}
		})
	}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
		readers.Wait()
	}()
	fence, err := net.DialUDP("udp4", nil, server)
	if err != nil {
		return err
	}
	defer fence.Close()
	buf := make([]byte, 1024)
	rounds := 0
	for sent := 0; sent < octets; {
		for _, c := range clients {
			p := h.tftp()
			c.last.Store(&p)
			if _, err := c.WriteToUDP(p, server); err != nil {
				return err
			}
			sent += len(p)
		}
		// The server takes requests in their order: when it answers this one it has all
		// of the others.
		rounds++
		for try := 0; ; try++ {
			if _, err := fmt.Fprintf(fence, "\x00\x01nothing-%d-%d\x00octet\x00", rounds, try); err != nil {
				return err
			}
			_ = fence.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err := fence.Read(buf)
			if err == nil {
				break
			}
			if try == 10 {
				return fmt.Errorf("the server has fallen silent: %w", err)
			}
		}
	}
	t.Logf("%d rounds of %d packets over TFTP, answered with %d packets of data", rounds, len(clients), data.Load())
	if data.Load() == 0 {
		return fmt.Errorf("no packet gets a document: the packets are no good")
	}
	return nil
}
