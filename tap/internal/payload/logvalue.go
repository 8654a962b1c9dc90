package payload

import (
	"log/slog"
	"reflect"
	"strconv"
)

// mostChain is how many LogValuers may return one another. It is what slog allows several times over.
const mostChain = 16

// logged writes what a type's LogValue returned.
func (w *writer) logged(v slog.Value, p *plan) {
	if x := reflect.ValueOf(v.Any()); p.viaPtr && v.Kind() == slog.KindAny && x.IsValid() && x.Type() == p.typ {
		// The LogValue of *T returned a T with some fields blotted out. That is its last word.
		w.inside(x, p, 0)
		return
	}
	w.logValue(v)
}

// logValue writes a value as slog has it.
func (w *writer) logValue(v slog.Value) {
	if w.chain == mostChain {
		w.marker("slog.Values in one another without end")
		return
	}
	w.chain++
	defer func(was int) { w.chain = was }(w.chain - 1)
	switch v.Kind() {
	case slog.KindLogValuer:
		w.value(reflect.ValueOf(v.Any()))
	case slog.KindGroup:
		w.logGroup(v.Group())
	case slog.KindString:
		w.string(v.String())
	case slog.KindInt64:
		w.dst = strconv.AppendInt(w.dst, v.Int64(), 10)
	case slog.KindUint64:
		w.dst = strconv.AppendUint(w.dst, v.Uint64(), 10)
	case slog.KindFloat64:
		w.dst = appendFloat(w.dst, v.Float64(), 64)
	case slog.KindBool:
		w.dst = strconv.AppendBool(w.dst, v.Bool())
	case slog.KindDuration:
		w.duration(v.Duration())
	case slog.KindTime:
		w.time(v.Time())
	default:
		w.value(reflect.ValueOf(v.Any()))
	}
}

// logGroup writes attributes as an object. As in slog, a group without a name belongs to the one it
// is in.
func (w *writer) logGroup(attrs []slog.Attr) {
	if !w.enter(place{}, false) {
		return
	}
	chain := w.chain
	w.chain = 0 // from here on, depth is the limit
	w.raw("{")
	first := true
	w.attrs(attrs, &first, false)
	w.raw("}")
	w.chain = chain
	w.leave(false)
}

// attrs reports false if it had no room for all.
func (w *writer) attrs(attrs []slog.Attr, first *bool, nameless bool) bool {
	for i, a := range attrs {
		// Once only: such groups could be inside each other without end.
		if a.Key == "" && a.Value.Kind() == slog.KindGroup && !nameless {
			if !w.attrs(a.Value.Group(), first, true) {
				return false
			}
			continue
		}
		if !w.key(*first, a.Key, len(attrs)-i) {
			*first = false
			return false
		}
		*first = false
		if w.enc.secret(a.Key) {
			w.raw(hidden)
		} else {
			w.logValue(a.Value)
		}
	}
	return true
}
