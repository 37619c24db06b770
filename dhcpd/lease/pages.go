package lease

import "encoding/binary"

// pages finds values by IPv4 address. Networks give their addresses out one after
// the other, so those of a /28 stand in one page: that is half of what an index
// takes, and no search. A page is small, since clients that may name any address
// may have a page each.
type pages[V any] struct {
	of map[uint32]*page[V]
	n  int
}

type page[V any] [1 << pageBits]*V

const pageBits = 4

func newPages[V any]() pages[V] { return pages[V]{of: map[uint32]*page[V]{}} }

// slot gives where the value of an address stands: the key of its page, and the
// index there.
func slot(a [4]byte) (key, index uint32) {
	n := binary.BigEndian.Uint32(a[:])
	return n >> pageBits, n % (1 << pageBits)
}

// get gives the value of an address, nil where there is none.
func (p *pages[V]) get(a [4]byte) *V {
	k, i := slot(a)
	if page := p.of[k]; page != nil {
		return page[i]
	}
	return nil
}

// put makes v, which is not nil, the value of an address.
func (p *pages[V]) put(a [4]byte, v *V) {
	k, i := slot(a)
	in := p.of[k]
	if in == nil {
		in = new(page[V])
		p.of[k] = in
	}
	if in[i] == nil {
		p.n++
	}
	in[i] = v
}

// remove takes the value of an address out, if there is one.
func (p *pages[V]) remove(a [4]byte) {
	k, i := slot(a)
	in := p.of[k]
	if in == nil || in[i] == nil {
		return
	}
	p.n--
	if in[i] = nil; *in == (page[V]{}) {
		delete(p.of, k)
	}
}

// beside gives the page of an address: its value, and those of its neighbours, nil
// where there is none. It is the table's own.
func (p *pages[V]) beside(a [4]byte) []*V {
	k, _ := slot(a)
	if page := p.of[k]; page != nil {
		return page[:]
	}
	return nil
}

// all yields each value, in no order.
func (p *pages[V]) all(yield func(*V) bool) {
	for _, page := range p.of {
		for _, v := range page {
			if v != nil && !yield(v) {
				return
			}
		}
	}
}
