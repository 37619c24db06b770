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
)

const survivors = `
appliance { interface = "eth0" }
phones "staff" {
  for_each = csvdecode(file("staff.csv"))
  mac      = each.value.mac
  settings {
    x = each.value.x
  }
  identity "1" {
    display_name = each.value.x
    password     = each.value.x
  }
  key "1" {
    type  = "speed"
    value = each.value.x
    label = each.value.x
  }
  phonebook {
    dynamic "contact" {
      for_each = [each.value.x]
      labels   = [contact.value]
      content {
        number = contact.value
      }
    }
  }
  dialplan {
    dynamic "template" {
      for_each = [each.value.x]
      labels   = [template.value]
      content {
        rewrite = template.value
      }
    }
  }
}
`

// parsed is what a phone's parser makes of the document of survivors.
type parsed struct {
	X        string `xml:"phone-settings>x"`
	Realname string `xml:"phone-settings>user_realname"`
	Pass     string `xml:"phone-settings>user_pass"`
	Key      struct {
		Label string `xml:"label,attr"`
		Text  string `xml:",chardata"`
	} `xml:"functionKeys>fkey"`
	Contact struct {
		Name   string `xml:"name"`
		First  string `xml:"first_name"`
		Number string `xml:"number"`
	} `xml:"tbook>item"`
	Template struct {
		Match   string `xml:"MATCH,attr"`
		Rewrite string `xml:"Rewrite,attr"`
	} `xml:"dialplan>TEMPLATE"`
}

// anyText is any text, with what is special to a format more often than by chance.
var anyText = rapid.OneOf(
	rapid.String(),
	rapid.StringOf(rapid.SampledFrom([]rune("aé&<>\"' \t\n\r;,]-!\u0000\u0007\u007f\u0085\u2028\ufffe\uffff\ufffd𝄞\U0010ffff"))),
)

// TestValuesSurvive puts any value into a sheet. Either loading refuses it, on
// the lines that use it, or the phone's parser gets it back unchanged.
func TestValuesSurvive(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, []txtar.File{{Name: "dialtone.hcl", Data: []byte(survivors)}})
	rapid.Check(t, func(t *rapid.T) {
		v := anyText.Draw(t, "value")
		var sheet strings.Builder
		w := csv.NewWriter(&sheet)
		if err := w.WriteAll([][]string{{"mac", "x"}, {anna.Hex(), v}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "staff.csv"), []byte(sheet.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		// What a sheet can say: a line break is one character, blanks around a
		// value are none of it.
		want := cty.NormalizeString(strings.TrimSpace(strings.ReplaceAll(v, "\r\n", "\n")))

		cfg, rep := config.Load(dir, config.Options{})
		s := Load(cfg, fakePasswords{}, rep)
		if rep.HasErrors() {
			if utf8.ValidString(v) && checkText(want) == nil {
				t.Fatalf("%q is refused: %v", v, rep.Diagnostics())
			}
			return
		}
		d, err := s.Render(Request{Path: Path{Kind: Own, Model: "snomD785", MAC: anna}, Server: s.Server("", serverAddress), Reveal: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := parseXML(d.Body); err != nil {
			t.Fatalf("%q: %v\n%s", v, err, d.Body)
		}
		var got parsed
		if err := xml.Unmarshal(d.Body, &got); err != nil {
			t.Fatalf("%q: %v\n%s", v, err, d.Body)
		}
		text := strings.TrimSuffix("speed "+want, " ")
		if want != "" {
			text = "speed " + want
		}
		for place, value := range map[string][2]string{
			"setting": {got.X, want}, "display name": {got.Realname, want}, "password": {got.Pass, want},
			"key": {got.Key.Text, text}, "label": {got.Key.Label, want},
			"contact": {got.Contact.Name, want}, "first name": {got.Contact.First, want}, "number": {got.Contact.Number, want},
			"match": {got.Template.Match, want}, "rewrite": {got.Template.Rewrite, want},
		} {
			if value[0] != value[1] {
				t.Errorf("%s: the parser has %q, want %q", place, value[0], value[1])
			}
		}
	})
}
