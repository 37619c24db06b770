package profiles

import (
	"cmp"
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// verify renders what the phones will ask for, and reads it again as strictly as
// it can be read: a phone drops a file that it cannot read, and falls silent.
// What fails here is a fault of the writers: files of the admin's own were looked
// at where they are. It takes the way of Render, past the cache, on all processors.
func (l *loader) verify() {
	if l.problems.errors() {
		return // what cannot be evaluated cannot be rendered
	}
	type job struct {
		request Request
		phone   *phone // nil for a model
		rng     hcl.Range
	}
	var jobs []job
	add := func(path Path, model string, p *phone, rng hcl.Range) {
		r := Request{Path: path, MAC: path.MAC, Model: model, Server: l.set.Server(model, l.server.Address), Reveal: true}
		jobs = append(jobs, job{r, p, rng})
	}
	for _, model := range l.set.ModelsInUse() {
		rng := hcl.Range{Filename: "builtin/models.csv", Start: hcl.InitialPos, End: hcl.InitialPos}
		if b := l.set.models[strings.ToLower(model)]; b != nil {
			rng = b.rng
		} else if len(l.set.general) > 0 {
			rng = l.set.general[0].rng
		}
		for _, path := range l.set.Documents(mac.Addr{}, model, l.set.Server(model, l.server.Address)) {
			add(path, model, nil, rng)
		}
	}
	for _, p := range l.set.phones {
		if model := cmp.Or(p.Model, l.set.ModelHint(p.MAC)); model != "" {
			add(Path{Kind: Own, Model: model, MAC: p.MAC}, model, p, p.rng)
		}
	}

	// Thousands of phones with thousands of contacts each would take minutes. What
	// their books have in common is checked in full where it is a general file's.
	const entries, least = 10_000, 5
	sample := max(least, entries/max(1, len(l.set.phones)))

	faults := make([]error, len(jobs))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < len(jobs); i += workers {
				faults[i] = l.set.readable(jobs[i].request, sample)
			}
		})
	}
	wg.Wait()
	for i, err := range faults {
		if err == nil {
			continue
		}
		d := errorAt(jobs[i].rng, "Document that a phone cannot read", "%s: %v.", jobs[i].request.Path, err)
		if p := jobs[i].phone; p != nil {
			d.Extra = forPhone{phone: p.where}
		}
		l.problems.add(hcl.Diagnostics{d})
	}
}

// readable reports what a phone would mind in a document, of whose phone's own
// book it reads so many entries. That there is no document is no fault.
func (s *Set) readable(r Request, entries int) error {
	key, err := s.documentKey(r)
	if err != nil {
		return nil
	}
	key.entries = entries
	d, err := s.document(key, r)
	if err != nil || d.byAdmin {
		return nil
	}
	return checkReadable(d.Body)
}

// checkReadable tells the first that is odd in a document: its line, and what.
func checkReadable(body []byte) error {
	_, odd, err := phonefile.Strict("", body)
	if err != nil {
		return err
	}
	if len(odd) > 0 {
		return errors.New(odd[0].String())
	}
	return nil
}
