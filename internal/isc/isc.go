// Package isc reads the language in which ISC dhcpd keeps its leases
// (dhcpd.leases(5)) and its configuration (dhcpd.conf(5)): words, ended by a
// semicolon or by a block of further statements. It knows no statement's
// meaning.
package isc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of what one statement may hold. A shared-network with every host of a
// large site in it stays far below.
const (
	maxWord  = 64 << 10 // octets
	maxWords = 1 << 20  // of one top-level statement with its blocks
	maxDepth = 32       // blocks in blocks
)

// Word is one word of a statement. The characters ( ) , and = are words of
// their own.
type Word struct {
	Text   string // without the quotes, escapes resolved
	Quoted bool
}

// Statement is one statement with what stands in its braces.
type Statement struct {
	Line   int // where it begins, from 1
	Words  []Word
	Braced bool
	Block  []Statement
	// Bad says what is wrong with the statement's text, "" for nothing. What
	// stands in Block has its own.
	Bad string
}

// Is reports whether the statement begins with these words, none quoted.
func (s Statement) Is(words ...string) bool {
	if len(s.Words) < len(words) {
		return false
	}
	for i, w := range words {
		if s.Words[i].Quoted || s.Words[i].Text != w {
			return false
		}
	}
	return true
}

// String writes the statement's words for a message, shortened, without its
// block.
func (s Statement) String() string {
	const longest = 160
	var b strings.Builder
	for i, w := range s.Words {
		if w.Quoted {
			fmt.Fprintf(&b, " %q", w.Text)
		} else {
			if w.Text != "," && w.Text != ")" && w.Text != "(" && i > 0 && s.Words[i-1].Text != "(" {
				b.WriteByte(' ')
			}
			b.WriteString(w.Text)
		}
		if b.Len() > longest {
			return strings.TrimSpace(b.String()[:longest]) + "…"
		}
	}
	if s.Braced {
		b.WriteString(" { … }")
	}
	return strings.TrimSpace(b.String())
}

// Parser reads statements one after the other. Wrong text spoils the statement
// that it stands in and no other.
type Parser struct {
	r       *bufio.Reader
	restart string
	line    int
	column  int
	words   int
	err     error
	pending *token
}

// NewParser reads from r. Where restart is not "", an unquoted restart in the
// first column always begins a statement of the top level: dhcpd indents what
// stands in a block, so that a record cut off by a crash ends there.
func NewParser(r io.Reader, restart string) *Parser {
	return &Parser{r: bufio.NewReader(r), restart: restart, line: 1}
}

type kind uint8

const (
	word kind = iota
	quoted
	open
	shut
	semicolon
	end
)

type token struct {
	kind  kind
	text  string
	line  int
	first bool // in the first column
	bad   string
}

// Next gives the next statement of the top level; the error is io.EOF after the
// last one, else that of the reader or of a statement that is too large.
func (p *Parser) Next() (Statement, error) {
	p.words = 0
	for {
		t := p.token()
		switch {
		case p.err != nil && !errors.Is(p.err, io.EOF):
			return Statement{}, p.err
		case t.kind == end:
			return Statement{}, io.EOF
		case t.kind == semicolon:
			continue
		case t.kind == shut:
			return Statement{Line: t.line, Bad: "a } has no {"}, nil
		}
		s := p.statement(t, 0)
		if p.err != nil && !errors.Is(p.err, io.EOF) {
			return Statement{}, p.err
		}
		return s, nil
	}
}

// statement reads the statement that begins with t, blocks included.
func (p *Parser) statement(t token, depth int) Statement {
	s := Statement{Line: t.line}
	for first := true; ; first = false {
		if !first {
			t = p.token()
		}
		if t.bad != "" && s.Bad == "" {
			s.Bad = t.bad
		}
		if !first && p.restarts(t) {
			p.pending = &t
			s.spoil("the statement is cut off")
			return s
		}
		switch t.kind {
		case word, quoted:
			if p.words++; p.words > maxWords {
				p.err = fmt.Errorf("line %d: the statement has more than %d words", s.Line, maxWords)
				return s
			}
			s.Words = append(s.Words, Word{Text: t.text, Quoted: t.kind == quoted})
		case semicolon:
			return s
		case open:
			s.Braced = true
			if depth == maxDepth {
				s.spoil("blocks are nested too deep")
				p.skipBlock()
				return s
			}
			p.block(&s, depth)
			return s
		case shut:
			p.pending = &t
			s.spoil("a ; is missing")
			return s
		case end:
			s.spoil("the file ends in the middle of the statement")
			return s
		}
	}
}

func (s *Statement) spoil(why string) {
	if s.Bad == "" {
		s.Bad = why
	}
}

// restarts reports whether t begins a top-level statement wherever it stands.
func (p *Parser) restarts(t token) bool {
	return p.restart != "" && t.kind == word && t.first && t.text == p.restart
}

// block reads the statements up to the } of s.
func (p *Parser) block(s *Statement, depth int) {
	for {
		t := p.token()
		switch {
		case t.kind == shut:
			return
		case t.kind == semicolon:
			continue
		case t.kind == end:
			s.spoil("the file ends before the block's }")
			return
		case p.restarts(t):
			p.pending = &t
			s.spoil("the block is cut off")
			return
		}
		s.Block = append(s.Block, p.statement(t, depth+1))
		if p.err != nil {
			s.spoil("the file ends before the block's }")
			return
		}
	}
}

// skipBlock passes over the rest of a block whose { was read.
func (p *Parser) skipBlock() {
	for depth := 1; depth > 0; {
		switch t := p.token(); {
		case p.restarts(t):
			p.pending = &t
			return
		case t.kind == open:
			depth++
		case t.kind == shut:
			depth--
		case t.kind == end:
			return
		}
	}
}

func (p *Parser) get() (byte, bool) {
	c, err := p.r.ReadByte()
	if err != nil {
		p.err = err
		return 0, false
	}
	if c == '\n' {
		p.line++
		p.column = 0
	} else {
		p.column++
	}
	return c, true
}

func (p *Parser) peek() (byte, bool) {
	b, err := p.r.Peek(1)
	if err != nil {
		return 0, false
	}
	return b[0], true
}

func (p *Parser) token() token {
	if p.pending != nil {
		t := *p.pending
		p.pending = nil
		return t
	}
	for {
		c, ok := p.get()
		if !ok {
			return token{kind: end, line: p.line}
		}
		t := token{line: p.line, first: p.column == 1}
		switch c {
		case ' ', '\t', '\r', '\n', '\v', '\f':
		case '#':
			for ok && c != '\n' {
				c, ok = p.get()
			}
		case '{':
			t.kind = open
			return t
		case '}':
			t.kind = shut
			return t
		case ';':
			t.kind = semicolon
			return t
		case '(', ')', ',', '=':
			t.text = string(c)
			return t
		case '"':
			t.kind = quoted
			t.text, t.bad = p.quoted()
			return t
		default:
			t.text, t.bad = p.word(c)
			return t
		}
	}
}

// word reads on to the next separator.
func (p *Parser) word(first byte) (text, bad string) {
	b := []byte{first}
	for {
		c, ok := p.peek()
		if !ok || strings.IndexByte(" \t\r\n\v\f#{};(),=\"", c) >= 0 {
			return string(b), bad
		}
		p.get()
		if len(b) == maxWord {
			bad = fmt.Sprintf("a word is longer than %d octets", maxWord)
			continue
		}
		b = append(b, c)
	}
}

// quoted reads a string up to its closing quote. dhcpd writes no line end into
// one, so a line end is where a crash cut it.
func (p *Parser) quoted() (text, bad string) {
	var b []byte
	for {
		c, ok := p.peek()
		if !ok || c == '\n' {
			return string(b), `a string has no closing "`
		}
		p.get()
		switch c {
		case '"':
			return string(b), bad
		case '\\':
			if c, ok = p.escape(); !ok {
				bad = "a string has a wrong escape"
			}
		}
		if len(b) == maxWord {
			bad = fmt.Sprintf("a string is longer than %d octets", maxWord)
			continue
		}
		b = append(b, c)
	}
}

// escape reads what follows a backslash: up to three octal digits, x and two
// hexadecimal ones, t r n b, or any other character for itself.
func (p *Parser) escape() (byte, bool) {
	c, ok := p.peek()
	if !ok || c == '\n' {
		return 0, true // the string itself has no end, then
	}
	p.get()
	base, longest, n, digits := 8, 3, 0, 0
	switch c {
	case 't':
		return '\t', true
	case 'r':
		return '\r', true
	case 'n':
		return '\n', true
	case 'b':
		return '\b', true
	case 'x':
		base, longest = 16, 2
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, digits = int(c-'0'), 1
	default:
		return c, true
	}
	for ; digits < longest; digits++ {
		c, ok := p.peek()
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if '0' <= c && c <= '9' {
			d = int(c - '0')
		}
		if !ok || d < 0 || d >= base {
			break
		}
		p.get()
		n = n*base + d
	}
	return byte(n), digits > 0 && n <= 255
}

// Quote writes s as a string of the language in which nothing can end the
// string or the line: printable ASCII as it is, everything else in octal.
func Quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = fmt.Appendf(b, `\%03o`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
