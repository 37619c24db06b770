package lease

import "hash/maphash"

// index finds values by a key that they hold themselves. It costs a pointer for
// each, where a map would cost a second copy of the key besides: with as many
// leases as an office may have, that is a third of their memory. The keys of
// clients are their own words, so the hash is seeded.
//
// It is a table with open addressing and linear probing; a value that goes has
// those behind it move up. The key of a value must not change while it is in.
type index[K comparable, V any] struct {
	key   func(*V) K
	seed  maphash.Seed
	slots []*V // a power of two of them, three quarters taken at most
	n     int
}

func newIndex[K comparable, V any](key func(*V) K) index[K, V] {
	return index[K, V]{key: key, seed: maphash.MakeSeed(), slots: make([]*V, 8)}
}

// home is where a value with that key stands if nobody else does.
func (x *index[K, V]) home(k K) int {
	return int(maphash.Comparable(x.seed, k) & uint64(len(x.slots)-1))
}

func (x *index[K, V]) after(i int) int { return (i + 1) & (len(x.slots) - 1) }

// find gives the slot of a key: where its value stands, or would.
func (x *index[K, V]) find(k K) int {
	i := x.home(k)
	for x.slots[i] != nil && x.key(x.slots[i]) != k {
		i = x.after(i)
	}
	return i
}

// get gives the value with a key, nil where there is none.
func (x *index[K, V]) get(k K) *V { return x.slots[x.find(k)] }

// put adds a value, in the place of one with the same key.
func (x *index[K, V]) put(v *V) {
	i := x.find(x.key(v))
	if x.slots[i] == nil {
		if 4*(x.n+1) > 3*len(x.slots) {
			x.grow()
			i = x.find(x.key(v))
		}
		x.n++
	}
	x.slots[i] = v
}

func (x *index[K, V]) grow() {
	old := x.slots
	x.slots = make([]*V, 2*len(old))
	for _, v := range old {
		if v != nil {
			x.slots[x.find(x.key(v))] = v
		}
	}
}

// remove takes the value with a key out, if there is one.
func (x *index[K, V]) remove(k K) {
	hole := x.find(k)
	if x.slots[hole] == nil {
		return
	}
	x.n--
	for i := x.after(hole); x.slots[i] != nil; i = x.after(i) {
		// One whose home is behind the hole, as seen from where it stands, is found
		// without it.
		home := x.home(x.key(x.slots[i]))
		if between := hole <= i; between && (home <= hole || home > i) || !between && home <= hole && home > i {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = nil
}
