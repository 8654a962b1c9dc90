package filter

import (
	"reflect"
	"strings"

	"github.com/earshot-go/earshot/tap/internal/fields"
	"github.com/earshot-go/earshot/tap/internal/payload"
)

// hide tells which more names than those of fields.SecretKey are secrets. nil: none.
type hide func(name string) bool

// Hide returns a filter like this one, to which more names of fields and map keys are secrets: those
// for which secret returns true, or panics. It may be asked from many goroutines. A filter that is
// given to others must not see what they may not see; a page that hides names from its payloads
// hides them from its filters by this.
func (f *Filter) Hide(secret func(name string) bool) *Filter {
	if secret == nil {
		return f
	}
	h := hide(secret)
	if old := f.hide; old != nil {
		h = func(name string) bool { return old(name) || secret(name) }
	}
	hidden, err := parse(f.text, h)
	if err != nil {
		panic("earshot: filter that was parsed does not parse: " + err.Error())
	}
	return hidden
}

// name reports whether a map key of the name is a secret.
func (h hide) name(name string) bool {
	return fields.SecretKey(name) || h != nil && h.asked(name)
}

func (h hide) asked(name string) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true
		}
	}()
	return h(name)
}

// member reports whether a field is a secret.
func (h hide) member(m *member) bool {
	if m.Secret || h == nil {
		return m.Secret
	}
	return h.any(m.names)
}

func (h hide) any(names []string) bool {
	for _, n := range names {
		if h.asked(n) {
			return true
		}
	}
	return false
}

// errorText returns what the Error method of a settled value says. It reports false if there is no
// such method, or it cannot be called, or it panics, or what it says may be part of a secret.
func (h hide) errorText(k *kind, v, pointer reflect.Value) (text string, ok bool) {
	if !k.err && k.ptrErr {
		v = pointer
	} else if !k.err {
		return "", false
	}
	if !v.IsValid() || !v.CanInterface() {
		return "", false
	}
	budget := maxWrapped
	if h.tells(v, &budget) {
		return "", false
	}
	e, ok := v.Interface().(error)
	if !ok {
		return "", false
	}
	return payload.ErrorText(e) // which may panic, or never return
}

// maxWrapped is how many errors inside of each other are looked at before their text is not.
const maxWrapped = 256

// tells reports whether the text of an error may give a secret away: one of its own, or that of an
// error or another value inside of it.
func (h hide) tells(v reflect.Value, budget *int) bool {
	isErr := false
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if *budget--; *budget < 0 {
			return true
		}
		if v.IsNil() {
			return false
		}
		isErr = isErr || kindOf(v.Type()).err
		v = v.Elem()
	}
	k := kindOf(v.Type())
	if *budget--; *budget < 0 || k.opaque {
		return true
	}
	if names, blunt := k.reach(); blunt || h != nil && h.any(names) {
		return true
	}
	if !isErr && !k.err {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Interface && h.tells(f, budget) || h.anyTells(f, budget) {
				return true
			}
		}
	default:
		return h.anyTells(v, budget)
	}
	return false
}

// anyTells asks for each of a list of errors, as errors.Join has one.
func (h hide) anyTells(v reflect.Value, budget *int) bool {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array || !v.Type().Elem().Implements(errorType) {
		return false
	}
	for i := range v.Len() {
		if h.tells(v.Index(i), budget) {
			return true
		}
	}
	return false
}

// maxReach is how many types are looked at before one is too large to be sure of.
const maxReach = 1000

// reach returns the names of the fields that an Error method of the type could print, and whether
// one of them is a secret.
//
// Of the types of other packages only their own fields count, not what is behind those: the text of
// an error is made to be read, and a pointer to an HTTP response shall not silence it for the sake of
// the response's headers.
func reach(root reflect.Type) (names []string, blunt bool) {
	seen := map[reflect.Type]bool{}
	todo := []reflect.Type{root}
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[t] || t == timeType {
			continue
		}
		seen[t] = true
		if len(seen) > maxReach || len(names) > maxReach || t.Implements(logValuerType) || reflect.PointerTo(t).Implements(logValuerType) {
			return nil, true
		}
		own := t.PkgPath() == "" || t.PkgPath() == root.PkgPath()
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			if own {
				todo = append(todo, t.Elem())
			}
		case reflect.Map:
			if k := t.Key().Kind(); own && (k == reflect.String || k == reflect.Interface) {
				return nil, true // any of its keys may be that of a secret
			} else if own {
				todo = append(todo, t.Key(), t.Elem())
			}
		case reflect.Struct:
			for i := range t.NumField() {
				f := t.Field(i)
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if fields.SecretKey(f.Name) || fields.SecretKey(name) || strings.Contains(f.Tag.Get("earshot"), "secret") {
					return nil, true
				}
				names = append(names, f.Name)
				if name != "" && name != "-" {
					names = append(names, name)
				}
				if own {
					todo = append(todo, f.Type)
				}
			}
		}
	}
	return names, false
}
