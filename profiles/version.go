package profiles

import (
	"cmp"
	"strings"
)

// compareVersions orders two firmware versions: -1, 0 or +1. Parts between dots
// are numbers, and a part that is missing counts as 0, so that 8.7 and 8.7.0 are
// the same. What follows a number makes it later (5.5a comes after 5.5), unless
// a dash leads it (6.5.12-beta comes before 6.5.12).
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if order := compareParts(x, y); order != 0 {
			return order
		}
	}
	return 0
}

func compareParts(x, y string) int {
	xn, xs := cutNumber(x)
	yn, ys := cutNumber(y)
	return cmp.Or(cmp.Compare(len(xn), len(yn)), strings.Compare(xn, yn), cmp.Compare(suffixRank(xs), suffixRank(ys)), strings.Compare(xs, ys))
}

// cutNumber splits "020a" into "20" and "a". The number stays text: what a
// client sends may have any length.
func cutNumber(s string) (number, rest string) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), s[n:]
}

func suffixRank(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '-':
		return -1
	}
	return 1
}

// compare orders two versions of the model's firmware. A DECT base reports
// 05.20.0001 for what is called 520.1, or version 520 branch 1, elsewhere.
func (m Model) compare(a, b string) int {
	if m.DECT {
		a, b = dectVersion(a), dectVersion(b)
	}
	return compareVersions(a, b)
}

// inRange reports whether from ≤ version < below; "" bounds nothing, but an
// unknown version is within no bounds.
func (m Model) inRange(version, from, below string) bool {
	if version == "" {
		return from == "" && below == ""
	}
	return (from == "" || m.compare(version, from) >= 0) && (below == "" || m.compare(version, below) < 0)
}

// dectVersion spells the version of a DECT base as VERSION.BRANCH.
func dectVersion(s string) string {
	version, branch := cutBranch(s)
	return version + "." + branch
}

// cutBranch splits a version of a DECT base, 05.20.0001, 520.1 or 520, at its branch.
func cutBranch(s string) (version, branch string) {
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		return strings.ReplaceAll(s[:i], ".", ""), s[i+1:]
	}
	return s, "0"
}

// isVersion reports whether s looks like a version of a firmware.
func isVersion(s string) bool {
	return s != "" && '0' <= s[0] && s[0] <= '9' && len(s) <= 32 &&
		strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") == ""
}

// pattern is the name of a firmware image with {model}, {version}, or {v4} and
// {b4} of a DECT version in it. It may have folders.
type pattern string

// name fills the pattern in.
func (p pattern) name(model, version string) string {
	v, b := cutBranch(version)
	return strings.NewReplacer("{model}", model, "{version}", version, "{v4}", fourDigits(v), "{b4}", fourDigits(b)).Replace(string(p))
}

func fourDigits(s string) string { return strings.Repeat("0", max(0, 4-len(s))) + s }

// isDECT reports whether the pattern is that of a DECT base or a handset.
func (p pattern) isDECT() bool { return strings.Contains(string(p), "{b4}") }

// version finds the version in the name of an image, whose folders do not
// matter; "" where the name is not of the pattern.
func (p pattern) version(model, name string) string {
	if p == "" {
		return ""
	}
	want := strings.ReplaceAll(baseName(string(p)), "{model}", model)
	name = baseName(name)
	if p.isDECT() {
		before, rest, _ := strings.Cut(want, "{v4}")
		between, after, _ := strings.Cut(rest, "{b4}")
		name, ok := cutPrefixFold(name, before)
		name, ok2 := cutSuffixFold(name, after)
		v, b, ok3 := strings.Cut(strings.ToLower(name), strings.ToLower(between))
		if !ok || !ok2 || !ok3 || !isNumber(v) || !isNumber(b) {
			return ""
		}
		v, _ = cutNumber(v)
		b, _ = cutNumber(b)
		return v + "." + b
	}
	before, after, _ := strings.Cut(want, "{version}")
	name, ok := cutPrefixFold(name, before)
	name, ok2 := cutSuffixFold(name, after)
	if !ok || !ok2 || !isVersion(name) {
		return ""
	}
	return name
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func baseName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
