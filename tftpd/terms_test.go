package tftpd

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	const mtu = 1468 // of Ethernet
	for _, tt := range []struct {
		name    string
		options []option
		size    int64
		mtu     int
		want    terms
	}{
		{name: "none", want: terms{block: 512, window: 1, timeout: time.Second}},
		{
			name: "all, in their order", size: 1000,
			options: []option{{"windowsize", "8"}, {"tsize", "0"}, {"timeout", "3"}, {"blksize", "1428"}},
			want: terms{
				block: 1428, window: 8, timeout: 3 * time.Second,
				oack: []byte("\x00\x06windowsize\x008\x00tsize\x001000\x00timeout\x003\x00blksize\x001428\x00"),
			},
		},
		{
			name: "smallest block", options: []option{{"blksize", "8"}},
			want: terms{block: 8, window: 1, timeout: time.Second, oack: []byte("\x00\x06blksize\x008\x00")},
		},
		{
			name: "too small a block", options: []option{{"blksize", "7"}},
			want: terms{block: 512, window: 1, timeout: time.Second},
		},
		{
			name: "block of the largest packet", options: []option{{"blksize", "65464"}},
			want: terms{block: mtu, window: 1, timeout: time.Second, oack: []byte("\x00\x06blksize\x001468\x00")},
		},
		{
			name: "block beyond the RFC", options: []option{{"blksize", "65465"}}, mtu: 65504,
			want: terms{block: 65464, window: 1, timeout: time.Second, oack: []byte("\x00\x06blksize\x0065464\x00")},
		},
		{
			name: "no numbers",
			options: []option{
				{"blksize", "-1"},
				{"blksize", "1428 "},
				{"tsize", "abc"},
				{"timeout", ""},
				{"windowsize", "8x"},
				{"blksize", "99999999999999999999"},
			},
			want: terms{block: 512, window: 1, timeout: time.Second},
		},
		{
			name: "what is out of range is left out", options: []option{{"timeout", "0"}, {"timeout", "255"}, {"windowsize", "0"}, {"windowsize", "65536"}},
			want: terms{block: 512, window: 1, timeout: time.Second},
		},
		{
			name: "unknown and doubled", options: []option{{"multicast", ""}, {"tsize", "0"}, {"tsize", "0"}},
			want: terms{block: 512, window: 1, timeout: time.Second, oack: []byte("\x00\x06tsize\x000\x00")},
		},
		{
			name: "size not known", size: -1, options: []option{{"tsize", "0"}},
			want: terms{block: 512, window: 1, timeout: time.Second},
		},
		{
			name: "largest window", options: []option{{"windowsize", "65535"}},
			want: terms{block: 512, window: 64, timeout: time.Second, oack: []byte("\x00\x06windowsize\x0064\x00")},
		},
		{
			name: "window of large blocks", mtu: 8968, options: []option{{"windowsize", "64"}, {"blksize", "8192"}},
			want: terms{
				block: 8192, window: 15, timeout: time.Second,
				oack: []byte("\x00\x06windowsize\x0015\x00blksize\x008192\x00"),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.mtu == 0 {
				tt.mtu = mtu
			}
			got := negotiate(tt.options, tt.size, tt.mtu, time.Second)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(terms{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
