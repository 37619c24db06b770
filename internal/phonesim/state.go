package phonesim

import (
	"fmt"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// State is what a phone is set to after its boot. Its JSON is the same for
// the same answers: lists are sorted, and there are no times of day.
type State struct {
	MAC           mac.Addr `json:"mac"`
	Model         string   `json:"model"`
	Version       string   `json:"version"`
	UserAgent     string   `json:"user_agent"`
	Lease         *Lease   `json:"lease,omitempty"`
	SettingServer string   `json:"setting_server,omitempty"`
	Requests      []Fetch  `json:"requests,omitempty"`
	phonefile.Memory
	Firmware []Image `json:"firmware,omitempty"`
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

// Image is a firmware image that was fetched whole.
type Image struct {
	URL    string `json:"url"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
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
