package main

import (
	"unicode"
	"unicode/utf8"
)

// A terminal shows a Chinese character, and most emoji, in two cells, and a combining mark in none.
// This is the part of Unicode's East Asian Width table that matters; a rune that it gets wrong moves
// the rest of a line by one cell.
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615},
	{0x2648, 0x2653}, {0x26a1, 0x26a1}, {0x26bd, 0x26be}, {0x2705, 0x2705}, {0x270a, 0x270b},
	{0x2728, 0x2728}, {0x274c, 0x274c}, {0x2753, 0x2757}, {0x2795, 0x2797}, {0x2b1b, 0x2b1c},
	{0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa000, 0xa4cf},
	{0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x17000, 0x18cff}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f1e6, 0x1f265},
	{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd},
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	for _, span := range wide {
		if r < span[0] {
			return 1
		}
		if r <= span[1] {
			return 2
		}
	}
	return 1
}

// cells returns how many cells of a terminal a clean text takes.
func cells(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// cutRight shortens a clean text to n cells by leaving out its end.
func cutRight(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	used := 0
	for i, r := range s {
		if used += runeWidth(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// cutLeft shortens a clean text to n cells by leaving out its beginning: the end of file:line is what
// one looks for.
func cutLeft(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	used, i := 0, len(s)
	for i > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if used += runeWidth(r); used > n-1 {
			break
		}
		i -= size
	}
	return "…" + s[i:]
}
