package config

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"dialtone/internal/mac"
)

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "appliance"},
	{Type: "network", LabelNames: []string{"name"}},
	{Type: "vendor_class", LabelNames: []string{"name"}},
	{Type: "provisioning"},
	{Type: "https"},
	{Type: "dns"},
	{Type: "admin"},
	{Type: "locals"},
	{Type: "rollout", LabelNames: []string{"name"}},
	{Type: "silence", LabelNames: []string{"rule"}},
	{Type: "setting", LabelNames: []string{"name"}},
	{Type: "profile", LabelNames: []string{"name"}},
	{Type: "model", LabelNames: []string{"name"}},
	{Type: "phone", LabelNames: []string{"mac"}},
	{Type: "phones", LabelNames: []string{"name"}},
	{Type: "document", LabelNames: []string{"path"}},
}}

// decoder turns blocks into the fields of a Config. It goes on after every
// error: whoever repairs a configuration wants all of them at once.
type decoder struct {
	cfg *Config
	rep *Report
	ctx *hcl.EvalContext
	now time.Time // of Options

	certificate   *x509.Certificate // of the https block, nil where none is given or it is no good
	certificateAt *hcl.Range

	macs map[mac.Addr]hcl.Range // of hosts
}

func decode(cfg *Config, rep *Report, bodies []*hclsyntax.Body, now time.Time) {
	cfg.reserved = make(map[netip.Addr]hcl.Range)
	d := &decoder{cfg: cfg, rep: rep, now: now, macs: make(map[mac.Addr]hcl.Range)}
	byType := make(map[string]hcl.Blocks)
	for _, b := range bodies {
		content, diags := b.Content(rootSchema)
		rep.Append(diags)
		for _, block := range content.Blocks {
			switch block.Type {
			case "locals", "setting", "profile", "model", "phone", "phones", "document":
				cfg.Blocks = append(cfg.Blocks, block)
			}
			byType[block.Type] = append(byType[block.Type], block)
		}
	}
	functions := cfg.Functions()
	d.ctx = &hcl.EvalContext{Functions: functions, Variables: scope(byType["locals"], functions)}

	for _, block := range byType["silence"] {
		d.silence(block)
	}
	appliance := d.single(byType["appliance"])
	if appliance == nil && len(bodies) > 0 && !rep.Incomplete() {
		d.fail(bodies[0].MissingItemRange(), "Missing appliance block", "The configuration has no block appliance { … }. "+
			`Write one; it names the port that the phones hang on: interface = "eth0".`)
	}
	d.appliance(appliance)
	for _, block := range byType["network"] {
		d.network(block, appliance != nil)
	}
	d.checkSubnets()
	d.checkRanges()
	for _, block := range byType["vendor_class"] {
		d.vendorClass(block)
	}
	d.https(d.single(byType["https"]))
	d.checkFilesDir(appliance)
	d.provisioning(d.single(byType["provisioning"]))
	d.dns(d.single(byType["dns"]))
	d.admin(d.single(byType["admin"]))
	for _, block := range byType["rollout"] {
		d.rollout(block)
	}
}

func (d *decoder) fail(at hcl.Range, summary, format string, args ...any) {
	d.rep.Append(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at}})
}

func (d *decoder) warn(rule Rule, at hcl.Range, summary, format string, args ...any) {
	d.rep.Append(hcl.Diagnostics{{
		Severity: hcl.DiagWarning, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at, Extra: Finding{Rule: rule},
	}})
}

// where writes the beginning of a range for the middle of a sentence.
func where(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

// open reads the content of a block.
func (d *decoder) open(block *hcl.Block, schema *hcl.BodySchema) body {
	expanded := block.Body
	if raw, ok := expanded.(*hclsyntax.Body); ok {
		// The blocks inside an expanded body are expanded with it.
		expanded = dynblock.Expand(raw, d.ctx)
	}
	content, diags := expanded.Content(schema)
	if d.rep.Incomplete() {
		diags = slices.DeleteFunc(diags, func(diag *hcl.Diagnostic) bool { return diag.Summary == "Missing required argument" })
	}
	d.rep.Append(diags)
	return body{BodyContent: content, d: d, schema: schema}
}

// single gives the first of blocks of which there may be one, nil for none.
func (d *decoder) single(blocks hcl.Blocks) *hcl.Block {
	if len(blocks) == 0 {
		return nil
	}
	for _, again := range blocks[1:] {
		d.fail(again.DefRange, "Duplicate block", "There may be one %s block here, and it was given at %s. Join the two.",
			again.Type, where(blocks[0].DefRange))
	}
	return blocks[0]
}

// arguments makes a schema; a name that ends in "!" is required.
func arguments(names ...string) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, name := range names {
		required := name[len(name)-1] == '!'
		if required {
			name = name[:len(name)-1]
		}
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name, Required: required})
	}
	return schema
}

// with adds a block type to a schema.
func with(schema *hcl.BodySchema, blockType string, labels ...string) *hcl.BodySchema {
	schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: blockType, LabelNames: labels})
	return schema
}

// ofType picks the blocks of one type.
func (b body) ofType(name string) hcl.Blocks { return b.Blocks.OfType(name) }
