package lease

import (
	"testing"

	"pgregory.net/rapid"
)

// Pages are a map, whatever is put in.
func TestPagesAreAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, want := newPages[int](), map[[4]byte]*int{}
		few := rapid.SampledFrom([]byte{0, 1, 255})
		for n := range rapid.IntRange(1, 50).Draw(t, "steps") {
			a := [4]byte{few.Draw(t, "a"), 0, few.Draw(t, "c"), few.Draw(t, "d")}
			if got := x.get(a); got != want[a] {
				t.Fatalf("%v: %v, want %v", a, got, want[a])
			}
			want[a] = &n
			x.put(a, &n)
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
		if len(left) != 0 || x.n != len(want) {
			t.Fatalf("%d left out of %d, counted as %d", len(left), len(want), x.n)
		}
	})
}
