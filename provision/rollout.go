package provision

import (
	"net/url"

	"dialtone/internal/mac"
	"dialtone/profiles"
)

// Rollouts says which phones may load new firmware now.
type Rollouts interface {
	// Firmware hears of a request and gives the reason why the phone has to wait
	// for firmware, "" where it has not.
	Firmware(q FirmwareQuestion) (hold string)
	// Image says how an image under firmware/ is sent to a phone, which is zero
	// where nobody can tell.
	Image(name string, phone mac.Addr) ImageTerms
}

// FirmwareQuestion is a request as far as the phone's firmware goes.
type FirmwareQuestion struct {
	Request profiles.Request
	Known   bool // the configuration names the phone, or the witness knows it
	Silent  bool // it does not say what it runs: the request has what it was last seen with, if anything
	Asks    bool // for its firmware; else it asks for something else, and says what it runs
	Preview bool // nobody asked: nothing is to change
}

// ImageTerms say how an image is sent.
type ImageTerms struct {
	Pace *Pace  // nil: as fast as it goes
	Sent func() // to be told when the phone has all of it; nil: nobody wants to know
}

// askRollouts completes a request with what the rollouts say of it. Of about, Known
// says whether a witness knows the phone.
func (d *Desk) askRollouts(set documents, q *profiles.Request, about FirmwareQuestion) {
	if d.rollouts == nil || q.Path.Kind == profiles.Firmware || q.Path.Kind == profiles.File {
		return
	}
	about.Asks = q.Path.Kind == profiles.FirmwareStatus
	if about.Preview && !about.Asks {
		return
	}
	if !about.Known && !q.MAC.IsZero() {
		_, about.Known = set.Phone(q.MAC)
	}
	q.HasFile = d.hasFile
	about.Request = *q
	q.Hold = d.rollouts.Firmware(about)
}

// imageTerms completes the answer with an image.
func (d *Desk) imageTerms(a *Answer, q profiles.Request, rawQuery string) {
	if d.rollouts == nil || q.Path.Kind != profiles.Firmware {
		return
	}
	who := q.MAC
	if who.IsZero() {
		// What a loader asks for has the MAC in its query, where the document put it.
		if values, err := url.ParseQuery(rawQuery); err == nil {
			who, _ = mac.Parse(values.Get("mac"))
		}
	}
	a.ImageTerms = d.rollouts.Image(q.Path.Name, who)
}
