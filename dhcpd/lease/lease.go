// Package lease has the leases of the DHCP server: the table that one goroutine
// owns, the store that makes its changes durable, and the view that others
// read.
package lease

import (
	"net/netip"
	"time"

	"dialtone/internal/mac"
)

// State is what an address is doing.
type State uint8

const (
	// Leased until Expiry. After it the address is free, and the record is kept
	// so that its client gets the same address again.
	Leased State = iota + 1
	// Released by its client, and kept as an expired one is.
	Released
	// Declined by a client that found it in use: not given out until Expiry.
	Declined
)

func (s State) String() string {
	switch s {
	case Leased:
		return "leased"
	case Released:
		return "released"
	case Declined:
		return "declined"
	default:
		return "unknown"
	}
}

// Key names a client within its network: by client identifier (option 61)
// where it sends one, else by hardware address (RFC 2131 section 4.2).
type Key struct {
	ID  string
	MAC mac.Addr // zero where ID is not empty
}

// Lease is one address and its client. Its times are those of Store.Now, which
// are the wall clock's unless that has jumped. It is never changed once it is in a
// table: a change is a new Lease.
type Lease struct {
	Addr        netip.Addr
	MAC         mac.Addr
	State       State
	ClientID    string // option 61 as sent, "" where none was
	HostName    string // one DNS label, "" where the client gave none that is fit
	VendorClass string // option 60 as sent, cut to 64 octets: escape it wherever it is shown
	RelayInfo   string // option 82 as a relay sent it last, "" where none did
	Start       Time
	Expiry      Time // as granted; after a restart, Recorded
	Recorded    Time // the expiry that the store has, never before Expiry
}

// Key gives the name under which the client of l is known.
func (l *Lease) Key() Key {
	if l.ClientID != "" {
		return Key{ID: l.ClientID}
	}
	return Key{MAC: l.MAC}
}

// Active reports whether the address is a client's at that time.
func (l *Lease) Active(now time.Time) bool {
	return l != nil && l.State == Leased && TimeOf(now) < l.Expiry
}

// held reports whether nobody but its own client may have the address.
func (l *Lease) held(now time.Time) bool {
	return l != nil && l.State != Released && TimeOf(now) < l.Expiry
}
