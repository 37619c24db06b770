// Package provision is the desk that TFTP and HTTP ask: a path and who asks go
// in, a document, a file or a refusal with its reason comes out. Whatever the
// protocol and the spelling of the path, the same code decides.
package provision

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

// protocolTFTP is the Request.Protocol of TFTP.
const protocolTFTP = "tftp"

// Config is what a Desk works with. The functions are called for each request,
// so that a reload is seen at once.
type Config struct {
	Set      func() *profiles.Set
	FilesDir func() string // may be missing, and may appear later
	Secrets  func() string
	HTTPAuth func() string // AuthDigest, AuthBasic; nil or anything else: credentials are no witness
	Witness  Witness       // nil: nobody is known
	// Neighbours are asked where Witness knows nobody; nil: nothing is known of them.
	Neighbours Neighbours
	// Devices gives the MACs that a certificate holds, once it is found to be signed by
	// somebody who knows; nil where certificates are of no use.
	Devices  func(chain []*x509.Certificate, now time.Time) ([]mac.Addr, error)
	Register Register // nil: nobody keeps what phones got
	Rollouts Rollouts // nil: nobody waits for firmware
	Log      *slog.Logger
	Now      func() time.Time
	Wait     func(time.Duration) // nil: time.Sleep
}

// documents is what the desk needs of a profiles.Set.
type documents interface {
	Phone(m mac.Addr) (profiles.Phone, bool)
	Server(model string, addr netip.Addr) profiles.Server
	Render(r profiles.Request) (profiles.Document, error)
	Explain(r profiles.Request) ([]profiles.Explained, error)
	ParsePath(path, rawQuery string) (profiles.Path, error)
	Login(m mac.Addr) (user, password string, ok bool)
}

// Desk answers requests. It is safe for concurrent use.
type Desk struct {
	set        func() documents
	files      files
	hasFile    func(name string) bool // of files; it is made once, and not for each request
	secrets    func() string
	witness    Witness
	neighbours Neighbours
	auth       func() string
	nonces     nonces
	wait       func(time.Duration)
	misses     misses
	forgeable  misses // of TFTP, whose requests may bear anybody's address
	devices    func(chain []*x509.Certificate, now time.Time) ([]mac.Addr, error)
	register   Register
	rollouts   Rollouts
	log        *slog.Logger
	now        func() time.Time
	served     Throttle
	refusals   Throttle
}

// New makes the desk.
func New(c Config) *Desk {
	return newDesk(c, func() documents { return c.Set() })
}

func newDesk(c Config, set func() documents) *Desk {
	if c.Witness == nil {
		c.Witness = nobody{}
	}
	if c.Neighbours == nil {
		c.Neighbours = nobody{}
	}
	if c.HTTPAuth == nil {
		c.HTTPAuth = func() string { return "" }
	}
	if c.Wait == nil {
		c.Wait = time.Sleep
	}
	d := &Desk{
		set:     set,
		files:   files{dir: c.FilesDir},
		secrets: c.Secrets,
		auth:    c.HTTPAuth, neighbours: c.Neighbours, wait: c.Wait,
		witness: c.Witness, devices: c.Devices, register: c.Register, rollouts: c.Rollouts,
		log: c.Log,
		now: c.Now,
		// A phone that boots asks some ten times; after a power cut they all do.
		served:   Throttle{SourceBurst: 64, SourceRate: 1, TotalBurst: 4096, TotalRate: 20},
		refusals: Throttle{SourceBurst: 16, SourceRate: 0.2, TotalBurst: 256, TotalRate: 2},
	}
	d.hasFile = d.files.has
	rand.Read(d.nonces.key[:])
	return d
}

// Open answers one request. The error is always a *Refusal. Each request is an
// event in the log, as far as the log is not flooded with them.
func (d *Desk) Open(r Request) (*Answer, error) {
	r.Source = r.Source.Unmap().WithZone("")
	r.Local = r.Local.Unmap().WithZone("")
	a, e, err := d.open(r)
	if err == errShutOut {
		return nil, err
	}
	now := d.now()
	d.record(now, r, e, a, err)
	d.tell(now, r, e, a, err)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// event is what is known of a request, for the log and the register.
type event struct {
	asked   profiles.Path // zero until it is understood
	mac     mac.Addr      // the witness's word; zero when it has none
	by      string        // the witness
	claimed mac.Addr      // what the request itself says
	model   string
	running profiles.Running // what it says itself
}

func (d *Desk) open(r Request) (*Answer, event, error) {
	var e event
	id := d.identify(r)
	e.mac, e.by = id.mac, id.by
	if r.Protocol == protocolTFTP {
		// Links are the same over every protocol, and who decodes a tftp URL is
		// left open (RFC 3617 section 3). HTTP has done so already.
		if decoded, err := url.PathUnescape(r.Path); err == nil {
			r.Path = decoded
		}
	}
	set := d.set()
	p, err := parse(set, r.Path, r.RawQuery)
	if err != nil {
		return nil, e, err
	}
	e.asked = p

	said, version, hint := ParseUserAgent(r.UserAgent)
	e.claimed = hint
	if !p.MAC.IsZero() {
		e.claimed = p.MAC
	}
	q := profiles.Request{Path: p, MAC: e.mac, Version: version, Parts: parseParts(r.UserAgent), Reveal: true}
	if q.MAC.IsZero() {
		// Good enough for what is no secret; the guard does not look at it.
		q.MAC = hint
	}
	q.Model = p.Model
	if q.Model == "" {
		q.Model = cmp.Or(profiles.ModelOf(id.vendorClass), said, configuredModel(set, p.MAC), configuredModel(set, q.MAC))
	}
	e.model = q.Model
	if !strings.EqualFold(said, q.Model) {
		q.Version, q.Parts = "", profiles.Parts{} // of some other phone
	}
	e.running = profiles.Running{Version: q.Version, Parts: q.Parts}
	if said == "" {
		d.remember(&q)
	}

	// Who may not read a phone's document does not learn whether there is one.
	if p.IsOwn() {
		if err := d.admit(set, p.MAC, r, id, &e); err != nil {
			return nil, e, err
		}
	}
	d.askRollouts(set, &q, FirmwareQuestion{Known: !e.mac.IsZero(), Silent: e.running.Version == ""})
	a, own, err := d.answer(set, q, r.Local)
	if err != nil {
		return nil, e, err
	}
	d.imageTerms(a, q, r.RawQuery)
	if own != (mac.Addr{}) && !p.IsOwn() {
		if err := d.admit(set, own, r, id, &e); err != nil {
			a.Content.Close()
			return nil, e, err
		}
	}
	return a, e, nil
}

// remember completes the request of a phone that says nothing of itself, as over
// TFTP, with the firmware that it was last seen with: to tell it of an image on
// no knowledge at all could send it where no way leads back from.
func (d *Desk) remember(q *profiles.Request) {
	if d.register == nil || q.MAC.IsZero() {
		return
	}
	if model, running, ok := d.register.Running(q.MAC); ok && strings.EqualFold(model, q.Model) {
		q.Version, q.Parts = running.Version, running.Parts
	}
}

// Preview is a request that nobody made.
type Preview struct {
	Path    string           // may carry a query
	Who     mac.Addr         // the phone that would ask; zero where it does not matter
	Known   bool             // a witness would know it
	Model   string           // which the phone would turn out to be, where the configuration does not say
	Running profiles.Running // as its User-Agent would say, or as it is remembered; zero for nothing
	Local   netip.Addr       // the address that it would reach
	URL     string           // of the setting server in links; "" for the appliance's own at Local
	Reveal  bool             // show secrets instead of masking them
}

// Render gives the bytes that Open would send, less the guard: for a person at
// the appliance.
func (d *Desk) Render(v Preview) (*Answer, error) {
	set := d.set()
	q, err := preview(set, v)
	if err != nil {
		return nil, err
	}
	// Over TFTP it would say nothing itself.
	d.askRollouts(set, &q, FirmwareQuestion{Known: v.Known, Silent: v.Running.Version == "" || strings.HasPrefix(q.Server.URL, protocolTFTP+":"), Preview: true})
	a, _, err := d.answer(set, q, v.Local.Unmap())
	return a, err
}

// Explain says where each value comes from of what Render would give, or with no
// path of everything that the phone ends up with.
func (d *Desk) Explain(v Preview) ([]profiles.Explained, error) {
	set := d.set()
	q, err := preview(set, v)
	if err != nil {
		return nil, err
	}
	q.HasFile = d.hasFile
	list, err := set.Explain(q)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "%v", err)
	}
	return list, nil
}

func preview(set documents, v Preview) (profiles.Request, error) {
	var p profiles.Path
	if v.Path != "" {
		path, query, _ := strings.Cut(v.Path, "?")
		var err error
		if p, err = parse(set, path, query); err != nil {
			return profiles.Request{}, err
		}
	}
	who := v.Who
	if who.IsZero() {
		who = p.MAC
	}
	q := profiles.Request{
		Path: p, MAC: who, Model: cmp.Or(p.Model, v.Model, configuredModel(set, who)),
		Version: v.Running.Version, Parts: v.Running.Parts, Reveal: v.Reveal,
	}
	q.Server = set.Server(q.Model, v.Local.Unmap())
	if v.URL != "" {
		q.Server.URL = strings.TrimSuffix(v.URL, "/")
	}
	return q, nil
}

// parse checks the bounds that hold for any path before it is understood.
func parse(set documents, path, rawQuery string) (profiles.Path, error) {
	switch {
	case len(path) > maxPath || len(rawQuery) > maxPath:
		return profiles.Path{}, refuse(http.StatusNotFound, "the path is longer than %d octets: nothing here has such a name", maxPath)
	case !utf8.ValidString(path):
		return profiles.Path{}, refuse(http.StatusNotFound, "the path is not UTF-8: nothing here has such a name")
	case strings.ContainsFunc(path, unicode.IsControl):
		return profiles.Path{}, refuse(http.StatusNotFound, "the path holds a control character: nothing here has such a name")
	}
	p, err := set.ParsePath(path, rawQuery)
	if err != nil {
		return p, refuse(http.StatusNotFound, "%v", err)
	}
	return p, nil
}

// maxPath is the longest path, and the longest query, in octets.
const maxPath = 512

// answer finds the file or renders the document. own is the phone that the
// document is kept for, zero where it is general. The error is a *Refusal.
func (d *Desk) answer(set documents, q profiles.Request, local netip.Addr) (a *Answer, own mac.Addr, err error) {
	switch q.Path.Kind {
	case profiles.Firmware:
		a, err = d.files.open("firmware/" + q.Path.Name)
	case profiles.File:
		a, err = d.files.open(q.Path.Name)
	default:
		return d.render(set, q, local)
	}
	if err != nil {
		return nil, mac.Addr{}, err
	}
	return a, mac.Addr{}, nil
}

func (d *Desk) render(set documents, q profiles.Request, local netip.Addr) (*Answer, mac.Addr, error) {
	if q.Server.URL == "" {
		q.Server = set.Server(q.Model, local)
	}
	q.HasFile = d.hasFile
	doc, err := set.Render(q)
	if missing, ok := errors.AsType[*profiles.NotFound](err); ok {
		return nil, mac.Addr{}, refuse(http.StatusNotFound, "%s", missing.Reason)
	}
	if err != nil {
		// The text may hold anything of the configuration, so it stays here.
		if held, ok := d.refusals.Allow(netip.Addr{}, d.now()); ok {
			d.log.Error("document not rendered", "path", q.Path.String(), "err", err, "unlogged", held)
		}
		return nil, mac.Addr{}, refuse(http.StatusServiceUnavailable, "the appliance could not make this document: its log says why")
	}
	if len(doc.Secrets) > 0 && q.Reveal && doc.Own.IsZero() {
		// profiles refuses such a configuration at load.
		return nil, mac.Addr{}, refuse(http.StatusForbidden, "this document holds a secret and belongs to no phone: run dialtone check")
	}
	return inMemory(doc), doc.Own, nil
}

// configuredModel is the model that the configuration gives a phone.
func configuredModel(set documents, m mac.Addr) string {
	if m.IsZero() {
		return ""
	}
	phone, _ := set.Phone(m)
	return phone.Model
}

// maxLogged bounds what a client's text takes of a line in the log.
const maxLogged = 128

func (d *Desk) record(now time.Time, r Request, e event, a *Answer, err error) {
	refusal, refused := errors.AsType[*Refusal](err)
	throttle, message := &d.served, "document served"
	if refused {
		throttle, message = &d.refusals, "document refused"
	}
	held, ok := throttle.Allow(r.Source, now)
	if !ok {
		return
	}
	path := r.Path
	if e.asked.Kind != 0 {
		path = e.asked.String() // in its one spelling
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("path", oneLine(path, maxLogged)),
		slog.String("ip", r.Source.String()),
		slog.String("protocol", r.Protocol))
	if !e.mac.IsZero() {
		attrs = append(attrs, slog.String("mac", e.mac.String()), slog.String("witness", e.by))
	}
	if e.model != "" {
		attrs = append(attrs, slog.String("model", e.model))
	}
	if refused {
		attrs = append(attrs, slog.Int("status", refusal.Status), slog.String("reason", refusal.Reason))
	} else {
		attrs = append(attrs, slog.Int("status", http.StatusOK), slog.Int64("bytes", a.Size))
	}
	if held > 0 {
		attrs = append(attrs, slog.Int("unlogged", held))
	}
	d.log.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}
