package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"dialtone/internal/mac"
	"dialtone/internal/state"
)

// version is of the records in the store. Another one is refused.
const version = "2"

var leaseBucket = []byte("leases")

// Store keeps leases in a bbolt database: in the bucket "leases", the four
// octets of an address to its record. It publishes what it has written to its
// View. One goroutine writes.
//
// Of a write whose last sync failed nobody knows whether it is on the disk:
// ErrUnsure. The next first makes sure that it is, since it may put its pages
// where those were that counted before, and then also writes what was before. A
// write that failed earlier has changed nothing: bbolt changes no page in place
// that counts.
type Store struct {
	db    *bbolt.DB
	view  *View
	clock *clock

	failed atomic.Pointer[error] // of the last write, nil where it went well
	retry  time.Duration         // uptime before which no other is tried
	// doubt has what addresses were before changes that failed, nil for nothing.
	doubt  map[netip.Addr]*Lease
	unsure bool // what counts in memory may not be what counts on the disk
}

// ErrUnsure says that changes may be in the store although writing them failed.
var ErrUnsure = errors.New("they may be written all the same")

// retryEvery is how often a store that cannot be written is tried again. A
// renewal that needs no write does not wait for that.
const retryEvery = time.Second

// fillPercent is how full a page of the database is when it is split. New leases
// come in the order of their addresses, so that pages which are split in the
// middle, as they are otherwise, would stay half empty.
const fillPercent = 0.95

// Open prepares the store in a database that the caller opened and closes. A
// database that has leases of a version other than this program's is refused and
// left as it is. One that was opened read-only serves Load alone.
func Open(db *bbolt.DB, read Reading) (*Store, error) {
	if err := state.Bucket(db, leaseBucket, version); errors.Is(err, state.ErrVersion) {
		return nil, fmt.Errorf("opening leases: %w: carry them over with dialtone leases export and import", err)
	} else if err != nil {
		return nil, fmt.Errorf("opening leases: %w", err)
	}
	c := newClock(read)
	return &Store{db: db, view: newView(c), clock: c, doubt: map[netip.Addr]*Lease{}}, nil
}

// Now is the time that leases run by: see Lease.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Time gives a time of the wall clock as leases have it. The zero one stays.
func (s *Store) Time(wall Time) Time {
	if wall == 0 {
		return 0
	}
	return wall.Add(-s.clock.now.Load().offset)
}

// Failing says why the store cannot be written, nil where it can.
func (s *Store) Failing() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// View gives what other goroutines may read.
func (s *Store) View() *View { return s.view }

// Load reads every lease, and publishes them. A record that cannot be read is
// in the error; its address, which somebody may have, is kept from everyone
// for a day. The leases are whole whatever the error says.
func (s *Store) Load() ([]Lease, error) {
	var leases []Lease
	var bad []error
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(leaseBucket)
		if b == nil {
			return nil // new, and opened read-only
		}
		s.clock.load(state.Meta(tx))
		now, classes := s.clock.Now(), texts{}
		return b.ForEach(func(k, v []byte) error {
			addr, ok := netip.AddrFromSlice(k)
			if !ok || !addr.Is4() {
				bad = append(bad, fmt.Errorf("record of %x, which is no address", k))
				return nil
			}
			l, err := decode(addr, v)
			if err != nil {
				bad = append(bad, fmt.Errorf("record of %v: %w", addr, err))
				l = Lease{Addr: addr, State: Declined, Start: TimeOf(now), Expiry: TimeOf(now.Add(24 * time.Hour))}
				l.Recorded = l.Expiry
			}
			l.VendorClass = classes.one(l.VendorClass)
			leases = append(leases, l)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	for i := range leases {
		s.view.byAddr.put(leases[i].Addr.As4(), &leases[i])
	}
	if bad != nil {
		return leases, fmt.Errorf("reading leases: %w", errors.Join(bad...))
	}
	return leases, nil
}

// Write makes the changes durable that have to be, in one transaction that is
// on the disk when it returns. Where it fails, the error may be ErrUnsure. With
// nothing to write it does nothing, but for a
// jump of the wall clock that has to be kept.
func (s *Store) Write(changes []Change) error {
	n := 0
	for _, c := range changes {
		if c.Write {
			n++
		}
	}
	s.clock.follow()
	failed := s.Failing()
	if n == 0 && !s.clock.unsaved && failed == nil {
		return nil
	}
	_, up := s.clock.read()
	if failed != nil && up < s.retry {
		if n == 0 {
			return nil
		}
		return fmt.Errorf("writing %d leases: not tried again yet: %w", n, failed)
	}
	before := s.commit()
	err := s.write(changes)
	if err != nil {
		s.retry = up + retryEvery
		s.failed.Store(&err)
		if s.commit() == before {
			return fmt.Errorf("writing %d leases: %w", n, err)
		}
		for _, c := range changes {
			if _, ok := s.doubt[c.After.Addr]; c.Write && !ok {
				s.doubt[c.After.Addr] = c.Before
			}
		}
		s.unsure = true
		return fmt.Errorf("writing %d leases: %w; %w", n, err, ErrUnsure)
	}
	s.unsure = false
	s.failed.Store(nil)
	clear(s.doubt)
	s.clock.unsaved = false
	return nil
}

// Mark keeps the time that leases have run to, so that they do not start over
// where the next start has no clock.
func (s *Store) Mark() error {
	s.clock.unsaved = true
	return s.Write(nil)
}

// commit numbers the commit that counts in memory.
func (s *Store) commit() (id int) {
	_ = s.db.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id
}

// confirm makes what counts in memory count on the disk, by writing the two
// pages again that say so.
func (s *Store) confirm() error {
	f, err := os.OpenFile(s.db.Path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	meta := make([]byte, 2*s.db.Info().PageSize)
	if _, err := f.ReadAt(meta, 0); err != nil {
		return err
	}
	if _, err := f.WriteAt(meta, 0); err != nil {
		return err
	}
	return f.Sync()
}

func (s *Store) write(changes []Change) error {
	if s.unsure {
		if err := s.confirm(); err != nil {
			return fmt.Errorf("writing the last commit again: %w", err)
		}
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(leaseBucket)
		b.FillPercent = fillPercent
		for addr, l := range s.doubt {
			key := addr.As4()
			var err error
			if l == nil {
				err = b.Delete(key[:])
			} else {
				err = b.Put(key[:], encode(l))
			}
			if err != nil {
				return err
			}
		}
		for _, c := range changes {
			if !c.Write {
				continue
			}
			key := c.After.Addr.As4()
			if err := b.Put(key[:], encode(c.After)); err != nil {
				return err
			}
		}
		return s.clock.save(state.Meta(tx))
	})
}

// Publish shows changes to the readers of the View. The caller has written
// those that had to be.
func (s *Store) Publish(changes []Change) {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	for _, c := range changes {
		s.view.byAddr.put(c.After.Addr.As4(), c.After)
	}
}

// A record is the state, the MAC, start and expiry in seconds since 1970, then
// client identifier, host name, vendor class and relay information, each behind
// its length.
const fixed = 1 + 6 + 8 + 8

// maxSecond is later than any lease ends.
const maxSecond = 1 << 40

func encode(l *Lease) []byte {
	b := make([]byte, 0, fixed+4+len(l.ClientID)+len(l.HostName)+len(l.VendorClass)+len(l.RelayInfo))
	b = append(b, byte(l.State))
	b = append(b, l.MAC[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Start/1000))
	// Rounded up: the record must not end before the lease does.
	b = binary.BigEndian.AppendUint64(b, uint64(second(l.Recorded)))
	for _, s := range []string{l.ClientID, l.HostName, l.VendorClass, l.RelayInfo} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b
}

func decode(addr netip.Addr, b []byte) (Lease, error) {
	if len(b) < fixed {
		return Lease{}, fmt.Errorf("%d octets are too few", len(b))
	}
	l := Lease{
		Addr:  addr,
		State: State(b[0]),
		MAC:   mac.Addr(b[1:7]),
	}
	for i, t := range []*Time{&l.Start, &l.Expiry} {
		s := int64(binary.BigEndian.Uint64(b[7+8*i:]))
		if s < 0 || s > maxSecond {
			return Lease{}, fmt.Errorf("a time of %d seconds", s)
		}
		*t = Time(s * 1000)
	}
	l.Recorded = l.Expiry
	if l.State < Leased || l.State > Declined {
		return Lease{}, fmt.Errorf("unknown state %d", b[0])
	}
	b = b[fixed:]
	for _, s := range []*string{&l.ClientID, &l.HostName, &l.VendorClass, &l.RelayInfo} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return Lease{}, errors.New("ends within a text")
		}
		end := 1 + int(b[0]) // 256 at most, which is no byte
		*s = string(b[1:end])
		b = b[end:]
	}
	if len(b) != 0 {
		return Lease{}, fmt.Errorf("%d octets too many", len(b))
	}
	return l, nil
}
