package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pin/tftp/v3"

	"dialtone/httpd"
	"dialtone/internal/rollout"
	"dialtone/internal/state"
	"dialtone/profiles"
	"dialtone/provision"
	"dialtone/tftpd"
)

// What is sent of a rollout's images over HTTP and TFTP is within its bandwidth in
// sum: on a clock that stands still, whoever asks last waits for all the others.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	const (
		size, each = 300_000, 3 // octets; downloads by each protocol
		rate       = 1_000_000  // octets per second
		image      = "snomD717-10.1.226.16-SIP-r.bin"
	)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "files/firmware"), 0o755); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("firmware!!"), size/10)
	if err := os.WriteFile(filepath.Join(dir, "files/firmware", image), body, 0o644); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "one.hcl"), `appliance {
  interface = "lo"
  state_dir = "`+dir+`"
  files_dir = "`+dir+`/files"
}
rollout "autumn" {
  models    = ["snomD717"]
  firmware  = "10.1.226.16"
  bandwidth = "1MB/s"
}
`)
	cfg := loaded(t, filepath.Join(dir, "one.hcl"))
	db, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	log := slog.New(slog.DiscardHandler)
	start := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC)
	now := func() time.Time { return start }
	keeper, err := rollout.Open(db, log, start)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var longest time.Duration
	r := newRollouts(keeper, func() *profiles.Set { return cfg.Set })
	r.wait = func(_ context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		longest = max(longest, d)
		return nil
	}
	desk := newDesk(func() *configuration { return &cfg }, provision.Config{Log: log, Rollouts: r})
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var servers, phones sync.WaitGroup
	servers.Go(func() {
		if err := (&httpd.Server{Desk: desk, Log: log, Now: now}).Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	servers.Go(func() {
		if err := (&tftpd.Server{Desk: desk, Log: log, Now: now}).Serve(ctx, conn); err != nil {
			t.Error(err)
		}
	})
	path := "firmware/" + image
	for range each {
		phones.Go(func() {
			res, err := http.Get(fmt.Sprintf("http://%s/%s", l.Addr(), path))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("over HTTP: %d octets, %v", len(got), err)
			}
		})
		phones.Go(func() {
			var got bytes.Buffer
			c, err := tftp.NewClient(conn.LocalAddr().String())
			if err != nil {
				t.Error(err)
				return
			}
			c.SetBlockSize(1428)
			transfer, err := c.Receive(path, "octet")
			if err == nil {
				_, err = transfer.WriteTo(&got)
			}
			if err != nil || !bytes.Equal(got.Bytes(), body) {
				t.Errorf("over TFTP: %d octets, %v", got.Len(), err)
			}
		})
	}
	phones.Wait()
	stop()
	servers.Wait()
	mu.Lock()
	defer mu.Unlock()
	// The last stride waits until all before it are sent. A transfer may take a stride
	// or two more than its file has.
	const all = 2 * each * size
	least := time.Duration(all-provision.PaceStride) * time.Second / rate
	most := time.Duration(all+2*each*2*provision.PaceStride) * time.Second / rate
	if longest < least || longest > most {
		t.Errorf("%d octets take %v at %d octets a second, want %v to %v", all, longest, rate, least, most)
	}
}
