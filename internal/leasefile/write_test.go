package leasefile

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"dialtone/internal/golden"
	"dialtone/internal/mac"
)

var formats = []Format{CSV, JSON, Dnsmasq, ISC, Kea}

var compareAddr = cmpopts.EquateComparable(netip.Addr{}, mac.Addr{})

// ignoreLine: a lease that was made here is of no line.
var ignoreLine = cmpopts.IgnoreFields(Lease{}, "Line")

// leases draws a table of leases as a server may hold it, with any octets where
// clients chose them.
func leases(t *rapid.T) []Lease {
	moment := func(name string) time.Time {
		return time.Unix(rapid.Int64Range(1_000_000_000, 5_000_000_000).Draw(t, name), 0).UTC()
	}
	text := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "hostile") {
			return string(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "octets"))
		}
		return rapid.StringMatching(`['=+"{};,&#\\%$a-zA-Z0-9._ -]{0,20}`).Draw(t, "text")
	})
	octets := rapid.SliceOfNDistinct(rapid.IntRange(1, 250), 0, 12, rapid.ID[int]).Draw(t, "addresses")
	ls := make([]Lease, 0, len(octets))
	for _, o := range octets {
		l := Lease{
			Address:  netip.AddrFrom4([4]byte{192, 168, byte(50 + o%2), byte(o)}),
			State:    State(rapid.IntRange(0, 2).Draw(t, "state")),
			Hostname: text.Draw(t, "hostname"), VendorClass: text.Draw(t, "vendor class"),
			Network: rapid.SampledFrom([]string{"", "office", "lab"}).Draw(t, "network"),
		}
		if rapid.Bool().Draw(t, "client id") {
			l.ClientID = rapid.SliceOfN(rapid.Byte(), 1, 255).Draw(t, "id")
		}
		if len(l.ClientID) == 0 || rapid.Bool().Draw(t, "hardware") {
			l.MAC = mac.Addr(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "mac"))
			l.MAC[0] |= 2
		}
		if rapid.Bool().Draw(t, "started") {
			l.Start = moment("start")
		}
		if rapid.Bool().Draw(t, "ends") {
			l.Expiry = moment("expiry")
			if !l.Start.IsZero() {
				l.Expiry = l.Start.Add(time.Duration(rapid.Int64Range(1, 1<<31).Draw(t, "lifetime")) * time.Second)
			}
		}
		ls = append(ls, l)
	}
	return ls
}

// carried is what a format has a place for, as Write documents it. It is
// written from that text, not from the code.
func carried(f Format, all []Lease) []Lease {
	var kept []Lease
	for _, l := range all {
		printable := !strings.ContainsFunc(l.Hostname, func(r rune) bool { return r < ' ' || r > '~' })
		switch f {
		case ISC:
			l.Network = ""
		case Kea:
			l.Network, l.VendorClass = "", ""
			if !printable {
				l.Hostname = ""
			}
			if !l.MAC.IsZero() && (len(l.ClientID) < 2 || len(l.ClientID) > 128) {
				l.ClientID = nil
			}
			if l.State == Declined {
				l.MAC, l.ClientID, l.Hostname = mac.Addr{}, nil, ""
			}
			if l.Start.IsZero() && !l.Expiry.IsZero() {
				l.Start = l.Expiry.Add(-time.Hour)
			}
		case Dnsmasq:
			if l.State != Active {
				continue
			}
			l.Network, l.VendorClass, l.Start = "", "", time.Time{}
			for _, c := range []byte(l.Hostname) {
				if !bytes.ContainsRune([]byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."), rune(c)) {
					l.Hostname = ""
					break
				}
			}
		}
		kept = append(kept, l)
	}
	return kept
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				all := leases(t)
				var b bytes.Buffer
				if err := Write(&b, f, all); err != nil {
					t.Fatal(err)
				}
				got, problems, err := Read(bytes.NewReader(b.Bytes()), f)
				if err != nil || len(problems) > 0 {
					t.Fatalf("reading %s: %v, %v", b.Bytes(), problems, err)
				}
				byAddress := cmpopts.SortSlices(func(a, b Lease) bool { return a.Address.Less(b.Address) })
				if diff := cmp.Diff(carried(f, all), got, byAddress, compareAddr, ignoreLine, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("(-want +got)\n%s\n%s", diff, b.Bytes())
				}
				if len(got) > 0 {
					if d := Detect(b.Bytes()); d != f {
						t.Fatalf("Detect says %q of %s", d, b.Bytes())
					}
				}
			})
		})
	}
}

// TestWriteIsPlain looks at the file with no knowledge of the format: whatever
// clients sent, a file has no octet in it that a terminal or a line-wise reader
// would act on, and one record more is as many lines more.
func TestWriteIsPlain(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"a\nlease 192.168.50.1 { binding state active; }", "a\r\nb", "a,b", `a"b`, `a\"b`, "a;b{c}", "\x1b[2J", "\x00",
		"0 * * *\n1795388072 02:00:5e:10:00:0b 192.168.50.66 owned *", "$(x)`x`", "&#x0a&#x2c", "'=1+1", "=1+1", "\u2028", "\xff\xfe",
	}
	for _, f := range formats {
		base := Lease{Address: netip.MustParseAddr("192.168.50.20"), MAC: mac.Addr{2}, Hostname: "plain", VendorClass: "plain", Network: "office"}
		lines := strings.Count(written(t, f, base), "\n")
		for _, h := range hostile {
			l := base
			l.Hostname, l.VendorClass, l.Network = h, h, h
			text := written(t, f, l)
			if n := strings.Count(text, "\n"); n != lines {
				t.Errorf("%s, %q: %d lines, not %d:\n%s", f, h, n, lines, text)
			}
			for _, r := range text {
				if r != '\n' && (r < ' ' || r == 0x7f || r == 0x2028 || r == '\ufffd') {
					t.Errorf("%s, %q: the file has a %q in it", f, h, r)
				}
			}
		}
	}
	cell := written(t, CSV, Lease{Address: netip.MustParseAddr("192.168.50.20"), MAC: mac.Addr{2}, Hostname: "=1+1"})
	if !strings.Contains(cell, ",'=1+1,") {
		t.Errorf("a spreadsheet would calculate this:\n%s", cell)
	}
}

func written(t *testing.T, f Format, l ...Lease) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, l); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestWriteGolden shows each format's text.
func TestWriteGolden(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ls := []Lease{
		{
			Address: netip.MustParseAddr("192.168.50.101"), MAC: mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}, ClientID: []byte{1, 0, 4, 0x13, 0x92, 0x2d, 0x24},
			Hostname: "reception", VendorClass: "snomD785", Start: at("2026-11-22T21:54:48Z"), Expiry: at("2026-11-22T22:54:48Z"), Network: "office",
		},
		{Address: netip.MustParseAddr("192.168.50.20"), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 1}, Hostname: "a,b&\"c\\\n"},
		{Address: netip.MustParseAddr("192.168.60.5"), ClientID: []byte{0xff}, State: Expired, Expiry: at("2026-11-22T23:54:48.5+01:00"), Network: "lab"},
		{Address: netip.MustParseAddr("192.168.50.103"), MAC: mac.Addr{2, 0, 0x5e, 0x10, 0, 3}, State: Declined, Expiry: at("2026-11-23T22:54:48Z"), Network: "office"},
	}
	a := &txtar.Archive{Comment: []byte("The same leases in every format.\n")}
	for _, f := range formats {
		a.Files = append(a.Files, txtar.File{Name: string(f), Data: []byte(written(t, f, ls...))})
	}
	golden.File(t, "testdata/write.txtar", txtar.Format(a))
	if written(t, JSON) != "[\n]\n" {
		t.Errorf("no leases are %q", written(t, JSON))
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	good := Lease{Address: netip.MustParseAddr("192.168.50.20"), MAC: mac.Addr{2}}
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		name   string
		leases func(l *Lease) []Lease
		format Format
		want   string
	}{
		{"twice", func(l *Lease) []Lease { return []Lease{*l, *l} }, CSV, "writing leases: 192.168.50.20: the address comes twice"},
		{"no address", func(l *Lease) []Lease { l.Address = netip.Addr{}; return []Lease{*l} }, CSV, `writing leases: invalid IP: "invalid IP" is no address that can be leased`},
		{"IPv6", func(l *Lease) []Lease { l.Address = netip.MustParseAddr("2001:db8::1"); return []Lease{*l} }, CSV, `writing leases: 2001:db8::1: "2001:db8::1" is no address that can be leased`},
		{"no client", func(l *Lease) []Lease { l.MAC = mac.Addr{}; return []Lease{*l} }, Kea, "writing leases: 192.168.50.20: the lease names no client"},
		{"state", func(l *Lease) []Lease { l.State = 3; return []Lease{*l} }, Kea, "writing leases: 192.168.50.20: the state 3 is unknown"},
		{"client id", func(l *Lease) []Lease { l.ClientID = []byte(long); return []Lease{*l} }, ISC, "writing leases: 192.168.50.20: the client identifier has more than 255 octets"},
		{"host name", func(l *Lease) []Lease { l.Hostname = long; return []Lease{*l} }, ISC, "writing leases: 192.168.50.20: the host name has more than 255 octets"},
		{"vendor class", func(l *Lease) []Lease { l.VendorClass = long; return []Lease{*l} }, ISC, "writing leases: 192.168.50.20: the vendor class has more than 255 octets"},
		{"network", func(l *Lease) []Lease { l.Network = long; return []Lease{*l} }, ISC, "writing leases: 192.168.50.20: the network's name has more than 255 octets"},
		{"time", func(l *Lease) []Lease { l.Expiry = time.Unix(-1, 0); return []Lease{*l} }, ISC, "writing leases: 192.168.50.20: the time -1 lies outside of 1970 to 9999"},
		{"format", func(l *Lease) []Lease { return []Lease{*l} }, "xml", `writing leases: the format "xml" is none of csv, json, dnsmasq, isc, kea`},
	} {
		l := good
		var b bytes.Buffer
		err := Write(&b, c.format, c.leases(&l))
		if err == nil || err.Error() != c.want || b.Len() > 0 {
			t.Errorf("%s: Write says %v, want %s; wrote %q", c.name, err, c.want, b.Bytes())
		}
	}
	for _, f := range formats {
		if err := Write(failing{}, f, []Lease{good}); !errors.Is(err, errFull) {
			t.Errorf("%s: writing to a full disk says %v", f, err)
		}
	}
}

var errFull = errors.New("disk is full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format   Format
		in, want string
	}{
		{CSV, "", "reading leases: the file has no header"},
		{CSV, "mac,hostname\n", "reading leases: line 1: the header has no column address"},
		{CSV, "192.168.50.20,02:00:5e:10:00:01\n", "reading leases: line 1: the header has no column address"},
		{Kea, "\n\n", "reading leases: the file has no header"},
		{Kea, "192.168.50.20,02:00:5e:10:00:01\n", "reading leases: the file does not begin with the header of a Kea lease file"},
		{Kea, "address,hwaddr,expire,client_id\n", "reading leases: line 1: the header has no column valid_lifetime"},
		{"", "", `reading leases: the format "" is none of csv, json, dnsmasq, isc, kea`},
	} {
		if _, _, err := Read(strings.NewReader(c.in), c.format); err == nil || err.Error() != c.want {
			t.Errorf("%s, %q: Read says %v, want %s", c.format, c.in, err, c.want)
		}
	}
	for _, f := range formats {
		if _, _, err := Read(iotest.ErrReader(errFull), f); !errors.Is(err, errFull) {
			t.Errorf("%s: a file that cannot be read says %v", f, err)
		}
	}
}

// TestReadIsBounded reads what a file may grow to that somebody else fills.
func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	long := "0 02:00:5e:10:00:01 192.168.50.20 " + strings.Repeat("a", 3*maxLine) + " *\n0 02:00:5e:10:00:01 192.168.50.21 b *\n"
	got, problems, err := Read(strings.NewReader(long), Dnsmasq)
	if err != nil || len(got) != 1 || got[0].Hostname != "b" {
		t.Errorf("after a long line: %v, %v", got, err)
	}
	if diff := cmp.Diff([]Problem{{1, "the line is longer than 65536 octets"}}, problems); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	_, problems, err = Read(strings.NewReader(strings.Repeat("x\n", 3*maxProblems)), Dnsmasq)
	if err != nil || len(problems) != maxProblems || problems[maxProblems-1].Text != "there are more problems, which are not listed" {
		t.Errorf("%d problems, %v", len(problems), err)
	}

	var b strings.Builder
	for i := range maxLeases + 1 {
		fmt.Fprintf(&b, "0 02:00:5e:10:00:01 10.%d.%d.%d * *\n", i>>16, i>>8&255, i&255)
	}
	if _, _, err := Read(strings.NewReader(b.String()), Dnsmasq); !errors.Is(err, errTooMany) {
		t.Errorf("too many leases: %v", err)
	}
}

func TestDetectNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "\n\n", "hello", "# a comment", "<xml/>", "17 words in a row"[:2], "a,b,c"} {
		if f := Detect([]byte(s)); f != "" {
			t.Errorf("Detect(%q) = %s", s, f)
		}
	}
}

// fuzzRead holds every reader to this: it ends, and what it has read can be
// written and read again to the same file, without a problem.
func fuzzRead(f *testing.F, format Format) {
	for _, a := range golden.Parse(f, "testdata/read/*.txtar") {
		f.Add(a.Files[1].Data)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<16 {
			return
		}
		Detect(in)
		leases, _, err := Read(bytes.NewReader(in), format)
		if err != nil {
			return
		}
		// dnsmasq's lengths of time are reported each time they are read.
		leases = slices.DeleteFunc(leases, func(l Lease) bool { return !l.Expiry.IsZero() && l.Expiry.Before(firstClock) })
		for _, other := range []Format{format, JSON} {
			first := written(t, other, leases...)
			again, problems, err := Read(strings.NewReader(first), other)
			if err != nil || len(problems) > 0 {
				t.Fatalf("%s, written by ourselves: %v, %v\n%s", other, problems, err, first)
			}
			if second := written(t, other, again...); second != first {
				t.Fatalf("%s became\n%s", first, second)
			}
		}
	})
}

func FuzzReadCSV(f *testing.F)     { fuzzRead(f, CSV) }
func FuzzReadJSON(f *testing.F)    { fuzzRead(f, JSON) }
func FuzzReadDnsmasq(f *testing.F) { fuzzRead(f, Dnsmasq) }
func FuzzReadISC(f *testing.F)     { fuzzRead(f, ISC) }
func FuzzReadKea(f *testing.F)     { fuzzRead(f, Kea) }
