package profiles

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

// fileOf makes a document of text in which what stands between ⟨ and ⟩ is a secret.
func fileOf(text string) adminFile {
	f := adminFile{name: "own.xml"}
	line := 1
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '⟨' || r == '⟩' }) {
		rng := hcl.Range{Filename: "own.tmpl", Start: hcl.Pos{Line: line, Column: 1}}
		f.parts = append(f.parts, filePart{value: value{text: part, secret: i%2 == 1}, rng: rng, literal: i%2 == 0})
		line += strings.Count(part, "\n")
	}
	return f
}

// What is said of a document tells no secret, and is said at its line. What is
// beside a secret is still looked at.
func TestReadFile(t *testing.T) {
	t.Parallel()
	const begin = "<settings><phone-settings>\n"
	for name, c := range map[string]struct {
		text    string
		secrets string // by setting
		said    string
	}{
		"in a line":          {begin + `<a perm="">1</a><b perm="">x⟨hidden⟩</b><c perm="">1</c></phone-settings></settings>`, "-s-", ""},
		"in a flag":          {begin + `<a perm="⟨hidden⟩">1</a></phone-settings></settings>`, "s", `2: odd: a has the perm "********", which is no flag` + "\n"},
		"valid, mask is not": {begin + `<a idx="⟨1⟩" perm="">1</a></phone-settings></settings>`, "s", ""},
		"beside what is odd": {
			begin + `<a perm="">⟨hidden⟩</a>` + "\n" + `<b>1</b></phone-settings></settings>`, "s-",
			"3: odd: one setting has no perm, which no document of the maker explains\n",
		},
		"odd in what is dropped": {
			begin + `<a idx="⟨hidden⟩" perm="W">1</a></phone-settings></settings>`, "",
			`2: odd: a has the perm "W", which is no flag` + "\n" + `2: dropped: the setting a has the idx "********", which is no number` + "\n",
		},
		"no XML":       {begin + `<a perm="">⟨hidden & more⟩</a></phone-settings></settings>`, "", "2: malformed: A secret value is no XML as it stands: write xml(…) around it\n"},
		"opens":        {begin + `<a perm="">⟨<hidden>⟩</a></phone-settings></settings>`, "", "2: malformed: A secret value is no XML as it stands: write xml(…) around it\n"},
		"malformed":    {begin + `<a perm="">⟨hidden⟩</b></phone-settings></settings>`, "", "2: malformed: Element <a> closed by </b>\n"},
		"root":         {"<⟨hidden⟩/>", "", "1: dropped: a secret value is nothing that a phone reads there\n"},
		"unknown root": {"<oops>⟨hidden⟩</oops>", "", "1: dropped: no phone knows the element <oops>\n"},
		"plain format": {"a: ⟨hidden⟩\nb: 1\nodd ⟨hidden⟩\n", "s-", "3: odd: a line of text is no setting\n"},
		"comments":     {"<!-- ⟨hidden⟩ -->", "", "1: malformed: There is no element in it\n"},
	} {
		f := fileOf(c.text)
		got := readFile(f)
		var secrets, said strings.Builder
		for _, s := range got.secret {
			secrets.WriteString(map[bool]string{true: "s", false: "-"}[s])
		}
		for _, r := range got.odd {
			fmt.Fprintf(&said, "%d: odd: %s\n", r.rng.Start.Line, r.text)
		}
		if r := got.dropped; r != nil {
			fmt.Fprintf(&said, "%d: dropped: %s\n", r.rng.Start.Line, r.text)
		}
		if r := got.malformed; r != nil {
			fmt.Fprintf(&said, "%d: malformed: %s\n", r.rng.Start.Line, r.text)
		}
		if d := cmp.Diff(c.secrets, secrets.String()); d != "" {
			t.Errorf("%s: secrets (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.said, said.String()); d != "" {
			t.Errorf("%s: said (-want +got):\n%s", name, d)
		}
		if strings.Contains(said.String(), "hidden") {
			t.Errorf("%s: tells a secret", name)
		}
	}
}
