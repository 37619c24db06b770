package profiles

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

// lint warns of what the maker asks not to provision.
type lint struct {
	l    *loader
	seen map[hcl.Range]bool
}

func newLint(l *loader) *lint { return &lint{l: l, seen: map[hcl.Range]bool{}} }

// Settings that are not for provisioning, from the mass deployment guide
// (slide 9) and from the field.
var (
	networkSettings = []string{"dhcp", "dns_domain", "dns_server1", "dns_server2", "gateway", "ip_adr", "netmask"}
	updateSettings  = []string{"firmware", "firmware_uxm", "update_filename", "update_host_b", "update_host_f", "update_server"}
	innerSettings   = []string{"mac", "reboot_after_nr", "reset_settings", "sip_port", "watch_arp_cache"}
)

// layer looks at one layer as it was evaluated for what of says. The same layer
// comes again for each phone that has it.
func (t *lint) layer(l layer, of about) {
	for _, s := range l.settings {
		of.setting = s.name
		t.setting(s, of)
	}
	of.setting = ""
	where := ""
	if of.phone != nil {
		where = of.phone.where
	}
	for _, f := range l.files {
		t.l.checkFile(f, where)
	}
	for _, u := range l.uploads {
		if u.file != "" {
			t.l.stat(of, u.source.rng, u.file)
		}
	}
	for _, c := range l.certificates {
		if c.file != "" {
			t.l.stat(of, c.source.rng, c.file)
		}
	}
	for _, language := range slices.Concat(l.gui, l.web) {
		if language.file != "" {
			t.l.stat(of, language.source.rng, language.file)
		}
	}
}

func (t *lint) setting(s setting, of about) {
	if t.seen[s.source.rng] {
		return
	}
	of.shared = true
	warn := func(rule config.Rule, summary, detail string) {
		t.seen[s.source.rng] = t.l.warn(of, rule, s.source.rng, summary, detail, s.name)
	}
	switch {
	case len(t.l.cfg.Networks) > 0 && slices.Contains(networkSettings, s.name):
		warn(ruleNetworkSetting, "Network setting beside DHCP", "%s comes to the phone by DHCP from this appliance. Set here, it outlives what the network block says. Take it out.")
	case slices.Contains(updateSettings, s.name):
		warn(ruleFirmwareSetting, "Firmware setting", "%s makes the phone load an image past firmware_status. Use firmware = \"…\" in a model, profile or phone.")
	case slices.Contains(innerSettings, s.name):
		warn(ruleInternalSetting, "Internal setting", "%s is the phone's own business, and the maker asks not to provision it. Take it out.")
	case s.name == "setting_server":
		warn(ruleSettingServer, "Setting server outside a redirect", "%s sends the phone elsewhere at its next start. Use redirect = \"…\" in its phone block if that is meant.")
	case s.name == "phone_type":
		warn(rulePhoneType, "Setting that breaks provisioning", "With %s set the phone asks for file names that do not exist. Take it out.")
	case s.name == "admin_mode" && textFlag(s.perm) == "&":
		warn(ruleAdminLocked, "Admin locked out", "%s is read-only with this flag, so nobody can log in as admin at the phone. Use perm = \"RW\".")
	}
}
