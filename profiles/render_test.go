package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// TestRenderConcurrently has phones ask at once for what is not in the cache
// yet. It is for the race detector, too.
func TestRenderConcurrently(t *testing.T) {
	t.Parallel()
	s := loadDir(t, office(t, 20))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			m := mac.Addr{0, 4, 0x13, 0, 0, byte(i % 20)}
			for _, kind := range []Kind{ModelContainer, PhoneContainer, General, Own, FirmwareStatus} {
				server := s.Server("snomD785", serverAddress)
				d, err := s.Render(Request{Path: Path{Kind: kind, Model: "snomD785", MAC: m}, Server: server, Reveal: true})
				if err != nil {
					t.Errorf("%d: %v", kind, err)
				}
				if kind == Own && !bytes.Contains(d.Body, fmt.Appendf(nil, ">pw-%d<", i%20)) {
					t.Errorf("phone %s got\n%s", m, d.Body)
				}
			}
		})
	}
	wg.Wait()
}

func TestFilesAreNoDocuments(t *testing.T) {
	t.Parallel()
	s := loadDir(t, "../etc/dialtone")
	for _, kind := range []Kind{Firmware, File} {
		_, err := s.Render(Request{Path: Path{Kind: kind, Model: "snom370", Name: "a.bin"}})
		var missing *NotFound
		if !errors.As(err, &missing) {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}

// TestFloodOfModels asks for more made-up models than the caches hold.
func TestFloodOfModels(t *testing.T) {
	t.Parallel()
	s := loadDir(t, "testdata/configs/families")
	s.documents = newCache[documentKey, Document](64 << 10)
	s.layers = newCache[layerKey, generalLayer](64 << 10)
	for i := range 2000 {
		if _, err := s.Render(Request{Path: Path{Kind: General, Model: fmt.Sprintf("snomZ%d", i)}, Server: s.Server("", serverAddress)}); err != nil {
			t.Fatal(err)
		}
	}
	if s.documents.size > 64<<10 || s.layers.size > 64<<10 {
		t.Errorf("the caches hold %d and %d bytes", s.documents.size, s.layers.size)
	}
}

// TestSecretsStayMasked looks for every secret of a configuration in what is
// shown without Reveal.
func TestSecretsStayMasked(t *testing.T) {
	t.Parallel()
	s := loadDir(t, "../etc/dialtone")
	for _, p := range s.Phones() {
		for _, version := range []string{"", "6.5.20"} {
			r := Request{Path: Path{Kind: Own, Model: "snomD785", MAC: p.MAC}, Version: version, Server: s.Server("", serverAddress)}
			d, err := s.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Reveal = true
			revealed, err := s.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			if sealed := revealed.Seal(func(string) string { return masked }); !bytes.Equal(sealed, d.Body) {
				t.Errorf("%s, sealed with the mask, is\n%s\nnot\n%s", p.Name, sealed, d.Body)
			}
			for _, secret := range []string{"pw(", "correct-horse", "aeV5quoh", "Ohj2"} {
				if bytes.Contains(d.Body, []byte(secret)) {
					t.Errorf("%s shows %s:\n%s", p.Name, secret, d.Body)
				}
			}
			if (len(d.Secrets) > 0) != (p.Redirect == "") {
				t.Errorf("%s: Secrets are %v", p.Name, d.Secrets)
			}
		}
	}
}

func TestLargeImageOverTFTP(t *testing.T) {
	t.Parallel()
	const text = `
appliance {
  interface = "eth0"
  files_dir = "files"
}
model "snomD713" {
  firmware = "10.1.215.13"
  scheme   = "tftp"
}
model "snomD765" {
  firmware = "10.1.54.13"
}
`
	for size, want := range map[int64]string{
		maxTFTPImage:     "",
		maxTFTPImage + 1: "7 Image too large for TFTP",
	} {
		dir := t.TempDir()
		for _, name := range []string{"snomD713-10.1.215.13-SIP-r.bin", "snomD765-10.1.54.13-SIP-r.bin"} {
			name = filepath.Join(dir, "files", "firmware", name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(name, size); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "dialtone.hcl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, rep := config.Load(dir, config.Options{})
		Load(cfg, fakePasswords{}, rep)
		var got []string
		for _, d := range rep.Diagnostics() {
			got = append(got, fmt.Sprintf("%d %s", d.Subject.Start.Line, d.Summary))
		}
		if s := strings.Join(got, "\n"); s != want {
			t.Errorf("%d bytes: %q, want %q", size, s, want)
		}
	}
}

// TestIncompleteConfiguration: what a file that cannot be parsed would have
// said is not missed.
func TestIncompleteConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.hcl": "appliance { interface = \"eth0\" }\nphone \"000413000001\" { profile = \"desk\" }\n",
		"b.hcl": "profile desk\" {\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, rep := config.Load(dir, config.Options{})
	Load(cfg, fakePasswords{}, rep)
	for _, d := range rep.Diagnostics() {
		if d.Summary == "Unknown profile" {
			t.Errorf("%v", d)
		}
	}
	if !rep.HasErrors() {
		t.Error("no error")
	}
}

// TestRedirectWithoutModel: a phone that is sent elsewhere needs no model.
func TestRedirectWithoutModel(t *testing.T) {
	t.Parallel()
	s := loadText(t, `
appliance { interface = "eth0" }
phone "02:00:00:00:00:01" { redirect = "https://provisioning.branch.example/" }
`)
	m := mac.Addr{2, 0, 0, 0, 0, 1}
	d, err := s.Render(Request{Path: Path{Kind: MACContainer, MAC: m}, Server: s.Server("", serverAddress)})
	if err != nil || !bytes.Contains(d.Body, []byte(">https://provisioning.branch.example/</setting_server>")) || d.Own != m {
		t.Errorf("%v, for %s:\n%s", err, d.Own, d.Body)
	}
}
