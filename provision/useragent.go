package provision

import (
	"strings"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

const (
	maxUserAgent = 512 // octets of a User-Agent that are looked at; real ones have 130
	maxWord      = 32  // octets of a model or of a version
)

// ParseUserAgent reads what a Snom phone says of itself in HTTP or SIP: the
// model as paths spell it ("snomD785", "snomM900"), the version of the firmware
// that runs ("10.1.169.16") and the MAC. What is not said is zero. Nothing of it
// is proof: any client can send any User-Agent.
//
//	Mozilla/4.0 (compatible; snom710-SIP 8.7.5.35 1.1.5-IFX-05.01.12 000413741767)
//	Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16 2010.12-00001-gd311851f1 (Feb 25 2019 - 14:19:43) 00041396D9B4 SXM:0)
//	Mozilla/4.0 (compatible; Snom M900 05.20.0001 000413b60680)
//	snomD785/10.1.198.12 0004130DD7C9
func ParseUserAgent(s string) (model, version string, m mac.Addr) {
	words := make([]string, 0, 32) // few have more
	for w := range strings.FieldsFuncSeq(s[:min(len(s), maxUserAgent)], func(r rune) bool { return strings.ContainsRune(" \t;(),", r) }) {
		words = append(words, w)
	}
	for i, w := range words {
		next := func(n int) string {
			if i+n < len(words) {
				return words[i+n]
			}
			return ""
		}
		if m.IsZero() {
			m = macWord(w)
		}
		if version != "" || !hasPrefixFold(w, "snom") {
			continue
		}
		found, said := "", ""
		switch rest := w[len("snom"):]; {
		case rest == "": // DECT: "Snom M900 05.20.0001", "snom m9 9.1.43"
			found, said = dectModel(next(1)), next(2)
		case rest[0] == '-': // "snom-m3-SIP/02.11"
			name, v, _ := strings.Cut(rest[1:], "/")
			name, _ = cutSuffixFold(name, "-SIP")
			found, said = dectModel(name), v
		default:
			name, v, slash := strings.Cut(w, "/") // SIP: "snomD120/10.1.39.11"
			name, sip := cutSuffixFold(name, "-SIP")
			if sip && !slash {
				v = next(1)
			}
			if isWord(name, "") {
				found, said = "snom"+name[len("snom"):], v
			}
		}
		if found == "" {
			continue
		}
		// "snom360 ramdisk v3.31" names the model too, but the version of
		// something else: it holds only until a better word comes.
		if isVersion(said) {
			model, version = found, said
		} else if model == "" {
			model = found
		}
	}
	return model, version, m
}

// parseParts reads the versions of what firmware before V7 kept apart from the
// application, as in "snom320 jffs2 v3.36; snom320 linux 3.38".
func parseParts(s string) profiles.Parts {
	var parts profiles.Parts
	for phrase := range strings.SplitSeq(s[:min(len(s), maxUserAgent)], ";") {
		var words [3]string
		n := 0
		for w := range strings.FieldsSeq(phrase) {
			if words[n] = w; n == len(words)-1 {
				break
			}
			n++
		}
		var to *string
		switch part := words[1]; {
		case !hasPrefixFold(words[0], "snom"):
		case strings.EqualFold(part, "linux"):
			to = &parts.Linux
		case strings.EqualFold(part, "jffs2"):
			to = &parts.JFFS2
		case strings.EqualFold(part, "ramdisk"):
			to = &parts.Ramdisk
		}
		version := strings.TrimPrefix(strings.TrimRight(words[2], ")"), "v")
		if to != nil && isVersion(version) {
			*to = version
		}
	}
	return parts
}

// dectModel spells a DECT base's name as the catalogue does: "snomM900" for "m900".
func dectModel(s string) string {
	if len(s) < 2 || s[0]|0x20 != 'm' || s[1] < '0' || s[1] > '9' || !isWord(s, "") {
		return ""
	}
	return "snomM" + s[1:]
}

// macWord reads a MAC of twelve digits, or of six pairs. Other spellings that
// mac.Parse knows would take a build stamp ("2010.12-000042") for one.
func macWord(s string) mac.Addr {
	switch {
	case len(s) == 12:
	case len(s) == 17 && (strings.Count(s, ":") == 5 || strings.Count(s, "-") == 5):
		for i := 2; i < len(s); i += 3 {
			if s[i] != ':' && s[i] != '-' {
				return mac.Addr{}
			}
		}
	default:
		return mac.Addr{}
	}
	if !isWord(s, ":-") || len(s) == 12 && strings.ContainsAny(s, ":-") {
		return mac.Addr{}
	}
	m, err := mac.Parse(s)
	if err != nil {
		return mac.Addr{}
	}
	return m
}

func isVersion(s string) bool {
	return s != "" && '0' <= s[0] && s[0] <= '9' && isWord(s, ".-")
}

// isWord reports whether s has letters, digits and characters of others alone,
// and a length that a name or a version can have.
func isWord(s, others string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for _, c := range s {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune(others, c) {
			return false
		}
	}
	return true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func cutSuffixFold(s, suffix string) (before string, found bool) {
	if n := len(s) - len(suffix); n >= 0 && strings.EqualFold(s[n:], suffix) {
		return s[:n], true
	}
	return s, false
}
