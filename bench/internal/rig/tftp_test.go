package rig

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// serveTFTP sends file from a port of its own to each that asks, block by block,
// and loses the first block that has the number lost.
func serveTFTP(t *testing.T, conn *net.UDPConn, file []byte, lost uint16) {
	for buf := make([]byte, 1500); ; {
		_, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		transfer, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(from))
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer transfer.Close()
			in, lost := make([]byte, 600), lost
			for at, block := 0, uint16(1); ; {
				p := binary.BigEndian.AppendUint16([]byte{0, tftpDATA}, block)
				p = append(p, file[at:min(len(file), at+tftpBlock)]...)
				if block != lost {
					_, _ = transfer.Write(p)
				}
				lost = 0
				_ = transfer.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, err := transfer.Read(in)
				if err != nil {
					continue
				}
				if n < 4 || in[1] != tftpACK {
					return
				}
				if binary.BigEndian.Uint16(in[2:]) == block {
					if len(p) < tftpBlock+4 {
						return
					}
					at += tftpBlock
					block++
				}
			}
		}()
	}
}

func TestTFTP(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	file := bytes.Repeat([]byte("0123456789abcdef"), 32*5) // five whole blocks and an empty one
	go serveTFTP(t, conn, file, 1)
	server := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	here := func(f func() error) error { return f() }

	got := make([][]byte, 3)
	l := TFTPLoad{
		File: "x", Size: int64(len(file)), Local: slices.Repeat([]netip.Addr{server.Addr()}, 3), Limit: 20 * time.Second,
		Received: func(i int, b []byte) { got[i] = append(got[i], b...) },
	}
	tally, err := l.run(t.Context(), server, here)
	if err != nil || tally.Files != 3 || tally.Failed != 0 || tally.Octets != 3*l.Size {
		t.Errorf("%+v, %v", tally, err)
	}
	for i := range got {
		if !bytes.Equal(got[i], file) {
			t.Errorf("client %d got %d octets of %d", i, len(got[i]), len(file))
		}
	}

	l = TFTPLoad{File: "x", Size: 7, Local: l.Local, Limit: 20 * time.Second}
	if tally, err = l.run(t.Context(), server, here); err != nil || tally.Failed != 3 || tally.Reason != "2560 octets of 7" {
		t.Errorf("a file of another size: %+v, %v", tally, err)
	}
	l = TFTPLoad{File: "x", Size: 1, Block: 1428, Local: l.Local, Limit: 200 * time.Millisecond}
	if tally, err = l.run(t.Context(), server, here); err != nil || tally.Failed != 3 {
		t.Errorf("a block size that is not granted: %+v, %v", tally, err)
	}
}

func TestTFTPRefused(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			_, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort([]byte("\x00\x05\x00\x01no\x00"), from)
		}
	}()
	server := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	l := TFTPLoad{File: "x", Local: []netip.Addr{server.Addr(), server.Addr()}, Limit: 20 * time.Second}
	tally, err := l.run(t.Context(), server, func(f func() error) error { return f() })
	if err != nil || tally.Refused != 2 || tally.Failed != 2 || tally.Files != 0 {
		t.Errorf("%+v, %v", tally, err)
	}
}
