package profiles

import (
	"dialtone/internal/config"
)

// identityWords are the words of an identity block and the settings that they
// write. user_pname is the name that authenticates, not a password.
var identityWords = []struct{ word, setting string }{
	{"user", "user_name"},
	{"auth_user", "user_pname"},
	{"password", "user_pass"},
	{"registrar", "user_host"},
	{"outbound", "user_outbound"},
	{"display_name", "user_realname"},
	{"mailbox", "user_mailbox"},
	{"active", "user_active"},
}

func (e *evaluator) identity(id indexed) {
	block := e.word
	for _, w := range identityWords {
		e.word = block + " " + w.word
		a, ok := id.attrs[w.word]
		if !ok {
			continue
		}
		v, diags := a.Expr.Value(e.ctx)
		if w.word == "password" {
			for _, d := range diags {
				d.EvalContext = nil // which a report would show the values of
			}
			v = v.Mark(config.Secret)
		}
		e.failed(diags)
		if diags.HasErrors() {
			continue
		}
		s := setting{name: w.setting, index: id.index, source: e.source(a.Range)}
		e.settingValue(s, v, a.Expr.Range(), shape{object: true})
	}
	e.word = block
	for _, a := range id.settings {
		e.setting(a, id.index)
	}
	for _, s := range e.out.settings {
		if s.id() == (settingID{"user_name", id.index}) && s.value.text != "" {
			e.add(setting{name: "user_active", index: id.index, value: value{text: "on"}, weak: true, source: s.source})
			return
		}
	}
}
