package neighbour

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"dialtone/internal/mac"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var (
		local  = netip.MustParseAddr("192.0.2.1")
		other  = netip.MustParseAddr("192.0.2.2") // of ours on another wire
		phone  = netip.MustParseAddr("192.0.2.9")
		absent = netip.MustParseAddr("192.0.2.10")
		broken = netip.MustParseAddr("192.0.2.11")
		one    = mac.Addr{0, 4, 0x13, 0, 0, 1}
		two    = mac.Addr{0, 4, 0x13, 0, 0, 2}
		start  = time.Unix(1000, 0)
	)
	here, asked, listed := one, 0, 0
	table := NewTable()
	table.wires = func() ([]wire, error) {
		listed++
		return []wire{{netip.MustParsePrefix("192.0.2.1/24"), 1}, {netip.MustParsePrefix("192.0.2.2/24"), 2}, {netip.MustParsePrefix("10.0.0.1/8"), 3}}, nil
	}
	table.onWire = func(addr netip.Addr, _ int) (mac.Addr, bool, error) {
		asked++
		switch addr {
		case absent:
			return mac.Addr{}, false, nil
		case broken:
			return mac.Addr{}, false, errors.New("no")
		}
		return here, true, nil
	}
	for i, tt := range []struct {
		addr, local netip.Addr
		after       time.Duration
		here        mac.Addr
		want        mac.Addr // zero: nobody
		asked       int      // in all
	}{
		{phone, local, 0, one, one, 1},
		{phone, local, 0, two, one, 1},
		{phone, local, remembered - 1, two, one, 1},
		{phone, other, 0, two, two, 2}, // reached elsewhere, it is another question
		{phone, local, remembered, two, two, 3},
		{phone, local, 0, one, one, 4}, // the clock was set back
		{absent, local, 0, one, mac.Addr{}, 5},
		{absent, local, 0, one, mac.Addr{}, 6},
		{broken, local, 0, one, mac.Addr{}, 7},
		{broken, local, 0, one, mac.Addr{}, 8},
		{netip.MustParseAddr("198.51.100.1"), local, 0, one, mac.Addr{}, 8}, // behind a router
		{phone, netip.MustParseAddr("192.0.2.3"), 0, one, mac.Addr{}, 8},    // an address that is not ours
		{netip.MustParseAddr("::ffff:192.0.2.9"), local, 0, two, one, 8},
		{local, local, 0, one, mac.Addr{}, 8},
		{netip.Addr{}, netip.Addr{}, 0, one, mac.Addr{}, 8},
	} {
		here = tt.here
		m, ok, err := table.Lookup(tt.addr, tt.local, start.Add(tt.after))
		if m != tt.want || ok != !tt.want.IsZero() || (err != nil) != (tt.addr == broken) || asked != tt.asked {
			t.Errorf("%d: %v, %v, %v, asked %d times; want %v, %d times", i, m, ok, err, asked, tt.want, tt.asked)
		}
	}
	listed = 0
	a := netip.MustParseAddr("10.0.0.1")
	for range 3 * maxFound {
		a = a.Next()
		if _, _, err := table.Lookup(a, netip.MustParseAddr("10.0.0.1"), start.Add(time.Minute)); err != nil || len(table.found) > maxFound {
			t.Fatalf("%d addresses are kept, %v", len(table.found), err)
		}
	}
	if len(table.found) == 0 || listed != 1 {
		t.Errorf("a flood has the addresses listed %d times", listed)
	}
}
