package tftpd

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// These two are all that a block costs. As they never block, Go's scheduler is
// not told of them: that would cost some percent of the time.

// receive reads a packet from fd, which does not block.
func receive(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// transmit writes a packet to fd, which does not block.
func transmit(fd int, p []byte) error {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return errno
	}
	return nil
}
