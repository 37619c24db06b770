package profiles

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
)

// accessory is a device that gets its firmware through a phone: an expansion
// module, or a handset of a DECT base.
type accessory struct {
	name     string // "D7C", "M65"
	layer    string // of the block that says it: "model snomD785"
	firmware target
	rng      hcl.Range // of its label
}

// accessories are those that one block names.
type accessories struct {
	modules  []accessory
	handsets []accessory
}

// over gives what l says, and of what it does not say the weaker.
func (a accessories) over(weaker accessories) accessories {
	byName := func(a accessory) string { return strings.ToLower(a.name) }
	modules := a.modules
	if len(modules) == 0 { // a phone has room for one sort
		modules = weaker.modules
	}
	return accessories{modules: modules, handsets: overBy(weaker.handsets, a.handsets, byName)}
}

var (
	accessorySchema = schema(nil,
		hcl.BlockHeaderSchema{Type: "module", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "handset", LabelNames: []string{"name"}})
	accessoryWords = schema([]hcl.AttributeSchema{{Name: "firmware", Required: true}})
)

// withAccessories adds the blocks to a schema of a layer, which itself passes over them.
func withAccessories(s *hcl.BodySchema) *hcl.BodySchema {
	s.Blocks = append(s.Blocks, accessorySchema.Blocks...)
	return s
}

// accessoriesOf reads the module and handset blocks of a model or a phone.
func (l *loader) accessoriesOf(layer *body, ctx *hcl.EvalContext, of string) accessories {
	var a accessories
	content, _, _ := layer.raw.PartialContent(accessorySchema)
	for _, b := range content.Blocks {
		inner, diags := b.Body.Content(accessoryWords)
		l.problems.add(diags)
		one := accessory{name: b.Labels[0], layer: layer.name, rng: b.LabelRanges[0]}
		if one.name == "" || alnumPrefix(one.name) != one.name {
			l.fail(one.rng, "Invalid "+b.Type, "The label of a %s is its type, such as %s, not %q.", b.Type, map[string]string{"module": "D7C", "handset": "M65"}[b.Type], one.name)
			continue
		}
		if a := inner.Attributes["firmware"]; a != nil {
			e := evaluator{ctx: ctx, of: of}
			one.firmware = l.target(e.open(inner.Attributes, "firmware", ""), a.Expr.Range())
			l.problems.add(e.diags)
		}
		list := &a.modules
		if b.Type == "handset" {
			list = &a.handsets
			if t := one.firmware; t.text != "" && (strings.Contains(t.text, "://") || IsImage(t.text) || !isNumber(strings.ReplaceAll(t.text, ".", ""))) {
				l.fail(t.rng, "Invalid firmware", "A handset is told a version, such as 05.20.0001 or 520.1, not %q.", t.text)
				continue
			}
		}
		i := slices.IndexFunc(*list, func(o accessory) bool { return strings.EqualFold(o.name, one.name) })
		switch {
		case i >= 0:
			l.fail(one.rng, "Duplicate "+b.Type, "This block has a %s %q already, at %s.", b.Type, one.name, at((*list)[i].rng))
		case b.Type == "module" && len(*list) > 0:
			l.fail(one.rng, "Second module", "A phone loads the firmware of one type of module, and this block has %s already, at %s.", (*list)[0].name, at((*list)[0].rng))
		case one.firmware.text != "":
			*list = append(*list, one)
		}
	}
	return a
}

// accessoryRow is what is known of the firmware of an accessory.
type accessoryRow struct {
	kind, name string // a name of "*" is for all others
	tag        string // of <firmware-settings>
	since      string // the phone's firmware that knows the tag
	image      pattern
}

//go:embed builtin/accessories.csv
var accessoriesCSV []byte

var builtinAccessories = sync.OnceValues(func() ([]accessoryRow, error) {
	var rows []accessoryRow
	err := readRows(bytes.NewReader(accessoriesCSV), []string{"kind", "name", "tag", "since", "image"}, func(row map[string]string) error {
		r := accessoryRow{row["kind"], row["name"], row["tag"], row["since"], pattern(row["image"])}
		rows = append(rows, r)
		return r.image.check(true)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the table of accessories: %w", err)
	}
	return rows, nil
})

// rowOf finds an accessory in the table.
func rowOf(kind, name string) accessoryRow {
	rows, _ := builtinAccessories() // Load reports what is wrong with it
	for _, r := range rows {
		if r.kind == kind && (r.name == "*" || strings.EqualFold(r.name, name)) {
			return r
		}
	}
	return accessoryRow{}
}

// imageOf gives the image of an accessory's target: a path under
// files_dir/firmware, or a URL.
func (r accessoryRow) imageOf(a accessory) string {
	if text := a.firmware.text; strings.Contains(text, "://") || IsImage(text) {
		return text
	}
	return r.image.name(a.name, a.firmware.text)
}
