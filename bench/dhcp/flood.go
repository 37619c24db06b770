package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"
)

// pace calls send every millisecond with how many are due, so that rate a second
// are sent until the context ends. What it is behind by more than slack it does
// not catch up with.
func pace(ctx context.Context, rate int, slack time.Duration, send func(n int) error) (sent int, err error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last, owed := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return sent, nil
		case <-tick.C:
		}
		now := time.Now()
		owed = min(owed+now.Sub(last).Seconds()*float64(rate), slack.Seconds()*float64(rate))
		last = now
		if n := int(owed); n > 0 {
			if err := send(n); err != nil {
				return sent, err
			}
			sent += n
			owed -= float64(n)
		}
	}
}

// floodSlack is what a flood may be behind.
const floodSlack = 200 * time.Millisecond

// junk are datagrams that a server has to see through: noise, cut short, no
// cookie, a reply, lengths that lie, options that overrun, an empty client-id.
func junk(r *rand.Rand) [][]byte {
	good := func(edit func(b []byte)) []byte {
		b := rig.Message{Kind: rig.Discover, XID: r.Uint32(), MAC: mac.Addr{2, 0, 0, 0, 0, 1}, ClientID: true}.AppendTo(nil)
		edit(b)
		return b
	}
	noise := make([]byte, 300)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return [][]byte{
		noise,
		noise[:7],
		good(func([]byte) {})[:rig.HeaderLen+4],
		good(func(b []byte) { b[rig.HeaderLen] = 0 }),
		good(func(b []byte) { b[0] = 2 }),
		good(func(b []byte) { b[2] = 255 }),
		good(func(b []byte) { b[rig.HeaderLen+5] = 255 }),
		good(func(b []byte) { copy(b[rig.HeaderLen+4:], []byte{61, 0, 53, 1, 1, 255}) }),
		good(func(b []byte) {
			for i := rig.HeaderLen + 4; i < len(b); i++ {
				b[i] = 53
			}
		}),
	}
}

// throwJunk sends rate junk datagrams a second to the server's port.
func throwJunk(ctx context.Context, s *rig.Site, rate int) (int, error) {
	conn, err := s.Listen(netip.AddrPortFrom(s.ClientAddr, 0))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	batch := ipv4.NewPacketConn(conn)
	kinds := junk(rand.New(rand.NewPCG(1, 2)))
	to := &net.UDPAddr{IP: s.ServerAddr.AsSlice(), Port: rig.ServerPort}
	out := make([]ipv4.Message, 64)
	for i := range out {
		out[i] = ipv4.Message{Buffers: [][]byte{kinds[i%len(kinds)]}, Addr: to}
	}
	return pace(ctx, rate, floodSlack, func(n int) error {
		for n > 0 {
			k, err := batch.WriteBatch(out[:min(n, len(out))], 0)
			if err != nil {
				return fmt.Errorf("sending junk: %w", err)
			}
			n -= k
		}
		return nil
	})
}

// throwDiscovers broadcasts rate DISCOVERs a second, each from a MAC that is
// made up.
func throwDiscovers(ctx context.Context, s *rig.Site, rate int) (int, error) {
	w, err := s.OpenWire()
	if err != nil {
		return 0, err
	}
	defer w.Close()
	r := rand.New(rand.NewPCG(3, 4))
	var payload, frame []byte
	return pace(ctx, rate, floodSlack, func(n int) error {
		for range n {
			from := mac.Addr{0x02}
			binary.BigEndian.PutUint32(from[2:], r.Uint32())
			payload = rig.Message{Kind: rig.Discover, XID: r.Uint32(), MAC: from}.AppendTo(payload[:0])
			frame = rig.AppendFrame(frame[:0], from, payload)
			if err := w.Send(frame); err != nil {
				return fmt.Errorf("sending a DISCOVER: %w", err)
			}
		}
		return nil
	})
}

// tenant is a client with a lease that renews it by unicast, as in RENEWING.
type tenant struct {
	conn   *net.UDPConn
	server netip.AddrPort
	mac    mac.Addr
	addr   netip.Addr
}

// moveIn has the interface's own MAC bound as an on-link client, and gives the
// interface the address.
func moveIn(ctx context.Context, s *rig.Site) (*tenant, error) {
	w, err := s.OpenWire()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	street := rig.NewStreet(w, 1)
	street.Phones[0].MAC = s.ClientMAC
	if err := street.PowerOn(ctx, 30*time.Second); err != nil {
		return nil, err
	}
	p := street.Phones[0]
	if p.State != rig.ACK {
		return nil, errors.New("the known client got no lease within 30 s")
	}
	if err := s.Client.Do(func() error { return rig.AddAddress(rig.ClientIf, netip.PrefixFrom(p.Addr, 32)) }); err != nil {
		return nil, err
	}
	conn, err := s.Listen(netip.AddrPortFrom(p.Addr, rig.ClientPort))
	if err != nil {
		return nil, err
	}
	return &tenant{conn: conn, server: netip.AddrPortFrom(s.ServerAddr, rig.ServerPort), mac: p.MAC, addr: p.Addr}, nil
}

// lost is what a renewal counts that is not answered within a second.
const lost = time.Second

// renew renews every interval for the given time, and gives the time that
// each took.
func (t *tenant) renew(ctx context.Context, every, period time.Duration) ([]time.Duration, error) {
	count := int(period / every)
	sent, took := make([]time.Time, count), make([]time.Duration, count)
	for i := range took {
		took[i] = lost
	}
	var mu sync.Mutex // guards sent and took
	var reading sync.WaitGroup
	var readErr error
	reading.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, err := t.conn.Read(buf)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					readErr = fmt.Errorf("reading the answer to a renewal: %w", err)
				}
				return
			}
			now := time.Now()
			if r, ok := rig.ParseReply(buf[:n]); ok && r.Kind == rig.ACK && int(r.XID) < count {
				mu.Lock()
				if at := sent[r.XID]; !at.IsZero() {
					took[r.XID] = min(took[r.XID], now.Sub(at))
				}
				mu.Unlock()
			}
		}
	})
	defer reading.Wait()
	if err := t.conn.SetReadDeadline(time.Now().Add(period + lost)); err != nil {
		return nil, err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range count {
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), t.conn.SetReadDeadline(time.Now()))
		case <-tick.C:
		}
		m := rig.Message{Kind: rig.Request, XID: uint32(i), MAC: t.mac, CIAddr: t.addr, Class: rig.VendorClass}.AppendTo(nil)
		mu.Lock()
		sent[i] = time.Now()
		mu.Unlock()
		if _, err := t.conn.WriteToUDPAddrPort(m, t.server); err != nil {
			return nil, errors.Join(fmt.Errorf("sending a renewal: %w", err), t.conn.SetReadDeadline(time.Now()))
		}
	}
	reading.Wait()
	return took, readErr
}
