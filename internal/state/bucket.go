package state

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// metaBucket has the version of each of the other buckets, by name, and what
// else they keep beside.
var metaBucket = []byte("meta")

// ErrVersion says that a bucket is of a version that this program does not know.
var ErrVersion = errors.New("of a version that this program does not know")

// Bucket makes a bucket where it is missing. One of another version is refused,
// with ErrVersion, and left as it is. In a database that was opened read-only
// nothing is made.
func Bucket(db *bbolt.DB, name []byte, version string) error {
	known := false
	err := db.View(func(tx *bbolt.Tx) error {
		meta := Meta(tx)
		if meta == nil {
			return nil
		}
		v := meta.Get(name)
		known = v != nil
		if known && string(v) != version {
			return fmt.Errorf("the %s are %w (%.20q, and it knows %s alone)", name, ErrVersion, v, version)
		}
		return nil
	})
	if err != nil || known || db.IsReadOnly() {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
		return meta.Put(name, []byte(version))
	})
}

// Meta is the bucket in which parts keep what is none of their records, nil in a
// new database that was opened read-only. The names of buckets are taken.
func Meta(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket(metaBucket) }
