package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

// peer is a server that is measured.
type peer struct {
	name, title, program string
	packages             []string // Debian's
	version              []string
	http, tftp, windows  bool // what it speaks; windows are RFC 7440's
	command              func(s *server) ([]string, error)
}

// ours is the first of the peers: the others serve what it renders.
const ours = "dialtone"

// peers are all there are. The settings are those that favour the peer: no log
// line for a request, files kept open, no limit that matters.
func peers(dialtone, hpa string) []peer {
	return []peer{
		{name: ours, title: "dialtone", program: dialtone, version: []string{"version"}, http: true, tftp: true, windows: true, command: dialtoneCommand},
		{name: "nginx", title: "nginx", program: "nginx", packages: []string{"nginx-light"}, version: []string{"-v"}, http: true, command: nginxCommand},
		{name: "tftpd-hpa", title: "tftpd-hpa", program: hpa, packages: []string{"libwrap0"}, version: []string{"-V"}, tftp: true, command: hpaCommand},
		{name: "atftpd", title: "atftpd", program: "atftpd", packages: []string{"atftpd"}, version: []string{"--version"}, tftp: true, windows: true, command: atftpdCommand},
		{name: "dnsmasq", title: "dnsmasq", program: "dnsmasq", packages: []string{"dnsmasq-base"}, version: []string{"--version"}, tftp: true, command: dnsmasqCommand},
	}
}

func names() []string {
	var all []string
	for _, p := range peers("", "") {
		all = append(all, p.name)
	}
	return all
}

// server is a peer that runs, on a wire of its own.
type server struct {
	peer
	*rig.Process
	site  *rig.Site
	dir   string
	files string // what it serves
}

const (
	document     = "snomD785/general.xml"
	documentSize = 4000 // give or take a twentieth
	contacts     = 17   // of its phone book: what brings it to that size
	image        = "firmware/snomD785-10.1.215.13-SIP-r.bin"
	imageSize    = 20 << 20
)

// checkSize tells whether the document is as large as the table says: what the
// program ships in it grows and shrinks.
func checkSize(document []byte) error {
	if off := len(document) - documentSize; max(off, -off) > documentSize/20 {
		return fmt.Errorf("the document has %d bytes, not about %d: change how many contacts it has", len(document), documentSize)
	}
	return nil
}

var network = netip.MustParsePrefix("10.10.0.0/16")

// boot starts a server with the files, and returns once it serves them. The
// first one, ours, renders the document that the others have as a file.
func (b *bench) boot(ctx context.Context, p peer) (err error) {
	s := &server{peer: p, dir: filepath.Join(b.dir, p.name)}
	s.files = filepath.Join(s.dir, "files")
	b.servers = append(b.servers, s)
	if err := os.MkdirAll(filepath.Join(s.files, "firmware"), 0o755); err != nil {
		return err
	}
	if b.image == nil {
		b.image = make([]byte, imageSize)
		r := rand.NewChaCha8([32]byte{1})
		_, _ = r.Read(b.image)
	}
	if err := os.WriteFile(filepath.Join(s.files, image), b.image, 0o644); err != nil {
		return err
	}
	if p.name != ours {
		if b.document == nil {
			return errors.New("dialtone renders the document that all serve: it cannot be left out")
		}
		if err := os.MkdirAll(filepath.Join(s.files, filepath.Dir(document)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.files, document), b.document, 0o644); err != nil {
			return err
		}
	}
	if s.site, err = rig.NewSite(network); err != nil {
		return err
	}
	args, err := p.command(s)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", p.title, err)
	}
	if s.Process, err = s.site.Run(p.program, args, nil, s.dir); err != nil {
		return fmt.Errorf("starting %s: %w", p.title, err)
	}
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := errors.Join(ctx.Err(), s.Alive())
		if err == nil {
			if err = b.verify(ctx, s); err == nil {
				return nil
			}
			if time.Since(begin) < 10*time.Second {
				continue
			}
		}
		return fmt.Errorf("starting %s: %w", p.title, err)
	}
}

// verify reads what is measured once, and compares it.
func (b *bench) verify(ctx context.Context, s *server) error {
	if s.http {
		got, err := s.get(ctx, document)
		if err != nil {
			return err
		}
		if s.name == ours {
			if err := checkSize(got); err != nil {
				return err
			}
			b.document = got
		}
		if !bytes.Equal(got, b.document) {
			return fmt.Errorf("%s serves another document", s.title)
		}
		if got, err = s.get(ctx, image); err != nil {
			return err
		}
		if !bytes.Equal(got, b.image) {
			return fmt.Errorf("%s serves another image", s.title)
		}
	}
	if !s.tftp {
		return nil
	}
	var got []byte
	t, err := s.site.TFTP(ctx, rig.TFTPLoad{
		File: document, Size: int64(len(b.document)), Local: []netip.Addr{s.site.ClientAddr}, Limit: 5 * time.Second,
		Received: func(_ int, p []byte) { got = append(got, p...) },
	})
	if err == nil && (t.Failed > 0 || !bytes.Equal(got, b.document)) {
		err = fmt.Errorf("%s does not serve the document over TFTP: %s", s.title, t.Reason)
	}
	return err
}

func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	transport := s.site.Transport(s.site.ClientAddr)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(path), nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func (s *server) url(path string) string {
	return fmt.Sprintf("http://%s/%s", s.site.ServerAddr, path)
}

func (s *server) stop() error { return rig.End(s.site, s.Process) }

func dialtoneCommand(s *server) ([]string, error) {
	conf, state := filepath.Join(s.dir, "dialtone.hcl"), filepath.Join(s.dir, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, err
	}
	var book strings.Builder
	for i := range contacts {
		fmt.Fprintf(&book, "    contact \"Colleague number %02d\" {\n      number = \"1%02d\"\n    }\n", i, i)
	}
	return []string{"serve", "--config", conf}, rig.WriteConfig(conf, `appliance {
  interface = %q
  state_dir = %q
  files_dir = %q
}

network "bench" {
  subnet = %q
  range  = ["10.10.1.0", "10.10.1.255"]
}

provisioning {
  pnp = false
}

profile "everybody" {
  default = true
  settings {
    language = "Deutsch"
    timezone = "GER+1"
  }
  phonebook {
%s  }
}
`, rig.ServerIf, state, s.files, network, &book)
}

func nginxCommand(s *server) ([]string, error) {
	return rig.Nginx(s.dir, s.files)
}

func hpaCommand(s *server) ([]string, error) {
	return []string{"-L", "-4", "-u", "root", "-a", ":69", "-s", s.files}, nil
}

func atftpdCommand(s *server) ([]string, error) {
	return []string{
		"--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "4000",
		"--tftpd-timeout", "0", "--verbose=0", "--bind-address", s.site.ServerAddr.String(), s.files,
	}, nil
}

func dnsmasqCommand(s *server) ([]string, error) {
	return []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=",
		"--log-facility=-", "--quiet-tftp", "--no-hosts", "--no-resolv", "--interface=" + rig.ServerIf, "--bind-interfaces",
		"--enable-tftp", "--tftp-root=" + s.files, "--tftp-max=4000",
	}, nil
}
