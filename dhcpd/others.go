package dhcpd

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dialtone/dhcpd/probe"
	"dialtone/internal/mac"
)

const (
	// tries DISCOVERs are sent at the start, tryEvery apart: a switch port may
	// let the first ones go astray. The server is alone on the wire when none
	// was answered.
	tries    = 3
	tryEvery = 700 * time.Millisecond
	// seekEvery is how often the wire is asked later on, and seekJitter how much
	// of it is left to chance: two servers must not ask in step.
	seekEvery  = 45 * time.Second
	seekJitter = 10 * time.Second
	// presence is how long a server is taken to be there after it was noticed.
	presence = 5 * time.Minute
	// reportEvery is how often a server that stays is logged.
	reportEvery = time.Hour
	// maxOthers bounds what is remembered: names of servers are a client's word.
	maxOthers = 64
)

// OtherServer is a DHCP server on one of our wires that is not this one.
type OtherServer struct {
	Interface string
	Server    netip.Addr // its identifier (option 54)
	MAC       mac.Addr   // zero where only its clients were heard
	Offered   netip.Addr // to us, not valid where it has not answered us
	First     time.Time
	Last      time.Time
}

// others remembers the other servers, and of which wires it is known that none
// is there.
type others struct {
	mu       sync.Mutex
	seen     map[otherKey]*OtherServer
	reported map[otherKey]time.Time
	asked    map[string]bool // interfaces whose wire has been asked
}

type otherKey struct {
	iface  string
	server netip.Addr
}

func newOthers() *others {
	return &others{seen: map[otherKey]*OtherServer{}, reported: map[otherKey]time.Time{}, asked: map[string]bool{}}
}

// noticed remembers a server, and reports whether it was not there before, and
// whether it is to be spoken of: it was not for an hour.
func (o *others) noticed(now time.Time, iface string, found probe.Server) (s OtherServer, fresh, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := otherKey{iface, found.ID}
	o.forget(now)
	known := o.seen[key]
	if known == nil {
		if len(o.seen) >= maxOthers {
			return OtherServer{}, false, false
		}
		known = &OtherServer{Interface: iface, Server: found.ID, First: now}
		o.seen[key] = known
		fresh = true
	}
	known.Last = now
	if !found.MAC.IsZero() {
		known.MAC = found.MAC
	}
	if found.Answer && found.Offered.IsValid() {
		known.Offered = found.Offered
	}
	last, said := o.reported[key]
	tell = now.Sub(last) >= reportEvery && (said || len(o.reported) < maxOthers)
	if tell {
		o.reported[key] = now
	}
	return *known, fresh, tell
}

// forget drops the servers that are there no more. o.mu is locked.
func (o *others) forget(now time.Time) {
	maps.DeleteFunc(o.seen, func(_ otherKey, s *OtherServer) bool { return now.Sub(s.Last) >= presence })
	maps.DeleteFunc(o.reported, func(_ otherKey, t time.Time) bool { return now.Sub(t) >= reportEvery })
}

// ask notes that a wire has been asked, or, with done not set, that it has to
// be.
func (o *others) ask(iface string, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[iface] = done
}

// alone gives for each interface whether no other server is on its wire; where
// it is not known yet, nothing.
func (o *others) alone(now time.Time) map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(now)
	alone := maps.Clone(o.asked)
	maps.DeleteFunc(alone, func(_ string, asked bool) bool { return !asked })
	for key := range o.seen {
		alone[key.iface] = false
	}
	return alone
}

// list gives the servers that are there, by interface and identifier.
func (o *others) list(now time.Time) []OtherServer {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(now)
	var list []OtherServer
	for _, s := range o.seen {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b OtherServer) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Server.Compare(b.Server))
	})
	return list
}

// Others gives the DHCP servers that were noticed within the last minutes on
// the wires that this one serves.
func (s *Server) Others() []OtherServer { return s.others.list(s.now()) }

// seeker looks for DHCP servers on one wire.
type seeker interface {
	Discover() error
	Receive() (probe.Server, error)
	Close() error
}

// seek looks for other servers on a wire until the context ends.
func (s *Server) seek(ctx context.Context, log *slog.Logger, ifi *net.Interface) {
	name := ifi.Name
	s.others.ask(name, false)
	s.judge()
	found, err := s.openSeeker(ifi, s.client)
	if err != nil {
		log.Warn(`other DHCP servers are not looked for: authoritative = "auto" stays off`, keyErr, err)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.listenForServers(ctx, name, found)
	}()
	defer func() {
		found.Close()
		<-done
	}()
	for i := 0; ; i++ {
		// An error is the interface's, and seen by who watches it.
		_ = found.Discover()
		wait := tryEvery
		if i >= tries {
			wait = seekEvery + rand.N(seekJitter)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if i == tries-1 {
			s.others.ask(name, true)
		}
		s.judge()
	}
}

func (s *Server) listenForServers(ctx context.Context, name string, found seeker) {
	for {
		server, err := found.Receive()
		if err == nil {
			s.noticed(name, server)
		} else if closed(ctx, err) {
			return
		}
	}
}

// closed reports whether a socket is done with. After any other error it waits
// a moment, so that one which comes for ever uses no whole processor.
func closed(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return true
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
	return false
}

// noticed takes note of a server on a wire, if it is not this one.
func (s *Server) noticed(iface string, found probe.Server) {
	if s.isOwn(found.ID) {
		return
	}
	s.counters.otherServers.Add(1)
	now := s.now()
	other, fresh, tell := s.others.noticed(now, iface, found)
	if tell {
		s.log.Warn("another DHCP server answers: clients may get their lease there, without our options", keyIface, iface, keyIP, other.Server, keyMAC, other.MAC)
	}
	if fresh {
		s.judge()
	}
}

// isOwn reports whether an address is this machine's.
func (s *Server) isOwn(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		for _, own := range l.addrs {
			if own.Addr() == a {
				return true
			}
		}
	}
	return false
}

// judge tells the handler where no other server is, and the log what follows
// for a network that leaves it to that.
func (s *Server) judge() {
	s.judging.Lock()
	defer s.judging.Unlock()
	alone := s.others.alone(s.now())
	s.alone.Store(&alone)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.plan.networks {
		is, known := alone[n.Interface]
		was, told := s.told[n.Name]
		if n.Authoritative != AuthorityAuto || !known || told && is == was {
			continue
		}
		s.told[n.Name] = is
		if is {
			s.log.Info("authoritative: no other DHCP server is on the wire", keyIface, n.Interface, "network", n.Name)
		} else {
			s.log.Warn("not authoritative: another DHCP server is on the wire", keyIface, n.Interface, "network", n.Name)
		}
	}
}
