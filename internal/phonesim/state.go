package phonesim

import (
	"cmp"
	"fmt"
	"slices"

	"dialtone/internal/mac"
)

// State is what a phone is set to after its boot. Its JSON is the same for
// the same answers: lists are sorted, and there are no times of day.
type State struct {
	MAC           mac.Addr   `json:"mac"`
	Model         string     `json:"model"`
	Version       string     `json:"version"`
	UserAgent     string     `json:"user_agent"`
	Lease         *Lease     `json:"lease,omitempty"`
	SettingServer string     `json:"setting_server,omitempty"`
	Requests      []Fetch    `json:"requests,omitempty"`
	Settings      []Setting  `json:"settings,omitempty"`
	Keys          []Key      `json:"keys,omitempty"`
	Phonebook     []Contact  `json:"phonebook,omitempty"`
	Dialplan      []Template `json:"dialplan,omitempty"`
	Languages     []Language `json:"languages,omitempty"`
	Firmware      []Image    `json:"firmware,omitempty"`
	// Redirect is the setting server that the settings name, where the phone
	// would look from its next boot on.
	Redirect string   `json:"redirect,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	// Problems are what keeps the phone from working as its files want it to.
	Problems []string `json:"problems,omitempty"`
}

// Fetch is a request that ended.
type Fetch struct {
	What   string `json:"what"`
	URL    string `json:"url"`
	Status string `json:"status"`
	OK     bool   `json:"ok"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
}

// Setting is one parameter. Index is the idx attribute, nil where it had
// none.
type Setting struct {
	Name  string `json:"name"`
	Index *int   `json:"idx,omitempty"`
	Value string `json:"value"`
	// Perm is the flag as the file wrote it; "&" for a line of text with none.
	Perm string `json:"perm"`
	// Changed says that the user set the value on the phone.
	Changed bool `json:"changed,omitempty"`
}

// Key is a function key. Value begins with the key's type.
type Key struct {
	Index       int    `json:"idx"`
	Context     string `json:"context,omitempty"`
	Label       string `json:"label,omitempty"`
	ShortLabel  string `json:"short_label,omitempty"`
	DefaultText string `json:"default_text,omitempty"`
	LongPress   string `json:"lp,omitempty"`
	Perm        string `json:"perm"`
	Value       string `json:"value"`
}

// Contact is an entry of the phone book, of either of its two forms.
type Contact struct {
	Index     string   `json:"index,omitempty"`
	Context   string   `json:"context,omitempty"`
	Type      string   `json:"type,omitempty"`
	Name      string   `json:"name,omitempty"`
	FirstName string   `json:"first_name,omitempty"`
	LastName  string   `json:"last_name,omitempty"`
	Numbers   []Number `json:"numbers"`
}

// Number is one number of a Contact.
type Number struct {
	Number string `json:"number"`
	Type   string `json:"type,omitempty"`
}

// Template is a line of the dial plan.
type Template struct {
	Match   string `json:"match"`
	Timeout string `json:"timeout,omitempty"`
	User    string `json:"user,omitempty"`
	Rewrite string `json:"rewrite,omitempty"`
}

// Language is one that the phone can fetch; For is "gui" or "web".
type Language struct {
	For  string `json:"for"`
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Image is a firmware image that was fetched whole.
type Image struct {
	URL    string `json:"url"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Setting finds a parameter that has no idx; "" where it is not set.
func (s *State) Setting(name string) string {
	for _, v := range s.Settings {
		if v.Name == name && v.Index == nil {
			return v.Value
		}
	}
	return ""
}

// Works tells whether a person could use the phone: nil, or what is missing.
func (s *State) Works() error {
	switch {
	case s.SettingServer == "":
		return fmt.Errorf("no setting server was found%s", firstOf(s.Problems))
	case len(s.Settings) == 0:
		return fmt.Errorf("no setting came from %s%s", s.SettingServer, firstOf(s.Problems))
	case len(s.Problems) > 0:
		return fmt.Errorf("%s", s.Problems[0])
	}
	return nil
}

func firstOf(problems []string) string {
	if len(problems) == 0 {
		return ""
	}
	return ": " + problems[0]
}

// settingKey tells settings apart: name and idx.
type settingKey struct {
	name    string
	index   int
	indexed bool
}

func (s Setting) key() settingKey {
	if s.Index == nil {
		return settingKey{name: s.Name}
	}
	return settingKey{name: s.Name, index: *s.Index, indexed: true}
}

// ApplyFile reads one file as a phone does and sets what it says over what
// was set before. The error of a file that the phone would drop changes
// nothing.
func (s *State) ApplyFile(body []byte) (File, error) {
	f, err := ReadFile(body)
	if err != nil {
		return f, err
	}
	s.merge(f)
	return f, nil
}

// merge sets what a file says over what was set before.
func (s *State) merge(f File) {
	s.applySettings(f.Settings)
	s.applyKeys(f.Keys)
	if f.ReplaceBook {
		s.Phonebook = nil
	}
	s.applyContacts(f.Contacts)
	if f.Dialplan != nil {
		s.Dialplan = f.Dialplan
	}
	s.applyLanguages(f.Languages)
}

func (s *State) applySettings(list []Setting) {
	at := make(map[settingKey]int, len(s.Settings)+len(list))
	for i, v := range s.Settings {
		at[v.key()] = i
	}
	for _, v := range list {
		i, known := at[v.key()]
		switch {
		case !known:
			at[v.key()] = len(s.Settings)
			s.Settings = append(s.Settings, v)
		case v.Perm == "!" && s.Settings[i].Changed:
		default:
			s.Settings[i] = v
		}
	}
	slices.SortStableFunc(s.Settings, func(a, b Setting) int {
		x, y := a.key(), b.key()
		return cmp.Or(cmp.Compare(x.name, y.name), compareBool(x.indexed, y.indexed), cmp.Compare(x.index, y.index))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (s *State) applyKeys(list []Key) {
	at := map[int]int{}
	for i, k := range s.Keys {
		at[k.Index] = i
	}
	for _, k := range list {
		if i, known := at[k.Index]; known {
			s.Keys[i] = k
			continue
		}
		at[k.Index] = len(s.Keys)
		s.Keys = append(s.Keys, k)
	}
	slices.SortFunc(s.Keys, func(a, b Key) int { return cmp.Compare(a.Index, b.Index) })
}

// applyContacts knows an entry again by its index, else by its first number,
// as phones did before 8.2.20.
func (s *State) applyContacts(list []Contact) {
	at := map[string]int{}
	for i, c := range s.Phonebook {
		at[c.key()] = i
	}
	for _, c := range list {
		i, known := at[c.key()]
		if known {
			s.Phonebook[i] = c
			continue
		}
		at[c.key()] = len(s.Phonebook)
		s.Phonebook = append(s.Phonebook, c)
	}
}

func (c Contact) key() string {
	switch {
	case c.Index != "":
		return "index " + c.Index
	case len(c.Numbers) > 0:
		return "number " + c.Numbers[0].Number
	}
	return "name " + c.Name + " " + c.FirstName + " " + c.LastName
}

func (s *State) applyLanguages(list []Language) {
	for _, l := range list {
		i := slices.IndexFunc(s.Languages, func(o Language) bool { return o.For == l.For && o.Name == l.Name })
		if i < 0 {
			s.Languages = append(s.Languages, l)
			continue
		}
		s.Languages[i] = l
	}
	slices.SortStableFunc(s.Languages, func(a, b Language) int {
		return cmp.Or(cmp.Compare(a.For, b.For), cmp.Compare(a.Name, b.Name))
	})
}
