package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Opcodes of TFTP (RFC 1350 section 5, RFC 2347).
const (
	tftpRRQ   = 1
	tftpDATA  = 3
	tftpACK   = 4
	tftpERROR = 5
	tftpOACK  = 6

	tftpPort  = 69
	tftpBlock = 512
)

// TFTPLoad is clients that each read a file, over TFTP. One thread does it all,
// with as few system calls as there are, so that the load is that of the server.
type TFTPLoad struct {
	File   string
	FileOf func(client int) string // in place of File, where each reads its own
	Size   int64                   // octets of the file; a transfer that ends with any other number has failed; 0: not known
	Block  int                     // asked for where it is not 512
	Window int                     // asked for where it is not 1
	Local  []netip.Addr            // each client's own address; a client for each
	Period time.Duration           // the clients begin again until it is over; 0: each reads the file once
	Limit  time.Duration           // when what is not done has failed; only where Period is 0
	Silent bool                    // nothing is acknowledged, as by clients that went away
	// Received, where it is set, is told what each client gets, in order.
	Received func(client int, b []byte)
}

// TFTPTally is what came of it.
type TFTPTally struct {
	Octets  int64
	Files   int
	Failed  int
	Resent  int // requests and ACKs that were sent again
	Refused int // ERRORs of the server
	Elapsed time.Duration
	Reason  string // of the last failure
}

// Rate is megabytes a second.
func (t TFTPTally) Rate() float64 { return Megabytes(t.Octets) / t.Elapsed.Seconds() }

// tftpClient is one that reads.
type tftpClient struct {
	fd        int
	connected bool
	next      uint16 // the block that it waits for
	window    int
	block     int
	pending   int // blocks since the last ACK
	gap       bool
	got       int64
	out       []byte // what was sent last
	ack       [4]byte
	heard     time.Time
	tries     int
	done      bool
}

const (
	tftpPatience = time.Second
	tftpTries    = 10
)

// TFTP runs a load against the server's end of the wire.
func (s *Site) TFTP(ctx context.Context, l TFTPLoad) (TFTPTally, error) {
	return l.run(ctx, netip.AddrPortFrom(s.ServerAddr, tftpPort), s.Client.Do)
}

// run has do open the sockets.
func (l *TFTPLoad) run(ctx context.Context, server netip.AddrPort, do func(func() error) error) (t TFTPTally, err error) {
	if l.Block == 0 {
		l.Block = tftpBlock
	}
	l.Window = max(1, l.Window)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return t, fmt.Errorf("opening epoll: %w", err)
	}
	defer unix.Close(ep)
	clients := make([]tftpClient, len(l.Local))
	for i := range clients {
		clients[i].fd = -1
	}
	abort := append([]byte{0, tftpERROR, 0, 0}, "enough\x00"...)
	closeOne := func(c *tftpClient) {
		if c.fd >= 0 {
			if c.connected && !c.done {
				_, _ = unix.Write(c.fd, abort) // so that the server does not send to nobody
			}
			_ = unix.Close(c.fd)
			c.fd = -1
		}
	}
	defer func() {
		for i := range clients {
			closeOne(&clients[i])
		}
	}()
	to := &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}
	if l.FileOf == nil {
		l.FileOf = func(int) string { return l.File }
	}
	open := func(i int, now time.Time) error {
		c, rrq := &clients[i], l.request(l.FileOf(i))
		closeOne(c)
		*c = tftpClient{fd: -1, next: 1, window: 1, block: tftpBlock, out: rrq, heard: now}
		err := do(func() (err error) {
			c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			return err
		})
		if err != nil {
			return fmt.Errorf("opening a socket: %w", err)
		}
		if err := unix.Bind(c.fd, &unix.SockaddrInet4{Addr: l.Local[i].As4()}); err != nil {
			return fmt.Errorf("binding to %s: %w", l.Local[i], err)
		}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return fmt.Errorf("watching a socket: %w", err)
		}
		return unix.Sendto(c.fd, rrq, 0, to)
	}
	start := time.Now()
	end := start.Add(l.Period)
	if l.Period == 0 {
		end = start.Add(l.Limit)
	}
	left := len(clients)
	for i := range clients {
		if err := open(i, start); err != nil {
			return t, err
		}
	}
	events := make([]unix.EpollEvent, 64)
	buf := make([]byte, 64<<10)
	swept := start
	for left > 0 {
		n, err := unix.EpollWait(ep, events, 20)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return t, fmt.Errorf("waiting for packets: %w", err)
		}
		now := time.Now()
		t.Elapsed = now.Sub(start)
		if now.After(end) || ctx.Err() != nil {
			if l.Period == 0 {
				t.Failed += left
				t.Reason = "not done in time"
			}
			return t, ctx.Err()
		}
		for _, e := range events[:max(n, 0)] {
			i := int(e.Fd)
			c := &clients[i]
			c.heard, c.tries = now, 0
			failure := ""
			// A window comes at once; it is level-triggered, so what is left comes again.
			for range c.window {
				m, got := c.read(buf)
				if !got {
					break
				}
				before := c.got
				failure = c.handle(buf[:m], l, i, &t)
				t.Octets += c.got - before
				if failure != "" || c.done {
					break
				}
			}
			switch {
			case failure != "":
				t.Failed++
				t.Reason = failure
				c.done = true
				closeOne(c)
				left--
			case c.done:
				t.Files++
				if l.Size > 0 && c.got != l.Size {
					t.Failed++
					t.Reason = fmt.Sprintf("%d octets of %d", c.got, l.Size)
				}
				if l.Period > 0 {
					if err := open(i, now); err != nil {
						return t, err
					}
					continue
				}
				closeOne(c)
				left--
			}
		}
		if now.Sub(swept) < 100*time.Millisecond {
			continue
		}
		swept = now
		for i := range clients {
			c := &clients[i]
			if c.fd < 0 || now.Sub(c.heard) < tftpPatience {
				continue
			}
			c.heard = now
			t.Resent++
			if c.tries++; c.tries > tftpTries {
				t.Failed++
				t.Reason = "no answer"
				closeOne(c)
				left--
				continue
			}
			if c.connected {
				_, err = unix.Write(c.fd, c.out)
			} else {
				err = unix.Sendto(c.fd, c.out, 0, to)
			}
			if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
				return t, fmt.Errorf("sending again: %w", err)
			}
		}
	}
	return t, nil
}

// request is the packet that asks for a file.
func (l *TFTPLoad) request(file string) []byte {
	b := append([]byte{0, tftpRRQ}, file+"\x00octet\x00"...)
	if l.Block != tftpBlock {
		b = append(b, "blksize\x00"+strconv.Itoa(l.Block)+"\x00"...)
	}
	if l.Window != 1 {
		b = append(b, "windowsize\x00"+strconv.Itoa(l.Window)+"\x00"...)
	}
	return b
}

// read gives the next packet of the transfer; false where there is none.
func (c *tftpClient) read(buf []byte) (n int, ok bool) {
	if c.connected {
		n, err := unix.Read(c.fd, buf)
		return n, err == nil && n >= 4
	}
	n, from, err := unix.Recvfrom(c.fd, buf, 0)
	if err != nil || n < 4 {
		return 0, false
	}
	// The port that answers is the transfer's (RFC 1350 section 4).
	if err := unix.Connect(c.fd, from); err != nil {
		return 0, false
	}
	c.connected = true
	return n, true
}

// handle takes a packet. What it gives is why the transfer failed.
func (c *tftpClient) handle(p []byte, l *TFTPLoad, i int, t *TFTPTally) string {
	if l.Silent {
		if binary.BigEndian.Uint16(p) == tftpERROR {
			t.Refused++
			return "refused"
		}
		return ""
	}
	switch value := binary.BigEndian.Uint16(p[2:]); binary.BigEndian.Uint16(p) {
	case tftpOACK:
		if c.got > 0 {
			return ""
		}
		words := strings.Split(string(p[2:]), "\x00")
		for k := 0; k+1 < len(words); k += 2 {
			n, _ := strconv.Atoi(words[k+1])
			switch strings.ToLower(words[k]) {
			case "blksize":
				c.block = n
			case "windowsize":
				c.window = n
			}
		}
		if c.block != l.Block || c.window != l.Window {
			return fmt.Sprintf("blocks of %d in windows of %d were granted", c.block, c.window)
		}
		return c.acknowledge(0)
	case tftpDATA:
		if value != c.next {
			t.Resent++
			// What was missed is asked for once; what comes twice is
			// acknowledged where each block is.
			if c.gap && c.window > 1 {
				return ""
			}
			c.gap, c.pending = true, 0
			return c.acknowledge(c.next - 1)
		}
		data := p[4:]
		if l.Received != nil {
			l.Received(i, data)
		}
		c.got += int64(len(data))
		c.next++
		c.gap = false
		c.pending++
		c.done = len(data) < c.block
		if c.pending == c.window || c.done {
			c.pending = 0
			return c.acknowledge(value)
		}
	case tftpERROR:
		t.Refused++
		return fmt.Sprintf("the server says %d %.80q", value, p[4:])
	}
	return ""
}

func (c *tftpClient) acknowledge(block uint16) string {
	c.ack = [4]byte{0, tftpACK, byte(block >> 8), byte(block)}
	c.out = c.ack[:]
	if _, err := unix.Write(c.fd, c.out); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
		return err.Error()
	}
	return ""
}
