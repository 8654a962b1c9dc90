package payload

import (
	"reflect"
	"strings"
	"sync"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

// mostReached is how many types and names are looked at before a type is given up as too large to
// be sure of.
const mostReached = 2000

// A search looks for secrets in what a method of a type could print.
type search struct {
	root   reflect.Type
	method method
	seen   map[reflect.Type]bool
	names  map[string]bool
	found  bool
}

// reach reports whether a type's method may be called: that no secret can be reached from it, and
// nothing of which the type does not tell what it is. names are those of the fields that can be.
func reach(t reflect.Type, m method) (names []string, discreet bool) {
	s := search{root: t, method: m, seen: map[reflect.Type]bool{}, names: map[string]bool{}}
	s.look(t)
	for name := range s.names {
		names = append(names, name)
	}
	return names, !s.found
}

func (s *search) look(t reflect.Type) {
	if s.found || s.seen[t] || specials[t] == isTime {
		return
	}
	s.seen[t] = true
	if len(s.seen)+len(s.names) > mostReached {
		s.found = true
		return
	}
	if ok, _ := has(t, logValue); ok && t != s.root {
		s.found = true
		return
	}
	// The text of an error is made to be read, and says what its author chose to say of the values of
	// other packages. So of those only their own fields count; without this, a pointer to an HTTP
	// response would silence an error for the sake of the response's headers.
	if s.method == errorText && t.PkgPath() != "" && t.PkgPath() != s.root.PkgPath() {
		if t.Kind() == reflect.Struct {
			for i := range t.NumField() {
				s.name(t.Field(i))
			}
		}
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.look(t.Elem())
	case reflect.Interface:
		s.found = s.method != errorText // for errors see tells
	case reflect.Map:
		switch t.Key().Kind() {
		case reflect.String, reflect.Interface:
			s.found = true // any of the keys may be one of a secret
		default:
			s.look(t.Key())
			s.look(t.Elem())
		}
	case reflect.Struct:
		for i := range t.NumField() {
			s.field(t.Field(i))
		}
	}
}

func (s *search) field(sf reflect.StructField) {
	s.name(sf)
	s.look(sf.Type)
}

// name looks at a field without what is in it.
func (s *search) name(sf reflect.StructField) {
	name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	if fields.SecretKey(sf.Name) || fields.SecretKey(name) || strings.Contains(sf.Tag.Get("earshot"), "secret") {
		s.found = true
	} else if ok, _ := has(sf.Type, logValue); ok {
		s.found = true
	}
	s.names[sf.Name] = true
	if name != "" && name != "-" {
		s.names[name] = true
	}
}

// trusts reports whether the plan's method is harmless to this encoder, which may know more names of
// secrets.
func (e *Encoder) trusts(p *plan) bool {
	if e.Secret == nil || len(p.names) == 0 {
		return true
	}
	if ok, known := e.discreet.Load(p); known {
		return ok.(bool)
	}
	ok := true
	for _, name := range p.names {
		ok = ok && !e.asked(name)
	}
	e.discreet.Store(p, ok)
	return ok
}

// mostWrapped is how many errors inside of each other are looked at.
const mostWrapped = 256

// tells reports whether an error has one inside, or another value, whose methods are not to be called:
// its text is probably part of the error's. It follows errors only, because other things that an
// error refers to may be in use.
func (e *Encoder) tells(v reflect.Value, budget *int) bool {
	isError := false
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if *budget--; *budget < 0 {
			return true
		}
		if v.IsNil() {
			return false
		}
		isError = isError || v.Type().Implements(interfaces[errorText])
		v = v.Elem()
	}
	if *budget--; *budget < 0 {
		return true
	}
	p := planOf(v.Type())
	if p.method == logValue || p.blunt() || !e.trusts(p) {
		return true
	}
	if !isError && !v.Type().Implements(interfaces[errorText]) {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.Interface:
				if e.tells(f, budget) {
					return true
				}
			case reflect.Slice: // as errors.Join has
				if e.anyTells(f, budget) {
					return true
				}
			}
		}
	case reflect.Slice, reflect.Array:
		return e.anyTells(v, budget)
	}
	return false
}

func (e *Encoder) anyTells(v reflect.Value, budget *int) bool {
	if !v.Type().Elem().Implements(interfaces[errorText]) {
		return false
	}
	for i := range v.Len() {
		if e.tells(v.Index(i), budget) {
			return true
		}
	}
	return false
}

// blunt reports whether the text of an error that has a value of the type could have a secret of it.
func (p *plan) blunt() bool {
	if is, known := bluntTypes.Load(p.typ); known {
		return is.(bool)
	}
	_, discreet := reach(p.typ, errorText)
	bluntTypes.Store(p.typ, !discreet)
	return !discreet
}

var bluntTypes sync.Map // reflect.Type → bool
