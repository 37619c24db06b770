package profiles

import (
	"errors"
	"strings"
)

var ldapSchema = schema(attributes("server", "port", "base", "user", "password", "tls", "max_hits", "name_filter",
	"number_filter", "name_attributes", "number_attributes", "display_name"))

// ldapWords are the arguments of an ldap block that are one text, and the
// settings that they write.
var ldapWords = []struct {
	word, setting string
	convert       func(string) (string, error)
}{
	{"server", "ldap_server", nil},
	{"port", "ldap_port", numberIn(1, 65535)},
	{"base", "ldap_base", nil},
	{"user", "ldap_username", nil},
	{"tls", "ldap_over_tls", onOff},
	{"max_hits", "ldap_max_hits", numberIn(1, 10000)},
	{"name_filter", "ldap_search_filter", ldapFilter},
	{"number_filter", "ldap_number_filter", ldapFilter},
	{"display_name", "ldap_display_name", nil},
}

// ldap writes what a phone needs to look people up in a directory.
func (e *evaluator) ldap(w word) {
	for _, l := range ldapWords {
		e.argument(w.attrs, l.word, setting{name: l.setting, index: noIndex}, l.convert)
	}
	e.argument(w.attrs, "password", setting{name: "ldap_password", index: noIndex, value: value{secret: true}}, nil)
	for _, name := range []string{"name_attributes", "number_attributes"} {
		a := w.attrs[name]
		if a == nil {
			continue
		}
		// The phone wants them in one text, separated by blanks.
		if names, ok := e.list(a); ok {
			e.written("ldap_"+name, strings.Join(names, " "), a.Range)
		}
	}
}

// ldapFilter checks a search filter (RFC 4515), in which % is what was typed.
func ldapFilter(s string) (string, error) {
	switch {
	case strings.Count(s, "(") != strings.Count(s, ")") || !strings.HasPrefix(s, "("):
		return s, errors.New(`takes a filter in parentheses, such as "(|(cn=%)(sn=%))"`)
	case !strings.Contains(s, "%"):
		return s, errors.New(`needs a % where the phone puts what was typed, such as "(cn=%)"`)
	}
	return s, nil
}
