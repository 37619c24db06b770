package profiles

import (
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"dialtone/internal/mac"
)

// Kind says which document or file a path means.
type Kind int

// The kinds, with the path of each. T is a model ("snomD785"), M a MAC of
// twelve digits.
const (
	ModelContainer Kind = iota + 1 // /T.htm
	PhoneContainer                 // /T-M.htm
	General                        // /T/general.xml
	Own                            // /T/M.xml
	GUILanguages                   // /gui-lang.xml and /T/gui-lang.xml
	WebLanguages                   // /web-lang.xml and /T/web-lang.xml
	FirmwareStatus                 // /T/firmware.xml, /T-firmware.htm and the older /T/T-firmware.htm
	MACContainer                   // /M.xml, /?mac=M and /settings.php?mac=M
	Firmware                       // /firmware/NAME; also /M900/NAME.fwu, which a DECT base makes of the server and a version
	File                           // /files/PATH
	GUIPhrases                     // /gui_lang_NAME.xml and /T/gui_lang_NAME.xml
	WebPhrases                     // /web_lang_NAME.xml and /T/web_lang_NAME.xml
	ModelFile                      // /T/NAME, the admin's own
	PhoneFile                      // /T/M/NAME, likewise
	Extra                          // any other path that a document block names
)

var kindNames = map[Kind]string{
	ModelContainer: "container", PhoneContainer: "phone container", General: "general", Own: "own",
	GUILanguages: "gui languages", WebLanguages: "web languages", FirmwareStatus: "firmware status",
	MACContainer: "mac container", Firmware: "firmware", File: "file",
}

// String names a kind of which a phone has one document; "" for the others.
func (k Kind) String() string { return kindNames[k] }

// Slot names what a phone has at the path, as the register keeps it: by its kind
// where there is one of that kind, whatever the path, else by the path in lower case.
func (p Path) Slot() string {
	if name := p.Kind.String(); name != "" {
		return name
	}
	return strings.ToLower(p.String())
}

// Kinds gives the kinds of documents, in the order in which a phone that asks for
// them obeys them.
func Kinds() iter.Seq[Kind] {
	return slices.Values([]Kind{ModelContainer, PhoneContainer, MACContainer, General, GUILanguages, WebLanguages, Own, FirmwareStatus})
}

// Path is a request path that was understood.
type Path struct {
	Kind  Kind
	Model string   // as it was asked for; "" where the path names none
	MAC   mac.Addr // of Own, PhoneContainer and MACContainer
	// Name is what follows the folder of Firmware, File, ModelFile and PhoneFile,
	// verbatim and so not to be trusted; the NAME of phrases; the whole path of an
	// Extra, with {mac} in it where there is a MAC.
	Name string
}

// ParsePath reads the path of a request, over whatever protocol it came. Case
// and the spelling of a MAC carry no meaning, nor do leading slashes. The text
// of an error is the reason for a 404, written for whoever reads it there.
func ParsePath(path, rawQuery string) (Path, error) {
	name := strings.TrimLeft(path, "/")
	if rest, ok := cutPrefixFold(name, "firmware/"); ok {
		return parseFile(Firmware, rest)
	}
	if rest, ok := cutPrefixFold(name, "files/"); ok {
		return parseFile(File, rest)
	}
	if isBaseImage(name) {
		return parseFile(Firmware, name)
	}
	if len(name) > 200 {
		return Path{}, fmt.Errorf("no document has a name of %d bytes", len(name))
	}
	if strings.Contains(name, "{mac}") || strings.Contains(strings.ToLower(name), "%7bmac%7d") {
		return Path{}, fmt.Errorf("the phone left {mac} in %q as it stands: give it the setting server without a path, it adds the names itself", name)
	}
	if model, file, ok := strings.Cut(name, "/"); ok {
		return parseModelFile(model, file)
	}
	switch strings.ToLower(name) {
	case "", "settings.php":
		return parseQuery(name, rawQuery)
	case "gui-lang.xml":
		return Path{Kind: GUILanguages}, nil
	case "web-lang.xml":
		return Path{Kind: WebLanguages}, nil
	}
	if p, ok := parsePhrases(name); ok {
		return p, nil
	}
	if stem, ok := cutSuffixFold(name, ".htm"); ok {
		return parseTop(stem)
	}
	if stem, ok := cutSuffixFold(name, ".xml"); ok {
		m, err := mac.Parse(stem)
		if err != nil {
			return Path{}, fmt.Errorf("no document is called %q, and it is no phone's container: %w", name, err)
		}
		return Path{Kind: MACContainer, MAC: m}, nil
	}
	return Path{}, fmt.Errorf("no document is called %q: phones ask for MODEL.htm and MODEL-MAC.htm", name)
}

func parseFile(kind Kind, name string) (Path, error) {
	if name == "" {
		return Path{}, fmt.Errorf("a folder has no listing: name a file in it")
	}
	return Path{Kind: kind, Name: name}, nil
}

// parseTop reads what stands before .htm at the root: T, T-M or T-firmware.
func parseTop(stem string) (Path, error) {
	model, rest, dashed := strings.Cut(stem, "-")
	if err := checkModelName(model); err != nil {
		return Path{}, err
	}
	switch {
	case !dashed:
		return Path{Kind: ModelContainer, Model: model}, nil
	case strings.EqualFold(rest, "firmware"):
		return Path{Kind: FirmwareStatus, Model: model}, nil
	}
	m, err := mac.Parse(rest)
	if err != nil {
		return Path{}, fmt.Errorf("no document is called %q: %w", stem+".htm", err)
	}
	return Path{Kind: PhoneContainer, Model: model, MAC: m}, nil
}

// parseModelFile reads T/file.
func parseModelFile(model, file string) (Path, error) {
	if err := checkModelName(model); err != nil {
		return Path{}, err
	}
	switch strings.ToLower(file) {
	case "general.xml":
		return Path{Kind: General, Model: model}, nil
	case "gui-lang.xml":
		return Path{Kind: GUILanguages, Model: model}, nil
	case "web-lang.xml":
		return Path{Kind: WebLanguages, Model: model}, nil
	case "firmware.xml", strings.ToLower(model) + "-firmware.htm":
		return Path{Kind: FirmwareStatus, Model: model}, nil
	}
	if stem, ok := cutSuffixFold(file, ".xml"); ok {
		if m, err := mac.Parse(stem); err == nil {
			return Path{Kind: Own, Model: model, MAC: m}, nil
		}
	}
	if p, ok := parsePhrases(file); ok {
		p.Model = model
		return p, nil
	}
	folder, name, ok := strings.Cut(file, "/")
	if m, err := mac.Parse(folder); ok && err == nil && checkFileName(name) == nil {
		return Path{Kind: PhoneFile, Model: model, MAC: m, Name: name}, nil
	}
	if checkFileName(file) == nil {
		return Path{Kind: ModelFile, Model: model, Name: file}, nil
	}
	return Path{}, fmt.Errorf("no document of %s is called %q: there are general.xml, firmware.xml, gui-lang.xml, web-lang.xml and MAC.xml", model, file)
}

// parsePhrases reads gui_lang_NAME.xml and web_lang_NAME.xml.
func parsePhrases(file string) (Path, bool) {
	stem, ok := cutSuffixFold(file, ".xml")
	if !ok {
		return Path{}, false
	}
	for prefix, kind := range map[string]Kind{"gui_lang_": GUIPhrases, "web_lang_": WebPhrases} {
		name, ok := cutPrefixFold(stem, prefix)
		if ok && name != "" && strings.Trim(name, fileNameChars) == "" && !strings.ContainsAny(name, "./-") {
			return Path{Kind: kind, Name: name}, true
		}
	}
	return Path{}, false
}

const fileNameChars = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-/"

// checkFileName reports what cannot be the name of an admin's own document: it
// has to pass through a URL, and TFTP, as it is.
func checkFileName(name string) error {
	if strings.Trim(name, fileNameChars) != "" || !isRelative(name) {
		return fmt.Errorf("%q is no name of a document: names have ASCII letters, digits, dots, dashes, underscores and slashes", name)
	}
	return nil
}

// parseQuery reads mac=M, the one parameter that a setting server of the
// {mac} kind is given.
func parseQuery(name, rawQuery string) (Path, error) {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(key, "mac") {
			continue
		}
		if s, err := url.QueryUnescape(value); err == nil {
			value = s
		}
		m, err := mac.Parse(value)
		if err != nil {
			return Path{}, fmt.Errorf("the query names no phone: %w", err)
		}
		return Path{Kind: MACContainer, MAC: m}, nil
	}
	if name == "" {
		return Path{}, fmt.Errorf("nothing is at the root: phones ask for MODEL.htm and MODEL-MAC.htm, or for ?mac=MAC")
	}
	return Path{}, fmt.Errorf("%s needs ?mac=MAC", name)
}

// String gives the path as the container files link it; ParsePath reads it
// back to the same Path.
func (p Path) String() string {
	switch p.Kind {
	case ModelContainer:
		return "/" + p.Model + ".htm"
	case PhoneContainer:
		return "/" + p.Model + "-" + p.MAC.Hex() + ".htm"
	case General:
		return "/" + p.Model + "/general.xml"
	case Own:
		return "/" + p.Model + "/" + p.MAC.Hex() + ".xml"
	case GUILanguages:
		return p.folder() + "gui-lang.xml"
	case WebLanguages:
		return p.folder() + "web-lang.xml"
	case FirmwareStatus:
		return "/" + p.Model + "/firmware.xml"
	case MACContainer:
		return "/" + p.MAC.Hex() + ".xml"
	case GUIPhrases:
		return p.folder() + "gui_lang_" + p.Name + ".xml"
	case WebPhrases:
		return p.folder() + "web_lang_" + p.Name + ".xml"
	case ModelFile:
		return "/" + p.Model + "/" + p.Name
	case PhoneFile:
		return "/" + p.Model + "/" + p.MAC.Hex() + "/" + p.Name
	case Extra:
		return "/" + strings.ReplaceAll(p.Name, macWord, p.MAC.Hex())
	case Firmware:
		return "/firmware/" + p.Name
	case File:
		return "/files/" + p.Name
	}
	return ""
}

// Spellings gives the paths at which phones of all times ask for what is at p, that
// of the container files first. Those with a query are left out.
func (p Path) Spellings() []string {
	list := []string{p.String()}
	if p.Kind == FirmwareStatus {
		list = append(list, "/"+p.Model+"-firmware.htm", "/"+p.Model+"/"+p.Model+"-firmware.htm")
	}
	return list
}

// IsOwn reports whether what is at the path is for the phone of its MAC alone,
// whatever the configuration says.
func (p Path) IsOwn() bool {
	switch p.Kind {
	case Own, PhoneFile:
		return true
	case Extra:
		return !p.MAC.IsZero()
	}
	return false
}

func (p Path) folder() string {
	if p.Model == "" {
		return "/"
	}
	return "/" + p.Model + "/"
}

// isBaseImage reports whether name is the path by which a DECT base asks for its
// image or for that of a handset, whose folder is named as the device:
// M900/M900_v0740_b0104.fwu.
func isBaseImage(name string) bool {
	device, file, ok := strings.Cut(name, "/")
	if !ok || len(device) < 2 || len(device) > maxModelName || alnumPrefix(device) != device || !isNumber(device[1:]) || device[0]|0x20 != 'm' {
		return false
	}
	_, named := cutPrefixFold(file, device+"_v")
	_, image := cutSuffixFold(file, ".fwu")
	return named && image && !strings.Contains(file, "/")
}

// maxModelName bounds what a client can name: "snom" and 28 more.
const maxModelName = 32

// checkModelName reports whether s can be a model: "snom" in any case and at
// least one more ASCII letter or digit. It holds for models that the catalogue
// has never heard of.
func checkModelName(s string) error {
	rest, ok := cutPrefixFold(s, "snom")
	if !ok || rest == "" || len(s) > maxModelName || alnumPrefix(rest) != rest {
		return fmt.Errorf("%.40q is no model: models look like snomD785", s)
	}
	return nil
}

// alnumPrefix gives the leading ASCII letters and digits of s.
func alnumPrefix(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || '9' < c) && (c < 'A' || 'Z' < c) && (c < 'a' || 'z' < c) {
			return s[:i]
		}
	}
	return s
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func cutSuffixFold(s, suffix string) (string, bool) {
	n := len(s) - len(suffix)
	if n < 0 || !strings.EqualFold(s[n:], suffix) {
		return s, false
	}
	return s[:n], true
}
