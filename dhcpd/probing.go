package dhcpd

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"dialtone/dhcpd/probe"
	"dialtone/internal/mac"
)

// How addresses are probed ahead of demand, so that an offer need not wait: so
// many of those that come next are known to be clean, for so long. On a wire of
// ours a newcomer is heard when it first speaks ARP, which makes an old verdict
// a good one; behind a relay it is not.
const (
	aheadOnLink  = 256
	cleanOnLink  = 5 * time.Minute
	aheadRelayed = 32
	cleanRelayed = time.Minute

	// aheadBurst addresses are asked for each aheadEvery while there are unknown
	// ones; a verdict is renewed each renewEvery, in the last fifth of its time;
	// with nothing to do the next look is after idleEvery.
	aheadBurst = 8
	aheadEvery = 50 * time.Millisecond
	renewEvery = 250 * time.Millisecond
	idleEvery  = time.Second

	// muteTime is how long nobody in a network is asked after that has failed.
	muteTime = 10 * time.Second

	// maxAnswers is how many answers wait to be read. An ARP storm is no reason
	// to use more memory.
	maxAnswers = 1024
)

// asker asks for an address and hears who has one.
type asker interface {
	Ask(netip.Addr) error
	Receive() (probe.Answer, error)
	Close() error
}

// answers takes what askers hear to the goroutine that answers clients.
type answers struct {
	mu   sync.Mutex
	list []probe.Answer
}

func (l *answers) push(a probe.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) < maxAnswers {
		l.list = append(l.list, a)
	}
}

// take gives what has come, and takes buf for what will.
func (l *answers) take(buf []probe.Answer) []probe.Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.list
	l.list = buf[:0]
	return taken
}

// hear passes on what an asker hears, until it is closed.
func (s *Server) hear(ctx context.Context, a asker) {
	for {
		answer, err := a.Receive()
		if err != nil {
			if closed(ctx, err) {
				return
			}
			continue
		}
		s.answers.push(answer)
		s.queue.nudge()
	}
}

// asker gives the way to ask for an address of a network, nil where there is
// none: ARP where the network is on a wire of ours, else ICMP.
func (s *Server) asker(n *network) (a asker, onLink bool) {
	p := s.ports[n.Interface]
	if p == nil {
		return nil, false
	}
	if _, onLink = p.link.Load().at(n.Subnet); onLink {
		return p.arp, true
	}
	return s.echo, false
}

// reaches reports whether there is a way to ask for an address.
func (s *Server) reaches(a netip.Addr, now time.Time) bool {
	n := s.handler.plan.at(a)
	if n == nil || now.Before(s.mute[n.Name]) {
		return false
	}
	way, _ := s.asker(n)
	return way != nil
}

// ask sends a probe, and notes when it ends. Where that cannot be, as where no
// route leads, the network is left alone for a while.
func (s *Server) ask(now time.Time, n *network, a netip.Addr, wait time.Duration) bool {
	way, onLink := s.asker(n)
	if way == nil || way.Ask(a) != nil {
		s.mute[n.Name] = now.Add(muteTime)
		return false
	}
	s.counters.probes.Add(1)
	keep := cleanRelayed
	if onLink {
		keep = cleanOnLink
	}
	s.checks.begin(a, now.Add(wait), keep)
	return true
}

// park keeps a packet until it is known whether its address is in use.
func (s *Server) park(now time.Time, p *packet, n *network, a netip.Addr) {
	p.parked = true
	if s.checks.asking[a] == nil && !s.ask(now, n, a, patience) {
		s.one(now, p) // cannot come here again
		return
	}
	if before := s.checks.park(a, p, now); before != nil {
		before.parked = false
		s.queue.put([]*packet{before})
	}
}

// probing takes the answers that have come and ends the probes that have had
// none. It appends the packets that waited for them to batch.
func (s *Server) probing(batch []*packet) []*packet {
	now := s.now()
	s.checks.busy = len(batch) > busyGroup
	s.heard = s.answers.take(s.heard)
	for _, a := range s.heard {
		if s.checks.asking[a.Addr] != nil && !s.checks.believes(a.MAC) {
			s.limited(now, slog.LevelWarn, "a machine answers for many addresses, as a proxy does, or many machines do: it is not believed", keyMAC, a.MAC, keyIP, a.Addr)
			continue
		}
		waited, conflict := s.checks.answered(a.Addr, a.MAC, now)
		if waited != nil {
			batch = append(batch, waited)
		}
		if n := s.handler.plan.at(a.Addr); conflict && waited == nil && n != nil {
			// The client's own answer is no conflict; where none waits there is none.
			s.notes(now, n.Interface, a.MAC, s.handler.quarantine(now, n, a.Addr, a.MAC))
		}
	}
	return s.checks.expire(batch, now)
}

// probeAhead asks for some of the addresses that come next, and sets the alarm
// for when there is more to do.
func (s *Server) probeAhead() {
	now := s.now()
	if !now.Before(s.lookAhead) {
		s.lookAhead = now.Add(s.aheadStep(now))
		s.checks.forget(now)
	}
	at := s.lookAhead
	if ends, ok := s.checks.next(); ok && ends.Before(at) {
		at = ends
	}
	s.alarm.Reset(max(time.Millisecond, at.Sub(now)))
}

// aheadStep probes ahead in each network, and says when to go on.
func (s *Server) aheadStep(now time.Time) time.Duration {
	if s.checks.busy {
		return aheadEvery
	}
	next := idleEvery
	for _, n := range s.handler.plan.networks {
		way, onLink := s.asker(n)
		if !n.Probe || way == nil || now.Before(s.mute[n.Name]) {
			continue
		}
		count, keep := aheadRelayed, cleanRelayed
		if onLink {
			count, keep = aheadOnLink, cleanOnLink
		}
		s.upcoming = s.handler.table.Upcoming(s.upcoming[:0], n.index, now, count)
		unknown, renewed := 0, false
		for _, a := range s.upcoming {
			k := s.checks.known[a]
			switch {
			case s.checks.asking[a] != nil || !s.handler.unproven(n, a, now):
			case k == nil || !now.Before(k.until):
				if unknown++; unknown <= aheadBurst {
					s.ask(now, n, a, aheadPatience)
				}
			case k.finding == findingClean && !renewed && k.until.Sub(now) < keep/5:
				renewed = s.ask(now, n, a, aheadPatience)
			}
		}
		switch {
		case unknown > 0:
			next = min(next, aheadEvery)
		case renewed:
			next = min(next, renewEvery)
		}
	}
	return next
}

// openEchoes opens the way to ask behind relays. Without it such addresses are
// offered unprobed.
func (s *Server) openEchoes(ctx context.Context) asker {
	if s.openEcho == nil {
		return nil
	}
	a, err := s.openEcho()
	if err != nil {
		s.log.Warn("addresses behind relays are offered without a probe", keyErr, err)
		return nil
	}
	go s.hear(ctx, a) // until it is closed
	return a
}

// openWire opens the way to ask on a port's wire. Without it its addresses are
// offered unprobed.
func (s *Server) openWire(log *slog.Logger, p *port, ifi *net.Interface) {
	if s.openARP == nil {
		return
	}
	a, err := s.openARP(ifi)
	if err != nil {
		log.Warn("addresses are offered without a probe", keyErr, err)
		return
	}
	p.arp = a
}

func openARP(ifi *net.Interface) (asker, error) { return probe.OpenARP(ifi) }

func openEcho() (asker, error) { return probe.OpenEcho() }

func openSeeker(ifi *net.Interface, client mac.Addr) (seeker, error) {
	return probe.OpenServers(ifi, client)
}
