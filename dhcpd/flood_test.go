package dhcpd

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"dialtone/dhcpd/lease"
)

func TestQueueOrder(t *testing.T) {
	t.Parallel()
	q := newQueue(8)
	push := func(b byte, kind dhcpv4.MessageType) {
		q.push(&packet{data: []byte{b}, kind: kind})
	}
	for i := range 8 {
		push(byte(i), dhcpv4.MessageTypeDiscover)
		push(byte(10+i), dhcpv4.MessageTypeRequest)
	}
	var got []byte
	for range 5 {
		batch, _ := q.take(context.Background(), nil, 4)
		for _, p := range batch {
			got = append(got, p.data[0])
		}
	}
	// A REQUEST goes first, but never alone while others wait.
	want := []byte{10, 11, 12, 0, 13, 14, 15, 1, 16, 17, 2, 3, 4, 5, 6, 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		packet []byte
		want   dhcpv4.MessageType
		err    error
	}{
		{"DISCOVER", raw(53, 1, 1, 255), dhcpv4.MessageTypeDiscover, nil},
		{"after others", raw(0, 12, 1, 'a', 53, 1, 3, 255), dhcpv4.MessageTypeRequest, nil},
		{"in the file field, perhaps", raw(52, 1, 1, 255), 0, nil},
		{"cut off", raw(53, 1), 0, nil},
		{"no options", raw(), 0, nil},
		{"reply", edit(raw(53, 1, 2, 255), 0, 2), 0, errNoRequest},
		{"short", make([]byte, 100), 0, errShort},
		{"no cookie", edit(raw(53, 1, 1, 255), offCookie, 0), 0, errCookie},
		{"token ring", edit(raw(53, 1, 1, 255), 1, 6), 0, errHardware},
	} {
		if got, err := admit(c.packet); got != c.want || err != c.err {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// TestQueueIsFair has three interfaces, one of them flooded: the others lose
// nothing, and have their turn.
func TestQueueIsFair(t *testing.T) {
	t.Parallel()
	q := newQueue(8)
	push := func(iface string, b byte, holds bool) {
		q.push(&packet{data: []byte{b}, kind: dhcpv4.MessageTypeRequest, holds: holds, link: &link{name: iface}})
	}
	for i := range 100 {
		push("guests", byte(i), false)
	}
	push("office", 200, false)
	push("cellar", 201, false)
	push("office", 202, false)
	push("office", 203, true)
	var got []byte
	batch, _ := q.take(context.Background(), nil, 8)
	for _, p := range batch {
		got = append(got, p.data[0])
	}
	if diff := cmp.Diff([]byte{203, 201, 92, 200, 93, 202, 94, 95}, got); diff != "" || q.lost() != 92 {
		t.Errorf("%d lost (-want +got):\n%s", q.lost(), diff)
	}
	push("office", 204, false)
	push("guests", 99, false)
	push("cellar", 205, false)
	q.remove("guests")
	q.remove("attic")
	batch, _ = q.take(context.Background(), nil, 8)
	got = got[:0]
	for _, p := range batch {
		got = append(got, p.data[0])
	}
	slices.Sort(got)
	if diff := cmp.Diff([]byte{204, 205}, got); diff != "" || len(q.lanes) != 2 {
		t.Errorf("without the flooded interface: %d interfaces (-want +got):\n%s", len(q.lanes), diff)
	}
}

// TestFlood has a network full of junk and of clients that nobody knows, which
// look for a lease or claim to have had one: the memory stays what it is, half of
// a large network stays free of either, and a known client renews each time. How
// soon is for bench/dhcp to say.
func TestFlood(t *testing.T) {
	c := office()
	c.Networks[0].Subnet = netip.MustParsePrefix("192.0.0.0/22")
	c.Networks[0].Ranges = []lease.Range{{First: netip.MustParseAddr("192.0.0.10"), Last: netip.MustParseAddr("192.0.2.97")}} // 600
	s, _ := newTestServer(t, c, io.Discard)
	w := start(t, s)
	known := netip.MustParseAddr("192.0.2.10")
	w.in <- from(1, dhcpv4.MessageTypeDiscover, optRequested, 4, 192, 0, 2, 10)
	w.next(t)
	w.in <- requestFor(1, 10)
	w.next(t)

	var before, after runtime.MemStats
	sent := 0 // of each kind, and as much junk again
	flood := func(n int) {
		rnd := rand.New(rand.NewPCG(3, 4))
		junk := make([]byte, 300)
		packet := from(0, dhcpv4.MessageTypeDiscover)
		reboot := from(0, dhcpv4.MessageTypeRequest, optRequested, 4, 192, 0, 0, 0)
		requested := bytes.LastIndexByte(reboot, optRequested) + 2
		for range n {
			sent++
			for i := range junk {
				junk[i] = byte(rnd.Uint32())
			}
			w.in <- bytes.Clone(junk)
			w.in <- bytes.Clone(junk)
			binary.BigEndian.PutUint32(packet[offCHAddr+2:], rnd.Uint32())
			w.in <- bytes.Clone(packet)
			binary.BigEndian.PutUint32(reboot[offCHAddr+2:], rnd.Uint32())
			binary.BigEndian.PutUint16(reboot[requested+2:], uint16(rnd.IntN(3<<8)))
			w.in <- bytes.Clone(reboot)
		}
	}
	flood(1000)
	runtime.GC()
	runtime.ReadMemStats(&before)

	stop := make(chan struct{})
	acks := make(chan struct{}, 1)
	flooders := make(chan map[netip.Addr]bool)
	go func() {
		claimed := map[netip.Addr]bool{}
		for {
			select {
			case r := <-w.out:
				a := netip.AddrFrom4([4]byte(r.payload[offYIAddr:]))
				switch {
				case r.kind() == dhcpv4.MessageTypeAck && a != known:
					claimed[a] = true
				case r.kind() == dhcpv4.MessageTypeAck:
					select {
					case acks <- struct{}{}:
					default: // it came too late
					}
				}
			case <-stop:
				flooders <- claimed
				return
			}
		}
	}()
	flooded := make(chan struct{})
	go func() { flood(10_000); close(flooded) }()
	var took []time.Duration
	for over := false; !over; { // the last one when all of the flood is read
		select {
		case <-flooded:
			over = true
		default:
		}
		began := time.Now()
		w.in <- renewal(1, 10)
		select {
		case <-acks:
			took = append(took, time.Since(began))
		case <-time.After(tooLong):
			t.Fatal("a renewal got no answer")
		}
	}
	close(stop)
	got := <-flooders
	slices.Sort(took)
	var u lease.Usage
	if err := s.do(t.Context(), func() { u = s.handler.table.Usage(0, s.now()) }); err != nil {
		t.Fatal(err)
	}
	if n := len(got); n == 0 || n > 300 || u.Offered == 0 || u.Offered > 300 {
		t.Errorf("%d of 600 addresses were leased to the flood, and %d are offered", n, u.Offered)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the memory grew by %d octets", grown)
	}
	st := s.Stats()
	t.Logf("%d renewals, the slowest %v; %d junk, %d DISCOVERs, %d dropped, heap %d to %d", len(took), took[len(took)-1], st.Malformed, st.Received.Discover, st.QueueDropped, before.HeapAlloc, after.HeapAlloc)
	if st.Malformed != uint64(2*sent) || st.Received.Discover == 0 || len(took) == 0 {
		t.Errorf("that was no flood: %d renewals, %+v", len(took), st)
	}
}
