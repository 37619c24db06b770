package profiles

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// HostName makes the name of a phone fit for DHCP option 12 and DNS: one label
// of at most 63 lower-case letters, digits and inner hyphens (RFC 1123 §2.1).
// Accents go ("jörg" is "jorg"), other characters become hyphens. It is ""
// where nothing is left.
func HostName(name string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(name)) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case r == 'ß':
			b.WriteString("ss")
		case unicode.Is(unicode.Mn, r):
		default:
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-")
	if len(s) > 63 {
		s = strings.TrimRight(s[:63], "-")
	}
	return s
}
