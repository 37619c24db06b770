package main

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"
)

// serve answers what comes to conn as a server does that gives the n-th client
// the address 10.0.0.0 + n, and does not hear the messages that deaf names.
func serve(conn *net.UDPConn, deaf func(kind byte, m mac.Addr) bool) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		asked := buf[:n]
		m, kind := mac.Addr(asked[28:34]), asked[rig.HeaderLen+6]
		if deaf(kind, m) {
			continue
		}
		answer := byte(rig.Offer)
		if kind == rig.Request {
			answer = rig.ACK
			if m[5] == 0xff {
				answer = rig.NAK
			}
		}
		answered := bytes.Clone(asked[:rig.HeaderLen+4]) // and the cookie
		answered[0] = 2
		copy(answered[16:], []byte{10, m[3], m[4], m[5]})
		_, _ = conn.WriteToUDPAddrPort(append(answered, 53, 1, answer, 54, 4, 192, 0, 2, 1, 255), from)
	}
}

func loopback(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestRelay(t *testing.T) {
	t.Parallel()
	heard := make(map[byte]bool)
	server := loopback(t)
	go serve(server, func(kind byte, m mac.Addr) bool {
		// The first message of each type of client 7 is lost.
		first := m == client(7) && !heard[kind]
		heard[kind] = heard[kind] || first
		return first
	})
	r := newRelay(loopback(t), netip.MustParseAddr("192.0.2.2"), server.LocalAddr().(*net.UDPAddr).AddrPort())

	var last int
	bound, err := r.run(t.Context(), work{count: 2100, progress: func(done int) { last = done }})
	if err != nil {
		t.Fatal(err)
	}
	// Of 2,100 clients, eight have a MAC that ends in ff and are refused.
	if bound.done != 2092 || bound.refused != 8 || bound.resent != 2 || last != 2092 || len(bound.marks) != 2 {
		t.Errorf("done %d, refused %d, sent again %d, last told %d, marks %d; want 2092, 8, 2, 2092, 2",
			bound.done, bound.refused, bound.resent, last, len(bound.marks))
	}
	if got, want := bound.leases[0x203], netip.MustParseAddr("10.0.2.3"); got != want {
		t.Errorf("client 515 was bound to %s, want %s", got, want)
	}
	if got := bound.leases[255]; got.IsValid() {
		t.Errorf("client 255 was refused and has %s", got)
	}

	renewed, err := r.run(t.Context(), work{leases: bound.leases[:200]})
	if err != nil {
		t.Fatal(err)
	}
	if renewed.done != 200 || renewed.resent != 0 || renewed.refused != 0 {
		t.Errorf("renewed %d, sent again %d, refused %d", renewed.done, renewed.resent, renewed.refused)
	}

	stopped, err := r.run(t.Context(), work{count: 1 << 20, until: time.Now()})
	if err != nil || stopped.done > 1<<19 {
		t.Errorf("went on to %d, error %v", stopped.done, err)
	}

	spared, err := r.run(t.Context(), work{first: 10, count: 100, spare: window})
	if err != nil {
		t.Fatal(err)
	}
	if spared.done < 100 {
		t.Errorf("done %d of 100", spared.done)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.run(ctx, work{count: 10}); err == nil {
		t.Error("the relay went on after its context ended")
	}
}
