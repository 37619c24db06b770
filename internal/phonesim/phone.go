// Package phonesim is a simulated Snom phone. It leases an address by a DHCP
// client of its own, finds its setting server as a phone does, fetches the
// files in a phone's order and applies them by a phone's rules, and gives
// what the phone would then be set to. It knows nothing of this appliance and
// works against any server.
package phonesim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"dialtone/internal/lab"
	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// Config is a phone and how it behaves. The zero value of a duration or count
// means the default.
type Config struct {
	MAC     mac.Addr
	Model   string // as option 60 has it: "snomD785"
	Version string // of the running firmware; default DefaultVersion(Model)
	// Firmware says which parts run besides the Version, before V7; as a rule the
	// newest that V6 had.
	Firmware Firmware

	Interface string // where to lease an address
	Server    string // a setting server's URL: no DHCP

	Broadcast    bool   // set the broadcast flag
	ClientID     []byte // option 61; nil sends none
	SkipFirmware bool
	Restarts     int                 // after images that were loaded: each time the phone boots with them
	BlockSize    int                 // of TFTP; 0 asks for none, which means 512
	Remembered   []phonefile.Setting // what files set it to at earlier starts; a phone that was reset has none
	Changed      []phonefile.Setting // what a user set on the phone before
	Certificate  *tls.Certificate    // of its maker, shown over HTTPS to whoever asks; nil for none

	Retransmit  time.Duration // first wait for a DHCP answer: 4 s
	Jitter      time.Duration // of each wait, either way: 1 s; negative for none
	Attempts    int           // of each DHCP message: 4
	IdleTimeout time.Duration // how long a transfer may stand still: 20 s

	Now   func() time.Time
	Event func(Event) // called from the goroutine that runs the phone
}

// Phone is one simulated phone. It is not safe for concurrent use.
type Phone struct {
	cfg     Config
	runs    Firmware
	next    Firmware // what it runs after a restart
	version version  // of runs
	client  dhcpClient
	lease   *Lease
	undo    func() error
	state   *State
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

// New checks a configuration.
func New(cfg Config) (*Phone, error) {
	switch {
	case !modelName.MatchString(cfg.Model):
		return nil, fmt.Errorf("model %.40q is no name such as snomD785", cfg.Model)
	case cfg.MAC.IsZero() || cfg.MAC[0]&1 != 0:
		return nil, fmt.Errorf("MAC address %s is no phone's", cfg.MAC)
	case (cfg.Interface == "") == (cfg.Server == ""):
		return nil, errors.New("a phone needs an interface or a setting server, not both")
	}
	if cfg.Server != "" {
		if _, err := phonefile.RequestsOf(cfg.Server, cfg.Model, cfg.MAC); err != nil {
			return nil, err
		}
	}
	setDefault(&cfg.Version, DefaultVersion(cfg.Model))
	setDefault(&cfg.Retransmit, 4*time.Second)
	setDefault(&cfg.Jitter, time.Second)
	setDefault(&cfg.Attempts, 4)
	setDefault(&cfg.IdleTimeout, 20*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Event == nil {
		cfg.Event = func(Event) {}
	}
	p := &Phone{cfg: cfg}
	cfg.Firmware.Version = cfg.Version
	cfg.Firmware.setParts(cfg.Model)
	p.start(cfg.Firmware)
	p.client = dhcpClient{
		mac: cfg.MAC, clientID: cfg.ClientID, broadcast: cfg.Broadcast,
		retransmit: cfg.Retransmit, jitter: cfg.Jitter, attempts: cfg.Attempts,
		now: cfg.Now, event: cfg.Event,
	}
	if isDECT(cfg.Model) || p.version.sendsClass() {
		p.client.vendorClass = cfg.Model
	}
	return p, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Boot takes the phone from power-on to what its files make of it. The State
// is never nil. The error is of the way to the setting server: no right to
// open a raw socket, no DHCP server; what went wrong behind it is in the
// State. Release or Close ends the phone.
func (p *Phone) Boot(ctx context.Context) (*State, error) {
	p.state = &State{
		MAC: p.cfg.MAC, Model: p.cfg.Model, Version: p.cfg.Version,
		UserAgent: p.runs.UserAgent(p.cfg.Model, p.cfg.MAC),
	}
	p.state.ApplySettings(p.cfg.Remembered)
	for _, s := range p.cfg.Changed {
		s.Changed = true
		p.state.ApplySettings([]phonefile.Setting{s})
	}
	server := p.cfg.Server
	if server == "" {
		if err := p.Acquire(ctx); err != nil {
			p.problem("no lease: %s", err)
			return p.state, err
		}
		p.state.Lease = p.lease
		server = p.fromLease()
	}
	if server == "" {
		return p.state, nil
	}
	p.state.SettingServer = server
	p.cfg.Event(Event{Kind: Joined, What: "setting server", Detail: redact(server)})
	p.provision(ctx, server)
	for n := 0; n < p.cfg.Restarts && p.next != p.runs && ctx.Err() == nil; n++ {
		p.start(p.next)
		p.state.Version, p.state.UserAgent = p.runs.Version, p.runs.UserAgent(p.cfg.Model, p.cfg.MAC)
		p.note("the phone restarts with %s", p.state.UserAgent)
		p.provision(ctx, server)
	}
	return p.state, nil
}

// start makes the phone run a firmware.
func (p *Phone) start(f Firmware) { p.runs, p.next, p.version = f, f, parseVersion(f.Version) }

// Acquire leases an address and sets it on the interface.
func (p *Phone) Acquire(ctx context.Context) error {
	if err := lab.WaitUp(ctx, p.cfg.Interface); err != nil {
		return permission(err)
	}
	raw, err := newRawLink(p.cfg.Interface, p.cfg.MAC)
	if err != nil {
		return permission(err)
	}
	defer raw.close()
	lease, err := p.client.acquire(ctx, raw)
	if err != nil {
		return err
	}
	undo, err := setAddress(p.cfg.Interface, lease)
	if err != nil {
		return permission(err)
	}
	p.lease, p.undo = lease, undo
	if err := raw.announce(lease.Address); err != nil {
		return err
	}
	p.cfg.Event(Event{Kind: Addressed, What: lease.Subnet().String(), Detail: "for " + (time.Duration(lease.LeaseSeconds) * time.Second).String()})
	return p.inform(ctx)
}

func (p *Phone) inform(ctx context.Context) error {
	l, err := newUDPLink(p.cfg.Interface, p.lease.Address, netip.AddrFrom4([4]byte{255, 255, 255, 255}))
	if err != nil {
		return permission(err)
	}
	defer l.close()
	if err := p.client.inform(ctx, l, p.lease); err != nil {
		if ctx.Err() != nil {
			return err
		}
		p.note("the server does not answer INFORM: %s", err)
	}
	return nil
}

// fromLease makes the setting server of the lease, and says what is odd.
func (p *Phone) fromLease() string {
	l := p.lease
	if len(l.Tunnelled) > 0 && !p.version.readsTunnel() {
		p.note("firmware %s does not read option 43, but the setting server came from there", p.runs.Version)
	}
	if l.HeaderNames != "" {
		p.note("the server filled the BOOTP fields sname and file (%q), where phones do not look", l.HeaderNames)
	}
	if len(l.DNSServers) == 0 {
		p.note("the lease names no DNS server (option 6): a snom715 does not work so")
	}
	if strings.Contains(l.BootFile, "://") {
		p.note("option 67 is a URL (%q): only a path is known to work", l.BootFile)
	}
	for _, s := range []string{vlanProblem("VLAN id", l.VLANID, 4094), vlanProblem("VLAN priority", l.VLANPriority, 7)} {
		if s != "" {
			p.problem("%s", s)
		}
	}
	server := JoinServer(l.TFTPServerName, l.BootFile)
	if server == "" {
		p.problem("the lease has no setting server (option 66)")
	}
	return server
}

// Renew asks the server of the lease for more time (RENEWING); where rebind
// is set it asks any server (REBINDING).
func (p *Phone) Renew(ctx context.Context, rebind bool) error {
	if p.lease == nil {
		return errors.New("there is no lease to renew")
	}
	to := p.lease.Server
	if rebind {
		to = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	l, err := newUDPLink(p.cfg.Interface, p.lease.Address, to)
	if err != nil {
		return permission(err)
	}
	defer l.close()
	lease, err := p.client.extend(ctx, l, p.lease)
	if err != nil {
		return err
	}
	if lease.Subnet() != p.lease.Subnet() {
		return fmt.Errorf("asked for more time for %s, the server granted %s", p.lease.Subnet(), lease.Subnet())
	}
	p.lease = lease
	return nil
}

// Release gives the lease back and closes the phone.
func (p *Phone) Release() error {
	if p.lease == nil {
		return p.Close()
	}
	l, err := newUDPLink(p.cfg.Interface, p.lease.Address, p.lease.Server)
	if err != nil {
		return errors.Join(permission(err), p.Close())
	}
	defer l.close()
	return errors.Join(p.client.release(l, p.lease), p.Close())
}

// Close takes the address from the interface; the lease stays the phone's.
func (p *Phone) Close() error {
	if p.undo == nil {
		return nil
	}
	err := p.undo()
	p.undo, p.lease = nil, nil
	return err
}

// permission adds what to do to an error for want of capabilities.
func permission(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (a simulated phone needs CAP_NET_RAW and CAP_NET_ADMIN: run it as root, or name a setting server)", err)
	}
	return err
}

func (p *Phone) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.cfg.Event(Event{Kind: Noted, What: text})
	if p.state != nil {
		p.state.Notes = append(p.state.Notes, text)
	}
}

func (p *Phone) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.cfg.Event(Event{Kind: Problem, What: text})
	if p.state != nil {
		p.state.Problems = append(p.state.Problems, text)
	}
}

// Bounds of what a phone takes.
const (
	maxFile  = 4 << 20   // bytes of a settings file
	maxImage = 512 << 20 // bytes of a firmware image
)

// provision fetches and applies everything that the setting server has.
func (p *Phone) provision(ctx context.Context, server string) {
	requests, err := phonefile.RequestsOf(server, p.cfg.Model, p.cfg.MAC)
	if err != nil {
		p.problem("%s", err)
		return
	}
	var source netip.Addr
	var dns []netip.Addr
	if p.lease != nil {
		source, dns = p.lease.Address, p.lease.DNSServers
	}
	f := newFetcher(source, dns, p.state.UserAgent, p.cfg.IdleTimeout, p.cfg.BlockSize, p.cfg.Certificate)
	defer f.close()
	f.login = func() (user, password string) {
		return p.state.Setting("http_client_user"), p.state.Setting("http_client_pass")
	}

	err = phonefile.Walk(requests, func(what, link string) ([]phonefile.Link, bool) {
		links := p.apply(ctx, f, what, link)
		return links, ctx.Err() == nil
	})
	if err != nil {
		p.problem("%s", err)
	}
	p.languages(ctx, f)
	p.checkSettings(server)
	if !p.cfg.SkipFirmware {
		p.firmware(ctx, f, requests.Firmware)
	}
	if ctx.Err() != nil {
		p.problem("ended before its time: %s", context.Cause(ctx))
	}
}

// fetch gets one document; nil where the server has none, which a phone takes
// calmly.
func (p *Phone) fetch(ctx context.Context, f *fetcher, what, rawURL string) []byte {
	u, err := phonefile.ParseURL(phonefile.ExpandMAC(rawURL, p.cfg.MAC))
	if err != nil {
		p.problem("%s: %s", what, err)
		return nil
	}
	var body bytes.Buffer
	if !p.transfer(ctx, f, what, u, &body, maxFile) {
		return nil
	}
	return body.Bytes()
}

// transfer fetches u into w and records how it went.
func (p *Phone) transfer(ctx context.Context, f *fetcher, what string, u *url.URL, w io.Writer, limit int64) bool {
	sum := sha256.New()
	start := p.cfg.Now()
	a := f.get(ctx, u, io.MultiWriter(w, sum), limit)
	record := Fetch{What: what, URL: u.Redacted(), Status: a.status, OK: a.ok, Bytes: a.bytes}
	if a.ok {
		record.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	p.state.Requests = append(p.state.Requests, record)
	p.cfg.Event(Event{Kind: Fetched, What: what, URL: record.URL, Status: a.status, Bytes: a.bytes, Duration: p.cfg.Now().Sub(start)})
	if a.chunked {
		p.note("%s came without Content-Length, which old firmware does not read", record.URL)
	}
	return a.ok
}

// apply fetches a settings file and does what it says; it gives the links of
// a container.
func (p *Phone) apply(ctx context.Context, f *fetcher, what, rawURL string) []phonefile.Link {
	body := p.fetch(ctx, f, what, rawURL)
	if body == nil {
		return nil
	}
	file, err := phonefile.Read("", body)
	if err == nil && file.Root != "" && file.Root != "text" && !isDECT(p.cfg.Model) && !p.version.readsXML() {
		err = fmt.Errorf("firmware %s reads the plain text format alone", p.runs.Version)
	}
	if err != nil {
		p.problem("the phone drops %s: %s", redact(rawURL), err)
		return nil
	}
	p.state.Apply(file)
	for _, n := range file.Notes {
		p.note("%s: %s", redact(rawURL), n.Text)
	}
	if len(file.Images) > 0 && !isDECT(p.cfg.Model) {
		p.note("%s names a firmware image: only the file that firmware_status names may", redact(rawURL))
	}
	if s := file.Summary(); s != "" {
		p.cfg.Event(Event{Kind: Applied, What: s})
	}
	return file.Links
}

// languages fetches the files of the languages that the phone was told of.
func (p *Phone) languages(ctx context.Context, f *fetcher) {
	for _, l := range p.state.Languages {
		what := l.For + " language " + l.Name
		body := p.fetch(ctx, f, what, l.URL)
		if body == nil {
			p.note("%s is not there", what)
			continue
		}
		if element, err := phonefile.CheckXML(body); err != nil {
			p.problem("the phone drops %s: %s", redact(l.URL), err)
		} else if !element {
			p.note("%s is empty", what)
		}
	}
}

// checkSettings says what the settings do to the phone besides being set.
func (p *Phone) checkSettings(server string) {
	for _, s := range p.state.Settings {
		if s.Name == "phone_type" {
			p.problem("the setting phone_type spoils every later request")
		}
	}
	next := p.state.Setting("setting_server")
	if next != "" && phonefile.ExpandMAC(next, p.cfg.MAC) != phonefile.ExpandMAC(server, p.cfg.MAC) {
		p.state.Redirect = next
		p.note("the phone would now move to the setting server %s", redact(next))
	}
}

// firmware does what update_policy says.
func (p *Phone) firmware(ctx context.Context, f *fetcher, standard string) {
	policy := p.state.Setting("update_policy")
	switch policy {
	case "auto_update":
	case "":
		p.note("update_policy is not set: a phone as it leaves the factory (settings_only) flashes nothing")
		return
	default:
		p.note("update_policy is %s: the phone flashes nothing by itself", policy)
		return
	}
	status := p.state.Setting("firmware_status")
	if status == "" {
		status = standard
	}
	body := p.fetch(ctx, f, "firmware status", status)
	if body == nil || ctx.Err() != nil {
		return
	}
	file, err := phonefile.Read("", body)
	if err != nil {
		p.problem("the phone drops %s: %s", redact(status), err)
		return
	}
	if len(file.Images) == 0 {
		p.note("the server has no firmware for version %s", p.runs.Version)
	}
	if isDECT(p.cfg.Model) {
		p.base(ctx, f, file)
		return
	}
	for _, image := range file.Images {
		p.image(ctx, f, image.URL, true)
	}
	for _, module := range file.Modules {
		p.load(ctx, f, "module firmware", module.URL)
	}
}

// image fetches a firmware image, and the one that a helper pulls in turn.
func (p *Phone) image(ctx context.Context, f *fetcher, rawURL string, first bool) {
	u, err := phonefile.ParseURL(phonefile.ExpandMAC(rawURL, p.cfg.MAC))
	if err != nil {
		p.problem("firmware: %s", err)
		return
	}
	pulled := ""
	if first {
		pulled = u.Query().Get("chained_url")
	}
	next := p.runs
	if name := path.Base(u.Path); pulled == "" {
		if next, err = p.runs.Load(p.cfg.Model, name); next == p.runs && err == nil {
			p.note("the phone runs %s already", p.runs.Version)
			return
		}
	}
	if err != nil {
		p.problem("%s", err)
		return
	}
	if !p.load(ctx, f, "firmware", rawURL) {
		return
	}
	if pulled != "" {
		p.image(ctx, f, pulled, false)
		return
	}
	p.next = next
}

// load fetches an image whole.
func (p *Phone) load(ctx context.Context, f *fetcher, what, rawURL string) bool {
	u, err := phonefile.ParseURL(phonefile.ExpandMAC(rawURL, p.cfg.MAC))
	if err != nil {
		p.problem("%s: %s", what, err)
		return false
	}
	if !isDECT(p.cfg.Model) && !p.version.fetchesFirmwareBy(u.Scheme) {
		p.problem("firmware %s fetches no image over %s", p.runs.Version, u.Scheme)
		return false
	}
	if !p.transfer(ctx, f, what, u, io.Discard, maxImage) {
		p.problem("the %s image %s is not there: a phone stops at a prompt", what, u.Redacted())
		return false
	}
	got := p.state.Requests[len(p.state.Requests)-1]
	if u.Scheme == "tftp" && got.Bytes > maxTFTPImage {
		p.note("the image is larger than 32 MB, where a phone's own TFTP client stops")
	}
	p.state.Firmware = append(p.state.Firmware, Image{URL: got.URL, Size: got.Bytes, SHA256: got.SHA256})
	return true
}

// base does what a DECT base does: it makes the paths of the images from
// versions, and fetches those that it does not run.
func (p *Phone) base(ctx context.Context, f *fetcher, file phonefile.File) {
	if len(file.Images) == 0 {
		return
	}
	for _, v := range file.Versions {
		device := cmp.Or(v.Handset, p.cfg.Model[len("snom"):])
		name := fmt.Sprintf("%s_v%04s_b%04s.fwu", device, v.Software, v.Branch)
		next := p.runs
		if v.Handset == "" {
			var err error
			if next, err = p.runs.Load(p.cfg.Model, name); err != nil {
				p.problem("%s", err)
				continue
			}
			if next == p.runs {
				p.note("the phone runs %s already", p.runs.Version)
				continue
			}
		}
		if p.load(ctx, f, "firmware", strings.TrimSuffix(file.Images[0].URL, "/")+"/"+device+"/"+name) && v.Handset == "" {
			p.next = next
		}
	}
}

// redact hides the password of a URL.
func redact(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return s
}
