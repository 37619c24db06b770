package profiles

import (
	"container/list"
	"sync"
)

// cache keeps what was used last, up to a total size.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	limit   int
	size    int
	order   *list.List // of *cached, most recently used first
	entries map[K]*list.Element
}

type cached[K comparable, V any] struct {
	key   K
	value V
	size  int
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: limit, order: list.New(), entries: map[K]*list.Element{}}
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		var zero V
		return zero, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached[K, V]).value, true
}

// put keeps the value, unless it alone is over the limit or the key is there.
func (c *cache[K, V]) put(key K, value V, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; ok || size > c.limit {
		return
	}
	c.entries[key] = c.order.PushFront(&cached[K, V]{key, value, size})
	c.size += size
	for c.size > c.limit {
		oldest := c.order.Remove(c.order.Back()).(*cached[K, V])
		delete(c.entries, oldest.key)
		c.size -= oldest.size
	}
}
