package profiles

import (
	"fmt"
	"strings"
)

// actions are what a phone can tell a web server of, and the settings for it.
var actions = []struct{ word, setting string }{
	{"setup", "action_setup_url"},
	{"log_on", "action_log_on_url"},
	{"log_off", "action_log_off_url"},
	{"register_failed", "action_reg_failed"},
	{"incoming", "action_incoming_url"},
	{"outgoing", "action_outgoing_url"},
	{"connected", "action_connected_url"},
	{"disconnected", "action_disconnected_url"},
	{"missed", "action_missed_url"},
	{"offhook", "action_offhook_url"},
	{"onhook", "action_onhook_url"},
	{"hold", "action_hold"},
	{"unhold", "action_unhold"},
	{"transfer", "action_transfer"},
	{"blind_transfer", "action_blind_transfer"},
	{"attended_transfer", "action_attended_transfer"},
	{"received_attended_transfer", "action_received_attended_transfer"},
	{"dnd_on", "action_dnd_on_url"},
	{"dnd_off", "action_dnd_off_url"},
	{"redirection_on", "action_redirection_on_url"},
	{"redirection_off", "action_redirection_off_url"},
	{"blacklist", "action_blacklist_url"},
	{"longpress", "action_longpress_url"},
	{"received_notify", "action_received_subscr_notify_url"},
}

var actionSchema = schema(attributes(actionNames()...))

func actionNames() []string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.word
	}
	return names
}

// actionURLs writes the URLs that the phone fetches when something happens. They
// may have the phone's variables, such as $remote.
func (e *evaluator) actionURLs(w word) {
	for _, a := range actions {
		e.argument(w.attrs, a.word, setting{name: a.setting, index: noIndex}, webURL)
	}
}

// webURL checks a URL that the phone fetches; none at all turns it off.
func webURL(s string) (string, error) {
	if s != "" && !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return s, fmt.Errorf("takes an http or https URL, not %q", s)
	}
	return s, nil
}
