package profiles

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestCache compares the cache with a list of what was used last.
func TestCache(t *testing.T) {
	t.Parallel()
	type entry struct{ key, size int }
	rapid.Check(t, func(t *rapid.T) {
		const limit = 10
		c := newCache[int, int](limit)
		var model []entry // least recently used first
		use := func(key int) bool {
			i := slices.IndexFunc(model, func(e entry) bool { return e.key == key })
			if i < 0 {
				return false
			}
			e := model[i]
			model = append(slices.Delete(model, i, i+1), e)
			return true
		}
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				key := rapid.IntRange(0, 9).Draw(t, "key")
				v, ok := c.get(key)
				if want := use(key); ok != want || ok && v != key*100 {
					t.Fatalf("get(%d) = %d, %v, want %v", key, v, ok, want)
				}
			},
			"put": func(t *rapid.T) {
				key, size := rapid.IntRange(0, 9).Draw(t, "key"), rapid.IntRange(0, limit+2).Draw(t, "size")
				c.put(key, key*100, size)
				if size > limit || slices.ContainsFunc(model, func(e entry) bool { return e.key == key }) {
					return
				}
				model = append(model, entry{key, size})
				total := 0
				for _, e := range model {
					total += e.size
				}
				for total > limit {
					total -= model[0].size
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				total := 0
				for _, e := range model {
					total += e.size
				}
				if len(c.entries) != len(model) || c.order.Len() != len(model) || c.size != total {
					t.Fatalf("%d entries of size %d, want %d of %d", len(c.entries), c.size, len(model), total)
				}
			},
		})
	})
}
