package tftpd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNetascii(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a\n", 5000)
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a", "a"},
		{"a\nb", "a\r\nb"},
		{"\n", "\r\n"},
		{"\r", "\r\x00"},
		{"a\r\nb\r", "a\r\x00\r\nb\r\x00"},
		{"ümlaut\n", "ümlaut\r\n"},
		{long, strings.ReplaceAll(long, "\n", "\r\n")},
	} {
		// Whatever is read at once, pairs are cut at every place.
		for _, size := range []int{1, 2, 3, 511, 512, 4096} {
			for _, source := range []io.Reader{
				strings.NewReader(tt.in),
				iotest.OneByteReader(strings.NewReader(tt.in)),
				iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				var got bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&got}, &netascii{r: source}, make([]byte, size))
				if err != nil || got.String() != tt.want {
					t.Errorf("%.20q in pieces of %d = %.40q, %v, want %.40q", tt.in, size, got.String(), err, tt.want)
				}
			}
		}
	}
	if _, err := io.ReadAll(&netascii{r: iotest.ErrReader(io.ErrClosedPipe)}); err != io.ErrClosedPipe {
		t.Errorf("error %v, want that of the source", err)
	}
}
