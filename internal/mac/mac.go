// Package mac has the one spelling of a hardware address that the appliance
// compares: six octets, as a value that can be a map key and cannot alias the
// buffer it was read from.
package mac

import (
	"encoding/hex"
	"fmt"
)

// Addr is an EUI-48 address.
type Addr [6]byte

// Parse reads an address in any spelling that people and phones use: twelve
// hexadecimal digits in either case, with ':', '-', '.', "%3A" or blanks
// between or around them. The separators carry no meaning.
func Parse(s string) (Addr, error) {
	var digits [12]byte
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			if n == len(digits) {
				return Addr{}, fmt.Errorf("MAC address %.40q has more than 12 hexadecimal digits", s)
			}
			digits[n] = c
			n++
		case c == ':', c == '-', c == '.', c == ' ', c == '\t':
		case c == '%' && i+2 < len(s) && s[i+1] == '3' && (s[i+2] == 'A' || s[i+2] == 'a'):
			i += 2
		default:
			return Addr{}, fmt.Errorf("MAC address %.40q has a character %q that is no hexadecimal digit", s, c)
		}
	}
	if n != len(digits) {
		return Addr{}, fmt.Errorf("MAC address %.40q has %d hexadecimal digits, not 12", s, n)
	}
	var a Addr
	// The digits were checked above, so Decode has nothing to refuse.
	_, err := hex.Decode(a[:], digits[:])
	return a, err
}

// FromBytes takes the first six octets of b, a hardware address as a packet
// holds it. It reports false when b is not six octets long.
func FromBytes(b []byte) (Addr, bool) {
	if len(b) != len(Addr{}) {
		return Addr{}, false
	}
	return Addr(b), true
}

// String gives the usual form, "00:04:13:92:2d:24", as logs and pages show it.
func (a Addr) String() string {
	const digits = "0123456789abcdef"
	var b [17]byte
	for i, c := range a {
		if i > 0 {
			b[i*3-1] = ':'
		}
		b[i*3], b[i*3+1] = digits[c>>4], digits[c&15]
	}
	return string(b[:])
}

// Hex gives the form in which phones ask for their file: twelve upper-case
// digits, "000413922D24".
func (a Addr) Hex() string {
	const digits = "0123456789ABCDEF"
	var b [12]byte
	for i, c := range a {
		b[i*2], b[i*2+1] = digits[c>>4], digits[c&15]
	}
	return string(b[:])
}

// IsZero reports whether no address was set.
func (a Addr) IsZero() bool { return a == Addr{} }

// OUI gives the maker's 24 bits.
func (a Addr) OUI() [3]byte { return [3]byte(a[:3]) }

// MarshalText makes an Addr a string in JSON.
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote, and any other spelling.
func (a *Addr) UnmarshalText(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
