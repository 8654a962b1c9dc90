package filter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoted parses a text in quotes with Go's escapes, and goes past it.
func (p *parser) quoted() (string, *Error) {
	text, err := p.quotedPart()
	if err == nil && p.pos != p.wordEnd(p.pos) {
		return "", p.fail(p.pos, p.wordEnd(p.pos)-p.pos, "there is something after the closing quote", `put a blank between, or write \" for a quote in the text`)
	}
	return text, err
}

func (p *parser) quotedPart() (string, *Error) {
	start := p.pos
	end := closing(p.text, start+1, '"')
	if end < 0 {
		return "", p.fail(start, len(p.text)-start, "there is no closing quote", "")
	}
	var b []byte
	for rest := p.text[start+1 : end]; rest != ""; {
		r, multibyte, tail, err := strconv.UnquoteChar(rest, '"')
		if err != nil {
			at := end - len(rest)
			return "", p.fail(at, p.escape(at, end), "there is no such escape", `write \\ for a backslash; others are \n \t \xff \u00e9`)
		}
		if r < utf8.RuneSelf || !multibyte {
			b = append(b, byte(r))
		} else {
			b = utf8.AppendRune(b, r)
		}
		rest = tail
	}
	p.pos = end + 1
	return string(b), nil
}

// escape returns the length of a bad escape.
func (p *parser) escape(at, end int) int {
	n := 2
	if at+1 < end && strings.IndexByte("xuU", p.text[at+1]) >= 0 {
		for n < 10 && at+n < end && strings.IndexByte("0123456789abcdefABCDEF", p.text[at+n]) >= 0 {
			n++
		}
	} else if at+1 < end {
		_, size := utf8.DecodeRuneInString(p.text[at+1:])
		n = 1 + size
	}
	return min(n, end-at)
}

// A part of a path, as it stands in the filter.
type part struct {
	name     string
	pos, len int
	quoted   bool
}

// wordOrComparison parses amount>100, text and "text in quotes". What it is shows only after the
// first part of it.
func (p *parser) wordOrComparison(negate bool) *Error {
	start := p.pos
	parts, err := p.parts()
	if err != nil {
		return err
	}
	if op := opAt(p.rest()); op != "" {
		return p.comparison(start, parts, op, negate)
	}
	end := p.wordEnd(p.pos)
	text := p.text[start:end]
	switch {
	case parts[0].quoted && len(parts) == 1 && p.pos == end:
		text = parts[0].name
	case parts[0].quoted && len(parts) == 1:
		return p.fail(p.pos, end-p.pos, "there is something after the closing quote", `put a blank between, or write \" for a quote in the text`)
	default:
		for _, part := range parts {
			if part.quoted {
				return p.fail(start, p.pos-start, "this names a field, but does not compare it", "write for example "+short(p.text[start:p.pos]+"=1"))
			}
		}
		if err := p.bare(start, end, "text"); err != nil {
			return err
		}
	}
	if text == "" {
		return p.fail(start, 2, "the text is empty", "")
	}
	p.pos = end
	p.search(search{needle: newNeedle(text), negate: negate})
	return nil
}

// parts splits what is before an operator, a blank or a quote at its dots.
func (p *parser) parts() (parts []part, err *Error) {
	for {
		at := p.pos
		if strings.HasPrefix(p.rest(), `"`) {
			name, err := p.quotedPart()
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{name, at, p.pos - at, true})
		} else {
			for p.pos < len(p.text) && p.text[p.pos] != '.' && p.text[p.pos] != '"' && opAt(p.rest()) == "" {
				r, size := utf8.DecodeRuneInString(p.rest())
				if unicode.IsSpace(r) {
					break
				}
				p.pos += size
			}
			parts = append(parts, part{p.text[at:p.pos], at, p.pos - at, false})
		}
		if !strings.HasPrefix(p.rest(), ".") {
			return parts, nil
		}
		p.pos++
	}
}

func (p *parser) comparison(start int, parts []part, opText string, negate bool) *Error {
	c := &comparison{op: opOf(opText), hide: p.f.hide, negate: negate}
	if len(parts) == 1 && parts[0].len == 0 {
		return p.fail(p.pos, len(opText), "there is no field before the "+opText, `write amount`+opText+`100; to look for the text, put it in quotes`)
	}
	if len(parts) > maxPath {
		return p.fail(start, p.pos-start, "the path to the field has more than "+strconv.Itoa(maxPath)+" parts", "")
	}
	for _, part := range parts {
		if err := p.name(part); err != nil {
			return err
		}
		c.path = append(c.path, newSegment(part.name, p.f.hide))
	}
	opPos := p.pos
	p.pos += len(opText)
	if p.pos == p.wordEnd(p.pos) {
		return p.fail(opPos, len(opText), "there is no value after the "+opText, `write no blanks around it; the empty text is ""`)
	}
	var err *Error
	if c.op == opMatch || c.op == opNoMatch {
		err = p.pattern(c)
	} else {
		err = p.value(c)
	}
	if err != nil {
		return err
	}
	p.f.comparisons = append(p.f.comparisons, c)
	p.canon = append(p.canon, c.String())
	return nil
}

// name refuses names of fields that need quotes.
func (p *parser) name(part part) *Error {
	if part.quoted {
		return nil
	}
	if part.len == 0 {
		at := min(part.pos, len(p.text)-1)
		if at > 0 && p.text[at] != '.' {
			at-- // at the dot before it
		}
		return p.fail(at, 1, "there is an empty name in the path to the field", "")
	}
	for i, r := range part.name {
		if isName(r) && (i > 0 || r != '-') {
			continue
		}
		hint := "put the name in quotes, or all of it if it is text to look for"
		if r == '[' {
			hint = "write items.0.price for the first of a list"
		}
		return p.fail(part.pos+i, utf8.RuneLen(r), "this cannot be in the name of a field", hint)
	}
	return nil
}

// pattern parses the regular expression after ~. In quotes, only \" is an escape: all other
// backslashes are the expression's own.
func (p *parser) pattern(c *comparison) *Error {
	start := p.pos
	src := p.text[start:p.wordEnd(start)]
	at := start
	if src[0] == '"' {
		end := closing(p.text, start+1, '"')
		if end < 0 {
			return p.fail(start, len(p.text)-start, "there is no closing quote", "")
		}
		if after := p.wordEnd(end + 1); after != end+1 {
			return p.fail(end+1, after-end-1, "there is something after the closing quote", `put a blank between, or write \" for a quote in the expression`)
		}
		src, at, p.pos = unquoteRegexp(p.text[start+1:end]), start+1, end+1
	} else {
		if err := p.word("regular expression", &src); err != nil {
			return err
		}
	}
	re, err := p.compile(src, at)
	if err == nil {
		c.re = re
		return nil
	}
	// Escaped quotes have moved the place.
	err.Pos = min(err.Pos, len(p.text))
	err.Len = min(err.Len, p.pos-err.Pos)
	return err
}

func unquoteRegexp(src string) string {
	var b strings.Builder
	for i := 0; i < len(src); i++ {
		if src[i] == '\\' && i+1 < len(src) {
			if i++; src[i] != '"' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(src[i])
	}
	return b.String()
}

// word parses a value without quotes.
func (p *parser) word(what string, text *string) *Error {
	start, end := p.pos, p.wordEnd(p.pos)
	if strings.IndexByte("<>=~!", p.text[start]) >= 0 {
		return p.fail(start, 1, "the "+what+" begins like an operator", "put it in quotes")
	}
	if err := p.bare(start, end, what); err != nil {
		return err
	}
	*text, p.pos = p.text[start:end], end
	return nil
}

func (p *parser) value(c *comparison) *Error {
	start := p.pos
	var text string
	if p.text[start] == '"' {
		var err *Error
		if text, err = p.quoted(); err != nil {
			return err
		}
		c.value = newLiteral(text, true)
		return nil
	}
	if err := p.word("value", &text); err != nil {
		return err
	}
	c.value = newLiteral(text, false)
	if c.op.orders() && (c.value.isBool || c.value.null) {
		return p.fail(start, len(text), text+" is not more or less than anything", "compare it with = or !=, or put it in quotes if it is text")
	}
	return nil
}
