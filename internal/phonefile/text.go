package phonefile

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	textLine = regexp.MustCompile(`^([A-Za-z0-9_]+)([!$&]?):[ \t]?(.*)$`)
	textHead = regexp.MustCompile(`(?i)^(?:</?(?:html|pre|head|body)>\s*)+`)
	textTail = regexp.MustCompile(`(?i)(?:\s*</?(?:html|pre|head|body)>)+$`)
	// textIndexed are names whose index is glued on where XML has idx: all of
	// user_…, and those others that the maker's XML has with one.
	textIndexed = regexp.MustCompile(`^(user_[a-z_]*[a-z_]|codec_priority_list|codec[1-7]_name|codec_size|keepalive_interval|stun_server|stun_binding_interval|` +
		`hide_identity|ring_after_delay|presence_state|cache_contact_details|retry_after_failed_subscribe|mac_info_in_sip_register|` +
		`record_missed_calls|record_dialed_calls|record_received_calls|blf_park_pick_up|blf_directed_call_pickup|fwd_[a-z_]+|dnd_[a-z_]+|call_waiting|ring_sound|` +
		`internal_ringer_text|internal_ringer_file|context_key|context_key_label|context_key_icon_type|speed|srv_sip_server_alias|srv_srtp_auth|` +
		`subscr_[a-z_]+)([0-9]{1,5})$`)
	// textContact are the name, number, category and identity of an entry of the
	// phone book.
	textContact = regexp.MustCompile(`^t([nuco])_?([0-9]{1,4})$`)
	textKey     = regexp.MustCompile(`^fkey(|_context|_label|_short_label)([0-9]{1,4})$`)
)

// text reads the plain format: a line for each setting, its name, one flag, a
// colon and the value. Lines that begin with # or < say nothing. Keys and
// identities get the index that XML would give them; no flag is read-only.
func (r *reader) text(body []byte, at Place) {
	r.file.Root = "text"
	isUTF8 := utf8.Valid(body)
	if !isUTF8 {
		r.odd(at, "the text is no UTF-8: it is read as ISO-8859-1")
	}
	head := textHead.Find(body)
	at.Line += bytes.Count(head, []byte("\n"))
	at.End = at.Start + len(head)
	body = body[len(head):]
	body = body[:len(body)-len(textTail.Find(body))]
	keys, contacts, odd, firstOdd := map[int]int{}, map[int]int{}, 0, Place{}
	said := map[string]Place{}
	at.Line--
	for raw := range bytes.Lines(body) {
		at.Line++
		at.Start, at.End = at.End, at.End+len(raw)
		if !isUTF8 {
			raw = latin1(raw)
		}
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' || line[0] == '<' {
			continue
		}
		m := textLine.FindStringSubmatch(line)
		if m == nil {
			if odd == 0 {
				firstOdd = at
			}
			odd++
			continue
		}
		name, perm, value := m[1], m[2], m[3]
		if perm == "" {
			perm = "&"
		}
		if first, ok := said[name]; ok {
			r.odd(at, "%s is set a second time, as in line %d: the last one stays", name, first.Line)
		}
		said[name] = at
		if name == "firmware" {
			r.file.Images = append(r.file.Images, Link{strings.TrimSpace(value), at})
			continue
		}
		if k := textKey.FindStringSubmatch(name); k != nil {
			r.textKeyLine(keys, k[1], k[2], perm, value, at)
			continue
		}
		if c := textContact.FindStringSubmatch(name); c != nil {
			r.textContactLine(contacts, c[1], c[2], value, at)
			continue
		}
		s := Setting{Name: name, Value: value, Perm: perm, At: at}
		if k := textIndexed.FindStringSubmatch(name); k != nil {
			if i, err := strconv.Atoi(k[2]); err == nil {
				s.Name, s.Index = k[1], &i
			}
		}
		r.file.Settings = append(r.file.Settings, s)
	}
	switch odd {
	case 0:
	case 1:
		r.note(firstOdd, "a line of text is no setting")
	default:
		r.note(firstOdd, "%d lines of text are no setting", odd)
	}
}

// textKeyLine adds one line of a function key: fkey0, fkey_context0.
func (r *reader) textKeyLine(at map[int]int, field, number, perm, value string, place Place) {
	i, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	if _, known := at[i]; !known {
		at[i] = len(r.file.Keys)
		r.file.Keys = append(r.file.Keys, Key{Index: i, At: place})
	}
	k := &r.file.Keys[at[i]]
	switch field {
	case "_context":
		k.Context = value
	case "_label":
		k.Label = value
	case "_short_label":
		k.ShortLabel = value
	default:
		k.Value, k.Perm = value, perm
	}
}

// textContactLine adds one line of an entry of the phone book: tn_0, tu_0.
func (r *reader) textContactLine(at map[int]int, field, number, value string, place Place) {
	i, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	if _, known := at[i]; !known {
		at[i] = len(r.file.Contacts)
		r.file.Contacts = append(r.file.Contacts, Contact{Index: strconv.Itoa(i), Numbers: []Number{{}}, At: place})
	}
	c := &r.file.Contacts[at[i]]
	switch field {
	case "n":
		c.Name = value
	case "u":
		c.Numbers[0].Number = value
	case "c":
		c.Type = value
	case "o":
		c.Context = value
	}
}

// latin1 makes UTF-8 of ISO-8859-1, which old files are written in.
func latin1(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
