package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

// bench is a run.
type bench struct {
	sizes    sizes
	only     *regexp.Regexp
	dir      string
	report   *rig.Report
	log      *slog.Logger
	servers  []*server
	document []byte
	image    []byte
}

var scenarios = []string{"documents", "images", "tftp", "misuse"}

// load is one line of the table and how it is measured.
type load struct {
	key, title    string
	clients       int
	path          string // over HTTP
	once          bool   // a connection for each request
	block, window int    // over TFTP
}

var documents = []load{
	{key: "keep-50", title: "documents/s, 50 connections kept alive", clients: 50, path: document},
	{key: "keep-250", title: "… 250 connections", clients: 250, path: document},
	{key: "once-50", title: "documents/s, a connection each, 50 at once", clients: 50, path: document, once: true},
	{key: "once-250", title: "… 250 at once", clients: 250, path: document, once: true},
}

var images = []load{
	{key: "image-1", title: "image of 20 MB over HTTP, MB/s, 1 download", clients: 1, path: image},
	{key: "image-50", title: "… 50 downloads", clients: 50, path: image},
}

var tftps = []load{
	{key: "tftp-512-1", title: "TFTP, MB/s, blocks of 512, 1 client", clients: 1, block: 512, window: 1},
	{key: "tftp-512-50", title: "… 50 clients", clients: 50, block: 512, window: 1},
	{key: "tftp-1428-1", title: "TFTP, MB/s, blocks of 1,428, 1 client", clients: 1, block: 1428, window: 1},
	{key: "tftp-1428-50", title: "… 50 clients", clients: 50, block: 1428, window: 1},
	{key: "tftp-window-1", title: "TFTP, MB/s, 8 blocks of 1,428 in a window, 1 client", clients: 1, block: 1428, window: 8},
	{key: "tftp-window-50", title: "… 50 clients", clients: 50, block: 1428, window: 8},
}

func rows(z sizes) []rig.Row {
	var all []rig.Row
	for _, l := range documents {
		all = append(all, rig.Row{Key: l.key, Title: l.title},
			rig.Row{Key: l.key + "-cpu", Title: "… CPU seconds per 10,000", Less: true, Decimals: 2})
	}
	for _, l := range slices.Concat(images, tftps) {
		all = append(all, rig.Row{Key: l.key, Title: l.title},
			rig.Row{Key: l.key + "-cpu", Title: "… CPU seconds per GB", Less: true, Decimals: 2})
	}
	missing, burst := rig.Digits(float64(z.missing), 0), rig.Digits(float64(z.burst), 0)
	return append(all,
		rig.Row{Key: "missing", Title: "TFTP, requests/s for files that are not there, 64 at once"},
		rig.Row{Key: "missing-left", Title: "… sockets left behind by " + missing, Less: true},
		rig.Row{Key: "burst-sockets", Title: burst + " TFTP requests at once: sockets", Less: true},
		rig.Row{Key: "resident", Title: "resident MB at the end", Less: true, Decimals: 1},
	)
}

// scenario measures all servers.
func (b *bench) scenario(ctx context.Context, name string) error {
	switch name {
	case "documents":
		return b.each(ctx, documents, 10_000, b.wrk)
	case "images":
		return b.each(ctx, images, 1_000, b.wrk)
	case "tftp":
		return b.each(ctx, tftps, 1_000, b.tftp)
	}
	return b.misuse(ctx)
}

// trial is what a load came to: requests and octets in a second, and the time of
// the processors.
type trial struct {
	rate   float64 // of what the row counts
	amount float64 // of it, in all
	cpu    time.Duration
	note   string
}

// each measures loads, server after server in turns, so that what disturbs the
// machine for a while disturbs them all. CPU time is given per so many documents,
// or megabytes.
func (b *bench) each(ctx context.Context, loads []load, per float64, measure func(context.Context, *server, load) (trial, error)) error {
	for _, l := range loads {
		if !b.only.MatchString(l.key) {
			continue
		}
		got := make(map[*server][]trial)
		for range b.sizes.rounds {
			for _, s := range b.servers {
				if l.path != "" && !s.http || l.block > 0 && !s.tftp || l.window > 1 && !s.windows {
					continue
				}
				before, err := s.Tree()
				if err != nil {
					return err
				}
				t, err := measure(ctx, s, l)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.title, l.key, err)
				}
				after, err := s.Tree()
				if err != nil {
					return err
				}
				t.cpu = after.CPU - before.CPU
				got[s] = append(got[s], t)
			}
		}
		for s, trials := range got {
			slices.SortFunc(trials, func(x, y trial) int { return int(x.rate - y.rate) })
			t := trials[len(trials)/2]
			b.record(l.key, s, t.rate, t.note)
			if t.amount > 0 {
				b.record(l.key+"-cpu", s, t.cpu.Seconds()/t.amount*per, "")
			}
		}
	}
	for _, s := range b.servers {
		t, err := s.Tree()
		if err != nil {
			return err
		}
		b.record("resident", s, rig.Megabytes(t.Resident), "")
	}
	return nil
}

func (b *bench) record(key string, s *server, value float64, note string) {
	b.log.Info("measured", "server", s.name, "what", key, "value", value, "note", note)
	b.report.Record(key, s.name, rig.Figure{Value: value, Note: note})
}

// wrkScript has wrk print its figures in a form to be read: requests, the time
// in µs, octets, and all kinds of errors.
const wrkScript = `done = function(s)
  local e = s.errors
  io.write(string.format("\nfigures %d %d %d %d\n", s.requests, s.duration, s.bytes, e.connect + e.read + e.write + e.status + e.timeout))
end
`

// wrk asks for one path over and over.
func (b *bench) wrk(ctx context.Context, s *server, l load) (trial, error) {
	script, out := filepath.Join(b.dir, "figures.lua"), filepath.Join(b.dir, "wrk.txt")
	if err := os.WriteFile(script, []byte(wrkScript), 0o644); err != nil {
		return trial{}, err
	}
	// wrk counts in whole seconds.
	seconds := max(1, int(b.sizes.period.Seconds()))
	args := []string{"-t1", "-c" + strconv.Itoa(l.clients), "-d" + strconv.Itoa(seconds), "-s", script, "--timeout", "30s"}
	if l.once {
		args = append(args, "-H", "Connection: close")
	}
	p, err := s.site.Client.Start(exec.Command("wrk", append(args, s.url(l.path))...), out)
	if err != nil {
		return trial{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, b.sizes.period+20*time.Second)
	defer cancel()
	if err := p.Wait(bounded); err != nil {
		return trial{}, fmt.Errorf("running wrk: %w", err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return trial{}, err
	}
	w, err := parseWrk(string(text))
	if err != nil {
		return trial{}, err
	}
	t := trial{amount: float64(w.requests)}
	if l.path == image {
		t.amount = rig.Megabytes(w.octets)
	}
	t.rate = t.amount / w.elapsed.Seconds()
	if w.errors > 0 {
		t.note = fmt.Sprintf("%d ERRORS", w.errors)
	}
	return t, nil
}

// wrkFigures are what wrk counted.
type wrkFigures struct {
	requests, octets, errors int64
	elapsed                  time.Duration
}

func parseWrk(text string) (w wrkFigures, err error) {
	_, rest, ok := strings.Cut(text, "\nfigures ")
	if !ok {
		return w, fmt.Errorf("wrk printed no figures: %.200q", text)
	}
	var micro int64
	if _, err := fmt.Sscanf(rest, "%d %d %d %d", &w.requests, &micro, &w.octets, &w.errors); err != nil {
		return w, fmt.Errorf("reading wrk's figures: %w", err)
	}
	w.elapsed = time.Duration(micro) * time.Microsecond
	if w.elapsed == 0 {
		return w, fmt.Errorf("wrk took no time: %.200q", rest)
	}
	return w, nil
}

// tftp has clients read the image over and over.
func (b *bench) tftp(ctx context.Context, s *server, l load) (trial, error) {
	t, err := s.site.TFTP(ctx, rig.TFTPLoad{
		File: image, Size: imageSize, Block: l.block, Window: l.window,
		Local: slices.Repeat([]netip.Addr{s.site.ClientAddr}, l.clients), Period: b.sizes.period,
	})
	if err != nil {
		return trial{}, err
	}
	note := ""
	switch {
	case t.Failed > 0:
		note = fmt.Sprintf("%d FAILED: %s", t.Failed, t.Reason)
	case t.Resent > 0:
		note = fmt.Sprintf("%d resent", t.Resent)
	}
	return trial{rate: t.Rate(), amount: rig.Megabytes(t.Octets), note: note}, nil
}

// patience is after what time a server is asked for no more missing files.
const patience = 20 * time.Second

// misuse asks for what is not there, and for too much.
func (b *bench) misuse(ctx context.Context) error {
	for _, s := range b.servers {
		if !s.tftp {
			continue
		}
		before, err := s.settled(ctx)
		if err != nil {
			return err
		}
		start, asked := time.Now(), 0
		for asked < b.sizes.missing && time.Since(start) < patience {
			t, err := s.site.TFTP(ctx, rig.TFTPLoad{
				File: "firmware/missing.bin", Local: slices.Repeat([]netip.Addr{s.site.ClientAddr}, min(64, b.sizes.missing-asked)),
				Limit: 20 * time.Second,
			})
			if err != nil {
				return err
			}
			if t.Refused == 0 {
				return fmt.Errorf("%s does not refuse: %s", s.title, t.Reason)
			}
			asked += t.Refused
		}
		note := ""
		if asked < b.sizes.missing {
			note = "stopped at " + rig.Digits(float64(asked), 0)
		}
		b.record("missing", s, float64(asked)/time.Since(start).Seconds(), note)
		after, err := s.settled(ctx)
		if err != nil {
			return err
		}
		b.record("missing-left", s, float64(max(0, after-before)), "")

		most := 0
		done, counted := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(counted)
			for {
				if t, err := s.Tree(); err == nil {
					most = max(most, t.Sockets-after)
				}
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
		t, err := s.site.TFTP(ctx, rig.TFTPLoad{
			File: image, Size: imageSize, Period: 2 * time.Second, Silent: true,
			Local: slices.Repeat([]netip.Addr{s.site.ClientAddr}, b.sizes.burst),
		})
		close(done)
		<-counted
		if err != nil {
			return err
		}
		b.record("burst-sockets", s, float64(most), fmt.Sprintf("%d refused", t.Refused))
	}
	return nil
}

// settled gives the number of sockets, once it has been the same for a while.
func (s *server) settled(ctx context.Context) (int, error) {
	last, same := -1, 0
	for range 100 {
		t, err := s.Tree()
		if err != nil {
			return 0, err
		}
		if same++; t.Sockets != last {
			last, same = t.Sockets, 0
		}
		if same == 5 {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return last, nil
}
