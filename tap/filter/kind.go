package filter

import (
	"encoding"
	"encoding/json"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

// A kind is what has to be known of a type before a value of it is looked at.
type kind struct {
	t      reflect.Type
	sees   sees
	opaque bool // what it shows of itself is up to its methods: as if it were not there
	err    bool // it is an error
	ptrErr bool // a pointer to it is an error
	dull   bool // neither a string nor an error, and contains none

	members []member // of a struct

	// reach tells what its Error method could give away: a secret, or the fields of these names.
	reach func() (names []string, blunt bool)
}

// A member is a field of a struct that may be seen.
type member struct {
	*fields.Field
	names []string // all that it is known by: in JSON, in Go, and those of what it is promoted from
	err   bool     // it is named as errors are
}

// sees is how a value is compared.
type sees uint8

const (
	asNothing sees = iota
	asBool
	asInt
	asUint
	asFloat
	asText
	asBytes
	asJSON     // json.RawMessage
	asNumber   // json.Number
	asDuration // time.Duration
	asTime     // time.Time
)

// A program has a fixed number of types, but for those that package reflect makes and never forgets.
var kinds sync.Map // reflect.Type → *kind

func kindOf(t reflect.Type) *kind {
	if k, ok := kinds.Load(t); ok {
		return k.(*kind)
	}
	k, _ := kinds.LoadOrStore(t, newKind(t))
	return k.(*kind)
}

var (
	errorType     = reflect.TypeFor[error]()
	logValuerType = reflect.TypeFor[slog.LogValuer]()
	jsonType      = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	numberType    = reflect.TypeFor[json.Number]()
	durationType  = reflect.TypeFor[time.Duration]()
	timeType      = reflect.TypeFor[time.Time]()
)

func newKind(t reflect.Type) *kind {
	k := &kind{t: t, reach: sync.OnceValues(func() ([]string, bool) { return reach(t) })}
	if t.Kind() == reflect.Interface {
		return k // it is the value inside that counts
	}
	ptr := reflect.PointerTo(t)
	k.err, k.ptrErr = t.Implements(errorType), ptr.Implements(errorType)
	k.opaque = ptr.Implements(logValuerType) // also if t itself does
	switch t {
	case rawType:
		k.sees = asJSON
		return k
	case numberType:
		k.sees, k.dull = asNumber, true // text that is a number is no text
		return k
	case durationType:
		k.sees, k.dull = asDuration, true
		return k
	case timeType:
		k.sees, k.dull = asTime, true
		return k
	}
	switch t.Kind() {
	case reflect.Bool:
		k.sees = asBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		k.sees = asInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		k.sees = asUint
	case reflect.Float32, reflect.Float64:
		k.sees = asFloat
	case reflect.String:
		k.sees = asText
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			k.sees = asBytes
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		k.members = members(t)
		return k
	case reflect.Pointer:
		return k
	case reflect.String, reflect.Slice, reflect.Array, reflect.Map:
	default:
		k.dull = !k.err && !k.ptrErr
	}
	k.opaque = k.opaque || ptr.Implements(jsonType) || ptr.Implements(textType)
	return k
}

// members returns the fields that are no secrets. What is promoted from a slog.LogValuer is one,
// even if its method is not promoted with it.
func members(t reflect.Type) (ms []member) {
	all := fields.Of(t)
field:
	for i := range all {
		f := &all[i]
		if f.Secret {
			// It still takes the name, so that nothing else is found by it.
			ms = append(ms, member{Field: f})
			continue
		}
		m := member{Field: f, names: []string{f.Name}, err: namesError(f.Name) || namesError(f.GoName)}
		for n := range f.Index {
			at := t.FieldByIndex(f.Index[:n+1])
			m.names = append(m.names, at.Name)
			if x := element(at.Type); n < len(f.Index)-1 && reflect.PointerTo(x).Implements(logValuerType) {
				ms = append(ms, member{Field: &fields.Field{Name: f.Name, GoName: f.GoName, Secret: true}})
				continue field
			}
		}
		ms = append(ms, m)
	}
	return ms
}

// settle follows interfaces and pointers to a value that is neither. Of the pointers it also returns
// the last, since that may be what has the methods. The value is not valid if one of them is nil, or
// if they are too many.
func settle(v reflect.Value) (value, pointer reflect.Value) {
	for range maxDepth {
		switch v.Kind() {
		default:
			return v, pointer
		case reflect.Invalid:
			return v, reflect.Value{}
		case reflect.Interface:
			pointer = reflect.Value{}
		case reflect.Pointer:
			pointer = v
		}
		v = v.Elem() // invalid if nil
	}
	return reflect.Value{}, reflect.Value{}
}
