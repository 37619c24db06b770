package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// documents are what a phone of the example may ask for, by every name.
func documents() []string {
	m := reception.Hex()
	return []string{
		"/snomD785.htm", "/snomD785-" + m + ".htm", "/snomD785/general.xml", "/snomD785/" + m + ".xml",
		"/gui-lang.xml", "/web-lang.xml", "/snomD785/gui-lang.xml", "/snomD785-firmware.htm", "/snomD785/firmware.xml",
		"/" + m + ".xml", "/?mac=" + m, "/settings.php?mac=" + m,
		"/SNOMd785-00:04:13:92:2d:24.HTM", "/snomd785/00-04-13-92-2D-24.xml",
	}
}

// fetchers are programs that others wrote, by the name of the program.
var fetchers = map[string]func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result{
	"tftp": func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result {
		return h.Run(t, "tftp", server, "-m", "binary", "-c", "get", path, to)
	},
	"atftp": func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result {
		return h.Run(t, "atftp", "--get", "--remote-file", path, "--local-file", to, server)
	},
	"atftp with options": func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result {
		return h.Run(t, "atftp", "--option", "blksize 1428", "--option", "tsize 0", "--option", "timeout 2", "--get", "--remote-file", path, "--local-file", to, server)
	},
	"curl": func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result {
		return h.Run(t, "curl", "--silent", "--show-error", "--fail", "--path-as-is", "--output", to, "http://"+server+path)
	},
	"curl with HTTP/1.0": func(t testing.TB, h *netnstest.Host, path, to string) netnstest.Result {
		return h.Run(t, "curl", "--silent", "--show-error", "--fail", "--path-as-is", "--http1.0", "--output", to, "http://"+server+path)
	},
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "docs", nil)
	noise(t, filepath.Join(o.files, "firmware", "snomD785-10.1.215.13-SIP-r.bin"), 1000)
	o.start(t)
	h, _ := o.leased(t, reception, "snomD785")
	for name, fetch := range fetchers {
		t.Run(name, func(t *testing.T) {
			netnstest.NeedProgram(t, strings.Fields(name)[0])
			for i, path := range documents() {
				if name == "tftp" && strings.Contains(path, ":") {
					continue // to it, what stands before a colon is a host
				}
				to := filepath.Join(t.TempDir(), strconv.Itoa(i))
				if r := fetch(t, h, path, to); r.Status != 0 {
					t.Errorf("%s %s: exit status %d\n%s%s", name, path, r.Status, r.Stdout, r.Stderr)
					continue
				}
				checkServed(t, name+" "+path, read(t, to), o.render(t, reception.String(), path))
			}
		})
	}
	t.Run("without a slash", func(t *testing.T) {
		netnstest.NeedProgram(t, "atftp")
		to := filepath.Join(t.TempDir(), "file")
		if r := fetchers["atftp"](t, h, "snomD785.htm", to); r.Status != 0 {
			t.Fatalf("%s%s", r.Stdout, r.Stderr)
		}
		checkServed(t, "snomD785.htm", read(t, to), o.render(t, reception.String(), "/snomD785.htm"))
	})
	// The same bytes each time, their length told, and a tag to ask again by.
	t.Run("headers", func(t *testing.T) {
		netnstest.NeedProgram(t, "curl")
		for _, path := range documents() {
			url := "http://" + server + path
			header := headers(h.Run(t, "curl", "--silent", "--path-as-is", "--dump-header", "-", "--output", "/dev/null", url).Stdout)
			want := strconv.Itoa(len(o.render(t, reception.String(), path)))
			if got := header.Get("Content-Length"); got != want || header.Get("Transfer-Encoding") != "" {
				t.Errorf("%s: Content-Length %q, want %s; Transfer-Encoding %q", path, got, want, header.Get("Transfer-Encoding"))
			}
			tag := header.Get("ETag")
			again := h.Run(t, "curl", "--silent", "--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}", "--header", "If-None-Match: "+tag, url).Stdout
			if tag == "" || again != "304" {
				t.Errorf("%s: ETag %q, and %s when asked again by it", path, tag, again)
			}
		}
	})
}

func headers(s string) textproto.MIMEHeader {
	header := textproto.MIMEHeader{}
	for line := range strings.Lines(s) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			header.Add(name, strings.TrimSpace(value))
		}
	}
	return header
}

// An image of 40 MB has more blocks of 512 bytes than block numbers.
func TestBigImage(t *testing.T) {
	t.Parallel()
	const size = 40<<20 + 17
	o := newOffice(t, "image", nil)
	const name = "/firmware/snomD785-10.1.215.13-SIP-r.bin"
	want := noise(t, filepath.Join(o.files, name), size)
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 3}, netip.MustParsePrefix("192.168.50.60/24"))
	for _, program := range []string{"curl", "atftp"} {
		t.Run(program, func(t *testing.T) {
			netnstest.NeedProgram(t, program)
			to := filepath.Join(t.TempDir(), "image")
			if r := fetchers[program](t, h, name, to); r.Status != 0 {
				t.Fatalf("exit status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
			}
			body := read(t, to)
			if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
				t.Errorf("%d of %d bytes, with another hash", len(body), size)
			}
		})
	}
	t.Run("range", func(t *testing.T) {
		netnstest.NeedProgram(t, "curl")
		r := h.Run(t, "curl", "--silent", "--range", "65536000-65536099,", "--output", "/dev/null", "--write-out", "%{http_code}", "http://"+server+name)
		if r.Stdout != "416" {
			t.Errorf("a range behind the end: %s", r.Stdout)
		}
		to := filepath.Join(t.TempDir(), "part")
		r = h.Run(t, "curl", "--silent", "--range", "33554432-33554531", "--output", to, "--write-out", "%{http_code}", "http://"+server+name)
		image := read(t, filepath.Join(o.files, name))
		if r.Stdout != "206" || !bytes.Equal(read(t, to), image[33554432:33554532]) {
			t.Errorf("a range of 100 bytes: %s, or other bytes", r.Stdout)
		}
	})
}

// A phone's own file goes to the address that is leased to it, over HTTP and
// TFTP alike, by whatever name it is asked for.
func TestGuard(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	netnstest.NeedProgram(t, "atftp")
	o := opened(t, "guard", nil)
	phone, _ := o.leased(t, reception, "snomD785")
	other, _ := o.leased(t, anna, "snom370")
	stranger := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 4}, netip.MustParsePrefix("192.168.50.61/24"))
	for _, path := range []string{"/snomD785/" + reception.Hex() + ".xml", "/SNOMD785/00-04-13-92-2d-24.xml", "/snomD785/00%3A04%3A13%3A92%3A2D%3A24.xml", "//snomD785//" + reception.Hex() + ".xml"} {
		for name, h := range map[string]*netnstest.Host{"another phone": other, "a stranger": stranger} {
			status, body := curl(t, h, "http://"+server+path)
			if status == "200" || strings.Contains(string(body), "correct-horse") {
				t.Errorf("%s got %s over HTTP: %s", name, path, status)
			}
			if path == documents()[3] && (status != "403" || len(bytes.TrimSpace(body)) == 0) {
				t.Errorf("%s: %s and %q, want 403 and a reason", name, status, body)
			}
			to := filepath.Join(t.TempDir(), "file")
			r := h.Run(t, "atftp", "--get", "--remote-file", path, "--local-file", to, server)
			if r.Status == 0 || !strings.Contains(r.Stdout+r.Stderr, "rror") {
				t.Errorf("%s got %s over TFTP: exit status %d\n%s%s", name, path, r.Status, r.Stdout, r.Stderr)
			}
		}
	}
	path := documents()[3]
	status, body := curl(t, phone, "http://"+server+path)
	if status != "200" || !strings.Contains(string(body), "correct-horse-101") {
		t.Errorf("the phone itself: %s over HTTP", status)
	}
	to := filepath.Join(t.TempDir(), "file")
	if r := phone.Run(t, "atftp", "--get", "--remote-file", path, "--local-file", to, server); r.Status != 0 {
		t.Errorf("the phone itself over TFTP: %s%s", r.Stdout, r.Stderr)
	} else {
		checkServed(t, "TFTP", read(t, to), body)
	}
	if log := o.service.Log.String(); strings.Contains(log, "correct-horse") || strings.Contains(log, "aeV5quoh") {
		t.Error("a password is in the log")
	}
	masked := o.host.Run(t, built(t), "render", "--config", o.config, reception.String(), path)
	if masked.Status != 0 || strings.Contains(masked.Stdout, "correct-horse") || !strings.Contains(masked.Stdout, "********") {
		t.Errorf("render without --reveal shows a password, or nothing (exit status %d)", masked.Status)
	}
}

// Paths that are not there get an error and a reason over HTTP and TFTP, and nothing
// outside of files_dir is to be had, by whatever spelling and whatever link. What
// was put there after the start is no other case, and what is no file hangs nobody.
func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	netnstest.NeedProgram(t, "curl")
	o := newOffice(t, "paths", nil)
	write(t, filepath.Join(o.files, "media", "logo.png"), "PNG")
	write(t, filepath.Join(filepath.Dir(o.files), "outside"), "what is outside")
	run(t, symlink("../../outside", filepath.Join(o.files, "media", "link")))
	o.start(t)
	h := o.net.Host(t, mac.Addr{2, 0, 0, 0, 0, 5}, netip.MustParsePrefix("192.168.50.62/24"))
	if status, body := curl(t, h, "http://"+server+"/files/media/logo.png"); status != "200" || string(body) != "PNG" {
		t.Errorf("a file: %s %q", status, body)
	}
	late := filepath.Join(o.files, "late")
	write(t, filepath.Join(late, "file"), "late")
	if status, body := curl(t, h, "http://"+server+"/files/late/file"); status != "200" || string(body) != "late" {
		t.Errorf("a file that came later: %s %q", status, body)
	}
	for name, to := range map[string]string{"link": "../../outside", "absolute": filepath.Join(o.files, "../outside"), "up": "../..", "dangling": "gone", "loop": "loop", "root": "/"} {
		run(t, symlink(to, filepath.Join(late, name)))
	}
	for name, kind := range map[string]uint32{"pipe": syscall.S_IFIFO, "socket": syscall.S_IFSOCK} {
		if err := syscall.Mknod(filepath.Join(late, name), kind|0o644, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mknod(filepath.Join(late, "device"), syscall.S_IFCHR|0o644, 1<<8|5); err != nil { // as /dev/zero
		t.Logf("without a device: %v", err)
	}

	http := func(path string) (status string, body []byte) {
		t.Helper()
		conn := dialHTTP(t, h)
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("%.60q: %v", path, err)
		}
		header, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
		return strings.Fields(string(header) + " - -")[1], body
	}
	tftp := func(path string) (code string, text []byte) {
		t.Helper()
		conn := udp(t, h, "192.168.50.62:0")
		defer conn.Close()
		if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x01"+path+"\x00octet\x00"), netip.MustParseAddrPort(server+":69")); err != nil {
			t.Fatal(err)
		}
		n, s := tftpError(t, conn)
		return strconv.Itoa(int(n)), []byte(s)
	}
	paths := []string{
		"/", "/index.html", "/robots.txt", "/snomD785", "/files/", "/files/media", "/files/media/", "/files/gone", "/firmware/", "/firmware/gone.bin",
		"/notasnom.htm", "/snomD785-000413922D2.htm", "/" + strings.Repeat("a", 2000) + ".htm", "/dialtone.hcl", "/state_dir/dialtone.db",
		"/files/late/link", "/files/late/absolute", "/files/late/up/outside", "/files/late/up/state_dir/dialtone.db", "/files/late/root/etc/passwd",
		"/files/late/dangling", "/files/late/loop", "/files/late/pipe", "/files/late/device", "/files/late/socket", "/files/late", "/files/late/file/",
		"/files/media/link", "/files//etc/passwd", "/files/%00", "/files/late/file%00.png", "/outside", "outside", "/../outside", "/./../outside",
		"/files/late/file/../../../outside", "/files/late/file;/../../../outside", "/files/late/file;x=1", "/files/late/file%23x", "/files/late/./file", "/files/late//file",
		"/files/late/file%20", "/files/late/file.", "/files/late/FILE", "/files/late/file::$DATA", "/files/" + strings.Repeat("a/", 600) + "b",
		"file:///etc/passwd", "/files/C:\\outside", "C:\\outside", "\\\\127.0.0.1\\outside", "/files/\\\\127.0.0.1\\outside",
		"/files/~root/.profile", "/files/.hidden", "/proc/self/environ", "/files/proc/self/environ",
	}
	// The way up, and slashes, in the spellings that found holes elsewhere.
	for _, up := range []string{
		"..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%25252e%25252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae", "\xc0\xae\xc0\xae", "%uff0e%uff0e",
		"．．", "%ef%bc%8e%ef%bc%8e", "..%00", "...", "....", "..;", "..%3b", " ..", ".. ", "..%20", "%20..", "..%09", "%5c..", ".\\.",
	} {
		for _, slash := range []string{"/", "//", "%2f", "%252f", "%c0%af", "\\", "%5c", "/./", "%2f%2e%2f", "%ef%bc%8f"} {
			paths = append(paths, "/files"+slash+up+slash+"outside", "/files/late"+slash+up+slash+up+slash+"outside")
		}
	}
	for _, path := range paths {
		status, body := http(path)
		if status != "404" && status != "400" && status != "414" {
			t.Errorf("%.60q: %s over HTTP", path, status)
		}
		code, text := tftp(path)
		if code != "1" && code != "4" {
			t.Errorf("%.60q: error %s over TFTP", path, code)
		}
		for protocol, answer := range map[string][]byte{"HTTP": body, "TFTP": text} {
			if len(bytes.TrimSpace(answer)) == 0 || bytes.Contains(answer, []byte("what is outside")) || bytes.Contains(answer, []byte("root:x:")) {
				t.Errorf("%.60q over %s: %q", path, protocol, answer)
			}
			if bytes.Contains(answer, []byte(o.files)) {
				t.Errorf("%.60q over %s names a folder of this machine: %.200q", path, protocol, answer)
			}
		}
	}
	if status, body := curl(t, h, "http://"+server+"/files/late/file"); status != "200" || string(body) != "late" {
		t.Errorf("after it all: %s %q", status, body)
	}
	if log := o.service.Log.String(); strings.Contains(log, "panic") || strings.ContainsAny(log, "\x1b\x00") {
		t.Errorf("the log:\n%s", log)
	}
}
