// Package daemon runs the appliance's parts as one service: it starts them
// together, tells systemd when every one of them answers, hands on the
// request to reload, and ends all when one ends.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"
)

// Task is one part of the service.
type Task struct {
	Name string
	// Run serves until ctx is done and returns nil then. It calls ready once,
	// when its sockets answer. Any other return ends the whole service.
	Run func(ctx context.Context, ready func()) error
}

// Daemon is a group of tasks and what it says of itself.
type Daemon struct {
	Tasks []Task
	// Reload answers SIGHUP. Its text becomes the status that systemd shows.
	Reload func() (status string)
	Log    *slog.Logger
	// Notify tells the service manager; nil is systemd by NOTIFY_SOCKET, and
	// nobody where that is not set.
	Notify func(state string)
	// Signals are the signals to obey; nil takes the process's own.
	Signals <-chan os.Signal
}

// errSignal ends the group when the service is asked to stop.
var errSignal = errors.New("asked to stop")

// Run starts every task and returns when all have ended: nil after SIGTERM,
// SIGINT or the end of ctx, else the first task's error.
func (d *Daemon) Run(ctx context.Context) error {
	notify := d.Notify
	if notify == nil {
		// Without NOTIFY_SOCKET there is nobody to tell, which is no error;
		// a socket that does not take the message is not worth an end.
		notify = func(state string) { _, _ = sd.SdNotify(false, state) }
	}
	signals := d.Signals
	if signals == nil {
		c := make(chan os.Signal, 4)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		defer signal.Stop(c)
		signals = c
	}

	g, ctx := errgroup.WithContext(ctx)
	waiting := newWaiting(d.Tasks, func(names []string) {
		if len(names) > 0 {
			notify("STATUS=starting: waiting for " + strings.Join(names, ", "))
			return
		}
		d.Log.Info("serving")
		notify("READY=1\nSTATUS=serving")
	})
	for _, t := range d.Tasks {
		g.Go(func() error {
			err := t.Run(ctx, func() { waiting.done(t.Name) })
			if err == nil && ctx.Err() == nil {
				err = errors.New("ended by itself")
			}
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("serving %s: %w", t.Name, err)
			}
			return nil
		})
	}
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				notify("STOPPING=1\nSTATUS=stopping")
				return nil
			case s := <-signals:
				if s != syscall.SIGHUP {
					d.Log.Info("stopping", "signal", s.String())
					notify("STOPPING=1\nSTATUS=stopping")
					return errSignal
				}
				notify(reloading())
				notify("READY=1\nSTATUS=" + d.Reload())
			}
		}
	})
	if err := g.Wait(); !errors.Is(err, errSignal) {
		return err
	}
	return nil
}

// reloading is the message that sd_notify(3) asks for at the start of a
// reload, with the time that lets the manager tell it from an older one.
func reloading() string {
	return sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()
}

// waiting counts the tasks that are not ready yet.
type waiting struct {
	mu    sync.Mutex
	names []string
	tell  func(names []string)
}

func newWaiting(tasks []Task, tell func([]string)) *waiting {
	w := &waiting{tell: tell}
	for _, t := range tasks {
		w.names = append(w.names, t.Name)
	}
	tell(w.names)
	return w
}

// done takes a task off the list, once however often it is called.
func (w *waiting) done(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, n := range w.names {
		if n == name {
			w.names = append(w.names[:i], w.names[i+1:]...)
			w.tell(w.names)
			return
		}
	}
}
