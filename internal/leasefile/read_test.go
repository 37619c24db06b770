package leasefile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"dialtone/internal/golden"
)

// TestRead reads files of every format: what the programs wrote, and what
// crashes, clients and hands have made of such files.
func TestRead(t *testing.T) {
	t.Parallel()
	golden.Archives(t, "testdata/read/*.txtar", func(t *testing.T, a *txtar.Archive) {
		format := Format(strings.TrimSpace(string(golden.Section(t, a, "format").Data)))
		in := golden.Section(t, a, "in").Data
		if got := Detect(in[:min(512, len(in))]); got != format {
			t.Errorf("Detect says %q, not %q", got, format)
		}
		leases, problems, err := Read(bytes.NewReader(in), format)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Write(&got, JSON, leases); err != nil {
			t.Fatal(err)
		}
		for _, l := range leases {
			fmt.Fprintf(&got, "%v is of line %d\n", l.Address, l.Line)
		}
		for _, p := range problems {
			fmt.Fprintln(&got, p)
		}
		golden.Section(t, a, "want").Data = got.Bytes()
	})
}
