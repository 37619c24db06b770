package profiles

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

var identitySchema = schema(append(identityAttributes(), attributes("transport", "port", "ringer", "codecs")...),
	hcl.BlockHeaderSchema{Type: "settings"})

// identityWords are the words of an identity block that write one setting each.
// user_pname is the name that authenticates, not a password.
var identityWords = []struct {
	word, setting string
	convert       func(string) (string, error)
}{
	{"user", "user_name", nil},
	{"auth_user", "user_pname", nil},
	{"password", "user_pass", nil},
	{"registrar", "user_host", nil},
	{"outbound", "user_outbound", nil},
	{"display_name", "user_realname", nil},
	{"mailbox", "user_mailbox", nil},
	{"active", "user_active", nil},
	{"expiry", "user_expiry", seconds},
	{"srtp", "user_srtp", onOff},
	{"savp", "user_savp", oneOf("off", "optional", "mandatory")},
	{"dtmf", "user_dtmf_info", oneOf("off", "on", "sip_info_only")},
	{"failover", "user_failover_identity", failover},
	{"idle_text", "user_idle_text", nil},
	{"idle_number", "user_idle_number", nil},
}

func identityAttributes() []hcl.AttributeSchema {
	names := make([]string, len(identityWords))
	for i, w := range identityWords {
		names[i] = w.word
	}
	return attributes(names...)
}

func (e *evaluator) identity(id indexed) {
	for _, w := range identityWords {
		s := setting{name: w.setting, index: id.index, value: value{secret: w.word == "password"}}
		e.argument(id.attrs, w.word, s, w.convert)
	}
	e.transport(id)
	e.ringer(id)
	if a := id.attrs["codecs"]; a != nil {
		if list, ok := e.codecList(a); ok {
			e.codecSettings(list, id.index, a.Range)
		}
	}
	for _, a := range id.settings {
		e.setting(a, id.index)
	}
	if user := e.find("user_name", id.index); user != nil && user.value.text != "" {
		e.add(setting{name: "user_active", index: id.index, value: value{text: "on"}, weak: true, source: user.source})
	}
}

// find gives what the layer has said of a setting so far, or nil.
func (e *evaluator) find(name string, index int) *setting {
	for i := range e.out.settings {
		if s := &e.out.settings[i]; s.name == name && s.index == index {
			return s
		}
	}
	return nil
}

// transport writes user_outbound, HOST:PORT;transport=T, out of the outbound
// proxy or the registrar and the words transport and port.
func (e *evaluator) transport(id indexed) {
	first := id.attrs["transport"]
	if first == nil {
		first = id.attrs["port"]
	}
	if first == nil {
		return
	}
	transport, port := e.open(id.attrs, "transport", ""), e.open(id.attrs, "port", "")
	if transport != "" {
		var err error
		if transport, err = oneOf("udp", "tcp", "tls")(transport); err != nil {
			e.fail(id.attrs["transport"].Expr.Range(), "Invalid transport", "transport %v.", err)
			return
		}
	}
	if port != "" {
		if _, err := numberIn(1, 65535)(port); err != nil {
			e.fail(id.attrs["port"].Expr.Range(), "Invalid port", "port %v.", err)
			return
		}
	}
	if transport == "" && port == "" {
		return // null, or wrong and reported
	}
	outbound := e.find("user_outbound", id.index)
	if outbound == nil {
		registrar := e.find("user_host", id.index)
		if registrar == nil || registrar.value.text == "" {
			if id.attrs["registrar"] == nil && id.attrs["outbound"] == nil {
				e.fail(first.Range, "Transport without a host", "transport and port need the outbound or registrar that they belong to, in the same identity block.")
			}
			return
		}
		s := *registrar
		s.name, s.source = "user_outbound", e.source(first.Range)
		e.add(s)
		outbound = &e.out.settings[len(e.out.settings)-1]
	}
	text, err := outboundProxy(outbound.value.text, transport, port)
	if err != nil {
		e.fail(first.Range, "Transport said twice", "%s.", capital(err.Error()))
		return
	}
	outbound.value.text = text
}

// outboundProxy adds a transport and a port, "" for none, to a host that may have them.
func outboundProxy(host, transport, port string) (string, error) {
	host, parameters, _ := strings.Cut(host, ";")
	if transport != "" {
		if strings.Contains(";"+parameters, ";transport=") {
			return "", errors.New("the host has a transport already")
		}
		parameters = strings.TrimPrefix(parameters+";transport="+transport, ";")
	}
	if port != "" {
		if _, _, err := net.SplitHostPort(host); err == nil {
			return "", errors.New("the host has a port already")
		}
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	if parameters != "" {
		host += ";" + parameters
	}
	return host, nil
}

// ringer writes the melody of an identity: one of the phone's, or a URL.
func (e *evaluator) ringer(id indexed) {
	e.argument(id.attrs, "ringer", setting{name: "user_ringer", index: id.index}, nil)
	ringer := e.find("user_ringer", id.index)
	if ringer == nil || id.attrs["ringer"] == nil {
		return
	}
	if strings.Contains(ringer.value.text, "://") {
		custom := *ringer
		custom.name, ringer.value.text = "user_custom", "Custom"
		e.add(custom)
		return
	}
	names := []string{"Silent", "Custom"}
	for i := range 10 {
		names = append(names, fmt.Sprintf("Ringer%d", i+1))
	}
	text, err := oneOf(names...)(ringer.value.text)
	if err != nil {
		e.fail(id.attrs["ringer"].Expr.Range(), "Invalid ringer", "ringer takes Ringer1 to Ringer10, Silent, Custom or the URL of a file, not %q.%s",
			text, didYouMean(text, names))
		return
	}
	ringer.value.text = text
}

// failover takes the number of another identity, or none.
func failover(s string) (string, error) {
	if s == "none" || s == "off" {
		return "none", nil
	}
	if _, err := numberIn(1, maxIdentity)(s); err != nil {
		return s, fmt.Errorf("takes the number of an identity, or none, not %q", s)
	}
	return s, nil
}
