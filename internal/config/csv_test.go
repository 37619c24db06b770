package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func TestDecodeCSV(t *testing.T) {
	t.Parallel()
	var header strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&header, "c%d,", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"commas":             {"mac,name\n1,a\n2,b\n", `[{"mac":"1","name":"a"},{"mac":"2","name":"b"}]`},
		"semicolons":         {"mac;name\n1;a,b\n", `[{"mac":"1","name":"a,b"}]`},
		"tabs":               {"mac\tname\n1\ta;b\n", `[{"mac":"1","name":"a;b"}]`},
		"tabs, empty":        {"mac\tname\tx\n1\t\t2\n\t\t3\n", `[{"mac":"1","name":"","x":"2"},{"mac":"","name":"","x":"3"}]`},
		"byte order mark":    {"\ufeffmac,name\n1,a\n", `[{"mac":"1","name":"a"}]`},
		"mark and quotes":    {"\ufeff\"mac\",name\n1,a\n", `[{"mac":"1","name":"a"}]`},
		"CRLF":               {"mac;name\r\n1;a\r\n", `[{"mac":"1","name":"a"}]`},
		"no last newline":    {"a,b\n1,2", `[{"a":"1","b":"2"}]`},
		"spaces":             {" mac , name \n 1 ,\ta b  \n", `[{"mac":"1","name":"a b"}]`},
		"spaces and quotes":  {"a, b\n 1 , \"x, y\" \n\"2\" , \"\" \n", `[{"a":"1","b":"x, y"},{"a":"2","b":""}]`},
		"spaces, tabs":       {"a\tb\n \"1\" \t \"2\" \n", `[{"a":"1","b":"2"}]`},
		"quotes":             {"a,b\n\"x,\"\"y\"\"\",\"\"\n", `[{"a":"x,\"y\"","b":""}]`},
		"newline in quotes":  {"a;b\n\"x\n y\";2\r\n", `[{"a":"x\n y","b":"2"}]`},
		"quoted separators":  {"\"a;b;c\",d\n1,2\n", `[{"a;b;c":"1","d":"2"}]`},
		"one column":         {"name\nMüller; Söhne\n", `[{"name":"Müller; Söhne"}]`},
		"lines count":        {"\n\na,b\n\n1,2\n , \n;\n", "Line 7 has 1 value, not 2 as the first line names (a, b). A value that contains the separator has to stand in quotes."},
		"rows of separators": {"a;b\n;\n1;2\n;\n", `[{"a":"1","b":"2"}]`},
		"header alone":       {"a,b\n", `[]`},
		"most often":         {"a;b;c, d\n1;2;3\n", `[{"a":"1","b":"2","c, d":"3"}]`},
		"umlauts decomposed": {"na\u0308me\nMu\u0308ller\n", `[{"n` + "ä" + `me":"M` + "ü" + `ller"}]`},

		"nothing":             {"", "The table is empty. Its first line has to name the columns."},
		"blank":               {"\ufeff\r\n \r\n", "The table is empty. Its first line has to name the columns."},
		"too few":             {"a,b,c\n1,2,3\n1,2\n", "Line 3 has 2 values, not 3 as the first line names (a, b, c). A value that contains the separator has to stand in quotes."},
		"too many":            {"a;b\n\"x\ny\";2\n1;2;3\n", "Line 4 has 3 values, not 2 as the first line names (a, b). A value that contains the separator has to stand in quotes."},
		"same name":           {"a,b, a\n", `Line 1: two columns are named "a". Rename one.`},
		"no name":             {"a;b;\n1;2;\n", "Line 1: column 3 has no name. Give every column a name in the first line, or delete it."},
		"bare quote":          {"a,b\n1,5\" pipe\n", `Line 2: a quote stands inside a value without quotes; put the whole value in quotes and double the inner one: "4"" pipe".`},
		"open quote":          {"a,b\n1,\"x\n", "Line 2: a value in quotes is not closed, or goes on after its closing quote; double a quote that belongs to the value."},
		"text after a quote":  {"a,b\n1,\"x\" y\n", "Line 2: a value in quotes is not closed, or goes on after its closing quote; double a quote that belongs to the value."},
		"rows":                {"a\n" + strings.Repeat("1\n", maxRows+1), "Line 20002: the table is too large. It may have 20000 rows and 500000 values; split it."},
		"cells":               {strings.TrimSuffix(strings.Repeat("a,b", 1), "") + "\n", `[]`},
		"a separator of none": {"a b\n1 2\n", `[{"a b":"1 2"}]`},
	} {
		v, err := decodeCSV(c.text)
		var got string
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "Invalid CSV: ")
		} else {
			b, err := ctyjson.Marshal(v, v.Type())
			if err != nil {
				t.Fatal(err)
			}
			got = string(b)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: decodeCSV(%.60q) (-want +got):\n%s", name, c.text, diff)
		}
	}
}

func TestDecodeCSVRemembers(t *testing.T) {
	t.Parallel()
	var tables tables
	first, err := tables.decode("a\n1\n")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := tables.decode("a\n" + strings.Repeat("x\n", len(tables.decoded))); err != nil {
			t.Fatal(err)
		}
	}
	again, err := tables.decode("a\n1\n")
	if err != nil || !again.RawEquals(first) || len(tables.decoded) > 64 {
		t.Errorf("decode = %#v, %v after %d tables, want %#v", again, err, len(tables.decoded), first)
	}
}

func FuzzDecodeCSV(f *testing.F) {
	for _, s := range []string{
		"mac,name,extension,password,display_name\n000413231A02,anna,102,aeV5quoh,Anna Böhm\n",
		"\ufeffmac;name\r\n\"x\ny\" ; z\r\n", "a\tb\n\t\n", "\"a\"\"b\", c\n", "a,b\n1,\"x\" y", "\"", " \" \" ,", "a;b;\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := decodeCSV(text)
		if err != nil {
			return
		}
		attributes := v.Type().ElementType().AttributeTypes()
		for it := v.ElementIterator(); it.Next(); {
			_, row := it.Element()
			for name := range attributes {
				if name != strings.TrimSpace(name) || name == "" {
					t.Errorf("column %q", name)
				}
				if s := row.GetAttr(name); s.Type() != cty.String || s.AsString() != strings.TrimSpace(s.AsString()) {
					t.Errorf("column %q has %#v", name, s)
				}
			}
		}
	})
}
