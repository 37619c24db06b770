package tftpd

import "io"

// netascii turns the line ends of a text into those of RFC 764: LF becomes
// CR LF, CR becomes CR NUL.
type netascii struct {
	r    io.Reader
	buf  [4096]byte
	in   []byte // of buf, not yet turned
	held byte   // the second octet of a pair that did not fit
	pair bool   // held is due
	err  error
}

func (a *netascii) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if a.pair {
			p[n], a.pair = a.held, false
			n++
			continue
		}
		if len(a.in) == 0 {
			if n > 0 || a.err != nil {
				break
			}
			var m int
			m, a.err = a.r.Read(a.buf[:])
			a.in = a.buf[:m]
			if m == 0 {
				break
			}
		}
		c := a.in[0]
		a.in = a.in[1:]
		switch c {
		case '\n':
			c, a.held, a.pair = '\r', '\n', true
		case '\r':
			a.held, a.pair = 0, true
		}
		p[n] = c
		n++
	}
	if n == 0 && len(p) > 0 {
		return 0, a.err
	}
	return n, nil
}
