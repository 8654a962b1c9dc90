package event

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested, the event around the data included. It is what encoding/json reads.
const maxDepth = 10000

// A scan walks over JSON text, which has to be UTF-8, and holds it to the grammar of RFC 8259.
type scan struct {
	text    []byte
	at      int
	spaced  bool   // white space was passed
	escaped bool   // a backslash was passed
	wrong   string // what is wrong where the scan stopped
}

// checkJSON reports what is wrong with a text that should be one JSON value, and whether white space is in it.
func checkJSON(text []byte) (spaced bool, err error) {
	if !utf8.Valid(text) {
		return false, invalid("data", "it is not UTF-8, and the content type says JSON")
	}
	s := scan{text: text}
	s.space()
	if !s.value(1) || !s.end() {
		return false, invalid("data", "it is not JSON, and the content type says so: "+s.problem())
	}
	return s.spaced, nil
}

func (s *scan) problem() string { return fmt.Sprintf("%s at byte %d", s.wrong, s.at) }

func (s *scan) fail(wrong string) bool {
	s.wrong = wrong
	return false
}

// end wants nothing but white space.
func (s *scan) end() bool {
	s.space()
	return s.at == len(s.text) || s.fail("more text")
}

func (s *scan) space() {
	if s.at < len(s.text) && s.text[s.at] <= ' ' {
		s.someSpace()
	}
}

func (s *scan) someSpace() {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
		s.spaced = true
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r') }

// peek returns the next byte, or 0, which begins nothing, at the end.
func (s *scan) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take passes one byte and the white space after it.
func (s *scan) take(c byte) bool {
	if s.peek() != c {
		return s.fail("want '" + string(rune(c)) + "'")
	}
	s.at++
	s.space()
	return true
}

// value passes a value that is inside of depth others.
func (s *scan) value(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		return s.string()
	case c == '{' || c == '[':
		if depth >= maxDepth {
			return s.fail("nested too deep")
		}
		if c == '{' {
			return s.object(depth + 1)
		}
		return s.array(depth + 1)
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.fail("no value")
}

func (s *scan) object(depth int) bool {
	s.take('{')
	if s.peek() == '}' {
		s.at++
		return true
	}
	for {
		if !s.string() {
			return false
		}
		s.space()
		if !s.take(':') || !s.value(depth) {
			return false
		}
		s.space()
		if s.peek() == '}' {
			s.at++
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scan) array(depth int) bool {
	s.take('[')
	if s.peek() == ']' {
		s.at++
		return true
	}
	for {
		if !s.value(depth) {
			return false
		}
		s.space()
		if s.peek() == ']' {
			s.at++
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scan) word(w string) bool {
	if rest := s.text[s.at:]; len(rest) < len(w) || string(rest[:len(w)]) != w {
		return s.fail("no value")
	}
	s.at += len(w)
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scan) number() bool {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		return s.digits()
	}
	return true
}

func (s *scan) digits() bool {
	n := 0
	for _, c := range s.text[s.at:] {
		if !isDigit(c) {
			break
		}
		n++
	}
	s.at += n
	return n > 0 || s.fail("no digit")
}

// string passes a string, quotes included.
func (s *scan) string() bool {
	if s.peek() != '"' {
		return s.fail("no string")
	}
	s.at++
	for {
		s.at += ordinary(s.text[s.at:])
		if s.at == len(s.text) {
			return s.fail("no end of the string")
		}
		switch s.text[s.at] {
		case '"':
			s.at++
			return true
		case '\\':
			s.escaped = true
			if !s.escape() {
				return false
			}
		default:
			return s.fail("control character in a string")
		}
	}
}

func (s *scan) escape() bool {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return true
	case 'u':
		if _, ok := hex4(s.text[s.at+1:]); ok {
			s.at += 5
			return true
		}
	}
	return s.fail("bad escape")
}

// hex4 reads the four digits after \u.
func hex4(text []byte) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for _, c := range text[:4] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// Every byte of a word, and the highest bit of each.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// ordinary returns how many bytes come before one that means something inside of a string: a quote, a
// backslash or a control character. It looks at eight bytes at once.
func ordinary[T string | []byte](text T) int {
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		x := load8(text[n : n+8])
		quote, back := x^(ones*'"'), x^(ones*'\\')
		// The highest bit of each byte that is below 0x20 or became 0. A borrow may set bits above the first
		// one, which is the one that counts.
		if hit := ((x-ones*0x20)&^x | (quote-ones)&^quote | (back-ones)&^back) & highs; hit != 0 {
			return n + bits.TrailingZeros64(hit)/8
		}
	}
	for ; n < len(text); n++ {
		if c := text[n]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return n
}

// load8 is one load where the processor can do it.
func load8[T string | []byte](b T) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// appendCompact appends valid JSON without the white space between its tokens.
func appendCompact(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		from := i
		for i < len(text) && !isSpace(text[i]) {
			if text[i] != '"' {
				i++
				continue
			}
			for i++; text[i] != '"'; i++ {
				if i += ordinary(text[i:]); text[i] == '"' {
					break
				}
				i++ // of an escape, the backslash; a letter or a quote follows
			}
			i++
		}
		dst = append(dst, text[from:i]...)
		for i < len(text) && isSpace(text[i]) {
			i++
		}
	}
	return dst
}
