package profiles

import (
	"slices"
	"strings"
)

// upload is a file that the phone stores to change its looks, menus or
// defaults: an entry of <uploads> (service.snom.com, "<uploads> tag").
type upload struct {
	kind   string // "gui", "gui_xml_state_settings", …
	url    value
	file   string // under files_dir, "" where it is elsewhere
	source source
}

// uploadKinds are the types that the maker's page lists. Those of single screens
// (gui_xml_…) are many, and more with each firmware.
var uploadKinds = []string{"defaults", "font", "gui", "license", "moh", "parammap", "qml", "web"}

const uploadScreen = "gui_xml_"

func (e *evaluator) upload(b named) {
	if !strings.HasPrefix(b.label, uploadScreen) && !slices.Contains(uploadKinds, b.label) {
		e.fail(b.rng, "Unknown upload", "Phones know no upload of type %q.%s The types are %s, and %s… for a screen.",
			b.label, didYouMean(b.label, uploadKinds), strings.Join(uploadKinds, ", "), uploadScreen)
		return
	}
	if !isSettingName(b.label) {
		e.fail(b.rng, "Unknown upload", "%q is no type of upload: types have ASCII letters, digits and underscores.", b.label)
		return
	}
	text, ok := e.text(b.attrs, "url")
	if !ok {
		return
	}
	u := upload{kind: b.label, source: e.source(b.rng)}
	if u.url, u.file, ok = e.link(text, b.attrs["url"].Expr.Range()); !ok {
		return
	}
	for _, other := range e.out.uploads {
		if other.kind == u.kind {
			e.fail(b.rng, "Duplicate upload", "This layer has an upload of type %s already, at %s.", u.kind, at(other.source.rng))
			return
		}
	}
	e.out.uploads = append(e.out.uploads, u)
}

func (w *xmlWriter) uploads(list []upload) {
	if len(list) == 0 {
		return
	}
	w.open("uploads")
	for _, u := range list {
		w.empty("file", attr{"url", u.url}, plain("type", u.kind))
	}
	w.close("uploads")
}
