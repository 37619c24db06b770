package profiles

import "dialtone/internal/mac"

var (
	webLoginSchema   = schema(attributes("user", "password"))
	httpClientSchema = schema(attributes("user", "password"))
	adminModeSchema  = schema(attributes("enabled", "password"))
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

// httpClient writes what the phone shows to a setting server that asks for
// credentials: its MAC and a password of its own, where nothing else is said.
func (e *evaluator) httpClient(w word) {
	const user = "http_client_user"
	switch {
	case w.attrs["user"] != nil:
		e.argument(w.attrs, "user", setting{name: user, index: noIndex}, nil)
	case !e.phone.IsZero():
		e.written(user, e.phone.Hex(), w.rng)
	}
	e.password(w, "http_client_pass", "http")
}

// login is what a phone shows to a setting server.
type login struct{ user, password string }

// Login gives http_client_user and http_client_pass of a phone's own file, however
// they came to be there. ok is false where one is missing.
func (s *Set) Login(m mac.Addr) (user, password string, ok bool) {
	p := s.byMAC[m]
	if p == nil {
		return "", "", false
	}
	known, cached := s.logins.Load(m)
	if !cached {
		own, _ := s.ownLayer(p, Model{}, Server{})
		known = loginOf(own)
		s.logins.Store(m, known)
	}
	l := known.(login)
	return l.user, l.password, l.user != "" && l.password != ""
}

// loginOf finds the credentials in the layer of a phone's own file.
func loginOf(own layer) (l login) {
	for _, s := range own.settings {
		switch s.name {
		case "http_client_user":
			l.user = s.value.text
		case "http_client_pass":
			l.password = s.value.text
		}
	}
	return l
}
