package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"dialtone/internal/mac"
)

// controlSocket is the file below the state folder by which commands reach
// the running service; its mode is its lock.
const controlSocket = "admin.sock"

// status is what the running service says of itself.
type status struct {
	Version  string            `json:"version"`
	PID      int               `json:"pid"`
	Started  time.Time         `json:"started"`
	Config   string            `json:"config"`
	Reload   string            `json:"reload,omitempty"` // what came of the last one
	Networks map[string]string `json:"networks"`         // the service's own address in each
	HTTPS    *httpsStatus      `json:"https,omitempty"`
	// Degraded says why leases cannot be written: clients renew, new ones wait.
	Degraded string `json:"degraded,omitempty"`
	// Pools say how full the networks are, in the order of the configuration.
	Pools []pool `json:"pools"`
	// OtherServers are the DHCP servers that were noticed within the last
	// minutes.
	OtherServers []otherServer `json:"other_servers"`
}

// httpsStatus is what HTTPS is served with.
type httpsStatus struct {
	Ends               time.Time `json:"certificate_ends"`
	OwnAuthority       bool      `json:"own_authority"` // which renews it
	Legacy             bool      `json:"legacy"`
	ClientCertificates bool      `json:"client_certificates"` // are asked for
}

// pool is what the addresses of a network are doing, within the last second.
// Each that the ranges give out is leased, declined (by a client, or found in
// use), offered or free. Those that are reserved outside of the ranges are
// counted by themselves.
type pool struct {
	Network          string `json:"network"`
	Size             int    `json:"size"`
	Leased           int    `json:"leased"`
	Declined         int    `json:"declined"`
	Offered          int    `json:"offered"`
	Free             int    `json:"free"`
	ReservedLeased   int    `json:"reserved_leased"`
	ReservedDeclined int    `json:"reserved_declined"`
}

// otherServer is a DHCP server on our wire that is not this service.
type otherServer struct {
	Interface string     `json:"interface"`
	Server    netip.Addr `json:"server"`
	MAC       *mac.Addr  `json:"mac,omitempty"`    // where it was heard itself
	Offered   netip.Addr `json:"offered,omitzero"` // to us, when it was asked
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
}

// reloaded is what came of a reload.
type reloaded struct {
	OK     bool            `json:"ok"`
	Status string          `json:"status"`
	Report json.RawMessage `json:"report"`
	Errors []string        `json:"errors,omitempty"` // of the report, a line each
}

// controlHandler answers the commands. Everything it can do is said here.
func (a *appliance) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, a.status())
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, a.reload())
	})
	mux.HandleFunc("GET /v1/phones", a.getPhones)
	mux.HandleFunc("GET /v1/phones/{mac}", a.getPhone)
	mux.HandleFunc("POST /v1/phones/{mac}/settle", a.settlePhone)
	mux.HandleFunc("GET /v1/rollouts", a.getRollouts)
	mux.HandleFunc("GET /v1/rollouts/snapshot", a.getRolloutSnapshot)
	mux.HandleFunc("POST /v1/rollouts/{name}/{verb}", a.postRollout)
	mux.HandleFunc("GET /v1/leases", a.getLeases)
	mux.HandleFunc("POST /v1/leases", a.postLeases)
	mux.HandleFunc("DELETE /v1/leases/{address}", a.deleteLease)
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone needs no answer.
	_ = json.NewEncoder(w).Encode(v)
}

// listenControl opens the socket for root and the service's user alone.
func listenControl(path string) (net.Listener, error) {
	// The database's lock says that nobody else serves this folder, so a
	// socket that is here was left by a service that was killed.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old admin socket: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("opening the admin socket: %w", err)
	}
	return l, nil
}

// errNotRunning says that no service answers for a state folder.
var errNotRunning = errors.New("no dialtone is running on this state folder")

// control asks the running service of a state folder. It reports
// errNotRunning where there is none.
func control(stateDir, method, path string, answer any) error {
	return controlWith(stateDir, method, path, nil, readJSON(answer))
}

// readJSON reads an answer into a value.
func readJSON(answer any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(answer) }
}

// controlWith is control with a body to send, which may be nil, and an answer
// that read understands.
func controlWith(stateDir, method, path string, body io.Reader, read func(io.Reader) error) error {
	socket := filepath.Join(stateDir, controlSocket)
	client := &http.Client{
		Timeout: 2 * time.Minute, // for the largest import on the slowest card
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://dialtone"+path, body)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errNotRunning
	}
	if err != nil {
		return fmt.Errorf("asking the running service: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return fmt.Errorf("asking the running service: %s: %s", res.Status, text)
	}
	if err := read(io.LimitReader(res.Body, maxLeaseBody)); err != nil {
		return fmt.Errorf("reading the running service's answer: %w", err)
	}
	return nil
}

// localAddress finds the address by which phones reach this appliance, for a
// document that is rendered without a phone asking: the running service's
// own, else that of the interface, else, on another machine, the first of the
// network. exact is false for that last one.
func localAddress(cfg configuration) (a netip.Addr, exact bool, err error) {
	var s status
	if control(cfg.Appliance.StateDir, http.MethodGet, "/v1/status", &s) == nil {
		for _, n := range cfg.Networks {
			if a, err := netip.ParseAddr(s.Networks[n.Name]); err == nil {
				return a, true, nil
			}
		}
	}
	for _, n := range cfg.Networks {
		if a, ok := interfaceAddress(n.Interface, n.Subnet); ok {
			return a, true, nil
		}
	}
	if len(cfg.Networks) > 0 {
		return cfg.Networks[0].Subnet.Masked().Addr().Next(), false, nil
	}
	if a, ok := interfaceAddress(cfg.Appliance.Interface, netip.PrefixFrom(netip.IPv4Unspecified(), 0)); ok {
		return a, true, nil
	}
	return netip.Addr{}, false, errors.New("finding the address that phones would reach: there is no network block and no interface with an address; give it with --server ADDRESS")
}

// interfaceAddress gives an interface's first IPv4 address inside subnet.
func interfaceAddress(name string, subnet netip.Prefix) (netip.Addr, bool) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, false
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && subnet.Contains(p.Addr()) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
