package payload

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

// A plan is how values of a type are encoded, found out once.
type plan struct {
	typ    reflect.Type
	name   string // for markers
	kind   special
	method method // instead of a look inside
	viaPtr bool   // only the pointer type has the method
	gate   gate   // of method
	tame   bool   // the method is known to be harmless

	// shut is set if the type has a method for its encoding, but one that could give a secret away.
	shut method
	// names are those of all fields that can be reached, if method depends on their being no secrets.
	names []string

	key     method // for keys of maps: logValue, marshalText or none
	keyPtr  bool
	keyGate gate

	fields []field // of a struct
}

// A field is a field with what is written before its value.
type field struct {
	fields.Field
	key    string   // "name":
	names  []string // all that it is known by: in JSON, in Go, and those of what it is promoted from
	isTime bool
}

// special are types with a form of their own.
type special uint8

const (
	isOther special = iota
	isTime
	isDuration
	isNumber
	isRaw
	isLogValue
	isLogAttr
)

var specials = map[reflect.Type]special{
	reflect.TypeFor[time.Time]():       isTime,
	reflect.TypeFor[time.Duration]():   isDuration,
	reflect.TypeFor[json.Number]():     isNumber,
	reflect.TypeFor[json.RawMessage](): isRaw,
	reflect.TypeFor[slog.Value]():      isLogValue,
	reflect.TypeFor[slog.Attr]():       isLogAttr,
}

// tame are the types whose texts are ready-made. They are most of the errors there are, so they are
// worth a call without a goroutine and a watch.
var tame = map[reflect.Type]bool{
	reflect.TypeOf(errors.New("")).Elem():                                 true,
	reflect.TypeOf(fmt.Errorf("%w", errors.ErrUnsupported)).Elem():        true,
	reflect.TypeOf(fmt.Errorf("%w%w", errors.ErrUnsupported, nil)).Elem(): true,
}

// A method is one by which a type says how it wants to be shown.
type method uint8

const (
	noMethod method = iota
	logValue
	marshalJSON
	errorText
	marshalText
	stringText
)

func (m method) String() string {
	return [...]string{"no method", "LogValue", "MarshalJSON", "Error", "MarshalText", "String"}[m]
}

var interfaces = [...]reflect.Type{
	logValue:    reflect.TypeFor[slog.LogValuer](),
	marshalJSON: reflect.TypeFor[json.Marshaler](),
	errorText:   reflect.TypeFor[error](),
	marshalText: reflect.TypeFor[encoding.TextMarshaler](),
	stringText:  reflect.TypeFor[fmt.Stringer](),
}

// has reports whether t, or only the pointer to it, has a method.
func has(t reflect.Type, m method) (ok, viaPtr bool) {
	if t.Implements(interfaces[m]) {
		return true, false
	}
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false, false
	}
	ok = reflect.PointerTo(t).Implements(interfaces[m])
	return ok, ok
}

// A program has a fixed number of types, but for those made by reflect, which it never forgets either.
var plans sync.Map // reflect.Type → *plan

// planOf returns the plan of a type that is neither an interface nor a pointer.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p, _ := plans.LoadOrStore(t, newPlan(t))
	return p.(*plan)
}

func newPlan(t reflect.Type) *plan {
	p := &plan{typ: t, name: typeName(t), kind: specials[t]}
	if p.kind != isOther {
		return p
	}
	if t.Kind() == reflect.Struct {
		for _, f := range fields.Of(t) {
			f.Secret = f.Secret || behindLogValuer(t, f.Index)
			p.fields = append(p.fields, field{
				Field:  f,
				key:    string(appendString(nil, f.Name, 2*suffixRoom+6*len(f.Name))) + ":",
				names:  append([]string{f.Name}, goNames(t, f.Index)...),
				isTime: t.FieldByIndex(f.Index).Type == reflect.TypeFor[time.Time](),
			})
		}
	}
	p.choose()
	p.chooseKey()
	p.tame = tame[t]
	return p
}

// choose finds the method that speaks for the type.
func (p *plan) choose() {
	if ok, viaPtr := has(p.typ, logValue); ok {
		p.method, p.viaPtr = logValue, viaPtr
		return
	}
	for m := marshalJSON; m <= stringText; m++ {
		ok, viaPtr := has(p.typ, m)
		if !ok || m == stringText && p.parts() {
			continue
		}
		names, discreet := reach(p.typ, m)
		if !discreet {
			p.shut = m
			return // the next would not be better: it may say the same
		}
		p.method, p.viaPtr, p.names = m, viaPtr, names
		return
	}
}

// chooseKey finds the method that speaks for the type as a key. As in encoding/json, strings need none.
func (p *plan) chooseKey() {
	if p.method == logValue {
		p.key, p.keyPtr = logValue, p.viaPtr
		return
	}
	if ok, viaPtr := has(p.typ, marshalText); ok && p.typ.Kind() != reflect.String {
		if names, discreet := reach(p.typ, marshalText); discreet {
			p.key, p.keyPtr, p.names = marshalText, viaPtr, names
		}
	}
}

// parts reports whether there is something to show in a value of the type without its methods.
func (p *plan) parts() bool {
	switch p.typ.Kind() {
	case reflect.Struct:
		return len(p.fields) > 0
	case reflect.Map:
		return true
	case reflect.Slice, reflect.Array:
		return !scalar(p.typ.Elem().Kind())
	}
	return false
}

// behindLogValuer reports whether a field is promoted from an embedded struct that implements
// slog.LogValuer. Of two such structs neither speaks for the struct that embeds them, so their
// fields would be shown raw.
func behindLogValuer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		t = t.Field(i).Type
		if ok, _ := has(t, logValue); ok {
			return true
		}
	}
	return false
}

// goNames returns the names of the fields along an index.
func goNames(t reflect.Type, index []int) (names []string) {
	for i := range index {
		names = append(names, t.FieldByIndex(index[:i+1]).Name)
	}
	return names
}

// omit reports whether the field's tag wants a value left out.
func (f *field) omit(v reflect.Value) bool {
	if f.OmitZero {
		if f.isTime && v.CanInterface() {
			switch t := direct(v).(type) {
			case time.Time:
				return t.IsZero()
			case *time.Time:
				return t.IsZero()
			}
		}
		if v.IsZero() {
			return true
		}
	}
	if !f.OmitEmpty || f.Secret {
		return false
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// typeName is the type's name for people.
func typeName(t reflect.Type) string {
	// A type without a name is spelt out, fields and tags and all.
	name := []rune(t.String())
	if len(name) > 80 {
		return string(name[:80]) + "…"
	}
	return string(name)
}
