package config

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Suggest finds among names the one that was most likely meant by name, or ""
// when none is near. Case counts for nothing.
func Suggest(name string, among []string) string {
	// The cost grows with the product of the lengths, and nobody mistypes a
	// name that long.
	const longest = 64
	if len(name) > longest {
		return ""
	}
	best, nearest := "", min(3, 1+len(name)/3)
	for _, candidate := range among {
		if len(candidate) > longest {
			continue
		}
		d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil)
		if d < nearest || d == nearest && best == "" {
			best, nearest = candidate, d
		}
	}
	return best
}

// didYouMean is Suggest as the end of a sentence.
func didYouMean(name string, among []string) string {
	if s := Suggest(name, among); s != "" {
		return ` Did you mean "` + s + `"?`
	}
	return ""
}

// Distance counts the letters by which a and b differ; case counts.
func Distance(a, b string) int { return levenshtein.Distance(a, b, nil) }
