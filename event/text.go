package event

import (
	"unicode/utf8"
)

// isPlain reports whether a text consists of printable ASCII that needs no escape.
func isPlain(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		x := load8(s)
		quote, back, del := x^(ones*'"'), x^(ones*'\\'), x^(ones*0x7f)
		if (x|(x-ones*0x20)|(quote-ones)|(back-ones)|(del-ones))&highs != 0 {
			return plainBytes(s)
		}
	}
	return plainBytes(s)
}

func plainBytes(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendQuoted appends UTF-8 as a JSON string. It escapes what it has to and nothing else.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for {
		n := ordinary(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		switch c := s[n]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		s = s[n+1:]
	}
}

// appendUnquoted appends the text of a valid JSON string, its quotes included in raw. It fails at one half of
// a surrogate pair, which no UTF-8 can express.
func appendUnquoted(dst, raw []byte) (_ []byte, ok bool) {
	s := raw[1 : len(raw)-1]
	for {
		n := ordinary(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst, true
		}
		c := s[n+1]
		s = s[n+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, rest, ok := unescape(s)
			if !ok {
				return dst, false
			}
			dst, s = utf8.AppendRune(dst, r), rest
		default:
			dst = append(dst, c)
		}
	}
}

// unescape reads what follows \u, and the second half of a surrogate pair.
func unescape(s []byte) (r rune, rest []byte, ok bool) {
	r, _ = hex4(s)
	s = s[4:]
	if r < 0xd800 || r > 0xdfff {
		return r, s, true
	}
	if r >= 0xdc00 || len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, nil, false
	}
	low, _ := hex4(s[2:])
	if low < 0xdc00 || low > 0xdfff {
		return 0, nil, false
	}
	return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), s[6:], true
}
