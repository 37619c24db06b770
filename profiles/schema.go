package profiles

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/config"
)

// Schema describes the language of configurations for editors and other
// programs. It is made from the schemas that decode it.
type Schema struct {
	Root     BlockSchema            `json:"root"`
	Settings []Setting              `json:"settings"` // what "settings" blocks may hold
	Rules    map[config.Rule]string `json:"rules"`    // labels of "silence" blocks
}

// BlockSchema describes a block.
type BlockSchema struct {
	Doc        string                     `json:"doc,omitempty"`
	Labels     []string                   `json:"labels,omitempty"` // what the labels are
	Attributes map[string]AttributeSchema `json:"attributes,omitempty"`
	Blocks     map[string]BlockSchema     `json:"blocks,omitempty"`
	Free       string                     `json:"free,omitempty"` // what else its attributes are: "settings" or "any"
}

// AttributeSchema describes an attribute.
type AttributeSchema struct {
	Type     string `json:"type"` // text, number, bool, list, object, a word of "a|b", or any
	Required bool   `json:"required,omitempty"`
	Doc      string `json:"doc"`
}

//go:embed builtin/words.csv
var wordsCSV []byte

// wordDoc is what a person wants to know of a block or an attribute.
type wordDoc struct{ kind, doc string }

var wordDocs = sync.OnceValues(func() (map[string]wordDoc, error) {
	docs := map[string]wordDoc{}
	err := readRows(bytes.NewReader(wordsCSV), []string{"path", "type", "doc"}, func(row map[string]string) error {
		if _, ok := docs[row["path"]]; ok {
			return fmt.Errorf("%s comes twice", row["path"])
		}
		docs[row["path"]] = wordDoc{row["type"], row["doc"]}
		return nil
	})
	return docs, err
})

// layerPath stands for profile, model, phone and phones in the paths of what
// they have in common.
const layerPath = "layer"

// schemas gives the schema of every block by its path.
func schemas() map[string]*hcl.BodySchema {
	all := config.Schemas()
	maps.Copy(all, map[string]*hcl.BodySchema{
		"setting":                 settingSchema,
		"document":                documentPathSchema,
		"profile":                 profileSchema,
		"model":                   modelSchema,
		"model.step":              stepSchema,
		"layer.module":            accessoryWords,
		"layer.handset":           accessoryWords,
		"phone":                   phoneSchema,
		"phones":                  phonesSchema,
		"layer.identity":          identitySchema,
		"layer.key":               keySchema,
		"layer.phonebook":         phonebookSchema,
		"layer.phonebook.contact": contactSchema,
		"layer.dialplan":          dialplanSchema,
		"layer.dialplan.template": templateSchema,
		"layer.languages":         languagesSchema,
		"layer.certificate":       certificateSchema,
		"layer.upload":            uploadSchema,
		"layer.document":          documentSchema,
	})
	for _, kind := range wordKinds {
		all[layerPath+"."+kind.name] = kind.schema
	}
	return all
}

// free names the blocks whose attributes may have any name.
var free = map[string]string{"locals": "any", "layer.settings": "settings", "layer.identity.settings": "settings"}

// describer makes a Schema, and notes what has no words.
type describer struct {
	schemas map[string]*hcl.BodySchema
	docs    map[string]wordDoc
	used    map[string]bool
	missing []string
}

// Describe gives the schema of configurations. The error is a defect of the
// program's tables, which a test finds.
func (s *Set) Describe() (Schema, error) {
	docs, err := wordDocs()
	if err != nil {
		return Schema{}, fmt.Errorf("reading the words of the configuration: %w", err)
	}
	d := &describer{schemas: schemas(), docs: docs, used: map[string]bool{}}
	rules := config.Rules()
	maps.Copy(rules, Rules())
	schema := Schema{Root: d.block("", nil), Settings: s.Settings(), Rules: rules}
	for _, path := range slices.Sorted(maps.Keys(docs)) {
		if !d.used[path] {
			d.missing = append(d.missing, path+" (which is no word)")
		}
	}
	if len(d.missing) > 0 {
		slices.Sort(d.missing)
		return schema, fmt.Errorf("builtin/words.csv lacks %s", strings.Join(slices.Compact(d.missing), ", "))
	}
	return schema, nil
}

func (d *describer) doc(path string) wordDoc {
	doc, ok := d.docs[path]
	d.used[path] = true
	if !ok && path != "" {
		d.missing = append(d.missing, path)
	}
	return doc
}

func (d *describer) block(path string, labels []string) BlockSchema {
	b := BlockSchema{Doc: d.doc(path).doc, Labels: labels, Free: free[path]}
	schema := d.schemas[path]
	if schema == nil {
		if b.Free == "" {
			d.missing = append(d.missing, "the schema of "+path)
		}
		return b
	}
	for _, a := range schema.Attributes {
		if b.Attributes == nil {
			b.Attributes = map[string]AttributeSchema{}
		}
		doc := d.doc(d.common(path, a.Name))
		b.Attributes[a.Name] = AttributeSchema{Type: doc.kind, Required: a.Required, Doc: doc.doc}
	}
	for _, inner := range schema.Blocks {
		if b.Blocks == nil {
			b.Blocks = map[string]BlockSchema{}
		}
		b.Blocks[inner.Type] = d.block(d.common(path, inner.Type), inner.LabelNames)
	}
	return b
}

// common is the path of a word within a block: what all layers have is described
// once.
func (d *describer) common(path, name string) string {
	if slices.Contains([]string{"profile", "model", "phone", "phones"}, path) {
		if _, own := d.docs[path+"."+name]; !own {
			return layerPath + "." + name
		}
	}
	return strings.TrimPrefix(path+"."+name, ".")
}
