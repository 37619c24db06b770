package phonefile

import (
	"cmp"
	"slices"
)

// Memory is what files have set on a phone. Its JSON is the same for the same
// files: lists are sorted, places are left out.
type Memory struct {
	Settings  []Setting  `json:"settings,omitempty"`
	Keys      []Key      `json:"keys,omitempty"`
	Phonebook []Contact  `json:"phonebook,omitempty"`
	Dialplan  []Template `json:"dialplan,omitempty"`
	Languages []Language `json:"languages,omitempty"`
	Uploads   []Upload   `json:"uploads,omitempty"`

	Certificates []Certificate `json:"certificates,omitempty"`
	Plans        []Plan        `json:"-"`
	// BookVersion is that of the last phone book with entries.
	BookVersion string `json:"-"`
	// Images are those that the last file with any told the phone to load.
	Images []Link `json:"-"`
	// Modules are those that it told expansion modules to load.
	Modules []Link `json:"-"`
}

// Setting finds a parameter that has no idx; "" where it is not set.
func (m *Memory) Setting(name string) string {
	for _, v := range m.Settings {
		if v.Name == name && v.Index == nil {
			return v.Value
		}
	}
	return ""
}

// ApplyFile reads one file as a phone does and sets what it says over what
// was set before. The error of a file that the phone would drop changes
// nothing.
func (m *Memory) ApplyFile(body []byte) (File, error) {
	f, err := Read("", body)
	if err != nil {
		return f, err
	}
	m.Apply(f)
	return f, nil
}

// Apply sets what a file says over what was set before.
func (m *Memory) Apply(f File) {
	m.ApplySettings(f.Settings)
	m.applyKeys(f.Keys)
	if f.ReplaceBook {
		m.Phonebook = nil
	}
	m.applyContacts(f.Contacts)
	if len(f.Contacts) > 0 {
		m.BookVersion = f.BookVersion
	}
	for _, p := range f.Plans {
		if !slices.ContainsFunc(m.Plans, func(o Plan) bool { return o.XML == p.XML }) {
			m.Plans = append(m.Plans, p)
		}
	}
	if f.Dialplan != nil {
		m.Dialplan = f.Dialplan
	}
	m.applyLanguages(f.Languages)
	m.applyUploads(f.Uploads)
	if len(f.Images) > 0 && len(f.Versions) == 0 {
		m.Images = f.Images
	}
	if len(f.Modules) > 0 {
		m.Modules = f.Modules
	}
	for _, c := range f.Certificates {
		if !slices.ContainsFunc(m.Certificates, c.same) {
			m.Certificates = append(m.Certificates, c)
		}
	}
}

// ID is what a phone tells settings apart by: name and idx.
type ID struct {
	Name    string
	Index   int
	Indexed bool
}

// ID gives the identity of a setting.
func (s Setting) ID() ID {
	if s.Index == nil {
		return ID{Name: s.Name}
	}
	return ID{Name: s.Name, Index: *s.Index, Indexed: true}
}

// Compare orders settings: by name, those without idx first, then by idx.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), compareBool(a.Indexed, b.Indexed), cmp.Compare(a.Index, b.Index))
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

// ApplySettings sets a list of settings.
func (m *Memory) ApplySettings(list []Setting) {
	at := make(map[ID]int, len(m.Settings)+len(list))
	for i, v := range m.Settings {
		at[v.ID()] = i
	}
	for _, v := range list {
		i, known := at[v.ID()]
		switch {
		case !known:
			at[v.ID()] = len(m.Settings)
			m.Settings = append(m.Settings, v)
		case v.Perm == "!" && m.Settings[i].Changed:
		default:
			m.Settings[i] = v
		}
	}
	slices.SortStableFunc(m.Settings, func(a, b Setting) int { return a.ID().Compare(b.ID()) })
}

func (m *Memory) applyKeys(list []Key) {
	at := map[int]int{}
	for i, k := range m.Keys {
		at[k.Index] = i
	}
	for _, k := range list {
		if i, known := at[k.Index]; known {
			m.Keys[i] = k
			continue
		}
		at[k.Index] = len(m.Keys)
		m.Keys = append(m.Keys, k)
	}
	slices.SortFunc(m.Keys, func(a, b Key) int { return cmp.Compare(a.Index, b.Index) })
}

// applyContacts knows an entry again by its index, else by its first number,
// as phones did before 8.2.20.
func (m *Memory) applyContacts(list []Contact) {
	at := map[string]int{}
	for i, c := range m.Phonebook {
		at[c.key()] = i
	}
	for _, c := range list {
		i, known := at[c.key()]
		if known {
			m.Phonebook[i] = c
			continue
		}
		at[c.key()] = len(m.Phonebook)
		m.Phonebook = append(m.Phonebook, c)
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

func (m *Memory) applyLanguages(list []Language) {
	for _, l := range list {
		i := slices.IndexFunc(m.Languages, func(o Language) bool { return o.For == l.For && o.Name == l.Name })
		if i < 0 {
			m.Languages = append(m.Languages, l)
			continue
		}
		m.Languages[i] = l
	}
	slices.SortStableFunc(m.Languages, func(a, b Language) int {
		return cmp.Or(cmp.Compare(a.For, b.For), cmp.Compare(a.Name, b.Name))
	})
}

// applyUploads keeps one file of each type.
func (m *Memory) applyUploads(list []Upload) {
	for _, u := range list {
		if i := slices.IndexFunc(m.Uploads, func(o Upload) bool { return o.Type == u.Type }); i >= 0 {
			m.Uploads[i] = u
			continue
		}
		m.Uploads = append(m.Uploads, u)
	}
	slices.SortStableFunc(m.Uploads, func(a, b Upload) int { return cmp.Compare(a.Type, b.Type) })
}

func (c Certificate) same(o Certificate) bool { return c.URL == o.URL && c.Base64 == o.Base64 }
