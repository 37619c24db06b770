package register

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// version is of the records. Another one is refused.
const version = "1"

var (
	phoneBucket    = []byte("phones")
	documentBucket = []byte("documents") // by revision, sealed and deflated
)

// The disk is written at most every majorEvery, or minorEvery where only times
// and counts changed, in transactions of batchPhones with a pause between them: a commit of leases waits for one of these at most.
const (
	majorEvery  = 10 * time.Second
	minorEvery  = 15 * time.Minute
	pause       = 250 * time.Millisecond
	retryAfter  = time.Minute
	batchPhones = 32
	maxDocument = 1 << 20 // deflated; a larger one is not kept
)

// Open reads the register of a database, which the caller opened and closes.
// One of another version is refused and left as it is.
func Open(db *bbolt.DB, log *slog.Logger) (*Register, error) {
	r := &Register{
		db: db, log: log, wake: make(chan struct{}, 1),
		phones: map[mac.Addr]*entry{}, refs: map[string]int{}, pending: map[string]func() []byte{},
		stored: map[string]bool{}, unused: map[string]bool{}, gone: map[mac.Addr]bool{},
	}
	for _, bucket := range [][]byte{phoneBucket, documentBucket} {
		if err := state.Bucket(db, bucket, version); err != nil {
			return nil, fmt.Errorf("opening the register of phones: %w", err)
		}
	}
	var bad []error
	err := db.View(func(tx *bbolt.Tx) error {
		phones, documents := tx.Bucket(phoneBucket), tx.Bucket(documentBucket)
		if phones == nil || documents == nil {
			return nil // new, and opened read-only
		}
		err := phones.ForEach(func(key, record []byte) error {
			p, err := decode(key, record)
			if err != nil {
				bad = append(bad, err)
				return nil
			}
			e := &entry{Phone: p, warned: p.Weaker}
			if p.Proven {
				e.proven = p.LastSeen
			}
			r.phones[p.MAC] = e
			r.count(e, 1)
			for _, d := range p.Documents {
				if d.Revision != "" {
					r.refs[d.Revision]++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return documents.ForEach(func(revision, _ []byte) error {
			r.stored[string(revision)] = true
			if r.refs[string(revision)] == 0 {
				r.unused[string(revision)] = true
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("opening the register of phones: %w", err)
	}
	if bad != nil {
		log.Warn("records of phones cannot be read: they are known again when they ask", "err", errors.Join(bad...))
	}
	return r, nil
}

// Run writes what changes until ctx ends, and then the rest.
func (r *Register) Run(ctx context.Context) error {
	late := time.NewTicker(minorEvery)
	defer late.Stop()
	for {
		least, wait := minor, time.Duration(0)
		select {
		case <-ctx.Done():
			return r.Flush(minor)
		case <-r.wake:
			least, wait = major, majorEvery
		case <-late.C:
		}
		if !sleep(ctx, wait) {
			continue
		}
		if err := r.write(ctx, least); err != nil {
			r.log.Error("the register of phones is not written", "err", err)
			sleep(ctx, retryAfter)
			r.wakeUp()
		}
	}
}

// sleep reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Flush writes all changes of at least the given weight now.
func (r *Register) Flush(least change) error {
	for {
		if more, err := r.step(least); err != nil || !more {
			return err
		}
	}
}

func (r *Register) write(ctx context.Context, least change) error {
	for {
		if more, err := r.step(least); err != nil || !more {
			return err
		}
		if !sleep(ctx, pause) {
			return nil // the rest is for the end
		}
	}
}

// batch is one transaction.
type batch struct {
	records   map[mac.Addr][]byte
	changes   map[mac.Addr]change // that the records take to the disk
	contents  map[string]func() []byte
	documents map[string][]byte // what comes of contents; nil for one that is too large
	gone      []mac.Addr
	unused    []string
}

// step writes a part of what changed, and reports whether there is more.
func (r *Register) step(least change) (more bool, err error) {
	b, more, err := r.collect(least)
	if err != nil || len(b.records)+len(b.gone)+len(b.unused) == 0 {
		return false, err
	}
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		return false, err
	}
	for revision, content := range b.contents {
		b.documents[revision], err = pack(w, content())
		if err != nil {
			break
		}
	}
	if err == nil {
		err = r.db.Update(b.write)
	}
	r.settle(b, err)
	if err != nil {
		return false, fmt.Errorf("writing %d phones: %w", len(b.records), err)
	}
	return more, nil
}

// collect takes what the next transaction writes.
func (r *Register) collect(least change) (b batch, more bool, err error) {
	b = batch{
		records: map[mac.Addr][]byte{}, changes: map[mac.Addr]change{},
		contents: map[string]func() []byte{}, documents: map[string][]byte{},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for m, e := range r.phones {
		if e.change < least {
			continue
		}
		if len(b.records) >= batchPhones {
			return b, true, nil
		}
		record, err := json.Marshal(e.Phone)
		if err != nil {
			return b, false, fmt.Errorf("encoding the record of %s: %w", m, err)
		}
		b.records[m], b.changes[m] = record, e.change
		e.change = unchanged
		for _, d := range e.Documents {
			if content := r.pending[d.Revision]; content != nil {
				b.contents[d.Revision] = content
			}
		}
	}
	// Only now does no record on the disk name them any more.
	for m := range r.gone {
		b.gone = append(b.gone, m)
	}
	clear(r.gone)
	for revision := range r.unused {
		b.unused = append(b.unused, revision)
		delete(r.stored, revision)
	}
	clear(r.unused)
	return b, false, nil
}

func (b batch) write(tx *bbolt.Tx) error {
	phones, documents := tx.Bucket(phoneBucket), tx.Bucket(documentBucket)
	for m, record := range b.records {
		if err := phones.Put(m[:], record); err != nil {
			return err
		}
	}
	for revision, body := range b.documents {
		if len(body) > 0 {
			if err := documents.Put([]byte(revision), body); err != nil {
				return err
			}
		}
	}
	for _, m := range b.gone {
		if err := phones.Delete(m[:]); err != nil {
			return err
		}
	}
	for _, revision := range b.unused {
		if err := documents.Delete([]byte(revision)); err != nil {
			return err
		}
	}
	return nil
}

// settle notes what became of a batch. What changed meanwhile stays to be
// written.
func (r *Register) settle(b batch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		for m, c := range b.changes {
			if e := r.phones[m]; e != nil {
				e.change = max(e.change, c)
			}
		}
		for _, m := range b.gone {
			if r.phones[m] == nil {
				r.gone[m] = true
			}
		}
		for _, revision := range b.unused {
			r.stored[revision] = true
			if r.refs[revision] == 0 {
				r.unused[revision] = true
			}
		}
		return
	}
	for revision, body := range b.documents {
		delete(r.pending, revision)
		if len(body) > 0 {
			r.stored[revision] = true
		}
		if r.refs[revision] == 0 {
			r.unused[revision] = true
		}
	}
}

// pack deflates a document, to nothing where it would be too large.
func pack(w *flate.Writer, body []byte) ([]byte, error) {
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() > maxDocument {
		return nil, nil
	}
	return b.Bytes(), nil
}

func unpack(packed []byte) ([]byte, error) {
	const limit = 16 << 20
	return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), limit))
}
