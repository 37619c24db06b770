package main

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
	"dialtone/profiles"
	"dialtone/provision"
)

// side is a phone as documents set it.
type side struct {
	phonefile.Memory
	images   []phonefile.Link
	versions []phonefile.Version
	modules  []phonefile.Link
	phrases  map[string][]phonefile.Phrase // by the path of the language's file
	others   map[string][]byte             // by path: what sets nothing that is known here
	links    []string                      // to files of others, and to those that are no documents
	seen     map[string]bool               // slots that were opened
	local    netip.Addr                    // by which the phone reaches the appliance
	// open gives the document at a path, nil for none.
	open func(path profiles.Path) ([]byte, error)
	err  error // the first
}

func newSide(local netip.Addr, open func(path profiles.Path) ([]byte, error)) *side {
	return &side{phrases: map[string][]phonefile.Phrase{}, others: map[string][]byte{}, seen: map[string]bool{}, local: local, open: open}
}

// fetch opens the document at a path, sets what it says, and gives what it links.
func (s *side) fetch(path profiles.Path) []phonefile.Link {
	if s.err != nil || s.seen[path.Slot()] {
		return nil
	}
	s.seen[path.Slot()] = true
	body, err := s.open(path)
	if err != nil || body == nil {
		s.err = err
		return nil
	}
	f, err := s.ApplyFile(body)
	ours := path.Kind.String() != ""
	if err != nil || len(f.Plans) > 0 || !ours && f.Summary() == "" {
		// A phone drops it, or it is for something that reads files of its own kind.
		s.others[path.String()] = body
	}
	if err != nil {
		return nil
	}
	if len(f.Versions) == 0 {
		s.images = append(s.images, f.Images...)
	}
	s.versions, s.modules = append(s.versions, f.Versions...), append(s.modules, f.Modules...)
	if len(f.Phrases) > 0 {
		s.phrases[path.String()] = f.Phrases
	}
	return f.Links
}

// follow opens what a link of a document of ours names. Whatever else it names is
// kept as a link.
func (s *side) follow(set *profiles.Set, link string) []phonefile.Link {
	u, err := phonefile.ParseURL(link)
	if err != nil {
		s.links = append(s.links, link)
		return nil
	}
	if host, err := netip.ParseAddr(u.Hostname()); err != nil || host.Unmap() != s.local.Unmap() {
		s.links = append(s.links, link)
		return nil
	}
	path, err := set.ParsePath(u.Path, u.RawQuery)
	if err != nil || path.Kind == profiles.File || path.Kind == profiles.Firmware {
		s.links = append(s.links, u.RequestURI())
		return nil
	}
	return s.fetch(path)
}

// boot takes the phone through its files as it does itself at a start; a phone that
// asks for no container, but for these documents, through these.
func (s *side) boot(set *profiles.Set, p *seenPhone, server string, direct []string) error {
	for _, path := range direct {
		if parsed, err := set.ParsePath(path, ""); err == nil {
			s.fetch(parsed)
		}
	}
	if len(direct) > 0 {
		return s.err
	}
	requests, err := phonefile.RequestsOf(server, p.Model, p.MAC)
	if err != nil {
		return err
	}
	err = phonefile.Walk(requests, func(_, url string) ([]phonefile.Link, bool) {
		return s.follow(set, phonefile.ExpandMAC(url, p.MAC)), s.err == nil
	})
	if errors.Is(err, phonefile.ErrTooManyLinks) {
		err = nil // a phone leaves it at that
	}
	return cmp.Or(s.err, err)
}

// languages opens the files of the languages that the phone is set to.
func (s *side) languages(set *profiles.Set, also func(path profiles.Path) bool) error {
	for _, l := range slices.Clone(s.Languages) {
		chosen := s.Setting("language")
		if l.For == "web" {
			chosen = s.Setting("web_language")
		}
		u, err := phonefile.ParseURL(l.URL)
		if err != nil {
			continue // a value all the same
		}
		path, err := set.ParsePath(u.Path, "")
		if err == nil && (path.Kind == profiles.GUIPhrases || path.Kind == profiles.WebPhrases) && (l.Name == chosen || also(path)) {
			s.fetch(path)
		}
	}
	return s.err
}

// sides makes the phone twice: of what it last got, and of what it would get now,
// by the walk that phones take through their files.
func sides(desk *provision.Desk, set *profiles.Set, p *seenPhone, seal func(string) string) (before, after *side, notes []string, err error) {
	asked := func(path profiles.Path) bool { _, ok := p.Documents[path.Slot()]; return ok }
	never := len(p.Documents) == 0
	server := set.Server(p.Model, p.Local).URL + "/"
	first, one := p.Documents[profiles.ModelContainer.String()], p.Documents[profiles.MACContainer.String()]
	var direct []string
	switch {
	case one.Asked.After(first.Asked):
		server += "{mac}.xml" // such a phone asks for one file alone
	case first.Path == "" && !never:
		for kind := range profiles.Kinds() {
			if d, ok := p.Documents[kind.String()]; ok {
				direct = append(direct, d.Path)
			}
		}
	}

	now := map[string][]byte{} // by revision
	view := asSeen(p.Phone)
	after = newSide(p.Local, func(path profiles.Path) ([]byte, error) {
		view.Path = path.String()
		answer, err := desk.Render(view)
		if refusal, ok := errors.AsType[*provision.Refusal](err); ok && refusal.Status != 503 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		defer answer.Content.Close()
		body := answer.Seal(seal)
		now[answer.Revision()] = body
		return body, nil
	})
	if err := after.boot(set, p, server, direct); err != nil {
		return before, after, nil, err
	}
	if err := after.languages(set, asked); err != nil {
		return before, after, nil, err
	}
	status := profiles.Path{Kind: profiles.FirmwareStatus, Model: p.Model}
	if never || asked(status) || after.Setting("update_policy") == "auto_update" { // else it asks for settings alone
		after.fetch(status)
	}
	extras := slices.Concat(set.Extras(p.MAC), set.Extras(mac.Addr{}))
	for _, path := range extras {
		if asked(path) || never && !path.MAC.IsZero() {
			after.fetch(path)
		}
	}
	if after.err != nil {
		return before, after, nil, after.err
	}

	before = newSide(p.Local, func(path profiles.Path) ([]byte, error) {
		d := p.Documents[path.Slot()]
		if d.Revision == "" {
			return nil, nil
		}
		if body := p.Got[path.Slot()]; body != nil {
			return body, nil
		}
		if body := now[d.Revision]; body != nil {
			return body, nil
		}
		notes = append(notes, fmt.Sprintf("%s was too large to be kept: all of it shows as new", d.Path))
		return nil, nil
	})
	if err := before.boot(set, p, server, direct); err != nil {
		return before, after, nil, err
	}
	if err := before.languages(set, asked); err != nil {
		return before, after, nil, err
	}
	before.fetch(status)
	for slot, d := range p.Documents {
		// The configuration of today may not know the path any more.
		if strings.HasPrefix(slot, "/") && !before.seen[slot] {
			if path, err := set.ParsePath(d.Path, ""); err == nil && path.Kind == profiles.Extra {
				before.fetch(path)
			}
		}
	}
	return before, after, notes, before.err
}

// sizeAndHash stands for a document whose values are not known.
func sizeAndHash(body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf("%d bytes, %x", len(body), sum[:4])
}
