package dhcpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/internal/mac"
)

var (
	testMAC  = mac.Addr{0x00, 0x00, 0x5e, 0x00, 0x53, 0x01}
	testLink = &link{name: "eth0", mtu: 1500, addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
)

// raw is a DISCOVER with options as given, without an End.
func raw(options ...byte) []byte {
	b := make([]byte, headerSize)
	b[0], b[1], b[2] = 1, 1, 6
	copy(b[4:], "\x01\x02\x03\x04")
	copy(b[offCHAddr:], testMAC[:])
	binary.BigEndian.PutUint32(b[offCookie:], cookie)
	return append(b, options...)
}

// edit changes single octets, given as offset and value.
func edit(b []byte, changes ...int) []byte {
	for i := 0; i < len(changes); i += 2 {
		b[changes[i]] = byte(changes[i+1])
	}
	return b
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	discover := []byte{53, 1, 1, 255}
	for _, c := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"nothing", nil, errShort},
		{"header cut off", raw()[:239], errShort},
		{"reply", edit(raw(discover...), 0, 2), errNoRequest},
		{"hlen 255", edit(raw(discover...), 2, 255), errHardware},
		{"hlen 0", edit(raw(discover...), 2, 0), errHardware},
		{"hlen 16", edit(raw(discover...), 2, 16), errHardware},
		{"htype 0", edit(raw(discover...), 1, 0), errHardware},
		{"no cookie", edit(raw(discover...), offCookie, 0), errCookie},
		{"no options", raw(), errType},
		{"BOOTP", raw(255), errType},
		{"an OFFER", raw(53, 1, 2, 255), errType},
		{"a leasequery", raw(53, 1, 10, 255), errType},
		{"message type of two octets", raw(53, 2, 1, 1, 255), errType},
		{"message type cut off", raw(53, 1), errType},
		{"message type after End", raw(255, 53, 1, 1), errType},
		{"client identifier of length 0", raw(53, 1, 1, 61, 0, 255), errOption},
		{"client identifier of two pieces over 255", raw(append(append([]byte{53, 1, 1, 61, 255}, make([]byte, 255)...), 61, 1, 1)...), errOption},
		{"option 82 of two pieces over 255", raw(append(append([]byte{53, 1, 1, 82, 255}, make([]byte, 255)...), 82, 1, 1)...), errOption},
		{"giaddr 127.0.0.1", edit(raw(discover...), offGIAddr, 127, offGIAddr+3, 1), errAddress},
		{"giaddr 255.255.255.255", edit(raw(discover...), offGIAddr, 255, offGIAddr+1, 255, offGIAddr+2, 255, offGIAddr+3, 255), errAddress},
		{"giaddr 224.0.0.1", edit(raw(discover...), offGIAddr, 224, offGIAddr+3, 1), errAddress},
	} {
		var r request
		if err := parse(c.packet, &r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestParse has what real clients and relays do that a strict reader refuses.
func TestParse(t *testing.T) {
	t.Parallel()
	full := request{kind: dhcpv4.MessageTypeDiscover, requested: netip.MustParseAddr("192.0.2.7"), vendorClass: "snom"}
	discover := []byte{53, 1, 1, 50, 4, 192, 0, 2, 7, 60, 4, 's', 'n', 'o', 'm'}
	with := func(b ...byte) []byte { return raw(append(bytes.Clone(discover), b...)...) }
	overload := func(v byte) []byte {
		b := raw(53, 1, 1, 52, 1, v, 60, 2, 's', 'n', 255)
		copy(b[offFile:], []byte{0, 60, 1, 'o', 255, 50, 4, 1, 1, 1, 1})
		copy(b[offSName:], []byte{60, 1, 'm', 50, 4, 192, 0, 2, 7})
		return b
	}
	for _, c := range []struct {
		name   string
		packet []byte
		want   request
	}{
		{"plain", with(255), full},
		{"no End", with(), full},
		{"0xff behind End", with(255, 255, 255, 255), full},
		{"junk behind End", with(255, 53, 1, 3, 99), full},
		{"last option cut off", with(12, 9, 'a'), full},
		{"last option without length", with(12), full},
		{"Pad between", raw(append([]byte{0, 0, 0}, append(bytes.Clone(discover), 0, 0)...)...), full},
		{"two message types", with(53, 1, 3, 255), full},
		{"two addresses", with(50, 4, 1, 1, 1, 1, 255), full},
		{"vendor class in two pieces", raw(53, 1, 1, 60, 2, 's', 'n', 50, 4, 192, 0, 2, 7, 60, 2, 'o', 'm'), full},
		{"address in two pieces", raw(53, 1, 1, 50, 2, 192, 0, 50, 2, 2, 7, 60, 4, 's', 'n', 'o', 'm'), full},
		{"address of no fit length", raw(53, 1, 1, 50, 3, 192, 0, 2), request{kind: dhcpv4.MessageTypeDiscover}},
		{"address 0.0.0.0", raw(53, 1, 1, 54, 4, 0, 0, 0, 0), request{kind: dhcpv4.MessageTypeDiscover}},
		{"overload: file", overload(1), request{kind: dhcpv4.MessageTypeDiscover, vendorClass: "sno"}},
		{"overload: sname", overload(2), request{kind: dhcpv4.MessageTypeDiscover, vendorClass: "snm", requested: netip.MustParseAddr("192.0.2.7")}},
		{"overload: file, then sname", overload(3), full},
		{"host name of two labels", raw(53, 1, 1, 12, 4, 'A', 'b', '.', 'c'), request{kind: dhcpv4.MessageTypeDiscover, hostName: "ab"}},
		{"vendor class of 80 octets", raw(append([]byte{53, 1, 1, 60, 80}, bytes.Repeat([]byte("v"), 80)...)...), request{kind: dhcpv4.MessageTypeDiscover, vendorClass: strings.Repeat("v", 64)}},
		{"client identifier of one octet", raw(53, 1, 1, 61, 1, 0), request{kind: dhcpv4.MessageTypeDiscover, clientID: "\x00"}},
	} {
		var got request
		if err := parse(c.packet, &got); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		c.want.xid, c.want.mac = [4]byte{1, 2, 3, 4}, testMAC
		copy(c.want.chaddr[:], testMAC[:])
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(request{}, agent{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"reception": "reception", "Reception": "reception", "snom-D785": "snom-d785", "a.b.example": "a",
		"Max's phone": "", "my phone": "my-phone", "my_phone": "my-phone", "-x-": "x", "a\x00": "a",
		"": "", ".": "", "..": "", ".a": "", "a..b": "a", "---": "", "\n": "", "a\nb": "", "büro": "", "$(reboot)": "",
		"<script>": "", "\x1b[31m": "", strings.Repeat("a", 63): strings.Repeat("a", 63), strings.Repeat("a", 64): "", strings.Repeat("a", 255): "",
	} {
		if got := hostLabel([]byte(in)); got != want {
			t.Errorf("hostLabel(%q) = %q, want %q", in, got, want)
		}
		// RFC 4702: the same in option 81, in ASCII, wins over option 12.
		if got := fqdnLabel(append([]byte{0, 0, 0}, in...)); got != want {
			t.Errorf("fqdnLabel(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"\x04\x00\x00\x05phone\x07example\x00": "phone", "\x04\x00\x00\x05phone": "phone",
		"\x04\x00\x00\x09phone": "", "\x04\x00\x00\xc0\x00": "", "\x04\x00\x00\x00": "", "\x04\x00": "", "": "",
	} {
		if got := fqdnLabel([]byte(in)); got != want {
			t.Errorf("fqdnLabel(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzWalk holds the option walk to what it may do with any octets: nothing but
// join pieces of them.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{53, 1, 1, 61, 7, 1, 0, 4, 0x13, 1, 2, 3, 55, 4, 1, 3, 6, 66, 255})
	f.Add([]byte{60, 2, 's', 'n', 60, 2, 'o', 'm', 50, 2, 1, 2, 50, 2, 3, 4, 50, 4, 1, 2, 3, 4})
	f.Add([]byte{0, 0, 12, 255, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var o options
		o.walk(b)
		total := 0
		for code, data := range o {
			total += len(data)
			if data != nil && (code == optPad || code == optEnd) {
				t.Fatalf("option %d", code)
			}
		}
		if total > len(b) {
			t.Fatalf("%d octets of options in %d", total, len(b))
		}
		if !bytes.Equal(before, b) {
			t.Fatal("the packet was changed")
		}
	})
}

// FuzzAdmit holds that the reader throws away nothing that the owner would
// answer.
func FuzzAdmit(f *testing.F) {
	f.Add(raw(53, 1, 1, 61, 7, 1, 0, 4, 0x13, 0x92, 0x2d, 0x24, 57, 2, 5, 0xdc, 60, 8, 's', 'n', 'o', 'm', 'D', '7', '8', '5', 255))
	f.Add(raw(0, 0, 12, 200, 'a', 53, 1, 3))
	f.Add(edit(raw(52, 1, 3, 255), offFile, 53, offFile+1, 1, offFile+2, 1))
	f.Add(raw(53, 2, 1, 1, 53, 1, 8, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := request{link: testLink, dest: broadcastAddr}
		if parse(b, &r) != nil {
			return
		}
		if kind, err := admit(b); err != nil || kind != r.kind && kind != 0 && bytes.Count(b, []byte{optMessageType, 1}) == 1 {
			t.Errorf("admitted as %v (%v), read as %v", kind, err, r.kind)
		}
	})
}

// FuzzAgent reads option 82 as switches and relays write it, and what clients
// make up.
func FuzzAgent(f *testing.F) {
	for _, s := range []string{
		"\x01\x06\x00\x04\x00\x14\x01\x07\x02\x08\x00\x06\x00\x1b\x21\x00\x00\x01", // vlan 20, module 1, port 7; the switch's MAC
		"\x01\x08ge-0/0/7\x02\x05floor",
		"\x05\x04\xc0\x00\x02\x00\x0b\x04\xc6\x33\x64\x01\x13\x00",
		"\x01\xffcut", "\x05\x03\xc0\x00\x02", "\x00\x00\xff", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := readAgent(b)
		if len(a.circuitID)+len(a.remoteID) > len(b) {
			t.Errorf("%+v of %d octets", a, len(b))
		}
		for _, addr := range []netip.Addr{a.linkSelection, a.serverOverride} {
			if addr.IsValid() && (!addr.Is4() || addr.IsUnspecified()) {
				t.Errorf("address %v", addr)
			}
		}
	})
}

// FuzzHostName holds that what a client calls itself becomes one label of DNS
// or nothing, and fits where it is shown and answered.
func FuzzHostName(f *testing.F) {
	f.Add([]byte("snom-0004132D2A24.office.example"))
	f.Add([]byte("\x00\x00\x00Reception 2"))
	f.Add([]byte("\x05\x00\x00\x07snomd785\x06office\x00"))
	f.Add([]byte("\x09\x00\x00both"))
	f.Add([]byte("\x04\x00\x00\xffcut"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, label := range []string{hostLabel(b), fqdnLabel(b)} {
			if len(label) > 63 || strings.Trim(label, "-") != label || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
				t.Errorf("label %q", label)
			}
			if again := hostLabel([]byte(label)); again != label {
				t.Errorf("label %q of label %q", again, label)
			}
		}
		if asked := answerable(b); asked != nil {
			if reply := fqdnReply(asked, fqdnLabel(asked), "office.example"); len(reply) > fqdnHeader+1+63+1+len(".office.example") || reply[0]&fqdnNoUpdates == 0 {
				t.Errorf("answer %q", reply)
			}
		}
	})
}
