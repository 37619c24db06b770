package dhcpd

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
	"dialtone/internal/mac"
)

const (
	// offerTime is how long an offered address waits for its REQUEST.
	offerTime = time.Minute
	// minLeaseTime is the shortest lease that a client may wish for.
	minLeaseTime = 2 * time.Minute
	// declineTime keeps an address that a client found in use from everyone;
	// declineHostTime is for a reserved one, which is missed sooner.
	declineTime     = 24 * time.Hour
	declineHostTime = 10 * time.Minute
	// claimTime is the longest lease of a client that nobody knows and that was
	// not offered it. Its first renewal gets one of the network's length.
	claimTime = 10 * time.Minute
)

// handler is the server without its sockets, its clock and its disk. One
// goroutine owns it and its table.
type handler struct {
	plan  *plan
	own   map[netip.Addr]bool // addresses of this machine
	table *lease.Table
	pace  *throttle       // nil where nobody sends too much
	known knowledge       // nil where no address is probed
	alone map[string]bool // the interfaces on whose wire there is no other server
	spare [][]byte        // of replies that were sent
}

// buffer gives room for a reply.
func (h *handler) buffer() []byte {
	if n := len(h.spare); n > 0 {
		b := h.spare[n-1]
		h.spare = h.spare[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 640)
}

// reuse takes back the payload of a reply that was sent.
func (h *handler) reuse(payload []byte) {
	if len(h.spare) < groupSize {
		h.spare = append(h.spare, payload)
	}
}

// configure puts a plan, and the addresses of this machine, into effect. The
// leases stay.
func (h *handler) configure(p *plan, own map[netip.Addr]bool) {
	h.plan, h.own = p, own
	h.table.Configure(p.scopes(own))
}

// result is what becomes of one message.
type result struct {
	kind    dhcpv4.MessageType // of the reply, none where nothing is sent
	payload []byte
	to      destination
	from    netip.Addr // our address that the reply comes from, where we have the choice
	// wait says that the reply must not leave before the table's changes are
	// durable.
	wait   bool
	reason reason // why there is no reply, or a NAK
	notes  []note
	addr   netip.Addr // the client's address, for the log
	// probe, where valid, is an address of the network for which the wire has to
	// be asked before there is a reply; it is set aside for the client. The
	// message is to be handled again when the answer is known.
	probe    netip.Addr
	network  *network
	unprobed bool       // the address would have been probed had there been time
	other    netip.Addr // another server, which the client has chosen
}

// reason is a constant text for logs and counters.
type reason string

const (
	reasonNoNetwork    reason = "no network for it"
	reasonOtherServer  reason = "meant for another server"
	reasonUnknown      reason = "unknown client, and not authoritative"
	reasonFull         reason = "no free address"
	reasonCrowd        reason = "too many unknown clients have an offer"
	reasonClaims       reason = "too many unknown clients claim a lease"
	reasonPace         reason = "sends too much"
	reasonPerMAC       reason = "has too many leases"
	reasonPerPort      reason = "its port has too many leases"
	reasonDeclines     reason = "too many addresses are declined"
	reasonStranger     reason = "not a known client"
	reasonWrongNetwork reason = "address is of another network"
	reasonMoved        reason = "has a reserved address now"
	reasonDifferent    reason = "leases another address"
	reasonUnavailable  reason = "address is not free"
	reasonNoAddress    reason = "names no address"
	reasonNoLease      reason = "not the client's lease"
)

// note is something that the administrator should know of. The texts are
// constants: they are what a log is rate-limited by.
type note struct {
	text string
	addr netip.Addr
	by   mac.Addr // who has the address, in noteConflict
}

const (
	noteReserved = "reserved address is taken, using another: end the lease there (dialtone leases release), or find who has it"
	noteFull     = "no free address in network: widen its range, or shorten lease_time"
	noteDeclined = "address declined: it is in use by someone else. It is kept from clients until dialtone leases release, or for a while"
	noteConflict = "address is in use by someone who does not lease it: kept from clients. Exclude it from the range, or have the device ask for a lease"
	noteDropped  = "options do not fit the reply: the network, or a class, has too many or too long ones"
	notePace     = "a client sends too many messages: it gets no answer to some"
	notePerMAC   = "a machine wants more leases than one may have (max_leases_per_mac)"
	notePerPort  = "a port wants more leases than one may have (max_leases_per_port)"
	noteScarce   = "network is nearly full: unknown clients that are no phones wait until those before them have renewed"
	noteClaims   = "too many unknown clients ask for a lease that was not offered to them: they have to begin anew"
)

// handle answers one message. It is a function of the table, the plan and its
// arguments: no clock, no socket, no disk.
func (h *handler) handle(now time.Time, r *request) result {
	x := exchange{handler: h, now: now, r: r, key: r.key()}
	if !r.relayed() && !h.plan.trusts(r.link.name) {
		// RFC 3046 section 2.1: without a relay these are the client's own words.
		r.agent = agent{}
	}
	candidates := x.candidates()
	if len(candidates) == 0 {
		return result{reason: reasonNoNetwork}
	}
	x.choose(candidates)
	x.recall()
	if x.sendsTooMuch() {
		x.note(notePace, netip.Addr{})
		x.out.reason = reasonPace
		return x.out
	}
	switch r.kind {
	case dhcpv4.MessageTypeDiscover:
		x.discover(candidates)
	case dhcpv4.MessageTypeRequest:
		x.request(candidates)
	case dhcpv4.MessageTypeDecline:
		x.decline()
	case dhcpv4.MessageTypeRelease:
		x.release()
	case dhcpv4.MessageTypeInform:
		x.inform()
	}
	return x.out
}

// exchange is one message on its way through the handler.
type exchange struct {
	*handler
	now time.Time
	r   *request
	key lease.Key
	n   *network
	out result
	// fast says that the sender has sent too much, unpaid that the message was not
	// charged to it.
	fast, unpaid bool
	// rapid says that the ACK answers a DISCOVER: its offer is none.
	rapid bool
}

// candidates are the networks that the client may be in: one, or those that
// share its wire. RFC 3527 and 3011 name the network, then the relay's address
// does, then the address that the client has, then the interface.
func (x *exchange) candidates() []*network {
	r := x.r
	named := r.linkSelection
	if !named.IsValid() {
		named = r.subnetSelection
	}
	if !named.IsValid() {
		named = r.giaddr
	}
	if named.IsValid() {
		return x.only(named)
	}
	if r.unicast() && r.ciaddr.IsValid() {
		if c := x.only(r.ciaddr); c != nil {
			return c
		}
	}
	var c []*network
	for _, n := range x.plan.networks {
		if _, ok := r.link.at(n.Subnet); ok && n.Interface == r.link.name {
			c = append(c, n)
		}
	}
	return c
}

func (x *exchange) only(a netip.Addr) []*network {
	for i, n := range x.plan.networks {
		if n.Subnet.Contains(a) {
			return x.plan.networks[i : i+1]
		}
	}
	return nil
}

// choose settles on one network: that of the address which the client speaks
// of, that which knows the client, or the first.
func (x *exchange) choose(candidates []*network) {
	x.n = candidates[0]
	if len(candidates) == 1 {
		return
	}
	for _, n := range candidates {
		if n.host(x.r).Address.IsValid() {
			x.n = n
			return
		}
	}
	for _, a := range []netip.Addr{x.r.ciaddr, x.r.requested} {
		for _, n := range candidates {
			if a.IsValid() && n.Subnet.Contains(a) {
				x.n = n
				return
			}
		}
	}
	for _, n := range candidates {
		if x.table.Binding(n.index, x.key).Active(x.now) {
			x.n = n
			return
		}
	}
}

// recall gives a client that renews past its relay what the relay said of it
// when the lease began: its place, and the server identifier that it knows.
func (x *exchange) recall() {
	if x.r.relayed() || x.r.relayInfo != nil {
		return
	}
	if last := x.table.Binding(x.n.index, x.key); last.Active(x.now) && last.RelayInfo != "" {
		said := readAgent([]byte(last.RelayInfo))
		x.r.circuitID, x.r.remoteID, x.r.serverOverride = said.circuitID, said.remoteID, said.serverOverride
	}
}

// server is our address that the client reaches: on its wire, else the one it
// wrote to, else the interface's first.
func (x *exchange) server() netip.Addr {
	if a, ok := x.r.link.at(x.n.Subnet); ok {
		return a
	}
	if x.own[x.r.dest] || len(x.r.link.addrs) == 0 {
		return x.r.dest
	}
	return x.r.link.addrs[0].Addr()
}

// ours reports whether a server identifier names this server, by an address of
// its own or by the one that a relay gave it (RFC 5107).
func (x *exchange) ours(id netip.Addr) bool {
	return x.own[id] || id == x.r.serverOverride
}

// free reports whether nobody stands in the way of the client at an address. A
// reservation is for the machine, so it takes the address over from its own
// other client identifier: a boot ROM and the system that it starts have two.
func (x *exchange) free(a netip.Addr) bool {
	if x.table.Free(a, x.key, x.now) {
		return true
	}
	l := x.table.At(a)
	if l != nil && l.State == lease.Declined && x.known != nil {
		// What keeps the address from others may be the client itself, which has it
		// from a server before us.
		v, by := x.known.finding(a, x.now)
		return v == findingTaken && by == x.r.mac
	}
	return x.n.host(x.r).Address == a && l.Active(x.now) && l.MAC == x.r.mac
}

// mayHave reports whether the client can be given an address.
func (x *exchange) mayHave(a netip.Addr) bool {
	if x.own[a] || !x.n.Subnet.Contains(a) {
		return false
	}
	host := x.n.host(x.r)
	if _, reserved := x.n.owners[a]; reserved && host.Address != a || !reserved && !x.table.Grants(x.n.index, a) {
		return false
	}
	if x.n.KnownOnly && host == stranger {
		return false
	}
	return x.free(a)
}

// reserved gives the client's reserved address where it can have it.
func (x *exchange) reserved() (netip.Addr, bool) {
	a := x.n.host(x.r).Address
	return a, a.IsValid() && x.mayHave(a)
}

// pick finds the address to offer (RFC 2131 section 4.3.1): the reserved one,
// the one leased now, the one offered a moment ago, the one leased before, the
// one that the client wishes, any.
func (x *exchange) pick() (netip.Addr, bool) {
	if x.tooMany() != "" {
		return netip.Addr{}, false
	}
	if a, ok := x.reserved(); ok {
		return a, true
	} else if a.IsValid() {
		x.note(noteReserved, a)
	}
	last := x.table.Binding(x.n.index, x.key)
	if last.Active(x.now) && x.mayHave(last.Addr) {
		return last.Addr, true
	}
	if a, ok := x.table.Offered(x.n.index, x.key, x.now); ok && x.mayHave(a) {
		return a, true
	}
	if last != nil && x.mayHave(last.Addr) {
		return last.Addr, true
	}
	if x.r.requested.IsValid() && x.mayHave(x.r.requested) {
		return x.r.requested, true
	}
	if x.n.KnownOnly && x.n.host(x.r) == stranger {
		return netip.Addr{}, false
	}
	if a, ok := x.table.Next(x.n.index, x.now); ok {
		return a, true
	}
	return x.table.Evict(x.n.index, x.standing(), x.now)
}

// unknown reports whether the client is not in the configuration, and never had
// a lease but one that it has claimed and not made good.
func (x *exchange) unknown() bool {
	if x.n.host(x.r) != stranger {
		return false
	}
	last := x.table.Binding(x.n.index, x.key)
	if last == nil {
		return true
	}
	if _, claimed := x.table.Claimed(x.n.index, x.key, x.now); claimed {
		return true
	}
	// A claim that has lapsed, or ended early, makes nobody known. That it was one
	// shows in how short it was: after a restart too, when it ends where its record
	// does.
	return !last.Active(x.now) && last.Expiry.Sub(last.Start) <= 2*x.n.claimTime()+x.n.claimTime()/goodAfter
}

// standing is what is known of the client.
func (x *exchange) standing() lease.Standing {
	switch {
	case !x.unknown():
		return lease.Known
	case x.plan.isPhone(x.r):
		return lease.Phone
	default:
		return lease.Stranger
	}
}

// scarce reports whether so little of the network is left that it is for phones
// first: a stranger gets an address as one that claims it does, offered or not.
func (x *exchange) scarce() bool {
	return x.table.Scarce(x.n.index, x.now) && x.standing() == lease.Stranger
}

// goodAfter is the part of a claimed lease after which its client has made it
// good by renewing it: half of what a client waits with that.
const goodAfter = 4

// claimTime is for how long an address is leased to who claims it.
func (n *network) claimTime() time.Duration {
	return max(minLeaseTime, min(claimTime, n.LeaseTime/2))
}

// claims reports whether the client can have an address only as a claim: one
// that nobody knows asks for what it was not offered, or a stranger for some of
// the little that is left. It may be one of a flood, or of an office whose leases
// were lost.
func (x *exchange) claims(a netip.Addr) bool {
	if !x.unknown() {
		return false
	}
	if offered, ok := x.table.Offered(x.n.index, x.key, x.now); ok && offered == a && !x.rapid && !x.scarce() {
		return false
	}
	since, again := x.table.Claimed(x.n.index, x.key, x.now)
	last := x.table.Binding(x.n.index, x.key)
	return !again || !last.Active(x.now) || last.Addr != a || x.now.Sub(since) < x.n.claimTime()/goodAfter
}

// mayClaim reports whether the client can be leased an address now: as its own,
// or as a claim where there are not too many.
func (x *exchange) mayClaim(a netip.Addr) bool {
	switch {
	case !x.claims(a):
		return true
	case x.scarce():
		if x.table.MayShare(x.n.index, x.key, x.now) {
			return true
		}
		x.note(noteScarce, x.n.Subnet.Addr())
	default:
		if x.table.MayClaim(x.n.index, x.key, x.now) {
			return true
		}
		x.note(noteClaims, x.n.Subnet.Addr())
	}
	return false
}

// barred says why a client cannot be leased an address that it may have.
func (x *exchange) barred(a netip.Addr) reason {
	if why := x.tooMany(); why != "" {
		return why
	}
	if !x.mayClaim(a) {
		return reasonClaims
	}
	return ""
}

// tooMany says why a client that has no lease, and is not in the configuration,
// can have none: its machine, or its port, has as many as it may have.
func (x *exchange) tooMany() reason {
	if x.n.host(x.r) != stranger || x.table.Binding(x.n.index, x.key).Active(x.now) {
		return ""
	}
	if x.n.MaxLeasesPerMAC > 0 && x.table.MACHas(x.n.index, x.r.mac, x.n.MaxLeasesPerMAC, x.now) {
		x.note(notePerMAC, x.n.Subnet.Addr())
		return reasonPerMAC
	}
	if port := x.r.port(); x.n.MaxLeasesPerPort > 0 && port != "" && x.table.OfPort(x.n.index, port, x.now) >= x.n.MaxLeasesPerPort {
		x.note(notePerPort, x.n.Subnet.Addr())
		return reasonPerPort
	}
	return ""
}

// payer is a name by which a message counts as someone's, and how often that one
// may send one.
type payer struct {
	name  uint64
	every time.Duration
}

// payers appends the names by which the message counts.
func (x *exchange) payers(list []payer) []payer {
	r := x.r
	list = append(list, payer{x.pace.name('m', r.mac[:]), clientEvery})
	if id := r.clientID; id != "" && !(len(id) == 7 && id[0] == hardwareType && id[1:] == string(r.mac[:])) {
		list = append(list, payer{x.pace.name('c', []byte(id)), clientEvery})
	}
	if port := r.port(); port != "" {
		list = append(list, payer{x.pace.name('p', []byte(port)), clientEvery / time.Duration(cmp.Or(x.n.MaxLeasesPerPort, portClients))})
	}
	return list
}

// sendsTooMuch reports whether the message gets no answer because of those before
// it. A client that asks for what it leases always gets one: it may be somebody
// else that sends in its name.
func (x *exchange) sendsTooMuch() bool {
	if x.pace == nil {
		return false
	}
	var buf [3]payer
	list := x.payers(buf[:0])
	for _, p := range list {
		x.fast = x.fast || !x.pace.allows(x.now, p.name, p.every)
	}
	if x.unpaid = x.keeps(); x.unpaid {
		return false
	}
	if !x.fast {
		for _, p := range list {
			x.pace.charge(x.now, p.name, p.every)
		}
	}
	return x.fast
}

// keeps reports whether the client asks for the address that it leases.
func (x *exchange) keeps() bool {
	r := x.r
	last := x.table.Binding(x.n.index, x.key)
	if r.kind != dhcpv4.MessageTypeRequest || !last.Active(x.now) || last.MAC != r.mac {
		return false
	}
	if r.ciaddr.IsValid() {
		return r.ciaddr == last.Addr
	}
	return r.requested == last.Addr
}

// chargeWrite has the senders of a message that was free pay for the write that
// it costs.
func (x *exchange) chargeWrite() {
	var buf [3]payer
	for _, p := range x.payers(buf[:0]) {
		x.pace.charge(x.now, p.name, p.every)
	}
}

func (x *exchange) discover(candidates []*network) {
	first := x.n
	for range maxConflicts {
		x.n = first
		a, ok := x.pick()
		for i := 0; !ok && i < len(candidates); i++ {
			if candidates[i] != first {
				x.n = candidates[i]
				a, ok = x.pick()
			}
		}
		if !ok {
			x.refuse(first)
			return
		}
		v := x.vet(a)
		if v == findingTaken {
			continue
		}
		if x.out.reason = x.offer(a); x.out.reason != "" {
			return
		}
		if v == findingUnknown {
			x.out.probe, x.out.network = a, x.n
			return
		}
		x.out.unprobed = v == findingSkip
		if x.rapid = x.n.RapidCommit && x.r.rapidCommit; x.rapid && x.mayClaim(a) {
			x.ack(a)
			return
		}
		x.rapid = false
		x.reply(dhcpv4.MessageTypeOffer, a, netip.Addr{}, x.timeOf(a))
		return
	}
	x.out.reason = reasonFull
}

// offer sets an address aside for the client, or says why not. One that nobody
// knows may be one of a flood: it is offered as long as there is room, and where
// little is left only what it may then have.
func (x *exchange) offer(a netip.Addr) reason {
	if x.scarce() && !x.mayClaim(a) {
		return reasonClaims
	}
	standing := x.standing()
	if _, again := x.table.Offered(x.n.index, x.key, x.now); !again && !x.table.Room(x.n.index, standing, x.now) {
		return reasonCrowd
	}
	x.table.Offer(x.n.index, a, x.key, standing, x.now, x.now.Add(offerTime))
	return ""
}

// refuse leaves a client without an address, and says so where it can be told.
func (x *exchange) refuse(n *network) {
	x.n = n
	if why := x.tooMany(); why != "" {
		x.out.reason = why
		return
	}
	if n.KnownOnly && n.host(x.r) == stranger {
		x.out.reason = reasonStranger
		return
	}
	x.note(noteFull, n.Subnet.Addr())
	x.out.reason = reasonFull
	if n.without(x.r) {
		x.reply(dhcpv4.MessageTypeOffer, netip.Addr{}, netip.Addr{}, 0)
	}
}

// vet finds what is known of an address that is to be offered. One that is
// taken is quarantined.
func (x *exchange) vet(a netip.Addr) finding {
	if x.known == nil || !x.n.Probe || !x.unproven(x.n, a, x.now) {
		return findingClean
	}
	v, by := x.known.finding(a, x.now)
	if v != findingTaken {
		return v
	}
	if by == x.r.mac {
		return findingClean // the client itself answers for it
	}
	x.out.notes = append(x.out.notes, x.quarantine(x.now, x.n, a, by)...)
	return v
}

// unproven reports whether an address has had no client for so long, or ever,
// that somebody else may have taken it. A reserved one is the administrator's
// word.
func (h *handler) unproven(n *network, a netip.Addr, now time.Time) bool {
	if _, reserved := n.owners[a]; reserved {
		return false
	}
	l := h.table.At(a)
	switch {
	case l == nil || l.State == lease.Declined:
		return true
	case l.Active(now):
		return false
	default:
		return lease.TimeOf(now).Sub(l.Expiry) >= probeAfter
	}
}

// quarantine keeps an address that somebody uses without a lease from everyone,
// as a declined one is, unless it has been leased since.
func (h *handler) quarantine(now time.Time, n *network, a netip.Addr, by mac.Addr) []note {
	if l := h.table.At(a); l.Active(now) || l != nil && l.State == lease.Declined && lease.TimeOf(now) < l.Expiry {
		return nil
	}
	h.table.Decline(n.index, lease.Lease{Addr: a, MAC: by, Start: lease.TimeOf(now)}, now.Add(declineTime))
	return []note{{text: noteConflict, addr: a, by: by}}
}

// authoritative reports whether no other server leases in the network.
func (x *exchange) authoritative() bool {
	switch x.n.Authoritative {
	case AuthorityYes:
		return true
	case AuthorityNo:
		return false
	default:
		return x.alone[x.n.Interface]
	}
}

// request tells the states of a client apart as RFC 2131 section 4.3.2 does.
func (x *exchange) request(candidates []*network) {
	r := x.r
	switch {
	case r.serverID.IsValid():
		x.selecting(candidates)
	case r.ciaddr.IsValid():
		// RENEWING where it came to us alone, else REBINDING.
		x.confirm(r.ciaddr, r.unicast())
	case r.requested.IsValid():
		x.initReboot()
	default:
		x.broken()
	}
}

// selecting answers a client that took an offer. It is not held to our offer:
// the address may be granted as long as it could be offered, so a restart
// between OFFER and REQUEST costs nobody a round.
func (x *exchange) selecting(candidates []*network) {
	if !x.ours(x.r.serverID) {
		for _, n := range candidates {
			x.table.Withdraw(n.index, x.key)
		}
		x.out.reason = reasonOtherServer
		if !x.r.relayed() {
			x.out.other = x.r.serverID
		}
		return
	}
	a := x.r.requested
	if !a.IsValid() {
		a = x.r.ciaddr
	}
	if !a.IsValid() {
		a, _ = x.table.Offered(x.n.index, x.key, x.now)
	}
	switch {
	case !a.IsValid():
		x.nak(reasonNoAddress)
	case !x.mayHave(a):
		x.nak(reasonUnavailable)
	default:
		if why := x.barred(a); why != "" {
			x.nak(why) // it begins again, and may be offered an address
			return
		}
		x.ack(a)
	}
}

// initReboot answers a client that has restarted and remembers an address.
func (x *exchange) initReboot() {
	if !x.n.Subnet.Contains(x.r.requested) {
		// "Server SHOULD send a DHCPNAK message to the client if the requested IP
		// address is incorrect, or is on the wrong network."
		x.nak(reasonWrongNetwork)
		return
	}
	x.confirm(x.r.requested, false)
}

// confirm answers a client that believes it leases an address. sure says that
// it wrote to this server alone, so that no other can know it.
func (x *exchange) confirm(a netip.Addr, sure bool) {
	reserved, ok := x.reserved()
	if ok && reserved != a {
		x.nak(reasonMoved)
		return
	}
	last := x.table.Binding(x.n.index, x.key)
	switch {
	case last.Active(x.now) && last.Addr == a && x.mayHave(a):
		x.ack(a)
	case last != nil && last.Addr == a && x.mayHave(a):
		x.grant(a)
	case last != nil && last.Addr == a:
		x.nak(reasonUnavailable)
	case last.Active(x.now):
		x.nak(reasonDifferent)
	case ok, x.authoritative() && x.mayHave(a):
		// It is reserved for the client, whoever granted it. Or nobody else leases
		// here, so this was our lease before our table was lost: granting it again
		// rebuilds the table, and no client loses its address.
		x.grant(a)
	case !x.n.Subnet.Contains(a) && (x.authoritative() || sure):
		x.nak(reasonWrongNetwork)
	case x.authoritative() || sure:
		x.nak(reasonUnavailable)
	default:
		// "If the DHCP server has no record of this client, then it MUST remain
		// silent, and MAY output a warning."
		x.out.reason = reasonUnknown
	}
}

// grant leases an address to a client that has none from us, unless it is barred
// from it. Then it may use its address on, asks again later, or begins anew.
func (x *exchange) grant(a netip.Addr) {
	if why := x.barred(a); why != "" {
		x.out.reason = why
		return
	}
	x.ack(a)
}

// broken answers a REQUEST that names no address at all, with the one that the
// client was given.
func (x *exchange) broken() {
	a, ok := x.table.Offered(x.n.index, x.key, x.now)
	if last := x.table.Binding(x.n.index, x.key); !ok && last.Active(x.now) {
		a, ok = last.Addr, true
	}
	switch {
	case ok && x.mayHave(a) && x.barred(a) == "":
		x.ack(a)
	case x.authoritative() || x.r.unicast():
		x.nak(reasonNoAddress)
	default:
		x.out.reason = reasonUnknown
	}
}

// ack leases an address to the client, and says so.
func (x *exchange) ack(a netip.Addr) {
	d, claim := x.timeOf(a), x.claims(a)
	l := x.lease(a)
	l.Expiry = l.Start.Add(d)
	if claim {
		x.out.wait = x.table.BindClaim(x.n.index, l, x.now.Add(x.n.claimTime()), x.now.Add(d+x.n.claimTime()))
	} else {
		x.out.wait = x.table.Bind(x.n.index, l, x.now.Add(d+x.n.LeaseTime))
	}
	ciaddr := x.r.ciaddr
	if ciaddr != a {
		ciaddr = netip.Addr{} // not to be written to: it need not be the client's
	}
	if x.out.wait && x.unpaid {
		x.chargeWrite()
	}
	x.reply(dhcpv4.MessageTypeAck, a, ciaddr, d)
}

func (x *exchange) lease(a netip.Addr) lease.Lease {
	name := x.n.host(x.r).Name
	if name == "" {
		name = x.r.hostName
	}
	relayInfo := ""
	if x.r.relayed() || x.plan.trusts(x.r.link.name) {
		relayInfo = string(x.r.relayInfo)
	}
	last := x.table.Binding(x.n.index, x.key)
	if relayInfo == "" && last.Active(x.now) {
		relayInfo = last.RelayInfo
	}
	if x.fast && last.Active(x.now) {
		// What it says of itself, another thing each time perhaps, is not worth a write.
		return lease.Lease{
			Addr: a, MAC: x.r.mac, ClientID: x.r.clientID,
			HostName: last.HostName, VendorClass: last.VendorClass, RelayInfo: last.RelayInfo, Start: lease.TimeOf(x.now),
		}
	}
	return lease.Lease{
		Addr: a, MAC: x.r.mac, ClientID: x.r.clientID,
		HostName: name, VendorClass: x.r.vendorClass, RelayInfo: relayInfo, Start: lease.TimeOf(x.now),
	}
}

// leaseTime is the network's, or what the client asks for if that is less.
func (x *exchange) leaseTime() time.Duration {
	d := x.n.LeaseTime
	if s := x.r.leaseTime; s != 0 {
		d = min(d, max(time.Duration(s)*time.Second, minLeaseTime))
	}
	return d.Truncate(time.Second)
}

// timeOf is for how long the client is leased an address.
func (x *exchange) timeOf(a netip.Addr) time.Duration {
	d := x.leaseTime()
	if x.claims(a) {
		d = min(d, x.n.claimTime())
	}
	return d
}

// decline believes a client that found its address in use, if it was its
// address.
func (x *exchange) decline() {
	a := x.r.requested
	if x.r.serverID.IsValid() && !x.ours(x.r.serverID) {
		x.out.reason = reasonOtherServer
		return
	}
	offered, _ := x.table.Offered(x.n.index, x.key, x.now)
	last := x.table.Binding(x.n.index, x.key)
	if !a.IsValid() || offered != a && !(last.Active(x.now) && last.Addr == a) {
		x.out.reason = reasonNoLease
		return
	}
	d := declineTime
	if _, ok := x.n.owners[a]; ok {
		d = declineHostTime
	} else if x.n.host(x.r) == stranger && x.declinesTooMany() {
		if !last.Active(x.now) || last.Addr != a {
			x.table.Withdraw(x.n.index, x.key)
			x.out.reason = reasonDeclines
			return
		}
		d = declineHostTime
	}
	x.table.Decline(x.n.index, x.lease(a), x.now.Add(d))
	x.note(noteDeclined, a)
}

// declinesTooMany reports whether a quarter of the network is declined, or
// maxSaidTaken. Who says so of more has made it up, perhaps: two messages take an
// address then, for as long as it is believed.
func (x *exchange) declinesTooMany() bool {
	const few = 4
	declined, of := x.table.Declined(x.n.index, x.now)
	return declined >= min(max(few, of/4), maxSaidTaken)
}

// release ends a lease early. The client gets the same address again as long
// as nobody else needs it.
func (x *exchange) release() {
	if x.r.serverID.IsValid() && !x.ours(x.r.serverID) {
		x.out.reason = reasonOtherServer
		return
	}
	last := x.table.Binding(x.n.index, x.key)
	if !last.Active(x.now) || last.Addr != x.r.ciaddr {
		x.out.reason = reasonNoLease
		return
	}
	x.table.Release(last.Addr, x.now)
}

// inform answers a client that has its address from elsewhere, with options
// and no lease (RFC 2131 section 4.3.5).
func (x *exchange) inform() {
	a := x.r.ciaddr
	if !a.IsValid() {
		a = x.r.source.Addr()
	}
	if !x.r.relayed() && (!a.IsValid() || !x.n.Subnet.Contains(a)) {
		x.out.reason = reasonNoAddress
		return
	}
	x.reply(dhcpv4.MessageTypeAck, netip.Addr{}, a, 0)
}

func (x *exchange) nak(why reason) {
	x.out.reason = why
	x.reply(dhcpv4.MessageTypeNak, netip.Addr{}, netip.Addr{}, 0)
}

func (x *exchange) note(text string, a netip.Addr) {
	if n := (note{text: text, addr: a}); !slices.Contains(x.out.notes, n) {
		x.out.notes = append(x.out.notes, n)
	}
}
