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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that runs in a namespace. It dies with this one.
type process struct {
	pid   int
	log   string // the file that holds what it printed
	ended chan struct{}
	err   error // of its end; read after ended
}

// start runs cmd in the namespace, its output to the file log.
func (s *space) start(cmd *exec.Cmd, log string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.Stderr = f
	// The signal comes when the thread that started it ends: the namespace's
	// own, which lives as long as the namespace is used.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.do(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	p := &process{pid: cmd.Process.Pid, log: log, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// wait stays until the process ends by itself, or the context does.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		p.stop(syscall.SIGTERM)
		return ctx.Err()
	}
}

// stop ends the process with sig, and by force where it takes longer than 5 s.
func (p *process) stop(sig syscall.Signal) {
	_ = syscall.Kill(p.pid, sig)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.ended
	}
}

// alive says why not, with the last of what the process printed.
func (p *process) alive() error {
	select {
	case <-p.ended:
		b, err := os.ReadFile(p.log)
		if err != nil {
			return fmt.Errorf("it ended (%v), and reading its output: %w", p.err, err)
		}
		if len(b) > 2000 {
			b = b[len(b)-2000:]
		}
		return fmt.Errorf("it ended (%v): %s", p.err, strings.TrimSpace(string(b)))
	default:
		return nil
	}
}

// usage is what a process has taken so far.
type usage struct {
	CPU     time.Duration
	RSS     int64 // bytes, with what is mapped from files
	Anon    int64 // bytes, without
	Written int64 // bytes sent to the page cache for the disk
	Device  int64 // bytes that the disk below the state folder took, from anybody
}

// usage reads what the kernel counts. It has everything written out first, so
// that what a server leaves to the kernel is counted too.
func (p *process) usage(folder string) (usage, error) {
	f, err := os.Open(folder)
	if err != nil {
		return usage{}, err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return usage{}, fmt.Errorf("writing out %s: %w", folder, err)
	}
	var u usage
	proc := filepath.Join("/proc", strconv.Itoa(p.pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return u, err
	}
	if u.CPU, err = parseCPU(string(stat)); err != nil {
		return u, err
	}
	if u.RSS, u.Anon, err = p.memory(); err != nil {
		return u, err
	}
	written, err := os.ReadFile(filepath.Join(proc, "io"))
	if err != nil {
		return u, err
	}
	if u.Written, err = field(string(written), "write_bytes:"); err != nil {
		return u, err
	}
	u.Device, err = deviceBytes(f)
	return u, err
}

// memory is what is resident of a process, with and without mapped files.
func (p *process) memory() (rss, anon int64, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "status"))
	if err != nil {
		return 0, 0, err
	}
	rss, err = field(string(b), "VmRSS:")
	anon, err2 := field(string(b), "RssAnon:")
	return rss << 10, anon << 10, errors.Join(err, err2)
}

// parseCPU reads the user and system time of all threads from the text of
// /proc/PID/stat: fields 14 and 15, in hundredths of a second.
func parseCPU(stat string) (time.Duration, error) {
	// The name of the program, in brackets, may hold blanks.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading CPU time: %.60q has too few fields", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// field finds the number after a name in a file of /proc.
func field(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			words := strings.Fields(rest)
			if len(words) > 0 {
				return strconv.ParseInt(words[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no field %s", name)
}

// deviceBytes is what the block device that holds f has written since boot.
func deviceBytes(f *os.File) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	name := fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev))
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // an overlay or a network has no device
	}
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 7 {
		return 0, fmt.Errorf("reading %s: %d fields", name, len(fields))
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64)
	return sectors * 512, err
}

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
