package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "dialtone.hcl")
	err := os.WriteFile(config, []byte(`
appliance {
  interface = "eth0"
}
setting "door_code" {
  meaning = "Opens the door"
  values  = { "1111" = "the front door", "2222" = "the cellar" }
  models  = ["snomD7*"]
}
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want []string // what is shown, "!" before what is not
		code int
	}{
		{[]string{"berlin"}, []string{"timezone\n", "takes     GER+1 (Germany"}, 0},
		{[]string{"SRTP", "Encrypted"}, []string{"user_srtp\n", "of an identity"}, 0},
		{[]string{"cellar"}, []string{"door_code\n", "2222 (the cellar), 1111", "a setting block"}, 0},
		{[]string{"password"}, []string{"http_pass ", "user_pass "}, 0},
		{[]string{"door", "--model", "snomD785"}, []string{"door_code"}, 0},
		{[]string{"door", "--model", "snomD865"}, nil, exitWrong},
		{[]string{"ac_code", "--model", "snomM700"}, []string{"ac_code"}, 0},
		{[]string{"door", "--model", "yealink"}, nil, exitWrong},
		{[]string{"xyzzy"}, nil, exitWrong},
	} {
		var out, errs strings.Builder
		args := append([]string{"settings", "--config", config}, test.args...)
		if code := run(args, &out, &errs); code != test.code {
			t.Errorf("%s: exit status %d: %s", test.args, code, errs.String())
		}
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", test.args, want, out.String())
			}
		}
		if test.want == nil && out.Len() > 0 {
			t.Errorf("%s: %s", test.args, out.String())
		}
	}

	var out strings.Builder
	if code := run([]string{"settings", "--config", config, "--json", "door_code"}, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	var list []struct {
		Name, Type string
		Own        bool
		Values     []struct{ Value, Meaning string }
	}
	if err := json.Unmarshal([]byte(out.String()), &list); err != nil || len(list) != 1 || !list[0].Own || len(list[0].Values) != 2 || list[0].Type != "word" {
		t.Errorf("--json: %v, %+v", err, list)
	}
}
