package phonesim

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what an Event is about.
type Kind string

// The kinds of Event, in the order of a phone's boot.
const (
	Sent      Kind = "sent"      // a DHCP message left
	Received  Kind = "received"  // a DHCP message came
	Addressed Kind = "addressed" // the leased address is set
	Joined    Kind = "joined"    // the setting server is known
	Fetched   Kind = "fetched"   // a request ended, well or not
	Applied   Kind = "applied"   // a file was read
	Noted     Kind = "noted"     // worth knowing
	Problem   Kind = "problem"   // a phone would not work as wanted
)

// Event is one step on a phone's way.
type Event struct {
	Kind     Kind
	What     string // the message, or which file
	URL      string // of a request; no password in it
	Status   string // of a request: "200 OK", "ok" over TFTP, or the error
	Bytes    int64
	Duration time.Duration
	Detail   string
}

// String is one line for a person.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s ", e.Kind)
	switch e.Kind {
	case Fetched:
		fmt.Fprintf(&b, "%s  %s  %s, %s in %s", e.What, e.URL, e.Status, size(e.Bytes), e.Duration.Round(100*time.Microsecond))
	default:
		b.WriteString(e.What)
		if e.Detail != "" {
			if e.What != "" {
				b.WriteString("  ")
			}
			b.WriteString(e.Detail)
		}
		if e.Duration > 0 {
			fmt.Fprintf(&b, " (%s)", e.Duration.Round(100*time.Microsecond))
		}
	}
	return b.String()
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 10_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
