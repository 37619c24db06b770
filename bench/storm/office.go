package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"
)

// office is what all servers are to serve.
type office struct {
	options
	dir   string
	files string // the image, and what dialtone renders as plain files
	image []byte
}

var network = netip.MustParsePrefix("10.10.0.0/16")

const (
	imagePath = "firmware/snomD785-10.1.215.13-SIP-r.bin"
	tftpBlock = 1428
)

// paths are what a phone reads, one after the other.
func paths(m mac.Addr) []string {
	const model = rig.VendorClass
	hex := strings.ToUpper(strings.ReplaceAll(m.String(), ":", ""))
	return []string{
		model + ".htm", model + "/general.xml", model + "/firmware.xml",
		model + "-" + hex + ".htm", model + "/" + hex + ".xml",
	}
}

// newOffice configures the phones and writes what they are to get, for the
// servers that only have files.
func newOffice(ctx context.Context, o options, dir string) (*office, error) {
	f := &office{options: o, dir: dir, files: filepath.Join(dir, "files")}
	f.image = make([]byte, o.image<<20)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(f.image)
	conf := filepath.Join(dir, "rendered")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return nil, err
	}
	if err := f.configure(conf, filepath.Join(conf, "files")); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(o.Dialtone)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "render", "--config", filepath.Join(conf, "dialtone.hcl"), "--reveal",
		"--url", "http://10.10.0.1", "--files", "none", "--all", f.files)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rendering the documents: %w: %s", err, out)
	}
	if err := f.addImage(f.files); err != nil {
		return nil, err
	}
	// Those with a secret are for their owner alone; dnsmasq serves what all may read.
	return f, filepath.WalkDir(f.files, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o755))
	})
}

func (f *office) addImage(files string) error {
	if err := os.MkdirAll(filepath.Join(files, filepath.Dir(imagePath)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(files, imagePath), f.image, 0o644)
}

// configure writes dialtone's configuration below dir, and the image.
func (f *office) configure(dir, files string) error {
	var phones strings.Builder
	for i := range f.phones {
		fmt.Fprintf(&phones, `
phone %q {
  model = %q
  identity "1" {
    user      = "%d"
    password  = sensitive("secret-%d")
    registrar = "pbx.office.example"
  }
}
`, rig.PhoneMAC(i), rig.VendorClass, 1000+i, i)
	}
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	if err := f.addImage(files); err != nil {
		return err
	}
	return rig.WriteConfig(filepath.Join(dir, "dialtone.hcl"), `appliance {
  interface = %q
  state_dir = %q
  files_dir = %q
}

network "office" {
  subnet = %q
  range  = ["10.10.1.0", "10.10.20.255"]
  probe  = false
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
}

model %q {
  firmware = "10.1.215.13"
}
%s`, rig.ServerIf, state, files, network, rig.VendorClass, &phones)
}

// peer is what is measured: one server or several that together do it all.
type peer struct {
	name, title string
	parts       []part
}

// part is a server of a peer.
type part struct {
	program string
	version []string
	command func(f *office, dir string) ([]string, error)
}

// peers are all there are, set up in their own favour: no log line for a
// request, no search for address conflicts, no limit that matters.
func peers(dialtone, files string) []peer {
	return []peer{
		{name: "dialtone", title: "dialtone", parts: []part{{
			program: dialtone, version: []string{"version"},
			command: func(f *office, dir string) ([]string, error) {
				return []string{"serve", "--config", filepath.Join(dir, "dialtone.hcl")}, f.configure(dir, filepath.Join(dir, "files"))
			},
		}}},
		{name: "dnsmasq", title: "dnsmasq + nginx", parts: []part{
			{
				program: "dnsmasq", version: []string{"--version"},
				command: func(_ *office, dir string) ([]string, error) {
					return []string{
						"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=",
						"--log-facility=-", "--quiet-dhcp", "--quiet-tftp", "--no-hosts", "--no-resolv", "--no-ping",
						"--interface=" + rig.ServerIf, "--bind-interfaces", "--dhcp-authoritative", "--dhcp-lease-max=10000",
						"--dhcp-leasefile=" + filepath.Join(dir, "dnsmasq.leases"),
						"--dhcp-range=10.10.1.0,10.10.20.255,255.255.0.0,43200",
						"--enable-tftp", "--tftp-root=" + files, "--tftp-max=4000",
					}, nil
				},
			},
			{
				program: "nginx", version: []string{"-v"},
				command: func(_ *office, dir string) ([]string, error) { return rig.Nginx(dir, files) },
			},
		}},
	}
}
