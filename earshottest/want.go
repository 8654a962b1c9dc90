package earshottest

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
)

// Type is an expectation that any event of type E meets. It reads well with Watch[any]:
//
//	all.Expect(earshottest.Type[Started](), earshottest.Type[Stopped]())
func Type[E any]() func(E) { return func(E) {} }

// On is an expectation that is met by an event that meets want and was sent to the channel with the
// given name.
func On(name, want any) any { return onChannel{name, want} }

type onChannel struct{ name, want any }

// A want is an expectation, and what has met it.
type want struct {
	text string
	by   int // the event that met it, or -1
	meet func(event) (bool, error)
}

// parse makes a want of what was given for events of type of. The error is a mistake in the test.
func parse(given any, of reflect.Type) (want, error) {
	if on, ok := given.(onChannel); ok {
		w, err := parse(on.want, of)
		inner := w.meet
		w.text += fmt.Sprintf(" on channel %#v", on.name)
		w.meet = func(e event) (bool, error) {
			if e.channel != on.name {
				return false, nil
			}
			return inner(e)
		}
		return w, err
	}
	v := reflect.ValueOf(given)
	if v.Kind() == reflect.Func && (of.Kind() == reflect.Interface || v.Type() != of) {
		return parseFunc(v, of)
	}
	if of.Kind() != reflect.Interface && (given == nil || v.Type() != of) {
		return want{}, fmt.Errorf("is a %T, but the events are of type %v", given, of)
	}
	if given != nil && of.Kind() == reflect.Interface && !v.Type().Implements(of) {
		return want{}, fmt.Errorf("is a %T, which does not implement %v", given, of)
	}
	return want{text: show(given), by: -1, meet: func(e event) (bool, error) {
		return reflect.DeepEqual(e.value, given), nil
	}}, nil
}

func parseFunc(f reflect.Value, of reflect.Type) (want, error) {
	t := f.Type()
	if f.IsNil() {
		return want{}, fmt.Errorf("is a nil %v", t)
	}
	result := ""
	if t.NumOut() == 1 {
		result = t.Out(0).String()
	}
	if t.NumIn() != 1 || t.IsVariadic() || t.NumOut() > 1 || result != "" && result != "bool" && result != "error" {
		return want{}, fmt.Errorf("is a %v, not a func(E), func(E) bool or func(E) error", t)
	}
	in := t.In(0)
	if of.Kind() != reflect.Interface && !of.AssignableTo(in) {
		return want{}, fmt.Errorf("is a %v, but the events are of type %v", t, of)
	}
	return want{text: t.String() + place(f), by: -1, meet: func(e event) (bool, error) {
		arg := reflect.Zero(in)
		if e.value != nil {
			arg = reflect.ValueOf(e.value)
			if !arg.Type().AssignableTo(in) {
				return false, nil
			}
		} else if in.Kind() != reflect.Interface {
			return false, nil
		}
		out := f.Call([]reflect.Value{arg})
		switch result {
		case "bool":
			return out[0].Bool(), nil
		case "error":
			err, _ := out[0].Interface().(error)
			return err == nil, err
		}
		return true, nil
	}}, nil
}

// place says where a function was written.
func place(f reflect.Value) string {
	fn := runtime.FuncForPC(f.Pointer())
	if fn == nil {
		return ""
	}
	file, line := fn.FileLine(fn.Entry())
	if strings.HasSuffix(file, "earshottest/want.go") {
		return "" // Type says nothing more
	}
	return fmt.Sprintf(" (%s:%d)", filepath.Base(file), line)
}

// show prints a value for people, with its type.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return fmt.Sprintf("%q", v)
	}
	if k := reflect.TypeOf(v).Kind(); k == reflect.Struct {
		return fmt.Sprintf("%T%+v", v, v)
	}
	return fmt.Sprintf("%T(%+v)", v, v)
}
