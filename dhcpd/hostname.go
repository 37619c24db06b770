package dhcpd

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

// fqdnLabel makes one DNS label of option 81 (RFC 4702): flags, two octets
// that mean nothing any more, and a name, in labels where flag E is set, else
// in ASCII.
func fqdnLabel(data []byte) string {
	const encoded = 0x04
	if len(data) < 4 {
		return ""
	}
	name := data[3:]
	if data[0]&encoded == 0 {
		return hostLabel(name)
	}
	if n := int(name[0]); n < len(name) {
		return hostLabel(name[1 : 1+n])
	}
	return ""
}
