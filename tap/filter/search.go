package filter

import (
	"math/bits"
	"reflect"
	"regexp"
	"strings"
)

// A search is a term about an event as a whole: text, /re/ or err.
type search struct {
	needle *needle
	re     *regexp.Regexp
	negate bool // neither of them: err
}

// maxNodes is how many values a filter looks at in one event.
const maxNodes = 10_000

// A walk goes through an event once, for all the terms that search. Terms are bits: the first 64
// are all there can be.
type walk struct {
	searches []search
	hide     hide
	reading  *reading
	open     uint64 // those that have found nothing yet
	negated  uint64
	errs     uint64 // those that look for errors
	failed   bool   // a negated one has found something
	nodes    int    // still to be looked at
	text     int    // bytes for text terms
	reText   int    // bytes for regular expressions
}

// searchHolds reports whether all the terms hold.
func (f *Filter) searchHolds(v reflect.Value, r *reading) bool {
	w := walk{searches: f.searches, hide: f.hide, reading: r, nodes: maxNodes, text: f.textLimit, reText: f.reLimit}
	for i := range f.searches {
		bit := uint64(1) << i
		w.open |= bit
		if f.searches[i].negate {
			w.negated |= bit
		}
		if f.searches[i].needle == nil && f.searches[i].re == nil {
			w.errs |= bit
		}
	}
	w.value(v, 0, false)
	return !w.failed && w.open&^w.negated == 0
}

func (w *walk) done() bool { return w.failed || w.open == 0 || w.nodes <= 0 }

// found closes terms.
func (w *walk) found(terms uint64) {
	w.failed = w.failed || terms&w.open&w.negated != 0
	w.open &^= terms
}

// value looks at one value. set tells that it belongs to a field that is named as errors are.
func (w *walk) value(v reflect.Value, depth int, set bool) {
	w.nodes--
	if depth > maxDepth || w.done() {
		return
	}
	v, pointer := settle(v)
	if !v.IsValid() {
		return
	}
	k := kindOf(v.Type())
	if w.open&w.errs != 0 && (set && !empty(k, v, pointer) || isError(k, v, pointer, depth)) {
		w.found(w.errs)
	}
	if k.opaque || k.dull || w.done() {
		return
	}
	if w.open&^w.errs != 0 {
		if text, ok := w.hide.errorText(k, v, pointer); ok {
			w.match(text, nil)
		}
	}
	w.inside(v, k, depth)
}

// inside looks at what a value is made of.
func (w *walk) inside(v reflect.Value, k *kind, depth int) {
	switch k.sees {
	case asText:
		w.match(v.String(), nil)
		return
	case asBytes:
		w.match("", bytesOf(v, min(v.Len(), max(w.text, w.reText))))
		return
	case asJSON:
		w.value(w.reading.decode(v.Bytes()), depth+1, false)
		return
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		if kindOf(v.Type().Elem()).dull {
			return
		}
		for i := 0; i < v.Len() && !w.done(); i++ {
			w.value(v.Index(i), depth+1, false)
		}
	case reflect.Map:
		for it := v.MapRange(); !w.done() && it.Next(); {
			w.entry(it.Key(), it.Value(), depth)
		}
	case reflect.Struct:
		for i := 0; i < len(k.members) && !w.done(); i++ {
			m := &k.members[i]
			if w.hide.member(m) {
				continue
			}
			if x, ok := m.In(v); ok {
				w.value(x, depth+1, m.err)
			}
		}
	}
}

// entry looks at a key of a map and its value, or at neither if that is a secret.
func (w *walk) entry(key, value reflect.Value, depth int) {
	set := false
	if k, _ := settle(key); k.Kind() == reflect.String {
		if w.hide.name(k.String()) {
			w.nodes--
			return
		}
		set = namesError(k.String())
	}
	w.value(key, depth+1, false)
	if !w.done() {
		w.value(value, depth+1, set)
	}
}

func namesError(name string) bool {
	return strings.EqualFold(name, "err") || strings.EqualFold(name, "error")
}

// isError reports whether a settled value is an error that has happened. One that cannot be nil,
// such as a syscall.Errno in a field, has not if it is zero; the event itself always has.
func isError(k *kind, v, pointer reflect.Value, depth int) bool {
	switch {
	case k.ptrErr && pointer.IsValid():
		return true
	case k.err && nilable(v):
		return !v.IsNil()
	case k.err:
		return depth == 0 || !v.IsZero()
	}
	return false
}

// empty reports whether a field named err has nothing to say.
func empty(k *kind, v, pointer reflect.Value) bool {
	if k.sees == asNumber {
		d, ok := parseDecimal(nil, v.String())
		return v.Len() == 0 || ok && d.sign() == 0
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return !pointer.IsValid() && v.IsZero()
}

// match tries the terms that are open on a text, which is in one of the two.
func (w *walk) match(s string, b []byte) {
	text, reText := min(len(s)+len(b), w.text), min(len(s)+len(b), w.reText)
	w.text -= text
	w.reText -= reText
	for open := w.open &^ w.errs; open != 0; open &= open - 1 {
		i := bits.TrailingZeros64(open)
		yes := false
		switch n := &w.searches[i]; {
		case n.needle != nil && b != nil:
			yes = in(n.needle, b[:text])
		case n.needle != nil:
			yes = in(n.needle, s[:text])
		case b != nil:
			yes = n.re.Match(b[:reText])
		default:
			yes = n.re.MatchString(s[:reText])
		}
		if yes {
			w.found(1 << i)
		}
	}
}
