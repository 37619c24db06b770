package option

import (
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

func TestLookup(t *testing.T) {
	for s, want := range map[string]uint8{
		"time_offset": 2, "224": 224, "1": 1, "option-224": 224, "vlan_id": 132, "classless_routes": 121, "wpad": 252,
	} {
		if got, err := Lookup(s); err != nil || got != want {
			t.Errorf("Lookup(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"time_ofset":           `unknown option "time_ofset": did you mean "time_offset"?`,
		"tftp_sever_name":      `unknown option "tftp_sever_name": did you mean "tftp_server_name"?`,
		"Routers":              `unknown option "Routers": did you mean "routers"?`,
		"colour_of_the_phone":  `unknown option "colour_of_the_phone": give a name like "ntp_servers" or a number from 1 to 254`,
		"":                     `unknown option "": give a name like "ntp_servers" or a number from 1 to 254`,
		"0":                    "option number 0 is not from 1 to 254",
		"255":                  "option number 255 is not from 1 to 254",
		"-7":                   "option number -7 is not from 1 to 254",
		"99999999999999999999": "option number 99999999999999999999 is not from 1 to 254",
	} {
		_, err := Lookup(s)
		if diff := cmp.Diff(want, message(err)); diff != "" {
			t.Errorf("Lookup(%q) (-want +got):\n%s", s, diff)
		}
	}
}

func TestNameIsWhatLookupReads(t *testing.T) {
	for code := 1; code < 255; code++ {
		got, err := Lookup(Name(uint8(code)))
		if err != nil || int(got) != code {
			t.Errorf("Lookup(Name(%d)) = %d, %v", code, got, err)
		}
	}
}

func TestReserved(t *testing.T) {
	for code, want := range map[uint8]string{
		0:   "option 0 has no data: it pads or ends a packet",
		51:  "option lease_time is set by lease_time",
		53:  "option message_type is the server's own",
		61:  "option client_identifier is sent by clients",
		82:  "option relay_agent_information belongs to the relay agent",
		66:  "",
		224: "",
	} {
		if diff := cmp.Diff(want, message(Reserved(code))); diff != "" {
			t.Errorf("Reserved(%d) (-want +got):\n%s", code, diff)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEncode(t *testing.T) {
	type list = []any
	for _, c := range []struct {
		option string
		value  any
		want   string // hexadecimal
	}{
		{"time_offset", int64(3600), "00000e10"},
		{"time_offset", int64(-18000), "ffffb9b0"},
		{"time_offset", "3600", "00000e10"},
		{"routers", "192.0.2.1", "c0000201"},
		{"routers", list{"192.0.2.1", "192.0.2.2"}, "c0000201c0000202"},
		{"broadcast_address", "192.0.2.255", "c00002ff"},
		{"mtu", int64(1492), "05d4"},
		{"ip_forwarding", true, "01"},
		{"ip_forwarding", false, "00"},
		{"default_ttl", int64(64), "40"},
		{"path_mtu_plateau_table", list{int64(68), int64(1500)}, "004405dc"},
		{"static_routes", list{"198.51.100.0", "192.0.2.1"}, "c6336400c0000201"},
		{"tftp_server_name", "http://h", "687474703a2f2f68"},
		{"domain_name", "büro", "62c3bc726f"},
		{"vendor_encapsulated", "42:02:61:00", "42026100"},
		{"vendor_encapsulated", "42026100", "42026100"},
		{"vendor_encapsulated", list{int64(66), int64(0)}, "4200"},
		{"vendor_encapsulated", list{"66=http://test\x00", "67=a=b"}, "420c687474703a2f2f7465737400" + "4303613d62"},
		{"domain_search", list{"example.org", "x-1.example.org."}, "076578616d706c65036f726700" + "03782d31076578616d706c65036f726700"},
		{"lost_server", "a.b", "0161016200"},
		{"sip_servers", list{"192.0.2.5"}, "01c0000205"},
		{"sip_servers", list{"a.b", "c"}, "0001610162000163" + "00"},
		{
			"classless_routes",
			list{"0.0.0.0/0 via 192.0.2.1", "10.0.0.0/8,192.0.2.2", "10.229.0.128/25 192.0.2.3"},
			"00c0000201" + "080ac0000202" + "190ae50080c0000203",
		},
		{"vlan_id", int64(20), "3230"},
		{"vlan_id", "20", "3230"},
		{"vlan_priority", int64(0), "30"},
		{"pxelinux_magic", "f1:00:74:7e", "f100747e"},
		{"224", "a\x00\xff", "6100ff"},
		{"224", list{int64(0), int64(255)}, "00ff"},
		{"wpad", "http://wpad.example.org/wpad.dat", hex.EncodeToString([]byte("http://wpad.example.org/wpad.dat"))},
	} {
		code, err := Lookup(c.option)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Encode(code, c.value)
		if err != nil {
			t.Errorf("Encode(%s, %q): %v", c.option, c.value, err)
			continue
		}
		if diff := cmp.Diff(c.want, hex.EncodeToString(got)); diff != "" {
			t.Errorf("Encode(%s, %q) (-want +got):\n%s", c.option, c.value, diff)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	type list = []any
	for _, c := range []struct {
		option string
		value  any
		want   string
	}{
		{"routers", "foo", `option routers takes IPv4 addresses, not "foo"`},
		{"routers", list{"192.0.2.1", "2001:db8::1"}, `option routers takes IPv4 addresses, not "2001:db8::1"`},
		{"routers", list{}, "option routers takes IPv4 addresses, not an empty list"},
		{"routers", int64(5), "option routers takes IPv4 addresses, not 5"},
		{"routers", nil, "option routers takes IPv4 addresses, not <nil>"},
		{"subnet_mask", list{"192.0.2.1"}, "option subnet_mask takes an IPv4 address, not a list"},
		{"static_routes", list{"192.0.2.1"}, "option static_routes takes IPv4 addresses in pairs, not 1 of them"},
		{"mtu", int64(67), "option mtu takes a number from 68 to 65535, not 67"},
		{"mtu", int64(65536), "option mtu takes a number from 68 to 65535, not 65536"},
		{"mtu", "big", `option mtu takes a number, not "big"`},
		{"time_offset", int64(1) << 31, "option time_offset takes a number from -2147483648 to 2147483647, not 2147483648"},
		{"vlan_id", int64(4095), "option vlan_id takes a number from 1 to 4094, not 4095"},
		{"vlan_priority", int64(8), "option vlan_priority takes a number from 0 to 7, not 8"},
		{"v6only_preferred", int64(299), "option v6only_preferred takes a number from 300 to 4294967295, not 299"},
		{"ip_forwarding", int64(1), "option ip_forwarding takes true or false, not 1"},
		{"tftp_server_name", "", `option tftp_server_name takes text, not ""`},
		{"tftp_server_name", "a\x00", `option tftp_server_name takes text, not "a\x00"`},
		{"tftp_server_name", int64(1), "option tftp_server_name takes text, not 1"},
		{"domain_search", "a..b", `option domain_search takes domain names, not "a..b"`},
		{"domain_search", string(make([]byte, 64)), "option domain_search takes domain names, not " + `"` + strings.Repeat(`\x00`, 60) + `"`},
		{"sip_servers", list{"192.0.2.1", "a.b"}, `option sip_servers takes either IPv4 addresses or domain names, not "a.b"`},
		{"classless_routes", "10.0.0.0/8", `option classless_routes takes routes like "10.0.0.0/8 via 192.168.1.1", not "10.0.0.0/8"`},
		{"classless_routes", "10.0.0.1/8 via 192.0.2.1", "option classless_routes: 10.0.0.1/8 has bits beyond its length: the network is 10.0.0.0/8"},
		{"vendor_encapsulated", list{"66", int64(1)}, `option vendor_encapsulated takes sub-options as a list of "CODE=TEXT", octets in hexadecimal like "42:02:61:00", or a list of numbers from 0 to 255, not "66"`},
		{"vendor_encapsulated", list{int64(1), "66=a"}, `option vendor_encapsulated takes sub-options as a list of "CODE=TEXT", octets in hexadecimal like "42:02:61:00", or a list of numbers from 0 to 255, not "66=a"`},
		{"224", list{int64(256)}, "option option-224 takes text, or a list of numbers from 0 to 255, not 256"},
		{"224", int64(1), "option option-224 takes text, or a list of numbers from 0 to 255, not 1"},
		{"224", string(make([]byte, 1025)), "option option-224 has 1025 octets, which is more than the 1024 that fit a packet"},
	} {
		code, err := Lookup(c.option)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Encode(code, c.value)
		if diff := cmp.Diff(c.want, message(err)); diff != "" {
			t.Errorf("Encode(%s, %q) = %x (-want +got):\n%s", c.option, c.value, got, diff)
		}
	}
}

// TestEncodeReadByAnother has another implementation read the structured
// forms, so that a misreading of an RFC is not written and tested by one hand.
func TestEncodeReadByAnother(t *testing.T) {
	b, err := Encode(121, []any{"0.0.0.0/0 via 192.0.2.1", "10.229.0.128/25 via 192.0.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	var got dhcpv4.Routes
	if err := got.FromBytes(b); err != nil {
		t.Fatal(err)
	}
	want := dhcpv4.Routes{
		{Dest: &net.IPNet{IP: net.IP{0, 0, 0, 0}, Mask: net.CIDRMask(0, 32)}, Router: net.IP{192, 0, 2, 1}},
		{Dest: &net.IPNet{IP: net.IP{10, 229, 0, 128}, Mask: net.CIDRMask(25, 32)}, Router: net.IP{192, 0, 2, 3}},
	}
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}

	b, err = Encode(119, []any{"office.example", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := rfc1035label.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"office.example", "example.org"}, labels.Labels); diff != "" {
		t.Errorf("search list (-want +got):\n%s", diff)
	}
}

// FuzzEncode gives every option values of every kind: none is more than fits a
// packet, no error is long, and what has a name is found by it.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"192.168.50.1", "10.0.0.0/8 192.168.50.1", "office.example", "http://192.168.50.1/snomD785.htm", "00:04:13", "-3600", "a..b", "\x00"} {
		for _, name := range []string{"routers", "domain_search", "classless_routes", "time_offset", "vendor_specific", "tftp_server_name", "42", "option-224", "no such"} {
			f.Add(name, s, int64(3600), 3)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string, number int64, n int) {
		code, err := Lookup(name)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("a long error: %v", err)
			}
			return
		}
		if again, err := Lookup(Name(code)); err != nil || again != code {
			t.Errorf("option %d is named %q, which is option %d (%v)", code, Name(code), again, err)
		}
		texts, numbers := []any{}, []any{}
		for range min(max(n, 0), 300) {
			texts, numbers = append(texts, text), append(numbers, number)
		}
		for _, v := range []any{text, number, true, texts, numbers, append(slices.Clone(numbers), texts...)} {
			data, err := Encode(code, v)
			if len(data) > maxData {
				t.Errorf("%d octets", len(data))
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("a long error: %v", err)
			}
		}
	})
}
