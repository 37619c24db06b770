// Package option has the names of the DHCP options (RFC 2132 and its
// successors) and their encodings: what an administrator writes in, the octets
// of a packet out.
package option

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
)

// maxData bounds one option's data. Longer data would never fit a packet that
// a client is obliged to accept, split (RFC 3396) or not.
const maxData = 1024

// form is how the data of an option is written.
type form uint8

const (
	octets     form = iota // unknown or opaque: text as it is, or a list of octets
	hexOctets              // opaque and binary: "01:ff" or a list of octets
	subOptions             // hexOctets, or a list of "CODE=TEXT"
	text                   // at least one octet of text, no terminating NUL
	address                // one IPv4 address
	addresses              // one or more IPv4 addresses
	pairs                  // pairs of IPv4 addresses
	flag                   // one octet, 0 or 1
	unsigned8
	unsigned16
	unsigned32
	signed32
	unsigned16s // one or more 16-bit numbers
	name        // one domain name in DNS labels
	names       // one or more domain names in DNS labels
	sipServers  // RFC 3361: names or addresses, the first octet says which
	routes      // RFC 3442: "DESTINATION/LENGTH via ROUTER"
	decimal     // a number as ASCII digits, as Snom phones read options 132 and 133
)

// describe completes "option NAME takes …".
func (f form) describe() string {
	switch f {
	case hexOctets:
		return `octets: text in hexadecimal like "01:ff", or a list of numbers from 0 to 255`
	case subOptions:
		return `sub-options as a list of "CODE=TEXT", octets in hexadecimal like "42:02:61:00", or a list of numbers from 0 to 255`
	case text:
		return "text"
	case address:
		return "an IPv4 address"
	case addresses:
		return "IPv4 addresses"
	case pairs:
		return "IPv4 addresses in pairs"
	case flag:
		return "true or false"
	case unsigned8, unsigned16, unsigned32, signed32, decimal:
		return "a number"
	case unsigned16s:
		return "numbers"
	case name:
		return "a domain name"
	case names:
		return "domain names"
	case sipServers:
		return "either IPv4 addresses or domain names"
	case routes:
		return `routes like "10.0.0.0/8 via 192.168.1.1"`
	default:
		return "text, or a list of numbers from 0 to 255"
	}
}

type definition struct {
	name     string
	form     form
	min, max int64 // of a number; max 0 is what the form holds
}

// definitions are the options by code. RFC 2132 where no other source stands.
var definitions = [256]definition{
	1:   {name: "subnet_mask", form: address},
	2:   {name: "time_offset", form: signed32, min: math.MinInt32}, // seconds east of UTC
	3:   {name: "routers", form: addresses},
	4:   {name: "time_servers", form: addresses},
	5:   {name: "name_servers", form: addresses}, // IEN 116
	6:   {name: "dns_servers", form: addresses},
	7:   {name: "log_servers", form: addresses},
	8:   {name: "cookie_servers", form: addresses},
	9:   {name: "lpr_servers", form: addresses},
	10:  {name: "impress_servers", form: addresses},
	11:  {name: "resource_location_servers", form: addresses},
	12:  {name: "host_name", form: text},
	13:  {name: "boot_size", form: unsigned16}, // blocks of 512 octets
	14:  {name: "merit_dump", form: text},
	15:  {name: "domain_name", form: text},
	16:  {name: "swap_server", form: address},
	17:  {name: "root_path", form: text},
	18:  {name: "extensions_path", form: text},
	19:  {name: "ip_forwarding", form: flag},
	20:  {name: "non_local_source_routing", form: flag},
	21:  {name: "policy_filter", form: pairs},
	22:  {name: "max_datagram_reassembly", form: unsigned16, min: 576},
	23:  {name: "default_ttl", form: unsigned8, min: 1},
	24:  {name: "path_mtu_aging_timeout", form: unsigned32},
	25:  {name: "path_mtu_plateau_table", form: unsigned16s, min: 68},
	26:  {name: "mtu", form: unsigned16, min: 68},
	27:  {name: "all_subnets_local", form: flag},
	28:  {name: "broadcast_address", form: address},
	29:  {name: "perform_mask_discovery", form: flag},
	30:  {name: "mask_supplier", form: flag},
	31:  {name: "router_discovery", form: flag},
	32:  {name: "router_solicitation_address", form: address},
	33:  {name: "static_routes", form: pairs},
	34:  {name: "trailer_encapsulation", form: flag},
	35:  {name: "arp_cache_timeout", form: unsigned32},
	36:  {name: "ieee802_3_encapsulation", form: flag},
	37:  {name: "default_tcp_ttl", form: unsigned8, min: 1},
	38:  {name: "tcp_keepalive_interval", form: unsigned32},
	39:  {name: "tcp_keepalive_garbage", form: flag},
	40:  {name: "nis_domain", form: text},
	41:  {name: "nis_servers", form: addresses},
	42:  {name: "ntp_servers", form: addresses},
	43:  {name: "vendor_encapsulated", form: subOptions},
	44:  {name: "wins_servers", form: addresses},
	45:  {name: "netbios_dd_servers", form: addresses},
	46:  {name: "netbios_node_type", form: unsigned8, min: 1, max: 8},
	47:  {name: "netbios_scope", form: text},
	48:  {name: "font_servers", form: addresses},
	49:  {name: "x_display_managers", form: addresses},
	50:  {name: "requested_address", form: address},
	51:  {name: "lease_time", form: unsigned32},
	52:  {name: "overload", form: unsigned8},
	53:  {name: "message_type", form: unsigned8},
	54:  {name: "server_identifier", form: address},
	55:  {name: "parameter_request_list", form: octets},
	56:  {name: "message", form: text},
	57:  {name: "max_message_size", form: unsigned16, min: 576},
	58:  {name: "renewal_time", form: unsigned32},
	59:  {name: "rebinding_time", form: unsigned32},
	60:  {name: "vendor_class", form: text},
	61:  {name: "client_identifier", form: hexOctets},
	62:  {name: "netware_domain", form: text},       // RFC 2242
	63:  {name: "netware_options", form: hexOctets}, // RFC 2242
	64:  {name: "nisplus_domain", form: text},
	65:  {name: "nisplus_servers", form: addresses},
	66:  {name: "tftp_server_name", form: text},
	67:  {name: "bootfile_name", form: text},
	68:  {name: "mobile_ip_home_agents", form: addresses},
	69:  {name: "smtp_servers", form: addresses},
	70:  {name: "pop3_servers", form: addresses},
	71:  {name: "nntp_servers", form: addresses},
	72:  {name: "www_servers", form: addresses},
	73:  {name: "finger_servers", form: addresses},
	74:  {name: "irc_servers", form: addresses},
	75:  {name: "streettalk_servers", form: addresses},
	76:  {name: "streettalk_directory_servers", form: addresses},
	77:  {name: "user_class", form: octets},                     // RFC 3004
	78:  {name: "slp_directory_agent", form: hexOctets},         // RFC 2610
	79:  {name: "slp_service_scope", form: hexOctets},           // RFC 2610
	80:  {name: "rapid_commit", form: octets},                   // RFC 4039
	81:  {name: "client_fqdn", form: octets},                    // RFC 4702
	82:  {name: "relay_agent_information", form: octets},        // RFC 3046
	83:  {name: "isns", form: hexOctets},                        // RFC 4174
	85:  {name: "nds_servers", form: addresses},                 // RFC 2241
	86:  {name: "nds_tree_name", form: text},                    // RFC 2241
	87:  {name: "nds_context", form: text},                      // RFC 2241
	88:  {name: "bcmcs_domains", form: names},                   // RFC 4280
	89:  {name: "bcmcs_servers", form: addresses},               // RFC 4280
	90:  {name: "authentication", form: hexOctets},              // RFC 3118
	91:  {name: "client_last_transaction", form: octets},        // RFC 4388
	92:  {name: "associated_ip", form: addresses},               // RFC 4388
	98:  {name: "user_authentication", form: text},              // RFC 2485
	100: {name: "posix_timezone", form: text},                   // RFC 4833
	101: {name: "tzdb_timezone", form: text},                    // RFC 4833
	108: {name: "v6only_preferred", form: unsigned32, min: 300}, // RFC 8925, seconds
	112: {name: "netinfo_servers", form: addresses},
	113: {name: "netinfo_tag", form: text},
	114: {name: "captive_portal", form: text},                      // RFC 8910
	116: {name: "auto_configure", form: unsigned8, max: 1},         // RFC 2563
	117: {name: "name_service_search", form: unsigned16s},          // RFC 2937
	118: {name: "subnet_selection", form: address},                 // RFC 3011
	119: {name: "domain_search", form: names},                      // RFC 3397
	120: {name: "sip_servers", form: sipServers},                   // RFC 3361
	121: {name: "classless_routes", form: routes},                  // RFC 3442
	122: {name: "cablelabs_client_configuration", form: hexOctets}, // RFC 3495
	123: {name: "geoconf", form: hexOctets},                        // RFC 6225
	124: {name: "vendor_class_vi", form: hexOctets},                // RFC 3925
	125: {name: "vendor_specific_vi", form: hexOctets},             // RFC 3925
	132: {name: "vlan_id", form: decimal, min: 1, max: 4094},       // as Snom phones read it
	133: {name: "vlan_priority", form: decimal, max: 7},            // as Snom phones read it
	136: {name: "pana_agents", form: addresses},                    // RFC 5192
	137: {name: "lost_server", form: name},                         // RFC 5223
	138: {name: "capwap_controllers", form: addresses},             // RFC 5417
	150: {name: "tftp_servers", form: addresses},                   // RFC 5859
	208: {name: "pxelinux_magic", form: hexOctets},                 // RFC 5071
	209: {name: "pxelinux_config_file", form: text},                // RFC 5071
	210: {name: "pxelinux_path_prefix", form: text},                // RFC 5071
	211: {name: "pxelinux_reboot_time", form: unsigned32},          // RFC 5071, seconds
	212: {name: "sixrd", form: hexOctets},                          // RFC 5969
	213: {name: "access_domain", form: name},                       // RFC 5986
	249: {name: "ms_classless_routes", form: routes},               // 121 before RFC 3442
	252: {name: "wpad", form: text},
}

// Lookup gives the code of an option that the configuration names: a name as
// in "time_offset", a number from 1 to 254, or what Name wrote. The error of
// an unknown name ends in the nearest known one.
func Lookup(nameOrNumber string) (uint8, error) {
	s := strings.TrimPrefix(nameOrNumber, "option-")
	if n, err := strconv.Atoi(s); err == nil || errors.Is(err, strconv.ErrRange) {
		if err != nil || n < 1 || n > 254 {
			return 0, fmt.Errorf("option number %.60s is not from 1 to 254", s)
		}
		return uint8(n), nil
	}
	// More than three edits away, or half of what was written, is another word.
	near, least := "", min(4, len(nameOrNumber)/2+1)
	for code, d := range definitions {
		if d.name == "" {
			continue
		}
		if d.name == nameOrNumber {
			return uint8(code), nil
		}
		if n := levenshtein.Distance(d.name, nameOrNumber, nil); n < least {
			near, least = d.name, n
		}
	}
	if near != "" {
		return 0, fmt.Errorf("unknown option %.60q: did you mean %q?", nameOrNumber, near)
	}
	return 0, fmt.Errorf("unknown option %.60q: give a name like \"ntp_servers\" or a number from 1 to 254", nameOrNumber)
}

// Name gives the name of an option, or "option-224" where it has none.
func Name(code uint8) string {
	if n := definitions[code].name; n != "" {
		return n
	}
	return "option-" + strconv.Itoa(int(code))
}

// Reserved says why an option is not the configuration's to set: the server or
// the client owns it. It returns nil for all others.
func Reserved(code uint8) error {
	why := ""
	switch code {
	case 0, 255:
		return fmt.Errorf("option %d has no data: it pads or ends a packet", code)
	case 51:
		why = "is set by lease_time"
	case 58, 59:
		why = "follows from lease_time"
	case 52, 53, 54, 56:
		why = "is the server's own"
	case 80, 81:
		why = "is the server's own answer to a client that sends it"
	case 50, 55, 57, 61, 77, 91, 92, 118:
		why = "is sent by clients"
	case 82:
		why = "belongs to the relay agent"
	default:
		return nil
	}
	return fmt.Errorf("option %s %s", Name(code), why)
}

// Encode gives the data of an option, without code and length, in network
// order. The value is a string, an int64, a bool or a []any of those; where
// the option takes a list, one value stands for a list of one. An option that
// has no definition takes text as its octets, or a list of octets. The error
// says what form the option takes.
func Encode(code uint8, v any) ([]byte, error) {
	e := encoder{code: code, definition: definitions[code]}
	data, err := e.encode(v)
	if err != nil {
		return nil, err
	}
	if len(data) > maxData {
		return nil, fmt.Errorf("option %s has %d octets, which is more than the %d that fit a packet", Name(code), len(data), maxData)
	}
	return data, nil
}

type encoder struct {
	definition
	code uint8
}

// refuse is the error for a value of the wrong form.
func (e encoder) refuse(v any) error {
	return fmt.Errorf("option %s takes %s, not %s", Name(e.code), e.form.describe(), show(v))
}

func show(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.60q", v)
	case []any:
		if len(v) == 0 {
			return "an empty list"
		}
		return "a list"
	default:
		return fmt.Sprint(v)
	}
}

func (e encoder) encode(v any) ([]byte, error) {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, e.refuse(v)
	}
	switch e.form {
	case addresses, pairs, unsigned16s, names, sipServers, routes:
		return e.list(v, list)
	case octets, hexOctets, subOptions:
		if _, isText := list[0].(string); isList && isText && e.form == subOptions {
			return e.subOptions(list)
		}
		if isList {
			return e.octets(list)
		}
	}
	if isList {
		return nil, e.refuse(v)
	}
	switch e.form {
	case octets:
		if s, ok := v.(string); ok && s != "" {
			return []byte(s), nil
		}
	case hexOctets, subOptions:
		if s, ok := v.(string); ok && s != "" {
			if b, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err == nil && len(b) > 0 {
				return b, nil
			}
		}
	case text:
		if s, ok := v.(string); ok && s != "" && !strings.ContainsRune(s, 0) {
			return []byte(s), nil
		}
	case address:
		return e.appendAddress(nil, v)
	case flag:
		if b, ok := v.(bool); ok {
			if b {
				return []byte{1}, nil
			}
			return []byte{0}, nil
		}
	case name:
		return e.appendName(nil, v)
	case decimal:
		n, err := e.number(v, math.MaxUint32)
		return strconv.AppendInt(nil, n, 10), err
	case unsigned8:
		n, err := e.number(v, math.MaxUint8)
		return []byte{byte(n)}, err
	case unsigned16:
		n, err := e.number(v, math.MaxUint16)
		return binary.BigEndian.AppendUint16(nil, uint16(n)), err
	case unsigned32:
		n, err := e.number(v, math.MaxUint32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case signed32:
		n, err := e.number(v, math.MaxInt32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	}
	return nil, e.refuse(v)
}

// list encodes the forms that are one element after another.
func (e encoder) list(v any, list []any) (out []byte, err error) {
	if e.form == sipServers {
		// RFC 3361 section 3: the first octet says what follows.
		if s, ok := list[0].(string); ok && isAddress(s) {
			e.form, out = addresses, []byte{1}
		} else {
			e.form, out = names, []byte{0}
		}
		for _, v := range list {
			if s, ok := v.(string); ok && isAddress(s) != (e.form == addresses) {
				e.form = sipServers
				return nil, e.refuse(v)
			}
		}
	}
	if e.form == pairs && len(list)%2 != 0 {
		return nil, fmt.Errorf("option %s takes %s, not %d of them", Name(e.code), e.form.describe(), len(list))
	}
	for _, v := range list {
		switch e.form {
		case addresses, pairs:
			out, err = e.appendAddress(out, v)
		case names:
			out, err = e.appendName(out, v)
		case routes:
			out, err = e.appendRoute(out, v)
		case unsigned16s:
			var n int64
			n, err = e.number(v, math.MaxUint16)
			out = binary.BigEndian.AppendUint16(out, uint16(n))
		default:
			err = e.refuse(v)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e encoder) octets(list []any) (out []byte, err error) {
	for _, v := range list {
		n, ok := v.(int64)
		if !ok || n < 0 || n > math.MaxUint8 {
			return nil, e.refuse(v)
		}
		out = append(out, byte(n))
	}
	return out, nil
}

// subOptions encodes a list of "CODE=TEXT" (RFC 2132 section 8.4).
func (e encoder) subOptions(list []any) (out []byte, err error) {
	for _, v := range list {
		s, _ := v.(string)
		number, data, ok := strings.Cut(s, "=")
		code, err := strconv.ParseUint(number, 10, 8)
		if !ok || err != nil || code == 0 || code == 255 || len(data) > math.MaxUint8 {
			return nil, e.refuse(v)
		}
		out = append(out, byte(code), byte(len(data)))
		out = append(out, data...)
	}
	return out, nil
}

// number reads an int64, or its decimal text, within the option's own limits
// and those of its width.
func (e encoder) number(v any, hi int64) (int64, error) {
	n, ok := v.(int64)
	if s, isText := v.(string); isText {
		var err error
		n, err = strconv.ParseInt(s, 10, 64)
		ok = err == nil
	}
	if !ok {
		return 0, e.refuse(v)
	}
	if e.max != 0 {
		hi = e.max
	}
	if n < e.min || n > hi {
		return 0, fmt.Errorf("option %s takes a number from %d to %d, not %d", Name(e.code), e.min, hi, n)
	}
	return n, nil
}

func isAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

func (e encoder) appendAddress(out []byte, v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok || !isAddress(s) {
		return nil, e.refuse(v)
	}
	a := netip.MustParseAddr(s).As4()
	return append(out, a[:]...), nil
}

// appendName writes a domain name as labels (RFC 1035 section 3.1), without
// compression, which older clients do not follow.
func (e encoder) appendName(out []byte, v any) ([]byte, error) {
	s, _ := v.(string)
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return nil, e.refuse(v)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return nil, e.refuse(v)
		}
		out = append(out, byte(len(label)))
		out = append(out, label...)
	}
	return append(out, 0), nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// appendRoute writes one route of RFC 3442: the length of the destination, its
// significant octets, the router.
func (e encoder) appendRoute(out []byte, v any) ([]byte, error) {
	s, _ := v.(string)
	f := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	if len(f) == 3 && f[1] == "via" {
		f = []string{f[0], f[2]}
	}
	if len(f) != 2 {
		return nil, e.refuse(v)
	}
	destination, err := netip.ParsePrefix(f[0])
	if err != nil || !destination.Addr().Is4() || !isAddress(f[1]) {
		return nil, e.refuse(v)
	}
	if destination != destination.Masked() {
		return nil, fmt.Errorf("option %s: %s has bits beyond its length: the network is %s", Name(e.code), destination, destination.Masked())
	}
	network, router := destination.Addr().As4(), netip.MustParseAddr(f[1]).As4()
	out = append(out, byte(destination.Bits()))
	out = append(out, network[:(destination.Bits()+7)/8]...)
	return append(out, router[:]...), nil
}
