package profiles

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestDescribe holds the description to the schemas that decode: every block and
// attribute has its line in builtin/words.csv, and every line its word.
func TestDescribe(t *testing.T) {
	t.Parallel()
	s := loadDir(t, office(t, 1))
	schema, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if a := schema.Root.Blocks["network"].Attributes["subnet"]; !a.Required || a.Type != "text" || a.Doc == "" {
		t.Errorf("network.subnet: %+v", a)
	}
	phone := schema.Root.Blocks["phone"]
	if len(phone.Labels) != 1 || phone.Attributes["codecs"].Type != "list" || phone.Blocks["settings"].Free != "settings" {
		t.Errorf("phone: %+v", phone)
	}
	if upload := phone.Blocks["upload"]; !upload.Attributes["url"].Required {
		t.Errorf("phone.upload: %+v", upload)
	}
	if len(schema.Settings) < 300 || len(schema.Rules) == 0 {
		t.Errorf("%d settings, %d rules", len(schema.Settings), len(schema.Rules))
	}
	text, err := json.Marshal(schema)
	if err != nil || !strings.Contains(string(text), `"GER+1"`) {
		t.Errorf("encoding: %v", err)
	}
}
