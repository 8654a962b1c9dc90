package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A parser goes through a filter once, from left to right.
type parser struct {
	text string
	pos  int
	f    *Filter

	canon   []string // the terms in canonical form
	program int      // instructions of all regular expressions
	needles int
}

func parse(text string, hide hide) (*Filter, error) {
	p := &parser{text: text, f: &Filter{hide: hide}}
	if err := p.all(); err != nil {
		return nil, err
	}
	f := p.f
	f.text = strings.Join(p.canon, " ")
	if len(f.text) > MaxBytes {
		return nil, p.fail(0, len(text), fmt.Sprintf("with its escapes the filter is %d bytes long, and %d are allowed", len(f.text), MaxBytes), "leave some terms out")
	}
	f.textLimit = maxText / max(1, p.needles)
	f.reLimit = min(maxText, maxSteps/max(1, p.program))
	for _, c := range f.comparisons {
		c.limit = f.reLimit
	}
	return f, nil
}

// maxText is how much text in an event is searched, in bytes, divided among the terms that search.
const maxText = 1 << 20

func (p *parser) all() *Error {
	if err := p.usable(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		p.pos += len(p.rest()) - len(strings.TrimLeftFunc(p.rest(), unicode.IsSpace))
		if p.rest() == "" {
			return nil
		}
		if n == MaxTerms {
			return p.fail(p.pos, len(p.rest()), fmt.Sprintf("there are more than %d terms", MaxTerms), "leave some out")
		}
		if err := p.term(); err != nil {
			return err
		}
	}
}

// usable looks at what is wrong whatever the text says.
func (p *parser) usable() *Error {
	if len(p.text) > MaxBytes {
		return p.fail(MaxBytes, len(p.text)-MaxBytes, fmt.Sprintf("the filter is %d bytes long, and %d are allowed", len(p.text), MaxBytes), "leave some terms out")
	}
	if !utf8.ValidString(p.text) {
		for i, r := range p.text {
			if _, size := utf8.DecodeRuneInString(p.text[i:]); r == utf8.RuneError && size == 1 {
				return p.fail(i, 1, "this is not valid UTF-8", `write such a byte as \xff, in quotes`)
			}
		}
	}
	return nil
}

func (p *parser) rest() string { return p.text[p.pos:] }

func (p *parser) fail(pos, length int, msg, hint string) *Error {
	return &Error{Text: p.text, Pos: pos, Len: length, Msg: msg, Hint: hint}
}

// wordEnd returns the end of the word at a position: the next blank or the end of the filter.
func (p *parser) wordEnd(from int) int {
	if i := strings.IndexFunc(p.text[from:], unicode.IsSpace); i >= 0 {
		return from + i
	}
	return len(p.text)
}

// term parses one term, at the beginning of which the parser stands.
func (p *parser) term() *Error {
	start := p.pos
	negate := p.rest()[0] == '-'
	if negate {
		p.pos++
		if p.pos == p.wordEnd(p.pos) {
			return p.fail(start, 1, "there is nothing after the minus sign", "write -chan:debug.*, or put text in quotes: \"-\"")
		} else if p.rest()[0] == '-' {
			return p.fail(start, 2, "there are two minus signs", `put text that begins with one in quotes: "-x"`)
		}
	}
	word := p.text[p.pos:p.wordEnd(p.pos)]
	switch name := prefix(word[:prefixEnd(word)]); {
	case name != "":
		return p.named(name, start, negate)
	case word[0] == '/':
		return p.regexp(negate)
	case isSample(word):
		return p.sample(word, start, negate)
	case word == "err":
		p.pos += len(word)
		p.search(search{negate: negate})
		return nil
	}
	return p.wordOrComparison(negate)
}

// prefixEnd returns where the first part of a word ends: at an operator or a quote. A colon after it
// belongs to a value.
func prefixEnd(word string) int {
	for i := range len(word) {
		if word[i] == '"' || opAt(word[i:]) != "" {
			return i
		}
	}
	return len(word)
}

func (p *parser) search(s search) {
	p.f.searches = append(p.f.searches, s)
	p.canon = append(p.canon, s.String())
	if s.needle != nil {
		p.needles++
	}
}

// named parses chan:, type: and rate:.
func (p *parser) named(name string, start int, negate bool) *Error {
	at := p.pos
	p.pos += len(name) + 1
	switch name {
	case "chan":
		return p.channel(negate)
	case "type":
		return p.typeName(negate)
	case "rate":
		return p.rate(start, negate)
	}
	hint := "terms of this form begin with chan:, type: or rate:; to look for the text, put it in quotes"
	if like := map[string]string{"channel": "chan", "ch": "chan", "topic": "chan", "name": "chan", "src": "chan", "types": "type", "kind": "type", "limit": "rate"}[strings.ToLower(name)]; like != "" {
		hint = "did you mean " + like + ":? To look for the text, put it in quotes"
	} else if lower := strings.ToLower(name); lower == "chan" || lower == "type" || lower == "rate" {
		hint = "write it in small letters: " + lower + ":"
	}
	return p.fail(at, len(name)+1, "there is no term "+short(name+":"), hint)
}

// glob parses what comes after chan: and type:.
func (p *parser) glob(what, example string) (text string, quoted bool, err *Error) {
	start := p.pos
	end := p.wordEnd(start)
	if start == end {
		return "", false, p.fail(start, 0, "the "+what+" is missing", "write "+example)
	}
	if p.text[start] == '"' {
		text, err = p.quoted()
		return text, true, err
	}
	text = p.text[start:end]
	if err := p.bare(start, end, what); err != nil {
		return "", false, err
	}
	p.pos = end
	return text, false, nil
}

// bare refuses what cannot be in a word: quotes, and control characters, which would do something to
// the terminal where the filter is shown.
func (p *parser) bare(start, end int, what string) *Error {
	for i, r := range p.text[start:end] {
		switch {
		case r == '"':
			return p.fail(start+i, 1, "there is a quote inside of the "+what, `put all of it in quotes, and write \" for the quote`)
		case unicode.IsControl(r):
			return p.fail(start+i, utf8.RuneLen(r), "there is a control character in the "+what, `in quotes it can be written as `+strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return nil
}

func (p *parser) channel(negate bool) *Error {
	start := p.pos
	text, quoted, err := p.glob("channel's name", "chan:orders.*")
	if err != nil {
		return err
	}
	if !quoted {
		at := start
		for part := range strings.SplitSeq(text, ".") {
			switch {
			case part == "":
				return p.fail(max(start, min(at, p.pos-1)), 1, "there is an empty part in the channel's name", "if it is called that, put it in quotes: chan:"+short(text))
			case part != "**" && strings.Contains(part, "**"):
				return p.fail(at, len(part), "** is not alone between two dots", "write * for a run of characters, and .** for all that is below")
			}
			at += len(part) + 1
		}
	}
	term := "chan:" + quoteUnless(barePattern, text)
	if negate {
		p.f.notChans = append(p.f.notChans, newPattern(text))
	} else {
		p.f.chans = append(p.f.chans, newPattern(text))
	}
	p.canon = append(p.canon, minus(negate)+term)
	return nil
}

func (p *parser) typeName(negate bool) *Error {
	start := p.pos
	text, _, err := p.glob("type's name", "type:OrderPaid or type:shop.*")
	if err != nil {
		return err
	}
	g, ok := newTypeGlob(text)
	if !ok {
		return p.fail(start, p.pos-start, "this is the path of a package, without a type", "write type:"+short(text+".OrderPaid")+" or type:shop.OrderPaid")
	}
	if negate {
		p.f.notTypes = append(p.f.notTypes, g)
	} else {
		p.f.types = append(p.f.types, g)
	}
	p.canon = append(p.canon, minus(negate)+"type:"+quoteUnless(plain, text))
	return nil
}

// closing returns where a delimiter is that has no backslash before it, or -1.
func closing(text string, from int, delimiter byte) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case delimiter:
			return i
		}
	}
	return -1
}
