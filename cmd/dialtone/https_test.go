package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/pki"
)

// Through more than a year: the certificates of the own
// authority are made again before anybody has to be warned, and the warning, where
// that fails, is one a day.
func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := &appliance{log: slog.New(slog.NewTextHandler(&log, nil))}
	cfg := configuration{Config: &config.Config{HTTPS: &config.HTTPS{}}}
	cfg.Appliance.StateDir = t.TempDir()
	a.current.Store(&cfg)
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	m, err := a.material(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	a.useTLS(m)
	first := m.Ends()
	if days := first.Sub(start).Hours() / 24; days < 390 || days > 398 {
		t.Errorf("they are good for %v days", days)
	}
	var warned time.Time
	pass := func(from, to time.Time, step time.Duration, renew bool) int {
		log.Reset()
		for now := from; now.Before(to); now = now.Add(step) {
			if warned = a.warnOfEnd(now, warned); renew {
				a.renew(now)
			}
		}
		return strings.Count(log.String(), "the certificate of HTTPS ends")
	}
	if n := pass(start, first.Add(-pki.WarnAhead).Add(-time.Hour), time.Hour, false); n != 0 {
		t.Errorf("%d warnings before it is time", n)
	}
	if n := pass(first.Add(-pki.WarnAhead), first, time.Hour, false); n != 30 {
		t.Errorf("%d warnings in the last 30 days, of which the last is:\n%s", n, log.String()[max(0, log.Len()-200):])
	}
	if !strings.Contains(log.String(), "remove ca.pem") {
		t.Errorf("of the authority nothing is said:\n%s", log.String()[max(0, log.Len()-200):])
	}
	if n := pass(start, first.Add(24*time.Hour), 5*24*time.Hour, true); n != 0 || strings.Count(log.String(), "server certificates made") != 1 {
		t.Errorf("%d warnings, and of the renewal:\n%s", n, log.String())
	}
	if ends := a.tls.Material().Ends(); !ends.After(first) {
		t.Errorf("what is served ends at %v", ends)
	}
	// The admin's own is the admin's to renew.
	cfg.HTTPS.Certificate = "there.pem"
	a.tls.Use(pki.Material{Certificates: []tls.Certificate{m.Certificates[0]}})
	if n := pass(first.Add(-7*24*time.Hour), first, 12*time.Hour, true); n != 7 || !a.tls.Material().Ends().Equal(first) {
		t.Errorf("%d warnings in the last week, and it ends at %v", n, a.tls.Material().Ends())
	}
}
