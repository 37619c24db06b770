package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"
)

// A stream goes over a socket, and of its exchanges those are lost whose
// messages the server does not hear, or refuses.
func TestStream(t *testing.T) {
	t.Parallel()
	const first, rate, period = 200, 1000, 100 * time.Millisecond
	deaf := func(kind byte, m mac.Addr) bool {
		n := int(m[4])<<8 | int(m[5])
		return kind == rig.Discover && n%20 == 7 || kind == rig.Request && n%20 == 13
	}
	server := loopback(t)
	go serve(server, deaf)
	r := newRelay(loopback(t), netip.MustParseAddr("192.0.2.2"), server.LocalAddr().(*net.UDPAddr).AddrPort())
	s := newStream(r, first, rate, period)
	s.slack = time.Minute // however slow the machine is, all are begun
	s.wait = 3 * time.Second
	got, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Of the clients 200 to 299, five are not heard when they look for an address,
	// five when they take it, and 255 is refused.
	if want := (trial{Begun: 100, Acked: 89}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestStreamEndsEarly(t *testing.T) {
	t.Parallel()
	server := loopback(t) // says nothing
	r := newRelay(loopback(t), netip.MustParseAddr("192.0.2.2"), server.LocalAddr().(*net.UDPAddr).AddrPort())
	s := newStream(r, 0, 1000, 10*time.Second)
	s.wait = time.Millisecond
	got, err := s.run(t.Context())
	if err != nil || got.Acked != 0 || got.Begun == 0 || got.Begun == len(s.exchanges) {
		t.Errorf("%+v, error %v; want some begun, not all %d", got, err, len(s.exchanges))
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newStream(r, 0, 1000, time.Hour).run(ctx); err == nil {
		t.Error("a stream went on after its context ended")
	}
}

func TestStreamHears(t *testing.T) {
	t.Parallel()
	const wait = streamWait
	s := newStream(nil, 0, 4, time.Second)
	s.begun.Store(3) // all at once
	answer := func(client uint32, kind byte) rig.Reply { return rig.Reply{Kind: kind, XID: streamXID | client} }
	for _, c := range []struct {
		name    string
		reply   rig.Reply
		at      time.Duration
		request bool
		acked   int64
	}{
		{"a client that has not begun", answer(3, rig.Offer), 0, false, 0},
		{"a client that will never be", answer(9, rig.Offer), 0, false, 0},
		{"the closed loop's", rig.Reply{Kind: rig.Offer, XID: 1}, 0, false, 0},
		{"an ACK before the REQUEST", answer(0, rig.ACK), 0, false, 0},
		{"an OFFER, just in time", answer(0, rig.Offer), wait, true, 0},
		{"another OFFER", answer(0, rig.Offer), wait, false, 0},
		{"the ACK, a second after the REQUEST", answer(0, rig.ACK), 2 * wait, false, 1},
		{"another ACK", answer(0, rig.ACK), 2 * wait, false, 1},
		{"an OFFER too late", answer(1, rig.Offer), wait + 1, false, 1},
		{"an OFFER to the third", answer(2, rig.Offer), 10, true, 1},
		{"a NAK", answer(2, rig.NAK), 10, false, 1},
		{"an ACK too late", answer(2, rig.ACK), wait + 11, false, 1},
	} {
		if got := s.hear(c.reply, c.at); got != c.request || s.acked.Load() != c.acked {
			t.Errorf("%s: to be taken %t, %d acknowledged; want %t, %d", c.name, got, s.acked.Load(), c.request, c.acked)
		}
	}
}
