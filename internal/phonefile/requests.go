package phonefile

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"dialtone/internal/mac"
)

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
	u, err := ParseURL(ExpandMAC(server, m))
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

// ParseURL reads a URL that a phone can fetch.
func ParseURL(s string) (*url.URL, error) {
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

const (
	maxFiles   = 64 // that a phone's containers may list, all in all
	maxNesting = 4  // containers in containers
)

// ErrTooManyLinks is why Walk ended early.
var ErrTooManyLinks = fmt.Errorf("the containers list more than %d files, or each other more than %d deep", maxFiles, maxNesting)

// Walk takes a phone through its files in the order in which it applies them:
// the first and the second file, and only then what the containers among them
// link, in the order of the lists (so that settings which stand in the second
// file itself lose to a general file that the first one links). open fetches
// and applies a file, and gives the links in it; it reports whether to go on.
func Walk(r Requests, open func(what, url string) (links []Link, more bool)) error {
	type queued struct {
		url   string
		depth int
	}
	var queue []queued
	push := func(links []Link, depth int) {
		for _, l := range links {
			queue = append(queue, queued{l.URL, depth})
		}
	}
	links, more := open("first file", r.First)
	push(links, 1)
	if r.Second != "" && more {
		links, more = open("second file", r.Second)
		push(links, 1)
	}
	for i := 0; i < len(queue) && more; i++ {
		if i == maxFiles || queue[i].depth > maxNesting {
			return ErrTooManyLinks
		}
		links, more = open("linked file", queue[i].url)
		push(links, queue[i].depth+1)
	}
	return nil
}
