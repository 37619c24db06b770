package dhcpd

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestMarshalReadByAnother has the library read every field of a reply.
func TestMarshalReadByAnother(t *testing.T) {
	t.Parallel()
	m := message{
		request: &request{
			link: testLink, xid: [4]byte{1, 2, 3, 4}, flags: flagBcast, giaddr: netip.MustParseAddr("198.51.100.1"),
			chaddr: [16]byte{0, 0, 0x5e, 0, 0x53, 1}, mac: testMAC, clientID: "\x01abc", relayInfo: []byte{1, 2, 'a', 'b'},
			subnetSelection: netip.MustParseAddr("192.0.2.0"), params: []byte{6, 224}, maxSize: 1500,
		},
		kind: dhcpv4.MessageTypeAck, yiaddr: netip.MustParseAddr("192.0.2.7"), ciaddr: netip.MustParseAddr("192.0.2.7"),
		siaddr: netip.MustParseAddr("192.0.2.3"), sname: []byte("boot.example.org"), file: []byte("undionly.kpxe"),
		id: netip.MustParseAddr("192.0.2.1"), duration: 2 * time.Hour,
	}
	long := bytes.Repeat([]byte("0123456789"), 52)
	b, dropped := m.marshal(nil, []item{
		{code: optSubnetMask, data: []byte{255, 255, 255, 0}}, {code: optDNSServers, data: []byte{192, 0, 2, 2}}, {code: 224, data: long}, {code: 225, data: nil},
	})
	if dropped != 0 {
		t.Errorf("%d options were dropped", dropped)
	}
	got, err := dhcpv4.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	want, err := dhcpv4.New(
		dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4}), dhcpv4.WithBroadcast(true), dhcpv4.WithHwAddr(testMAC[:]),
		dhcpv4.WithGatewayIP([]byte{198, 51, 100, 1}), dhcpv4.WithYourIP([]byte{192, 0, 2, 7}), dhcpv4.WithClientIP([]byte{192, 0, 2, 7}), dhcpv4.WithServerIP([]byte{192, 0, 2, 3}),
		dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithLeaseTime(7200),
		dhcpv4.WithGeneric(dhcpv4.OptionServerIdentifier, []byte{192, 0, 2, 1}),
		dhcpv4.WithGeneric(dhcpv4.OptionRenewTimeValue, []byte{0, 0, 14, 16}),
		dhcpv4.WithGeneric(dhcpv4.OptionRebindingTimeValue, []byte{0, 0, 24, 156}),
		dhcpv4.WithGeneric(dhcpv4.OptionSubnetMask, []byte{255, 255, 255, 0}),
		dhcpv4.WithGeneric(dhcpv4.OptionDomainNameServer, []byte{192, 0, 2, 2}),
		dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(224), long), dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(225), []byte{}),
		dhcpv4.WithGeneric(dhcpv4.OptionClientIdentifier, []byte("\x01abc")),
		dhcpv4.WithGeneric(dhcpv4.OptionSubnetSelection, []byte{192, 0, 2, 0}),
		dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, []byte{1, 2, 'a', 'b'}),
	)
	if err != nil {
		t.Fatal(err)
	}
	want.OpCode, want.ServerHostName, want.BootFileName = dhcpv4.OpcodeBootReply, "boot.example.org", "undionly.kpxe"
	if diff := cmp.Diff(want.ToBytes(), got.ToBytes()); diff != "" {
		t.Errorf("(-want +got):\n%s\nwant %v\ngot %v", diff, want, got)
	}
	if diff := cmp.Diff([]uint8{53, 54, 51, 58, 59, 6, 224, 224, 224, 1, 225, 61, 118, 82}, order(b)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestArrange holds which options are left out of a reply that is too long, and
// the order of the others.
func TestArrange(t *testing.T) {
	t.Parallel()
	octets := func(code uint8, r rank, n int) item { return item{code: code, rank: r, data: make([]byte, n)} }
	for _, c := range []struct {
		name    string
		items   []item
		params  []byte
		room    int
		want    []uint8
		dropped int
	}{
		{"all fit", []item{octets(1, rankDerived, 4), octets(3, rankDerived, 4)}, nil, 12, []uint8{1, 3}, 0},
		{"one octet short", []item{octets(1, rankDerived, 4), octets(3, rankDerived, 4)}, nil, 11, []uint8{1}, 1},
		{"no room", []item{octets(1, rankDerived, 4)}, nil, -5, nil, 1},
		{"asked for stays", []item{octets(1, rankDerived, 4), octets(6, rankDerived, 4)}, []byte{6}, 6, []uint8{6}, 1},
		{"configured stays", []item{octets(6, rankDerived, 4), octets(224, rankNetwork, 4)}, nil, 6, []uint8{224}, 1},
		{"a phone's stays", []item{octets(224, rankNetwork, 4), octets(66, rankPhone, 4)}, []byte{224}, 6, []uint8{66}, 1},
		{"a phone's goes when it is alone", []item{octets(67, rankPhone, 4), octets(66, rankPhone, 4)}, []byte{66}, 6, []uint8{66}, 1},
		{"asked twice", []item{octets(1, rankDerived, 4), octets(6, rankDerived, 4)}, []byte{6, 1, 6}, 20, []uint8{6, 1}, 0},
		{"mask before routers", []item{octets(1, rankDerived, 4), octets(3, rankDerived, 4), octets(6, rankDerived, 4)}, []byte{6, 3, 1}, 20, []uint8{6, 1, 3}, 0},
		{"long options need more", []item{octets(224, rankNetwork, 256)}, nil, 259, nil, 1},
		{"long options fit", []item{octets(224, rankNetwork, 256)}, nil, 260, []uint8{224}, 0},
	} {
		kept, dropped := arrange(c.items, c.params, c.room)
		var got []uint8
		for _, i := range kept {
			got = append(got, i.code)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || dropped != c.dropped {
			t.Errorf("%s: %d dropped, want %d (-want +got):\n%s", c.name, dropped, c.dropped, diff)
		}
	}
}
