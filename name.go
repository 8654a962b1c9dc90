package earshot

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// NameText returns a channel's name as text for people, taps and labels: a string as it is, a number in
// digits. It calls no method of the name and follows no pointer: names are things to tell apart, and what is
// behind one may change at any time, or be nobody's business. Struct fields with the tag earshot:"secret"
// are masked.
func NameText(name any) string {
	switch n := name.(type) {
	case string:
		return n
	case int:
		return strconv.Itoa(n)
	case nil:
		return "nil"
	}
	var b strings.Builder
	writeName(&b, reflect.ValueOf(name))
	return b.String()
}

func writeName(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		b.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()))
	case reflect.Complex64, reflect.Complex128:
		b.WriteString(strconv.FormatComplex(v.Complex(), 'g', -1, v.Type().Bits()))
	case reflect.String:
		b.WriteString(v.String())
	case reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
		} else {
			writeName(b, v.Elem())
		}
	case reflect.Struct:
		t := v.Type()
		b.WriteByte('{')
		for i := range v.NumField() {
			if i > 0 {
				b.WriteByte(' ')
			}
			if t.Field(i).Tag.Get("earshot") == "secret" {
				b.WriteString("[secret]")
			} else {
				writeName(b, v.Field(i))
			}
		}
		b.WriteByte('}')
	case reflect.Array:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(' ')
			}
			writeName(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.Pointer, reflect.Chan, reflect.UnsafePointer:
		fmt.Fprintf(b, "%v(%#x)", v.Type(), v.Pointer())
	default:
		b.WriteString(v.Type().String())
	}
}
