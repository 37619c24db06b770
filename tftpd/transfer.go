package tftpd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// transfer is the sending side of one transfer, lockstep and window in one, as
// lockstep is a window of one block. It has no socket, no file and no clock: it
// is told what came and what time it is, and says what to do next.
type transfer struct {
	terms
	retries int // how often the same blocks are sent again

	base     int64 // number of the first block in flight, 0 for the OACK; on the wire it wraps at 65,535
	inFlight int   // blocks that were sent and not acknowledged
	runs     []run // what is in flight, and what was read ahead of it
	ready    int   // blocks in runs
	ended    bool  // the last block is in runs, or was
	begun    bool  // the client has answered
	spent    [][]byte

	tries    int           // how often the flight timed out
	patience time.Duration // until it does so again
	due      time.Time     // when it does; zero while more of the file is awaited
	hasten   bool          // the ACK of the block before the flight has it sent again
	resent   bool          // some of the flight was sent more than once
	sent     int64         // octets of the file that were acknowledged
}

// run is blocks of a file as the packets that carry them, one after the other.
// All but the last one of the file are full.
type run struct {
	buf     []byte // to be filled again when all of it was acknowledged
	packets []byte // those that were not acknowledged
}

// step is what a transfer does next.
type step int

const (
	wait   step = iota // for an ACK, for more of the file, until it is due
	send               // what is in flight
	finish             // all of the file was acknowledged
)

// errGaveUp is the end of a transfer whose client fell silent.
var errGaveUp = errors.New("the client does not answer")

func (t *transfer) stride() int { return t.block + headerLen }

// start begins with the OACK, or with the file where no option was agreed on.
func (t *transfer) start(now time.Time) step {
	if t.oack == nil {
		t.base = 1
		return t.proceed(now)
	}
	// The ACK of an OACK has block number 0.
	t.inFlight = 1
	return t.launch(now)
}

// feed adds packets that were read; the last ones where ended.
func (t *transfer) feed(r run, ended bool, now time.Time) step {
	t.runs = append(t.runs, r)
	t.ready += (len(r.packets) + t.stride() - 1) / t.stride()
	t.ended = ended
	if t.base > 0 && t.due.IsZero() {
		return t.proceed(now)
	}
	return wait
}

// proceed fills the window. A part of one is not sent before the file ends: its
// client would wait for the rest.
func (t *transfer) proceed(now time.Time) step {
	if t.ready < t.window && !t.ended {
		t.due = time.Time{}
		return wait
	}
	t.inFlight = min(t.window, t.ready)
	if t.inFlight == 0 {
		return finish
	}
	return t.launch(now)
}

// launch begins a flight.
//
// For a window, another ACK of the block before it says that its first block
// was lost. But it may also answer what was sent twice: were that heeded, one
// doubled packet would double the traffic for good (RFC 1123 section 4.2.3.1).
// So it counts once, and not right after blocks were sent again.
func (t *transfer) launch(now time.Time) step {
	t.hasten = t.window > 1 && !t.resent
	t.resent = false
	t.tries, t.patience = 0, t.timeout
	t.due = now.Add(t.patience)
	return send
}

// again sends the flight once more.
func (t *transfer) again(now time.Time) step {
	t.hasten, t.resent = false, true
	t.due = now.Add(t.patience)
	return send
}

// expire is told that the time is up: now is not before due. Each time that it is
// for the same blocks it takes twice as long (RFC 1123 section 4.2.3.2): a network
// that is full is not filled up, and one that is away for half a minute, as when a
// switch starts, is waited for.
func (t *transfer) expire(now time.Time) (step, error) {
	if t.tries++; t.tries > t.retries {
		return finish, errGaveUp
	}
	t.patience = min(2*t.patience, max(t.timeout, maxTimeout))
	return t.again(now), nil
}

// receive takes a packet of the client. Those that say nothing do not put off
// when the flight is due.
func (t *transfer) receive(p []byte, now time.Time) (step, error) {
	if len(p) < headerLen {
		return wait, nil
	}
	value := binary.BigEndian.Uint16(p[2:])
	switch binary.BigEndian.Uint16(p) {
	case opACK:
		// The difference is taken in 16 bits, as the number wraps.
		blocks := int(value - uint16(t.base-1))
		switch {
		case blocks > 0 && blocks <= t.inFlight:
			t.advance(blocks)
			return t.proceed(now), nil
		case blocks == 0 && t.hasten && !t.due.IsZero():
			return t.again(now), nil
		}
	case opERROR:
		return finish, fmt.Errorf("the client ended it with code %d: %.100q", value, p[headerLen:])
	}
	return wait, nil
}

// advance takes acknowledged blocks out of the flight.
func (t *transfer) advance(blocks int) {
	t.inFlight -= blocks
	t.begun = true
	if t.base == 0 {
		t.base = 1
		return
	}
	t.base += int64(blocks)
	t.ready -= blocks
	for blocks > 0 {
		r := &t.runs[0]
		n := min(blocks*t.stride(), len(r.packets))
		taken := (n + t.stride() - 1) / t.stride()
		r.packets = r.packets[n:]
		t.sent += int64(n - taken*headerLen)
		blocks -= taken
		if len(r.packets) == 0 {
			t.spent = append(t.spent, r.buf)
			t.runs = append(t.runs[:0], t.runs[1:]...)
		}
	}
}

// flight gives the packets in flight: parts of runs, each packet full except for
// the last one of a part.
func (t *transfer) flight(yield func(packets []byte) bool) {
	if t.base == 0 {
		yield(t.oack)
		return
	}
	left := t.inFlight * t.stride()
	for _, r := range t.runs {
		p := r.packets[:min(left, len(r.packets))]
		if len(p) == 0 || !yield(p) {
			return
		}
		left -= (len(p) + t.stride() - 1) / t.stride() * t.stride()
	}
}
