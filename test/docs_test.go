package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var hclBlock = regexp.MustCompile("(?s)```hcl\n(.*?)```")

// TestDocumentedConfigurationLoads runs `check` on the configuration that the
// documents show, each file's blocks together, as a reader would try them.
func TestDocumentedConfigurationLoads(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, f := range append(files, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var config strings.Builder
		for _, m := range hclBlock.FindAllStringSubmatch(string(text), -1) {
			config.WriteString(m[1])
		}
		if config.Len() == 0 {
			continue
		}
		if !strings.Contains(config.String(), "appliance {") {
			config.WriteString("appliance { interface = \"eth0\" }\n")
		}
		shown++
		dir := t.TempDir()
		write(t, filepath.Join(dir, "shown.hcl"), config.String())
		// What the examples name beside them.
		if err := os.CopyFS(dir, os.DirFS("testdata/docs")); err != nil {
			t.Fatal(err)
		}
		snom := newMaker(t)
		pair, err := os.ReadFile(snom.phone(t, "server.office.example"))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"makers.pem": snom.pem(), "server.pem": string(pair), "server.key": string(pair)} {
			write(t, filepath.Join(dir, "tls", name), text)
		}
		if out, err := dialtone(t, "check", "--config", dir).CombinedOutput(); err != nil {
			t.Errorf("the configuration in %s: %v\n%s", f, err, out)
		}
	}
	if shown == 0 {
		t.Error("no document shows a configuration")
	}
}
