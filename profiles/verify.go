package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"dialtone/internal/mac"
	"dialtone/internal/phonefile"
)

// What the phones will ask for is rendered, and read again as strictly as it can
// be read: a phone drops a file that it cannot read, and falls silent. What fails
// here is a fault of the writers: files of the admin's own are looked at where they
// are. It takes the way of Render, past the cache, on all processors.

// onAllProcessors does n things, each by its number.
func onAllProcessors(n int, do func(i int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}

// inOrder does a thing for each item, and hands what came of it on in their order.
func inOrder[T, R any](items []T, do func(T) R, next func(T, R)) {
	const together = 256 // so that the results of all never stand beside one another
	for some := range slices.Chunk(items, together) {
		results := make([]R, len(some))
		onAllProcessors(len(some), func(i int) { results[i] = do(some[i]) })
		for i, item := range some {
			next(item, results[i])
		}
	}
}

// tried is what the layers of one phone say, and what is wrong with the phone's own
// file that is made of them.
type tried struct {
	layers []layer        // weakest first
	own    layer          // all of them
	read   []*checkedFile // its documents
	diags  hcl.Diagnostics
	fault  error
}

// tryPhones tries the layers of each phone, and hands them on in the order of the
// configuration.
func (l *loader) tryPhones(next func(*phone, tried)) {
	// Thousands of phones with thousands of contacts each would take minutes. What
	// their books have in common is checked in full where it is a general file's.
	const entries, least = 10_000, 5
	sample := max(least, entries/max(1, len(l.set.phones)))

	inOrder(l.set.phones, func(p *phone) tried { return l.tryPhone(p, sample) }, func(p *phone, t tried) {
		next(p, t)
		if t.fault != nil {
			d := errorAt(p.rng, "Document that a phone cannot read", "%v.", t.fault)
			d.Extra = forPhone{phone: p.where}
			l.unreadable = append(l.unreadable, d)
		}
	})
}

// tryPhone evaluates the layers of a phone, and renders its own file from them.
// Where the configuration leaves the model to be learned, the file is that of the
// likely one, for which they are evaluated again.
func (l *loader) tryPhone(p *phone, entries int) tried {
	var t tried
	t.layers, t.diags = l.set.ownLayers(p, Model{}, l.set.Server(p.Model, l.server.Address))
	t.own = merge(t.layers)
	t.read = l.readAll(t.own.files)
	model := cmp.Or(p.Model, l.set.ModelHint(p.MAC))
	if l.problems.errors || t.diags.HasErrors() || model == "" {
		return t
	}
	var own func() (layer, hcl.Diagnostics)
	if p.Model != "" {
		own = func() (layer, hcl.Diagnostics) { return t.own, nil }
	}
	t.fault = l.readable(Path{Kind: Own, Model: model, MAC: p.MAC}, model, entries, own)
	return t
}

// verify tries what all phones of a model get, and says what was found wrong with
// phones' own files. What cannot be evaluated cannot be rendered.
func (l *loader) verify() {
	if l.problems.errors {
		return
	}
	for _, model := range l.set.ModelsInUse() {
		rng := hcl.Range{Filename: "builtin/models.csv", Start: hcl.InitialPos, End: hcl.InitialPos}
		if b, ok := l.set.models.get(model); ok {
			rng = b.rng
		} else if len(l.set.general) > 0 {
			rng = l.set.general[0].rng
		}
		paths := l.set.Documents(mac.Addr{}, model, l.set.Server(model, l.server.Address))
		faults := make([]error, len(paths))
		onAllProcessors(len(paths), func(i int) { faults[i] = l.readable(paths[i], model, 0, nil) })
		for _, fault := range faults {
			if fault != nil {
				l.fail(rng, "Document that a phone cannot read", "%v.", fault)
			}
		}
	}
	l.problems.add(l.unreadable)
}

// readable reports what a phone would mind in a document, of whose phone's own
// book it reads so many entries, 0 for all. own gives what that phone's layers say,
// where they were evaluated already. That there is no document is no fault.
func (l *loader) readable(path Path, model string, entries int, own func() (layer, hcl.Diagnostics)) error {
	s := l.set
	r := Request{Path: path, MAC: path.MAC, Model: model, Server: s.Server(model, l.server.Address), Reveal: true}
	key, err := s.documentKey(r)
	if err != nil {
		return nil
	}
	key.entries = entries
	t := s.draft(key)
	if own != nil {
		t.own = own
	}
	d, err := t.document(r)
	if err != nil || d.byAdmin {
		return nil
	}
	if err := checkReadable(d.Body); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
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
