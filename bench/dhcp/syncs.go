package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// syncCalls are the ways to have the kernel write out a file.
var syncCalls = []string{"fsync", "fdatasync", "msync", "sync_file_range", "syncfs", "sync"}

// countSyncs counts the sync calls of a process during f. perf counts in the
// kernel: unlike strace it does not slow down what it counts, which would
// change how many leases share one sync.
func countSyncs(pid int, folder string, f func() error) (n int, err error) {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return 0, fmt.Errorf("counting sync calls: %w", err)
	}
	var events []string
	for _, c := range syncCalls {
		events = append(events, "syscalls:sys_enter_"+c)
	}
	control, enable, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer enable.Close()
	acked, acks, err := os.Pipe()
	if err != nil {
		return 0, errors.Join(err, control.Close())
	}
	defer acked.Close()
	out := filepath.Join(folder, "perf.csv")
	cmd := exec.Command(perf, "stat", "-x,", "-o", out, "-e", strings.Join(events, ","), "-p", strconv.Itoa(pid),
		"--delay=-1", "--control=fd:3,4")
	cmd.ExtraFiles = []*os.File{control, acks}
	var said strings.Builder
	cmd.Stderr = &said
	err = cmd.Start()
	_ = control.Close()
	_ = acks.Close()
	if err != nil {
		return 0, fmt.Errorf("counting sync calls: %w", err)
	}
	// perf acknowledges once it counts; it closes the pipe where it cannot.
	_, _ = enable.WriteString("enable\n")
	_ = acked.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := acked.Read(make([]byte, 16)); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, fmt.Errorf("counting sync calls: perf does not count here: %s", strings.TrimSpace(said.String()))
	}
	err = f()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // its status is the interrupt's
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return 0, err
	}
	return parsePerf(string(text))
}

// parsePerf adds the counts that `perf stat -x,` prints.
func parsePerf(text string) (int, error) {
	sum, lines := 0, 0
	for line := range strings.Lines(text) {
		count, rest, ok := strings.Cut(line, ",")
		if !ok || !strings.Contains(rest, "sys_enter_") {
			continue
		}
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, fmt.Errorf("counting sync calls: perf says %.60q", line)
		}
		sum += n
		lines++
	}
	if lines == 0 {
		return 0, fmt.Errorf("counting sync calls: perf says %.60q", text)
	}
	return sum, nil
}
