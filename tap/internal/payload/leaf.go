package payload

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

var byteType = reflect.TypeFor[byte]()

// special writes the types of the standard library that have a form of their own here.
func (w *writer) special(v reflect.Value, p *plan) bool {
	switch p.kind {
	case isDuration:
		w.duration(time.Duration(v.Int()))
	case isNumber:
		if s := v.String(); validNumber(s) && len(s) <= w.room() {
			w.raw(s)
		} else {
			w.string(s)
		}
	case isRaw:
		if b := v.Bytes(); b == nil {
			w.raw("null")
		} else {
			w.embed(b, rawMessage)
		}
	case isTime, isLogValue, isLogAttr:
		if !v.CanInterface() {
			w.marker(p.name + " in an unexported field")
			return true
		}
		switch x := direct(v).(type) {
		case time.Time:
			w.time(x)
		case *time.Time:
			w.time(*x)
		case slog.Value:
			w.logValue(x)
		case *slog.Value:
			w.logValue(*x)
		case slog.Attr:
			w.logGroup([]slog.Attr{x})
		case *slog.Attr:
			w.logGroup([]slog.Attr{*x})
		}
	default:
		return false
	}
	return true
}

// direct returns what v holds, or a pointer to it where that saves a copy.
func direct(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}

func (w *writer) time(t time.Time) {
	// The longest time that anybody means has 35 characters, but years and zones may be anything.
	var buf [80]byte
	if b := t.AppendFormat(buf[:0], time.RFC3339Nano); len(b)+2 <= w.room() {
		w.dst = append(append(append(w.dst, '"'), b...), '"')
	} else {
		w.string(string(b))
	}
}

func (w *writer) duration(d time.Duration) {
	w.raw(`"`)
	w.raw(d.String())
	w.raw(`"`)
}

// scalar reports whether the encoding of a kind needs nothing but the value.
func scalar(k reflect.Kind) bool {
	return reflect.Bool <= k && k <= reflect.Complex128 || k == reflect.String
}

// scalar writes what has no parts.
func (w *writer) scalar(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.dst = strconv.AppendBool(w.dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.dst = strconv.AppendInt(w.dst, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		w.dst = strconv.AppendUint(w.dst, v.Uint(), 10)
	case reflect.Float32:
		w.dst = appendFloat(w.dst, v.Float(), 32)
	case reflect.Float64:
		w.dst = appendFloat(w.dst, v.Float(), 64)
	case reflect.String:
		w.string(v.String())
	case reflect.Complex64:
		w.string(strconv.FormatComplex(v.Complex(), 'g', -1, 64))
	case reflect.Complex128:
		w.string(strconv.FormatComplex(v.Complex(), 'g', -1, 128))
	case reflect.Chan, reflect.Func:
		if v.IsNil() {
			w.raw("null")
			return
		}
		fallthrough
	default:
		w.string("(" + typeName(v.Type()) + ")")
	}
}

// bytes writes a string if b is one, as far as it is shown.
func (w *writer) bytes(b []byte) {
	head := b
	if most := w.room(); len(head) > most {
		// Do not take half of a character for an invalid one.
		for head = head[:most]; len(head) > most-utf8.UTFMax && !utf8.RuneStart(b[len(head)]); {
			head = head[:len(head)-1]
		}
	}
	if utf8.Valid(head) {
		if len(head) < len(b) {
			w.cutString(string(head), len(b))
		} else {
			w.string(string(b))
		}
		return
	}
	const frame = len(`{"base64":"","bytes":18446744073709551615}`)
	room := (w.room() - frame) / 4 * 3
	w.raw(`{"base64":"`)
	if len(b) <= room {
		w.dst = base64.StdEncoding.AppendEncode(w.dst, b)
		w.raw(`"}`)
		return
	}
	w.dst = base64.StdEncoding.AppendEncode(w.dst, b[:room]) // whole groups of three: no padding
	w.raw(`","bytes":`)
	w.dst = strconv.AppendInt(w.dst, int64(len(b)), 10)
	w.raw(`}`)
}

// cutString writes the beginning of a string of which only head, too long by itself, was looked at.
func (w *writer) cutString(head string, whole int) {
	room := w.room() - suffixRoom
	w.raw(`"`)
	start := len(w.dst)
	for i := 0; i < len(head); {
		next, size := appendRune(w.dst, head[i:])
		if len(next)-start > room {
			break
		}
		w.dst = next
		i += size
	}
	w.dst = appendCut(w.dst, whole)
}

// validNumber reports whether s is a JSON number.
func validNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') && s[len(s)-1] > ' ' && json.Valid([]byte(s))
}
