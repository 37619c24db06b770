package migrate

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"dialtone/internal/option"
	"dialtone/internal/phonefile"
)

// Options that a network has arguments for, domain (15) aside.
var arguments = []struct {
	code uint8
	name string
}{{3, "routers"}, {6, "dns_servers"}, {42, "ntp_servers"}}

// provisioning are the options by which phones find their settings, and which
// the appliance itself gives to every phone.
var provisioning = []uint8{43, 66, 67}

// write gives the plan as HCL in the layout of `dialtone fmt`.
func (p *plan) write(sources []string) Result {
	p.settle()
	var body hclWriter
	for _, n := range p.networks {
		p.writeNetwork(&body, n, p.networkName(n))
	}
	for _, c := range p.classes {
		p.writeClass(&body, c)
	}
	for _, h := range p.hosts {
		if slices.Contains(snomOUIs, h.mac.OUI()) {
			body.open("phone", h.mac.String())
			var lines attributes
			if h.name != "" {
				lines.add("name", quote(h.name))
			}
			if h.address.IsValid() {
				lines.add("address", quote(h.address.String()))
			}
			body.attributes(lines)
			body.shut()
		}
	}
	size := body.Len() + maxText
	for _, problem := range p.problems {
		size += len(problem.String()) + len("#   \n")
	}
	if size > maxHCL {
		p.problem(place{sources[0], 1}, "the text is larger than the %d KiB that a file may have: split it", maxHCL>>10)
	}
	slices.SortStableFunc(p.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(p.files, a.File), slices.Index(p.files, b.File)), cmp.Compare(a.Line, b.Line))
	})
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Made from %s.\n", plain(strings.Join(sources, ", ")))
	if len(p.problems) > 0 {
		b.WriteString("# Left out, or to be looked at:\n")
	}
	for _, problem := range p.problems {
		fmt.Fprintf(&b, "#   %s\n", problem)
	}
	if body.Len() > 0 {
		b.WriteByte('\n')
	}
	b.Write(body.Bytes())
	return Result{HCL: b.Bytes(), Problems: p.problems}
}

// networkName takes the first label of a network's domain where no other
// network has it, else the subnet.
func (p *plan) networkName(n *network) string {
	name, _, _ := strings.Cut(n.domain, ".")
	for _, other := range p.networks {
		if label, _, _ := strings.Cut(other.domain, "."); other != n && label == name {
			return n.subnet.String()
		}
	}
	return cmp.Or(name, n.subnet.String())
}

func (p *plan) writeNetwork(w *hclWriter, n *network, name string) {
	w.open("network", name)
	var lines attributes
	lines.add("subnet", quote(n.subnet.String()))
	if len(n.ranges) > 0 {
		pairs := make([]string, len(n.ranges))
		for i, r := range n.ranges {
			pairs[i] = fmt.Sprintf("[%s, %s]", quote(r.first.String()), quote(r.last.String()))
		}
		if len(pairs) == 1 {
			lines.add("range", pairs[0])
		} else {
			lines.add("range", "["+strings.Join(pairs, ", ")+"]")
		}
	}
	for _, a := range arguments {
		if o, ok := n.options[a.code]; ok {
			lines.add(a.name, p.addresses(o, a.name))
		}
	}
	if n.domain != "" {
		lines.add("domain", quote(n.domain))
	}
	if n.lease != 0 {
		lines.add("lease_time", quote(duration(n.lease)))
	}
	w.attributes(lines)
	p.writeOptions(w, n.options, []uint8{3, 6, 42})
	for _, h := range p.hosts {
		if h.address.IsValid() && n.subnet.Contains(h.address) && !slices.Contains(snomOUIs, h.mac.OUI()) {
			w.open("host", h.mac.String())
			var lines attributes
			lines.add("address", quote(h.address.String()))
			if h.name != "" {
				lines.add("name", quote(h.name))
			}
			w.attributes(lines)
			w.shut()
		}
	}
	w.shut()
}

// addresses writes the list of an argument.
func (p *plan) addresses(o setting, name string) string {
	kept := make([]string, 0, len(o.values))
	for _, v := range o.values {
		if a, err := netip.ParseAddr(v); err != nil || !a.Is4() || a.IsUnspecified() {
			p.problem(o.place, "%s: %q is no IPv4 address", name, v)
		} else if !slices.Contains(kept, quote(a.String())) {
			kept = append(kept, quote(a.String()))
		}
	}
	return "[" + strings.Join(kept, ", ") + "]"
}

func (p *plan) writeClass(w *hclWriter, c *class) {
	if strings.HasPrefix(strings.ToLower(c.match), "snom") {
		for _, code := range provisioning {
			if o, ok := c.options[code]; ok {
				p.problem(o.place, "phones get option %s from the appliance itself", option.Name(code))
				delete(c.options, code)
			}
		}
	}
	if len(c.options) == 0 {
		return
	}
	w.open("vendor_class", c.name)
	var lines attributes
	lines.add("match", quote(c.match))
	w.attributes(lines)
	p.writeOptions(w, c.options, nil)
	w.shut()
}

// writeOptions writes the option blocks of all but the given codes.
func (p *plan) writeOptions(w *hclWriter, all options, but []uint8) {
	for _, code := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(but, code) {
			continue
		}
		o := all[code]
		name, expression, err := o.argument(code)
		if err = cmp.Or(option.Reserved(code), err); err != nil {
			p.problem(o.place, "%s", err)
			continue
		}
		w.open("option", option.Name(code))
		var lines attributes
		lines.add(name, expression)
		w.attributes(lines)
		w.shut()
	}
}

// hclWriter writes blocks in the usual layout: two columns for each depth,
// blocks apart by a blank line.
type hclWriter struct {
	bytes.Buffer
	depth int
	fresh bool // a block was opened and nothing written into it
	items []written
}

// written is where a thing stands in the text. Lines are counted from 1, the
// last one belongs to it.
type written struct {
	first, last int
	item        item
}

// item names what somebody else's file said.
type item struct {
	phonefile.Place
	what string
}

// line is the number of the line that is written next.
func (w *hclWriter) line() int { return bytes.Count(w.Bytes(), []byte("\n")) + 1 }

// wrote remembers that an item stands from the given line on.
func (w *hclWriter) wrote(first int, i item) {
	w.items = append(w.items, written{first, w.line() - 1, i})
}

func (w *hclWriter) open(kind string, labels ...string) {
	if w.Len() > 0 && !w.fresh {
		w.WriteByte('\n')
	}
	w.WriteString(w.indent() + kind)
	for _, l := range labels {
		w.WriteString(" " + quote(l))
	}
	w.WriteString(" {\n")
	w.depth++
	w.fresh = true
}

func (w *hclWriter) shut() {
	w.depth--
	w.fresh = false
	fmt.Fprintf(w, "%s}\n", w.indent())
}

func (w *hclWriter) indent() string { return strings.Repeat("  ", w.depth) }

type attributes []struct{ name, expression string }

func (a *attributes) add(name, expression string) {
	*a = append(*a, struct{ name, expression string }{name, expression})
}

// attributes writes arguments with their equals signs in one column.
func (w *hclWriter) attributes(lines attributes) {
	width := 0
	for _, l := range lines {
		width = max(width, utf8.RuneCountInString(l.name))
	}
	for _, l := range lines {
		fmt.Fprintf(w, "%s%-*s = %s\n", w.indent(), width, l.name, l.expression)
		w.fresh = false
	}
}

// quote writes s as a string of HCL that stands for s and nothing else: quotes,
// backslashes and control characters escaped, and no template begun by ${ or
// %{. Octets that are no UTF-8 become U+FFFD, since HCL's strings have none.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && i+1 < len(runes) && runes[i+1] == '{':
			b.WriteRune(r)
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quotable reports whether a string of HCL can stand for s: UTF-8, and in the
// normal form C to which HCL brings every string.
func quotable(s string) bool { return utf8.ValidString(s) && norm.NFC.IsNormalString(s) }

// plain makes text fit for a comment and a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// duration writes "12h", "1h30m" or "7d".
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// integer reads a whole number as both servers write it.
func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func boolean(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "on", "1":
		return true, true
	case "false", "off", "0":
		return false, true
	}
	return false, false
}
