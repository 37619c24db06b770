package phonefile

import (
	"testing"

	"dialtone/internal/mac"

	"github.com/google/go-cmp/cmp"
)

var phoneMAC = mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}

func TestRequestsOf(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]Requests{
		"http://h/dir/": {
			"http://h/dir/snomD785.htm", "http://h/dir/snomD785-000413922D24.htm", "http://h/dir/snomD785-firmware.htm",
		},
		"http://h": {
			"http://h/snomD785.htm", "http://h/snomD785-000413922D24.htm", "http://h/snomD785-firmware.htm",
		},
		"http://h/dir/{mac}.xml": {
			"http://h/dir/000413922D24.xml", "", "http://h/dir/snomD785-firmware.htm",
		},
		"http://h/dir/config.xml": {
			"http://h/dir/config.xml", "http://h/dir/config-000413922D24.xml", "http://h/dir/snomD785-firmware.htm",
		},
		"http://h/dir": {
			"http://h/dir", "http://h/dir-000413922D24", "http://h/snomD785-firmware.htm",
		},
		"http://h/a/p.php?mac={mac}": {
			"http://h/a/p.php?mac=000413922D24", "", "http://h/a/snomD785-firmware.htm",
		},
		"http://h:8080/p.php?site=2": {
			"http://h:8080/p.php?site=2", "http://h:8080/p-000413922D24.php?site=2", "http://h:8080/snomD785-firmware.htm",
		},
		"http://192.168.50.1/snomD785.htm": {
			"http://192.168.50.1/snomD785.htm", "http://192.168.50.1/snomD785-000413922D24.htm", "http://192.168.50.1/snomD785-firmware.htm",
		},
		"tftp://192.168.0.1/": {
			"tftp://192.168.0.1/snomD785.htm", "tftp://192.168.0.1/snomD785-000413922D24.htm", "tftp://192.168.0.1/snomD785-firmware.htm",
		},
	} {
		got, err := RequestsOf(server, "snomD785", phoneMAC)
		if err != nil {
			t.Errorf("RequestsOf(%q): %v", server, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("RequestsOf(%q) (-want +got):\n%s", server, d)
		}
	}
}

func TestRequestsOfRefuses(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"ftp://h/x":  `URL "ftp://h/x" is neither http, https nor tftp`,
		"192.0.2.1":  `URL "192.0.2.1" is neither http, https nor tftp`,
		"http:///x":  `URL "http:///x" names no host`,
		"http://h\n": `reading URL "http://h\n": parse "http://h\n": net/url: invalid control character in URL`,
	} {
		if _, err := RequestsOf(server, "snomD785", phoneMAC); err == nil || err.Error() != want {
			t.Errorf("RequestsOf(%q): error %v, want %s", server, err, want)
		}
	}
}
