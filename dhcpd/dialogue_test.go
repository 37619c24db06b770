package dhcpd

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.etcd.io/bbolt"

	"dialtone/dhcpd/lease"
	"dialtone/internal/golden"
	"dialtone/internal/mac"
	"dialtone/internal/option"
)

// TestDialogues runs testdata/*.txt. A script is lines of:
//
//	# comment
//	network NAME SUBNET IFACE KEY=VALUE…    range= exclude= routers= dns= domain= lease= vlan=ID/PRIO host=MAC,ADDR[,NAME] OPTION=VALUE
//	                                        place=CIRCUIT/REMOTE,ADDR[,NAME] rapid=on trust82=on known=only permac=N perport=N
//	class NAME MATCH OPTION=VALUE…
//	link IFACE ADDR/BITS… [mtu=N]           an interface of the server
//	authoritative off                       on is the default; auto is as "alone IFACE" and "other IFACE" say
//	probing                                 addresses are probed; "< PROBE ADDR" is the answer then
//	probe ADDR clean, probe ADDR taken MAC  what is known; a message that was answered with PROBE is handled again
//	probe ADDR skip                         there is no time for it
//	reload                                  the lines above, when changed in the middle
//	> TYPE KEY=VALUE…                       a client's message
//	< TYPE KEY=VALUE…                       what comes back, or "< nothing"
//	+1h30m                                  time passes
//	clock +48h, clock 1970, clock right     the wall clock is set, ahead or back by so much of what is right
//	loop N TYPE KEY=VALUE…                  a message N times, whose answers are as the last one's; %d in a value counts from 10
//	crowd N                                 N clients that nobody knows are offered addresses
//	bind FIRST N                            N clients, whose MACs end in FIRST and on, are offered addresses and take them
//	restart                                 the program is killed and started again
//	shutdown                                the program is told to stop, and started again
//	disk broken, disk works                 what the next commits will do
//	lease ADDR MAC, lease ADDR none         what other parts of the program see
//	use NETWORK KEY=VALUE…                  what its addresses do: size= leased= declined= offered= free= reserved= (leased/declined)
//	crossed NETWORK up|down MARK, crossed none    what there is to say of it since the last such line
//
// Keys of a message are mac, id, class, host, ciaddr, giaddr, flags=broadcast,
// on (interface, eth0), to (its destination), from (its source), 82 in
// hexadecimal and any other option by number. Keys of an answer are the header
// fields, to (way, or way and address), options by number, "none" where one
// must be missing, order (the codes as sent, the first of them), note, reason,
// size. A list is a,b. Where an answer is compared with a reading of its
// octets, the library's reader did the reading.
func TestDialogues(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/*.txt", func(t *testing.T, file string) {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := newDialogue(t)
		for i, line := range strings.Split(string(script), "\n") {
			d.where = fmt.Sprintf("%s:%d: %s", file, i+1, line)
			d.line(line)
		}
		d.settle()
	})
}

type dialogue struct {
	t       *testing.T
	where   string
	now     time.Time     // as it is
	wrong   time.Duration // what the wall clock says less what it is
	path    string
	db      *bbolt.DB
	store   *lease.Store
	handler handler
	config  Config
	links   map[string]*link
	stale   bool // config or links are not in effect yet
	author  Authority
	probing bool
	known   findings
	waits   netip.Addr // the probe that the last message waits for
	broken  bool       // the disk
	marks   marks
	xid     uint32

	sent   request
	out    *result // of the last message, until an answer was compared
	silent bool    // the answer was held back because the disk is broken
}

func newDialogue(t *testing.T) *dialogue {
	d := &dialogue{
		t: t, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), path: filepath.Join(t.TempDir(), "dialtone.db"),
		config: Config{Phones: testPhones{}}, links: map[string]*link{}, stale: true, author: AuthorityYes, known: findings{}, marks: marks{},
	}
	d.open()
	t.Cleanup(func() { d.db.Close() })
	return d
}

// testPhones recognises what the profiles do, shortly.
type testPhones struct{}

func (testPhones) Recognise(m mac.Addr, class string) (string, bool) {
	if len(class) >= 4 && strings.EqualFold(class[:4], "snom") {
		return class, true
	}
	return "", class == "" && m.OUI() == [3]byte{0x00, 0x04, 0x13}
}

func (testPhones) SettingServer(model string, server netip.Addr) (string, string) {
	if model == "" {
		return "http://" + server.String(), ""
	}
	return "http://" + server.String(), model + ".htm"
}

func (d *dialogue) open() {
	var err error
	if d.db, err = bbolt.Open(d.path, 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		d.t.Fatal(err)
	}
	if d.store, err = lease.Open(d.db, d.read); err != nil {
		d.t.Fatal(err)
	}
	leases, err := d.store.Load()
	if err != nil {
		d.t.Fatal(err)
	}
	d.handler = handler{table: lease.NewTable(leases), pace: newThrottle()}
	d.stale = true
}

// read is what the machine knows of time.
func (d *dialogue) read() (time.Time, time.Duration) {
	return d.now.Add(d.wrong), time.Duration(d.now.UnixNano())
}

// clock sets the wall clock. The program looks at it once a while, whatever
// comes in.
func (d *dialogue) clock(to string) {
	switch to {
	case "right":
		d.wrong = 0
	case "1970":
		d.wrong = time.Unix(0, 0).Sub(d.now)
	default:
		wrong, err := time.ParseDuration(to)
		if err != nil {
			d.fatal("%v", err)
		}
		d.wrong = wrong
	}
	if err := d.store.Write(nil); err != nil {
		d.fatal("%v", err)
	}
}

func (d *dialogue) fatal(format string, args ...any) {
	d.t.Helper()
	d.t.Fatalf("%s\n\t%s", d.where, fmt.Sprintf(format, args...))
}

func (d *dialogue) line(line string) {
	line, _, _ = strings.Cut(line, "#")
	f := fields(line)
	if len(f) == 0 {
		return
	}
	if f[0] != "<" {
		d.settle()
	}
	switch {
	case f[0] == "network":
		d.network(f[1:])
	case f[0] == "class":
		c := Class{Name: f[1], Match: f[2]}
		for _, kv := range f[3:] {
			k, v, _ := strings.Cut(kv, "=")
			c.Options = append(c.Options, d.option(k, v))
		}
		d.config.Classes = append(d.config.Classes, c)
		d.stale = true
	case f[0] == "link":
		l := &link{name: f[1]}
		for _, a := range f[2:] {
			if n, ok := strings.CutPrefix(a, "mtu="); ok {
				l.mtu = d.number(n)
				continue
			}
			l.addrs = append(l.addrs, netip.MustParsePrefix(a))
		}
		d.links[f[1]] = l
		d.stale = true
	case f[0] == "authoritative":
		d.author = map[string]Authority{"on": AuthorityYes, "off": AuthorityNo, "auto": AuthorityAuto}[f[1]]
		d.stale = true
	case f[0] == "alone", f[0] == "other":
		d.handler.alone = map[string]bool{f[1]: f[0] == "alone"}
	case f[0] == "probing":
		d.probing, d.stale = true, true
	case f[0] == "probe":
		d.probe(f[1], f[2:])
	case f[0] == "forget": // forget NETWORK
		for i, n := range d.config.Networks {
			if n.Name == f[1] {
				d.config.Networks = append(d.config.Networks[:i:i], d.config.Networks[i+1:]...)
			}
		}
		d.stale = true
	case f[0] == "crowd":
		for i := range d.number(f[1]) {
			d.send("DISCOVER", []string{fmt.Sprintf("mac=02:00:00:00:00:%02x", i)})
			d.expect("OFFER", nil)
		}
	case f[0] == "loop":
		for i := range d.number(f[1]) {
			args := slices.Clone(f[3:])
			for k, a := range args {
				args[k] = strings.ReplaceAll(a, "%d", strconv.Itoa(10+i))
			}
			d.send(f[2], args)
		}
	case f[0] == "bind":
		for i := range d.number(f[2]) {
			m := fmt.Sprintf("mac=%02d", d.number(f[1])+i)
			d.send("DISCOVER", []string{m})
			offered := d.out.addr
			d.expect("OFFER", nil)
			d.send("REQUEST", []string{m, "50=" + offered.String(), "54=192.0.2.1"})
			d.expect("ACK", nil)
		}
	case f[0] == "clock":
		d.clock(f[1])
	case f[0] == "shutdown":
		if err := d.store.Mark(); err != nil {
			d.fatal("%v", err)
		}
		d.db.Close()
		d.open()
	case f[0] == "restart":
		d.db.Close()
		d.open()
	case f[0] == "disk":
		d.broken = f[1] == "broken"
	case f[0] == "lease":
		d.lease(f[1], f[2])
	case f[0] == "use":
		d.use(f[1], f[2:])
	case f[0] == "crossed":
		d.crossed(strings.Join(f[1:], " "))
	case strings.HasPrefix(f[0], "+"):
		p, err := time.ParseDuration(f[0][1:])
		if err != nil {
			d.fatal("%v", err)
		}
		d.now = d.now.Add(p)
	case f[0] == ">":
		d.send(f[1], f[2:])
	case f[0] == "<":
		d.expect(f[1], f[2:])
	default:
		d.fatal("no such line")
	}
}

// fields splits at blanks outside of double quotes.
func fields(line string) []string {
	var f []string
	quoted := false
	start := true
	for _, c := range strings.TrimSpace(line) {
		switch {
		case c == '"':
			quoted = !quoted
			continue
		case c == ' ' && !quoted:
			start = true
			continue
		}
		if start {
			f = append(f, "")
			start = false
		}
		f[len(f)-1] += string(c)
	}
	return f
}

// settle fails when an answer was not spoken of.
func (d *dialogue) settle() {
	d.t.Helper()
	if d.out != nil && (d.out.payload != nil && !d.silent || d.out.probe.IsValid()) {
		d.t.Fatalf("before %s\n\tan answer was sent that the script does not expect: %v", d.where, d.out.kind)
	}
	d.out = nil
}

func (d *dialogue) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		d.fatal("%v", err)
	}
	return n
}

func (d *dialogue) addrs(list string) (addrs []netip.Addr) {
	for s := range strings.SplitSeq(list, ",") {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

// option encodes as the configuration does. A value 4000x stands for so many
// octets.
func (d *dialogue) option(number, v string) Option {
	code, err := option.Lookup(number)
	if err != nil {
		d.fatal("%v", err)
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(v, "x")); err == nil && strings.HasSuffix(v, "x") {
		return Option{code, []byte(strings.Repeat("x", n))}
	}
	data, err := option.Encode(code, v)
	if err != nil {
		d.fatal("%v", err)
	}
	return Option{code, data}
}

func (d *dialogue) network(f []string) {
	n := Network{Name: f[0], Subnet: netip.MustParsePrefix(f[1]), Interface: f[2], LeaseTime: time.Hour}
	for _, kv := range f[3:] {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "range":
			first, last, _ := strings.Cut(v, "-")
			n.Ranges = append(n.Ranges, lease.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)})
		case "exclude":
			n.Exclude = d.addrs(v)
		case "routers":
			n.Routers = d.addrs(v)
		case "dns":
			n.DNSServers = d.addrs(v)
		case "domain":
			n.Domain = v
		case "lease":
			n.LeaseTime, _ = time.ParseDuration(v)
		case "vlan":
			id, priority, _ := strings.Cut(v, "/")
			n.VLAN = &VLAN{d.number(id), d.number(priority)}
		case "rapid":
			n.RapidCommit = v == "on"
		case "trust82":
			n.TrustRelayInfo = v == "on"
		case "permac":
			n.MaxLeasesPerMAC = d.number(v)
		case "perport":
			n.MaxLeasesPerPort = d.number(v)
		case "known":
			n.KnownOnly = v == "only"
		case "host", "place":
			h := strings.Split(v+",,", ",")
			host := Host{Name: h[2]}
			if k == "host" {
				host.MAC = d.mac(h[0])
			} else {
				host.Place.Circuit, host.Place.Remote, _ = strings.Cut(h[0], "/")
			}
			if h[1] != "" {
				host.Address = netip.MustParseAddr(h[1])
			}
			n.Hosts = append(n.Hosts, host)
		default:
			n.Options = append(n.Options, d.option(k, v))
		}
	}
	for i, old := range d.config.Networks {
		if old.Name == n.Name {
			d.config.Networks = append(d.config.Networks[:i:i], d.config.Networks[i+1:]...)
		}
	}
	d.config.Networks = append(d.config.Networks, n)
	d.stale = true
}

// mac reads an address, or its last octet behind 00:00:5e:00:53.
func (d *dialogue) mac(s string) mac.Addr {
	if len(s) == 2 {
		s = "00005e0053" + s
	}
	m, err := mac.Parse(s)
	if err != nil {
		d.fatal("%v", err)
	}
	return m
}

// configure puts what the script has said into effect, as a reload does.
func (d *dialogue) configure() {
	if !d.stale {
		return
	}
	for i := range d.config.Networks {
		d.config.Networks[i].Authoritative, d.config.Networks[i].Probe = d.author, d.probing
	}
	p, err := compile(d.config)
	if err != nil {
		d.fatal("%v", err)
	}
	if d.probing {
		d.handler.known = d.known
	}
	own := map[netip.Addr]bool{}
	for _, l := range d.links {
		for _, a := range l.addrs {
			own[a.Addr()] = true
		}
	}
	d.handler.configure(p, own)
	d.stale = false
}

var messageTypes = map[string]dhcpv4.MessageType{
	"DISCOVER": dhcpv4.MessageTypeDiscover, "OFFER": dhcpv4.MessageTypeOffer, "REQUEST": dhcpv4.MessageTypeRequest,
	"DECLINE": dhcpv4.MessageTypeDecline, "ACK": dhcpv4.MessageTypeAck, "NAK": dhcpv4.MessageTypeNak,
	"RELEASE": dhcpv4.MessageTypeRelease, "INFORM": dhcpv4.MessageTypeInform,
}

func (d *dialogue) send(kind string, f []string) {
	d.configure()
	d.xid++
	r := request{dest: broadcastAddr, link: d.links["eth0"]}
	b := make([]byte, headerSize)
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[4:], d.xid)
	binary.BigEndian.PutUint32(b[offCookie:], cookie)
	if messageTypes[kind] == 0 {
		d.fatal("no such message")
	}
	b = append(b, optMessageType, 1, byte(messageTypes[kind]))
	for _, kv := range f {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "mac":
			m := d.mac(v)
			copy(b[offCHAddr:], m[:])
		case "ciaddr":
			putAddr(b[offCIAddr:], netip.MustParseAddr(v))
		case "giaddr":
			putAddr(b[offGIAddr:], netip.MustParseAddr(v))
		case "flags":
			binary.BigEndian.PutUint16(b[offFlags:], flagBcast)
		case "on":
			r.link = d.links[v]
		case "to":
			r.dest = netip.MustParseAddr(v)
		case "from":
			r.source = netip.MustParseAddrPort(v)
		default:
			b = appendOption(b, d.code(k), d.clientOption(k, v))
		}
	}
	b = append(b, optEnd)
	if err := parse(b, &r); err != nil {
		d.fatal("%v", err)
	}
	d.sent = r
	d.handle()
}

func (d *dialogue) handle() {
	out := d.handler.handle(d.store.Now(), &d.sent)
	d.out, d.silent = &out, false
	d.commit()
}

// findings are what a script says of addresses.
type findings map[netip.Addr]scripted

type scripted struct {
	finding
	by mac.Addr
}

func (v findings) finding(a netip.Addr, _ time.Time) (finding, mac.Addr) {
	return v[a].finding, v[a].by
}

func (d *dialogue) probe(addr string, f []string) {
	a := netip.MustParseAddr(addr)
	v := scripted{finding: map[string]finding{"clean": findingClean, "taken": findingTaken, "skip": findingSkip}[f[0]]}
	if len(f) > 1 {
		v.by = d.mac(f[1])
	}
	d.known[a] = v
	if d.waits == a {
		d.waits = netip.Addr{}
		d.handle()
	}
}

func (d *dialogue) code(k string) uint8 {
	code, err := option.Lookup(map[string]string{"id": "61", "class": "60", "host": "12"}[k])
	if err != nil {
		code, err = option.Lookup(k)
	}
	if err != nil {
		d.fatal("%v", err)
	}
	return code
}

// clientOption encodes what clients send, some of which the configuration may
// not.
func (d *dialogue) clientOption(k, v string) []byte {
	switch d.code(k) {
	case 61, 80, 81, 82, 116:
		b, err := hex.DecodeString(v)
		if err != nil {
			d.fatal("%v", err)
		}
		return b
	case 55:
		var b []byte
		for s := range strings.SplitSeq(v, ",") {
			b = append(b, byte(d.number(s)))
		}
		return b
	case 57:
		return binary.BigEndian.AppendUint16(nil, uint16(d.number(v)))
	case 12, 60, 77:
		return []byte(v)
	default:
		return d.option(k, v).Data
	}
}

func (d *dialogue) commit() {
	changes := d.handler.table.Pending()
	err := d.store.Write(changes)
	for _, c := range changes {
		if d.broken && c.Write {
			err = errors.New("disk is broken")
		}
	}
	if err == nil {
		d.store.Publish(changes)
		d.handler.table.Commit(len(changes))
		return
	}
	if !d.broken {
		d.fatal("%v", err)
	}
	d.store.Publish(d.handler.table.Rollback(0))
	d.silent = d.out.wait
}

func (d *dialogue) expect(kind string, f []string) {
	d.t.Helper()
	out := d.out
	if out == nil {
		d.fatal("nothing was sent before")
	}
	got := "nothing"
	if out.payload != nil && !d.silent {
		got = strings.ToUpper(out.kind.String())
	}
	if out.probe.IsValid() {
		got = "PROBE"
		d.waits = out.probe
	}
	if kind != got {
		d.fatal("got %s (%s)", got, out.reason)
	}
	d.out = nil
	if got == "PROBE" {
		if len(f) != 1 || f[0] != out.probe.String() {
			d.fatal("got PROBE %v", out.probe)
		}
		return
	}
	var m *dhcpv4.DHCPv4
	if got != "nothing" {
		var err error
		if m, err = dhcpv4.FromBytes(out.payload); err != nil {
			d.fatal("the library cannot read the answer: %v", err)
		}
		d.invariants(m, out)
	}
	for _, kv := range f {
		k, want, _ := strings.Cut(kv, "=")
		if got := d.field(m, out, k, want); got != want {
			d.fatal("got %s=%s", k, got)
		}
	}
}

// invariants hold for every answer (RFC 2131 table 3 and section 4.1, RFC 6842,
// RFC 3046).
func (d *dialogue) invariants(m *dhcpv4.DHCPv4, out *result) {
	d.t.Helper()
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HopCount != 0 || m.NumSeconds != 0 || binary.BigEndian.Uint32(m.TransactionID[:]) != d.xid ||
		mac.Addr(m.ClientHWAddr) != d.sent.mac || m.MessageType() != out.kind {
		d.fatal("header is not the request's: %v", m)
	}
	if len(out.payload) < minPayload || len(out.payload) > max(int(d.sent.maxSize), minMessage)-ipUDPSize {
		d.fatal("%d octets", len(out.payload))
	}
	if got := string(m.Options.Get(dhcpv4.OptionClientIdentifier)); got != d.sent.clientID {
		d.fatal("client identifier %x", got)
	}
	if got := m.Options.Get(dhcpv4.OptionRelayAgentInformation); string(got) != string(d.sent.relayInfo) {
		d.fatal("relay agent information %x", got)
	}
	codes := order(out.payload)
	if d.sent.relayInfo != nil && codes[len(codes)-1] != optRelayInfo {
		d.fatal("option 82 is not the last: %v", codes)
	}
	switch out.kind {
	case dhcpv4.MessageTypeNak:
		for _, c := range codes {
			if !strings.Contains(" 53 54 56 61 82 ", fmt.Sprintf(" %d ", c)) {
				d.fatal("option %d in a NAK", c)
			}
		}
		if !m.YourIPAddr.IsUnspecified() || !m.ClientIPAddr.IsUnspecified() || !m.ServerIPAddr.IsUnspecified() {
			d.fatal("a NAK with an address")
		}
	case dhcpv4.MessageTypeOffer:
		if !m.ClientIPAddr.IsUnspecified() {
			d.fatal("an OFFER with ciaddr")
		}
	}
}

// order lists the codes of the options as they were sent.
func order(payload []byte) (codes []uint8) {
	for b := payload[headerSize:]; len(b) > 1 && b[0] != optEnd; b = b[2+int(b[1]):] {
		codes = append(codes, b[0])
	}
	return codes
}

// field gives one property of an answer as the script writes it.
func (d *dialogue) field(m *dhcpv4.DHCPv4, out *result, k, want string) string {
	switch k {
	case "note":
		for _, n := range out.notes {
			if strings.Contains(n.text, want) {
				return want
			}
		}
		return fmt.Sprint(out.notes)
	case "reason":
		return string(out.reason)
	case "unprobed":
		return strconv.FormatBool(out.unprobed)
	case "yiaddr":
		return m.YourIPAddr.String()
	case "ciaddr":
		return m.ClientIPAddr.String()
	case "siaddr":
		return m.ServerIPAddr.String()
	case "giaddr":
		return m.GatewayIPAddr.String()
	case "file":
		return m.BootFileName
	case "sname":
		return m.ServerHostName
	case "flags":
		if m.IsBroadcast() {
			return "broadcast"
		}
		return "0"
	case "from":
		return out.from.String()
	case "to":
		way := out.to.way.String()
		if strings.Contains(want, ":") {
			way += ":" + out.to.addr.String()
		}
		return way
	case "size":
		return strconv.Itoa(len(out.payload))
	case "order":
		var s []string
		for _, c := range order(out.payload) {
			s = append(s, strconv.Itoa(int(c)))
		}
		return strings.Join(s[:min(len(s), 1+strings.Count(want, ","))], ",")
	}
	code := d.code(k)
	if !m.Options.Has(dhcpv4.GenericOptionCode(code)) {
		return "none"
	}
	data := m.Options.Get(dhcpv4.GenericOptionCode(code))
	switch code {
	case 1, 3, 6, 28, 42, 54, 118:
		var s []string
		for ; len(data) >= 4; data = data[4:] {
			s = append(s, netip.AddrFrom4([4]byte(data)).String())
		}
		return strings.Join(s, ",")
	case 51, 58, 59:
		return (time.Duration(binary.BigEndian.Uint32(data)) * time.Second).String()
	case 61, 80, 81, 82, 43, 116, 121, 249, 2, 108:
		return hex.EncodeToString(data)
	default:
		if strings.Trim(string(data), "x") == "" {
			return fmt.Sprintf("%dx", len(data))
		}
		return string(data)
	}
}

// lease compares what the rest of the program sees of an address.
func (d *dialogue) lease(addr, want string) {
	a := netip.MustParseAddr(addr)
	m, _, ok := d.store.View().Client(a)
	if want == "none" {
		if ok {
			d.fatal("%v is leased to %v", a, m)
		}
		return
	}
	if !ok || m != d.mac(want) {
		d.fatal("%v is leased to %v (%v)", a, m, ok)
	}
}

// use compares what is said of the addresses of a network.
func (d *dialogue) use(network string, f []string) {
	d.configure()
	for _, u := range d.handler.usage(d.store.Now()) {
		if u.Name != network {
			continue
		}
		got := map[string]string{"reserved": fmt.Sprintf("%d/%d", u.ReservedLeased, u.ReservedDeclined)}
		for k, n := range map[string]int{"size": u.Size, "leased": u.Leased, "declined": u.Declined, "offered": u.Offered, "free": u.Free} {
			got[k] = strconv.Itoa(n)
		}
		for _, kv := range f {
			if k, want, _ := strings.Cut(kv, "="); got[k] != want {
				d.fatal("got %s=%s of %+v", k, got[k], u)
			}
		}
		return
	}
	d.fatal("no such network")
}

// crossed compares what there is to say of how full networks are.
func (d *dialogue) crossed(want string) {
	d.configure()
	got := "none"
	for _, c := range d.marks.cross(d.handler.usage(d.store.Now())) {
		got = fmt.Sprintf("%s down %d", c.Name, c.mark)
		if c.up {
			got = fmt.Sprintf("%s up %d", c.Name, c.mark)
		}
	}
	if got != want {
		d.fatal("got %s", got)
	}
}
