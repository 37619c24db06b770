package profiles

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// phrase is a text of the phone's display or web pages under the name that the
// firmware has for it ("lang_sip_response_code_486").
type phrase struct {
	name string
	text value
}

// phrases reads a language whose value is an object of phrases instead of a
// file; it is false for anything else.
func (e *evaluator) phrases(list []language, of member, a *hcl.Attribute) (language, bool) {
	v := of.value
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return language{}, false
	}
	rng := a.Expr.Range()
	l := language{name: of.name, source: e.source(a.Range), phrases: []phrase{}}
	e.checkLanguage(l, a)
	if l.slug() == "" {
		e.fail(rng, "Invalid language name", "%q has neither an ASCII letter nor a digit to name its file by. Add one.", l.name)
	}
	for _, other := range list {
		if other.phrases != nil && other.name != l.name && other.slug() == l.slug() {
			e.fail(rng, "Languages of one file name", "The phrases of %q and of %q would be the same file, %s. Call one of them differently.", other.name, l.name, l.slug())
		}
	}
	for it := v.ElementIterator(); it.Next(); {
		key, text := it.Element()
		p := phrase{name: key.AsString()}
		if !isSettingName(p.name) {
			e.fail(rng, "Invalid phrase name", "The phone knows no phrase called %q: names have ASCII letters, digits and underscores.", p.name)
			continue
		}
		var ok bool
		if p.text, ok = e.scalar(text, of.secret, p.name, rng); ok {
			l.phrases = append(l.phrases, p)
		}
	}
	return l, true
}

// slug is the language's name as its file is called after it. The maker wants
// gui_lang_NAME.xml and web_lang_NAME.xml.
func (l language) slug() string {
	var b strings.Builder
	for _, r := range l.name {
		switch {
		case r < 0x80 && alnumPrefix(string(r)) != "":
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.TrimSuffix(b.String(), "_")
}

// findPhrases finds the language of a slug that has phrases of its own.
func findPhrases(list []language, slug string) (language, bool) {
	for _, l := range list {
		if l.phrases != nil && strings.EqualFold(l.slug(), slug) {
			return l, true
		}
	}
	return language{}, false
}

// phrases writes a language file: <phrases> of the display (service.snom.com,
// "Translating or customizing SIP error responses") or <w_phrases> of the web
// pages, whose children no source shows: they are written as those of <phrases>.
func (w *xmlWriter) phrases(tag string, l language) {
	w.open(tag)
	for i, p := range l.phrases {
		w.empty("phrase", plain("i", strconv.Itoa(i)), plain("n", p.name), attr{"t", p.text})
	}
	w.empty("language", plain("i", "0"), plain("t", l.name))
	w.close(tag)
}
