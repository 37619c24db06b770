package profiles

import (
	"encoding/csv"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"dialtone/internal/config"
	"dialtone/internal/phonefile"
)

// everywhere puts the value of a sheet wherever one can go in a general file
// and beside it.
const everywhere = `
appliance { interface = "eth0" }
locals {
  x = csvdecode(file("one.csv"))[0].x
}
profile "base" {
  default = true
  settings {
    x = local.x
  }
  key "1" {
    type        = "speed"
    value       = local.x
    short_label = local.x
  }
  phonebook {
    contact "Anna" {
      first_name = local.x
      last_name  = local.x
      number     = local.x
    }
  }
  dialplan {
    template "1" {
      user = local.x
    }
  }
  languages {
    gui = { Own = { a = local.x } }
    web = { Own = { a = local.x } }
  }
  certificate "far" {
    url = "http://far.example/${local.x}"
  }
  upload "web" {
    url = "http://far.example/${local.x}"
  }
  document "own.xml" {
    template = "own.tmpl"
  }
}
model "snomD785" {
  spelling = { tbook_version = "2.0" }
}
`

const everywhereTemplate = `<own a="${xml(local.x)}">%{ for v in [local.x] }<b>${xml(v)}</b>%{ endfor }</own>`

// TestValuesSurviveEverywhere is TestValuesSurvive for what a sheet's values can
// be in besides: both forms of the phone book, language files, links, templates
// of the admin's own, and the plain text format.
func TestValuesSurviveEverywhere(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, []txtar.File{
		{Name: "dialtone.hcl", Data: []byte(everywhere)},
		{Name: "own.tmpl", Data: []byte(everywhereTemplate)},
	})
	rapid.Check(t, func(t *rapid.T) {
		v := anyText.Draw(t, "value")
		var sheet strings.Builder
		if err := csv.NewWriter(&sheet).WriteAll([][]string{{"n", "x"}, {"1", v}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "one.csv"), []byte(sheet.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		want := cty.NormalizeString(strings.TrimSpace(strings.ReplaceAll(v, "\r\n", "\n")))
		cfg, rep := config.Load(dir, config.Options{})
		s := Load(cfg, fakePasswords{}, rep)
		if rep.HasErrors() {
			if utf8.ValidString(v) && checkText(want) == nil {
				t.Fatalf("%q is refused: %v", v, rep.Diagnostics())
			}
			return
		}
		got := map[string]string{}
		read := func(path Path, into any) {
			d, err := s.Render(Request{Path: path, Model: "snomD785", Server: s.Server("", serverAddress)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := phonefile.CheckXML(d.Body); err != nil {
				t.Fatalf("%q: %s: %v\n%s", v, path, err, d.Body)
			}
			if err := xml.Unmarshal(d.Body, into); err != nil {
				t.Fatalf("%q: %s: %v\n%s", v, path, err, d.Body)
			}
		}
		var general struct {
			X   string `xml:"phone-settings>x"`
			Key struct {
				Short string `xml:"short_label,attr"`
			} `xml:"functionKeys>fkey"`
			Item struct {
				First string `xml:"first_name"`
				Last  string `xml:"last_name"`
			} `xml:"tbook>item"`
			Contact struct {
				First  string `xml:"first_name"`
				Last   string `xml:"last_name"`
				Number struct {
					No string `xml:"no,attr"`
				} `xml:"numbers>number"`
			} `xml:"tbook>contact"`
			Template struct {
				User string `xml:"User,attr"`
			} `xml:"dialplan>TEMPLATE"`
			Upload struct {
				URL string `xml:"url,attr"`
			} `xml:"uploads>file"`
			Certificate struct {
				URL string `xml:"url,attr"`
			} `xml:"certificates>certificate"`
		}
		first := want // an empty first and last name is the contact's
		if want == "" {
			first = "Anna"
		}
		read(Path{Kind: General, Model: "snomD785"}, &general)
		got["setting"], got["short label"], got["user"] = general.X, general.Key.Short, general.Template.User
		got["last name"], got["number"] = general.Contact.Last, general.Contact.Number.No
		got["upload"] = strings.TrimPrefix(general.Upload.URL, "http://far.example/")
		got["certificate"] = strings.TrimPrefix(general.Certificate.URL, "http://far.example/")
		if general.Contact.First != first {
			t.Errorf("first name: the parser has %q, want %q", general.Contact.First, first)
		}
		read(Path{Kind: General, Model: "snom760"}, &general)
		got["last name of an item"] = general.Item.Last
		for kind, name := range map[Kind]string{GUIPhrases: "phrase", WebPhrases: "web phrase"} {
			var file struct {
				Phrase struct {
					T string `xml:"t,attr"`
				} `xml:"phrase"`
			}
			read(Path{Kind: kind, Name: "Own"}, &file)
			got[name] = file.Phrase.T
		}
		var own struct {
			A string `xml:"a,attr"`
			B string `xml:"b"`
		}
		read(Path{Kind: ModelFile, Model: "snomD785", Name: "own.xml"}, &own)
		got["attribute of a template"], got["element of a template"] = own.A, own.B
		for place, value := range got {
			if value != want {
				t.Errorf("%s: the parser has %q, want %q", place, value, want)
			}
		}

		// Text has no escapes: a line break becomes a blank, and nothing else changes.
		d, err := s.Render(Request{Path: Path{Kind: General, Model: "snom190"}, Server: s.Server("", serverAddress)})
		if err != nil {
			t.Fatal(err)
		}
		line := oneLine.Replace(want)
		names, lines := []string{"x", "tu_0"}, 11
		if want != "" { // an empty label is none
			names, lines = append(names, "fkey_short_label1"), lines+1
		}
		for _, name := range names {
			if !strings.Contains(string(d.Body), "\n"+name+"$: "+line+"\n") {
				t.Errorf("text: no line %q with %q:\n%s", name, line, d.Body)
			}
		}
		if n := strings.Count(string(d.Body), "\n"); n != lines {
			t.Errorf("text: %d lines of %q:\n%s", n, v, d.Body)
		}
	})
}
