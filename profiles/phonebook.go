package profiles

func (e *evaluator) contact(b named) {
	c := contact{
		name:       value{text: b.label},
		numberType: e.open(b.attrs, "number_type", "sip"),
		kind:       e.open(b.attrs, "type", "none"),
		context:    e.open(b.attrs, "context", "active"),
		source:     e.source(b.rng),
	}
	e.checkLabel(b)
	c.firstName, _ = e.text(b.attrs, "first_name")
	c.lastName, _ = e.text(b.attrs, "last_name")
	var ok bool
	if c.number, ok = e.text(b.attrs, "number"); !ok {
		return
	}
	e.out.contacts = append(e.out.contacts, c)
}
