package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"dialtone/bench/internal/rig"
	"dialtone/internal/mac"
)

// server is a peer that runs, on a wire of its own.
type server struct {
	*rig.Process
	site  *rig.Site
	setup setup
	// ready is the time from its start to the first client's ACK.
	ready time.Duration
}

// The networks of the measurements: of a /16, 64,000 addresses are leased. The
// wide one has room for new clients at any rate for as long as a trial takes.
var (
	usual = netip.MustParsePrefix("10.10.0.0/16")
	wide  = netip.MustParsePrefix("10.8.0.0/13")
)

// newSetup makes empty folders for a server below dir. The first 256 addresses
// of the network are the server's and the relay's.
func newSetup(dir string, prefix netip.Prefix) (setup, error) {
	s := setup{
		dir: dir, state: filepath.Join(dir, "state"), prefix: prefix, lease: 12 * time.Hour,
	}
	s.size(1<<(32-prefix.Bits()) - 6<<8)
	if err := os.RemoveAll(dir); err != nil {
		return s, err
	}
	return s, os.MkdirAll(s.state, 0o755)
}

// size sets the range to n addresses, or as many as there are.
func (s *setup) size(n int) {
	four := s.prefix.Masked().Addr().As4()
	first := binary.BigEndian.Uint32(four[:]) + 1<<8
	n = min(n, 1<<(32-s.prefix.Bits())-2<<8)
	s.first, s.last = addrOf(first), addrOf(first+uint32(n)-1)
}

func addrOf(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// boot starts a peer on what its state folder holds, and returns after the
// first successful exchange.
func boot(ctx context.Context, p peer, s setup) (_ *server, err error) {
	args, env, err := p.command(s)
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", p.title, err)
	}
	srv := &server{setup: s}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting %s: %w", p.title, err), srv.stop())
		}
	}()
	if srv.site, err = rig.NewSite(s.prefix); err != nil {
		return nil, err
	}
	start := time.Now()
	if srv.Process, err = srv.site.Run(p.program, args, env, s.dir); err != nil {
		return nil, err
	}
	if _, err = srv.probe(ctx, client(1<<24-1), time.Minute); err != nil {
		return nil, err
	}
	srv.ready = time.Since(start)
	return srv, nil
}

// stop ends the server and takes its wire away.
func (s *server) stop() error { return rig.End(s.site, s.Process) }

// probe has one client behind the relay bound, asking every 50 ms, and says
// how long that took.
func (s *server) probe(ctx context.Context, m mac.Addr, limit time.Duration) (time.Duration, error) {
	r, err := openRelay(s.site)
	if err != nil {
		return 0, err
	}
	defer r.close()
	start, buf := time.Now(), make([]byte, 1500)
	say := rig.Message{Kind: rig.Discover, XID: 0xd1a1, MAC: m, GIAddr: r.local, ClientID: true}
	for time.Since(start) < limit {
		if err := errors.Join(ctx.Err(), s.Alive()); err != nil {
			return 0, err
		}
		if _, err := r.conn.WriteToUDPAddrPort(say.AppendTo(nil), r.server); err != nil {
			return 0, fmt.Errorf("probing: %w", err)
		}
		if err := r.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return 0, err
		}
		for {
			n, err := r.conn.Read(buf)
			if err != nil {
				break // nothing, or nobody listens yet: ask again
			}
			a, ok := rig.ParseReply(buf[:n])
			if !ok || a.XID != say.XID {
				continue
			}
			if a.Kind == rig.ACK {
				return time.Since(start), nil
			}
			if a.Kind == rig.Offer && say.Kind == rig.Discover {
				say.Kind, say.Requested, say.Server = rig.Request, a.YIAddr, a.Server
				break
			}
		}
	}
	return 0, fmt.Errorf("no lease within %s", limit)
}

// copyState makes folder to hold the regular files of folder from and nothing
// else: a lock or a socket is not state.
func copyState(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case d.Type().IsRegular():
			return rig.CopyFile(filepath.Join(to, rel), path)
		}
		return nil
	})
}
