package provision

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

var (
	wireAt   = netip.MustParseAddr("10.0.0.20") // no lease of ours; the wire says that it is the reception's
	wireElse = netip.MustParseAddr("10.0.0.21") // likewise the stranger's
)

// wire is Neighbours.
type wire map[netip.Addr]mac.Addr

func (w wire) Neighbour(a, _ netip.Addr) (mac.Addr, bool) {
	m, ok := w[a]
	return m, ok
}

// devices takes the common name of a certificate for a MAC; it knows nobody else.
func devices(chain []*x509.Certificate, _ time.Time) ([]mac.Addr, error) {
	m, err := mac.Parse(chain[0].Subject.CommonName)
	if err != nil {
		return nil, errors.New("signed by nobody known")
	}
	return []mac.Addr{m}, nil
}

func shows(name string) []*x509.Certificate {
	c := &x509.Certificate{}
	c.Subject.CommonName = name
	return []*x509.Certificate{c}
}

// guardedDesk knows leases, neighbours and certificates, and one phone that may
// differ from the rest.
func guardedDesk(t testing.TB, mode, own string, change func(*Config)) *Desk {
	t.Helper()
	c := testConfig(t.TempDir())
	c.Secrets = func() string { return mode }
	c.Neighbours = wire{wireAt: reception, wireElse: stranger, otherAt: reception}
	c.Devices = devices
	c.Wait = func(time.Duration) {}
	if change != nil {
		change(&c)
	}
	set := secretsOf{exampleSet(t), own}
	return newDesk(c, func() documents { return set })
}

// secretsOf is a Set in which every phone has its own word for secrets.
type secretsOf struct {
	*profiles.Set
	secrets string
}

func (s secretsOf) Phone(m mac.Addr) (profiles.Phone, bool) {
	p, ok := s.Set.Phone(m)
	p.Secrets = s.secrets
	return p, ok
}

// Every mode, of the appliance and of the phone, by every witness, over every
// protocol, in every spelling.
func TestGuard(t *testing.T) {
	t.Parallel()
	type who struct {
		name         string
		source       netip.Addr
		certificates []*x509.Certificate
	}
	for _, tt := range []struct {
		who
		lease, certificate bool // whether it gets the file in that mode
		over               []string
	}{
		{who{"its lease", receptionAt, nil}, true, false, []string{"http", "https", "tftp"}},
		{who{"another's lease, whatever the wire says", otherAt, nil}, false, false, []string{"http", "https", "tftp"}},
		{who{"its address on the wire", wireAt, nil}, true, false, []string{"http", "https", "tftp"}},
		{who{"another's address on the wire", wireElse, nil}, false, false, []string{"http", "https", "tftp"}},
		{who{"nobody", nobodyAt, nil}, false, false, []string{"http", "https", "tftp"}},
		{who{"no address", netip.Addr{}, nil}, false, false, []string{"http", "https", "tftp"}},
		{who{"its certificate", nobodyAt, shows("000413922D24")}, true, true, []string{"https"}},
		{who{"its certificate from another's lease", otherAt, shows("000413922D24")}, true, true, []string{"https"}},
		{who{"another's certificate", nobodyAt, shows(stranger.Hex())}, false, false, []string{"https"}},
		{who{"another's certificate from its lease", receptionAt, shows(stranger.Hex())}, true, false, []string{"https"}},
		{who{"a certificate of nobody", nobodyAt, shows("x")}, false, false, []string{"https"}},
		{who{"a certificate of nobody from its lease", receptionAt, shows("x")}, true, false, []string{"https"}},
	} {
		for _, mode := range []struct {
			appliance, phone string
			want             bool
		}{
			{SecretsLease, "", tt.lease},
			{SecretsCertificate, "", tt.certificate},
			{SecretsAnyone, "", true},
			{SecretsAnyone, SecretsLease, tt.lease},
			{SecretsAnyone, SecretsCertificate, tt.certificate},
			{SecretsCertificate, SecretsLease, tt.lease},
			{SecretsLease, SecretsAnyone, true},
			{"a word of a later version", "", tt.lease},
		} {
			d := guardedDesk(t, mode.appliance, mode.phone, nil)
			for _, protocol := range tt.over {
				for _, path := range ownSpellings {
					d.misses = misses{} // each is the first
					a, err := d.Open(Request{Path: path, Source: tt.source, Local: local, Protocol: protocol, Certificates: tt.certificates})
					if (err == nil) != mode.want {
						t.Fatalf("%s, secrets %q and %q, %s %s: %v", tt.name, mode.appliance, mode.phone, protocol, path, err)
					}
					if err == nil && !strings.Contains(read(t, a), "made-for-") {
						t.Fatalf("%s: %s holds no password", tt.name, path)
					}
				}
			}
		}
	}
}

// Who asks for what is another's is slowed, then shut out, and let in again; the
// phone behind the same address never is.
func TestShutOut(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	waits := 0
	var lines strings.Builder
	var seen []Sighting
	d := guardedDesk(t, SecretsLease, "", func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Wait = func(time.Duration) { waits++ }
		c.Log = slog.New(slog.NewTextHandler(&lines, nil))
		c.Register = keeper{&seen}
	})
	ask := func(source netip.Addr, path string, certificates ...*x509.Certificate) error {
		_, err := d.Open(Request{Path: path, Source: source, Local: local, Protocol: "https", Certificates: certificates})
		return err
	}
	own := ownSpellings[0]
	for i := range maxMisses + 1 {
		if err := ask(otherAt, own); err == nil || err == errShutOut {
			t.Fatalf("miss %d: %v", i, err)
		}
	}
	if waits != maxMisses-freeMisses {
		t.Errorf("%d answers waited, want %d", waits, maxMisses-freeMisses)
	}
	if n := strings.Count(lines.String(), "source shut out"); n != 1 {
		t.Errorf("%d lines of it", n)
	}
	before := len(seen)
	for _, path := range []string{own, "/snomD785/000413922D25.xml", "/snomD785-000413922D24.htm"} {
		ask(otherAt, path)
	}
	if err := ask(otherAt, own); err != errShutOut || waits != maxMisses-freeMisses {
		t.Errorf("shut out: %v, %d waits", err, waits)
	}
	for _, s := range seen[before:] {
		if s.Miss {
			t.Errorf("a miss of who was shut out is in the register: %+v", s)
		}
	}
	if err := ask(otherAt, "/snomD717/general.xml"); err != nil {
		t.Errorf("what is no secret, to who was shut out: %v", err)
	}
	if err := ask(otherAt, own, shows(reception.Hex())...); err != nil {
		t.Errorf("the phone at the address of who was shut out: %v", err)
	}
	if err := ask(receptionAt, own); err != nil {
		t.Errorf("the phone: %v", err)
	}
	if now = now.Add(shutOut); ask(otherAt, own) == errShutOut {
		t.Error("it is shut out for ever")
	}
	if !slices.ContainsFunc(seen, func(s Sighting) bool { return s.Miss && s.Path.MAC == reception }) {
		t.Error("no miss in the register")
	}
	if !slices.ContainsFunc(seen, func(s Sighting) bool { return s.MAC == reception && s.Witness == ByCertificate }) {
		t.Error("no witness in the register")
	}
}

// keeper is a Register that keeps everything.
type keeper struct{ seen *[]Sighting }

func (k keeper) Seen(s Sighting) { *k.seen = append(*k.seen, s) }

// Running remembers the last that said something while a witness knew it.
func (k keeper) Running(m mac.Addr) (string, profiles.Running, bool) {
	for _, s := range slices.Backward(*k.seen) {
		if s.MAC == m && s.Proven && s.Running.Version != "" {
			return s.Model, s.Running, true
		}
	}
	return "", profiles.Running{}, false
}

// Many sources take no more than the memory that is theirs, and harm nobody but
// one another.
func TestMissesBounded(t *testing.T) {
	t.Parallel()
	var m misses
	now := time.Unix(1_800_000_000, 0)
	source := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 3 * maxSources {
		if v := m.miss(source(i), now); v == slowed {
			m.waited()
		}
	}
	if len(m.sources) > maxSources {
		t.Errorf("%d sources", len(m.sources))
	}
	if isShut(&m, source(0), now) || !isShut(&m, source(3*maxSources), now) {
		t.Error("one that has room shares the fate of those that have none")
	}
	now = now.Add(shutOut)
	if v := m.miss(source(3*maxSources), now); v != answered || len(m.sources) != 1 {
		t.Errorf("later: %v, %d sources", v, len(m.sources))
	}
	// A clock that is set back shuts nobody out for longer.
	for range maxMisses + 1 {
		if m.miss(source(1), now) == slowed {
			m.waited()
		}
	}
	if !isShut(&m, source(1), now) || isShut(&m, source(1), now.Add(-24*time.Hour)) {
		t.Error("the clock")
	}
}

func isShut(m *misses, source netip.Addr, now time.Time) bool { return m.of(source, now).shut(now) }
