package main

import (
	"math"
	"time"
)

// trial is what came of exchanges at a steady rate.
type trial struct {
	Begun int // DISCOVERs sent
	Acked int
	// Overrun is how many answers came to the clients' end and found no room in the
	// generator's own receive buffer.
	Overrun int
}

// loss is the part of the exchanges begun that did not come to an ACK within
// a second of each message.
func (t trial) loss() float64 {
	if t.Begun == 0 {
		return 1
	}
	return 1 - float64(t.Acked)/float64(t.Begun)
}

// held says whether less than a hundredth was lost. Where the generator
// itself did not come to the rate, all but for the last two, it was not held
// either.
func (t trial) held(rate int, period time.Duration) bool {
	return t.loss() < 0.01 && float64(t.Begun+2) > 0.97*float64(rate)*period.Seconds()
}

// search looks for the highest rate that try holds, to within 4 %, beginning
// near start. It gives up after 14 attempts and then knows what held best; 0
// where even one a second does not.
func search(start float64, try func(rate int) (held bool, err error)) (int, error) {
	low, high := 0, math.MaxInt
	rate := max(1, int(start))
	for range 14 {
		held, err := try(rate)
		if err != nil {
			return low, err
		}
		if held {
			low = rate
		} else {
			high = rate
		}
		switch {
		case high == math.MaxInt:
			rate = max(low+1, low*5/4)
		case low == 0:
			rate = high * 3 / 5
		default:
			rate = int(math.Sqrt(float64(low) * float64(high)))
		}
		if rate == low || rate < 1 || float64(high-low) < 0.04*float64(low) {
			break
		}
	}
	return low, nil
}
