package profiles

// byModel is a map by the names of models, in any case.
type byModel[V any] map[string]V

// get finds a model's; it is asked several times for each request, and makes no garbage.
func (b byModel[V]) get(model string) (v V, ok bool) {
	if len(model) > maxModelName {
		return v, false
	}
	var key [maxModelName]byte
	v, ok = b[string(key[:lower(&key, model)])]
	return v, ok
}

func (b byModel[V]) put(model string, v V) {
	var key [maxModelName]byte
	b[string(key[:lower(&key, model)])] = v
}

// lower writes a name with its ASCII letters in lower case, and gives its length: at
// most that of the array. What is no ASCII is no model's.
func lower(to *[maxModelName]byte, name string) int {
	n := copy(to[:], name)
	for i, c := range to[:n] {
		if 'A' <= c && c <= 'Z' {
			to[i] = c | 0x20
		}
	}
	return n
}
