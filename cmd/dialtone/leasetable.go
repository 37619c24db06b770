package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/dhcpd"
	"dialtone/dhcpd/lease"
	"dialtone/internal/config"
	"dialtone/internal/leasefile"
	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// maxLeaseBody is how long a list of leases may be on the admin socket.
const maxLeaseBody = 64 << 20

// fileLeases gives leases as they are at a time, as files have them. Those of
// which nothing is left to know are left out: a quarantine that is over, and a
// lease of nobody.
func fileLeases(leases []lease.Lease, networks []config.Network, now time.Time) []leasefile.Lease {
	var out []leasefile.Lease
	for _, l := range leases {
		f := leasefile.Lease{
			Address: l.Addr, MAC: l.MAC, ClientID: []byte(l.ClientID), Hostname: l.HostName,
			Start: l.Start.Time(), Expiry: l.Expiry.Time(), VendorClass: l.VendorClass, State: leasefile.Expired,
		}
		switch {
		case l.Active(now):
			f.State = leasefile.Active
		case l.State == lease.Declined && lease.TimeOf(now) < l.Expiry:
			f.State = leasefile.Declined
		case l.State == lease.Declined, l.Key() == lease.Key{}:
			continue
		}
		for _, n := range networks {
			if n.Subnet.Contains(l.Addr) {
				f.Network = n.Name
			}
		}
		out = append(out, f)
	}
	return out
}

// tableLeases is the way back.
func tableLeases(leases []leasefile.Lease) []lease.Lease {
	out := make([]lease.Lease, len(leases))
	for i, f := range leases {
		l := lease.Lease{
			Addr: f.Address, MAC: f.MAC, ClientID: string(f.ClientID), HostName: f.Hostname,
			Start: lease.TimeOf(f.Start), Expiry: lease.TimeOf(f.Expiry), VendorClass: f.VendorClass,
		}
		switch f.State {
		case leasefile.Active:
			l.State = lease.Leased
		case leasefile.Expired:
			l.State = lease.Released
		case leasefile.Declined:
			l.State = lease.Declined
		}
		// Most client identifiers are Ethernet's type and the hardware address.
		if m, ok := mac.FromBytes(f.ClientID[min(1, len(f.ClientID)):]); ok && l.MAC.IsZero() && f.ClientID[0] == 1 {
			l.MAC = m
		}
		out[i] = l
	}
	return out
}

// verdict is what became of a lease, on the admin socket.
type verdict struct {
	Outcome dhcpd.Outcome `json:"outcome"`
	Reason  string        `json:"reason,omitempty"`
}

// releaseAnswer says whether there was something to release.
type releaseAnswer struct {
	Released bool `json:"released"`
}

// leaseTable is the leases as an administrator changes them.
type leaseTable interface {
	// Import gives a verdict for each lease, in their order.
	Import(leases []leasefile.Lease, dry bool) ([]verdict, error)
	Release(a netip.Addr, m mac.Addr) (bool, error)
	Close() error
}

// readLeases gives all leases, of the running service or of a stopped one.
func readLeases(cfg *config.Config, log *slog.Logger) ([]leasefile.Lease, error) {
	var leases []leasefile.Lease
	err := controlWith(cfg.Appliance.StateDir, http.MethodGet, "/v1/leases", nil, func(body io.Reader) error {
		var problems []leasefile.Problem
		var err error
		leases, problems, err = leasefile.Read(body, leasefile.JSON)
		if err == nil && len(problems) > 0 {
			err = errors.New(problems[0].String())
		}
		return err
	})
	if !errors.Is(err, errNotRunning) {
		return leases, err
	}
	db, err := state.OpenReadOnly(cfg.Appliance.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it has never run
	}
	if err != nil {
		return nil, err
	}
	defer db.Close()
	store, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		return nil, err
	}
	switch stored, err := store.Load(); {
	case err != nil && stored == nil:
		return nil, err
	case err != nil:
		log.Warn("some leases cannot be read: their addresses are kept from clients for a day", "err", err)
	}
	return fileLeases(store.View().Snapshot(), cfg.Networks, time.Now()), nil
}

// openTable opens the leases for a change: through the running service, or the
// state of a stopped one.
func openTable(a *app, path string) (leaseTable, error) {
	cfg, err := load(path, nil)
	if err != nil {
		return nil, err
	}
	if cfg.Report.HasErrors() {
		if err := writeReport(a.Stderr, cfg.Report); err != nil {
			return nil, err
		}
		return nil, exitError{exitWrong}
	}
	var s status
	if err := control(cfg.Appliance.StateDir, http.MethodGet, "/v1/status", &s); err == nil {
		return runningTable{cfg.Appliance.StateDir}, nil
	} else if !errors.Is(err, errNotRunning) {
		return nil, err
	}
	return openStopped(a, cfg)
}

// runningTable is the running service's.
type runningTable struct{ stateDir string }

func (t runningTable) Import(leases []leasefile.Lease, dry bool) ([]verdict, error) {
	var body bytes.Buffer
	if err := leasefile.Write(&body, leasefile.JSON, leases); err != nil {
		return nil, err
	}
	var verdicts []verdict
	err := controlWith(t.stateDir, http.MethodPost, "/v1/leases?dry_run="+strconv.FormatBool(dry), &body, readJSON(&verdicts))
	if err == nil && len(verdicts) != len(leases) {
		err = fmt.Errorf("the running service answered for %d of %d leases", len(verdicts), len(leases))
	}
	return verdicts, err
}

func (t runningTable) Release(a netip.Addr, m mac.Addr) (bool, error) {
	var answer releaseAnswer
	path := "/v1/leases/" + a.String() + "?mac=" + url.QueryEscape(m.String())
	err := controlWith(t.stateDir, http.MethodDelete, path, nil, readJSON(&answer))
	return answer.Released, err
}

func (runningTable) Close() error { return nil }

// stoppedTable is that of a service which does not run, and cannot be started
// until Close.
type stoppedTable struct {
	db   *bbolt.DB
	dhcp *dhcpd.Server
}

func openStopped(a *app, cfg configuration) (_ leaseTable, err error) {
	dir := cfg.Appliance.StateDir
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	db, err := state.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	store, err := lease.Open(db, lease.SystemTime)
	if err != nil {
		return nil, err
	}
	config := dhcpConfig(cfg)
	for i, n := range config.Networks {
		// The running service knows its own addresses.
		if own, ok := interfaceAddress(n.Interface, n.Subnet); ok {
			config.Networks[i].Exclude = append(config.Networks[i].Exclude, own)
		}
	}
	server, err := dhcpd.New(config, store, a.Log)
	if err != nil {
		return nil, err
	}
	return stoppedTable{db, server}, nil
}

func (t stoppedTable) Import(leases []leasefile.Lease, dry bool) ([]verdict, error) {
	return importLeases(context.Background(), t.dhcp, leases, dry)
}

func (t stoppedTable) Release(a netip.Addr, m mac.Addr) (bool, error) {
	return t.dhcp.Release(context.Background(), a, m)
}

func (t stoppedTable) Close() error { return t.db.Close() }

func importLeases(ctx context.Context, server *dhcpd.Server, leases []leasefile.Lease, dry bool) ([]verdict, error) {
	verdicts, err := server.Import(ctx, tableLeases(leases), dry)
	if err != nil {
		return nil, err
	}
	out := make([]verdict, len(verdicts))
	for i, v := range verdicts {
		out[i] = verdict(v)
	}
	return out, nil
}

// The rest is the running service's side of the admin socket.

func (a *appliance) getLeases(w http.ResponseWriter, _ *http.Request) {
	leases := fileLeases(a.leases.Snapshot(), a.current.Load().Networks, time.Now())
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone needs no answer.
	_ = leasefile.Write(w, leasefile.JSON, leases)
}

func (a *appliance) postLeases(w http.ResponseWriter, r *http.Request) {
	dry, err := strconv.ParseBool(r.URL.Query().Get("dry_run"))
	if err != nil {
		http.Error(w, "dry_run is true or false", http.StatusBadRequest)
		return
	}
	leases, problems, err := leasefile.Read(http.MaxBytesReader(w, r.Body, maxLeaseBody), leasefile.JSON)
	if err == nil && len(problems) > 0 {
		err = errors.New(problems[0].String())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.dhcp == nil {
		http.Error(w, "there is no network block: no address is leased here", http.StatusConflict)
		return
	}
	verdicts, err := importLeases(r.Context(), a.dhcp, leases, dry)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, verdicts)
}

func (a *appliance) deleteLease(w http.ResponseWriter, r *http.Request) {
	addr, err := netip.ParseAddr(r.PathValue("address"))
	m, notMAC := mac.Parse(r.URL.Query().Get("mac"))
	if err = errors.Join(err, notMAC); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.dhcp == nil {
		http.Error(w, "there is no network block: no address is leased here", http.StatusConflict)
		return
	}
	found, err := a.dhcp.Release(r.Context(), addr, m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, releaseAnswer{found})
}
