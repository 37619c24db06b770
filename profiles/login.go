package profiles

var (
	webLoginSchema  = schema(attributes("user", "password"))
	adminModeSchema = schema(attributes("enabled", "password"))
)

// webLogin writes the login of the phone's web pages: where nothing else is
// said, as admin with a password of its own for each phone.
func (e *evaluator) webLogin(w word) {
	user, password := "http_user", "http_pass"
	if e.model.WebLogin == "webserver" {
		user, password = "webserver_admin_name", "webserver_admin_password"
	}
	if w.attrs["user"] == nil {
		e.written(user, "admin", w.rng)
	} else {
		e.argument(w.attrs, "user", setting{name: user, index: noIndex}, nil)
	}
	e.password(w, password, "web")
}

// adminMode writes what a phone's user may change at the phone: without the
// password, only what is not for the admin.
func (e *evaluator) adminMode(w word) {
	// Read-only, it would lock the admin out.
	mode := setting{name: "admin_mode", index: noIndex, perm: "RW"}
	if w.attrs["enabled"] == nil {
		e.add(setting{name: mode.name, index: noIndex, perm: mode.perm, value: value{text: "off"}, source: e.source(w.rng)})
	} else {
		e.argument(w.attrs, "enabled", mode, onOff)
	}
	e.password(w, "admin_mode_password", "admin")
}

// password writes the password of a word: the one that is given, else one that
// is made up for the phone, by the name KIND/MAC.
func (e *evaluator) password(w word, name, kind string) {
	s := setting{name: name, index: noIndex, value: value{secret: true}}
	if w.attrs["password"] != nil {
		e.argument(w.attrs, "password", s, nil)
		return
	}
	if e.phone.IsZero() {
		return // a profile that no phone has
	}
	text, err := e.set.passwords.Password(kind + "/" + e.phone.Hex())
	if err != nil {
		e.fail(w.rng, "Missing password", "Making up the password of %s: %v.", w.kind.name, err)
		return
	}
	s.value.text, s.source = text, e.source(w.rng)
	e.add(s)
}
