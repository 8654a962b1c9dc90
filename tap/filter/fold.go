package filter

import (
	"unicode"
	"unicode/utf8"
)

// A needle is a text that is looked for ignoring case. Letters are equal as for strings.EqualFold.
type needle struct {
	text  string
	runes []rune  // folded
	next  []int16 // how much of the needle is still matched if the character after it is not
}

func newNeedle(text string) *needle {
	n := &needle{text: text}
	for rest := text; rest != ""; {
		r, size := decodeFolded(rest)
		n.runes = append(n.runes, r)
		rest = rest[size:]
	}
	n.next = make([]int16, len(n.runes)+1)
	n.next[0] = -1
	k := int16(-1)
	for i, r := range n.runes {
		for k >= 0 && n.runes[k] != r {
			k = n.next[k]
		}
		k++
		n.next[i+1] = k
	}
	return n
}

// in reports whether the text contains the needle. It looks at each character once, whatever the
// needle is (Knuth, Morris, Pratt): a text of one letter a million times must not be a way to keep
// a server busy. It does not allocate.
func in[T string | []byte](n *needle, text T) bool {
	k := int16(0)
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = decodeFolded(text[i:])
		} else if 'a' <= r && r <= 'z' {
			r += 'A' - 'a'
		}
		i += size
		for k >= 0 && n.runes[k] != r {
			k = n.next[k]
		}
		k++
		if int(k) == len(n.runes) {
			return true
		}
	}
	return false
}

// decodeFolded returns the first character folded, and its length. A byte that is not UTF-8 equals
// itself only.
func decodeFolded[T string | []byte](text T) (rune, int) {
	var buf [utf8.UTFMax]byte
	n := copy(buf[:], text)
	r, size := utf8.DecodeRune(buf[:n])
	if r == utf8.RuneError && size == 1 {
		return unicode.MaxRune + 1 + rune(buf[0]), 1
	}
	return fold(r), size
}

// fold returns the least of the letters that differ from r in case only.
func fold(r rune) rune {
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	return least
}
