package profiles

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

// The rules that check warns by, besides those of package config. A new one goes
// here, into Rules, into docs/rules.md and into a fixture; tests hold all four
// together.
const (
	ruleMissingHTTPS                = config.MissingHTTPS
	ruleIdleAddress     config.Rule = "idle-address"
	ruleIdleAuth        config.Rule = "idle-http-auth"
	ruleMissingFile     config.Rule = "missing-file"
	ruleOtherModel      config.Rule = "other-model"
	ruleTFTPSize        config.Rule = "tftp-size"
	ruleMisnamedImage   config.Rule = "misnamed-image"
	ruleImageType       config.Rule = "image-type"
	ruleImageHTTPS      config.Rule = "image-https"
	ruleMissingStep     config.Rule = "missing-step"
	ruleBelowFloor      config.Rule = "below-floor"
	ruleBasePort        config.Rule = "base-port"
	ruleRolloutTFTP     config.Rule = "rollout-tftp"
	ruleRolloutDocument config.Rule = "rollout-document"
	ruleAllCanaries     config.Rule = "all-canaries"
	ruleSlowRollout     config.Rule = "slow-rollout"
	ruleNetworkSetting  config.Rule = "network-setting"
	ruleFirmwareSetting config.Rule = "firmware-setting"
	ruleInternalSetting config.Rule = "internal-setting"
	ruleSettingServer   config.Rule = "setting-server"
	rulePhoneType       config.Rule = "phone-type"
	ruleAdminLocked     config.Rule = "admin-locked"
	ruleOtherVLAN       config.Rule = "other-vlan"
	ruleUnknownCodec    config.Rule = "unknown-codec"
	ruleUnknownEvent    config.Rule = "unknown-event"
	ruleMissingModule   config.Rule = "missing-module"
	ruleOddDocument     config.Rule = "odd-document"

	ruleUnknownSetting     config.Rule = "unknown-setting"
	ruleWrongValue         config.Rule = "wrong-value"
	ruleUnsupportedSetting config.Rule = "unsupported-setting"
	ruleIdentitySetting    config.Rule = "identity-setting"
	ruleSettingIndex       config.Rule = "setting-index"
	ruleOpenSecret         config.Rule = "open-secret"
	ruleFlagConflict       config.Rule = "flag-conflict"
	ruleKeyTwice           config.Rule = "key-twice"
	ruleKeyBeyond          config.Rule = "key-beyond-model"
	rulePhonebookFull      config.Rule = "phonebook-full"
	ruleIdentityBeyond     config.Rule = "identity-beyond-model"
	ruleNoPassword         config.Rule = "identity-password"
	ruleNoRegistrar        config.Rule = "identity-registrar"
	ruleDeadTemplate       config.Rule = "dead-template"
	ruleMissingLanguage    config.Rule = "missing-language"
)

// Rules gives the rules of this package, each with what it says in a line.
func Rules() map[config.Rule]string {
	return map[config.Rule]string{
		ruleIdleAddress:     "A phone has a fixed address, and no network block leases any.",
		ruleIdleAuth:        "http_auth asks for credentials, and no phone has any that count.",
		ruleMissingFile:     "A document names a file that files_dir does not have.",
		ruleOtherModel:      "A firmware image is by its name for another model.",
		ruleTFTPSize:        "A firmware image is larger than the phones' TFTP can carry (32 MB).",
		ruleMisnamedImage:   "A firmware image is not named as its maker names those of the model, so that phones cannot tell its version.",
		ruleImageType:       "A firmware image is of a type that the model does not load (.bin, .swu, .fwu).",
		ruleImageHTTPS:      "Phones with firmware before V8 are to load images over HTTPS, and get them over HTTP.",
		ruleMissingStep:     "An image that phones need on their way to the wanted firmware is not in files_dir.",
		ruleBelowFloor:      "The wanted firmware is older than what phones of the model may go back to.",
		ruleBasePort:        "A DECT base is sent to a port for its firmware, and drops it.",
		ruleRolloutTFTP:     "A rollout covers phones that ask over TFTP, which do not say what they run.",
		ruleRolloutDocument: "A document of your own takes the place of the firmware document that a rollout would hold back.",
		ruleAllCanaries:     "A rollout has as many canaries as phones, so that nobody waits for one to come back.",
		ruleSlowRollout:     "At the bandwidth of a rollout its phones load longer than its patience lasts.",
		ruleNetworkSetting:  "A setting of the network is provisioned, although DHCP gives it.",
		ruleFirmwareSetting: "A setting makes phones load an image past firmware_status.",
		ruleInternalSetting: "A setting is the phone's own business, and the maker asks not to provision it.",
		ruleSettingServer:   "setting_server is set outside a redirect, so that the phone leaves.",
		rulePhoneType:       "phone_type is set, after which the phone asks for names that do not exist.",
		ruleAdminLocked:     "admin_mode is read-only, so that nobody can log in as admin at the phone.",
		ruleOtherVLAN:       "The vlan of a layer is not the one that the network blocks give.",
		ruleUnknownCodec:    "No source has a codec of this name.",
		ruleUnknownEvent:    "No source has a key event of this name, and one that is much like it.",
		ruleMissingModule:   "A key or an image is for an expansion module, or a place on it, that the model does not have.",
		ruleOddDocument:     "A document of your own has something that phones pass over, or would be dropped whole.",

		ruleUnknownSetting:     "The catalogue of settings has no setting of that name.",
		ruleWrongValue:         "A setting does not take the value.",
		ruleUnsupportedSetting: "No phone that is sent a setting knows it, by its model or by the firmware that it is to run.",
		ruleIdentitySetting:    "A setting of an identity stands outside of one, or one of the phone within an identity.",
		ruleSettingIndex:       "A setting has an idx that it does not take.",
		ruleOpenSecret:         "A password stands in a document that every phone may read.",
		ruleFlagConflict:       "The phone's file leaves a setting to its user (!), and the general file overwrites it each time.",
		ruleKeyTwice:           "Two layers of a phone set the same key differently.",
		rulePhonebookFull:      "A phone book has more entries than the model takes.",
		ruleKeyBeyond:          "A key has a number beyond the model's keys and those of its expansion modules.",
		ruleIdentityBeyond:     "An identity has a number beyond the model's identities.",
		ruleNoPassword:         "An identity has a user, and no password here or in a document of your own.",
		ruleNoRegistrar:        "An identity has a user, and no registrar here or in a document of your own.",
		ruleDeadTemplate:       "A template of the dial plan can never match.",
		ruleMissingLanguage:    "A phone is set to a language that its languages do not have.",
	}
}

// about is what a warning was found in, for silence blocks that are bound to it.
// What is not known is left out.
type about struct {
	setting string
	model   string
	phone   *phone
	shared  bool // not of this phone alone, which is therefore not named
}

// names are those that a silence block may call a phone by.
func (p *phone) names() []string { return []string{p.Name, p.MAC.Hex()} }

// add collects what an evaluation said, but for warnings that a silence block
// covers.
func (l *loader) add(diags hcl.Diagnostics) {
	l.problems.add(slices.DeleteFunc(diags, l.rep.Silenced))
}

// warn adds a warning, unless a silence block covers it, and reports whether it
// did. Warnings that differ in nothing but their phones become one.
func (l *loader) warn(a about, rule config.Rule, rng hcl.Range, summary, detail string, args ...any) bool {
	d := errorAt(rng, summary, detail, args...)
	d.Severity = hcl.DiagWarning
	f := config.Finding{Rule: rule, Setting: a.setting, Model: a.model}
	if a.phone == nil {
		d.Extra = f
	} else {
		if f.Model == "" {
			f.Model = a.phone.Model
		}
		f.Phones = a.phone.names()
		d.Extra = f
		if !a.shared {
			d.Extra = forPhone{phone: a.phone.where, inner: f}
		}
	}
	if l.rep.Silenced(d) {
		return false
	}
	l.problems.add(hcl.Diagnostics{d})
	return true
}
