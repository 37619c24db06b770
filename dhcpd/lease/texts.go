package lease

// maxTexts is how many texts are known at a time: an office has phones of a few
// models, and a hostile client as many as it likes.
const maxTexts = 256

// texts has a text that many leases share, as the vendor class of all phones of
// a model, in the memory once.
type texts map[string]string

// one gives a text that equals s: the one that was seen first.
func (t texts) one(s string) string {
	if known, ok := t[s]; ok {
		return known
	}
	if len(t) >= maxTexts {
		clear(t)
	}
	t[s] = s
	return s
}
