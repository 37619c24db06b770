package isc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// show writes a statement as a tree: words with their quotes, blocks indented,
// what is wrong behind an exclamation mark.
func show(s Statement, indent string) string {
	words := make([]string, len(s.Words))
	for i, w := range s.Words {
		words[i] = w.Text
		if w.Quoted {
			words[i] = fmt.Sprintf("%q", w.Text)
		}
	}
	text := fmt.Sprintf("%s%d %s", indent, s.Line, strings.Join(words, " "))
	if s.Braced {
		text += " {}"
	}
	if s.Bad != "" {
		text += " ! " + s.Bad
	}
	text += "\n"
	for _, b := range s.Block {
		text += show(b, indent+"  ")
	}
	return text
}

func parse(t testing.TB, p *Parser) string {
	t.Helper()
	var b strings.Builder
	for {
		s, err := p.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(show(s, ""))
	}
}

func TestParser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"nothing", " \n# comment\n;;", ""},
		{"words", "option routers 192.168.50.1,192.168.50.2; # x\n\tauthoritative;", "1 option routers 192.168.50.1 , 192.168.50.2\n2 authoritative\n"},
		{
			"blocks", "subnet 192.168.50.0 netmask 255.255.255.0 {\n pool { range a b; }\n}\nx;",
			"1 subnet 192.168.50.0 netmask 255.255.255.0 {}\n  2 pool {}\n    2 range a b\n4 x\n",
		},
		{
			"expression", `match if substring (option vendor-class-identifier,0,4)="snom";`,
			"1 match if substring ( option vendor-class-identifier , 0 , 4 ) = \"snom\"\n",
		},
		{"strings", `a "\"\\\101\x41\x4\n\t\r\b\q#;{}" "";`, "1 a \"\\\"\\\\AA\\x04\\n\\t\\r\\bq#;{}\" \"\"\n"},
		{"string in a word", `a"b"c;`, "1 a \"b\" c\n"},
		{"wrong escapes", `a "\400"; b "\xg"; c "\`, "1 a \"\\x00\" ! a string has a wrong escape\n1 b \"\\x00g\" ! a string has a wrong escape\n1 c \"\\x00\" ! a string has no closing \"\n"},
		{"string without an end", "a \"b;\nc;\nd;", "1 a \"b;\" c ! a string has no closing \"\n3 d\n"},
		{"missing semicolon", "a { b c }\nd;", "1 a {}\n  1 b c ! a ; is missing\n2 d\n"},
		{"too many braces", "a { } } b;", "1 a {}\n1  ! a } has no {\n1 b\n"},
		{"cut in a statement", "a b", "1 a b ! the file ends in the middle of the statement\n"},
		{"cut in a block", "a { b;\nc", "1 a {} ! the file ends before the block's }\n  1 b\n  2 c ! the file ends in the middle of the statement\n"},
		{
			"restart", "lease a {\n  x;\n  y\nlease b {\n  lease c { z; }\n}\nlease\nlease d;",
			"1 lease a {} ! the block is cut off\n  2 x\n  3 y ! the statement is cut off\n4 lease b {}\n  5 lease c {}\n    5 z\n7 lease ! the statement is cut off\n8 lease d\n",
		},
	} {
		if diff := cmp.Diff(c.want, parse(t, NewParser(strings.NewReader(c.in), "lease"))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestParserIsBounded(t *testing.T) {
	t.Parallel()
	got := parse(t, NewParser(strings.NewReader("x "+strings.Repeat("a", 2*maxWord)+"; \""+strings.Repeat("b", 2*maxWord)+"\"; c;"), ""))
	want := "1 x " + strings.Repeat("a", maxWord) + " ! a word is longer than 65536 octets\n" +
		"1 \"" + strings.Repeat("b", maxWord) + "\" ! a string is longer than 65536 octets\n1 c\n"
	if got != want {
		t.Errorf("long words became %d octets", len(got))
	}

	deep := "a" + strings.Repeat("{a", 100_000) + "{x;}" + strings.Repeat("}", 100_000) + "b;"
	got = parse(t, NewParser(strings.NewReader(deep), ""))
	if !strings.Contains(got, "blocks are nested too deep") || !strings.HasSuffix(got, "\n1 b\n") || strings.Count(got, "\n") != maxDepth+2 {
		t.Errorf("deep blocks became %.500s", got)
	}

	_, err := NewParser(strings.NewReader("\n"+strings.Repeat("a ", maxWords+1)+";"), "").Next()
	if err == nil || err.Error() != "line 2: the statement has more than 1048576 words" {
		t.Errorf("a large statement says %v", err)
	}
}

func TestReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, in := range []string{"", "a", "a {", "a { b; ", `a "`} {
		p := NewParser(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), "")
		if s, err := p.Next(); !errors.Is(err, broken) {
			t.Errorf("%q: %v, %v", in, s, err)
		}
	}
}

func TestStatement(t *testing.T) {
	t.Parallel()
	s, err := NewParser(strings.NewReader(`match if substring ( option vendor-class-identifier, 0,4) = "sn\nom" { }`), "").Next()
	if err != nil {
		t.Fatal(err)
	}
	if want := `match if substring(option vendor-class-identifier, 0, 4) = "sn\nom" { … }`; s.String() != want {
		t.Errorf("String() = %s, want %s", s, want)
	}
	if !s.Is("match", "if") || s.Is("match", "of") || (Statement{}).Is("match") || (Statement{Words: []Word{{"a", true}}}).Is("a") {
		t.Error("Is is wrong")
	}
	if text := (Statement{Words: []Word{{strings.Repeat("é", 500), false}}}).String(); len(text) > 200 {
		t.Errorf("a long statement is %d octets", len(text))
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	if got, want := Quote("a\"b\\c\n\xff;"), `"a\"b\\c\012\377;"`; got != want {
		t.Errorf("Quote = %s, want %s", got, want)
	}
}

func FuzzParser(f *testing.F) {
	f.Add("lease 192.168.50.100 {\n  starts 0 2026/11/22 21:54:48;\n  uid \"\\001\\377\";\n}\n")
	f.Add("class \"snom\" { match if substring(option vendor-class-identifier,0,4) = \"snom\"; }\n}}{{")
	f.Fuzz(func(t *testing.T, in string) {
		// Whatever came before, a quoted string on a new statement comes back.
		out := parse(t, NewParser(strings.NewReader("q "+Quote(in)+";"), ""))
		if want := fmt.Sprintf("1 q %q\n", in); len(in) <= maxWord && out != want {
			t.Errorf("Quote became %s, want %s", out, want)
		}
		parse(t, NewParser(strings.NewReader(in), "lease"))
	})
}
