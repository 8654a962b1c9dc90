package payload

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
)

// mostEntries is how many entries of a map are put in order. Of a larger map, which will hardly fit in
// any case, some are shown.
const mostEntries = 4096

type entry struct {
	key   string
	value reflect.Value
}

// mapping writes a map in the order of its keys.
func (w *writer) mapping(v reflect.Value) {
	entries := make([]entry, 0, min(v.Len(), mostEntries))
	for it := v.MapRange(); len(entries) < mostEntries && it.Next(); {
		entries = append(entries, entry{w.keyText(it.Key()), it.Value()})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	w.raw("{")
	for i, e := range entries {
		if !w.key(i == 0, e.key, v.Len()-i) {
			w.raw("}")
			return
		}
		if w.enc.secret(e.key) {
			w.raw(hidden)
		} else {
			w.value(e.value)
		}
	}
	if n := v.Len() - len(entries); n > 0 {
		w.moreIn(len(entries) == 0, n)
	}
	w.raw("}")
}

// keyText returns a key as encoding/json has it. Keys that it refuses are the text of their JSON.
func (w *writer) keyText(k reflect.Value) string {
	if k.Kind() == reflect.Interface {
		if k = k.Elem(); !k.IsValid() {
			return "null"
		}
	}
	t := k.Type()
	if t.PkgPath() == "" && t.Kind() == reflect.String {
		return k.String()
	}
	// Pointers are walked through below: *T has T's methods there, too.
	if t.Kind() != reflect.Pointer {
		p := planOf(t)
		if p.key == marshalText && k.CanInterface() && w.enc.trusts(p) {
			r := w.call(receiver(k, p.keyPtr), marshalText, &p.keyGate)
			if r.why != "" {
				return "MarshalText of " + p.name + " " + r.why
			}
			return r.text
		}
		if p.key != logValue {
			switch t.Kind() {
			case reflect.String:
				return k.String()
			case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
				return strconv.FormatInt(k.Int(), 10)
			case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
				return strconv.FormatUint(k.Uint(), 10)
			}
		}
	}
	// The rest, LogValuers among them, is written like a value, in little room and from nothing.
	sub := writer{enc: w.enc, limit: leastBytes, depth: w.depth, maxDepth: w.maxDepth, chain: w.chain, spent: w.spent}
	sub.value(k)
	w.spent = sub.spent
	if text, ok := unquote(sub.dst); ok {
		return text
	}
	return string(sub.dst)
}
