package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

// trial is what perfdhcp says of exchanges at a steady rate.
type trial struct {
	Begun int // DISCOVERs sent
	Acked int
}

// loss is the part of the exchanges begun that did not come to an ACK within
// a second of each message.
func (t trial) loss() float64 {
	if t.Begun == 0 {
		return 1
	}
	return 1 - float64(t.Acked)/float64(t.Begun)
}

// steady has perfdhcp, Kea's load generator, begin rate exchanges a second for
// the given time, each for a client that was not seen before. It acts as a
// relay: the messages are unicast, and their giaddr is the clients' address.
func steady(ctx context.Context, s *rig.Site, folder string, first, rate int, period time.Duration) (trial, error) {
	clients := max(1, int(float64(rate)*period.Seconds()))
	cmd := exec.Command("perfdhcp", "-4", "-l", rig.ClientIf,
		"-r", strconv.Itoa(rate), "-R", strconv.Itoa(clients), "-b", "mac="+client(first).String(),
		"-p", strconv.Itoa(int(period.Seconds())), "-W", "1000000", // wait 1 s for the last answers
		s.ServerAddr.String())
	out := filepath.Join(folder, "perfdhcp.txt")
	p, err := s.Client.Start(cmd, out)
	if err != nil {
		return trial{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, period+20*time.Second)
	defer cancel()
	// Status 3 says that some exchanges were not completed.
	exit := &exec.ExitError{}
	if err := p.Wait(bounded); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		return trial{}, fmt.Errorf("running perfdhcp: %w", errors.Join(err, p.Alive()))
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return trial{}, err
	}
	return parsePerfdhcp(string(text))
}

// parsePerfdhcp reads the statistics that perfdhcp prints at its end.
func parsePerfdhcp(text string) (trial, error) {
	sent, received := map[string]int{}, map[string]int{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "***Statistics for: "); ok {
			section = strings.TrimRight(rest, "*")
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		into := map[string]map[string]int{"sent packets": sent, "received packets": received}[name]
		if !ok || into == nil {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return trial{}, fmt.Errorf("reading perfdhcp's statistics: %q", line)
		}
		into[section] = n
	}
	const first, second = "DISCOVER-OFFER", "REQUEST-ACK"
	if _, ok := sent[first]; !ok {
		return trial{}, fmt.Errorf("perfdhcp printed no statistics: %.200q", text)
	}
	return trial{Begun: sent[first], Acked: received[second]}, nil
}

// held says whether less than a hundredth was lost. Where perfdhcp itself did
// not come to the rate, all but for the last two, it was not held either.
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
