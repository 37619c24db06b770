package phonesim

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// site serves files by their paths; HOST in one is the server's address.
func site(t *testing.T, files map[string]string) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.RequestURI()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "HOST", s.Listener.Addr().String()))
	}))
	t.Cleanup(s.Close)
	return s
}

func settings(lines string) string {
	return "<settings><phone-settings>" + lines + "</phone-settings></settings>"
}

func firmware(u string) string {
	return `<firmware-settings><firmware perm="">` + u + `</firmware></firmware-settings>`
}

// Each case is a site, and what a phone that finds it says of it.
func TestProvision(t *testing.T) {
	t.Parallel()
	const auto = `<update_policy perm="">auto_update</update_policy>`
	for name, c := range map[string]struct {
		model, version string
		files          map[string]string
		fetched        []string // paths of what was there
		notes          []string
		problems       []string
		works          string // "" where it does
	}{
		"nothing there": {
			notes: []string{"update_policy is not set: a phone as it leaves the factory (settings_only) flashes nothing"},
			works: "no setting came from SITE/",
		},
		"no auto_update": {
			files:   map[string]string{"/snomD785.htm": settings(`<update_policy perm="">ask_for_update</update_policy>`)},
			fetched: []string{"/snomD785.htm"},
			notes:   []string{"update_policy is ask_for_update: the phone flashes nothing by itself"},
		},
		"firmware beside the files": {
			files: map[string]string{
				"/snomD785.htm": settings(auto), "/snomD785-firmware.htm": firmware("http://HOST/snomD785-10.1.215.13-SIP-r.bin?mac={mac}"),
				"/snomD785-10.1.215.13-SIP-r.bin?mac=000413922D24": "image",
			},
			fetched: []string{"/snomD785.htm", "/snomD785-firmware.htm", "/snomD785-10.1.215.13-SIP-r.bin?mac=000413922D24"},
		},
		"firmware pulled by a helper": {
			files: map[string]string{
				"/snomD785.htm":          settings(auto + `<firmware_status perm="">http://HOST/fw.php?m=$mac</firmware_status>`),
				"/fw.php?m=000413922D24": firmware("http://HOST/snomD785-ramdisk-chained-update-r.bin?chained_url=http://HOST/snomD785-10.1.215.13-SIP-r.bin"),
				"/snomD785-ramdisk-chained-update-r.bin?chained_url=http://SITE/snomD785-10.1.215.13-SIP-r.bin": "helper",
				"/snomD785-10.1.215.13-SIP-r.bin": "image",
			},
			fetched: []string{"/snomD785.htm", "/fw.php?m=000413922D24", "/snomD785-ramdisk-chained-update-r.bin?chained_url=http://SITE/snomD785-10.1.215.13-SIP-r.bin", "/snomD785-10.1.215.13-SIP-r.bin"},
		},
		"firmware that runs already": {
			version: "10.1.215.13",
			files:   map[string]string{"/snomD785.htm": settings(auto), "/snomD785-firmware.htm": firmware("http://HOST/snomD785-10.1.215.13-SIP-r.bin")},
			fetched: []string{"/snomD785.htm", "/snomD785-firmware.htm"},
			notes:   []string{"the phone runs 10.1.215.13 already"},
		},
		"no firmware for it": {
			files:   map[string]string{"/snomD785.htm": settings(auto), "/snomD785-firmware.htm": firmware("")},
			fetched: []string{"/snomD785.htm", "/snomD785-firmware.htm"},
			notes:   []string{"the server has no firmware for version 10.1.33.33"},
		},
		"firmware of another model": {
			files:    map[string]string{"/snomD785.htm": settings(auto), "/snomD785-firmware.htm": firmware("http://HOST/snomD735-10.1.215.13-SIP-r.bin")},
			fetched:  []string{"/snomD785.htm", "/snomD785-firmware.htm"},
			problems: []string{"the firmware image snomD735-10.1.215.13-SIP-r.bin is none for a snomD785"},
			works:    "the firmware image snomD735-10.1.215.13-SIP-r.bin is none for a snomD785",
		},
		"firmware that is not there": {
			files:    map[string]string{"/snomD785.htm": settings(auto), "/snomD785-firmware.htm": firmware("http://HOST/snomD785-10.1.215.13-SIP-r.bin")},
			fetched:  []string{"/snomD785.htm", "/snomD785-firmware.htm"},
			problems: []string{"the firmware image http://SITE/snomD785-10.1.215.13-SIP-r.bin is not there: a phone stops at a prompt"},
			works:    "the firmware image http://SITE/snomD785-10.1.215.13-SIP-r.bin is not there: a phone stops at a prompt",
		},
		"V7 and HTTPS firmware": {
			model: "snom370", version: "7.3.30",
			files:    map[string]string{"/snom370.htm": settings(auto), "/snom370-firmware.htm": firmware("https://HOST/snom370-8.7.5.35-SIP-f.bin")},
			fetched:  []string{"/snom370.htm", "/snom370-firmware.htm"},
			problems: []string{"firmware 7.3.30 fetches no image over https"},
			works:    "firmware 7.3.30 fetches no image over https",
		},
		"V6 and XML": {
			model: "snom320", version: "6.5.20",
			files:    map[string]string{"/snom320.htm": settings(auto), "/snom320-000413922D24.htm": "phone_name: x\n"},
			fetched:  []string{"/snom320.htm", "/snom320-000413922D24.htm"},
			notes:    []string{"update_policy is not set: a phone as it leaves the factory (settings_only) flashes nothing"},
			problems: []string{"the phone drops http://SITE/snom320.htm: firmware 6.5.20 reads the plain text format alone"},
			works:    "the phone drops http://SITE/snom320.htm: firmware 6.5.20 reads the plain text format alone",
		},
		"malformed": {
			files:    map[string]string{"/snomD785.htm": settings(auto) + "<", "/snomD785-000413922D24.htm": settings(`<update_policy perm="">never_update</update_policy>`)},
			fetched:  []string{"/snomD785.htm", "/snomD785-000413922D24.htm"},
			notes:    []string{"update_policy is never_update: the phone flashes nothing by itself"},
			problems: []string{"the phone drops http://SITE/snomD785.htm: malformed XML in line 1: unexpected EOF"},
			works:    "the phone drops http://SITE/snomD785.htm: malformed XML in line 1: unexpected EOF",
		},
		"settings that spoil": {
			files:    map[string]string{"/snomD785.htm": settings(auto + `<phone_type perm=""></phone_type><setting_server perm="">https://u:secret@other.example.org/</setting_server>`)},
			fetched:  []string{"/snomD785.htm"},
			notes:    []string{"the phone would now move to the setting server https://u:xxxxx@other.example.org/"},
			problems: []string{"the setting phone_type spoils every later request"},
			works:    "the setting phone_type spoils every later request",
		},
		"container of itself": {
			files:    map[string]string{"/snomD785.htm": `<setting-files><file url="http://HOST/snomD785.htm"/></setting-files>`},
			fetched:  slices.Repeat([]string{"/snomD785.htm"}, 5),
			notes:    []string{"update_policy is not set: a phone as it leaves the factory (settings_only) flashes nothing"},
			problems: []string{"the containers list more than 64 files, or each other more than 4 deep"},
			works:    "no setting came from SITE/: the containers list more than 64 files, or each other more than 4 deep",
		},
		"a link that is none": {
			files:    map[string]string{"/snomD785.htm": `<setting-files><file url="general.xml"/></setting-files>`},
			fetched:  []string{"/snomD785.htm"},
			notes:    []string{"update_policy is not set: a phone as it leaves the factory (settings_only) flashes nothing"},
			problems: []string{`linked file: URL "general.xml" is neither http, https nor tftp`},
			works:    `no setting came from SITE/: linked file: URL "general.xml" is neither http, https nor tftp`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site(t, nil)
			host := s.Listener.Addr().String()
			files := map[string]string{}
			for path, body := range c.files {
				files[strings.ReplaceAll(path, "SITE", host)] = body
			}
			s = site(t, files)
			// The paths of one case hold the address of its server.
			for path, body := range files {
				files[strings.ReplaceAll(path, host, s.Listener.Addr().String())] = body
			}
			if c.model == "" {
				c.model = "snomD785"
			}
			p, err := New(Config{MAC: phoneMAC, Model: c.model, Version: c.version, Server: s.URL + "/"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Boot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var fetched []string
			for _, f := range got.Requests {
				if f.OK {
					fetched = append(fetched, strings.TrimPrefix(f.URL, s.URL))
				}
			}
			works := ""
			if err := got.Works(); err != nil {
				works = err.Error()
			}
			neutral := func(list ...string) []string {
				out := []string{}
				for _, l := range list {
					l = strings.ReplaceAll(l, s.URL+"/", "http://SITE/")
					out = append(out, strings.ReplaceAll(l, s.Listener.Addr().String(), "SITE"))
				}
				return out
			}
			type outcome struct{ Fetched, Notes, Problems, Works []string }
			want := outcome{neutral(c.fetched...), neutral(c.notes...), neutral(c.problems...), neutral(strings.ReplaceAll(c.works, "from SITE", "from http://SITE"))}
			if d := cmp.Diff(want, outcome{neutral(fetched...), neutral(got.Notes...), neutral(got.Problems...), neutral(works)}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func newTestFetcher(t *testing.T, idle time.Duration, blockSize int) *fetcher {
	t.Helper()
	f := newFetcher(netip.Addr{}, nil, "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33)", idle, blockSize, nil)
	t.Cleanup(f.close)
	return f
}

func TestFetchHTTP(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/agent":
			_, _ = io.WriteString(w, r.UserAgent())
		case "/chunked":
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
		case "/long":
			_, _ = w.Write(make([]byte, 1001))
		case "/stuck":
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			<-stop
		case "/cut":
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(stop) })
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct {
		url  string
		want answer
	}{
		{s.URL + "/agent", answer{status: "200 OK", ok: true, bytes: 49}},
		{s.URL + "/chunked", answer{status: "200 OK", ok: true, bytes: 1, chunked: true}},
		{s.URL + "/long", answer{status: "reading the body: larger than 1000 bytes"}},
		{s.URL + "/stuck", answer{status: "nothing came for 300ms", bytes: 1}},
		{s.URL + "/cut", answer{status: "reading the body: unexpected EOF", bytes: 1}},
		{closed.URL, answer{status: "dial: connect: connection refused"}},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		got := newTestFetcher(t, 300*time.Millisecond, 0).get(context.Background(), u, io.Discard, 1000)
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(answer{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", u.Path, d)
		}
	}
}

// What a TFTP server is asked, and what becomes of its ERROR.
func TestFetchTFTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path      string
		blockSize int
		want      string
	}{
		{"/snomD785.htm", 0, "\x00\x01snomD785.htm\x00octet\x00"},
		{"/snomD785.htm", 1428, "\x00\x01snomD785.htm\x00octet\x00blksize\x001428\x00"},
		{"/settings.php?mac=000413922D24", 0, "\x00\x01settings.php?mac=000413922D24\x00octet\x00"},
	} {
		server, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		asked := make(chan string, 1)
		go func() {
			buf := make([]byte, 1000)
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			asked <- string(buf[:n])
			_, _ = server.WriteTo([]byte("\x00\x05\x00\x02not \x1b for you\x00"), from)
		}()
		u, err := url.Parse("tftp://" + server.LocalAddr().String() + c.path)
		if err != nil {
			t.Fatal(err)
		}
		got := newTestFetcher(t, 10*time.Second, c.blockSize).get(context.Background(), u, io.Discard, 1000)
		if d := cmp.Diff(answer{status: "error 2: not ? for you"}, got, cmp.AllowUnexported(answer{})); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if d := cmp.Diff(c.want, <-asked); d != "" {
			t.Errorf("request (-want +got):\n%s", d)
		}
	}
}

// A phone that restarts with what it loaded asks again, until it runs the target.
func TestRestarts(t *testing.T) {
	t.Parallel()
	const auto = `<update_policy perm="">auto_update</update_policy>`
	for name, c := range map[string]struct {
		model, version string
		restarts       int
		files          map[string]string
		want           string // version in the end
		loaded         []string
		problems       []string
	}{
		"one": {
			model: "snom370", version: "7.3.30", restarts: 3,
			files: map[string]string{
				"/snom370.htm": settings(auto), "/snom370-firmware.htm": firmware("http://HOST/snom370-8.7.5.35-SIP-f.bin"),
				"/snom370-8.7.5.35-SIP-f.bin": "image",
			},
			want: "8.7.5.35", loaded: []string{"/snom370-8.7.5.35-SIP-f.bin"},
		},
		"none": {
			model: "snom370", version: "7.3.30",
			files: map[string]string{
				"/snom370.htm": settings(auto), "/snom370-firmware.htm": firmware("http://HOST/snom370-8.7.5.35-SIP-f.bin"),
				"/snom370-8.7.5.35-SIP-f.bin": "image",
			},
			want: "7.3.30", loaded: []string{"/snom370-8.7.5.35-SIP-f.bin"},
		},
		"too old": {
			model: "snom370", version: "7.1.19", restarts: 3,
			files:    map[string]string{"/snom370.htm": settings(auto), "/snom370-firmware.htm": firmware("http://HOST/snom370-8.7.5.35-SIP-f.bin")},
			want:     "7.1.19",
			problems: []string{"firmware 7.1.19 is too old for V8"},
		},
		"base and handset": {
			model: "snomM900", version: "05.20.0001", restarts: 3,
			files: map[string]string{
				"/snomM900.htm": settings(auto),
				"/snomM900-firmware.htm": `<firmware-settings><firmware perm="">http://HOST</firmware><fp_fwu_sw_version>740</fp_fwu_sw_version><fp_fwu_branch_version>104</fp_fwu_branch_version>` +
					`<pp_fwu_sw_version type="M65">740</pp_fwu_sw_version><pp_fwu_branch_version type="M65">1</pp_fwu_branch_version></firmware-settings>`,
				"/M900/M900_v0740_b0104.fwu": "image", "/M65/M65_v0740_b0001.fwu": "image",
			},
			want: "07.40.0104", loaded: []string{"/M900/M900_v0740_b0104.fwu", "/M65/M65_v0740_b0001.fwu", "/M65/M65_v0740_b0001.fwu"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site(t, c.files)
			p, err := New(Config{MAC: phoneMAC, Model: c.model, Version: c.version, Server: s.URL + "/", Restarts: c.restarts})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Boot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var loaded []string
			for _, i := range got.Firmware {
				loaded = append(loaded, strings.TrimPrefix(i.URL, s.URL))
			}
			type outcome struct {
				Version          string
				Loaded, Problems []string
			}
			if d := cmp.Diff(outcome{c.want, c.loaded, c.problems}, outcome{got.Version, loaded, got.Problems}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
