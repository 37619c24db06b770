package dhcpd

import "strings"

// hostLabel makes one DNS label of the name that a client gives itself: its
// first label, in lower case, blanks and underscores as hyphens. A name with
// anything else in it is dropped, which gives "".
func hostLabel(name []byte) string {
	var label [63]byte
	n := 0
	for _, c := range name {
		switch {
		case c == '.' || c == 0:
			return trim(label[:n])
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == ' ' || c == '_':
			c = '-'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-':
		default:
			return ""
		}
		if n == len(label) {
			return ""
		}
		label[n] = c
		n++
	}
	return trim(label[:n])
}

// trim takes the hyphens off both ends, where a label may have none.
func trim(label []byte) string {
	for len(label) > 0 && label[0] == '-' {
		label = label[1:]
	}
	for len(label) > 0 && label[len(label)-1] == '-' {
		label = label[:len(label)-1]
	}
	return string(label)
}

// The flags of option 81 (RFC 4702 section 2.1).
const (
	fqdnServerUpdates = 0x01 // S: the server is to update DNS
	fqdnOverridden    = 0x02 // O: the server does not do as S said
	fqdnEncoded       = 0x04 // E: the name is in labels, not in ASCII
	fqdnNoUpdates     = 0x08 // N: the server is not to update DNS
	fqdnHeader        = 3    // flags, and two octets that mean nothing any more
)

// fqdnLabel makes one DNS label of option 81.
func fqdnLabel(data []byte) string {
	if len(data) <= fqdnHeader {
		return ""
	}
	name := data[fqdnHeader:]
	if data[0]&fqdnEncoded == 0 {
		return hostLabel(name)
	}
	if n := int(name[0]); n < len(name) {
		return hostLabel(name[1 : 1+n])
	}
	return ""
}

// answerable gives option 81 if it is to be answered: one that is cut off, or
// says both "update" and "do not", is as none.
func answerable(data []byte) []byte {
	if len(data) < fqdnHeader || data[0]&fqdnServerUpdates != 0 && data[0]&fqdnNoUpdates != 0 {
		return nil
	}
	return data
}

// fqdnReply answers option 81 with the name that the client is known by, in the
// encoding that it used. DNS is not updated from here (N), whatever the client
// wished (O).
func fqdnReply(asked []byte, label, domain string) []byte {
	flags := byte(fqdnNoUpdates) | asked[0]&fqdnEncoded
	if asked[0]&fqdnServerUpdates != 0 {
		flags |= fqdnOverridden
	}
	b := []byte{flags, 255, 255}
	if label == "" {
		return b
	}
	if flags&fqdnEncoded == 0 {
		if domain != "" {
			label += "." + domain
		}
		return append(b, label...)
	}
	b = append(append(b, byte(len(label))), label...)
	if domain == "" {
		return b // a name without its end is not complete
	}
	for part := range strings.SplitSeq(domain, ".") {
		b = append(append(b, byte(len(part))), part...)
	}
	return append(b, 0)
}
