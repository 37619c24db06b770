package profiles

import "testing"

func TestCheckReadable(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<settings>\n<phone-settings><a perm=\"\">1</a></phone-settings></settings>":   "",
		"<settings><phone-settings><a perm=\"\">1 & 2</a></phone-settings></settings>": "malformed XML: XML syntax error on line 1: invalid character entity & (no semicolon)",
		"<settings/><settings/>":          "malformed XML: a second root element <settings>",
		"<settings><unheard/></settings>": "line 1: <settings> holds <unheard>, which is no part of it: it is passed over",
		"<settings>\n<functionKeys><fkey idx=\"x\" perm=\"\">line</fkey></functionKeys></settings>": `a function key has the idx "x", which is no number`,
		"<settings>\n<phone-settings><a perm=\"W\">1</a></phone-settings></settings>":               `line 2: a has the perm "W", which is no flag`,
		"<settings>\n<dialplan><TEMPLATE MATCH=\"1\" Wait=\"2\"/></dialplan></settings>":            "line 2: <TEMPLATE> has the attribute Wait, which is not read",
	} {
		got := ""
		if err := checkReadable([]byte(body)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
}
