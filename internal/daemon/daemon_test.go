package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manager is a service manager that keeps what it was told.
type manager struct{ told chan string }

func newManager() *manager { return &manager{told: make(chan string, 16)} }

func (m *manager) notify(state string) { m.told <- state }

func until(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

func TestReadyOnlyWhenEveryTaskIs(t *testing.T) {
	m, signals := newManager(), make(chan os.Signal, 1)
	release := make(chan struct{})
	d := &Daemon{
		Tasks: []Task{
			{Name: "http", Run: until},
			{Name: "dhcp", Run: func(ctx context.Context, ready func()) error {
				<-release
				ready()
				ready() // a second call must not count for another task
				<-ctx.Done()
				return nil
			}},
		},
		Log: slog.New(slog.DiscardHandler), Notify: m.notify, Signals: signals,
	}
	ended := make(chan error)
	go func() { ended <- d.Run(t.Context()) }()

	got := []string{<-m.told, <-m.told}
	close(release)
	got = append(got, <-m.told)
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Fatalf("Run ended with %v after SIGTERM", err)
	}
	want := []string{
		"STATUS=starting: waiting for http, dhcp",
		"STATUS=starting: waiting for dhcp",
		"READY=1\nSTATUS=serving",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the manager was told (-want +got):\n%s", diff)
	}
}

func TestReloadSaysWhatCameOfIt(t *testing.T) {
	m, signals := newManager(), make(chan os.Signal, 2)
	d := &Daemon{
		Tasks:  []Task{{Name: "http", Run: until}},
		Reload: func() string { return "2 errors, the old configuration stays" },
		Log:    slog.New(slog.DiscardHandler), Notify: m.notify, Signals: signals,
	}
	ended := make(chan error)
	go func() { ended <- d.Run(t.Context()) }()
	<-m.told
	<-m.told
	signals <- syscall.SIGHUP
	if got := <-m.told; got[:12] != "RELOADING=1\n" {
		t.Errorf("a reload began with %q", got)
	}
	if got, want := <-m.told, "READY=1\nSTATUS=2 errors, the old configuration stays"; got != want {
		t.Errorf("a reload ended with %q, want %q", got, want)
	}
	signals <- syscall.SIGINT
	if err := <-ended; err != nil {
		t.Fatalf("Run ended with %v after SIGINT", err)
	}
}

func TestOneTaskEndsAll(t *testing.T) {
	m := newManager()
	broken := errors.New("address already in use")
	d := &Daemon{
		Tasks: []Task{
			{Name: "tftp", Run: until},
			{Name: "http", Run: func(context.Context, func()) error { return broken }},
		},
		Log: slog.New(slog.DiscardHandler), Notify: m.notify, Signals: make(chan os.Signal),
	}
	err := d.Run(t.Context())
	if !errors.Is(err, broken) || err.Error() != "serving http: address already in use" {
		t.Errorf("Run ended with %v", err)
	}
	d.Tasks[1].Run = func(context.Context, func()) error { return nil }
	if err := d.Run(t.Context()); err == nil || err.Error() != "serving http: ended by itself" {
		t.Errorf("Run ended with %v", err)
	}
}
