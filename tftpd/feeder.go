package tftpd

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readAhead is read from a file at once, in octets: a system call for each block
// of 512 octets costs more than the copy. Twice as much is kept for each phone.
const readAhead = 16 << 10

// feeder makes the packets of a transfer from its file, a run of them at a time.
type feeder struct {
	body   io.Reader
	file   *os.File // what body is, where it is one that can be read by offset
	size   int64    // of the file when it was opened, negative where it is not known
	offset int64    // in file
	block  int
	blocks int    // of a run, but for the first
	runs   int    // so many that one is read while others are in flight
	number uint16 // of the next block
}

// newFeeder makes one for a file of that size, negative where it is not known.
func newFeeder(body io.Reader, size int64, t terms) *feeder {
	f := &feeder{body: body, size: size, block: t.block, number: 1}
	f.file, _ = body.(*os.File)
	f.blocks = max(1, readAhead/t.block)
	// A window may begin with the last block of one run and end in another.
	f.runs = 1 + (t.window+2*f.blocks-2)/f.blocks
	if size >= 0 && size/int64(t.block) < int64(f.blocks) {
		f.blocks, f.runs = int(size/int64(t.block))+1, 1
	}
	return f
}

// first gives room for the first run: all of a short file, else one block, for
// nobody may be there to take more.
func (f *feeder) first() []byte {
	if f.runs == 1 {
		return f.buffer()
	}
	return make([]byte, f.block+headerLen)
}

// buffer gives room for a run.
func (f *feeder) buffer() []byte { return make([]byte, f.blocks*(f.block+headerLen)) }

// data is the part of a buffer that is read into.
func (f *feeder) data(buf []byte) []byte { return buf[:len(buf)/(f.block+headerLen)*f.block] }

// fill reads a run into buf, and waits for it. An error is a *fault, for the
// client, with its cause.
//
// The client was told the size, and takes a short block for the end: of a file
// that grew meanwhile the rest is left out, and one that shrank is an error.
func (f *feeder) fill(buf []byte) (r run, ended bool, err error) {
	data := f.data(buf)
	if left := f.size - f.offset; f.size >= 0 && left < int64(len(data)) {
		data, ended = data[:left], true
	}
	n := 0
	if f.file != nil {
		n, err = f.file.ReadAt(data, f.offset)
	} else {
		n, err = io.ReadFull(f.body, data)
	}
	if n == len(data) {
		err = nil
	} else if f.size < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		ended, err = true, nil
	}
	if err != nil {
		return run{}, false, fmt.Errorf("%w: %w", &fault{codeOther, "the file could not be read to its end"}, err)
	}
	return f.pack(buf, n, ended), ended, nil
}

// poll does as fill where the kernel has all of the run in its memory, and is
// false where it has not, or where the file ends.
func (f *feeder) poll(buf []byte) (r run, ok bool) {
	data := f.data(buf)
	if f.file == nil || f.size-f.offset < int64(len(data)) {
		return run{}, false
	}
	n, err := unix.Preadv2(int(f.file.Fd()), [][]byte{data}, f.offset, unix.RWF_NOWAIT)
	if err != nil || n < len(data) {
		return run{}, false
	}
	return f.pack(buf, n, false), true
}

// pack makes packets of the first n octets of buf. A file that is a multiple of
// the block long ends with an empty block.
func (f *feeder) pack(buf []byte, n int, ended bool) run {
	count, stride := n/f.block, f.block+headerLen
	end := count * stride
	if ended {
		end += headerLen + n%f.block
		count++
	}
	// The blocks move apart, the last one first, and the headers come between.
	for i := count - 1; i >= 0; i-- {
		p := buf[i*stride : min((i+1)*stride, end)]
		copy(p[headerLen:], buf[i*f.block:])
		binary.BigEndian.PutUint16(p, opDATA)
		binary.BigEndian.PutUint16(p[2:], f.number+uint16(i))
	}
	f.number += uint16(count)
	f.offset += int64(n)
	return run{buf, buf[:end]}
}
