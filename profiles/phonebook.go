package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// everyone stands for a contact for each phone of the configuration that has an
// extension.
type everyone struct {
	others bool // all but the phone whose book it is
	most   int  // entries of the book, for a sample of it; 0 for all
	source source
}

// contactKinds are the groups that a phone book has.
var contactKinds = []string{"none", "friends", "colleagues", "family", "vip", "deny"}

func (e *evaluator) contact(b named) {
	c := contact{
		name:       value{text: b.label},
		numberType: e.open(b.attrs, "number_type", "sip"),
		kind:       e.open(b.attrs, "type", "none"),
		context:    e.open(b.attrs, "context", "active"),
		source:     e.source(b.rng),
	}
	e.checkLabel(b)
	if a := b.attrs["type"]; a != nil && !slices.Contains(contactKinds, c.kind) {
		e.fail(a.Expr.Range(), "Unknown contact type", "The type of a contact is one of %s, not %q.%s",
			strings.Join(contactKinds, ", "), c.kind, didYouMean(c.kind, contactKinds))
	}
	switch favourite := e.open(b.attrs, "favourite", "off"); favourite {
	case "on", "off":
		c.favourite = favourite == "on"
	default:
		e.fail(b.attrs["favourite"].Expr.Range(), "Wrong type of value", "favourite is true or false.")
	}
	c.firstName, _ = e.text(b.attrs, "first_name")
	c.lastName, _ = e.text(b.attrs, "last_name")
	var ok bool
	if c.number, ok = e.text(b.attrs, "number"); !ok {
		return
	}
	e.out.contacts = append(e.out.contacts, c)
}

// book reads what a phone book has besides contacts.
func (e *evaluator) book(attrs hcl.Attributes) {
	if a := attrs["everyone"]; a != nil {
		e.everyone(a, e.open(attrs, "everyone", "off"))
	}
	if a := attrs["csv"]; a != nil {
		files, _ := e.list(a)
		for _, file := range files {
			e.sheet(file, a)
		}
	}
}

func (e *evaluator) everyone(a *hcl.Attribute, text string) {
	switch {
	case text == "off":
		e.out.everyone = nil
	case text == "on":
		e.out.everyone = &everyone{source: e.source(a.Range)}
	case text != "others":
		e.fail(a.Expr.Range(), "Wrong type of value", `everyone is true, false, or "others" for all phones but the one whose book it is, not %q.`, text)
	case e.general:
		e.fail(a.Expr.Range(), "Phone in a general document",
			"%s makes the file that all phones of a model share, so nobody can be left out of it. Use everyone = true, or move this to a profile that phones name.", capital(e.layer))
	default:
		e.out.everyone = &everyone{others: true, source: e.source(a.Range)}
	}
}

// isIncomplete reports whether l has parts that complete makes.
func (l layer) isIncomplete() bool {
	return l.everyone != nil || slices.ContainsFunc(l.keys, func(k key) bool { return k.extension })
}

// sample gives l with a part of its phone book.
func (l layer) sample(entries int) layer {
	l.contacts = l.contacts[:min(len(l.contacts), entries)]
	if l.everyone != nil {
		part := *l.everyone
		part.most = entries
		l.everyone = &part
	}
	return l
}

// complete makes what depends on other layers and on other phones. settings are
// all that the phone will know, p is the phone, nil for a general file.
func (s *Set) complete(l layer, settings []setting, p *phone) layer {
	if !l.isIncomplete() {
		return l
	}
	keys := make([]key, len(l.keys))
	for i, k := range l.keys {
		keys[i] = k.complete(settings)
	}
	l.keys = keys
	if l.everyone == nil {
		return l
	}
	named := map[string]bool{}
	var contacts []contact
	for _, c := range l.contacts {
		if !c.generated {
			named[c.name.text] = true
			contacts = append(contacts, c)
		}
	}
	for _, other := range s.phones {
		if l.everyone.most > 0 && len(contacts) >= l.everyone.most {
			break
		}
		if other.Extension == "" || named[other.Name] || l.everyone.others && other == p {
			continue
		}
		contacts = append(contacts, contact{
			name: value{text: other.Name}, number: value{text: other.Extension},
			numberType: "sip", kind: "colleagues", context: "active", generated: true, source: l.everyone.source,
		})
	}
	l.contacts, l.everyone = contacts, nil
	return l
}

// sheetKey names a sheet of contacts that was read.
type sheetKey struct {
	file string
	rng  hcl.Range // of the argument, so that sources are right
}

// sheet adds the rows of a CSV file. It is read once, for all phones.
func (e *evaluator) sheet(file string, a *hcl.Attribute) {
	key := sheetKey{file, a.Range}
	if known, ok := e.set.sheets.Load(key); ok {
		e.addContacts(known.([]contact))
		return
	}
	rng := a.Expr.Range()
	call := func(name string, arg hclsyntax.Expression) hclsyntax.Expression {
		return &hclsyntax.FunctionCallExpr{
			Name: name, Args: []hclsyntax.Expression{arg}, NameRange: rng, OpenParenRange: rng, CloseParenRange: rng,
		}
	}
	rows, ok := e.eval(call("csvdecode", call("file", &hclsyntax.LiteralValueExpr{Val: cty.StringVal(file), SrcRange: rng})))
	if !ok {
		return
	}
	contacts, err := sheetContacts(rows, e.source(a.Range))
	if err != nil {
		e.fail(rng, "Invalid phone book", "%s: %v.", file, err)
		return
	}
	e.set.sheets.Store(key, contacts)
	e.addContacts(contacts)
}

// addContacts adds a list that other phones have too: as it is where it stands
// alone, since a thousand phones with a thousand contacts would fill the memory.
func (e *evaluator) addContacts(list []contact) {
	if len(e.out.contacts) == 0 {
		e.out.contacts = slices.Clip(list)
		return
	}
	e.out.contacts = append(e.out.contacts, list...)
}

// sheetColumns are the names that people give the columns of a phone book, in
// lower case with _ for blanks. A column of numbers says their type.
var sheetColumns = []struct {
	what, numberType string
	names            []string
}{
	{"name", "", []string{"name", "display_name", "full_name", "contact", "anzeigename"}},
	{"first_name", "", []string{"first_name", "firstname", "given_name", "forename", "vorname"}},
	{"last_name", "", []string{"last_name", "lastname", "surname", "family_name", "nachname"}},
	{"type", "", []string{"type", "group", "category", "gruppe"}},
	{"number", "sip", []string{"number", "phone", "phone_number", "telephone", "tel", "extension", "nummer", "rufnummer", "telefon", "telefonnummer", "durchwahl"}},
	{"number", "mobile", []string{"mobile", "mobile_number", "mobile_phone", "cell", "mobil", "handy"}},
	{"number", "home", []string{"home", "home_phone", "home_number", "privat"}},
	{"number", "business", []string{"business", "business_phone", "office", "work", "work_phone", "büro"}},
}

// sheetContacts makes contacts of the rows of a sheet: one for each number.
func sheetContacts(rows cty.Value, from source) ([]contact, error) {
	columns := map[string]string{} // what, or the type of number, to the column
	for name := range rows.Type().ElementType().AttributeTypes() {
		plain := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), " ", "_"), "-", "_")
		for _, c := range sheetColumns {
			if !slices.Contains(c.names, plain) {
				continue
			}
			what := c.what + c.numberType
			if other, ok := columns[what]; ok {
				return nil, fmt.Errorf("columns %q and %q mean the same; rename one", min(name, other), max(name, other))
			}
			columns[what] = name
		}
	}
	// A surname often stands under "name" beside a first name.
	if columns["name"] != "" && columns["first_name"] != "" && columns["last_name"] == "" {
		columns["last_name"] = columns["name"]
		delete(columns, "name")
	}
	if columns["name"] == "" && columns["last_name"] == "" && columns["first_name"] == "" {
		return nil, fmt.Errorf("no column has names: call it name, or first_name and last_name")
	}
	var contacts []contact
	numbered := false
	for it := rows.ElementIterator(); it.Next(); {
		_, row := it.Element()
		cell := func(what string) string {
			if columns[what] == "" {
				return ""
			}
			return row.GetAttr(columns[what]).AsString()
		}
		first, last := cell("first_name"), cell("last_name")
		c := contact{
			name:      value{text: cell("name")},
			firstName: value{text: first}, lastName: value{text: last},
			kind: strings.ToLower(cell("type")), context: "active", source: from,
		}
		if c.name.text == "" {
			c.name.text = strings.TrimSpace(first + " " + last)
		}
		if c.kind == "" {
			c.kind = "none"
		}
		if !slices.Contains(contactKinds, c.kind) {
			return nil, fmt.Errorf("the type of %s is one of %s, not %q", c.name.text, strings.Join(contactKinds, ", "), c.kind)
		}
		for _, text := range []string{c.name.text, first, last} {
			if err := checkText(text); err != nil {
				return nil, fmt.Errorf("a name has %w, which XML cannot carry", err)
			}
		}
		for _, column := range sheetColumns {
			if column.what != "number" || columns["number"+column.numberType] == "" {
				continue
			}
			numbered = true
			c.number, c.numberType = value{text: cell("number" + column.numberType)}, column.numberType
			if err := checkText(c.number.text); err != nil {
				return nil, fmt.Errorf("a number has %w, which XML cannot carry", err)
			}
			if c.number.text != "" && c.name.text != "" {
				contacts = append(contacts, c)
			}
		}
	}
	if !numbered && rows.LengthInt() > 0 {
		return nil, fmt.Errorf("no column has numbers: call it number, mobile, home or business")
	}
	return contacts, nil
}
