package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

// office writes a configuration of n phones from a sheet.
func office(t testing.TB, n int) string {
	var sheet strings.Builder
	sheet.WriteString("mac,name,extension,password\n")
	for i := range n {
		fmt.Fprintf(&sheet, "000413%06X,phone%d,%d,pw-%d\n", i, i, 1000+i, i)
	}
	return writeFiles(t, []txtar.File{{Name: "staff.csv", Data: []byte(sheet.String())}, {Name: "dialtone.hcl", Data: []byte(`
appliance { interface = "eth0" }
network "office" {
  subnet = "10.0.0.0/16"
  range  = ["10.0.1.0", "10.0.255.254"]
}
profile "base" {
  default = true
  settings {
    language   = "Deutsch"
    ntp_server = server.address
  }
}
profile "desk" {
  settings {
    admin_mode          = { value = false, perm = "RW" }
    admin_mode_password = password("admin/${phone.mac}")
    phone_name          = "${phone.name} ${phone.extension}"
    ring_sound          = ["Ringer1", "Ringer2"]
  }
  key "0" {
    type = "line"
  }
}
phones "staff" {
  for_each = csvdecode(file("staff.csv"))
  mac      = each.value.mac
  name     = each.value.name
  model    = "snomD785"
  profile  = "desk"
  identity "1" {
    user      = each.value.extension
    password  = each.value.password
    registrar = "pbx.office.example"
  }
}
`)}})
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := office(b, n)
			b.ReportAllocs()
			for b.Loop() {
				loadDir(b, dir)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/phone")
		})
	}
}

// BenchmarkSetSize tells what a loaded Set holds on to.
func BenchmarkSetSize(b *testing.B) {
	dir := office(b, 5000)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		cfg, rep := config.Load(dir, config.Options{})
		s := Load(cfg, fakePasswords{}, rep)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/5000, "bytes/phone")
}

func BenchmarkRender(b *testing.B) {
	s := loadDir(b, office(b, 5000))
	request := func(i int) Request {
		m := mac.Addr{0, 4, 0x13, 0, byte(i >> 8), byte(i)}
		return Request{Path: Path{Kind: Own, Model: "snomD785", MAC: m}, Server: s.Server("snomD785", serverAddress), Reveal: true}
	}
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Render(request(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r := request(i % 5000)
			key, err := s.documentKey(r)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.document(key, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLoadWords loads an office whose default profile has every word that
// is a phone's own, and a book of everyone.
func BenchmarkLoadWords(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := office(b, n)
			words := `
profile "words" {
  web_login {}
  admin_mode {}
  polling { window = ["02:00", "04:00"] }
  codecs = ["g722", "pcma"]
  phonebook {
    everyone = "others"
    csv      = "staff.csv"
  }
  key "1" {
    type   = "blf"
    value  = "100"
    pickup = "**"
  }
}
profile "desk" {
  extends = "words"`
			name := filepath.Join(dir, "dialtone.hcl")
			text, err := os.ReadFile(name)
			if err != nil {
				b.Fatal(err)
			}
			text = []byte(strings.Replace(string(text), `profile "desk" {`, strings.TrimSpace(words), 1))
			if err := os.WriteFile(name, text, 0o644); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				loadDir(b, dir)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/phone")
		})
	}
}

// BenchmarkLoadDocuments loads an office whose every phone has a document of the
// admin's own, which is a template with passwords in it.
func BenchmarkLoadDocuments(b *testing.B) {
	dir := office(b, 5000)
	var elements strings.Builder
	for i := 2; i <= 12; i++ { // the identities of a D785 but the first
		fmt.Fprintf(&elements, "<user_name idx=\"%[1]d\" perm=\"R\">${phone.extension}-%[1]d</user_name>\n"+
			"<user_host idx=\"%[1]d\" perm=\"R\">pbx%[1]d.office.example</user_host>\n"+
			"<user_pass idx=\"%[1]d\" perm=\"R\">${xml(password(\"sip/${phone.mac}/%[1]d\"))}</user_pass>\n", i)
	}
	for _, f := range []txtar.File{
		{Name: "lines.xml", Data: []byte("<settings>\n<phone-settings e=\"2\">\n" + elements.String() + "</phone-settings>\n</settings>\n")},
		{Name: "lines.hcl", Data: []byte("document \"lines.xml\" {\n  template = \"lines.xml\"\n  join = \"phone\"\n}\n")},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		loadDir(b, dir)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/phone")
}
