package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dialtone/bench/internal/rig"
)

// outcome is what a storm came to.
type outcome struct {
	all, leased    time.Duration
	failed, resent int
	reason         string // of a failure
	cpu            time.Duration
	resident       int64 // at most
}

// storm starts a peer, powers the phones on and stays until all are done.
func (f *office) storm(ctx context.Context, p peer, scenario string) (r outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir := filepath.Join(f.dir, p.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return r, err
	}
	site, err := rig.NewSite(network)
	if err != nil {
		return r, err
	}
	var processes []*rig.Process
	defer func() {
		for _, q := range processes {
			q.Stop(syscall.SIGTERM)
		}
		err = errors.Join(err, site.Close())
	}()
	for _, part := range p.parts {
		args, err := part.command(f, dir)
		if err != nil {
			return r, err
		}
		q, err := site.Run(part.program, args, nil, dir)
		if err != nil {
			return r, err
		}
		processes = append(processes, q)
	}
	if err := ready(ctx, site, processes); err != nil {
		return r, err
	}
	before, err := total(processes)
	if err != nil {
		return r, err
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			if t, err := total(processes); err == nil {
				r.resident = max(r.resident, t.Resident)
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	err = f.boot(ctx, site, scenario, &r)
	close(stop)
	<-stopped
	if err != nil {
		return r, err
	}
	after, err := total(processes)
	r.cpu = after.CPU - before.CPU
	return r, err
}

func total(processes []*rig.Process) (sum rig.Tree, err error) {
	for _, p := range processes {
		t, err := p.Tree()
		if err != nil {
			return sum, errors.Join(err, p.Alive())
		}
		sum.CPU += t.CPU
		sum.Resident += t.Resident
	}
	return sum, nil
}

// ready returns once the image is served over HTTP: every server is up then, as
// DHCP is the first thing that each of them opens.
func ready(ctx context.Context, site *rig.Site, processes []*rig.Process) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		for _, p := range processes {
			if err := p.Alive(); err != nil {
				return err
			}
		}
		conn, err := site.Dial(site.ClientAddr, netip.AddrPortFrom(site.ServerAddr, 80))
		if err == nil {
			return conn.Close()
		}
		if time.Since(begin) > 10*time.Second || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// boot powers the phones on. Over HTTP each goes on as soon as it has its lease;
// over TFTP all do so once all have theirs, and step by step, since one thread
// is all of them.
func (f *office) boot(ctx context.Context, site *rig.Site, scenario string, r *outcome) error {
	w, err := site.OpenWire()
	if err != nil {
		return err
	}
	defer w.Close()
	street := rig.NewStreet(w, f.phones)
	start := time.Now()
	var (
		fetching sync.WaitGroup
		mu       sync.Mutex // guards r
	)
	fail := func(n int, reason string) {
		mu.Lock()
		defer mu.Unlock()
		r.failed += n
		r.reason = reason
	}
	// All addresses are one interface's. dnsmasq has told its kernel the phone's
	// own MAC, so the address is announced, as phones do too.
	if err := site.TrustAnnouncements(); err != nil {
		return err
	}
	address := func(a netip.Addr) error {
		err := site.Client.Do(func() error { return rig.AddAddress(rig.ClientIf, netip.PrefixFrom(a, 32)) })
		return errors.Join(err, w.Announce(site.ClientMAC, a))
	}
	local := make([]netip.Addr, f.phones)
	street.OnBound = func(i int, a netip.Addr) {
		local[i] = a
		fetching.Go(func() {
			err := address(a)
			if err == nil && scenario != "tftp" {
				err = f.fetch(ctx, site, i, a, scenario == "http")
			}
			if err != nil {
				fail(1, err.Error())
			}
		})
	}
	if err := street.PowerOn(ctx, limit); err != nil {
		return err
	}
	for _, wait := range street.Waits() {
		r.leased = max(r.leased, wait)
	}
	fetching.Wait()
	r.resent = street.Resent
	if n := f.phones - street.Bound; n > 0 {
		fail(n, "no lease")
		return nil
	}
	if scenario == "tftp" {
		steps := len(paths(rig.PhoneMAC(0)))
		for step := range steps + 1 {
			l := rig.TFTPLoad{Block: tftpBlock, Local: local, Limit: limit}
			if step < steps {
				l.FileOf = func(i int) string { return paths(rig.PhoneMAC(i))[step] }
			} else {
				l.FileOf = func(int) string { return imagePath }
				l.Size = int64(len(f.image))
			}
			t, err := site.TFTP(ctx, l)
			if err != nil {
				return err
			}
			r.resent += t.Resent
			if t.Failed > 0 {
				fail(t.Failed, t.Reason)
			}
		}
	}
	r.all = time.Since(start)
	return nil
}

// fetch is what the i-th phone reads over HTTP, on one connection.
func (f *office) fetch(ctx context.Context, site *rig.Site, i int, local netip.Addr, image bool) error {
	transport := site.Transport(local)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func(path string, into io.Writer) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%s", site.ServerAddr, path), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", path, resp.Status)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{into}, resp.Body, make([]byte, 128<<10))
		if err == nil && path == imagePath && n != int64(len(f.image)) {
			err = fmt.Errorf("%s: %d octets of %d", path, n, len(f.image))
		}
		return err
	}
	var body bytes.Buffer
	for _, path := range paths(rig.PhoneMAC(i)) {
		body.Reset()
		if err := get(path, &body); err != nil {
			return err
		}
	}
	// The last one is the phone's own.
	if want := fmt.Sprintf("secret-%d<", i); !bytes.Contains(body.Bytes(), []byte(want)) {
		return fmt.Errorf("phone %d did not get its own document", i)
	}
	if image {
		return get(imagePath, io.Discard)
	}
	return nil
}
