package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/phonefile"
)

// keyKind is a type of function key: the first word of what the phone reads.
type keyKind struct {
	name  string
	value need
	uri   bool // the value is a SIP URI, and may have a pickup code
	check func(string) error
}

type need int

const (
	mayHave need = iota // the phone asks for it, or does without
	needs
	takesNone
)

// keyKinds are the types that the maker's pages and working configurations have.
var keyKinds = []keyKind{
	{name: "autoanswer"},
	{name: "blf", value: needs, uri: true},
	{name: "button", value: needs},
	{name: "conference"},
	{name: "dest", value: needs, uri: true},
	{name: "dtmf", value: needs},
	{name: "icom", value: needs},
	{name: "ivr", value: needs},
	{name: "keyevent", value: needs, check: checkEvent},
	{name: "line", value: takesNone},
	{name: "mult", value: needs},
	{name: "multicast", value: needs, check: checkMulticast},
	{name: "none", value: takesNone},
	{name: "orbit", value: needs},
	{name: "p2t"},
	{name: "presence", value: needs, uri: true},
	{name: "record"},
	{name: "recorder"},
	{name: "redirect"},
	{name: "speed", value: needs},
	{name: "transfer"},
	{name: "url", value: needs, check: checkKeyURL},
}

func keyTypes() []string {
	names := make([]string, len(keyKinds))
	for i, k := range keyKinds {
		names[i] = k.name
	}
	return names
}

// bracketsUntil is the major version of the first firmware that takes SIP URIs
// without < and >, and breaks on them.
const bracketsUntil = 10

func (e *evaluator) key(b indexed) {
	kinds := slices.DeleteFunc([]string{"type", "raw", "xml"}, func(word string) bool { return b.attrs[word] == nil })
	if len(kinds) != 1 {
		e.fail(b.rng, "Key without a type", "A key has a type, or raw (all that the phone reads, such as \"blf 101\"), or xml: one of the three.")
		return
	}
	k := key{
		index:    b.index,
		action:   e.open(b.attrs, "type", ""),
		context:  e.open(b.attrs, "context", "active"),
		perm:     e.open(b.attrs, "perm", ""),
		pickup:   e.open(b.attrs, "pickup", ""),
		brackets: e.major < bracketsUntil,
		source:   e.source(b.rng),
	}
	k.value, _ = e.text(b.attrs, "value")
	k.label, _ = e.text(b.attrs, "label")
	k.shortLabel, _ = e.text(b.attrs, "short_label")
	k.defaultText, _ = e.text(b.attrs, "default_text")
	k.longPress, _ = e.text(b.attrs, "lp")
	if a, ok := b.attrs["long_press"]; ok {
		if b.attrs["lp"] != nil {
			e.fail(a.Range, "Long press said twice", "long_press and lp are one: the action of the key when it is held. Take out lp.")
		}
		k.longPress, _ = e.text(b.attrs, "long_press")
	}
	if a, ok := b.attrs["perm"]; ok {
		e.perm(k.perm, a.Expr.Range())
	}
	if a, ok := b.attrs["context"]; ok && k.context != "active" {
		if _, err := numberIn(1, maxIdentity)(k.context); err != nil {
			e.fail(a.Expr.Range(), "Invalid context", "context is the number of an identity, or active, not %q.", k.context)
		}
	}
	k.more = e.keyAttributes(b.attrs["attributes"])
	i := slices.IndexFunc(keyKinds, func(kind keyKind) bool { return kind.name == k.action })
	switch {
	case kinds[0] != "type":
		if !e.rawKey(&k, b, kinds[0]) {
			return
		}
	case k.action == "":
		return // reported, or a type that is null: no key
	case i < 0:
		e.fail(b.attrs["type"].Expr.Range(), "Unknown key type", "Phones know no function key of type %q.%s The types are %s.",
			k.action, didYouMean(k.action, keyTypes()), strings.Join(keyTypes(), ", "))
	default:
		e.keyValue(keyKinds[i], &k, b)
	}
	if !e.keyPlace(&k, b) {
		return
	}
	if other := slices.IndexFunc(e.out.keys, func(other key) bool { return other.index == k.index }); other >= 0 {
		e.fail(b.rng, "Duplicate key", "This layer has a key for place %d already, at %s.", k.index, at(e.out.keys[other].source.rng))
		return
	}
	e.out.keys = append(e.out.keys, k)
}

// rawKey reads a key that is written as the phone reads it. It is false for
// one that is null, not known, or wrong.
func (e *evaluator) rawKey(k *key, b indexed, word string) bool {
	for _, other := range []string{"value", "pickup"} {
		if a := b.attrs[other]; a != nil {
			e.fail(a.Range, "Value of a raw key", "%s says all that the key is, so it takes no %s.", word, other)
			return false
		}
	}
	var ok bool
	if k.value, ok = e.text(b.attrs, word); !ok {
		return false
	}
	k.raw = true
	if word == "xml" {
		return e.markup(&k.value, word, b.attrs[word].Expr.Range())
	}
	return true
}

// markup makes XML of a value. It is false where that is malformed.
func (e *evaluator) markup(v *value, name string, rng hcl.Range) bool {
	if _, err := phonefile.CheckXML([]byte("<xml>" + v.text + "</xml>")); err != nil {
		reason := "it is no XML as it stands"
		if malformed, ok := errors.AsType[*phonefile.Malformed](err); ok && !v.secret {
			reason = malformed.Reason
		}
		e.fail(rng, "Malformed XML", "%s is XML, to be written as it is: %s. A phone would drop the whole file.", name, reason)
		return false
	}
	v.markup = true
	return true
}

// keyAttributes reads the attributes of <fkey> for which there is no word:
// firmware has more of them with each version.
func (e *evaluator) keyAttributes(a *hcl.Attribute) []attr {
	var list []attr
	for _, part := range e.members(a, `, such as { ringer = "Silent" }`) {
		switch {
		case !isSettingName(part.name):
			e.fail(a.Expr.Range(), "Invalid attribute", "%q is no name of an attribute: names have ASCII letters, digits and underscores.", part.name)
			continue
		case slices.Contains([]string{"idx", "context", "label", "short_label", "default_text", "lp", "clp", "perm"}, part.name):
			e.fail(a.Expr.Range(), "Attribute with a word", "The key has a word for %s.", part.name)
			continue
		}
		if text, ok := e.scalar(part.value, part.secret, part.name, a.Expr.Range()); ok {
			list = append(list, attr{part.name, text})
		}
	}
	return list
}

// keyValue checks the value of a key, and takes it apart.
func (e *evaluator) keyValue(kind keyKind, k *key, b indexed) {
	a := b.attrs["value"]
	switch {
	case kind.value == takesNone && k.value.text != "":
		if kind.name == "line" {
			e.fail(a.Range, "Value on a line key", "A line key takes no value: it is the identity that context names, or the active one.")
		} else {
			e.fail(a.Range, "Value on a key without one", "A key of type %s takes no value.", kind.name)
		}
		return
	case kind.value == needs && a == nil:
		e.fail(b.rng, "Key without a value", "A key of type %s needs a value.", kind.name)
		return
	}
	if !kind.uri {
		if k.pickup != "" {
			e.fail(b.attrs["pickup"].Range, "Pickup code on another key", "pickup is for keys of type blf, dest and presence: what is dialled to pick up a call that rings there.")
			k.pickup = ""
		}
		if kind.check != nil && k.value.text != "" && !k.value.secret {
			if err := kind.check(k.value.text); err != nil {
				e.fail(a.Expr.Range(), "Invalid value", "The value of a %s key %v.", kind.name, err)
			}
		}
		if kind.name == "keyevent" {
			e.nearEvent(k.value.text, a.Expr.Range())
		}
		return
	}
	text := k.value.text
	if uri, code, ok := strings.Cut(text, "|"); ok {
		if k.pickup != "" {
			e.fail(b.attrs["pickup"].Range, "Pickup code said twice", "The value has a pickup code already, after the |.")
		}
		text, k.pickup = uri, code
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	k.extension = text != "" && !strings.ContainsAny(text, ":@<>; ")
	k.value.text = text
}

// keyPlace finds the index of a key on an expansion module: the phone counts
// its own keys first, then those of each module.
func (e *evaluator) keyPlace(k *key, b indexed) bool {
	module := b.attrs["module"]
	if module == nil {
		if a := b.attrs["key"]; a != nil {
			e.fail(a.Range, "Key without a module", "key is the place on an expansion module, and needs module = 1, 2 or 3. Keys of the phone itself have their number as label.")
		}
		return b.index >= 0
	}
	place := b.attrs["key"]
	if place == nil {
		e.fail(b.rng, "Missing required argument", "A key of a module needs key = 1 and so on: its place on the module.")
		return false
	}
	m, ok := e.count(b.attrs, "module", 3)
	n, ok2 := e.count(b.attrs, "key", maxKey)
	if !ok || !ok2 || e.model.Name == "" {
		return false // reported, or left until the model is known
	}
	perModule := e.model.moduleKeys()
	switch {
	case e.model.Keys == 0 || e.model.Modules == 0 || perModule == 0:
		e.warn(ruleMissingModule, module.Range, "Module on a phone without", "Nothing says that %s takes expansion modules, so this key is left out. If it takes some, say modules = … in its model block.", e.model.Name)
		return false
	case m > e.model.Modules:
		e.warn(ruleMissingModule, module.Expr.Range(), "Module beyond those of the phone", "%s takes %d modules, so this key is left out. Take it out, or correct modules in the model block.", e.model.Name, e.model.Modules)
		return false
	case n > perModule:
		e.warn(ruleMissingModule, place.Expr.Range(), "Key beyond those of the module", "The modules of %s have %d keys, so this key is left out. Take it out, or correct module_keys in the model block.", e.model.Name, perModule)
		return false
	}
	k.index = e.model.Keys + (m-1)*perModule + n - 1
	return true
}

// count reads a whole number from 1.
func (e *evaluator) count(attrs hcl.Attributes, name string, most int) (int, bool) {
	text := e.open(attrs, name, "")
	if text == "" {
		return 0, false
	}
	if _, err := numberIn(1, most)(text); err != nil {
		e.fail(attrs[name].Expr.Range(), "Invalid "+name, "%s %v.", name, err)
		return 0, false
	}
	n, _ := strconv.Atoi(text)
	return n, true
}

// moduleKeys is how many keys an expansion module of the phone has.
func (m Model) moduleKeys() int { return cmp.Or(m.ModuleKeys, 18) }

// same reports whether two keys are alike, wherever they were written.
func (k key) same(o key) bool {
	k.source, o.source = source{}, source{}
	return reflect.DeepEqual(k, o)
}

// text gives what the phone reads: the type and, after a blank, its value.
func (k key) text() value {
	text := k.value.text
	switch {
	case k.raw:
		return k.value
	case text == "":
		return value{text: k.action}
	}
	if k.brackets && strings.HasPrefix(text, "sip") && strings.Contains(text, ":") {
		text = "<" + text + ">"
	}
	if k.pickup != "" {
		text += "|" + k.pickup
	}
	return value{text: k.action + " " + text, secret: k.value.secret}
}

// complete makes a SIP URI of an extension. Where the registrar is not known,
// the phone takes it from the identity itself.
func (k key) complete(settings []setting) key {
	if !k.extension {
		return k
	}
	identity, err := strconv.Atoi(k.context)
	if err != nil {
		identity = 1
	}
	for _, s := range settings {
		if s.name == "user_host" && s.index == identity && s.value.text != "" {
			k.value.text = "sip:" + k.value.text + "@" + s.value.text + ";user=phone"
			k.value.secret = k.value.secret || s.value.secret
			k.extension = false
			return k
		}
	}
	return k
}

func checkMulticast(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil || !a.Addr().IsMulticast() {
		return fmt.Errorf("is a multicast address and a port, such as 239.255.255.245:5555, not %q", s)
	}
	return nil
}

func checkKeyURL(s string) error {
	if !strings.Contains(s, "://") {
		return fmt.Errorf("is a URL, not %q", s)
	}
	return nil
}

func checkEvent(s string) error {
	if !strings.HasPrefix(s, "F_") || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return fmt.Errorf("looks like F_REDIAL; this is %q.%s", s, strings.TrimSuffix(didYouMean("F_"+strings.TrimPrefix(strings.ToUpper(s), "F_"), keyEvents), "?"))
	}
	return nil
}

// nearEvent warns of an event that is nearly one that sources name. There are
// more than those.
func (e *evaluator) nearEvent(s string, rng hcl.Range) {
	if checkEvent(s) != nil || slices.Contains(keyEvents, s) {
		return
	}
	if hint := didYouMean(s, keyEvents); hint != "" {
		e.warn(ruleUnknownEvent, rng, "Unknown key event", "No source has a key event %q.%s If phones have yours, silence this rule.", s, hint)
	}
}

// keyEvents are the events that the maker's pages and working configurations
// name.
var keyEvents = []string{
	"F_ABS", "F_ACCEPTED_LIST", "F_ADR_BOOK", "F_CALL_AGENT_LOGGEDIN", "F_CALL_AGENT_READY", "F_CALL_LIST", "F_CANCEL",
	"F_CONFERENCE", "F_CONF_ON", "F_CONTACTPOOL", "F_CONTACTS", "F_DELETE_MSG", "F_DIALED_LIST", "F_DIRECTORY_SEARCH", "F_DND",
	"F_FAVORITES", "F_HELP", "F_HOLD", "F_LABEL_PAGE_NEXT", "F_LDAP", "F_LEFT", "F_LOGOFF_ALL", "F_MISSED_LIST", "F_MONITOR",
	"F_MUTE", "F_NEXT_ID", "F_NONE", "F_OK", "F_PRESENCE", "F_PREV_ID", "F_R", "F_REBOOT", "F_REC", "F_RECEIVED_LIST", "F_REDIAL",
	"F_REDIRECT", "F_RETRIEVE", "F_RIGHT", "F_SERVER_AB", "F_SETTINGS", "F_SNOM", "F_SPEED_DIAL", "F_STATUS", "F_TRANSFER",
}
