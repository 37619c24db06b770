package dhcpd

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// TestFilterJunk holds the kernel's filter to checkHeader: what the one lets
// through the other does.
func TestFilterJunk(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := c.Control(func(fd uintptr) { err = filterJunk(int(fd)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	client, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	large := append(raw(53, 1, 1), make([]byte, 3000)...)
	var want [][]byte
	for _, b := range [][]byte{
		raw(53, 1, 1, 255), nil, []byte("junk"), make([]byte, 300), raw()[:headerSize-1], raw(), large,
		edit(raw(53, 1, 2, 255), 0, 2), edit(raw(255), 1, 6), edit(raw(255), 2, 16), edit(raw(255), offCookie+3, 0), raw(53, 1, 3, 255),
	} {
		if checkHeader(b) == nil {
			want = append(want, b)
		}
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) != 4 {
		t.Fatalf("%d are messages", len(want))
	}
	buf := make([]byte, maxPacket)
	for i, w := range want {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(buf); err != nil || !bytes.Equal(buf[:n], w) {
			t.Errorf("message %d: %x, %v", i, buf[:n], err)
		}
	}
}
