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
// is what makes the kernel look. That costs one question about the one address; which
// addresses are ours, a question about all, is asked once in a second whoever asks.
type Table struct {
	onWire func(addr netip.Addr, index int) (mac.Addr, bool, error)
	wires  func() ([]wire, error)

	mu     sync.Mutex
	found  map[pair]finding
	listed []wire
	at     time.Time // of listed
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

// NewTable makes a table over the kernel's.
func NewTable() *Table {
	return &Table{onWire: onWire, wires: wires, found: make(map[pair]finding)}
}

// Lookup gives the MAC of the neighbour that has addr, on the interface that has
// the address local: the one that the neighbour reached. ok is false where nothing is
// known. The answer is as of now or of a second ago.
func (t *Table) Lookup(addr, local netip.Addr, now time.Time) (m mac.Addr, ok bool, err error) {
	addr, local = addr.Unmap().WithZone(""), local.Unmap().WithZone("")
	if !addr.Is4() || !local.Is4() || addr == local {
		return mac.Addr{}, false, nil
	}
	who := pair{addr, local}
	t.mu.Lock()
	f, ok := t.found[who]
	if age := now.Sub(f.at); ok && 0 <= age && age < remembered {
		t.mu.Unlock()
		return f.mac, true, nil
	}
	index, ok, err := t.interfaceOf(addr, local, now)
	t.mu.Unlock()
	if ok {
		m, ok, err = t.onWire(addr, index)
	}
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

// interfaceOf finds the interface that has the address local, where addr is on its
// wire too. It must be called with mu held.
func (t *Table) interfaceOf(addr, local netip.Addr, now time.Time) (index int, ok bool, err error) {
	if age := now.Sub(t.at); t.at.IsZero() || age < 0 || age >= remembered {
		list, err := t.wires()
		if err != nil {
			return 0, false, err
		}
		t.listed, t.at = list, now
	}
	for _, w := range t.listed {
		if w.local.Addr() == local && w.local.Contains(addr) {
			return w.index, true, nil
		}
	}
	return 0, false, nil
}
