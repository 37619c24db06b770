package lease

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"dialtone/internal/mac"
)

// An office has as many leases as phones, and a Pi little memory: what a lease
// takes is held here. It fits a size class of the allocator.
func TestSizes(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Lease{}); n > 128 {
		t.Errorf("a lease has %d octets", n)
	}
	if n := unsafe.Sizeof(entry{}); n > 48 {
		t.Errorf("an entry has %d octets", n)
	}
}

// Phones of one model share the text of their vendor class. A flood of made-up
// ones takes the memory of no more than a few.
func TestTexts(t *testing.T) {
	t.Parallel()
	known := texts{}
	first := known.one(strings.Clone("snomD785"))
	if again := known.one(strings.Clone("snomD785")); unsafe.StringData(again) != unsafe.StringData(first) || again != "snomD785" {
		t.Errorf("%q is in the memory twice", again)
	}
	for i := range 10 * maxTexts {
		if s := strconv.Itoa(i); known.one(s) != s {
			t.Fatalf("%q has become %q", s, known.one(s))
		}
	}
	if len(known) > maxTexts {
		t.Errorf("%d texts are kept", len(known))
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	if got := TimeOf(time.Time{}); got != 0 || !got.Time().IsZero() {
		t.Errorf("a time that is not known is %v", got.Time())
	}
	at := time.Date(2026, 11, 25, 12, 0, 0, 999_999, time.UTC)
	got := TimeOf(at)
	if !got.Time().Equal(at.Truncate(time.Millisecond)) || got.String() != "2026-11-25T12:00:00Z" {
		t.Errorf("%v is %v", at, got.Time())
	}
	if later := got.Add(90 * time.Second); later.Sub(got) != 90*time.Second || later != TimeOf(at.Add(90*time.Second)) {
		t.Errorf("90 s later is %v", later)
	}
}

// BenchmarkMemory binds phones, and says what the table and the view of their
// leases keep in the memory for each.
func BenchmarkMemory(b *testing.B) {
	const phones = 50_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		table, view := NewTable(nil), newView(newClock(SystemTime))
		table.Configure([]Scope{{Subnet: netip.MustParsePrefix("10.0.0.0/8"), Ranges: []Range{{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.0.255.255")}}}})
		for i := range phones {
			m := mac.Addr{0, 4, 0x13}
			binary.BigEndian.PutUint16(m[3:], uint16(i))
			a, _ := table.Next(0, start)
			table.Bind(0, Lease{
				Addr: a, MAC: m, ClientID: "\x01" + string(m[:]), HostName: fmt.Sprintf("snomD785-%x", m[:]), VendorClass: strings.Clone("snomD785"),
				Start: TimeOf(start), Expiry: TimeOf(start).Add(time.Hour),
			}, start.Add(2*time.Hour))
			for _, c := range table.Pending() {
				view.byAddr.put(c.After.Addr.As4(), c.After)
			}
			table.Commit(len(table.Pending()))
		}
		b.ReportMetric(float64(heap()-before)/phones, "B/lease")
		runtime.KeepAlive(table)
		runtime.KeepAlive(view)
	}
}
