package provision

import (
	"net/http"
	"net/netip"
	"slices"
	"time"

	"dialtone/internal/mac"
)

// Who may read a phone's own document: the values of Config.Secrets and of
// profiles.Phone.Secrets. Anything else is held as SecretsLease.
const (
	SecretsLease       = "lease"       // the address that a witness ties to its MAC, or a stronger witness
	SecretsCertificate = "certificate" // a TLS client certificate with its MAC
	SecretsAnyone      = "anyone"
)

// The witnesses, the strongest last.
const (
	ByNeighbour   = "neighbour"   // the wire says that the address is the phone's
	ByLease       = "lease"       // the address was leased to the phone
	ByCredentials = "credentials" // it knows what only its own file told it
	ByCertificate = "certificate" // it has the key of its maker's certificate
)

// Witness says who holds an address. Only leases that run count.
type Witness interface {
	// Client gives the phone that holds a, and its vendor class (option 60). One
	// phone may hold several, while it moves from one VLAN to another.
	Client(a netip.Addr) (m mac.Addr, vendorClass string, ok bool)
}

// Neighbours says who has an address that is not for us to lease.
type Neighbours interface {
	// Neighbour gives the MAC that has a, on the wire by which local was reached.
	Neighbour(a, local netip.Addr) (m mac.Addr, ok bool)
}

type nobody struct{}

func (nobody) Client(netip.Addr) (mac.Addr, string, bool)        { return mac.Addr{}, "", false }
func (nobody) Neighbour(netip.Addr, netip.Addr) (mac.Addr, bool) { return mac.Addr{}, false }

// identity is what the witnesses say of who asks.
type identity struct {
	mac         mac.Addr // zero where none knows
	by          string   // the witness of mac
	vendorClass string
	devices     []mac.Addr // of a certificate that holds
	certificate error      // why the one that was shown does not
}

func (d *Desk) identify(r Request) identity {
	var id identity
	if m, class, ok := d.witness.Client(r.Source); ok {
		id.mac, id.vendorClass, id.by = m, class, ByLease
	} else if m, ok := d.neighbours.Neighbour(r.Source, r.Local); ok {
		id.mac, id.by = m, ByNeighbour
	}
	if len(r.Certificates) > 0 && d.devices != nil {
		id.devices, id.certificate = d.devices(r.Certificates, d.now())
		if id.mac.IsZero() && len(id.devices) == 1 {
			id.mac, id.by = id.devices[0], ByCertificate
		}
	}
	return id
}

// errShutOut is the answer to a source that was shut out. It costs nothing: no
// line in the log, nothing in the register.
var errShutOut = &Refusal{
	Status: http.StatusForbidden,
	Reason: "too many requests from here were for what belongs to others: none of that kind is answered for a while",
}

// guard decides whether r may have what is kept for own, and by which witness. The
// error is a *Refusal.
func (d *Desk) guard(set documents, own mac.Addr, r Request, id identity) (by string, err error) {
	mode := d.secrets()
	if phone, _ := set.Phone(own); phone.Secrets != "" {
		mode = phone.Secrets
	}
	switch {
	case mode == SecretsAnyone:
		return "", nil
	case slices.Contains(id.devices, own):
		return ByCertificate, nil
	case mode == SecretsCertificate:
		return "", d.missed(r, certificateRefusal(own, r, id, d.devices != nil))
	}
	auth := d.auth()
	asks := asksFor(auth) && r.Protocol != protocolTFTP
	switch {
	case id.mac == own && asks && d.shows(auth, own, r):
		return ByCredentials, nil // what is more than its address is not passed over
	case id.mac == own:
		return id.by, nil
	case asks:
		return d.login(auth, own, r)
	}
	return "", d.missed(r, refuse(http.StatusForbidden,
		"what belongs to %s goes only to its own address, leased here or seen on the wire, and %s is not it: let the phone use DHCP, then restart it", own, r.Source))
}

// shows reports whether r has the credentials of own, though nobody asked. It tells
// nobody who guesses.
func (d *Desk) shows(auth string, own mac.Addr, r Request) bool {
	return r.Authorization != "" && d.credentials(auth, own, r) == credentialsRight
}

// login is the guard's way in for who has credentials.
func (d *Desk) login(auth string, own mac.Addr, r Request) (by string, err error) {
	if d.misses.barred(r.Source, d.now()) {
		return "", errShutOut // else who goes on guessing would be told when it is right
	}
	said := credentialsNone
	if r.Authorization != "" {
		said = d.credentials(auth, own, r)
	}
	if said == credentialsRight {
		return ByCredentials, nil
	}
	refusal := refuse(http.StatusUnauthorized, "what belongs to %s goes only to its own address, or with its http_client_user and http_client_pass", own)
	refusal.Challenges = d.challenges(auth, said == credentialsStale)
	if said == credentialsWrong {
		return "", d.missed(r, refusal)
	}
	return "", refusal // how everybody begins who has credentials: no miss
}

// admit asks the guard, and notes who turned out to be there.
func (d *Desk) admit(set documents, own mac.Addr, r Request, id identity, e *event) error {
	by, err := d.guard(set, own, r, id)
	if err == nil && by != "" {
		e.mac, e.by = own, by
	}
	return err
}

func certificateRefusal(own mac.Addr, r Request, id identity, checked bool) *Refusal {
	switch {
	case len(r.Certificates) == 0:
		return refuse(http.StatusForbidden,
			"what belongs to %s goes only over HTTPS to who shows its certificate, and none was shown: let the phone use https", own)
	case !checked:
		return refuse(http.StatusForbidden, "what belongs to %s goes only to its certificate, and none can be checked here", own)
	case id.certificate != nil:
		return refuse(http.StatusForbidden, "what belongs to %s goes only to its certificate, and the one that was shown does not hold: %v", own, id.certificate)
	}
	if len(id.devices) == 0 {
		return refuse(http.StatusForbidden, "what belongs to %s goes only to its certificate, and the one that was shown names no MAC: its common name is %.40q",
			own, r.Certificates[0].Subject.CommonName)
	}
	return refuse(http.StatusForbidden, "what belongs to %s goes only to its certificate, and the one that was shown is that of %s", own, id.devices[0])
}

// missed counts a refusal against its source.
func (d *Desk) missed(r Request, refusal *Refusal) *Refusal {
	misses := &d.misses
	if r.Protocol == protocolTFTP {
		misses = &d.forgeable
	}
	switch misses.miss(r.Source, d.now()) {
	case slowed:
		d.wait(missSlow)
		misses.waited()
	case shut:
		if held, ok := d.refusals.Allow(netip.Addr{}, d.now()); ok {
			d.log.Warn("source shut out: it asks for what belongs to others", "ip", r.Source.String(), "protocol", r.Protocol,
				"until", d.now().Add(shutOut).Format(time.RFC3339), "unlogged", held)
		}
	case stillShut:
		return errShutOut
	case answered:
	}
	refusal.miss = true
	return refusal
}
