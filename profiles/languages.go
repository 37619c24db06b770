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
	for _, part := range e.members(a, ` of names and files, such as { "Deutsch" = "languages/gui_lang_DE.xml" }, or of names and phrases`) {
		if own, ok := e.phrases(list, part, a); ok {
			list = append(list, own)
			continue
		}
		text, ok := e.scalar(part.value, part.secret, a.Name, a.Expr.Range())
		if !ok {
			continue
		}
		l := language{name: part.name, url: text, source: e.source(a.Range)}
		e.checkLanguage(l, a)
		if l.url, l.file, ok = e.link(text, a.Expr.Range()); ok {
			list = append(list, l)
		}
	}
	return list
}

func (e *evaluator) checkLanguage(l language, a *hcl.Attribute) {
	if err := checkText(l.name); err != nil {
		e.fail(a.Expr.Range(), "Character that no document can hold", "The name of a language has %s, which XML cannot carry. Take it out.", err)
	}
}
