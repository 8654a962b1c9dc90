package filter

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

// A path leads from an event to one of its fields.
type path []*segment

// maxPath is how many names a path may have.
const maxPath = maxDepth

// A segment is one name of a path.
type segment struct {
	name   string
	hide   hide
	secret bool // as the key of a map
	index  int  // in a slice; -1 if it is not a number
	key    reflect.Value

	// known are the struct types in which the name has been looked up: copied to be changed, and
	// no more than maxKnown, so that a channel of any type cannot make it grow.
	known atomic.Pointer[[]known]
}

// known is what a name means in a struct type.
type known struct {
	t     reflect.Type
	field *fields.Field // nil if there is none that may be seen
}

const maxKnown = 8

func newSegment(name string, hide hide) *segment {
	s := &segment{name: name, hide: hide, secret: hide.name(name), index: -1, key: reflect.ValueOf(name)}
	if i, err := strconv.Atoi(name); err == nil && strconv.Itoa(i) == name && i >= 0 {
		s.index = i
	}
	return s
}

// find follows the path from a value. What it returns is not valid if there is nothing, or nothing
// that may be seen; it may be a pointer or an interface, also a nil one.
func (p path) find(v reflect.Value, r *reading) reflect.Value {
	for _, s := range p {
		if v, _ = settle(v); !v.IsValid() {
			return v
		}
		v = s.step(v, kindOf(v.Type()), r)
	}
	return v
}

func (s *segment) step(v reflect.Value, k *kind, r *reading) reflect.Value {
	if k.opaque {
		return reflect.Value{}
	}
	switch v.Kind() {
	case reflect.Struct:
		if f := s.field(k); f != nil {
			if v, ok := f.In(v); ok {
				return v
			}
		}
	case reflect.Map:
		if !s.secret {
			return s.value(v)
		}
	case reflect.Slice, reflect.Array:
		if k.sees == asJSON {
			inside, _ := settle(r.decode(v.Bytes()))
			if inside.IsValid() {
				return s.step(inside, kindOf(inside.Type()), r)
			}
		} else if 0 <= s.index && s.index < v.Len() {
			return v.Index(s.index)
		}
	}
	return reflect.Value{}
}

// field returns the field of the name: its name in JSON, else that ignoring case, else its Go name
// ignoring case. A secret stands for its name too, and is no field.
func (s *segment) field(k *kind) *fields.Field {
	var list []known
	if p := s.known.Load(); p != nil {
		list = *p
	}
	for i := range list {
		if list[i].t == k.t {
			return list[i].field
		}
	}
	var f *fields.Field
	if m := lookup(k.members, s.name); m != nil && !s.hide.member(m) {
		f = m.Field
	}
	if len(list) < maxKnown {
		longer := append(slices.Clip(list), known{k.t, f})
		s.known.Store(&longer) // of two at a time one is forgotten, and looked up again
	}
	return f
}

func lookup(ms []member, name string) *member {
	for i := range ms {
		if ms[i].Name == name {
			return &ms[i]
		}
	}
	for i := range ms {
		if strings.EqualFold(ms[i].Name, name) {
			return &ms[i]
		}
	}
	for i := range ms {
		if strings.EqualFold(ms[i].GoName, name) {
			return &ms[i]
		}
	}
	return nil
}

// value returns the value of a map's key. Keys are strings or integers; those of which JSON shows
// something else are not seen.
func (s *segment) value(m reflect.Value) reflect.Value {
	t := m.Type().Key()
	if kindOf(t).opaque {
		return reflect.Value{}
	}
	// The maps that JSON becomes need no copy of the value.
	if m.Type() == mapType && m.CanInterface() {
		if m, ok := reflect.TypeAssert[map[string]any](m); ok {
			v, ok := m[s.name]
			if ok && v == nil {
				return null
			}
			return reflect.ValueOf(v)
		}
	}
	switch t.Kind() {
	case reflect.String:
		if t == s.key.Type() {
			return m.MapIndex(s.key)
		}
		return m.MapIndex(s.key.Convert(t))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, err := strconv.ParseInt(s.name, 10, t.Bits()); err == nil {
			return m.MapIndex(reflect.ValueOf(i).Convert(t))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if i, err := strconv.ParseUint(s.name, 10, t.Bits()); err == nil {
			return m.MapIndex(reflect.ValueOf(i).Convert(t))
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return m.MapIndex(s.key)
		}
	}
	return reflect.Value{}
}

var (
	mapType = reflect.TypeFor[map[string]any]()
	// null is the nil in an interface, which is not the same as nothing.
	null = reflect.ValueOf(new(any)).Elem()
)
