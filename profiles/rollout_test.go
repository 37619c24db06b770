package profiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dialtone/internal/config"
	"dialtone/internal/mac"
	"dialtone/internal/password"
)

// A rollout says the firmware of the phones that say none themselves, and a phone
// that is to wait is told of nothing, with the reason.
func TestRollout(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "one.hcl")
	err := os.WriteFile(path, []byte(`
appliance { interface = "eth0" }
model "snomD713" { firmware = "10.1.200.1" }
rollout "r" {
  models   = ["snomD713"]
  firmware = "10.1.226.16"
}
phone "00:04:13:00:00:01" {
  model = "snomD713"
}
phone "00:04:13:00:00:02" {
  model    = "snomD713"
  firmware = "10.1.215.13"
}
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	cfg, rep := config.Load(path, config.Options{})
	set := Load(cfg, password.Placeholder{}, rep)
	if rep.HasErrors() {
		t.Fatal(rep.Lines())
	}
	one, two := mac.Addr{0, 4, 0x13, 0, 0, 1}, mac.Addr{0, 4, 0x13, 0, 0, 2}
	missing := false
	var offer FirmwareOffer
	ask := func(who mac.Addr, version, hold string) (Update, bool, string) {
		r := Request{
			Path: Path{Kind: FirmwareStatus, Model: "snomD713"}, MAC: who, Version: version, Hold: hold,
			HasFile: func(string) bool { return !missing },
		}
		u, ok := set.Update(r)
		d, err := set.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		offer = d.Firmware
		return u, ok, string(d.Body)
	}
	const image = "snomD713-10.1.226.16-SIP-r.bin"
	if u, ok, body := ask(one, "10.1.100.1", ""); !ok || u.Reached || !u.Ready || u.Image != image || !strings.Contains(body, image+"</firmware>") {
		t.Errorf("on its way: %+v, %t\n%s", u, ok, body)
	}
	offers := func(what string, want FirmwareOffer) {
		t.Helper()
		if offer != want {
			t.Errorf("%s: %+v, want %+v", what, offer, want)
		}
	}
	offers("on its way", FirmwareOffer{Image: image})
	if _, _, body := ask(one, "10.1.100.1", "the canaries are <not> back"); strings.Contains(body, "<firmware ") || !strings.Contains(body, "the canaries are") {
		t.Errorf("held:\n%s", body)
	}
	offers("held", FirmwareOffer{Wanting: "the canaries are <not> back"})
	if u, ok, body := ask(one, "10.1.226.16", "held"); !ok || !u.Reached || u.Image != "" || strings.Contains(body, "held") {
		t.Errorf("at its target: %+v, %t\n%s", u, ok, body)
	}
	offers("at its target", FirmwareOffer{})
	if u, ok, body := ask(two, "10.1.100.1", ""); ok || !strings.Contains(body, "10.1.215.13") {
		t.Errorf("with a firmware of its own: %+v\n%s", u, body)
	}
	missing = true
	if u, ok, body := ask(one, "10.1.100.1", ""); !ok || u.Ready || strings.Contains(body, "<firmware ") {
		t.Errorf("without the image: %+v\n%s", u, body)
	}
	offers("without the image", FirmwareOffer{Wanting: "firmware/" + image + " is not among the files"})
	if r := set.Rollouts(); len(r) != 1 || len(r[0].Phones) != 1 || r[0].Phones[0] != one {
		t.Errorf("rollouts: %+v", r)
	}
	if r, ok := set.RolloutOfImage(image); !ok || r.Name != "r" {
		t.Errorf("the rollout of %s: %+v", image, r)
	}
}
