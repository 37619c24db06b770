package firmware

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SumsFile is the index beside the images. It is what sha256sum writes and
// checks, with a comment before each line that has the size and the time of the
// file as it was added:
//
//	#: 33554432 2026-11-25T22:00:00.000000001Z
//	e3b0…b855  snomD785-10.1.215.13-SIP-r.bin
//
// Lines that somebody adds with sha256sum are as good; those of a format that is
// none are kept out by an error.
const SumsFile = "SHA256SUMS"

// Sum is what the index says of a file.
type Sum struct {
	SHA256   string    // 64 hexadecimal digits in lower case
	Size     int64     // octets; -1 where it does not say
	Modified time.Time // zero where it does not say
}

const (
	noted    = "#: "
	maxSums  = 4 << 20 // octets of the index
	sumWidth = 64
)

func readSums(r io.Reader) (map[string]Sum, error) {
	sums := map[string]Sum{}
	var note Sum
	lines := bufio.NewScanner(io.LimitReader(r, maxSums))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, noted); ok {
			size, at, _ := strings.Cut(rest, " ")
			octets, err := strconv.ParseInt(size, 10, 64)
			modified, err2 := time.Parse(time.RFC3339Nano, at)
			if err != nil || err2 != nil || octets < 0 {
				return nil, fmt.Errorf("line %d: %q is no size and time", n, rest)
			}
			note = Sum{Size: octets, Modified: modified}
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		sum, name, ok := strings.Cut(line, " ")
		// The second column is a blank for text, a star for binary.
		if ok && (strings.HasPrefix(name, " ") || strings.HasPrefix(name, "*")) {
			name = strings.TrimPrefix(name[1:], "./")
		} else {
			ok = false
		}
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != sumWidth || !ok || name == "" {
			return nil, fmt.Errorf("line %d is none of sha256sum", n)
		}
		if note.Modified.IsZero() {
			note.Size = -1
		}
		note.SHA256 = strings.ToLower(sum)
		sums[name], note = note, Sum{}
	}
	return sums, lines.Err()
}

func writeSums(sums map[string]Sum) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		sum := sums[name]
		if sum.Size >= 0 {
			fmt.Fprintf(&b, "%s%d %s\n", noted, sum.Size, sum.Modified.UTC().Format(time.RFC3339Nano))
		}
		fmt.Fprintf(&b, "%s  %s\n", sum.SHA256, name)
	}
	return b.Bytes()
}
