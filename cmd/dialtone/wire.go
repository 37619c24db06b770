package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/dhcpd"
	"dialtone/dhcpd/lease"
	"dialtone/httpd"
	"dialtone/internal/config"
	"dialtone/internal/daemon"
	"dialtone/internal/mac"
	"dialtone/internal/neighbour"
	"dialtone/internal/pki"
	"dialtone/internal/register"
	"dialtone/internal/rollout"
	"dialtone/internal/state"
	"dialtone/profiles"
	"dialtone/provision"
	"dialtone/tftpd"
)

// appliance is the service with its parts joined. This file is the one place
// where they meet.
type appliance struct {
	path     string // of the configuration
	log      *slog.Logger
	started  time.Time
	current  atomic.Pointer[configuration]
	db       *bbolt.DB
	dhcp     *dhcpd.Server // nil where no network is leased
	leases   *lease.View
	seen     *register.Register
	tls      pki.Server // in use where there is an https block
	rollouts *rollouts
	desk     *provision.Desk
	tasks    []daemon.Task
	close    []func() error // what was opened, oldest first

	reloading  sync.Mutex
	lastReload atomic.Pointer[string]
}

// newAppliance opens everything that can be refused, the sockets of files
// included, before anything is served: a start fails whole, or not at all.
func newAppliance(path string, cfg configuration, log *slog.Logger) (_ *appliance, err error) {
	a := &appliance{path: path, log: log, started: time.Now()}
	a.current.Store(&cfg)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	leases, err := a.openLeases(cfg.Appliance.StateDir)
	if err != nil {
		return nil, err
	}
	a.leases = leases.View()
	a.seen, err = register.Open(a.db, log)
	if err != nil {
		return nil, err
	}
	a.tasks = append(a.tasks, daemon.Task{Name: "register", Run: func(ctx context.Context, ready func()) error {
		ready()
		return a.seen.Run(ctx)
	}})
	keeper, err := rollout.Open(a.db, log, time.Now())
	if err != nil {
		return nil, err
	}
	a.rollouts = newRollouts(keeper, func() *profiles.Set { return a.current.Load().Set })
	a.tasks = append(a.tasks, daemon.Task{Name: "rollout", Run: func(ctx context.Context, ready func()) error {
		ready()
		return keeper.Run(ctx, a.rollouts.plans)
	}})
	a.desk = newDesk(a.current.Load, provision.Config{
		Witness: leaseWitness{a.current.Load, a.leases}, Neighbours: neighbours{a.current.Load, neighbour.NewTable().Lookup, log}, Devices: a.tls.Devices, Register: sightings{a.seen, cfg.Seal},
		Rollouts: a.rollouts, Log: log,
	})
	if len(cfg.Networks) > 0 {
		a.dhcp, err = dhcpd.New(dhcpConfig(cfg), leases, log)
		if err != nil {
			return nil, err
		}
		a.tasks = append(a.tasks, daemon.Task{Name: "dhcp", Run: a.dhcp.Run})
	}
	for _, open := range []func(configuration) error{a.openHTTP, a.openHTTPS, a.openTFTP, a.openControl} {
		if err := open(cfg); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// newDesk makes the desk of a configuration that may be replaced by a later
// one. serve and render ask the same.
func newDesk(current func() *configuration, c provision.Config) *provision.Desk {
	c.Set = func() *profiles.Set { return current().Set }
	c.FilesDir = func() string { return current().Appliance.FilesDir }
	c.Secrets = func() string { return current().Provisioning.Secrets }
	c.HTTPAuth = func() string { return current().Provisioning.HTTPAuth }
	c.Now = time.Now
	return provision.New(c)
}

// openLeases opens the state.
func (a *appliance) openLeases(dir string) (*lease.Store, error) {
	db, err := state.Open(dir)
	if err != nil {
		return nil, err
	}
	a.db = db
	a.close = append(a.close, db.Close)
	return lease.Open(db, lease.SystemTime)
}

// leaseWitness is the lease table as far as a lease says who asks. Whoever is on a wire
// can have a lease there for any MAC, so that an admin may say that those of guests do not.
type leaseWitness struct {
	current func() *configuration
	leases  provision.Witness
}

// Client is of provision.Witness.
func (w leaseWitness) Client(addr netip.Addr) (mac.Addr, string, bool) {
	m, class, ok := w.leases.Client(addr)
	if !ok || !w.current().IsWitness(addr) {
		return mac.Addr{}, "", false
	}
	return m, class, true
}

// neighbours asks the wire who has an address that is not ours to lease: another
// server's, or one that was set at the phone by hand.
type neighbours struct {
	current func() *configuration
	lookup  func(addr, local netip.Addr, now time.Time) (mac.Addr, bool, error) // of a neighbour.Table
	log     *slog.Logger
}

// Neighbour gives nobody for what a range, a phone or a host block says is leased
// here: what the lease table does not know of it, nobody does. Nor for a network whose
// addresses are no witness.
func (n neighbours) Neighbour(addr, local netip.Addr) (mac.Addr, bool) {
	cfg := n.current()
	if _, ours := cfg.Set.PhoneAt(addr); ours || cfg.Leases(addr) || !cfg.IsWitness(addr) {
		return mac.Addr{}, false
	}
	m, ok, err := n.lookup(addr, local, time.Now())
	if err != nil {
		n.log.Debug("asking the wire", "ip", addr.String(), "err", err)
	}
	return m, ok
}

// sightings joins the desk with the register. Secrets stay here.
type sightings struct {
	register *register.Register
	seal     func(secret string) string
}

func (s sightings) Seen(v provision.Sighting) {
	out := register.Sighting{
		Time: v.Time, MAC: v.MAC, Proven: v.Proven, Configured: v.Configured, Owner: v.Path.MAC,
		Witness: v.Witness, Strong: v.Witness == provision.ByCertificate || v.Witness == provision.ByCredentials, Miss: v.Miss,
		Model: v.Model, Version: v.Running.Version, Parts: register.Parts(v.Running.Parts), Address: v.Source, Local: v.Local, Protocol: v.Protocol,
		Status: v.Status, Reason: v.Reason, Start: v.Path.Kind == profiles.ModelContainer || v.Path.Kind == profiles.MACContainer,
	}
	if v.Path.Kind != 0 && v.Path.Kind != profiles.File {
		out.Slot, out.Path = v.Path.Slot(), v.Path.String()
	}
	if a := v.Answer; a != nil && a.Kind() != 0 {
		out.Revision = a.Revision()
		out.Content = func() []byte { return a.Seal(s.seal) }
	}
	s.register.Seen(out)
}

// Running is of provision.Register.
func (s sightings) Running(m mac.Addr) (string, profiles.Running, bool) {
	p, ok := s.register.Last(m)
	return p.Model, runningOf(p), ok && p.Proven
}

func (a *appliance) openHTTP(cfg configuration) error {
	l, err := httpd.Listen(context.Background(), cfg.Provisioning.HTTPPort)
	if err != nil {
		return fmt.Errorf("opening HTTP: %w", err)
	}
	server := &httpd.Server{Desk: a.desk, Log: a.log}
	a.serve("http", l.Close, func(ctx context.Context) error { return server.Serve(ctx, l) })
	return nil
}

func (a *appliance) openTFTP(cfg configuration) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: cfg.Provisioning.TFTPPort})
	if err != nil {
		return fmt.Errorf("opening TFTP: %w", err)
	}
	server := &tftpd.Server{Desk: a.desk, Log: a.log}
	a.serve("tftp", conn.Close, func(ctx context.Context) error { return server.Serve(ctx, conn) })
	return nil
}

func (a *appliance) openControl(cfg configuration) error {
	l, err := listenControl(filepath.Join(cfg.Appliance.StateDir, controlSocket))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: a.controlHandler(), ReadHeaderTimeout: 5 * time.Second}
	a.serve("control", l.Close, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// serve adds a task whose socket is open already, and so answers at once.
func (a *appliance) serve(name string, close func() error, run func(context.Context) error) {
	a.close = append(a.close, func() error {
		if err := close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	a.tasks = append(a.tasks, daemon.Task{Name: name, Run: func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	}})
}

// Run serves until told to stop.
func (a *appliance) Run(ctx context.Context) error {
	d := &daemon.Daemon{Tasks: a.tasks, Log: a.log, Reload: func() string { return a.reload().Status }}
	return d.Run(ctx)
}

// Close gives back what newAppliance opened, newest first.
func (a *appliance) Close() error {
	var errs []error
	for i := len(a.close) - 1; i >= 0; i-- {
		errs = append(errs, a.close[i]())
	}
	a.close = nil
	return errors.Join(errs...)
}

// reload reads the configuration beside the one in force, and puts it in its
// place when it has no error. What needs new sockets waits for a restart.
func (a *appliance) reload() reloaded {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	status := a.loadBeside()
	a.lastReload.Store(&status.Status)
	return status
}

func (a *appliance) loadBeside() reloaded {
	cfg, err := load(a.path, statePasswords)
	if err != nil {
		a.log.Error("reload: the old configuration stays", "err", err)
		return reloaded{Status: "reload: the old configuration stays: " + err.Error()}
	}
	report, err := cfg.Report.MarshalJSON()
	if err != nil {
		a.log.Error("reload", "err", err)
	}
	if cfg.Report.HasErrors() {
		problems, _ := cfg.Report.Lines()
		for _, line := range problems {
			a.log.Error("reload: the old configuration stays", "reason", line)
		}
		return reloaded{
			Status: fmt.Sprintf("reload: the old configuration stays: %s; dialtone check says more", count(cfg.Report.Errors(), "error")),
			Report: report, Errors: problems,
		}
	}
	old := a.current.Load()
	// Read before anything changes: a certificate may be what is wrong.
	var material *pki.Material
	if cfg.HTTPS != nil && old.HTTPS != nil {
		m, err := a.material(cfg, time.Now())
		if err != nil {
			a.log.Error("reload: the old configuration stays", "err", err)
			return reloaded{Status: "reload: the old configuration stays: " + err.Error(), Report: report}
		}
		material = &m
	}
	if a.dhcp != nil {
		if err := a.dhcp.Reload(dhcpConfig(cfg)); err != nil {
			a.log.Error("reload: the old configuration stays", "err", err)
			return reloaded{Status: "reload: the old configuration stays: " + err.Error(), Report: report}
		}
	}
	if material != nil {
		a.useTLS(*material)
	}
	a.current.Store(&cfg)
	status := fmt.Sprintf("reloaded: %s", count(len(cfg.Set.Phones()), "phone"))
	if n := cfg.Report.Warnings(); n > 0 {
		status += fmt.Sprintf("; %s, dialtone check says which", count(n, "warning"))
	}
	if later := needsRestart(old.Config, cfg.Config); later != "" {
		status += "; " + later + " changed, and takes effect at a restart"
		a.log.Warn("reload: a change takes effect at a restart", "reason", later)
	}
	a.log.Info("reloaded", "phones", len(cfg.Set.Phones()), "warnings", cfg.Report.Warnings())
	return reloaded{OK: true, Status: status, Report: report}
}

// needsRestart names what changed that a running service cannot follow.
func needsRestart(old, now *config.Config) string {
	switch {
	case old.Appliance.StateDir != now.Appliance.StateDir:
		return "appliance.state_dir"
	case old.Provisioning.HTTPPort != now.Provisioning.HTTPPort:
		return "provisioning.http_port"
	case (old.HTTPS == nil) != (now.HTTPS == nil):
		return "whether there is an https block"
	case old.HTTPS != nil && old.HTTPS.Port != now.HTTPS.Port:
		return "https.port"
	case old.Provisioning.TFTPPort != now.Provisioning.TFTPPort:
		return "provisioning.tftp_port"
	case (len(old.Networks) == 0) != (len(now.Networks) == 0):
		return "whether there is a network block"
	}
	return ""
}

// status says what the service is at the moment.
func (a *appliance) status() status {
	s := status{Version: versionText(), PID: os.Getpid(), Started: a.started, Config: a.path, Networks: map[string]string{}, Pools: []pool{}, OtherServers: []otherServer{}}
	if last := a.lastReload.Load(); last != nil {
		s.Reload = *last
	}
	for _, n := range a.current.Load().Networks {
		if addr, ok := interfaceAddress(n.Interface, n.Subnet); ok {
			s.Networks[n.Name] = addr.String()
		}
	}
	if cfg := a.current.Load(); cfg.HTTPS != nil {
		if m := a.tls.Material(); len(m.Certificates) > 0 {
			s.HTTPS = &httpsStatus{Ends: m.Ends(), OwnAuthority: cfg.HTTPS.Certificate == "", Legacy: m.Legacy, ClientCertificates: m.ClientCA != nil}
		}
	}
	if a.dhcp != nil {
		stats := a.dhcp.Stats()
		s.Degraded = stats.Degraded
		for _, u := range stats.Networks {
			s.Pools = append(s.Pools, pool{u.Name, u.Size, u.Leased, u.Declined, u.Offered, u.Free, u.ReservedLeased, u.ReservedDeclined})
		}
		for _, o := range a.dhcp.Others() {
			other := otherServer{Interface: o.Interface, Server: o.Server, Offered: o.Offered, FirstSeen: o.First, LastSeen: o.Last}
			if !o.MAC.IsZero() {
				other.MAC = &o.MAC
			}
			s.OtherServers = append(s.OtherServers, other)
		}
	}
	return s
}

// phones tells the DHCP server what the profiles know of a client.
type phones struct{ set *profiles.Set }

// Recognise takes option 60 at its word. A client without one is a phone when
// the configuration has it, or when its MAC is of Snom's ranges: firmware
// before 7.3.15 sends none. A configured phone is one whatever it sends.
func (p phones) Recognise(m mac.Addr, vendorClass string) (model string, phone bool) {
	if name := profiles.ModelOf(vendorClass); name != "" {
		if model, ok := p.set.Model(name); ok {
			name = model.Name
		}
		return name, true
	}
	configured, known := p.set.Phone(m)
	return configured.Model, known || vendorClass == "" && p.set.IsSnom(m)
}

// SettingServer gives options 66 and 67.
func (p phones) SettingServer(model string, server netip.Addr) (tftpServerName, bootfile string) {
	return p.set.SettingServer(model, server)
}

// dhcpConfig gives the DHCP server its part of a configuration. Reservations
// come from host blocks and from phones with an address, alike.
func dhcpConfig(cfg configuration) dhcpd.Config {
	out := dhcpd.Config{Phones: phones{cfg.Set}}
	for _, n := range cfg.Networks {
		network := dhcpd.Network{
			Name: n.Name, Interface: n.Interface, Subnet: n.Subnet, Exclude: n.Exclude,
			Routers: n.Routers, DNSServers: n.DNSServers, NTPServers: n.NTPServers,
			Domain: n.Domain, LeaseTime: n.LeaseTime, Options: dhcpOptions(n.Options),
			Authoritative: authority(n.Authoritative), Probe: n.Probe,
			RapidCommit: n.RapidCommit, TrustRelayInfo: n.TrustRelayInfo, KnownOnly: n.KnownOnly,
			MaxLeasesPerMAC: n.MaxLeasesPerMAC, MaxLeasesPerPort: n.MaxLeasesPerPort,
		}
		if !n.DNSSet {
			// DNS is not served yet, so the best that is known is a router.
			network.DNSServers = n.Routers
		}
		for _, r := range n.Ranges {
			network.Ranges = append(network.Ranges, lease.Range{First: r.First, Last: r.Last})
		}
		if n.VLAN != nil {
			network.VLAN = &dhcpd.VLAN{ID: n.VLAN.ID, Priority: n.VLAN.Priority}
		}
		for _, h := range n.Hosts {
			network.Hosts = append(network.Hosts, dhcpd.Host{MAC: h.MAC, Address: h.Address, Name: h.Name})
		}
		for _, p := range n.Ports {
			network.Hosts = append(network.Hosts, dhcpd.Host{
				Place: dhcpd.Place{Circuit: p.CircuitID, Remote: p.RemoteID}, Address: p.Address, Name: p.Name,
			})
		}
		for _, p := range cfg.Set.Phones() {
			host := dhcpd.Host{MAC: p.MAC, Name: profiles.HostName(p.Name)}
			if n.Subnet.Contains(p.Address) {
				host.Address = p.Address
			}
			network.Hosts = append(network.Hosts, host)
		}
		out.Networks = append(out.Networks, network)
	}
	for _, c := range cfg.Classes {
		out.Classes = append(out.Classes, dhcpd.Class{Name: c.Name, Match: c.Match, Options: dhcpOptions(c.Options)})
	}
	return out
}

func authority(configured *bool) dhcpd.Authority {
	switch {
	case configured == nil:
		return dhcpd.AuthorityAuto
	case *configured:
		return dhcpd.AuthorityYes
	default:
		return dhcpd.AuthorityNo
	}
}

func dhcpOptions(options []config.Option) []dhcpd.Option {
	var out []dhcpd.Option
	for _, o := range options {
		out = append(out, dhcpd.Option{Code: o.Code, Data: o.Data})
	}
	return out
}
