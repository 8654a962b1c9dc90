package filter

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The time that a regular expression takes is at most the length of the text times the number of its
// instructions, so both are bounded. a{1000} is short and has a thousand.
const (
	maxProgram = 1000    // instructions in all the regular expressions of a filter
	maxSteps   = 1 << 22 // instructions times bytes, for one event
)

// regexp parses /re/.
func (p *parser) regexp(negate bool) *Error {
	start := p.pos
	end := closing(p.text, start+1, '/')
	if end < 0 {
		return p.fail(start, p.wordEnd(start)-start, "the regular expression has no / at its end", "to look for text that begins with /, put it in quotes: \"/x\"")
	}
	if p.pos = end + 1; p.pos != p.wordEnd(p.pos) {
		return p.fail(p.pos, p.wordEnd(p.pos)-p.pos, "there is something after the regular expression", `put a blank between, write \/ for a / in it, or put text such as "/users/7" in quotes`)
	}
	re, err := p.compile(p.text[start+1:end], start+1)
	if err != nil {
		return err
	}
	p.search(search{re: re, negate: negate})
	return nil
}

// compile compiles a regular expression that stands at a place in the filter.
func (p *parser) compile(src string, at int) (*regexp.Regexp, *Error) {
	const hint = "the syntax is that of Go: https://pkg.go.dev/regexp/syntax; to look for the text as it is, put it in quotes"
	if src == "" {
		return nil, p.fail(max(at-1, 0), 2, "the regular expression is empty", "")
	}
	for i, r := range src {
		if r != ' ' && !unicode.IsPrint(r) {
			return nil, p.fail(at+i, utf8.RuneLen(r), "there is a character in the regular expression that cannot be seen", fmt.Sprintf(`write it as \x{%x}`, r))
		}
	}
	re, size, msg, pos, length := compileRegexp(src)
	if size > maxProgram {
		return nil, p.fail(at, len(src), msg, "repeat less: x{100} counts as a hundred")
	} else if re == nil {
		return nil, p.fail(at+pos, length, msg, hint)
	}
	if p.program += size; p.program > maxProgram {
		return nil, p.fail(at, len(src), "the regular expressions are too large together", "leave one out, or repeat less")
	}
	return re, nil
}

// compileRegexp returns the expression and how many instructions it has. If it does not compile it
// says what is wrong, and where: pos and length are those of the bad part in src.
func compileRegexp(src string) (re *regexp.Regexp, size int, msg string, pos, length int) {
	parsed, err := syntax.Parse(src, syntax.Perl)
	var bad *syntax.Error
	if errors.As(err, &bad) {
		pos, length = 0, len(src)
		if at := strings.Index(src, bad.Expr); at >= 0 && bad.Expr != "" {
			pos, length = at, len(bad.Expr)
		}
		return nil, 0, "the regular expression does not compile: " + bad.Code.String(), pos, length
	} else if err != nil {
		return nil, 0, "the regular expression does not compile", 0, len(src)
	}
	size = program(parsed)
	if size > maxProgram {
		return nil, size, "the regular expression is too large", 0, len(src)
	}
	re, err = regexp.Compile(src)
	if err != nil {
		return nil, 0, "the regular expression does not compile", 0, len(src)
	}
	return re, size, "", 0, 0
}

// program estimates from above how many instructions an expression compiles to, without doing it:
// ((a{9}){9}){9} must not need the memory first. It stops counting at maxProgram+1.
func program(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = max(1, len(re.Rune))
	case syntax.OpCapture:
		n = 2 // where it begins and ends
	case syntax.OpConcat, syntax.OpRepeat:
		n = 0
	case syntax.OpAlternate:
		n = len(re.Sub) // the choices between them
	}
	for _, sub := range re.Sub {
		if n += program(sub); n > maxProgram {
			return maxProgram + 1
		}
	}
	if re.Op == syntax.OpRepeat {
		n = max(n, 1)
		switch {
		case re.Max < 0: // x{3,} is xxx+
			n = n*max(re.Min, 1) + 2
		default: // x{1,3} is x(x(x)?)?
			n = max(n*re.Max+re.Max-re.Min, 1)
		}
	}
	return min(n, maxProgram+1)
}
