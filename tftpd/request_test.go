package tftpd

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var requests = []struct {
	name string
	in   string
	want request
	err  string // text of the fault, or of errNoRequest
	code uint16
}{
	{
		name: "plain", in: "\x00\x01snomD785.htm\x00octet\x00",
		want: request{path: "snomD785.htm"},
	},
	{
		name: "leading slash, mode in capitals", in: "\x00\x01/snomD785.htm\x00OCTET\x00",
		want: request{path: "/snomD785.htm"},
	},
	{
		name: "backslashes", in: "\x00\x01\\snomD785\\general.xml\x00netascii\x00",
		want: request{path: "/snomD785/general.xml", netascii: true},
	},
	{
		name: "query", in: "\x00\x01/settings.php?mac=000413000001\x00octet\x00",
		want: request{path: "/settings.php", query: "mac=000413000001"},
	},
	{
		name: "options", in: "\x00\x01a\x00octet\x00BLKSIZE\x001428\x00tsize\x000\x00Windowsize\x008\x00",
		want: request{path: "a", options: []option{{"blksize", "1428"}, {"tsize", "0"}, {"windowsize", "8"}}},
	},
	{
		name: "option cut off", in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x0014",
		want: request{path: "a", options: []option{{"tsize", "0"}}},
	},
	{
		name: "option without a value", in: "\x00\x01a\x00octet\x00tsize\x00",
		want: request{path: "a"},
	},
	{
		name: "many options", in: "\x00\x01a\x00octet\x00" + strings.Repeat("x\x001\x00", 500),
		want: request{path: "a", options: func() (all []option) {
			for range maxOptions {
				all = append(all, option{"x", "1"})
			}
			return all
		}()},
	},
	{name: "write", in: "\x00\x02a\x00octet\x00", err: "nothing can be written here: this server only reads", code: codeAccess},
	{name: "mail", in: "\x00\x01a\x00mail\x00", err: `mode "mail" is not served: use octet or netascii`, code: codeIllegal},
	{name: "empty mode", in: "\x00\x01a\x00\x00", err: `mode "" is not served: use octet or netascii`, code: codeIllegal},
	{
		name: "long mode", in: "\x00\x01a\x00" + strings.Repeat("o", 900) + "\x00",
		err: `mode "oooooooooooooooo" is not served: use octet or netascii`, code: codeIllegal,
	},
	{name: "no end of the name", in: "\x00\x01" + strings.Repeat("a", 2000), err: "the file name has no end, or the request is too long", code: codeIllegal},
	{name: "no mode", in: "\x00\x01a\x00", err: "the mode has no end, or the request is too long", code: codeIllegal},
	{name: "no end of the mode", in: "\x00\x01a\x00octet", err: "the mode has no end, or the request is too long", code: codeIllegal},
	{name: "empty", in: "", err: "no request"},
	{name: "runt", in: "\x00", err: "no request"},
	{name: "data", in: "\x00\x03\x00\x01data", err: "no request"},
	{name: "ack", in: "\x00\x04\x00\x01", err: "no request"},
	{name: "error is not answered", in: "\x00\x05\x00\x01file not found\x00", err: "no request"},
	{name: "unknown opcode", in: "\x01\x01a\x00octet\x00", err: "no request"},
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range requests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseRequest([]byte(tt.in))
			text, code := "", uint16(0)
			if err != nil {
				text = err.Error()
			}
			if f, ok := errors.AsType[*fault](err); ok {
				code = f.code
			}
			if text != tt.err || code != tt.code {
				t.Fatalf("error %d %q, want %d %q", code, text, tt.code, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(request{}, option{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, tt := range requests {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			fault, ok := errors.AsType[*fault](err)
			if !ok && !errors.Is(err, errNoRequest) {
				t.Fatalf("error %v of no known kind", err)
			}
			if ok && len(fault.packet()) > 200 {
				t.Errorf("the fault %q is long", fault.text)
			}
			return
		}
		if strings.ContainsAny(r.path+r.query, "\x00\\") || strings.Contains(r.path, "?") {
			t.Errorf("path %q, query %q", r.path, r.query)
		}
		size := int64(len(b))
		if r.netascii {
			size = -1
		}
		terms := negotiate(r.options, size, 1468, defaultTimeout)
		if terms.block < minBlock || terms.block > 1468 || terms.window < 1 || terms.window > maxWindow ||
			terms.timeout < defaultTimeout || terms.timeout > maxTimeout || len(terms.oack) > 120 {
			t.Errorf("terms %+v", terms)
		}
	})
}
