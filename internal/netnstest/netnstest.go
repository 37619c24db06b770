// Package netnstest runs tests on a network of their own: in namespaces that
// end with the test program, so that a crash leaves nothing on the machine
// and two runs do not meet.
package netnstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dialtone/internal/lab"
	"dialtone/internal/mac"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of a test program that Main has moved.
const inside = "DIALTONE_TEST_NETNS"

// limit is how long anything may take that a test waits for.
const limit = 60 * time.Second

// required reports whether a test that cannot run is a failure, as in CI.
func required() bool { return os.Getenv("REQUIRE_NETNS") == "1" }

// Main runs the tests of a package in namespaces of their own, by starting
// the test program again there, and gives its exit status. Where the kernel
// forbids that the tests run where they are, and those that need a network
// are skipped.
func Main(m *testing.M) int {
	if os.Getenv(inside) == "1" {
		if err := errors.Join(lab.Settle(), hide()); err != nil {
			fmt.Fprintln(os.Stderr, "netnstest:", err)
			return 1
		}
		return m.Run()
	}
	for _, a := range os.Args {
		// A fuzzing process talks to its workers over inherited files.
		if strings.HasPrefix(a, "-test.fuzz=") || strings.HasPrefix(a, "-test.fuzzworker") {
			return m.Run()
		}
	}
	// The children's death is tied to this thread.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	lab.Isolated(cmd, os.Geteuid() != 0)
	if err := cmd.Start(); err != nil {
		if required() {
			fmt.Fprintln(os.Stderr, "netnstest: starting in namespaces:", err)
			return 1
		}
		return m.Run()
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netnstest:", err)
		return 1
	}
	return 0
}

// hide keeps the programs that tests run from the machine's own state: DHCP
// clients write their leases, their sockets and the resolver's file.
func hide() error {
	for _, dir := range []string{"/run", "/var/lib/dhcp", "/var/lib/dhcpcd"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("hiding %s: %w", dir, err)
		}
	}
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil // none to protect
	}
	const mine = "/run/resolv.conf"
	if err := os.WriteFile(mine, text, 0o644); err != nil {
		return err
	}
	if err := unix.Mount(mine, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("hiding /etc/resolv.conf: %w", err)
	}
	return nil
}

// Need skips a test that cannot run here: outside Main's namespaces, or for
// want of a program. With REQUIRE_NETNS=1 that is a failure.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Getenv(inside) != "1" {
		missing(t, "no permission to make a network namespace")
	}
	for _, p := range programs {
		NeedProgram(t, p)
	}
}

// NeedProgram skips a test for want of a program, wherever it runs.
func NeedProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, "no program "+name)
	}
}

// NeedRoot skips a test for which root in a user namespace is not enough.
func NeedRoot(t testing.TB) {
	t.Helper()
	if m, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(m))) != 3 || strings.Fields(string(m))[2] == "1" {
		missing(t, "no permission: not root outside a user namespace")
	}
}

func missing(t testing.TB, why string) {
	t.Helper()
	if required() {
		t.Fatalf("REQUIRE_NETNS=1, but there is %s", why)
	}
	t.Skipf("there is %s", why)
}

// Context ends with the test, or when it takes too long.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("the test took longer than %s", limit))
	t.Cleanup(cancel)
	return ctx
}

// Net is a wire: a bridge that the test program itself is on.
type Net struct {
	// Bridge is its interface in the test program's own namespace.
	Bridge string
	ports  int
}

// NewNet makes a wire of at most eight letters. The test program itself is on
// it, with address where that is valid.
func NewNet(t testing.TB, name string, address netip.Prefix) *Net {
	t.Helper()
	if err := lab.Bridge(name, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Remove(name); err != nil {
			t.Error(err)
		}
	})
	return &Net{Bridge: name}
}

// Host is a machine on a Net, with one interface: eth0.
type Host struct {
	*lab.Namespace
}

// Host adds a machine. Its interface has the address hw, and address where
// that is valid.
func (n *Net) Host(t testing.TB, hw mac.Addr, address netip.Prefix) *Host {
	t.Helper()
	ns, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Namespace: ns}
	n.ports++
	port := fmt.Sprintf("%s.%d", n.Bridge, n.ports)
	t.Cleanup(func() {
		// The kernel would remove the cable some time after the namespace.
		if err := errors.Join(lab.Remove(port), ns.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := ns.Plug(Context(t), n.Bridge, port, "eth0", hw); err != nil {
		t.Fatal(err)
	}
	if address.IsValid() {
		h.SetAddress(t, address)
	}
	return h
}

// SetAddress gives the host's interface an address.
func (h *Host) SetAddress(t testing.TB, address netip.Prefix) {
	t.Helper()
	if err := h.Do(func() error { return lab.SetAddress("eth0", address) }); err != nil {
		t.Fatal(err)
	}
}

// Log collects a program's output and lets a test wait for a line of it.
type Log struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// Write adds output.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.buf.Write(p)
}

// String is all output so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Wait returns when the output has text; it fails the test after a minute, or
// when the program has ended without it.
func (p *Process) Wait(text string) {
	p.t.Helper()
	p.WaitTimes(text, 1)
}

// WaitTimes is Wait for a text that the output is to have so many times.
func (p *Process) WaitTimes(text string, times int) {
	p.t.Helper()
	timeout := time.After(limit)
	for {
		p.Log.mu.Lock()
		found, changed := strings.Count(p.Log.buf.String(), text) >= times, p.Log.changed
		p.Log.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			if n := strings.Count(p.Log.String(), text); n < times {
				p.t.Fatalf("%s ended (%v) and said %q %d times, want %d", p.cmd.Path, p.err, text, n, times)
			}
		case <-timeout:
			p.t.Fatalf("%s did not say %q %d times in %s", p.cmd.Path, text, times, limit)
		}
	}
}

// Process is a program that runs beside the test.
type Process struct {
	Log  *Log
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program on the host until the test ends. Its output is shown
// where the test fails.
func (h *Host) Start(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Log: newLog(), t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.Log, p.Log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that keeps the pipe open must not keep Wait.
	p.cmd.WaitDelay = time.Second
	if err := h.Namespace.Start(p.cmd); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(p.cmd.Args, " "), p.Log)
		}
	})
	return p
}

// Service starts a program that speaks sd_notify and waits until it is ready.
func (h *Host) Service(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	dir, err := os.MkdirTemp("", "n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	notify, err := lab.ListenNotify(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	p := h.Start(t, append(env, notify.Env()), name, args...)
	ctx, cancel := context.WithCancelCause(Context(t))
	defer cancel(nil)
	go func() {
		select {
		case <-p.done:
			cancel(fmt.Errorf("%s ended: %v", name, p.err))
		case <-ctx.Done():
		}
	}()
	if err := notify.Wait(ctx, "READY=1"); err != nil {
		t.Fatal(err)
	}
	return p
}

// Kill ends the program at once, and whatever it started (SIGKILL).
func (p *Process) Kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Signal sends a signal to the program alone.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %s to %s: %v", s, p.cmd.Path, err)
	}
}

// Exit waits until the program has ended and gives its exit status.
func (p *Process) Exit() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s did not end in %s", p.cmd.Path, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Pid is the program's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Result is how a program ended.
type Result struct {
	Status         int // -1 where a signal ended it
	Stdout, Stderr string
}

// Run runs a program on the host to its end.
func (h *Host) Run(t testing.TB, name string, args ...string) Result {
	t.Helper()
	return h.RunWith(t, nil, nil, name, args...)
}

// RunWith runs a program with an input and additions to its environment.
func (h *Host) RunWith(t testing.TB, env []string, stdin io.Reader, name string, args ...string) Result {
	t.Helper()
	ctx := Context(t)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := h.Namespace.Start(cmd); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		t.Fatalf("%s: %v; it said:\n%s%s", strings.Join(cmd.Args, " "), context.Cause(ctx), &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("running %s: %v", name, err)
	}
	return Result{Status: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// Capture saves what passes the host's interface where the test fails, in the
// folder that $DIALTONE_CAPTURES names, if tcpdump is there.
func (h *Host) Capture(t testing.TB) {
	dir := os.Getenv("DIALTONE_CAPTURES")
	if _, err := exec.LookPath("tcpdump"); err != nil || dir == "" {
		return
	}
	path := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".pcap")
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.Remove(path)
		}
	})
	h.Start(t, nil, "tcpdump", "-i", "eth0", "-U", "-w", path).Wait("listening on")
}
