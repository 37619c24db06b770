package test

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dialtone/internal/mac"
	"dialtone/internal/netnstest"
)

// New firmware goes to the canary first, then to a wave of three, through a
// restart of the appliance, until a phone comes back without it.
func TestRollout(t *testing.T) {
	t.Parallel()
	const (
		model = "snomD717"
		old   = "10.1.100.1"
		image = "snomD717-10.1.226.16-SIP-r.bin"
	)
	phone := func(n byte) mac.Addr { return mac.Addr{0x00, 0x04, 0x13, 0xa6, 0, n} }
	o := newOffice(t, "roll", map[string]string{"rollout.hcl": `
rollout "autumn" {
  models    = ["snomD717"]
  firmware  = "10.1.226.16"
  canaries  = ["` + phone(1).String() + `"]
  wave      = 3
  bandwidth = "80Mbit/s"
}
phone "` + phone(1).String() + `" {
  name = "canary"
}
phone "` + phone(2).String() + `" {
  name = "hall"
}
`})
	noise(t, filepath.Join(o.files, "firmware", image), 200_000)
	o.start(t)
	hosts := map[byte]*netnstest.Host{}
	boot := func(n byte, more ...string) phoneState {
		t.Helper()
		if hosts[n] == nil {
			hosts[n] = o.net.Host(t, phone(n), netip.Prefix{})
		}
		return o.simulate(t, hosts[n], append([]string{"--mac", phone(n).String(), "--model", model, "--firmware-version", old}, more...)...)
	}
	loads := func(what string, s phoneState, want int) {
		t.Helper()
		if len(s.Firmware) != want {
			t.Fatalf("%s loads %d images, want %d: %+v\n%v", what, len(s.Firmware), want, s.Firmware, s.Notes)
		}
	}
	type view struct {
		Phase, Stopped string
		Wave           int
		Phones         []struct {
			MAC           mac.Addr
			Stage, Reason string
		}
	}
	show := func() (v view) {
		t.Helper()
		r := o.host.Run(t, built(t), "rollout", "--config", o.config, "--json")
		var all []view
		if err := json.Unmarshal([]byte(r.Stdout), &all); err != nil || len(all) != 1 {
			t.Fatalf("rollout --json: %v\n%s%s", err, r.Stdout, r.Stderr)
		}
		return all[0]
	}

	loads("a phone before the canary", boot(2), 0)
	// The rollout and the list of phones say the same of a phone, in their words.
	says := func(when string, n byte, state, rollout, phones string) {
		t.Helper()
		for _, p := range show().Phones {
			if p.MAC == phone(n) && (p.Stage != state || !strings.Contains(p.Reason, rollout)) {
				t.Errorf("%s rollout says of %s: %s, %q", when, p.MAC, p.Stage, p.Reason)
			}
		}
		r := o.host.Run(t, built(t), "phones", "--config", o.config)
		for line := range strings.Lines(r.Stdout) {
			if strings.HasPrefix(line, phone(n).String()) && !strings.Contains(line, phones) {
				t.Errorf("%s phones says: %s", when, line)
			}
		}
	}
	says("before the canary", 1, "waiting", "it was not seen yet", "never seen")
	says("before the canary", 2, "waiting", "the rollout waits for its canaries", "waits for firmware: the rollout waits for its canaries")
	waits := func(when, want string) {
		t.Helper()
		if doc := o.render(t, phone(2).String(), "/snomD717-firmware.htm"); !strings.Contains(string(doc), want) {
			t.Errorf("%s render shows another firmware than the wire:\n%s", when, doc)
		}
		if r := o.host.Run(t, built(t), "phones", "--config", o.config); strings.Contains(r.Stdout, "waits for firmware: "+want) != strings.HasPrefix(want, "the rollout waits") {
			t.Errorf("%s phones says:\n%s", when, r.Stdout)
		}
	}
	waits("before the canary", "the rollout waits for its canaries")
	loads("the canary", boot(1, "--restarts", "1"), 1)
	if v := show(); len(v.Phones) != 2 || v.Phones[0].Stage != "updated" || v.Phones[1].Stage != "waiting" {
		t.Fatalf("after the canary: %+v", v)
	}
	waits("after the canary", image)
	says("after the canary", 2, "waiting", "it may load "+image, "to change")
	loads("the first of the wave, which stays off", boot(2), 1)
	says("on its way", 2, "loaded", "", "told of firmware: "+image)
	loads("the first of the wave", boot(2, "--restarts", "1"), 1)
	says("when it is there", 2, "updated", "", "up to date")
	waits("when it is there", "the phone runs the wanted firmware")

	o.service.Signal(syscall.SIGTERM)
	o.service.Exit()
	waits("while nothing runs", "the phone runs the wanted firmware")
	o.start(t)
	if v := show(); v.Wave != 1 || len(v.Phones) != 2 {
		t.Fatalf("after a restart: %+v", v)
	}
	loads("the second of the wave", boot(3, "--restarts", "1"), 1)
	loads("the third of the wave", boot(4), 1)
	loads("one more than the wave has", boot(5), 0)
	loads("the third, which has come back with the old firmware", boot(4), 1)
	loads("the third, which has come back so again", boot(4), 0)
	v := show()
	if v.Phase != "stopped" || !strings.Contains(v.Stopped, phone(4).String()) || !strings.Contains(v.Stopped, "2 times") {
		t.Errorf("the rollout has not stopped: %+v", v)
	}
	loads("another, after the stop", boot(5), 0)
	if r := o.host.Run(t, built(t), "rollout", "resume", "--config", o.config); r.Status != 0 {
		t.Fatalf("resuming: exit status %d\n%s", r.Status, r.Stderr)
	}
	loads("another, when it goes on", boot(5, "--restarts", "1"), 1)
	for _, p := range show().Phones {
		want := "updated"
		if p.MAC == phone(4) {
			want = "failed"
		}
		if p.Stage != want {
			t.Errorf("at the end %s is %s (%s), want %s", p.MAC, p.Stage, p.Reason, want)
		}
	}
}
