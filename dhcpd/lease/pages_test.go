package lease

import (
	"testing"

	"pgregory.net/rapid"
)

// Pages are a map, whatever is put in and taken out, and there are none without a
// value.
func TestPagesAreAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, want := newPages[int](), map[[4]byte]*int{}
		few := rapid.SampledFrom([]byte{0, 1, 16, 255})
		for n := range rapid.IntRange(1, 80).Draw(t, "steps") {
			a := [4]byte{few.Draw(t, "a"), 0, few.Draw(t, "c"), few.Draw(t, "d")}
			if got := x.get(a); got != want[a] {
				t.Fatalf("%v: %v, want %v", a, got, want[a])
			}
			if rapid.Bool().Draw(t, "put") {
				want[a] = &n
				x.put(a, &n)
			} else {
				delete(want, a)
				x.remove(a)
			}
		}
		left := map[*int]bool{}
		for a, v := range want {
			left[v] = true
			if x.get(a) != v {
				t.Fatalf("%v: %v, want %v", a, x.get(a), v)
			}
		}
		for v := range x.all {
			if !left[v] {
				t.Fatalf("%v is not in it, or twice", *v)
			}
			delete(left, v)
		}
		used := map[[4]byte]bool{}
		for a := range want {
			a[3] &= 0xf0
			used[a] = true
		}
		if len(x.of) != len(used) {
			t.Fatalf("%d pages for values in %d", len(x.of), len(used))
		}
		if len(left) != 0 || x.n != len(want) {
			t.Fatalf("%d left out of %d, counted as %d", len(left), len(want), x.n)
		}
	})
}
