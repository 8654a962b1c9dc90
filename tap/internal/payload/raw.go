package payload

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
)

// mostRaw is how much JSON of others is read at all, since it has to be valid to the end.
const mostRaw = 4 << 20

// embed writes JSON that somebody else has made: on one line, escaped and bounded as the rest, with
// what stands under the names of secrets left out.
func (w *writer) embed(b []byte, from string) {
	switch {
	case len(b) > mostRaw:
		w.marker(from + " is " + strconv.Itoa(len(b)) + " bytes long")
	case json.Valid(b):
		r := reader{b: b}
		r.space()
		w.copy(&r)
	case from != rawMessage || w.mentions(string(b)):
		// Which part of it is a secret cannot be said.
		w.marker(from + " is not valid JSON")
	default:
		w.string(string(b))
	}
}

// mentions reports whether a secret's name is somewhere in a text, or may be behind an escape.
func (w *writer) mentions(text string) bool {
	if w.enc.secret(text) || strings.Contains(text, `\u`) {
		return true
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-'
	}) {
		if w.enc.secret(word) {
			return true
		}
	}
	return false
}

const rawMessage = "json.RawMessage"

// A reader reads valid JSON. Because it is valid, no place of it needs checks. Between all calls it
// stands at the beginning of a token.
type reader struct {
	b []byte
	i int
}

func (r *reader) space() {
	for r.i < len(r.b) && (r.b[r.i] == ' ' || r.b[r.i] == '\n' || r.b[r.i] == '\t' || r.b[r.i] == '\r') {
		r.i++
	}
}

// token returns the string, number, word or punctuation mark here and goes on to the next.
func (r *reader) token() []byte {
	start := r.i
	switch c := r.b[r.i]; c {
	case '{', '}', '[', ']', ',', ':':
		r.i++
	case '"':
		for r.i++; r.b[r.i] != '"'; r.i++ {
			if r.b[r.i] == '\\' {
				r.i++
			}
		}
		r.i++
	default:
	word:
		for r.i < len(r.b) {
			switch r.b[r.i] {
			case ' ', '\n', '\t', '\r', ',', ']', '}':
				break word
			}
			r.i++
		}
	}
	tok := r.b[start:r.i]
	r.space()
	return tok
}

// skip goes past a value.
func (r *reader) skip() {
	for depth := 0; ; {
		switch r.token()[0] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return
		}
	}
}

// left counts the members or elements up to the end of what is open, and goes there.
func (r *reader) left() (n int) {
	for !r.closing() {
		switch r.b[r.i] {
		case ',', ':':
			r.token()
		default:
			r.skip()
			if r.b[r.i] != ':' { // else it was a key
				n++
			}
		}
	}
	return n
}

func (r *reader) closing() bool { return r.b[r.i] == '}' || r.b[r.i] == ']' }

// copy writes the value that the reader stands at.
func (w *writer) copy(r *reader) {
	switch r.b[r.i] {
	case '{', '[':
		w.copyParts(r)
	case '"':
		s, _ := unquote(r.token())
		w.string(s)
	default:
		if tok := r.token(); len(tok) <= w.room() {
			w.dst = append(w.dst, tok...)
		} else {
			w.string(string(tok)) // a number with thousands of digits
		}
	}
}

// copyParts writes an object or array.
func (w *writer) copyParts(r *reader) {
	if !w.enter(place{}, false) {
		r.skip()
		return
	}
	object := r.b[r.i] == '{'
	w.dst = append(w.dst, r.token()...)
	for first := true; !r.closing(); first = false {
		if object && !w.copyMember(r, first) || !object && !w.copyElement(r, first) {
			break
		}
		if !r.closing() {
			r.token() // the comma
		}
	}
	w.dst = append(w.dst, r.token()...)
	w.leave(false)
}

// copyElement writes an element of an array. It reports false if it went to the array's end.
func (w *writer) copyElement(r *reader, first bool) bool {
	left := 0
	if !w.fitsElement() {
		left = r.left()
	}
	if !w.element(first, left) {
		return false
	}
	w.copy(r)
	return true
}

// copyMember writes a member of an object. It reports false if it went to the object's end.
func (w *writer) copyMember(r *reader, first bool) bool {
	name, left := "", 0
	if w.fitsKey() {
		name, _ = unquote(r.token())
		r.token() // the colon
	} else {
		left = r.left()
	}
	if !w.key(first, name, left) {
		return false
	}
	if w.enc.secret(name) {
		r.skip()
		w.raw(hidden)
	} else {
		w.copy(r)
	}
	return true
}

// unquote returns what a JSON string says.
func unquote(tok []byte) (string, bool) {
	if len(tok) < 2 || tok[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(tok, &s)
	return s, err == nil
}
