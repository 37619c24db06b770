package migrate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"dialtone/internal/config"
	"dialtone/internal/golden"
	"dialtone/profiles"
)

// TestGolden reads configurations as offices have them. The name of a file says
// whose it is, dnsmasq-….txtar or isc-….txtar. What comes out has to load.
func TestGolden(t *testing.T) {
	t.Parallel()
	for prefix, read := range map[string]func(...string) (Result, error){"dnsmasq-": Dnsmasq, "isc-": ISC} {
		golden.Archives(t, "testdata/"+prefix+"*.txtar", func(t *testing.T, a *txtar.Archive) {
			in, want := a.Files[:len(a.Files)-1], &a.Files[len(a.Files)-1]
			dir := t.TempDir()
			golden.Extract(t, dir, in)
			main := filepath.Join(dir, in[0].Name)
			result, err := read(main)
			if err != nil {
				t.Fatal(err)
			}
			again, err := read(main)
			if err != nil || !bytes.Equal(again.HCL, result.HCL) {
				t.Errorf("a second run gives something else: %v", err)
			}
			if why := refusal(t, result); why != "" {
				t.Errorf("the result does not load: %s", why)
			}
			for _, p := range result.Problems {
				if !bytes.Contains(result.HCL, []byte("#   "+p.String()+"\n")) {
					t.Errorf("no comment says: %s", p)
				}
			}
			want.Data = bytes.ReplaceAll(result.HCL, []byte(dir+"/"), nil)
		})
	}
}

type noPasswords struct{}

func (noPasswords) Password(string) (string, error) { return "", os.ErrNotExist }

// refusal loads a result as the appliance does, beside an appliance block, holds
// it to the layout of the formatter, and gives what is wrong with it.
func refusal(t testing.TB, r Result) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"dialtone.hcl": "appliance {\n  interface = \"eth0\"\n}\n", "imported.hcl": string(r.HCL)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, report := config.Load(dir, config.Options{})
	profiles.Load(cfg, noPasswords{}, report)
	if report.HasErrors() {
		var b bytes.Buffer
		report.Write(&b, false, 120)
		return b.String()
	}
	formatted, _ := config.Format(r.HCL, "imported.hcl")
	return cmp.Diff(string(formatted), string(r.HCL))
}

// TestQuote holds quote to HCL's own reading of it.
func TestQuote(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[${}%"\\n\n\t a]{1,12}`), rapid.StringN(1, 30, -1)).Draw(rt, "text")
		if !quotable(text) {
			rt.SkipNow()
		}
		cfg, report := loadText(t, "vendor_class \"x\" {\n  match = "+quote(text)+"\n}\n")
		if report.HasErrors() || len(cfg.Classes) != 1 || cfg.Classes[0].Match != text {
			var b bytes.Buffer
			report.Write(&b, false, 120)
			rt.Fatalf("%q, quoted %s, is read otherwise: %+v\n%s", text, quote(text), cfg.Classes, b.String())
		}
	})
	if got, want := quote("a\xff\x00\U000e0001"), `"a`+"\ufffd"+`\u0000\U000e0001"`; got != want {
		t.Errorf("quote = %s, want %s", got, want)
	}
}

func loadText(t *testing.T, text string) (*config.Config, *config.Report) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.hcl")
	if err := os.WriteFile(name, []byte("appliance {\n  interface = \"eth0\"\n}\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	return config.Load(name, config.Options{})
}

// TestReadRefuses reads what is no file or has no end.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "none"): "stat " + dir + "/none: no such file or directory",
		"/dev/zero":                "/dev/zero is no regular file",
		dir:                        dir + " is no regular file",
		large:                      large + " is larger than 16 MiB",
	} {
		if _, err := Dnsmasq(name); err == nil || err.Error() != "reading dnsmasq's configuration: "+want {
			t.Errorf("Dnsmasq(%s) says %v, want %s", name, err, want)
		}
		if _, err := ISC(name); err == nil || err.Error() != "reading dhcpd's configuration: "+want {
			t.Errorf("ISC(%s) says %v, want %s", name, err, want)
		}
	}
}

// TestIncludesEnd reads files that include each other without end, in a long
// chain, and by the hundred.
func TestIncludesEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		include string
		read    func(...string) (Result, error)
	}{
		{"dnsmasq", "conf-file=%d\n", Dnsmasq},
		{"isc", "include \"%d\";\n", ISC},
	} {
		dir := t.TempDir()
		file := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		main := fmt.Sprintf(c.include, 0) + fmt.Sprintf(c.include, 1)
		file("0", fmt.Sprintf(c.include, 0))
		for i := 1; i <= maxIncludes+1; i++ {
			file(fmt.Sprint(i), fmt.Sprintf(c.include, i+1))
		}
		for i := range maxFiles {
			file(fmt.Sprint(100+i), "")
			main += fmt.Sprintf(c.include, 100+i)
		}
		file("main", main)
		r, err := c.read(filepath.Join(dir, "main"))
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, p := range r.Problems {
			texts = append(texts, p.Text)
		}
		all := strings.Join(texts, "\n") + "\n"
		for _, want := range []string{dir + "/0 includes itself\n", "files include each other more than 10 deep\n", dir + "/355 is one file too many: at most 256 are read\n"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no problem says %s\n%s", c.name, want, all)
			}
		}
	}
}

// TestIsBounded reads more than anybody has.
func TestIsBounded(t *testing.T) {
	t.Parallel()
	var conf, junk strings.Builder
	conf.WriteString("dhcp-range=10.0.0.10,10.0.0.20,255.255.0.0,1h\ndhcp-option=3,10.0.0.1\n")
	for i := range maxHosts + 1 {
		fmt.Fprintf(&conf, "dhcp-host=02:00:5e:10:%02x:%02x,10.0.%d.%d\n", i>>8, i&255, 1+i/200, 1+i%200)
	}
	for range 2 * maxProblems {
		fmt.Fprintln(&junk, strings.Repeat("x", 1000))
	}
	name := filepath.Join(t.TempDir(), "conf")
	for text, want := range map[string]struct {
		problems int
		last     string
	}{
		conf.String(): {1, "02:00:5e:10:20:00: at most 8192 reservations are taken over"},
		junk.String(): {maxProblems, "there are more problems, which are not listed"},
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Dnsmasq(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.Problems); n != want.problems || r.Problems[n-1].Text != want.last {
			t.Errorf("%d problems, the last is %v", n, r.Problems[n-1])
		}
		if why := refusal(t, r); why != "" {
			t.Errorf("%d octets do not load: %.500s", len(r.HCL), why)
		}
	}
}

// fuzz holds a reader to results that load, whatever it reads.
func fuzz(f *testing.F, prefix string, read func(...string) (Result, error)) {
	for _, a := range golden.Parse(f, "testdata/"+prefix+"*.txtar") {
		f.Add(a.Files[0].Data)
		for line := range bytes.Lines(a.Files[0].Data) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		// Other files are none of the fuzzer's business.
		if len(in) > 1<<14 || bytes.Contains(in, []byte("include")) || bytes.Contains(in, []byte("conf-")) || bytes.Contains(in, []byte("file")) || bytes.Contains(in, []byte("dir")) {
			return
		}
		name := filepath.Join(t.TempDir(), "conf")
		if err := os.WriteFile(name, in, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := read(name)
		if err != nil {
			t.Fatal(err)
		}
		if why := refusal(t, r); why != "" {
			t.Fatalf("%s\ndoes not load:\n%s", r.HCL, why)
		}
	})
}

// TestShuffled deals the golden configurations anew: lines left out, in another
// order, with each other's values. Whatever it says, the result loads.
func TestShuffled(t *testing.T) {
	t.Parallel()
	for prefix, read := range map[string]func(...string) (Result, error){"dnsmasq-": Dnsmasq, "isc-": ISC} {
		a, err := txtar.ParseFile("testdata/" + prefix + "office.txtar")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(a.Files[0].Data), "\n")
		words := regexp.MustCompile(`[^\s,;=(){}"]+`)
		all := words.FindAllString(string(a.Files[0].Data), -1)
		name := filepath.Join(t.TempDir(), "conf")
		rapid.Check(t, func(rt *rapid.T) {
			var b strings.Builder
			for range rapid.IntRange(1, 40).Draw(rt, "lines") {
				line := rapid.SampledFrom(lines).Draw(rt, "line")
				if n := rapid.IntRange(-3, 3).Draw(rt, "word"); n >= 0 {
					line = words.ReplaceAllStringFunc(line, func(w string) string {
						if n--; n == -1 {
							return rapid.SampledFrom(all).Draw(rt, "other")
						}
						return w
					})
				}
				fmt.Fprintln(&b, line)
			}
			if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
				rt.Fatal(err)
			}
			r, err := read(name)
			if err != nil {
				rt.Fatal(err)
			}
			if why := refusal(t, r); why != "" {
				rt.Fatalf("%s\nbecame\n%s\nwhich does not load:\n%s", b.String(), r.HCL, why)
			}
		})
	}
}

func FuzzDnsmasq(f *testing.F) { fuzz(f, "dnsmasq-", Dnsmasq) }
func FuzzISC(f *testing.F)     { fuzz(f, "isc-", ISC) }

func ExampleProblem() {
	fmt.Println(Problem{"dnsmasq.conf", 7, "server=192.0.2.53 is not\ncarried over"})
	// Output: dnsmasq.conf:7: server=192.0.2.53 is not carried over
}
