package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func evaluate(cfg *Config, src string) (cty.Value, hcl.Diagnostics) {
	expr, diags := hclsyntax.ParseExpression([]byte(src), "in.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.DynamicVal, diags
	}
	v, diags := expr.Value(&hcl.EvalContext{Functions: cfg.Functions(), Variables: map[string]cty.Value{
		"big": cty.StringVal(strings.Repeat("x\n", 200_000)),
	}})
	rep := newReport()
	rep.Append(diags)
	return v, rep.Diagnostics()
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "secrets/pin", "1234\r\n")
	if err := os.Symlink("secrets/pin", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{sources: newSources(dir, "")}
	for src, want := range map[string]string{
		`upper("ä")`:                                  `"Ä"`,
		`title("front desk")`:                         `"Front Desk"`,
		`replace("a.b.c", ".", "-")`:                  `"a-b-c"`,
		`replace("a1b22", "/([0-9]+)/", "[$1]")`:      `"a[1]b[22]"`,
		`replace("a/b", "/", "")`:                     `"ab"`,
		`format("%s-%03d", "x", 7)`:                   `"x-007"`,
		`formatlist("%s!", ["a", "b"])`:               `["a!","b!"]`,
		`join(",", sort(["b", "a"]))`:                 `"a,b"`,
		`split(",", "a,b")`:                           `["a","b"]`,
		`length("äö")`:                                `2`,
		`length([1, 2, 3])`:                           `3`,
		`length({ a = 1 })`:                           `1`,
		`lookup({ a = "x" }, "b", "y")`:               `"y"`,
		`merge({ a = 1 }, { b = 2 })`:                 `{"a":1,"b":2}`,
		`range(3)`:                                    `[0,1,2]`,
		`reverse(distinct(["a", "b", "a"]))`:          `["b","a"]`,
		`zipmap(["a"], [1])`:                          `{"a":1}`,
		`parseint("ff", 16)`:                          `255`,
		`tonumber("12") + floor(1.5)`:                 `13`,
		`jsondecode("{\"a\":[1,2]}").a[1]`:            `2`,
		`jsonencode({ a = [true] })`:                  `"{\"a\":[true]}"`,
		`coalesce("", "x")`:                           `"x"`,
		`try(file("none"), "otherwise")`:              `"otherwise"`,
		`length(5)`:                                   `Invalid function argument`,
		`coalesce("", null)`:                          `Error in function call`,
		`can(regex("^b", "abc"))`:                     `false`,
		`substr("telephone", 0, 4)`:                   `"tele"`,
		`startswith("snomD785", "snom")`:              `true`,
		`indent(2, "a\nb")`:                           `"a\n  b"`,
		`nonsensitive_is_not_there(1)`:                `Call to unknown function`,
		`csvdecode("a;b\n1;2")`:                       `[{"a":"1","b":"2"}]`,
		`length(secret("pin"))`:                       `4`,
		`trimspace(sensitive(" x "))`:                 `"x"`,
		`range(5000)`:                                 `Error in function call`,
		`indent(100000000, "a\nb")`:                   `Result too long`,
		`indent(-1, "a\nb")`:                          `Invalid function argument`,
		`replace(big, "x", big)`:                      `Result too long`,
		`replace(big, "/x/", "$0$0$0$0$0$0$0$0$0$0")`: `Result too long`,
		`replace(big, "", "0123456789")`:              `Result too long`,
		`replace("x", "/(/", "")`:                     `Invalid function argument`,
		`join(big, ["a", "b", "c", "d", "e"])`:        `Result too long`,
		`format("%1000000000d", 1)`:                   `Result too long`,
		`format("%[1]s%[1]s%[1]s", big)`:              `Result too long`,
		`formatlist("%.999999999f", [1])`:             `Result too long`,
		`jsonencode([big, big, big])`:                 `Result too long`,
		`distinct(split("", big))`:                    `Too many elements`,
		`jsondecode("${join("", [for i in range(200) : "["])}${join("", [for i in range(200) : "]"])}")`: `Invalid JSON`,
		`jsondecode("{")`:          `Invalid JSON`,
		`file("none")`:             `Missing file`,
		`file("../x")`:             `Unreadable file`,
		`file("/etc/passwd")`:      `Unreadable file`,
		`file("secrets")`:          `Unreadable file`,
		`file("secrets/pin")`:      `Secret as a file`,
		`file("link")`:             `Secret as a file`,
		`secret("none")`:           `Missing secret`,
		`secret("../secrets/pin")`: `Unreadable secret`,
		`csvdecode("")`:            `Invalid CSV`,
		`secret(null)`:             `Invalid function argument`,
	} {
		v, diags := evaluate(cfg, src)
		got := ""
		if diags.HasErrors() {
			got = diags[0].Summary
		} else {
			v, _ = v.UnmarkDeep()
			b, err := ctyjson.Marshal(v, v.Type())
			if err != nil {
				t.Errorf("%s: %v", src, err)
			}
			got = string(b)
		}
		if got != want {
			t.Errorf("%s gives %.200s, want %s (%v)", src, got, want, diags)
		}
	}
}

func TestSecretsStayMarked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "secrets/pin", "hunter2")
	cfg := &Config{sources: newSources(dir, "")}
	for _, src := range []string{
		`secret("pin")`, `upper(secret("pin"))`, `"<${secret("pin")}>"`, `sensitive("x")`, `format("%s", secret("pin"))`,
		`replace(secret("pin"), "u", "-")`, `length(secret("pin"))`, `join("", ["a", secret("pin")])`, `try(secret("pin"), "")`,
		`csvdecode(secret("pin"))`, `jsonencode({ a = secret("pin") })`, `tostring(sensitive(5))`,
	} {
		v, diags := evaluate(cfg, src)
		if diags.HasErrors() || !v.HasMark(Secret) {
			t.Errorf("%s = %#v, %v, want a marked value", src, v, diags)
		}
	}
	if v, diags := evaluate(cfg, `{ open = "x", closed = secret("pin") }`); diags.HasErrors() ||
		v.GetAttr("open").IsMarked() || !v.GetAttr("closed").HasMark(Secret) {
		t.Errorf("an object with a secret = %#v, %v", v, diags)
	}
}

func TestDiagnosticsKeepSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "secrets/pin", "hunter2")
	write(t, dir, "in.hcl", `appliance {}
locals {
  pin = secret("pin")
}
admin {
  password = [local.pin]
  listen   = local.pin
}
dns {
  hold       = [parseint(local.pin, 10)]
  forwarders = [for k, v in { for x in [1, 2] : local.pin => x } : k]
}
provisioning {
  scheme    = local.pin
  http_port = tonumber(local.pin)
  pnp       = file(local.pin)
  tftp_port = { a = 1 }[local.pin]
}
https {
  port        = jsondecode(local.pin)
  certificate = regex("^x", local.pin)
  key         = try(file(local.pin))
}
`)
	_, rep := Load(dir, Options{})
	if rep.Errors() < 10 {
		t.Errorf("%d errors, want one for each line", rep.Errors())
	}
	text := printed(t, rep)
	b, err := rep.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text, string(b)} {
		if i := strings.Index(s, "hunter2"); i >= 0 {
			t.Errorf("the secret is shown: …%s…", s[max(0, i-200):min(len(s), i+50)])
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "latin1.csv", "name\nM\xfcller\n")
	write(t, dir, "utf16.csv", "\xff\xfen\x00")
	write(t, dir, "big.txt", strings.Repeat("x", maxFile+1))
	write(t, dir, "sub/ok.txt", "first")
	write(t, filepath.Dir(dir), "outside.txt", "outside")
	for link, to := range map[string]string{"in": "sub/ok.txt", "out": "../outside.txt", "abs": "/etc/hostname"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := newSources(dir, "")
	for name, want := range map[string]string{
		"sub/ok.txt": "first",
		"in":         "first",
		"out":        "Unreadable file: Reading DIR/out: path escapes from parent. file() reads files inside the folder of the configuration, DIR, and nothing else.",
		"abs":        "Unreadable file: Reading DIR/abs: path escapes from parent. file() reads files inside the folder of the configuration, DIR, and nothing else.",
		"none.csv": "Missing file: There is no file DIR/none.csv. file() looks in the folder of the configuration; " +
			"check the name, or put the file there.",
		"latin1.csv": `File is not UTF-8: DIR/latin1.csv is no UTF-8 text, first at byte 7. Save it as UTF-8; spreadsheets call that "CSV UTF-8".`,
		"utf16.csv":  `File is not UTF-8: DIR/utf16.csv is UTF-16 text. Save it as UTF-8; spreadsheets call that "CSV UTF-8".`,
		"big.txt": "Unreadable file: Reading DIR/big.txt: it has more than 4194304 bytes. " +
			"file() reads files inside the folder of the configuration, DIR, and nothing else.",
	} {
		got, err := s.file(name)
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("file(%s) (-want +got):\n%s", name, diff)
		}
	}
	write(t, dir, "sub/ok.txt", "second")
	if got, err := s.file("sub/ok.txt"); err != nil || got != "first" {
		t.Errorf("file reads again: %q, %v", got, err)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	dir, credentials := t.TempDir(), t.TempDir()
	write(t, dir, "secrets/sip/101", "from file\r\n")
	write(t, dir, "secrets/empty", "\n")
	write(t, dir, "staff.csv", "not a secret")
	write(t, credentials, "sip-101", "hidden by the file")
	write(t, credentials, "sip-102", "from systemd\n")
	for _, c := range []struct{ credentials, name, want string }{
		{credentials, "sip/101", "from file"},
		{credentials, "sip/102", "from systemd"},
		{credentials, "sip/103", `Missing secret: There is no file DIR/secrets/sip/103, nor a systemd credential "sip-103" in CREDS. ` +
			"Write the secret to that file, readable by the appliance alone, or pass it with LoadCredential=."},
		{"", "sip/102", `Missing secret: There is no file DIR/secrets/sip/102, and systemd passed no credentials (this one would be "sip-102"). ` +
			"Write the secret to that file, readable by the appliance alone, or pass it with LoadCredential=."},
		{"", "empty", `Empty secret: The secret "empty" is empty. Write its value to the file.`},
		{"", "../staff.csv", `Unreadable secret: Reading the secret "../staff.csv": path escapes from parent. ` +
			"A secret is a file inside DIR/secrets that the appliance can read."},
		{"", "sip", `Unreadable secret: Reading the secret "sip": it is no regular file. A secret is a file inside DIR/secrets that the appliance can read.`},
	} {
		got, err := newSources(dir, c.credentials).secret(c.name)
		if err != nil {
			got = strings.NewReplacer(dir, "DIR", credentials, "CREDS").Replace(err.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("secret(%s) (-want +got):\n%s", c.name, diff)
		}
	}
}
