package payload

import (
	"reflect"
	"slices"
	"strconv"
	"time"
)

// A writer encodes one event.
//
// The bound on its bytes holds because of a promise and its counterpart: whoever writes a value sees
// to it that there is room for at least leastRoom bytes, and a value takes no more than there is room.
// Whatever opens an object or array first sets aside what its end will take.
type writer struct {
	enc      *Encoder
	dst      []byte
	limit    int // the length of dst that what is written now must not exceed
	depth    int // objects and arrays that are open
	maxDepth int
	path     [mostDepth]place // what we are in, to find cycles; an array to not need the heap
	places   int              // in path
	chain    int              // LogValuers that returned LogValuers
	spent    time.Duration    // by methods of others
}

const (
	leastRoom = 48 // any number, time, duration, cut string or marker
	closeRoom = 36 // ,{"!":"18446744073709551615 more"}]
	maxHops   = 64 // pointers to pointers
)

// A place is something that can be reached again from inside of it. The type tells a struct from its
// first field.
type place struct {
	at  uintptr
	len int
	typ reflect.Type
}

func (w *writer) room() int { return w.limit - len(w.dst) }

func (w *writer) string(s string) { w.dst = appendString(w.dst, s, w.room()) }

func (w *writer) raw(s string) { w.dst = append(w.dst, s...) }

// marker says why something is not shown.
func (w *writer) marker(why string) {
	w.raw(`{"!":`)
	w.dst = appendString(w.dst, why, w.room()-1)
	w.raw(`}`)
}

const hidden = `"[secret]"`

// value writes anything.
func (w *writer) value(v reflect.Value) {
	var at uintptr
	for hops := 0; v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface; hops++ {
		switch {
		case v.IsNil():
			w.raw("null")
			return
		case hops == maxHops:
			w.marker("pointers to pointers without end")
			return
		case v.Kind() == reflect.Pointer:
			at = v.Pointer()
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		w.raw("null")
		return
	}
	t := v.Type()
	if t.PkgPath() == "" && scalar(t.Kind()) {
		w.scalar(v)
		return
	}
	if p := planOf(t); !w.special(v, p) && !w.byMethod(v, p) {
		w.inside(v, p, at)
	}
}

// inside writes a value by its parts. at is where it is, if that is known.
func (w *writer) inside(v reflect.Value, p *plan, at uintptr) {
	t := p.typ
	switch v.Kind() {
	case reflect.Struct:
		if w.enter(place{at, 0, t}, at != 0) {
			w.structure(v, p)
			w.leave(at != 0)
		}
	case reflect.Map:
		switch {
		case v.IsNil():
			w.raw("null")
		case w.enter(place{v.Pointer(), 0, t}, true):
			w.mapping(v)
			w.leave(true)
		}
	case reflect.Slice:
		switch {
		case v.IsNil():
			w.raw("null")
		case t.Elem() == byteType: // and not a type with methods that tell what it means
			w.bytes(v.Bytes())
		case w.enter(place{v.Pointer(), v.Len(), t}, v.Len() > 0):
			w.list(v)
			w.leave(v.Len() > 0)
		}
	case reflect.Array:
		if w.enter(place{at, 0, t}, at != 0) {
			w.list(v)
			w.leave(at != 0)
		}
	default:
		w.scalar(v)
	}
}

// enter begins an object or array, and reports false if it wrote something else in its place.
func (w *writer) enter(at place, remember bool) bool {
	if w.depth == w.maxDepth {
		w.marker("more than " + strconv.Itoa(w.maxDepth) + " levels deep")
		return false
	}
	if remember {
		for i := range w.places {
			if w.path[i] == at {
				w.marker("a cycle: inside of itself, " + typeName(at.typ))
				return false
			}
		}
		w.path[w.places] = at
		w.places++
	}
	w.depth++
	w.limit -= closeRoom
	return true
}

func (w *writer) leave(remembered bool) {
	if remembered {
		w.places--
	}
	w.depth--
	w.limit += closeRoom
}

// structure writes the fields of a struct. One that is long leaves room for those after it.
func (w *writer) structure(v reflect.Value, p *plan) {
	w.raw("{")
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		fv, ok := f.In(v)
		if !ok || f.omit(fv) {
			continue
		}
		if w.room() < 1+len(f.key)+leastRoom {
			w.moreIn(first, len(p.fields)-i)
			break
		}
		if !first {
			w.raw(",")
		}
		first = false
		w.raw(f.key)
		if f.Secret || w.enc.Secret != nil && slices.ContainsFunc(f.names, w.enc.asked) {
			w.raw(hidden)
			continue
		}
		after := min((len(p.fields)-i-1)*2*leastRoom, w.room()/2, w.room()-leastRoom)
		w.limit -= after
		w.value(fv)
		w.limit += after
	}
	w.raw("}")
}

// moreIn ends an object whose other members have no room.
func (w *writer) moreIn(first bool, n int) {
	if !first {
		w.raw(",")
	}
	w.raw(`"!":"`)
	w.dst = strconv.AppendInt(w.dst, int64(n), 10)
	w.raw(` more"`)
}

// list writes the elements of a slice or array.
func (w *writer) list(v reflect.Value) {
	w.raw("[")
	for i := range v.Len() {
		if !w.element(i == 0, v.Len()-i) {
			break
		}
		w.value(v.Index(i))
	}
	w.raw("]")
}

// element begins an element of an array, or reports that there is no room for it and what follows.
func (w *writer) element(first bool, left int) bool {
	fits := w.fitsElement()
	if !first {
		w.raw(",")
	}
	if !fits {
		w.raw(`{`)
		w.moreIn(true, left)
		w.raw(`}`)
	}
	return fits
}

func (w *writer) fitsElement() bool { return w.room() >= 1+leastRoom } // with its comma

// key begins a member of an object, or reports that there is no room for it and what follows.
func (w *writer) key(first bool, key string, left int) bool {
	if !w.fitsKey() {
		w.moreIn(first, left)
		return false
	}
	if !first {
		w.raw(",")
	}
	w.dst = appendString(w.dst, key, w.room()-1-leastRoom)
	w.raw(":")
	return true
}

func (w *writer) fitsKey() bool { return w.room() >= 1+leastRoom+1+leastRoom } // comma, key, colon, value
