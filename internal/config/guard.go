package config

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxSource = 1 << 20 // bytes of one configuration file

	// HCL's parser, and what walks its tree later, recurse for every bracket
	// and for every operator that waits for its right side. A Go stack that
	// overflows ends the program, nothing can recover it; on 32-bit ARM it
	// overflows at a quarter of the depth. So the depth is bounded before the
	// parser sees a file.
	maxBrackets = 200
	maxDepth    = 1000 // brackets and operators on the way to any place

	// The parser joins the lines of a text one by one, which takes quadratic
	// time: 100,000 of them are a quarter of a minute.
	maxLines = 10_000
)

// guard refuses a file that is too large or nested too deeply to be parsed. It
// takes HCL's own word for what is a string, a heredoc, a comment or a
// template: the lexer is a table-driven loop and keeps its modes on the heap.
func guard(src []byte, name string) hcl.Diagnostics {
	if len(src) > maxSource {
		return tooLarge(name)
	}
	// What is wrong with a token is for the parser to say.
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return guardTokens(tokens)
}

func guardTokens(tokens hclsyntax.Tokens) hcl.Diagnostics {
	var depth depthMeter
	for _, token := range tokens {
		if token.Type == hclsyntax.TokenNumberLit && hugeNumber(token.Bytes) {
			return hcl.Diagnostics{{
				Severity: hcl.DiagError,
				Summary:  "Number too large",
				Detail:   "Nothing takes a number of this size. If a text is meant, write it in quotes.",
				Subject:  token.Range.Ptr(),
			}}
		}
		depth.add(token)
		if depth.innermost(0).literals > maxLines {
			return hcl.Diagnostics{{
				Severity: hcl.DiagError,
				Summary:  "Text too long",
				Detail:   fmt.Sprintf("A text here may have %d lines. Put it in a file and read it with file(…).", maxLines),
				Subject:  token.Range.Ptr(),
			}}
		}
		if depth.exceeded() {
			return hcl.Diagnostics{{
				Severity: hcl.DiagError,
				Summary:  "Nesting too deep",
				Detail: fmt.Sprintf("More than %d brackets, or %d brackets and operators, are open at this place. "+
					"Split the expression into locals.", maxBrackets, maxDepth),
				Subject: token.Range.Ptr(),
			}}
		}
	}
	return nil
}

func tooLarge(name string) hcl.Diagnostics {
	return hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "File too large",
		Detail: fmt.Sprintf("%s has more than %d bytes. Move lists of phones and contacts to CSV files "+
			"and read them with csvdecode(file(…)).", name, maxSource),
		Subject: &hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos},
	}}
}

// hugeNumber reports whether the digits of a number, written out, would be a
// burden: 1e999999999 is short, and a gigabyte as text.
func hugeNumber(literal []byte) bool {
	const digits, exponentDigits = 300, 2
	exponent := bytes.IndexAny(literal, "eE")
	if exponent < 0 {
		return len(literal) > digits
	}
	return exponent > digits || len(bytes.TrimLeft(literal[exponent+1:], "+-0")) > exponentDigits
}

// depthMeter follows how deep in brackets, templates and operators a sequence
// of tokens is. It errs upwards.
type depthMeter struct {
	open     []level
	outside  level // what stands outside all brackets
	brackets int   // open ones, without quotes and heredocs
	total    int   // open levels and their chains
}

// level is an open bracket, quote, heredoc or template sequence.
type level struct {
	opener   hclsyntax.TokenType
	fresh    bool // nothing but blanks and comments followed yet
	joined   bool // a for expression in braces: the end of a line means nothing
	chain    int  // operators since the last separator, in a template %{if} and %{for}
	literals int  // pieces of text without a template sequence between them
}

func (m *depthMeter) exceeded() bool { return m.brackets > maxBrackets || m.total > maxDepth }

// innermost gives the level that is n levels further out than the last one.
func (m *depthMeter) innermost(n int) *level {
	if len(m.open) <= n {
		return &m.outside
	}
	return &m.open[len(m.open)-1-n]
}

func (m *depthMeter) lengthen(l *level, by int) {
	by = max(by, -l.chain)
	l.chain += by
	m.total += by
}

func (m *depthMeter) add(token hclsyntax.Token) {
	here := m.innermost(0)
	if token.Type == hclsyntax.TokenNewline || token.Type == hclsyntax.TokenComment {
		// A line ends an expression in a body and in an object only, and a
		// comment may hold the end of its line.
		ends := bytes.HasSuffix(token.Bytes, []byte("\n"))
		if ends && !here.joined && (len(m.open) == 0 || here.opener == hclsyntax.TokenOBrace) {
			m.lengthen(here, -maxDepth)
		}
		return
	}
	if here.fresh {
		here.fresh = false
		m.begin(here, string(token.Bytes))
	}

	switch token.Type {
	case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOBrace:
		m.lengthen(here, 1) // an index or a call is a step of the chain before it
		m.brackets++
		m.push(token.Type)
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		here.literals = 0
		m.brackets++
		m.push(token.Type)
	case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
		m.push(token.Type)
	case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace,
		hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		m.pop(token.Type)
	case hclsyntax.TokenComma:
		m.lengthen(here, -maxDepth)
	case hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
		here.literals++
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenEqual:
	case hclsyntax.TokenInvalid, hclsyntax.TokenBadUTF8, hclsyntax.TokenQuotedNewline, hclsyntax.TokenApostrophe,
		hclsyntax.TokenBacktick, hclsyntax.TokenSemicolon, hclsyntax.TokenTabs, hclsyntax.TokenEOF:
		// The parser stops there with a better message.
	default:
		m.lengthen(here, 1)
	}
}

// begin looks at the first word of a level.
func (m *depthMeter) begin(l *level, word string) {
	switch l.opener {
	case hclsyntax.TokenOBrace:
		l.joined = word == "for"
	case hclsyntax.TokenTemplateControl:
		switch word {
		case "if", "for":
			m.lengthen(m.innermost(1), 1)
		case "endif", "endfor":
			m.lengthen(m.innermost(1), -1)
		}
	}
}

func (m *depthMeter) push(opener hclsyntax.TokenType) {
	m.open = append(m.open, level{opener: opener, fresh: true})
	m.total++
}

// pop closes the innermost level if closer fits it. One that does not fit is a
// syntax error, and closes nothing in the parser either.
func (m *depthMeter) pop(closer hclsyntax.TokenType) {
	if len(m.open) == 0 {
		return
	}
	last := m.innermost(0)
	fits := false
	switch last.opener {
	case hclsyntax.TokenOBrack:
		fits = closer == hclsyntax.TokenCBrack
	case hclsyntax.TokenOParen:
		fits = closer == hclsyntax.TokenCParen
	case hclsyntax.TokenOBrace:
		fits = closer == hclsyntax.TokenCBrace
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		fits = closer == hclsyntax.TokenTemplateSeqEnd
	case hclsyntax.TokenOQuote:
		fits = closer == hclsyntax.TokenCQuote
	case hclsyntax.TokenOHeredoc:
		fits = closer == hclsyntax.TokenCHeredoc
	}
	if !fits {
		return
	}
	m.total -= last.chain + 1
	if last.opener != hclsyntax.TokenOQuote && last.opener != hclsyntax.TokenOHeredoc {
		m.brackets--
	}
	m.open = m.open[:len(m.open)-1]
}
