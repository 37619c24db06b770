package httpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connected gives a socket as the server takes it, and the client's end.
func connected(t *testing.T, network, address string) (*socket, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skip(err) // no IPv6, say
	}
	d, err := newDoor(l.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	client, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	c, err := d.accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != client.RemoteAddr().String() {
		t.Errorf("from %v to %v, want from %v to %v", c.RemoteAddr(), c.LocalAddr(), client.LocalAddr(), client.RemoteAddr())
	}
	return c, client.(*net.TCPConn)
}

// TestSocket has what is there at once done without the poller, and the rest with it.
func TestSocket(t *testing.T) {
	t.Parallel()
	for _, at := range [][2]string{{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}} {
		t.Run(at[0], func(t *testing.T) {
			t.Parallel()
			s, client := connected(t, at[0], at[1])
			p := make([]byte, 10)
			exchange := func(text string) {
				t.Helper()
				if n, err := s.Read(p); string(p[:n]) != text || err != nil {
					t.Errorf("read %q, %v", p[:n], err)
				}
				if n, err := s.Write([]byte("answer")); n != 6 || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
				if _, err := io.ReadFull(client, p[:6]); err != nil || string(p[:6]) != "answer" {
					t.Errorf("got %q, %v", p[:6], err)
				}
			}
			if _, err := client.Write([]byte("here")); err != nil {
				t.Fatal(err)
			}
			awaitInput(t, s)
			exchange("here")
			if s.polled != nil {
				t.Error("nothing had to be waited for, and the poller has it")
			}
			got := make(chan struct{})
			go func() {
				defer close(got)
				exchange("later")
			}()
			if _, err := client.Write([]byte("later")); err != nil {
				t.Fatal(err)
			}
			<-got
			if err := s.SetDeadline(time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after the deadline: %v", err)
			}
			if s.polled == nil {
				t.Error("something was waited for without the poller")
			}
			long := bytes.Repeat([]byte("x"), 1<<20)
			if err := s.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			go s.Write(long)
			if b, err := io.ReadAll(io.LimitReader(client, 1<<20)); err != nil || !bytes.Equal(b, long) {
				t.Errorf("%d octets, %v", len(b), err)
			}
		})
	}
}

// awaitInput returns when something can be read.
func awaitInput(t *testing.T, s *socket) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		n, err := unix.IoctlGetInt(s.fd, unix.TIOCINQ)
		if err != nil || time.Now().After(end) {
			t.Fatalf("nothing to read: %v", err)
		}
		if n > 0 {
			return
		}
	}
}

// TestSocketFull writes more than the kernel takes at once.
func TestSocketFull(t *testing.T) {
	t.Parallel()
	s, client := connected(t, "tcp4", "127.0.0.1:0")
	all := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	wrote := make(chan error, 1)
	go func() {
		n, err := s.Write(all)
		if err == nil && n != len(all) {
			err = io.ErrShortWrite
		}
		wrote <- errors.Join(err, s.CloseWrite())
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, all) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if s.polled == nil {
		t.Error("16 MiB went into a kernel's buffer")
	}
}

// TestSocketEnds holds the deadlines that were set before the poller had it, the
// end of the other side, and what is left to do after Close: nothing, least of all
// with the descriptor, which may be another's.
func TestSocketEnds(t *testing.T) {
	t.Parallel()
	p := make([]byte, 1)
	t.Run("deadline before", func(t *testing.T) {
		t.Parallel()
		s, _ := connected(t, "tcp4", "127.0.0.1:0")
		if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("end of the other side", func(t *testing.T) {
		t.Parallel()
		s, client := connected(t, "tcp4", "127.0.0.1:0")
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(p); err != io.EOF {
			t.Errorf("the client reads %v", err)
		}
		client.Close()
		if _, err := s.Read(p); err != io.EOF {
			t.Errorf("%v", err)
		}
	})
	t.Run("closed while it waits", func(t *testing.T) {
		t.Parallel()
		s, client := connected(t, "tcp4", "127.0.0.1:0")
		ended := make(chan error)
		go func() {
			_, err := s.Read(p)
			ended <- err
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, err := client.Read(p); err != io.EOF {
			t.Errorf("the client reads %v", err)
		}
	})
	t.Run("after Close", func(t *testing.T) {
		t.Parallel()
		s, _ := connected(t, "tcp4", "127.0.0.1:0")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, read := s.Read(p)
		_, write := s.Write(p)
		_, file := s.ReadFrom(bytes.NewReader(p))
		for _, err := range []error{read, write, file, s.CloseWrite(), s.Close()} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
	})
}
