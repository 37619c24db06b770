package profiles

import (
	"github.com/hashicorp/hcl/v2"
)

func (e *evaluator) languages(attrs hcl.Attributes) {
	for _, name := range []string{"gui", "web"} {
		if a := attrs[name]; a != nil && !e.general {
			e.fail(a.NameRange, "Languages of one phone", "Phones load languages with their general file. Move this to the default profile or to a model.")
			return
		}
	}
	e.out.gui = e.languageFiles(e.out.gui, attrs["gui"])
	e.out.web = e.languageFiles(e.out.web, attrs["web"])
}

// languageFiles reads an object of names and files, or phrases, sorted by name.
func (e *evaluator) languageFiles(list []language, a *hcl.Attribute) []language {
	if a == nil {
		return list
	}
	v, ok := e.eval(a.Expr)
	if !ok {
		return list
	}
	v, marks := v.UnmarkDeep()
	if !v.IsKnown() || v.IsNull() {
		return list
	}
	if !v.Type().IsObjectType() && !v.Type().IsMapType() {
		e.fail(a.Expr.Range(), "Wrong type of value", `%s takes an object of names and files, such as { "Deutsch" = "languages/gui_lang_DE.xml" }, or of names and phrases.`, a.Name)
		return list
	}
	for it := v.ElementIterator(); it.Next(); {
		name, file := it.Element()
		if own, ok := e.phrases(list, name.AsString(), file, isSecret(marks), a); ok {
			list = append(list, own)
			continue
		}
		text, ok := e.scalar(file, isSecret(marks), a.Name, a.Expr.Range())
		if !ok {
			continue
		}
		l := language{name: name.AsString(), url: text, source: e.source(a.Range)}
		if err := checkText(l.name); err != nil {
			e.fail(a.Expr.Range(), "Character that no document can hold", "The name of a language has %s, which XML cannot carry. Take it out.", err)
		}
		if l.url, l.file, ok = e.link(text, a.Expr.Range()); !ok {
			continue
		}
		list = append(list, l)
	}
	return list
}
