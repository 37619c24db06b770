package provision

import (
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dialtone/internal/config"
	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
	"dialtone/internal/phonesim"
	"dialtone/profiles"
)

// firmwareSite is a desk with a target for each model, and every image that a
// phone may be sent to on its way.
type firmwareSite struct {
	desk    *Desk
	targets map[string]string
}

// firmwareTargets are of each kind of way: the ladder of the 3xx and what is on
// it, one image alone, the helper, a floor, .swu, a base and its handsets.
var firmwareTargets = map[string][]string{
	"snom300":  {"8.7.5.35", "7.3.30", "7.1.19", "6.5.20"},
	"snom320":  {"8.7.5.35", "8.4.35"},
	"snom360":  {"8.4.35"},
	"snom370":  {"8.7.5.35"},
	"snom399":  {"8.7.5.35"},
	"snom710":  {"8.9.3.80", "8.7.5.35"},
	"snom715":  {"10.1.215.13", "10.1.175.16", "8.9.3.80"},
	"snom821":  {"8.7.5.35"},
	"snomPA1":  {"8.7.5.35"},
	"snomD120": {"10.1.54.13"},
	"snomD335": {"10.1.215.13"},
	"snomD385": {"10.1.215.13"},
	"snomD785": {"10.1.215.13", "10.1.184.15"},
	"snomD812": {"10.1.215.13"},
	"snomD865": {"10.1.215.13"},
	"snomD999": {"99.1"},
	"snomM300": {"05.20.0001", "410.3"},
	"snomM700": {"05.20.0001", "450.1"},
	"snomM900": {"07.40.0104"},
}

// versions are what phones may report, with what is below each floor and each
// step and what is not.
func firmwareVersions(model string) []phonesim.Firmware {
	var list []phonesim.Firmware
	switch {
	case strings.HasPrefix(model, "snomM"):
		for _, v := range []string{"03.23.0005", "04.10.0003", "04.50.0012", "05.00.0001", "05.01.0001", "05.20.0001", "06.10.0007", "07.40.0104"} {
			list = append(list, phonesim.Firmware{Version: v})
		}
	case strings.HasPrefix(model, "snom3"):
		for _, v := range []string{"4.1", "5.5a", "5.5.1", "6.0", "6.2.3", "6.5.12", "6.5.20"} {
			for _, linux := range []string{"3.10", "3.25", "3.38"} {
				list = append(list,
					phonesim.Firmware{Version: v, Linux: linux, Ramdisk: "3.31"},
					phonesim.Firmware{Version: v, Linux: linux, JFFS2: "3.30"},
					phonesim.Firmware{Version: v, Linux: linux, JFFS2: "3.36"},
					phonesim.Firmware{Version: v, Linux: linux, JFFS2: "3.37"})
			}
		}
		for _, v := range []string{"7.0.5", "7.0.17", "7.1.19", "7.3.14", "7.3.30", "8.2.19", "8.4.35", "8.7.5.35"} {
			list = append(list, phonesim.Firmware{Version: v})
		}
	case model == "snom821" || model == "snomPA1":
		for _, v := range []string{"8.2.19", "8.4.35", "8.7.3.19", "8.7.5.35"} {
			list = append(list, phonesim.Firmware{Version: v})
		}
	default:
		for _, v := range []string{"8.4.35", "8.7.3.19", "8.7.5.35", "8.9.3.40", "8.9.3.80", "10.1.20.0", "10.1.33.33", "10.1.54.13", "10.1.175.16", "10.1.184.15", "10.1.215.13", "10.1.226.16"} {
			list = append(list, phonesim.Firmware{Version: v})
		}
	}
	return list
}

func newFirmwareSite(t *testing.T, pick func(model string, targets []string) string) *firmwareSite {
	t.Helper()
	s := &firmwareSite{targets: map[string]string{}}
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("appliance {\n  interface = \"eth0\"\n}\n")
	for model, targets := range firmwareTargets {
		s.targets[model] = pick(model, targets)
		fmt.Fprintf(&text, "model %q {\n  firmware = %q\n}\n", model, s.targets[model])
	}
	file := filepath.Join(dir, "dialtone.hcl")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, rep := config.Load(file, config.Options{})
	set := profiles.Load(cfg, passwords{}, rep)
	if rep.HasErrors() {
		t.Fatal(rep.Diagnostics())
	}
	for model := range firmwareTargets {
		m, _ := set.Model(model)
		for _, f := range firmwareVersions(model) {
			way, err := m.Way(profiles.Running{Version: f.Version, Parts: profiles.Parts{Linux: f.Linux, JFFS2: f.JFFS2, Ramdisk: f.Ramdisk}}, s.targets[model])
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range way {
				for _, image := range step.Images() {
					writeImage(t, filepath.Join(dir, "firmware", image))
				}
			}
		}
	}
	c := testConfig(dir)
	c.Set = func() *profiles.Set { return set }
	s.desk = New(c)
	return s
}

func writeImage(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// get asks for a path or URL, as a phone with that User-Agent does.
func (s *firmwareSite) get(t testing.TB, url, userAgent string) (string, error) {
	p, query, _ := strings.Cut(strings.TrimPrefix(url, "http://192.168.50.1"), "?")
	a, err := s.desk.Open(Request{
		Path: p, RawQuery: query, Source: netip.MustParseAddr("192.168.50.99"), Local: netip.MustParseAddr("192.168.50.1"),
		Protocol: "http", UserAgent: userAgent,
	})
	if err != nil {
		return "", err
	}
	return read(t, a), nil
}

// next asks for firmware once, and gives what the phone runs then.
func (s *firmwareSite) next(t testing.TB, model string, f phonesim.Firmware) (phonesim.Firmware, error) {
	m := mac.Addr{0, 4, 0x13, 1, 2, 3}
	agent := f.UserAgent(model, m)
	body, err := s.get(t, "/"+model+"/firmware.xml", agent)
	if err != nil {
		return f, err
	}
	file, err := phonefile.Read("", []byte(body))
	if err != nil {
		return f, err
	}
	if len(file.Images) == 0 {
		return f, nil
	}
	url := file.Images[0].URL
	if len(file.Versions) > 0 {
		device := strings.TrimPrefix(model, "snom")
		url += fmt.Sprintf("/%s/%s_v%04s_b%04s.fwu", device, device, file.Versions[0].Software, file.Versions[0].Branch)
	}
	url = phonefile.ExpandMAC(url, m)
	u, err := phonefile.ParseURL(url)
	if err != nil {
		return f, err
	}
	if pulled := u.Query().Get("chained_url"); pulled != "" {
		if _, err := s.get(t, url, agent); err != nil {
			return f, fmt.Errorf("getting the helper: %w", err)
		}
		url = pulled
		if u, err = phonefile.ParseURL(pulled); err != nil {
			return f, err
		}
	}
	if _, err := s.get(t, url, agent); err != nil {
		return f, fmt.Errorf("getting the image: %w", err)
	}
	return f.Load(model, path.Base(u.Path))
}

// TestFirmwareEnds lets phones of every kind, with whatever they run, follow
// their firmware document from boot to boot: they end at the target, or stay
// because they must not go back, and no step is one that a phone refuses.
func TestFirmwareEnds(t *testing.T) {
	t.Parallel()
	for choice := range 4 {
		s := newFirmwareSite(t, func(_ string, targets []string) string { return targets[choice%len(targets)] })
		for model := range firmwareTargets {
			for _, f := range firmwareVersions(model) {
				if err := s.follow(t, model, f); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// The same for versions that nobody wrote down.
func TestFirmwareEndsFromAnyVersion(t *testing.T) {
	t.Parallel()
	s := newFirmwareSite(t, func(_ string, targets []string) string { return targets[0] })
	rapid.Check(t, func(rt *rapid.T) {
		model := rapid.SampledFrom([]string{"snom320", "snom715", "snom821", "snomD785", "snomD865", "snomD999"}).Draw(rt, "model")
		first := map[string]int{"snom320": 4, "snom715": 8, "snom821": 8, "snomD785": 8, "snomD865": 10, "snomD999": 10}[model]
		f := phonesim.Firmware{Version: fmt.Sprintf("%d.%d.%d", rapid.IntRange(first, max(8, first)).Draw(rt, "major"),
			rapid.IntRange(0, 8).Draw(rt, "minor"), rapid.IntRange(0, 40).Draw(rt, "build"))}
		if f.Version[0] < '7' && first < 7 {
			f.Linux = rapid.SampledFrom([]string{"3.10", "3.25", "3.38", "3.40"}).Draw(rt, "linux")
			if f.JFFS2 = rapid.SampledFrom([]string{"", "3.35", "3.36", "3.37"}).Draw(rt, "jffs2"); f.JFFS2 == "" {
				f.Ramdisk = "3.31"
			}
		}
		if err := s.follow(t, model, f); err != nil {
			rt.Fatal(err)
		}
	})
}

// follow is a phone's way; the error says where it goes wrong.
func (s *firmwareSite) follow(t *testing.T, model string, f phonesim.Firmware) error {
	way := []string{fmt.Sprintf("%s to %s: %+v", model, s.targets[model], f)}
	for range 12 {
		next, err := s.next(t, model, f)
		way = append(way, fmt.Sprintf("%+v", next))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", strings.Join(way, " → "), err)
		case next != f:
			f = next
			continue
		case f.Version == s.targets[model], s.dect(model, f.Version), s.mustStay(model, f.Version):
			return nil
		}
		return fmt.Errorf("%s: it stays there", strings.Join(way, " → "))
	}
	return fmt.Errorf("%s: no end", strings.Join(way, " → "))
}

// dect reports whether a base runs its target, whose spelling differs.
func (s *firmwareSite) dect(model, version string) bool {
	return map[string]string{"410.3": "04.10.0003", "450.1": "04.50.0001"}[s.targets[model]] == version
}

// mustStay reports whether the target is below the floor of what runs.
func (s *firmwareSite) mustStay(model, version string) bool {
	target := s.targets[model]
	switch {
	case target == "410.3":
		return version >= "04.50"
	case target == "8.7.5.35":
		return strings.HasPrefix(version, "8.9.") || strings.HasPrefix(version, "10.")
	}
	return false
}

// Over TFTP, where a phone says nothing, it is answered as for what it last said.
func TestFirmwareOverTFTP(t *testing.T) {
	t.Parallel()
	s := newFirmwareSite(t, func(_ string, targets []string) string { return targets[0] })
	var seen []Sighting
	s.desk.register = keeper{&seen}
	ask := func(protocol, version string, source netip.Addr) string {
		t.Helper()
		r := Request{Path: "/snomD785-firmware.htm", Source: source, Local: local, Protocol: protocol}
		if version != "" {
			r.UserAgent = phonesim.Firmware{Version: version}.UserAgent("snomD785", reception)
		}
		a, err := s.desk.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, a)
	}
	nothing := ask("tftp", "", receptionAt)
	for _, version := range []string{"10.1.215.13", "8.4.35", "10.1.184.15"} {
		want := ask("http", version, receptionAt)
		if got := ask("tftp", "", receptionAt); got != want {
			t.Errorf("with %s over HTTP:\n%s\nover TFTP:\n%s", version, want, got)
		}
		if got := ask("http", "", receptionAt); got != want {
			t.Errorf("with %s, then silent over HTTP:\n%s", version, got)
		}
		if (want == nothing) != (version != "10.1.215.13") {
			t.Errorf("with %s:\n%s", version, want)
		}
	}
	if got := ask("tftp", "", nobodyAt); got != nothing {
		t.Errorf("to nobody:\n%s", got)
	}
	ask("http", "10.1.215.13", nobodyAt)
	if ask("tftp", "", receptionAt) != ask("http", "10.1.184.15", receptionAt) {
		t.Error("what somebody else said of it counts")
	}
}
