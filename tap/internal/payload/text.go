package payload

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// suffixRoom is what the end of a cut string takes at most: … (18446744073709551615 bytes)"
const suffixRoom = 34

// appendString appends s as a JSON string of at most room bytes, which must be more than suffixRoom.
// A longer one is cut and followed by its whole length in bytes.
func appendString(dst []byte, s string, room int) []byte {
	end := len(dst) + room - 1           // where the closing quote must stand at the latest
	keep := len(dst) + room - suffixRoom // where the suffix must begin at the latest
	dst = append(dst, '"')
	safe := len(dst) // where it may be cut: the last place before keep that is between two characters
	for i := 0; i < len(s); {
		// Most text needs no escapes, so it is copied in runs.
		j := i
		for most := min(len(s), i+end-len(dst)+1); j < most && plain[s[j]]; j++ {
		}
		if j > i {
			if len(dst) <= keep {
				safe = min(keep, len(dst)+j-i)
			}
			dst = append(dst, s[i:j]...)
			i = j
			if len(dst) > end {
				return appendCut(dst[:safe], len(s))
			}
			continue
		}
		var size int
		dst, size = appendRune(dst, s[i:])
		i += size
		if len(dst) > end {
			return appendCut(dst[:safe], len(s))
		}
		if len(dst) <= keep {
			safe = len(dst)
		}
	}
	return append(dst, '"')
}

func appendCut(dst []byte, whole int) []byte {
	dst = append(dst, "… ("...)
	dst = strconv.AppendInt(dst, int64(whole), 10)
	return append(dst, ` bytes)"`...)
}

// appendRune appends the first character of s, escaped if need be, and returns its size in s.
func appendRune(dst []byte, s string) (_ []byte, size int) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return append(dst, `\ufffd`...), 1
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r)), 1
	case r == '\n':
		return append(dst, '\\', 'n'), 1
	case r == '\r':
		return append(dst, '\\', 'r'), 1
	case r == '\t':
		return append(dst, '\\', 't'), 1
	case r < utf8.RuneSelf && plain[byte(r)] || r >= utf8.RuneSelf && !treacherous(r):
		return append(dst, s[:size]...), size
	case r > 0xffff:
		r -= 0x10000
		return appendEscape(appendEscape(dst, 0xd800+r>>10), 0xdc00+r&0x3ff), size
	}
	return appendEscape(dst, r), size
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// plain are the bytes that stand for themselves. Markup is escaped as encoding/json does, so that
// the JSON is inert even where a page quotes it.
var plain = func() (is [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		is[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return is
}()

// treacherous reports whether a character beyond ASCII changes how others are shown, or cannot be seen
// at all: an amount must not read backwards, and a name not look like another.
func treacherous(r rune) bool {
	switch {
	case r <= 0x9f, // C1 controls: terminals obey some of them
		r == 0xad, r == 0x034f, r == 0x061c, r == 0x180e, r == 0xfeff,
		r == 0x200b, r == 0x200e, r == 0x200f, // but not the joiners, which emoji and Persian need
		0x2028 <= r && r <= 0x202e,
		0x2060 <= r && r <= 0x206f,
		0xfff9 <= r && r <= 0xfffb,
		0xe0000 <= r && r <= 0xe007f: // tags, in which whole sentences can hide
		return true
	}
	return false
}

// appendFloat appends a number as encoding/json does, and what is none as a string.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"+Inf"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Inf"`...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 {
		if bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21) {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	// 1e-09 becomes 1e-9.
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
