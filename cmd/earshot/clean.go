package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a server sends is not to be trusted: it repeats what the events of some program contain, and
// that may be an escape sequence that retitles, reprograms or overwrites a terminal, a line break that
// forges a line of ours, or a bidi control that shows the text in another order. Everything that is not
// a visible character or a blank is written as an escape. Also in JSON, which allows DEL, C1 and bidi
// controls to stand for themselves.

// clean returns s so that it is safe on a terminal, on one line.
func clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// isClean reports whether clean would change nothing. Most text is plain ASCII.
func isClean(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			for _, r := range s[i:] {
				if r == utf8.RuneError || !strconv.IsPrint(r) {
					return false
				}
			}
			return true
		}
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// cleanLines is clean for a text that has lines, such as a message with a caret under the place.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

// appendCleanJSON appends a JSON value to dst, on one line and safe on a terminal. It is still the same
// value: numbers stay as they were written, whatever their size, and keys keep their order. If raw is
// not JSON dst is returned as it was, and false.
func appendCleanJSON(dst, raw []byte) ([]byte, bool) {
	if !json.Valid(raw) {
		return dst, false
	}
	inString := false
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case !inString && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			i++
			continue
		case inString && c == '\\': // an escape is safe as it stands
			dst = append(dst, c, raw[i+1])
			i += 2
			continue
		case c == '"':
			inString = !inString
		}
		if c >= ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(raw[i:])
		dst = appendRuneJSON(dst, r, raw[i:i+size])
		i += size
	}
	return dst, true
}

func appendRuneJSON(dst []byte, r rune, raw []byte) []byte {
	const surrogates = 0x10000
	switch {
	case r == utf8.RuneError: // invalid UTF-8, or somebody else's replacement for it
		return append(dst, `\ufffd`...)
	case strconv.IsPrint(r):
		return append(dst, raw...)
	case r < surrogates:
		return fmt.Appendf(dst, `\u%04x`, r)
	}
	r -= surrogates
	return fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
}

// writeJSON writes a value of ours to stdout, one line.
func (a *app) writeJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return a.writeRaw(b.Bytes())
}

// writeRaw writes JSON that came from a server to stdout, one line.
func (a *app) writeRaw(raw []byte) error {
	line, ok := appendCleanJSON(nil, raw)
	if !ok {
		return fail(exitFailed, "", "the server's answer is not JSON: %s", snippet(raw))
	}
	_, err := a.out.Write(append(line, '\n'))
	return err
}

// snippet returns the beginning of something unexpected, for an error message.
func snippet(raw []byte) string {
	const enough = 60
	text := strings.TrimSpace(string(raw[:min(len(raw), enough)]))
	if len(raw) > enough {
		text += "…"
	}
	return strconv.Quote(text)
}
