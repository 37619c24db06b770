package neighbour

import (
	"net/netip"
	"sync"
	"time"

	"dialtone/internal/mac"
)

// A Table remembers for a moment whom the kernel found, so that a client that asks
// for much does not have the kernel asked each time. Its own table goes back for
// longer. Whom it did not find is asked about again: the answer to the first packet
// is what makes the kernel look.
type Table struct {
	lookup func(addr, local netip.Addr) (mac.Addr, bool, error)

	mu    sync.Mutex
	found map[pair]finding
}

type pair struct{ addr, local netip.Addr }

type finding struct {
	mac mac.Addr
	at  time.Time
}

const (
	remembered = time.Second
	maxFound   = 1024
)

// NewTable makes a table over [Lookup].
func NewTable() *Table { return &Table{lookup: Lookup, found: make(map[pair]finding)} }

// Lookup is [Lookup], as of now or of a second ago.
func (t *Table) Lookup(addr, local netip.Addr, now time.Time) (m mac.Addr, ok bool, err error) {
	who := pair{addr, local}
	t.mu.Lock()
	f, ok := t.found[who]
	t.mu.Unlock()
	if age := now.Sub(f.at); ok && 0 <= age && age < remembered {
		return f.mac, true, nil
	}
	m, ok, err = t.lookup(addr, local)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || !ok {
		delete(t.found, who)
		return mac.Addr{}, false, err
	}
	if len(t.found) >= maxFound {
		clear(t.found)
	}
	t.found[who] = finding{m, now}
	return m, true, nil
}
