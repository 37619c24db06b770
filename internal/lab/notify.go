package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Notify is the socket on which a service tells its state, as systemd has it
// (sd_notify).
type Notify struct {
	conn *net.UnixConn
	path string
}

// ListenNotify opens a socket in a folder. A Unix socket's whole path may
// have 107 bytes.
func ListenNotify(dir string) (*Notify, error) {
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("opening the notify socket: %w", err)
	}
	return &Notify{conn: conn, path: path}, nil
}

// Env is the environment variable that tells a service of the socket.
func (n *Notify) Env() string { return "NOTIFY_SOCKET=" + n.path }

// Close removes the socket.
func (n *Notify) Close() error {
	return errors.Join(n.conn.Close(), os.Remove(n.path))
}

// Wait returns when the service has sent state, for instance "READY=1".
func (n *Notify) Wait(ctx context.Context, state string) error {
	stop := context.AfterFunc(ctx, func() { _ = n.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buf)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", state, context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", state, err)
		}
		for line := range strings.SplitSeq(string(buf[:size]), "\n") {
			if line == state {
				return nil
			}
		}
	}
}
