package payload

import "reflect"

// ErrorText returns what an error says, unless its Error method panics or does not return in time. For
// types that are known to be harmless it costs what the method does.
func ErrorText(e error) (text string, ok bool) {
	t := reflect.TypeOf(e)
	if tame[t] {
		return e.Error(), true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := planOf(t)
	if p.tame {
		return e.Error(), true
	}
	var w writer
	r := w.call(e, errorText, &p.gate)
	return r.text, r.why == ""
}
