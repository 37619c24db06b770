package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dialtone/bench/internal/rig"
)

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
