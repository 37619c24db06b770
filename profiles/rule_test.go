package profiles

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

func allRules() map[config.Rule]string {
	rules := config.Rules()
	maps.Copy(rules, Rules())
	return rules
}

// TestRulesDocumented holds docs/rules.md to the rules: a row for each, in order,
// with the same sentence.
func TestRulesDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		got = append(got, row[1]+": "+row[2])
	}
	rules := allRules()
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		want = append(want, fmt.Sprintf("%s: %s", rule, rules[rule]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/rules.md (-want +got)\n%s", diff)
	}
}

// TestRulesHaveFixtures loads every fixture: each rule is raised by one, and no
// warning is without its rule.
func TestRulesHaveFixtures(t *testing.T) {
	t.Parallel()
	raised := map[config.Rule]bool{}
	for _, pattern := range []string{"testdata/invalid/*", "../internal/config/testdata/invalid/*"} {
		fixtures, err := filepath.Glob(pattern)
		if err != nil || len(fixtures) == 0 {
			t.Fatalf("no fixtures: %v", err)
		}
		for _, name := range fixtures {
			if filepath.Ext(name) == ".txt" {
				continue
			}
			_, _, rep := loadFixture(t, name)
			for _, d := range rep.Diagnostics() {
				rule := config.RuleOf(d)
				if d.Severity == hcl.DiagWarning && allRules()[rule] == "" {
					t.Errorf("%s: %s: its rule is %q", name, d.Summary, rule)
				}
				raised[rule] = true
			}
		}
	}
	for rule := range allRules() {
		if !raised[rule] {
			t.Errorf("no fixture raises %s", rule)
		}
	}
}

func TestRuleNames(t *testing.T) {
	t.Parallel()
	for rule, says := range allRules() {
		if !regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`).MatchString(string(rule)) {
			t.Errorf("%s is no kebab case", rule)
		}
		if !strings.HasSuffix(says, ".") {
			t.Errorf("%s: %q is no sentence", rule, says)
		}
	}
}
