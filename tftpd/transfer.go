package tftpd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// readAhead is read from a file at once, in octets: a system call for each block
// of 512 octets costs more than the copy.
const readAhead = 32 << 10

// transfer sends one file to one client. Each has a port of its own, the
// transfer identifier of RFC 1350 section 4, and is connected to the client, so
// that the kernel keeps everybody else's packets away.
type transfer struct {
	terms
	conn    net.Conn
	retries int // how often the same blocks are sent again

	body   io.Reader
	base   int64  // number of the first block in flight; on the wire it wraps at 65,535
	flight []byte // the blocks in flight with their headers; all but a last one are full
	ended  bool   // the last block is in flight, or was
	resent bool   // some of the flight before was sent more than once
	sent   int64  // octets of the file that were acknowledged
	in     [defaultBlock + headerLen]byte
}

// errGaveUp is the end of a transfer whose client fell silent.
var errGaveUp = errors.New("the client does not answer")

// send sends all of body, size octets of it if that is known, and waits for the
// last ACK. An error that the client should hear of is a *fault.
func (t *transfer) send(body io.Reader, size int64) error {
	if t.oack != nil {
		// The ACK of an OACK has block number 0.
		t.flight = t.oack
		if err := t.deliver(); err != nil {
			return err
		}
	}
	t.base = 1
	ahead := readAhead
	if size >= 0 && size < readAhead {
		ahead = max(int(size), t.block)
	}
	t.body = bufio.NewReaderSize(body, ahead)
	t.flight = make([]byte, 0, t.window*t.stride())
	for {
		if err := t.fill(); err != nil {
			return err
		}
		if len(t.flight) == 0 {
			return nil
		}
		if err := t.deliver(); err != nil {
			return err
		}
	}
}

func (t *transfer) stride() int { return t.block + headerLen }

// fill reads blocks until the window is full or the file ends. A file that is a
// multiple of the block long ends with an empty block.
func (t *transfer) fill() error {
	for !t.ended && len(t.flight) < t.window*t.stride() {
		at := len(t.flight)
		p := t.flight[at : at+t.stride()]
		n, err := io.ReadFull(t.body, p[headerLen:])
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			t.ended = true
		case err != nil:
			return fmt.Errorf("%w: %w", &fault{codeOther, "the file could not be read to its end"}, err)
		}
		binary.BigEndian.PutUint16(p, opDATA)
		binary.BigEndian.PutUint16(p[2:], uint16(t.base+int64(at/t.stride())))
		t.flight = t.flight[:at+headerLen+n]
	}
	return nil
}

// deliver sends what is in flight until the client has acknowledged some of it,
// and takes that out.
func (t *transfer) deliver() error {
	// For a window, another ACK of the block before it says that its first block
	// was lost. But it may also answer what was sent twice: were that heeded, one
	// doubled packet would double the traffic for good (RFC 1123 section 4.2.3.1).
	// So it counts once, and not right after blocks were sent again.
	hasten := t.window > 1 && !t.resent
	t.resent = false
	for try := 0; try <= t.retries; {
		if err := t.transmit(); err != nil {
			return err
		}
		blocks, err := t.await(hasten)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			try++
		case err != nil:
			return err
		case blocks > 0:
			t.advance(blocks)
			return nil
		}
		hasten, t.resent = false, true
	}
	return errGaveUp
}

// transmit sends all that is in flight.
func (t *transfer) transmit() error {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return fmt.Errorf("sending block %d: %w", t.base, err)
	}
	for p := t.flight; len(p) > 0; {
		n := len(p)
		if t.base > 0 {
			n = min(n, t.stride())
		}
		if _, err := t.conn.Write(p[:n]); err != nil {
			return fmt.Errorf("sending block %d: %w", t.base, err)
		}
		p = p[n:]
	}
	return nil
}

// await reads until an ACK counts and gives the number of blocks that it
// acknowledges: zero, where hasten allows it, for the block before the flight.
// Packets that say nothing do not put the deadline off.
func (t *transfer) await(hasten bool) (blocks int, err error) {
	inFlight := 1
	if t.base > 0 {
		inFlight = (len(t.flight) + t.stride() - 1) / t.stride()
	}
	for {
		n, err := t.conn.Read(t.in[:])
		if err != nil {
			return 0, fmt.Errorf("awaiting the ACK of block %d: %w", t.base, err)
		}
		if n < headerLen {
			continue
		}
		value := binary.BigEndian.Uint16(t.in[2:])
		switch binary.BigEndian.Uint16(t.in[:]) {
		case opACK:
			// The difference is taken in 16 bits, as the number wraps.
			blocks := int(value - uint16(t.base-1))
			if blocks > 0 && blocks <= inFlight || blocks == 0 && hasten {
				return blocks, nil
			}
		case opERROR:
			return 0, fmt.Errorf("the client ended it with code %d: %.100q", value, t.in[headerLen:n])
		}
	}
}

// advance takes acknowledged blocks out of the flight.
func (t *transfer) advance(blocks int) {
	if t.base == 0 {
		return // the OACK
	}
	n := min(blocks*t.stride(), len(t.flight))
	t.sent += int64(n - blocks*headerLen)
	t.base += int64(blocks)
	t.flight = t.flight[:copy(t.flight, t.flight[n:])]
}
