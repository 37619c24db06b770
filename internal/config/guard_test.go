package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	for name, c := range map[string]struct{ src, want string }{
		"parentheses":         {"a = " + rep("(", 200) + "1" + rep(")", 200), ""},
		"one more":            {"a = " + rep("(", 201) + "1" + rep(")", 201), "Nesting too deep"},
		"brackets":            {"a = " + rep("[", 20_000) + rep("]", 20_000), "Nesting too deep"},
		"only open":           {"a = " + rep("(", 20_000), "Nesting too deep"},
		"braces":              {"a = " + rep("{ b = ", 201), "Nesting too deep"},
		"blocks":              {rep("a {\n", 201), "Nesting too deep"},
		"many blocks":         {rep("a {\n b = [1, 2]\n}\n", 3_000), ""},
		"templates":           {"a = " + rep(`"${`, 201), "Nesting too deep"},
		"templates, legal":    {"a = " + rep(`"${`, 100) + "1" + rep(`}"`, 100), ""},
		"many templates":      {`a = "` + rep("${b} ", 3_000) + `"`, ""},
		"heredoc templates":   {"a = <<E\n" + rep("${\"x${b}\"}(\n", 5_000) + "E\n", ""},
		"calls":               {"a = " + rep("f(", 201), "Nesting too deep"},
		"mixed, unmatched":    {"a = " + rep("[(}", 201), "Nesting too deep"},
		"never closed right":  {"a = " + rep("[)", 201), "Nesting too deep"},
		"in a string":         {`a = "` + rep("([{", 10_000) + `"`, ""},
		"in a heredoc":        {"a = <<EOT\n" + rep("([{\n", 3_000) + "EOT\n", ""},
		"a long heredoc":      {"a = <<EOT\n" + rep("x\n", 10_001) + "EOT\n", "Text too long"},
		"a long text":         {"a = \"" + rep("$${", 20_000) + "\"", "Text too long"},
		"in a comment":        {"# " + rep("(", 100_000) + "\n// " + rep("[", 100_000) + "\n/* " + rep("{", 100_000) + "*/", ""},
		"escaped templates":   {`a = "` + rep("$${", 3_000) + `"`, ""},
		"a quote in a string": {`a = "\"" ` + "\nb = " + rep("(", 201), "Nesting too deep"},
		"after a heredoc":     {"a = <<EOT\n\"\nEOT\nb = " + rep("(", 201), "Nesting too deep"},
		"a false heredoc":     {"a = <<EOT\n EOTX\n\"${" + rep("(", 201), "Nesting too deep"},

		"negations":            {"a = " + rep("!", 900) + "true", ""},
		"too many negations":   {"a = " + rep("!", 1001) + "true", "Nesting too deep"},
		"minus signs":          {"a = " + rep("-", 5_000) + "1", "Nesting too deep"},
		"conditions":           {"a = " + rep("b ? c : ", 600) + "d", "Nesting too deep"},
		"sums":                 {"a = " + rep("1 + ", 5_000) + "1", "Nesting too deep"},
		"sums with comments":   {"a = " + rep("1 /* x */ + ", 2_000) + "1", "Nesting too deep"},
		"sums over lines":      {"a = (" + rep("1 +\n", 2_000) + "1)", "Nesting too deep"},
		"sums on lines":        {rep("a = 1 + 2 - 3\n", 3_000), ""},
		"list of sums":         {"a = [" + rep("1 + 2, ", 3_000) + "]", ""},
		"lines of an object":   {"a = {\n" + rep("b = -1\n", 3_000) + "}", ""},
		"object of objects":    {"a = {\n" + rep("b = { c = 1 } # x\n", 3_000) + "}", ""},
		"lines of a for":       {"a = {\n for k in b : k => 1 +\n" + rep("1 +\n", 2_000) + "1}", "Nesting too deep"},
		"indexes":              {"a = b" + rep("[c]", 2_000), "Nesting too deep"},
		"attributes":           {"a = b" + rep(".c", 2_000), "Nesting too deep"},
		"template conditions":  {`a = "` + rep("%{ if b }x", 1_001) + `"`, "Nesting too deep"},
		"on a line of its own": {`a = "` + rep("%{~\n# x\nif b }x", 1_001) + `"`, "Nesting too deep"},
		"closed conditions":    {`a = "` + rep("%{ if b }x%{ else }y%{ endif }", 3_000) + `"`, ""},
		"closed loops":         {`a = "` + rep("%{ for x in b ~}${x}%{ endfor }", 3_000) + `"`, ""},

		"number":          {"a = 1.5e99", ""},
		"huge number":     {"a = 1e100", "Number too large"},
		"tiny number":     {"a = 1E-0999999999", "Number too large"},
		"long number":     {"a = " + rep("9", 301), "Number too large"},
		"binary":          {rep("\x00\xff", 5_000), ""},
		"German prose":    {rep("Das ist's. ", 50), ""},
		"size":            {rep("#", maxSource), ""},
		"one byte over":   {rep("#", maxSource+1), "File too large"},
		"nothing":         {"", ""},
		"stray closers":   {rep(")]}", 1_000), ""},
		"stray endifs":    {`a = "` + rep("%{ endif }", 2_000) + rep("%{ if b }", 1_001) + `"`, "Nesting too deep"},
		"quotes, newline": {rep("a = \"\n", 150), ""},
	} {
		got := ""
		if diags := guard([]byte(c.src), "in.hcl"); diags.HasErrors() {
			got = diags[0].Summary
		}
		if got != c.want {
			t.Errorf("%s: guard says %q, want %q", name, got, c.want)
		}
		if got == "" && len(c.src) < maxSource {
			// What passes must not bring down the parser.
			hclsyntax.ParseConfig([]byte(c.src), "in.hcl", hcl.InitialPos)
		}
	}
}

// TestGuardBeforeParse feeds Load what overflows the stack of HCL's parser.
func TestGuardBeforeParse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deep := strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000)
	write(t, dir, "in.hcl", "appliance {\n  interface = "+deep+"\n}\n")
	write(t, dir, "other.hcl", "provisioning {\n  pnp = 5\n}\n")
	_, rep := Load(dir, Options{})
	var got []string
	for _, d := range rep.Diagnostics() {
		got = append(got, fmt.Sprintf("%d %s", d.Subject.Start.Line, d.Summary))
	}
	if want := "2 Nesting too deep, 2 Wrong type"; strings.Join(got, ", ") != want {
		t.Errorf("Load says %q, want %q", got, want)
	}
}
