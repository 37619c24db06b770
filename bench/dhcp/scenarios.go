package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"dialtone/bench/internal/rig"
)

// sizes are how much each scenario does.
type sizes struct {
	small, large int // leases
	part         int // of the large number, at the beginning and the end: is it flat?
	burst, crowd int // phones on the wire
	counted      int // exchanges during which sync calls are counted
	seconds      int // of a trial, of renewing, of the flood
}

var (
	full  = sizes{small: 10_000, large: 50_000, part: 5_000, burst: 250, crowd: 5_000, counted: 5_000, seconds: 10}
	quick = sizes{small: 1_000, large: 3_000, part: 1_000, burst: 25, crowd: 200, counted: 500, seconds: 2}
)

// scenario is one way to measure a server. It starts the server itself, with
// an empty state, and ends it.
type scenario struct {
	name string
	// minutes is about what it takes for one server.
	minutes func(z sizes) float64
	run     func(ctx context.Context, b *bench, p peer) error
}

var scenarios = []scenario{
	{"growth", func(z sizes) float64 { return 0.3 + float64(z.large)/50_000 }, growth},
	{"memory", func(z sizes) float64 { return 0.2 }, memory},
	{"renew", func(z sizes) float64 { return 1.2 + float64(z.seconds)/60 }, renewals},
	{"sync", func(z sizes) float64 { return 0.2 }, syncs},
	{"burst", func(z sizes) float64 { return 0.7 }, bursts},
	{"crowd", func(z sizes) float64 { return 0.1 + float64(z.crowd)/5_000 }, crowd},
	{"hostile", func(z sizes) float64 { return 0.1 + 2*float64(z.seconds)/60 }, hostile},
	{"held", func(z sizes) float64 { return 3 * (0.3 + 16*float64(z.seconds+3)/60) }, held},
}

// growthLimit is after what time a server is given up that gets slower with
// each lease.
const growthLimit = 2 * time.Minute

// growth goes in a closed loop from no lease to the large number.
func growth(ctx context.Context, b *bench, p peer) (err error) {
	s, err := b.boot(ctx, p, usual)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b.record("start", p, float64(s.ready.Milliseconds()))
	before, err := s.Usage(s.setup.state)
	if err != nil {
		return err
	}
	b.record("rss-0", p, rig.Megabytes(before.RSS))
	r, err := openRelay(s.site)
	if err != nil {
		return err
	}
	defer r.close()
	var small int64
	t, err := r.run(ctx, work{
		count: b.sizes.large, spare: window, until: time.Now().Add(growthLimit),
		progress: func(done int) {
			if done == b.sizes.small {
				small, _, _ = s.Memory()
			}
		},
	})
	if err != nil {
		return err
	}
	if t.done == 0 {
		return errors.Join(errors.New("no client was bound"), s.Alive())
	}
	after, err := s.Usage(s.setup.state)
	if err != nil {
		return err
	}
	note := ""
	if t.done < b.sizes.large {
		note = fmt.Sprintf("stopped at %s", rig.Digits(float64(t.done), 0))
	}
	n := float64(t.done)
	b.recordNote("growth", p, t.rate(), note)
	begin, end := parts(t.marks, b.sizes.part)
	b.record("growth-first", p, begin)
	b.recordNote("growth-last", p, end, note)
	if begin > 0 {
		b.recordNote("growth-flat", p, end/begin, note)
	}
	b.record("growth-resent", p, float64(t.resent))
	b.record("cpu", p, (after.CPU-before.CPU).Seconds()/n*10_000)
	b.record("written", p, float64(after.Written-before.Written)/n)
	b.record("device", p, float64(after.Device-before.Device)/n)
	if small > 0 {
		b.record("rss-small", p, rig.Megabytes(small))
	}
	if note == "" {
		b.record("rss-large", p, rig.Megabytes(after.RSS))
		b.record("anon-large", p, rig.Megabytes(after.Anon))
	}
	return nil
}

// parts gives the rates over the first and the last part of what was done,
// from the times of each thousandth; 0 where it did not come to two parts.
func parts(marks []time.Duration, part int) (begin, end float64) {
	k, n := part/mark, len(marks)
	if k == 0 || n < 2*k {
		return 0, 0
	}
	return float64(part) / marks[k-1].Seconds(), float64(part) / (marks[n-1] - marks[n-1-k]).Seconds()
}

// filled starts a server that has n leases, client(0)'s and on, and says which.
// Its range has room for twice as many. Leases that it is seeded with are half
// over.
func (b *bench) filled(ctx context.Context, p peer, prefix netip.Prefix, n int, lease time.Duration) (_ *server, leases []netip.Addr, err error) {
	s, err := b.bootWith(ctx, p, prefix, func(s *setup) error {
		s.size(2*n + window)
		s.lease = lease
		if p.seed == nil {
			return nil
		}
		for a := s.first; len(leases) < n; a = a.Next() {
			leases = append(leases, a)
		}
		return p.seed(*s, leases, time.Now().Add(lease/2))
	})
	if err != nil || p.seed != nil {
		return s, leases, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	r, err := openRelay(s.site)
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	t, err := r.run(ctx, work{count: n, until: time.Now().Add(growthLimit)})
	if err != nil {
		return nil, nil, err
	}
	if t.done < n {
		return nil, nil, errors.Join(fmt.Errorf("only %d of %d clients were bound within %s", t.done, n, growthLimit), s.Alive())
	}
	return s, t.leases, nil
}

// memory is what a server takes that starts with so many leases. It stands in
// for growth where that did not come to them.
func memory(ctx context.Context, b *bench, p peer) error {
	for _, v := range []struct {
		rss, anon string
		leases    int
	}{{"rss-small", "", b.sizes.small}, {"rss-large", "anon-large", b.sizes.large}} {
		if _, ok := b.report.Figures[v.rss][p.name]; ok {
			continue
		}
		s, _, err := b.filled(ctx, p, usual, v.leases, 12*time.Hour)
		if err != nil {
			return err
		}
		rss, anon, err := s.Memory()
		if err := errors.Join(err, s.stop()); err != nil {
			return err
		}
		b.recordNote(v.rss, p, rig.Megabytes(rss), "after a start")
		if v.anon != "" {
			b.recordNote(v.anon, p, rig.Megabytes(anon), "after a start")
		}
	}
	return nil
}

// renewals has the clients of the small number renew once in a closed loop, as
// soon as half their lease is over, which is when clients do. Sooner, some
// servers would save themselves the writing.
func renewals(ctx context.Context, b *bench, p peer) (err error) {
	const lease = 2 * time.Minute // the least that dnsmasq gives
	s, leases, err := b.filled(ctx, p, usual, b.sizes.small, lease)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if p.seed == nil {
		select {
		case <-time.After(lease / 2):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r, err := openRelay(s.site)
	if err != nil {
		return err
	}
	defer r.close()
	before, err := s.Usage(s.setup.state)
	if err != nil {
		return err
	}
	t, err := r.run(ctx, work{leases: leases, until: time.Now().Add(b.period())})
	if err != nil {
		return err
	}
	if t.done == 0 {
		return errors.New("no lease was renewed")
	}
	after, err := s.Usage(s.setup.state)
	if err != nil {
		return err
	}
	n := float64(t.done)
	note := ""
	if t.refused > 0 {
		note = fmt.Sprintf("%d refused", t.refused)
	}
	b.recordNote("renew", p, t.rate(), note)
	b.record("renew-cpu", p, (after.CPU-before.CPU).Seconds()/n*10_000)
	b.record("renew-written", p, float64(after.Written-before.Written)/n)
	return nil
}

// syncs counts the sync calls of a closed loop, apart from what is timed.
func syncs(ctx context.Context, b *bench, p peer) (err error) {
	s, err := b.boot(ctx, p, usual)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	r, err := openRelay(s.site)
	if err != nil {
		return err
	}
	defer r.close()
	var t tally
	n, err := countSyncs(s.PID, s.setup.dir, func() error {
		var err error
		t, err = r.run(ctx, work{count: b.sizes.counted, until: time.Now().Add(growthLimit)})
		return err
	})
	if err != nil {
		return err
	}
	if t.done == 0 {
		return errors.New("no client was bound")
	}
	b.record("sync", p, float64(n)/float64(t.done)*1000)
	return nil
}

// bursts has phones on the wire powered on at the same instant: with the
// server as it is shipped, and without its search for address conflicts.
func bursts(ctx context.Context, b *bench, p peer) error {
	for _, v := range []struct {
		key    string
		probes bool
	}{{"burst", true}, {"burst-trusting", false}} {
		if err := powerOn(ctx, b, p, v.key, b.sizes.burst, v.probes, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

func crowd(ctx context.Context, b *bench, p peer) error {
	return powerOn(ctx, b, p, "crowd", b.sizes.crowd, false, 2*time.Minute)
}

func powerOn(ctx context.Context, b *bench, p peer, key string, n int, probes bool, limit time.Duration) (err error) {
	s, err := b.bootWith(ctx, p, usual, func(s *setup) error {
		s.probes = probes
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	w, err := s.site.OpenWire()
	if err != nil {
		return err
	}
	defer w.Close()
	street := rig.NewStreet(w, n)
	if err := street.PowerOn(ctx, limit); err != nil {
		return err
	}
	waits := street.Waits()
	if len(waits) == 0 {
		return errors.Join(errors.New("no phone was bound"), s.Alive())
	}
	note := ""
	if street.Bound < n {
		note = fmt.Sprintf("%d never within %s", n-street.Bound, limit)
	}
	if d := street.Duplicates(); d > 0 {
		note = fmt.Sprintf("%d ADDRESSES GIVEN TWICE", d)
	}
	b.record(key+"-resent", p, float64(street.Resent))
	b.record(key+"-p50", p, rig.Milliseconds(rig.Quantile(waits, 0.5)))
	b.record(key+"-p99", p, rig.Milliseconds(rig.Quantile(waits, 0.99)))
	b.recordNote(key+"-all", p, rig.Milliseconds(slices.Max(waits)), note)
	return nil
}

// The flood, a second, and how often the known client renews meanwhile.
const (
	junkRate     = 50_000
	discoverRate = 20_000
	renewEvery   = 20 * time.Millisecond
)

// hostile has a known client renew, in peace and then during a flood.
func hostile(ctx context.Context, b *bench, p peer) (err error) {
	s, err := b.boot(ctx, p, usual)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	known, err := moveIn(ctx, s.site)
	if err != nil {
		return err
	}
	defer known.conn.Close()
	quiet, err := known.renew(ctx, renewEvery, b.period()/2)
	if err != nil {
		return err
	}
	before, _, err := s.Memory()
	if err != nil {
		return err
	}

	flood, end := context.WithCancel(ctx)
	defer end()
	var threw sync.WaitGroup
	var njunk, ndiscover int
	var junkErr, discoverErr error
	began := time.Now()
	threw.Go(func() { njunk, junkErr = throwJunk(flood, s.site, junkRate) })
	threw.Go(func() { ndiscover, discoverErr = throwDiscovers(flood, s.site, discoverRate) })
	loud, err := known.renew(flood, renewEvery, b.period())
	took := time.Since(began).Seconds()
	after, _, rssErr := s.Memory()
	end()
	threw.Wait()
	if err := errors.Join(err, rssErr, junkErr, discoverErr); err != nil {
		return errors.Join(err, s.Alive())
	}
	unanswered := 0
	for _, d := range loud {
		if d >= lost {
			unanswered++
		}
	}
	b.record("hostile-quiet", p, rig.Milliseconds(rig.Quantile(quiet, 0.99)))
	b.recordNote("hostile-p99", p, rig.Milliseconds(rig.Quantile(loud, 0.99)),
		strconv.Itoa(unanswered)+" of "+strconv.Itoa(len(loud))+" unanswered")
	b.record("hostile-before", p, rig.Megabytes(before))
	b.record("hostile-after", p, rig.Megabytes(after))
	b.recordNote("hostile-rate", p, float64(njunk+ndiscover)/took, "")
	newcomer, err := s.probe(ctx, client(1<<23), 30*time.Second)
	if err != nil {
		return fmt.Errorf("a new client after the flood: %w", err)
	}
	b.record("hostile-new", p, rig.Milliseconds(newcomer))
	return nil
}

// generators are what begins exchanges at a steady rate.
var generators = []struct {
	name, key string
	run       func(ctx context.Context, b *bench, s *rig.Site, r *relay, first, rate int) (trial, error)
}{
	{"stream", "stream", func(ctx context.Context, b *bench, _ *rig.Site, r *relay, first, rate int) (trial, error) {
		return newStream(r, first, rate, b.period()).run(ctx)
	}},
	{"perfdhcp", "held", func(ctx context.Context, b *bench, s *rig.Site, r *relay, first, rate int) (trial, error) {
		if err := r.close(); err != nil { // its port is perfdhcp's now
			return trial{}, err
		}
		return steady(ctx, s, b.dir, first, rate, b.period())
	}},
}

// held looks for the rate that is held with less than a hundredth lost, by
// clients that are all new, with none, the small and the large number of
// leases there at the beginning.
func held(ctx context.Context, b *bench, p peer) error {
	for _, v := range []struct {
		suffix string
		leases int
	}{{"-0", 0}, {"-small", b.sizes.small}, {"-large", b.sizes.large}} {
		if err := b.held(ctx, p, v.suffix, v.leases); err != nil {
			return fmt.Errorf("held%s: %w", v.suffix, err)
		}
	}
	return nil
}

func (b *bench) held(ctx context.Context, p peer, suffix string, leases int) error {
	srv, _, err := b.filled(ctx, p, wide, leases, 12*time.Hour)
	if err != nil {
		return err
	}
	s := srv.setup
	if err := srv.stop(); err != nil {
		return err
	}
	snapshot := filepath.Join(b.dir, "snapshot")
	if err := copyState(snapshot, s.state); err != nil {
		return fmt.Errorf("keeping the state: %w", err)
	}
	// Each trial begins with the same state, and a range with room for twice
	// as many new clients as there will be: ISC dhcpd and dnsmasq get slower
	// with each address too many, and with each too few. A few clients go
	// before: after a start, Kea looks for its first free address one by one.
	const warm = 4 * window
	fresh := func(clients int, f func(*server, *relay) error) error {
		if err := copyState(s.state, snapshot); err != nil {
			return fmt.Errorf("restoring the state: %w", err)
		}
		s.size(leases + warm + 2*clients + window)
		srv, err := boot(ctx, p, s)
		if err != nil {
			return err
		}
		r, err := openRelay(srv.site)
		if err == nil {
			_, err = r.run(ctx, work{first: 1 << 22, count: warm, until: time.Now().Add(10 * time.Second)})
			if err == nil {
				err = f(srv, r)
			}
			_ = r.close()
		}
		return errors.Join(err, srv.stop())
	}

	// Most of what a closed loop does is near enough to begin with.
	start := 0.0
	const some = 10_000
	err = fresh(some, func(_ *server, r *relay) error {
		t, err := r.run(ctx, work{first: leases, count: some, until: time.Now().Add(2 * time.Second)})
		start = t.rate() * 0.7
		return err
	})
	if err != nil {
		return err
	}
	for _, g := range generators {
		trials := make(map[int]trial) // by rate
		over := math.MaxInt           // the lowest rate that was not held
		best, err := search(start, func(rate int) (bool, error) {
			// One failure may be the machine's: only the second is believed.
			for range 2 {
				var t trial
				err := fresh(rate*b.sizes.seconds, func(srv *server, r *relay) error {
					before, err := srv.site.Overruns()
					if err != nil {
						return err
					}
					if t, err = g.run(ctx, b, srv.site, r, leases, rate); err != nil {
						return err
					}
					t.Overrun, err = srv.site.Overruns()
					t.Overrun -= before
					return err
				})
				if err != nil {
					return false, err
				}
				held := t.held(rate, b.period())
				b.log.Info("trial", "server", p.name, "generator", g.name, "leases", leases, "rate", rate,
					"begun", t.Begun, "acked", t.Acked, "overrun", t.Overrun, "held", held)
				if trials[rate] = t; held {
					return true, nil
				}
			}
			over = min(over, rate)
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		note := ""
		for _, rate := range []int{over, best} {
			if n := trials[rate].Overrun; n > 0 {
				note = fmt.Sprintf("%s itself loses %s answers at %s/s", g.name, rig.Digits(float64(n), 0), rig.Digits(float64(rate), 0))
			}
		}
		b.recordNote(g.key+suffix, p, float64(trials[best].Acked)/b.period().Seconds(), note)
	}
	return nil
}
