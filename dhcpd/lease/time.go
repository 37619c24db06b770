package lease

import "time"

// Time is a time of leases, in milliseconds since 1970: a third of the memory of
// a time.Time, and each lease has three. Zero is one that is not known, and
// before all others.
type Time int64

// TimeOf gives a time as leases have it, rounded down.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time is the way back from TimeOf.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t))
}

// Add gives the time that is later by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Sub gives how long after u the time is.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Millisecond }

// String is the time's in RFC 3339.
func (t Time) String() string { return t.Time().UTC().Format(time.RFC3339) }
