// Package config reads the configuration of the appliance: a folder of HCL
// files, or one file, becomes typed values, and everything that is wrong with
// it becomes a diagnostic that points at its place.
//
// The blocks that say what phones are set to (locals, profile, model, phone,
// phones, document) are handed on unread, in Config.Blocks; package profiles decodes them
// with the functions of Config.Functions and adds to the same Report.
package config

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/mac"
)

// Options says what a configuration may use besides its own folder.
type Options struct {
	// Credentials is the folder of systemd's credentials
	// ($CREDENTIALS_DIRECTORY), "" where there is none.
	Credentials string
	// Now is for what ends some day; zero: nothing does.
	Now time.Time
}

// Config is a configuration as far as this package decodes it. Every address,
// name and duration in it was checked, provided that the Report has no errors.
type Config struct {
	// Dir is the folder that file(), secret() and relative paths start from.
	Dir string

	Appliance    Appliance
	Networks     []Network
	Classes      []VendorClass
	Provisioning Provisioning
	HTTPS        *HTTPS // nil without the block, as are DNS and Admin
	DNS          *DNS
	Admin        *Admin
	Rollouts     []Rollout

	// Blocks holds the locals, profile, model, phone, phones and document blocks in the
	// order of the files. Only their type and number of labels were checked.
	Blocks hcl.Blocks

	sources *sources
	// reserved are the addresses that host and port blocks keep, and where they say so.
	reserved map[netip.Addr]hcl.Range
}

// Appliance is the machine that the program runs on. The folders are as given,
// relative ones joined to Config.Dir.
type Appliance struct {
	Interface string // "" where every network names its own
	StateDir  string
	FilesDir  string
}

// Network is a subnet whose addresses the appliance leases.
type Network struct {
	Name       string
	Interface  string // the appliance's, where the block names none
	Subnet     netip.Prefix
	Ranges     []Range      // in the order given; none overlaps another
	Exclude    []netip.Addr // sorted, spans written out
	Routers    []netip.Addr
	DNSServers []netip.Addr
	DNSSet     bool // dns_servers was given, perhaps as an empty list
	NTPServers []netip.Addr
	Domain     string
	LeaseTime  time.Duration
	VLAN       *VLAN
	Options    []Option
	Hosts      []Host
	Ports      []Port
	// RapidCommit, TrustRelayInfo and KnownOnly are as in dhcpd.Network.
	RapidCommit, TrustRelayInfo, KnownOnly bool
	NoWitness                              bool // an address here says nothing of who asks, as among guests
	// MaxLeasesPerMAC and MaxLeasesPerPort (0: any number) are as in dhcpd.Network.
	MaxLeasesPerMAC, MaxLeasesPerPort int
	// Authoritative says whether no other server leases here. nil is "auto": to
	// be found out.
	Authoritative *bool
	Probe         bool // ask the wire before an address is offered

	DeclRange hcl.Range // the block's header
}

// Range is a run of addresses, both ends included.
type Range struct {
	First, Last netip.Addr

	DeclRange hcl.Range
}

// Contains reports whether a lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// VLAN is what options 132 and 133 tell a phone.
type VLAN struct {
	ID       int // 1 to 4094
	Priority int // 0 to 7
}

// Option is a DHCP option as it goes on the wire, without code and length.
type Option struct {
	Code uint8
	Data []byte
}

// Host is a reservation for something that is no phone.
type Host struct {
	MAC     mac.Addr
	Address netip.Addr
	Name    string // one LDH label in lower case, or ""

	DeclRange hcl.Range // the label with the MAC
}

// Port is a reservation for what is plugged in at a place, which a relay or
// switch names in option 82. An identifier that is empty may be any.
type Port struct {
	CircuitID, RemoteID string // octets as on the wire
	Address             netip.Addr
	Name                string // as of Host

	DeclRange hcl.Range // the label
}

// VendorClass gives options to the devices whose option 60 begins with Match.
type VendorClass struct {
	Name    string
	Match   string
	Options []Option

	DeclRange hcl.Range
}

// Provisioning says how phones get their settings.
type Provisioning struct {
	Scheme   string // http, https or tftp
	Secrets  string // lease, certificate or anyone
	HTTPAuth string // off, digest or basic: which credentials are a witness
	PnP      bool
	HTTPPort int
	TFTPPort int

	AuthRange hcl.Range // of http_auth, zero where it is not given
}

// HTTPS is the TLS side of the phones' server. The paths are absolute or
// relative to the working directory, "" where not given.
type HTTPS struct {
	Certificate string
	Key         string
	ClientCA    string
	Port        int
	Legacy      bool // TLS 1.0 and 1.1 too
}

// DNS is the forwarder and its local names.
type DNS struct {
	Forwarders []netip.AddrPort
	Hold       []string // lower case, without the last dot
	Records    []Record
}

// Record is a name that the appliance answers itself.
type Record struct {
	Name      string // lower case, without the last dot
	Addresses []netip.Addr

	DeclRange hcl.Range
}

// Admin is the status page's listener.
type Admin struct {
	Listen   string // host:port, the host an IP address or ""
	Password string // "" for none; then Listen is on loopback
}

// Leases reports whether a network leases an address: it is in a range, or kept for
// a host or a port.
func (c *Config) Leases(addr netip.Addr) bool {
	if _, ok := c.reserved[addr]; ok {
		return true
	}
	n, ok := c.NetworkOf(addr)
	return ok && slices.ContainsFunc(n.Ranges, func(r Range) bool { return r.Contains(addr) })
}

// IsWitness reports whether an address says anything of who asks: not in a network
// of which the configuration says that it does not.
func (c *Config) IsWitness(addr netip.Addr) bool {
	n, ok := c.NetworkOf(addr)
	return !ok || !n.NoWitness
}

// NetworkOf gives the network that addr belongs to.
func (c *Config) NetworkOf(addr netip.Addr) (*Network, bool) {
	for i := range c.Networks {
		if c.Networks[i].Subnet.Contains(addr) {
			return &c.Networks[i], true
		}
	}
	return nil, false
}
