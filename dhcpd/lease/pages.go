package lease

// pages finds values by IPv4 address. Networks give their addresses out one after
// the other, so those of a /24 stand in one page: that is half of what an index
// takes, and no search.
type pages[V any] struct {
	of map[[3]byte]*[256]*V
	n  int
}

func newPages[V any]() pages[V] { return pages[V]{of: map[[3]byte]*[256]*V{}} }

// get gives the value of an address, nil where there is none.
func (p *pages[V]) get(a [4]byte) *V {
	if page := p.of[[3]byte(a[:3])]; page != nil {
		return page[a[3]]
	}
	return nil
}

// put makes v, which is not nil, the value of an address.
func (p *pages[V]) put(a [4]byte, v *V) {
	k := [3]byte(a[:3])
	page := p.of[k]
	if page == nil {
		page = new([256]*V)
		p.of[k] = page
	}
	if page[a[3]] == nil {
		p.n++
	}
	page[a[3]] = v
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
