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
		phone  = netip.MustParseAddr("192.0.2.9")
		absent = netip.MustParseAddr("192.0.2.10")
		broken = netip.MustParseAddr("192.0.2.11")
		one    = mac.Addr{0, 4, 0x13, 0, 0, 1}
		two    = mac.Addr{0, 4, 0x13, 0, 0, 2}
		start  = time.Unix(1000, 0)
	)
	here, asked := one, 0
	table := NewTable()
	table.lookup = func(addr, _ netip.Addr) (mac.Addr, bool, error) {
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
		{phone, phone, 0, two, two, 2}, // reached elsewhere, it is another question
		{phone, local, remembered, two, two, 3},
		{phone, local, 0, one, one, 4}, // the clock was set back
		{absent, local, 0, one, mac.Addr{}, 5},
		{absent, local, 0, one, mac.Addr{}, 6},
		{broken, local, 0, one, mac.Addr{}, 7},
		{broken, local, 0, one, mac.Addr{}, 8},
	} {
		here = tt.here
		m, ok, err := table.Lookup(tt.addr, tt.local, start.Add(tt.after))
		if m != tt.want || ok != !tt.want.IsZero() || (err != nil) != (tt.addr == broken) || asked != tt.asked {
			t.Errorf("%d: %v, %v, %v, asked %d times; want %v, %d times", i, m, ok, err, asked, tt.want, tt.asked)
		}
	}
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxFound {
		a = a.Next()
		if _, _, err := table.Lookup(a, local, start); err != nil || len(table.found) > maxFound {
			t.Fatalf("%d addresses are kept, %v", len(table.found), err)
		}
	}
}
