package phonesim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dialtone/internal/mac"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Lease is what a DHCP server said.
type Lease struct {
	Address netip.Addr `json:"address"`
	Bits    int        `json:"prefix_length"`
	Server  netip.Addr `json:"server"` // option 54

	Routers    []netip.Addr `json:"routers,omitempty"`
	DNSServers []netip.Addr `json:"dns_servers,omitempty"`
	NTPServers []netip.Addr `json:"ntp_servers,omitempty"`
	Domain     string       `json:"domain,omitempty"`
	HostName   string       `json:"host_name,omitempty"`

	LeaseSeconds     uint32 `json:"lease_seconds"`
	RenewalSeconds   uint32 `json:"renewal_seconds,omitempty"`
	RebindingSeconds uint32 `json:"rebinding_seconds,omitempty"`

	// Of these four, what option 43 holds wins over the option itself.
	TFTPServerName string `json:"tftp_server_name,omitempty"` // 66
	BootFile       string `json:"boot_file,omitempty"`        // 67
	VLANID         string `json:"vlan_id,omitempty"`          // 132
	VLANPriority   string `json:"vlan_priority,omitempty"`    // 133
	// Tunnelled lists the codes, of these four, that option 43 held.
	Tunnelled []int `json:"tunnelled,omitempty"`
	// HeaderNames is what the server put into the BOOTP fields sname and file,
	// where phones do not look.
	HeaderNames string `json:"header_names,omitempty"`
}

// Subnet gives the address with its prefix length.
func (l *Lease) Subnet() netip.Prefix { return netip.PrefixFrom(l.Address, l.Bits) }

const (
	codeVendor       = 43
	codeTFTPServer   = 66
	codeBootFile     = 67
	codeVLANID       = 132
	codeVLANPriority = 133
)

// The lists that Snom phones hold in dhcp_options_on_ip_aquire and
// dhcp_options_on_inform.
var (
	discoverList = []byte{1, 3, 4, 6, 12, 15, 42, 43, 51, 66, 67, 120, 125, 133}
	informList   = []byte{43, 120, 125, 132}
)

// maxWait is the longest that a client waits before it sends again (RFC 2131
// §4.1).
const maxWait = 64 * time.Second

// errNAK says that the server refused what was asked for.
var errNAK = errors.New("the server answered NAK")

// dhcpClient is the phone's side of RFC 2131.
type dhcpClient struct {
	mac         mac.Addr
	vendorClass string // option 60; "" sends none
	clientID    []byte // option 61; nil sends none
	broadcast   bool   // the broadcast flag
	retransmit  time.Duration
	jitter      time.Duration
	attempts    int
	now         func() time.Time
	event       func(Event)
}

// message builds a request of type t with what the phone puts into each.
func (c *dhcpClient) message(t dhcpv4.MessageType, list []byte, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithHwAddr(net.HardwareAddr(c.mac[:])),
		dhcpv4.WithMessageType(t),
	}
	if list != nil {
		mods = append(mods,
			dhcpv4.WithBroadcast(c.broadcast),
			dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
			dhcpv4.WithGeneric(dhcpv4.OptionParameterRequestList, list))
	}
	if c.vendorClass != "" {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptClassIdentifier(c.vendorClass)))
	}
	if c.clientID != nil {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(c.clientID)))
	}
	m, err := dhcpv4.New(append(mods, more...)...)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", t, err)
	}
	return m, nil
}

// acquire goes from INIT to BOUND. A NAK sends the client back to INIT, as
// often as a message may be repeated.
func (c *dhcpClient) acquire(ctx context.Context, l link) (*Lease, error) {
	for range c.attempts {
		lease, err := c.selecting(ctx, l)
		if !errors.Is(err, errNAK) {
			return lease, err
		}
	}
	return nil, fmt.Errorf("leasing an address: %w every time", errNAK)
}

func (c *dhcpClient) selecting(ctx context.Context, l link) (*Lease, error) {
	discover, err := c.message(dhcpv4.MessageTypeDiscover, discoverList)
	if err != nil {
		return nil, err
	}
	offer, err := c.exchange(ctx, l, discover, dhcpv4.MessageTypeOffer)
	if err != nil {
		return nil, err
	}
	server := offer.ServerIdentifier()
	if server == nil {
		return nil, errors.New("the OFFER has no server identifier (option 54)")
	}
	request, err := c.message(dhcpv4.MessageTypeRequest, discoverList,
		dhcpv4.WithTransactionID(offer.TransactionID),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)))
	if err != nil {
		return nil, err
	}
	ack, err := c.exchange(ctx, l, request, dhcpv4.MessageTypeAck)
	if err != nil {
		return nil, err
	}
	return newLease(ack)
}

// extend asks the server for more time: RENEWING where l goes to the server,
// REBINDING where it goes to everyone.
func (c *dhcpClient) extend(ctx context.Context, l link, held *Lease) (*Lease, error) {
	request, err := c.message(dhcpv4.MessageTypeRequest, discoverList, dhcpv4.WithClientIP(held.Address.AsSlice()), dhcpv4.WithBroadcast(false))
	if err != nil {
		return nil, err
	}
	ack, err := c.exchange(ctx, l, request, dhcpv4.MessageTypeAck)
	if err != nil {
		return nil, err
	}
	return newLease(ack)
}

// inform asks for what a phone wants once it has its address, and adds it to
// the lease. Only one INFORM is sent: a server may well not answer it.
func (c *dhcpClient) inform(ctx context.Context, l link, held *Lease) error {
	inform, err := c.message(dhcpv4.MessageTypeInform, informList, dhcpv4.WithClientIP(held.Address.AsSlice()), dhcpv4.WithBroadcast(false))
	if err != nil {
		return err
	}
	once := *c
	once.attempts = 1
	ack, err := once.exchange(ctx, l, inform, dhcpv4.MessageTypeAck)
	if err != nil {
		return err
	}
	held.addNames(ack)
	return nil
}

func (c *dhcpClient) release(l link, held *Lease) error {
	release, err := c.message(dhcpv4.MessageTypeRelease, nil,
		dhcpv4.WithClientIP(held.Address.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(held.Server.AsSlice())))
	if err != nil {
		return err
	}
	c.event(Event{Kind: Sent, What: "RELEASE", Detail: held.Address.String()})
	return l.send(release.ToBytes())
}

// exchange sends message until a reply of type want arrives, with the waits
// of RFC 2131 §4.1: doubled each time, with some jitter. A NAK to a REQUEST
// is errNAK.
func (c *dhcpClient) exchange(ctx context.Context, l link, message *dhcpv4.DHCPv4, want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	asked := message.MessageType()
	wait, start := c.retransmit, c.now()
	for range c.attempts {
		message.NumSeconds = uint16(min(c.now().Sub(start)/time.Second, 65535))
		if err := l.send(message.ToBytes()); err != nil {
			return nil, err
		}
		c.event(Event{Kind: Sent, What: asked.String(), Detail: c.vendorClass})
		deadline := c.now().Add(wait)
		if c.jitter > 0 {
			deadline = deadline.Add(rand.N(2*c.jitter) - c.jitter)
		}
		for {
			reply, err := c.receive(ctx, l, deadline)
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				break
			}
			if err != nil {
				return nil, err
			}
			if reply.TransactionID != message.TransactionID || reply.OpCode != dhcpv4.OpcodeBootReply {
				continue
			}
			switch reply.MessageType() {
			case want:
				c.event(Event{Kind: Received, What: want.String(), Detail: replyDetail(reply), Duration: c.now().Sub(start)})
				return reply, nil
			case dhcpv4.MessageTypeNak:
				if asked != dhcpv4.MessageTypeRequest {
					continue
				}
				c.event(Event{Kind: Received, What: "NAK", Detail: printable(reply.Message()), Duration: c.now().Sub(start)})
				return nil, errNAK
			}
		}
		wait = min(2*wait, maxWait)
	}
	return nil, fmt.Errorf("no answer to %s after %d tries in %s", asked, c.attempts, c.now().Sub(start).Round(100*time.Millisecond))
}

// receive gives the next message that can be read, until deadline or the end
// of ctx.
func (c *dhcpClient) receive(ctx context.Context, l link, deadline time.Time) (*dhcpv4.DHCPv4, error) {
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("waiting for a DHCP server: %w", context.Cause(ctx))
		}
		// A wait is cut into slices, so that a cancelled ctx ends it soon.
		slice := c.now().Add(200 * time.Millisecond)
		if slice.After(deadline) {
			slice = deadline
		}
		b, err := l.receive(slice)
		if errors.Is(err, os.ErrDeadlineExceeded) && slice.Before(deadline) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			// The library wants an End option where phones do not.
			m, err = dhcpv4.FromBytes(append(append([]byte(nil), b...), 0xff))
		}
		if err == nil {
			return m, nil
		}
	}
}

func replyDetail(m *dhcpv4.DHCPv4) string {
	if m.YourIPAddr == nil || m.YourIPAddr.IsUnspecified() {
		return ""
	}
	return m.YourIPAddr.String()
}

// newLease reads an ACK.
func newLease(m *dhcpv4.DHCPv4) (*Lease, error) {
	address := addrs(m.YourIPAddr)
	server := addrs(m.ServerIdentifier())
	if len(address) != 1 || address[0].IsUnspecified() {
		return nil, errors.New("the ACK has no address")
	}
	if len(server) != 1 {
		return nil, errors.New("the ACK has no server identifier (option 54)")
	}
	l := &Lease{
		Address:          address[0],
		Server:           server[0],
		Routers:          addrs(m.Router()...),
		DNSServers:       addrs(m.DNS()...),
		NTPServers:       addrs(m.NTPServers()...),
		Domain:           asciiOption(m.Options, 15),
		HostName:         asciiOption(m.Options, 12),
		LeaseSeconds:     seconds(m.IPAddressLeaseTime(0)),
		RenewalSeconds:   seconds(m.IPAddressRenewalTime(0)),
		RebindingSeconds: seconds(m.IPAddressRebindingTime(0)),
	}
	l.Bits = 32
	if mask := m.SubnetMask(); mask != nil {
		if ones, bits := mask.Size(); bits == 32 {
			l.Bits = ones
		}
	} else if address[0].Is4() {
		ones, _ := net.IP(address[0].AsSlice()).DefaultMask().Size()
		l.Bits = ones
	}
	if l.LeaseSeconds == 0 {
		return nil, errors.New("the ACK has no lease time (option 51)")
	}
	if m.ServerHostName != "" || m.BootFileName != "" {
		l.HeaderNames = strings.TrimSpace(m.ServerHostName + " " + m.BootFileName)
	}
	l.addNames(m)
	return l, nil
}

// addNames reads the options that lead to the setting server and the VLAN,
// tunnelled ones first.
func (l *Lease) addNames(m *dhcpv4.DHCPv4) {
	tunnel := vendorOptions(m.Options.Get(dhcpv4.GenericOptionCode(codeVendor)))
	for _, f := range []struct {
		code uint8
		dest *string
	}{
		{codeTFTPServer, &l.TFTPServerName},
		{codeBootFile, &l.BootFile},
		{codeVLANID, &l.VLANID},
		{codeVLANPriority, &l.VLANPriority},
	} {
		if v := tunnel[f.code]; v != "" {
			*f.dest = v
			if !slices.Contains(l.Tunnelled, int(f.code)) {
				l.Tunnelled = append(l.Tunnelled, int(f.code))
			}
		} else if v := asciiOption(m.Options, f.code); v != "" && !slices.Contains(l.Tunnelled, int(f.code)) {
			*f.dest = v
		}
	}
}

// vendorOptions reads option 43 as Snom phones do: RFC 2132 TLVs under the
// codes of the options that they stand for, each value text that may end in
// a NUL. What follows a sub-option cut short is ignored.
func vendorOptions(b []byte) map[uint8]string {
	found := map[uint8]string{}
	for len(b) > 0 {
		switch {
		case b[0] == 0:
			b = b[1:]
			continue
		case b[0] == 255 || len(b) < 2 || len(b) < 2+int(b[1]):
			return found
		}
		found[b[0]] = optionText(b[2 : 2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	return found
}

func asciiOption(o dhcpv4.Options, code uint8) string {
	return optionText(o.Get(dhcpv4.GenericOptionCode(code)))
}

// optionText is the text of an option up to a NUL, which some servers append.
func optionText(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return printable(strings.TrimSpace(s))
}

// printable replaces what a server could play tricks on a terminal with.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

func addrs(ips ...net.IP) []netip.Addr {
	var list []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok {
			list = append(list, a)
		}
	}
	return list
}

// vlanProblem says what is wrong with a VLAN id or priority: phones read
// decimal text.
func vlanProblem(name, value string, most int) string {
	if value == "" {
		return ""
	}
	if n, err := strconv.Atoi(value); err != nil || n < 0 || n > most {
		return fmt.Sprintf("%s %q is no decimal number from 0 to %d", name, value, most)
	}
	return ""
}
