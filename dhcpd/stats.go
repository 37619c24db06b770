package dhcpd

import (
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Stats counts what the server has done since it was made.
type Stats struct {
	Received     Messages // messages that were understood
	Sent         Messages
	Malformed    uint64 // packets that are no message of a client
	Unanswered   uint64 // messages that got no answer though their type asks for one
	Throttled    uint64 // messages that got no answer because their senders send too much
	OverQuota    uint64 // messages that got no answer because there are too many of their kind
	QueueDropped uint64 // packets given up while too many waited
	OptionsCut   uint64 // replies that had no room for all options
	Panics       uint64 // packets that hit a bug in this program
	SendErrors   uint64
	WriteErrors  uint64 // groups of changes that could not be made durable
	WriteDropped uint64 // replies that were not sent because of that
	Probes       uint64 // times that a wire was asked who has an address
	Conflicts    uint64 // addresses that somebody had without a lease
	Unprobed     uint64 // addresses offered without the probe that they should have had
	OtherServers uint64 // signs of other DHCP servers
	// Degraded says why leases cannot be written, "" where they can. Clients renew
	// meanwhile as long as their recorded expiry allows; new ones wait.
	Degraded string
	// Networks are those of the configuration, and what their addresses were doing
	// within the last second.
	Networks []NetworkUsage
}

// Messages counts by message type.
type Messages struct{ Discover, Offer, Request, Decline, Ack, Nak, Release, Inform uint64 }

// counters are Stats while they are counted.
type counters struct {
	received, sent [9]atomic.Uint64 // by message type
	malformed, unanswered, optionsCut, panics,
	sendErrors, writeErrors, writeDropped,
	throttled, overQuota,
	probes, conflicts, unprobed, otherServers atomic.Uint64
}

func (c *counters) stats() Stats {
	return Stats{
		Received:     messages(&c.received),
		Sent:         messages(&c.sent),
		Malformed:    c.malformed.Load(),
		Unanswered:   c.unanswered.Load(),
		Throttled:    c.throttled.Load(),
		OverQuota:    c.overQuota.Load(),
		OptionsCut:   c.optionsCut.Load(),
		Panics:       c.panics.Load(),
		SendErrors:   c.sendErrors.Load(),
		WriteErrors:  c.writeErrors.Load(),
		WriteDropped: c.writeDropped.Load(),
		Probes:       c.probes.Load(),
		Conflicts:    c.conflicts.Load(),
		Unprobed:     c.unprobed.Load(),
		OtherServers: c.otherServers.Load(),
	}
}

func messages(n *[9]atomic.Uint64) Messages {
	at := func(t dhcpv4.MessageType) uint64 { return n[t].Load() }
	return Messages{
		Discover: at(dhcpv4.MessageTypeDiscover), Offer: at(dhcpv4.MessageTypeOffer),
		Request: at(dhcpv4.MessageTypeRequest), Decline: at(dhcpv4.MessageTypeDecline),
		Ack: at(dhcpv4.MessageTypeAck), Nak: at(dhcpv4.MessageTypeNak),
		Release: at(dhcpv4.MessageTypeRelease), Inform: at(dhcpv4.MessageTypeInform),
	}
}
