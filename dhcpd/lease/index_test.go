package lease

import (
	"testing"

	"pgregory.net/rapid"
)

// An index is a map, whatever is put in and taken out. The keys are few, so
// that values meet.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	type value struct{ key, n int }
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(func(v *value) int { return v.key })
		want := map[int]*value{}
		for n := range rapid.IntRange(1, 300).Draw(t, "steps") {
			k := rapid.IntRange(0, 60).Draw(t, "key")
			if rapid.Bool().Draw(t, "put") {
				want[k] = &value{k, n}
				x.put(want[k])
			} else {
				delete(want, k)
				x.remove(k)
			}
			for k := range 61 {
				if got := x.get(k); got != want[k] {
					t.Fatalf("key %d: %v, want %v", k, got, want[k])
				}
			}
			if x.n != len(want) {
				t.Fatalf("counted as %d, want %d", x.n, len(want))
			}
		}
	})
}
