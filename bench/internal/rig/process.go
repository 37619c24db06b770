package rig

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

// Process is a program that runs in a namespace. It dies with this one.
type Process struct {
	PID   int
	log   string // the file that holds what it printed
	ended chan struct{}
	err   error // of its end; read after ended
}

// Start runs cmd in the namespace, its output to the file log.
func (s *Space) Start(cmd *exec.Cmd, log string) (*Process, error) {
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
	if err := s.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	p := &Process{PID: cmd.Process.Pid, log: log, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Wait stays until the process ends by itself, or the context does.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		p.Stop(syscall.SIGTERM)
		return ctx.Err()
	}
}

// Stop ends the process with sig, and by force where it takes longer than 5 s.
func (p *Process) Stop(sig syscall.Signal) {
	_ = syscall.Kill(p.PID, sig)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
		<-p.ended
	}
}

// Alive says why not, with the last of what the process printed.
func (p *Process) Alive() error {
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

// Usage is what a process has taken so far.
type Usage struct {
	CPU     time.Duration
	RSS     int64 // bytes, with what is mapped from files
	Anon    int64 // bytes, without
	Written int64 // bytes sent to the page cache for the disk
	Device  int64 // bytes that the disk below the state folder took, from anybody
}

// Usage reads what the kernel counts. It has everything written out first, so
// that what a server leaves to the kernel is counted too.
func (p *Process) Usage(folder string) (Usage, error) {
	f, err := os.Open(folder)
	if err != nil {
		return Usage{}, err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return Usage{}, fmt.Errorf("writing out %s: %w", folder, err)
	}
	var u Usage
	proc := filepath.Join("/proc", strconv.Itoa(p.PID))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return u, err
	}
	if u.CPU, err = parseCPU(string(stat)); err != nil {
		return u, err
	}
	if u.RSS, u.Anon, err = p.Memory(); err != nil {
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

// Memory is what is resident of a process, with and without mapped files.
func (p *Process) Memory() (rss, anon int64, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "status"))
	if err != nil {
		return 0, 0, err
	}
	rss, err = field(string(b), "VmRSS:")
	anon, err2 := field(string(b), "RssAnon:")
	return rss << 10, anon << 10, errors.Join(err, err2)
}

// parseCPU reads the user and system time of all threads, and of the children
// that ended, from the text of /proc/PID/stat: fields 14 to 17, in hundredths of
// a second.
func parseCPU(stat string) (time.Duration, error) {
	// The name of the program, in brackets, may hold blanks.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0, fmt.Errorf("reading CPU time: %.60q has too few fields", stat)
	}
	var sum int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
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

// Tree is what the process and its children have taken so far.
type Tree struct {
	CPU      time.Duration
	Resident int64 // bytes; pages that several share are counted once
	Sockets  int
}

// Tree reads what the kernel counts.
func (p *Process) Tree() (Tree, error) {
	var t Tree
	err := t.add(strconv.Itoa(p.PID))
	return t, err
}

func (t *Tree) add(pid string) error {
	proc := filepath.Join("/proc", pid)
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return err
	}
	cpu, err := parseCPU(string(stat))
	if err != nil {
		return err
	}
	rollup, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		return err
	}
	pss, err := field(string(rollup), "Pss:")
	if err != nil {
		return err
	}
	t.CPU += cpu
	t.Resident += pss << 10
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if link, err := os.Readlink(filepath.Join(proc, "fd", fd.Name())); err == nil && strings.HasPrefix(link, "socket:") {
			t.Sockets++
		}
	}
	lists, err := filepath.Glob(filepath.Join(proc, "task", "*", "children"))
	if err != nil {
		return err
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(children)) {
			_ = t.add(child) // it may have ended; then its parent has its time
		}
	}
	return nil
}

// End stops a server with SIGTERM, where it was started, and takes its site away,
// where there is one.
func End(s *Site, p *Process) error {
	if p != nil {
		p.Stop(syscall.SIGTERM)
	}
	if s == nil {
		return nil
	}
	return s.Close()
}
