package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Rule is the name of a reason to warn: kebab-case, shown with each warning, and
// the label of a silence block.
type Rule string

// Rules are those of this package, each with what it says in a line. Package
// profiles has more.
func Rules() map[Rule]string {
	return map[Rule]string{
		CertificateEnds:   "The certificate of HTTPS, or an authority in client_ca, has ended, is not good yet, or ends within 30 days.",
		CertificateName:   "Phones are sent to https by an address, and the certificate names none.",
		CertificateScheme: "Secrets wait for certificates on phones that are not sent to HTTPS.",
		ClearPassword:     "Phones' credentials are asked for in a way that shows them to who reads the wire.",
		LegacyTLS:         "Versions of TLS are served that are not safe any more.",
		MissingHTTPS:      "Phones are sent to https, and there is no https block.",
		MissingClientCA:   "Secrets wait for certificates that nothing can check.",
		ReadableKey:       "Every user of the machine can read the key of HTTPS.",
		SecretsAnyone:     "Phones' own files, with their passwords, go to whoever asks.",
		IdleExclusion:     "An address is excluded from a network that would not lease it anyway.",
		IdleSilence:       "A silence block, or a part of one, silences nothing.",
	}
}

// The rules of this package.
const (
	CertificateEnds   Rule = "certificate-ends"
	CertificateName   Rule = "certificate-name"
	CertificateScheme Rule = "certificate-scheme"
	ClearPassword     Rule = "clear-password"
	ReadableKey       Rule = "readable-key"
	SecretsAnyone     Rule = "secrets-anyone"
	LegacyTLS         Rule = "legacy-tls"
	MissingHTTPS      Rule = "missing-https"
	MissingClientCA   Rule = "missing-client-ca"
	IdleExclusion     Rule = "idle-exclusion"
	IdleSilence       Rule = "idle-silence"
)

// Finding is what a warning's Extra says: the rule, and what it was found in
// where that is known. A warning about many phones is a Finding for each before
// they are joined.
type Finding struct {
	Rule    Rule
	Setting string
	Model   string
	Phones  []string // the names of one phone: its name and its MAC
}

// RuleOf gives the rule of a warning, "" for an error.
func RuleOf(d *hcl.Diagnostic) Rule {
	f, _ := hcl.DiagnosticExtra[Finding](d)
	return f.Rule
}

// silence is a silence block: warnings of one rule that the admin knows of.
type silence struct {
	rule Rule
	rng  hcl.Range // the label
	only []*narrowing
	used bool
}

// narrowing is a list that a silence is bound to: settings, models or phones.
type narrowing struct {
	argument string
	names    []value
	fold     []string // the names, as they are compared
	used     []bool
	matches  func(f Finding, folded string) bool
}

var narrowings = []struct {
	argument string
	matches  func(f Finding, folded string) bool
}{
	{"settings", func(f Finding, name string) bool { return strings.ToLower(f.Setting) == name }},
	{"models", func(f Finding, name string) bool { return strings.ToLower(f.Model) == name }},
	{"phones", func(f Finding, name string) bool {
		return slices.ContainsFunc(f.Phones, func(p string) bool { return foldName(p) == name })
	}},
}

// foldName makes the spellings of a MAC alike; a phone's name has no others.
func foldName(s string) string {
	return strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.ToLower(s))
}

var silenceSchema = arguments("reason!", "settings", "models", "phones")

func (d *decoder) silence(block *hcl.Block) {
	b := d.open(block, silenceSchema)
	s := &silence{rule: Rule(block.Labels[0]), rng: block.LabelRanges[0]}
	if reason, at, ok := b.text("reason"); ok && strings.TrimSpace(reason) == "" {
		d.fail(at, "Silence without a reason", "Say why the warning is no cause for worry: whoever reads the configuration next wants to know.")
	}
	for _, n := range narrowings {
		elements, ok := b.list(n.argument)
		if !ok {
			continue
		}
		list := &narrowing{argument: n.argument, matches: n.matches}
		for _, e := range elements {
			name, ok := d.text(e)
			if !ok {
				continue
			}
			if n.argument == "phones" {
				name = foldName(name)
			}
			list.names, list.fold, list.used = append(list.names, e), append(list.fold, strings.ToLower(name)), append(list.used, false)
		}
		s.only = append(s.only, list)
	}
	d.rep.silences = append(d.rep.silences, s)
}

// fits reports whether s silences f, and notes what of s it took.
func (s *silence) fits(f Finding) bool {
	if s.rule != f.Rule {
		return false
	}
	for _, list := range s.only {
		if !slices.ContainsFunc(list.fold, func(name string) bool { return list.matches(f, name) }) {
			return false
		}
	}
	for _, list := range s.only {
		for i, name := range list.fold {
			list.used[i] = list.used[i] || list.matches(f, name)
		}
	}
	s.used = true
	return true
}

// Silenced reports whether a silence block covers a warning. Errors never are.
func (r *Report) Silenced(d *hcl.Diagnostic) bool {
	if d.Severity != hcl.DiagWarning || len(r.silences) == 0 {
		return false
	}
	f, ok := hcl.DiagnosticExtra[Finding](d)
	if !ok {
		return false
	}
	silenced := false
	for _, s := range r.silences {
		silenced = s.fits(f) || silenced
	}
	return silenced
}

// CloseSilences checks the silence blocks once everything else is in the report:
// they name rules that exist, here or among more, and each silences something.
func (r *Report) CloseSilences(more map[Rule]string) {
	rules := Rules()
	maps.Copy(rules, more)
	names := make([]string, 0, len(rules))
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		names = append(names, string(rule))
	}
	for _, s := range r.silences {
		if _, ok := rules[s.rule]; !ok {
			near := didYouMean(string(s.rule), names)
			if near == "" {
				near = " The rules are " + strings.Join(names, ", ") + "."
			}
			r.Append(hcl.Diagnostics{{
				Severity: hcl.DiagError, Summary: "Unknown rule", Subject: &s.rng,
				Detail: fmt.Sprintf("There is no rule called %q.%s", s.rule, near),
			}})
		}
	}
	if r.HasErrors() {
		return // what a silence is for may not have been looked at
	}
	for _, last := range []bool{false, true} { // those of this very rule are used by then
		for _, s := range r.silences {
			if (s.rule == IdleSilence) == last {
				r.idle(s)
			}
		}
	}
}

// idle warns of what a silence block has without need.
func (r *Report) idle(s *silence) {
	warn := func(at hcl.Range, format string, args ...any) {
		r.Append(hcl.Diagnostics{{
			Severity: hcl.DiagWarning, Summary: "Silence without effect", Subject: &at,
			Detail: fmt.Sprintf(format, args...) + " Take it out, so that it hides nothing later.", Extra: Finding{Rule: IdleSilence},
		}})
	}
	if !s.used {
		warn(s.rng, "No warning of %s is silenced here.", s.rule)
		return
	}
	for _, list := range s.only {
		for i, used := range list.used {
			if !used {
				warn(list.names[i].at(), "There is no warning of %s for %s in %s.", s.rule, list.names[i].AsString(), list.argument)
			}
		}
	}
}
