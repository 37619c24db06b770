package phonesim

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"dialtone/internal/mac"
)

// JoinServer makes a setting server's URL of options 66 and 67 as a phone
// does. A bare name or address in 66 means TFTP; a path in 67 is appended; a
// URL that is whole already (a query, or a {mac} to replace) stays alone. It
// is "" where 66 is.
func JoinServer(tftpServerName, bootFile string) string {
	server := strings.TrimSpace(tftpServerName)
	if server == "" {
		return ""
	}
	if !strings.Contains(server, "://") {
		server = "tftp://" + server
	}
	if bootFile == "" || strings.Contains(bootFile, "://") || strings.ContainsAny(server, "?{") {
		return server
	}
	return strings.TrimRight(server, "/") + "/" + strings.TrimLeft(bootFile, "/")
}

// Requests are the URLs that a phone asks its setting server for by itself.
type Requests struct {
	First    string
	Second   string // "" where the server's URL names one file for one phone
	Firmware string // used while the settings have no firmware_status
}

// RequestsOf makes the URLs of setting server for a phone:
//
//	setting server       first            second            firmware
//	http://h/dir/        /dir/T.htm       /dir/T-M.htm      /dir/T-firmware.htm
//	http://h/{mac}.xml   /M.xml                             /T-firmware.htm
//	http://h/d/conf.xml  /d/conf.xml      /d/conf-M.xml     /d/T-firmware.htm
//	http://h/dir         /dir             /dir-M            /T-firmware.htm
//	http://h/p?mac={mac} that URL                           /T-firmware.htm
//
// T is the model, M the MAC: twelve upper-case digits.
func RequestsOf(server, model string, m mac.Addr) (Requests, error) {
	u, err := parseURL(ExpandMAC(server, m))
	if err != nil {
		return Requests{}, err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	at := func(file, query string) string {
		v := *u
		v.Path, v.RawPath, v.RawQuery, v.Fragment = file, "", query, ""
		return v.String()
	}
	dir, file := path.Split(u.Path)
	r := Requests{Firmware: at(dir+model+"-firmware.htm", "")}
	switch {
	case strings.Contains(server, "{mac}"):
		r.First = at(u.Path, u.RawQuery)
	case file == "":
		r.First = at(dir+model+".htm", u.RawQuery)
		r.Second = at(dir+model+"-"+m.Hex()+".htm", u.RawQuery)
	default:
		ext := path.Ext(file)
		r.First = at(u.Path, u.RawQuery)
		r.Second = at(dir+strings.TrimSuffix(file, ext)+"-"+m.Hex()+ext, u.RawQuery)
	}
	return r, nil
}

// ExpandMAC replaces {mac}, and $mac as older firmware spells it, by twelve
// upper-case digits.
func ExpandMAC(s string, m mac.Addr) string {
	return strings.NewReplacer("{mac}", m.Hex(), "$mac", m.Hex()).Replace(s)
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("reading URL %.200q: %w", s, err)
	}
	switch u.Scheme {
	case "http", "https", "tftp":
	default:
		return nil, fmt.Errorf("URL %.200q is neither http, https nor tftp", s)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("URL %.200q names no host", s)
	}
	return u, nil
}
