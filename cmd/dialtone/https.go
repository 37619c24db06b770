package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"dialtone/httpd"
	"dialtone/internal/config"
	"dialtone/internal/daemon"
	"dialtone/internal/pki"
)

func (a *appliance) openHTTPS(cfg configuration) error {
	if cfg.HTTPS == nil {
		return nil
	}
	m, err := a.material(cfg, time.Now())
	if err != nil {
		return fmt.Errorf("opening HTTPS: %w", err)
	}
	a.useTLS(m)
	l, err := httpd.Listen(context.Background(), cfg.HTTPS.Port)
	if err != nil {
		return fmt.Errorf("opening HTTPS: %w", err)
	}
	server := &httpd.Server{Desk: a.desk, Log: a.log, TLS: a.tls.Config()}
	a.serve("https", l.Close, func(ctx context.Context) error { return server.Serve(ctx, l) })
	a.tasks = append(a.tasks, daemon.Task{Name: "certificates", Run: a.watchCertificates})
	return nil
}

func (a *appliance) useTLS(m pki.Material) {
	a.tls.Use(m)
	if m.Legacy {
		a.log.Warn("TLS 1.0 and 1.1 and RSA key exchange are served, which are not safe any more: take legacy out of the https block once no phone needs it")
	}
}

// material reads what HTTPS is served with: the admin's certificate, or one of the
// appliance's own authority, made where it is missing or does not fit any more.
func (a *appliance) material(cfg configuration, now time.Time) (pki.Material, error) {
	h := cfg.HTTPS
	m := pki.Material{Legacy: h.Legacy}
	if h.ClientCA != "" {
		makers, err := pki.ReadMakers(h.ClientCA)
		if err != nil {
			return m, fmt.Errorf("reading client_ca: %w", err)
		}
		m.ClientCA = makers
	}
	if h.Certificate != "" {
		pair, err := pki.ReadPair(h.Certificate, h.Key)
		m.Certificates = []tls.Certificate{pair}
		return m, err
	}
	authority, err := pki.OpenAuthority(cfg.Appliance.StateDir, now)
	if err != nil {
		return m, err
	}
	names := ownNames(cfg.Config)
	leaves, made, err := authority.Leaves(cfg.Appliance.StateDir, names, now)
	if err != nil {
		return m, err
	}
	m.Certificates = leaves
	if made {
		a.log.Info("server certificates made", "names", strings.Join(names.DNS, " "), "addresses", fmt.Sprint(names.IP), "until", m.Ends().Format(time.DateOnly))
	}
	return m, nil
}

// watchCertificates renews the appliance's own certificates, also when it is
// reached by another address, and warns once a day of the end of the admin's.
func (a *appliance) watchCertificates(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	now, warned := time.Now(), time.Time{}
	for {
		warned = a.warnOfEnd(now, warned)
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
		a.renew(now)
	}
}

// renew must not run while a configuration is replaced.
func (a *appliance) renew(now time.Time) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg := a.current.Load()
	if cfg.HTTPS == nil || cfg.HTTPS.Certificate != "" {
		return // the admin's is read again at a reload
	}
	old := a.tls.Material()
	m, err := a.material(*cfg, now)
	if err != nil {
		a.log.Error("renewing the server certificates: the old ones stay", "err", err)
		return
	}
	if !slices.EqualFunc(old.Certificates, m.Certificates, func(a, b tls.Certificate) bool { return a.Leaf.Equal(b.Leaf) }) {
		a.tls.Use(m)
	}
}

// warnOfEnd gives when somebody was warned last.
func (a *appliance) warnOfEnd(now, warned time.Time) time.Time {
	ends := a.tls.Material().Ends()
	// A clock that was set back must not keep the warning away.
	if age := now.Sub(warned); ends.Sub(now) > pki.WarnAhead || 0 <= age && age < 24*time.Hour {
		return warned
	}
	what := "the certificate of HTTPS ends: renew it, then reload"
	if a.current.Load().HTTPS.Certificate == "" {
		// It would have been renewed long ago, were its authority good for longer, or the disk.
		what = "the certificate of HTTPS ends, and could not be renewed: where nothing else is wrong its authority ends, so remove ca.pem from the state folder, reload, and have phones trust the next one"
	}
	a.log.Warn(what, "until", ends.Format(time.RFC3339))
	return now
}

// maxNames bounds what a certificate lists.
const maxNames = 64

// ownNames are the addresses by which phones can reach the appliance, those in its
// networks first, and its names.
func ownNames(cfg *config.Config) pki.Names {
	var names pki.Names
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		addrs = nil // another minute may be better
	}
	var found []netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() && len(found) < maxNames {
			found = append(found, p.Addr())
		}
	}
	rank := func(a netip.Addr) int {
		switch _, ours := cfg.NetworkOf(a); {
		case ours:
			return 0
		case a.Is4():
			return 1
		}
		return 2
	}
	slices.SortFunc(found, func(a, b netip.Addr) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return a.Compare(b)
	})
	for _, a := range found {
		names.IP = append(names.IP, a.AsSlice())
	}
	host, err := os.Hostname()
	if host, _, _ = strings.Cut(strings.ToLower(host), "."); err != nil || host == "" {
		return names
	}
	names.DNS = []string{host}
	for _, n := range cfg.Networks {
		if full := host + "." + n.Domain; n.Domain != "" && !slices.Contains(names.DNS, full) && len(names.DNS) < maxNames {
			names.DNS = append(names.DNS, full)
		}
	}
	return names
}
