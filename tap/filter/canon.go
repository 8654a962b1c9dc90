package filter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns a channel's name as it is written after chan: to mean this channel, with quotes if
// it needs some. A * in the name stays a wildcard.
func Quote(name string) string { return quoteUnless(barePattern, name) }

// quoteUnless puts quotes around a text that cannot stand without.
func quoteUnless(bare func(string) bool, s string) string {
	if bare(s) {
		return s
	}
	return strconv.Quote(s)
}

// plain reports whether a text has nothing that ends a word, or that cannot be seen.
func plain(s string) bool {
	for _, r := range s {
		if r == '"' || r == ' ' || !unicode.IsPrint(r) {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// barePattern: an empty part, or ** within one, is taken for a slip unless it is in quotes.
func barePattern(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part != "**" && strings.Contains(part, "**") {
			return false
		}
	}
	return plain(s)
}

func bareName(s string) bool {
	for i, r := range s {
		if !isName(r) || i == 0 && r == '-' {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// isName reports whether a character can be in a field's name without quotes.
func isName(r rune) bool {
	return r == '_' || r == '-' || r == '$' || r == '@' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r)
}

// bareValue: a second operator is taken for a slip.
func bareValue(s string) bool { return plain(s) && !strings.ContainsRune("<>=~!", rune(s[0])) }

// bareText reports whether a word means nothing but itself.
func bareText(s string) bool {
	if !plain(s) || s[0] == '-' || s[0] == '/' || s == "err" {
		return false
	}
	for i := range len(s) {
		if opAt(s[i:]) != "" {
			return false
		}
	}
	return prefix(s) == "" && !isSample(s)
}

// isSample reports whether a word is two numbers with a stroke between.
func isSample(s string) bool {
	keep, of, ok := strings.Cut(s, "/")
	return ok && digits(keep) && digits(of)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// prefix returns the word before a colon, as in chan:orders. Addresses such as http://x have none.
func prefix(s string) string {
	word, rest, ok := strings.Cut(s, ":")
	if !ok || word == "" || strings.HasPrefix(rest, "//") {
		return ""
	}
	for _, c := range []byte(word) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return word
}

// ops, those first that others begin with. Two are other ways to write = and ~.
var ops = [...]struct{ text, op string }{
	{"==", "="}, {"=~", "~"}, {"!=", "!="}, {"!~", "!~"}, {"<=", "<="}, {">=", ">="}, {"=", "="}, {"~", "~"}, {"<", "<"}, {">", ">"},
}

// opAt returns the operator that a text begins with, as it is written there, or "".
func opAt(s string) string {
	for i := range ops {
		if strings.HasPrefix(s, ops[i].text) {
			return ops[i].text
		}
	}
	return ""
}

func opOf(text string) op {
	for i := range ops {
		if ops[i].text == text {
			return op(ops[i].op)
		}
	}
	return ""
}

func (p path) String() string {
	names := make([]string, len(p))
	for i, s := range p {
		names[i] = quoteUnless(bareName, s.name)
	}
	return strings.Join(names, ".")
}

func (c *comparison) String() string {
	s := c.path.String() + string(c.op)
	switch {
	case c.re != nil && bareValue(c.re.String()):
		s += c.re.String()
	case c.re != nil:
		s += quoteRegexp(c.re.String())
	case c.value.quoted && !c.value.onlyBareText():
		s += strconv.Quote(c.value.text)
	default:
		s += quoteUnless(bareValue, c.value.text)
	}
	return minus(c.negate) + s
}

// onlyBareText reports whether a text in quotes would be nothing else without.
func (l *literal) onlyBareText() bool {
	bare := newLiteral(l.text, false)
	return bare.onlyText()
}

func (s *search) String() string {
	switch {
	case s.needle != nil:
		return minus(s.negate) + quoteUnless(bareText, s.needle.text)
	case s.re != nil:
		return minus(s.negate) + "/" + s.re.String() + "/"
	}
	return minus(s.negate) + "err"
}

func minus(negate bool) string {
	if negate {
		return "-"
	}
	return ""
}

// quoteRegexp puts quotes around a regular expression, in which those that are in it have a
// backslash and all other backslashes stay as they are.
func quoteRegexp(src string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '\\' && i+1 < len(src):
			b.WriteByte('\\')
			i++
		case src[i] == '"':
			b.WriteByte('\\')
		}
		b.WriteByte(src[i])
	}
	b.WriteByte('"')
	return b.String()
}
