package main

import (
	"fmt"

	"dialtone/bench/internal/rig"
)

// rows are the lines of the table.
func rows(z sizes) []rig.Row {
	small, large := rig.Digits(float64(z.small), 0), rig.Digits(float64(z.large), 0)
	part := rig.Digits(float64(z.part), 0)
	burst := fmt.Sprintf("%d phones at once", z.burst)
	crowd := rig.Digits(float64(z.crowd), 0) + " phones at once"
	return []rig.Row{
		{Key: "stream-0", Title: fmt.Sprintf("exchanges/s held for %d s, open loop of our own, from no lease", z.seconds), Decimals: 0},
		{Key: "stream-small", Title: "… from " + small + " leases", Decimals: 0},
		{Key: "stream-large", Title: "… from " + large + " leases", Decimals: 0},
		{Key: "held-0", Title: fmt.Sprintf("exchanges/s held for %d s, by perfdhcp, from no lease", z.seconds), Decimals: 0},
		{Key: "held-small", Title: "… from " + small + " leases", Decimals: 0},
		{Key: "held-large", Title: "… from " + large + " leases", Decimals: 0},
		{Key: "growth", Title: "exchanges/s, closed loop from 0 to " + large + " leases", Decimals: 0},
		{Key: "growth-first", Title: "… the first " + part, Decimals: 0},
		{Key: "growth-last", Title: "… the last " + part, Decimals: 0},
		{Key: "growth-flat", Title: "… last : first", Decimals: 2},
		{Key: "growth-resent", Title: "… messages sent again after 1 s", Less: true, Decimals: 0},
		{Key: "renew", Title: "renewals/s at half the lease, closed loop, " + small + " leases", Decimals: 0},
		{Key: "cpu", Title: "CPU seconds per 10,000 exchanges", Less: true, Decimals: 2},
		{Key: "renew-cpu", Title: "CPU seconds per 10,000 renewals", Less: true, Decimals: 2},
		{Key: "start", Title: "start to the first ACK, ms", Less: true, Decimals: 0},
		{Key: "rss-0", Title: "resident MB, no lease", Less: true, Decimals: 1},
		{Key: "rss-small", Title: "… " + small + " leases", Less: true, Decimals: 1},
		{Key: "rss-large", Title: "… " + large + " leases", Less: true, Decimals: 1},
		{Key: "anon-large", Title: "… … without mapped files", Less: true, Decimals: 1},
		{Key: "sync", Title: "sync calls per 1,000 exchanges", Less: true, Decimals: 0},
		{Key: "written", Title: "bytes written per exchange", Less: true, Decimals: 0},
		{Key: "device", Title: "… by the disk, from everybody", Less: true, Decimals: 0},
		{Key: "renew-written", Title: "bytes written per renewal", Less: true, Decimals: 0},
		{Key: "burst-resent", Title: burst + ", as shipped: messages sent again", Less: true, Decimals: 0},
		{Key: "burst-p50", Title: "… half have their ACK, ms", Less: true, Decimals: 0},
		{Key: "burst-p99", Title: "… 99 % have their ACK, ms", Less: true, Decimals: 0},
		{Key: "burst-all", Title: "… all, ms", Less: true, Decimals: 0},
		{Key: "burst-trusting-resent", Title: burst + ", no conflict checks: messages sent again", Less: true, Decimals: 0},
		{Key: "burst-trusting-p50", Title: "… half have their ACK, ms", Less: true, Decimals: 0},
		{Key: "burst-trusting-p99", Title: "… 99 % have their ACK, ms", Less: true, Decimals: 0},
		{Key: "burst-trusting-all", Title: "… all, ms", Less: true, Decimals: 0},
		{Key: "crowd-resent", Title: crowd + ", no conflict checks: messages sent again", Less: true, Decimals: 0},
		{Key: "crowd-p50", Title: "… half have their ACK, ms", Less: true, Decimals: 0},
		{Key: "crowd-p99", Title: "… 99 % have their ACK, ms", Less: true, Decimals: 0},
		{Key: "crowd-all", Title: "… all, ms", Less: true, Decimals: 0},
		{Key: "hostile-quiet", Title: "renewal of a known client, 99 %, ms", Less: true, Decimals: 1},
		{Key: "hostile-p99", Title: "… under the flood", Less: true, Decimals: 1},
		{Key: "hostile-rate", Title: "… messages/s of the flood", Decimals: 0},
		{Key: "hostile-before", Title: "… resident MB before it", Less: true, Decimals: 1},
		{Key: "hostile-after", Title: "… at its end", Less: true, Decimals: 1},
		{Key: "hostile-new", Title: "… a new client bound afterwards, ms", Less: true, Decimals: 0},
	}
}
