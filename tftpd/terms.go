package tftpd

import (
	"encoding/binary"
	"strconv"
	"time"
)

const (
	defaultBlock = 512
	minBlock     = 8     // RFC 2348
	maxBlock     = 65464 // RFC 2348

	maxWindow = 64
	// maxInFlight bounds what a transfer keeps for sending again, in octets:
	// a window of jumbo frames must not cost more memory than one of small ones.
	maxInFlight = 128 << 10

	// maxTimeout is the longest timeout that is agreed to, or comes of trying again:
	// a client that never comes back holds its place for six of them at most.
	maxTimeout = 10 * time.Second
)

// terms are what client and server agreed on for one transfer.
type terms struct {
	block   int           // octets of data in a block (RFC 2348)
	window  int           // blocks sent before an ACK is awaited (RFC 7440)
	timeout time.Duration // until a block is sent again, at first (RFC 2349)
	oack    []byte        // the packet that says so; nil where no option was agreed on
}

// negotiate answers options. size is that of the file, negative where it is not
// known; mtu is the largest block that the way to the client takes. An option
// that cannot be granted is left out of the answer (RFC 2347).
func negotiate(options []option, size int64, mtu int, timeout time.Duration) terms {
	t := terms{block: defaultBlock, window: 1, timeout: timeout}
	// The window depends on the block, whichever option came first.
	for _, o := range options {
		if n, err := strconv.ParseUint(o.value, 10, 31); err == nil && o.name == "blksize" && n >= minBlock {
			t.block = min(int(n), mtu, maxBlock)
			break
		}
	}
	granted := make(map[string]bool, 4)
	for _, o := range options {
		n, err := strconv.ParseUint(o.value, 10, 63)
		if err != nil || granted[o.name] {
			continue
		}
		switch {
		case o.name == "blksize" && n >= minBlock && n < 1<<31:
			n = uint64(t.block)
		case o.name == "tsize" && size >= 0:
			n = uint64(size)
		case o.name == "timeout" && n >= 1 && n <= uint64(maxTimeout/time.Second):
			t.timeout = time.Duration(n) * time.Second
		case o.name == "windowsize" && n >= 1 && n <= 65535:
			t.window = max(1, min(int(n), maxWindow, maxInFlight/(t.block+headerLen)))
			n = uint64(t.window)
		default:
			continue
		}
		granted[o.name] = true
		if t.oack == nil {
			t.oack = binary.BigEndian.AppendUint16(nil, opOACK)
		}
		t.oack = append(append(t.oack, o.name...), 0)
		t.oack = append(strconv.AppendUint(t.oack, n, 10), 0)
	}
	return t
}
