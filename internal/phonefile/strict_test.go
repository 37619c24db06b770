package phonefile

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a strict reading minds, and where; lines are counted in the file as it
// is, blank ones before the document too.
func TestStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"well made": {body: `<?xml version="1.0" encoding="utf-8"?>
<settings>
  <phone-settings e="2"><language perm="">English</language><user_name idx="1" perm="R">101</user_name></phone-settings>
  <functionKeys e="2"><fkey idx="0" context="active" label="a" short_label="b" default_text="$name" lp="on" perm="">line</fkey></functionKeys>
  <tbook e="2" complete="true"><item context="active" type="none" index="0"><name>A</name><number>1</number><number_type>sip</number_type></item></tbook>
  <dialplan e="2"><TEMPLATE MATCH="*" Timeout="5" User="Phone" Rewrite="x"/></dialplan>
</settings>`},
		"settings": {body: "\n\n<settings>\n<phone-settings>\n<a>1</a>\n<b perm=\"W\" action=\"remove\">2</b>\n<a perm=\"\">3</a>\nstray\n</phone-settings>\n</settings>", want: []string{
			"f:4: <phone-settings> has text between its elements",
			`f:6: b has the perm "W", which is no flag`,
			"f:6: <b> has the attribute action, which is not read",
			"f:7: a is set a second time, as in line 5: the last one stays",
			"f:5: one setting has no perm, which no document of the maker explains",
		}},
		"keys": {body: "<functionKeys>\n<fkey idx=\"1\" perm=\"\">line</fkey>\n<fkey idx=\"1\" clp=\"1\" perm=\"x\">none</fkey>\n<fkey idx=\"-1\" perm=\"\">line</fkey><other/></functionKeys>", want: []string{
			"f:3: key 1 is set a second time, as in line 2: the last one stays",
			`f:3: key 1 has the perm "x", which is no flag`,
			"f:4: key -1: they are counted from 0",
			"f:4: <functionKeys> holds <other>, which is no <fkey>",
		}},
		"phone book": {body: "<tbook>\n<item><name>A</name><birthday/></item></tbook>", want: []string{
			"f:2: an entry of the phone book holds <birthday>, which is not read",
			"f:2: an entry of the phone book has no number",
		}},
		"dial plan": {body: "<dialplan>\n<TEMPLATE MATCH=\"*\" Timeout=\"soon\" scheme=\"x\"/>\n<TEMPLATE/></dialplan>", want: []string{"f:2: <TEMPLATE> has the attribute scheme, which is not read", `f:2: the Timeout "soon" of a template is no number of seconds`, "f:3: <dialplan> holds <TEMPLATE>, which is no <TEMPLATE MATCH=…>"}},
		"elsewhere": {body: "<settings>\n<time_24_format perm=\"R\">off</time_24_format></settings>", want: []string{"f:2: <settings> holds <time_24_format>, which is no part of it: it is passed over"}},
		"small":     {body: "<dialplan>\n<template match=\"0\" timeout=\"4\" scheme=\"sip\" user=\"phone\" rewrite=\"\"/>\n<template match=\"1\" scheme=\"tel\"/></dialplan>", want: []string{`f:3: the scheme "tel" of a template is not read`}},
		"files": {body: "<settings><uploads><file url=\"u\" type=\"gui\"/>\n<file url=\"u\"/></uploads><certificates><certificate url=\"u\"/><certificate type=\"base64\">AAAA</certificate>\n<certificate/></certificates></settings>", want: []string{
			"f:2: <uploads> holds <file>, which is no <file url=… type=…>",
			"f:3: <certificates> holds <certificate>, which is neither a link to a certificate nor one in base64",
		}},
		"phrases":     {body: "<w_phrases><phrase i=\"0\" n=\"a\" t=\"A\"/>\n<phrase t=\"B\"/><language i=\"0\" t=\"x\"/></w_phrases>", want: []string{"f:2: <w_phrases> holds <phrase>, which is no <phrase n=… t=…>"}},
		"text inside": {body: "<setting-files>http://h/</setting-files>", want: []string{"f:1: <setting-files> has text instead of elements"}},
		"declaration": {body: "<!-- made by hand -->\n<?xml version=\"1.0\"?>\n<?php x ?><settings/>", want: []string{"f:2: the XML declaration does not stand at the beginning", "f:3: <?php … ?> says nothing to a phone"}},
		"text":        {body: "<html><pre>\n\na: 1\nodd\na$: 2\n</pre></html>", want: []string{"f:5: a is set a second time, as in line 3: the last one stays", "f:4: a line of text is no setting"}},
		"latin1":      {body: "a: gr\xfcn\n", want: []string{"f:1: the text is no UTF-8: it is read as ISO-8859-1"}},
	} {
		file, notes, err := Strict("f", []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, n := range notes {
			got = append(got, n.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		lenient, err := Read("f", []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(lenient, file); d != "" {
			t.Errorf("%s: a strict reading reads something else (-lenient +strict):\n%s", name, d)
		}
	}
}

// Every value knows its line, and so does the reason why a file is dropped.
func TestPlaces(t *testing.T) {
	t.Parallel()
	f, err := Read("f", []byte("\ufeff\n<settings><phone-settings>\n<a perm=\"\">1\n2</a><b\n perm=\"\"/>\n</phone-settings>\n<functionKeys><fkey\nidx=\"0\">line</fkey></functionKeys><setting-files>\n<file url=\"u\"/></setting-files></settings>"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{f.Settings[0].At.String(), f.Settings[1].At.String(), f.Keys[0].At.String(), f.Links[0].At.String()}
	if d := cmp.Diff([]string{"f:3", "f:4", "f:7", "f:9"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for body, want := range map[string]string{
		"\n\n<settings>\n<phone-settings>": "f:4",
		"\n<oops/>":                        "f:2",
		"\n<phone-settings>\n<a idx=\"x\"/></phone-settings>":             "f:3",
		"<settings/>\n\n<settings/>":                                      "f:3",
		"<settings>\n" + strings.Repeat("<a>", 100) + "</settings>":       "f:2",
		"\n<settings>\n<phone-settings>a & b</phone-settings></settings>": "f:3",
	} {
		_, err := Read("f", []byte(body))
		var dropped *Error
		if !errors.As(err, &dropped) || dropped.At.String() != want {
			t.Errorf("%q: %v at %+v, want %s", body, err, dropped, want)
		}
	}
}

// The octets of a place are those of the element, or the line, in what was read.
func TestOctets(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"\ufeff \n<settings><!-- ü --><phone-settings>\n <a perm=\"\">1<b/></a><c perm=\"\"/></phone-settings></settings>\n": {`<a perm="">1<b/></a>`, `<c perm=""/>`},
		"\n<html>\n<pre>\na: ü\r\n# b\nc$: 2\n</pre></html>":                                                                 {"a: ü\r\n", "c$: 2"},
		"x: gr\xfcn\ny: 1\n": {"x: gr\xfcn\n", "y: 1"},
	} {
		f, err := Read("", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range f.Settings {
			got = append(got, body[s.At.Start:s.At.End])
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", body, d)
		}
	}
}

// Old documents say that they are ISO-8859-1, and are.
func TestLatin1(t *testing.T) {
	t.Parallel()
	f, err := Read("f", []byte("<?xml version='1.0' encoding='ISO-8859-1'?>\n<phone-settings><a perm=\"\">gr\xfcn</a></phone-settings>"))
	if err != nil || len(f.Settings) != 1 || f.Settings[0].Value != "grün" || f.Charset != "ISO-8859-1" {
		t.Errorf("%+v, %v", f, err)
	}
}
