package web

import (
	"io"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// Markup is HTML that this package wrote. Constants become markup by
// themselves and strings do not, so a string from outside can only come
// through text, attr and link, which escape it.
type markup string

// A page collects a document.
type page struct{ b []byte }

func (p *page) raw(m markup) { p.b = append(p.b, m...) }

func (p *page) int(n int) { p.b = strconv.AppendInt(p.b, int64(n), 10) }

// text writes words between tags. What cannot be seen is written as an
// escape, as Go's %q does: a name must not hide a part of itself, turn the
// text around it, or clear the terminal that it is pasted into.
func (p *page) text(s string) {
	p.escape(s, func(r rune) bool {
		if hidden(r) {
			p.b = appendEscape(p.b, r)
			return true
		}
		return false
	})
}

// escape writes a string that is no markup. special may write what its place wants otherwise.
func (p *page) escape(s string, special func(rune) bool) {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == '<':
			p.raw("&lt;")
		case r == '>':
			p.raw("&gt;")
		case r == '&':
			p.raw("&amp;")
		case r == '"':
			p.raw("&#34;")
		case r == '\'':
			p.raw("&#39;")
		case r == utf8.RuneError && n == 1:
			p.raw("\uFFFD")
		case special(r):
		default:
			p.b = append(p.b, s[i:i+n]...)
		}
		i += n
	}
}

// lines is text that keeps its line ends and tabs, for <pre>.
func (p *page) lines(s string) {
	from := 0
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\t' {
			p.text(s[from:i])
			p.b = append(p.b, s[i])
			from = i + 1
		}
	}
	p.text(s[from:])
}

// attr writes an attribute with a blank before it. The value arrives in the
// browser as it is, but for NUL and invalid UTF-8, which HTML cannot carry.
func (p *page) attr(name markup, value string) {
	p.raw(" ")
	p.raw(name)
	p.raw(`="`)
	p.escape(value, func(r rune) bool {
		switch r {
		case '`': // quoted by some old browsers
			p.raw("&#96;")
		case '\r': // a bare one would become a line feed
			p.raw("&#13;")
		case 0:
			p.raw("\uFFFD")
		default:
			return false
		}
		return true
	})
	p.raw(`"`)
}

// link writes an href to a page of the tap. The "./" keeps a page whose name
// has a colon from being taken for the scheme of another place.
func (p *page) link(name string, query url.Values) {
	p.attr("href", address(name, query))
}

func address(name string, query url.Values) string {
	a := "./" + url.PathEscape(name)
	if name == "." || name == ".." { // would leave the folder
		a = "./"
	}
	if q := query.Encode(); q != "" {
		a += "?" + q
	}
	return a
}

// finish writes what is below the main part, and sends the page.
func (p *page) finish(w io.Writer, f *Frame) error {
	p.foot(f)
	_, err := w.Write(p.b)
	return err
}

// hidden reports whether a reader would not see the rune, or see it change
// how others are drawn. The joiners that emoji and many scripts are made of
// stay.
func hidden(r rune) bool {
	switch {
	case r < ' ', 0x7F <= r && r <= 0x9F: // controls
		return true
	case r == 0x061C, r == 0x200B, r == 0x200E, r == 0x200F, 0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069: // direction
		return true
	case r == 0x2028, r == 0x2029, r == 0xFEFF, 0xFFF9 <= r && r <= 0xFFFB: // line ends and marks
		return true
	case 0xE0000 <= r && r <= 0xE007F: // tags: a text that can be hidden in another
		return true
	}
	return false
}

// appendEscape writes a rune as JSON and JavaScript do.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '\n':
		return append(b, `\n`...)
	case '\t':
		return append(b, `\t`...)
	case '\r':
		return append(b, `\r`...)
	}
	const hex = "0123456789abcdef"
	if r > 0xFFFF {
		return append(strconv.AppendInt(append(b, `\u{`...), int64(r), 16), '}')
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// isPlain reports whether text draws every rune of s as it is.
func isPlain(s string) bool {
	for _, r := range s {
		if hidden(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}
