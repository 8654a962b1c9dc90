package filter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Error says what is wrong with a filter, where, and what to do.
type Error struct {
	Text     string // the whole filter
	Pos, Len int    // the place in it, in bytes; Pos may be len(Text), and Len 0
	Msg      string // in one line, safe on a terminal
	Hint     string // what to do, in one line; may be empty
}

// Error returns several lines: what is wrong, the filter with a mark under the place, what to do.
// Whatever the filter contains, they are safe to print on a terminal.
func (e *Error) Error() string {
	line, mark := e.Caret()
	s := "filter: " + e.Msg + "\n  " + line + "\n  " + mark
	if e.Hint != "" {
		s += "\n" + e.Hint
	}
	return s
}

// caretWidth is how many columns of a filter an error shows. Of a longer one it shows the part
// around the place.
const (
	caretWidth  = 72
	caretBefore = 48 // columns before the place
)

// Caret returns two lines for a fixed-width font: the filter, and ^^^ under the place. What does not
// print is escaped.
func (e *Error) Caret() (line, mark string) {
	pos := min(max(e.Pos, 0), len(e.Text))
	end := min(max(pos+e.Len, pos), len(e.Text))
	total, at, width := columns(e.Text), columns(e.Text[:pos]), columns(e.Text[pos:end])
	from, to := 0, total
	if total > caretWidth {
		from = max(0, min(at-caretBefore, total-caretWidth))
		to = from + caretWidth
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
		at++
	}
	col := 0
	for rest := e.Text; rest != "" && col < to; {
		_, size := utf8.DecodeRuneInString(rest)
		shown, w := display(rest[:size])
		switch {
		case col >= from && col+w <= to:
			b.WriteString(shown)
		case col+w > from && col < to:
			b.WriteString(strings.Repeat(" ", min(col+w, to)-max(col, from))) // half of a wide one
		}
		col += w
		rest = rest[size:]
	}
	if to < total {
		b.WriteString("…")
	}
	at -= from
	width = max(1, min(width, caretWidth+1-at))
	return b.String(), strings.Repeat(" ", at) + strings.Repeat("^", width)
}

func columns(s string) (n int) {
	for s != "" {
		_, size := utf8.DecodeRuneInString(s)
		_, w := display(s[:size])
		n += w
		s = s[size:]
	}
	return n
}

// display returns what stands for one character, and the columns it takes.
func display(char string) (shown string, width int) {
	r, size := utf8.DecodeRuneInString(char)
	switch {
	case r == utf8.RuneError && size == 1 || !unicode.IsPrint(r):
		shown = strconv.Quote(char)
		shown = shown[1 : len(shown)-1]
		return shown, len(shown)
	case unicode.In(r, unicode.Mn, unicode.Me):
		return char, 0
	case unicode.Is(wide, r):
		return char, 2
	}
	return char, 1
}

// wide are the characters that take two columns on terminals. Nobody agrees on all of them; these
// are the ones about which there is no dispute.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0x33ff, Stride: 1},
		{Lo: 0x3400, Hi: 0x4dbf, Stride: 1},
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97c, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6b, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x1fa70, Hi: 0x1faff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// short quotes a piece of a filter for a message.
func short(s string) string {
	const most = 40
	if len(s) <= most {
		return strconv.Quote(s)
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.Quote(s[:n]) + "…"
}
