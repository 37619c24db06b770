package profiles

import (
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"dialtone/internal/config"
)

// countedPasswords counts how often each was asked for.
type countedPasswords struct {
	mu    sync.Mutex
	times map[string]int
}

func (c *countedPasswords) Password(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[name]++
	return fakePasswords{}.Password(name)
}

// TestPhonesAreEvaluatedOnce counts the passwords in a phone's layers and in a
// document that joins them, one of a phone whose model has a scheme of its own.
func TestPhonesAreEvaluatedOnce(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, []txtar.File{{Name: "extra.tpl", Data: []byte(`<settings><phone-settings><user_pass idx="2" perm="">${password("extra/${phone.name}")}</user_pass></phone-settings></settings>`)}, {Name: "dialtone.hcl", Data: []byte(`
appliance { interface = "eth0" }
document "extra.xml" {
  join     = "phone"
  template = "extra.tpl"
}
profile "desk" {
  settings {
    admin_mode_password = password("admin/${phone.name}")
  }
}
model "snom320" { scheme = "tftp" }
phone "000413000001" {
  name    = "anna"
  model   = "snomD785"
  profile = "desk"
}
phone "000413000002" {
  name    = "ben"
  model   = "snom320"
  profile = "desk"
}
`)}})
	cfg, rep := config.Load(dir, config.Options{})
	passwords := &countedPasswords{times: map[string]int{}}
	if Load(cfg, passwords, rep); rep.HasErrors() {
		t.Fatal(rep.Diagnostics())
	}
	for _, name := range []string{"admin/anna", "extra/anna", "admin/ben", "extra/ben"} {
		if n := passwords.times[name]; n != 1 {
			t.Errorf("%s was asked for %d times, want once", name, n)
		}
	}
}

func TestCheckReadable(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<settings>\n<phone-settings><a perm=\"\">1</a></phone-settings></settings>":   "",
		"<settings><phone-settings><a perm=\"\">1 & 2</a></phone-settings></settings>": "malformed XML in line 1: invalid character entity & (no semicolon)",
		"<settings/><settings/>":          "malformed XML in line 1: <settings> is a second element beside the first, and there may be one",
		"<settings><unheard/></settings>": "line 1: <settings> holds <unheard>, which is no part of it: it is passed over",
		"<settings>\n<functionKeys><fkey idx=\"x\" perm=\"\">line</fkey></functionKeys></settings>": `a function key has the idx "x", which is no number`,
		"<settings>\n<phone-settings><a perm=\"W\">1</a></phone-settings></settings>":               `line 2: a has the perm "W", which is no flag`,
		"<settings>\n<dialplan><TEMPLATE MATCH=\"1\" Wait=\"2\"/></dialplan></settings>":            "line 2: <TEMPLATE> has the attribute Wait, which is not read",
	} {
		got := ""
		if err := checkReadable([]byte(body)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
}
