package dhcpd

import (
	"log/slog"
	"time"

	"dialtone/dhcpd/lease"
)

// NetworkUsage is a network's part of Stats.
type NetworkUsage struct {
	Name string
	lease.Usage
}

// Pool use, in percent of the addresses that the ranges of a network give out,
// at which the administrator is told, and how far it has to fall for that to be
// over: a lease that comes and goes is no news. Offers do not count: they are
// gone in a minute.
var usageMarks = [...]int{80, 95}

const usageSlack = 5

// surveyEvery is how often usage is looked at.
const surveyEvery = time.Second

// usage lists the networks, in the order of the configuration.
func (h *handler) usage(now time.Time) []NetworkUsage {
	list := make([]NetworkUsage, 0, len(h.plan.networks))
	for _, n := range h.plan.networks {
		list = append(list, NetworkUsage{n.Name, h.table.Usage(n.index, now)})
	}
	return list
}

// marks has the mark that each network has passed, by its name. One without is
// at none.
type marks map[string]int

// crossing is a network whose use has passed a mark, or fallen below it: then
// mark is what it is still above, 0 where that is none.
type crossing struct {
	NetworkUsage
	mark int
	up   bool
}

// cross notes the use of networks, and gives those that have crossed a mark.
func (m marks) cross(list []NetworkUsage) (crossings []crossing) {
	for _, u := range list {
		before, now := m[u.Name], 0
		for _, mark := range usageMarks {
			end := mark
			if mark <= before {
				end -= usageSlack
			}
			if u.Size > 0 && 100*(u.Leased+u.Declined) >= end*u.Size {
				now = mark
			}
		}
		if now != before {
			m[u.Name] = now
			crossings = append(crossings, crossing{u, now, now > before})
		}
	}
	return crossings
}

// survey publishes how full the networks are, and says when one fills up.
func (s *Server) survey(now time.Time) {
	if now.Before(s.nextSurvey) {
		return
	}
	s.nextSurvey = now.Add(surveyEvery)
	list := s.handler.usage(now)
	s.usage.Store(&list)
	for _, c := range s.marks.cross(list) {
		level, text := slog.LevelWarn, "network is filling up: widen its range, or shorten lease_time"
		if !c.up {
			level, text = slog.LevelInfo, "network has more free addresses again"
		}
		s.limited(now, level, text, "network", c.Name, "above", c.mark, "size", c.Size, "leased", c.Leased, "declined", c.Declined, "free", c.Free)
	}
}
