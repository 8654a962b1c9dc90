package filter

import (
	"bytes"
	"cmp"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An op is how a field is compared.
type op string

const (
	opEqual        op = "="
	opNotEqual     op = "!="
	opLess         op = "<"
	opLessEqual    op = "<="
	opGreater      op = ">"
	opGreaterEqual op = ">="
	opMatch        op = "~"
	opNoMatch      op = "!~"
)

// orders reports whether the op asks for more or less.
func (o op) orders() bool {
	return o == opLess || o == opLessEqual || o == opGreater || o == opGreaterEqual
}

// A comparison is a term such as amount>100.
type comparison struct {
	path   path
	op     op
	value  literal
	re     *regexp.Regexp // for ~ and !~
	limit  int            // how much of a text re is tried on
	hide   hide
	negate bool
}

// A literal is a value in a filter, read in every way that it can be: which of them counts is up to
// what it is compared with.
type literal struct {
	text     string
	quoted   bool // then it is text and nothing else
	num      *number
	duration *number // in nanoseconds
	time     time.Time
	isTime   bool
	null     bool
	isBool   bool
	bool     bool
}

func newLiteral(text string, quoted bool) literal {
	l := literal{text: text, quoted: quoted}
	if quoted {
		return l
	}
	l.num, l.duration = parseNumber(text), parseDuration(text)
	l.null = text == "null"
	l.isBool, l.bool = text == "true" || text == "false", text == "true"
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			l.time, l.isTime = t, true
		}
	}
	return l
}

// onlyText reports whether a bare literal is nothing but text.
func (l *literal) onlyText() bool {
	return l.num == nil && l.duration == nil && !l.isTime && !l.null && !l.isBool
}

func (c *comparison) holds(event reflect.Value, r *reading) bool {
	v := c.path.find(event, r)
	var yes bool
	switch c.op {
	case opMatch, opNoMatch:
		yes = c.matches(v, r)
	default:
		yes = c.compares(v, r)
	}
	if c.op == opNotEqual || c.op == opNoMatch {
		yes = !yes
	}
	return yes != c.negate
}

// compares reports whether the comparison holds, with = instead of !=.
func (c *comparison) compares(found reflect.Value, r *reading) bool {
	if !found.IsValid() {
		return false
	}
	v, pointer := settle(found)
	if !v.IsValid() || nilable(v) && v.IsNil() {
		return c.value.null && !c.op.orders()
	}
	k := kindOf(v.Type())
	if k.opaque {
		return false
	}
	order, ok := c.compare(k, v, pointer, r)
	if !ok {
		return false
	}
	switch c.op {
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opGreater:
		return order > 0
	case opGreaterEqual:
		return order >= 0
	}
	return order == 0
}

func nilable(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return true
	}
	return false
}

// compare returns whether the value is less than, equal to or greater than the literal. It reports
// false if they do not compare.
func (c *comparison) compare(k *kind, v, pointer reflect.Value, r *reading) (order int, ok bool) {
	l := &c.value
	if k.err || k.ptrErr && pointer.IsValid() {
		if text, ok := c.hide.errorText(k, v, pointer); ok {
			return strings.Compare(text, l.text), true
		}
	}
	switch k.sees {
	case asJSON:
		inside, _ := settle(r.decode(v.Bytes()))
		if !inside.IsValid() {
			return 0, l.null && string(bytes.TrimSpace(v.Bytes())) == "null"
		}
		return c.compare(kindOf(inside.Type()), inside, reflect.Value{}, r)
	case asBool:
		return btoi(v.Bool()) - btoi(l.bool), l.isBool
	case asDuration:
		if l.duration != nil {
			return l.duration.compareInt(v.Int()), true
		} else if l.num != nil {
			return l.num.compareInt(v.Int()), true
		}
	case asTime:
		if t, ok := timeOf(v); ok && l.isTime {
			return t.Compare(l.time), true
		}
	case asInt:
		if l.num != nil {
			return l.num.compareInt(v.Int()), true
		}
	case asUint:
		if l.num != nil {
			return l.num.compareUint(v.Uint()), true
		}
	case asFloat:
		if l.num != nil {
			return l.num.compareFloat(v.Float(), v.Type().Bits())
		}
	case asNumber:
		if l.num != nil {
			return l.num.compareText(v.String())
		}
	case asText:
		return strings.Compare(v.String(), l.text), true
	case asBytes:
		b := bytesOf(v, v.Len())
		return compareBytes(b, l.text), true
	}
	return 0, false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// timeOf returns a time without allocating.
func timeOf(v reflect.Value) (time.Time, bool) {
	if !v.CanInterface() {
		return time.Time{}, false
	}
	return reflect.TypeAssert[time.Time](v)
}

// bytesOf returns the first n bytes of a slice or array of bytes.
func bytesOf(v reflect.Value, n int) []byte {
	if v.Kind() == reflect.Slice || v.CanAddr() {
		return v.Bytes()[:n]
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v.Index(i).Uint())
	}
	return b
}

// compareBytes is strings.Compare without a conversion that would copy.
func compareBytes(b []byte, s string) int {
	for i := range min(len(b), len(s)) {
		if b[i] != s[i] {
			return cmp.Compare(b[i], s[i])
		}
	}
	return cmp.Compare(len(b), len(s))
}

// matches reports whether the regular expression matches the text of the value: of a string, a
// number, a bool, a time, a duration or an error. Other values have none.
func (c *comparison) matches(found reflect.Value, r *reading) bool {
	v, pointer := settle(found)
	if !v.IsValid() {
		return false
	}
	k := kindOf(v.Type())
	return !k.opaque && c.matchesText(k, v, pointer, r)
}

func (c *comparison) matchesText(k *kind, v, pointer reflect.Value, r *reading) bool {
	if k.err || k.ptrErr && pointer.IsValid() {
		if text, ok := c.hide.errorText(k, v, pointer); ok {
			return c.re.MatchString(text[:min(len(text), c.limit)])
		}
	}
	switch k.sees {
	case asNothing:
		return false
	case asJSON:
		inside, _ := settle(r.decode(v.Bytes()))
		return inside.IsValid() && c.matchesText(kindOf(inside.Type()), inside, reflect.Value{}, r)
	case asText, asNumber:
		s := v.String()
		return c.re.MatchString(s[:min(len(s), c.limit)])
	case asBytes:
		return c.re.Match(bytesOf(v, min(v.Len(), c.limit)))
	}
	text, ok := appendText(nil, k, v)
	return ok && c.re.Match(text)
}

// appendText writes a value that is not text as it is shown.
func appendText(text []byte, k *kind, v reflect.Value) ([]byte, bool) {
	switch k.sees {
	case asBool:
		text = strconv.AppendBool(text, v.Bool())
	case asInt:
		text = strconv.AppendInt(text, v.Int(), 10)
	case asUint:
		text = strconv.AppendUint(text, v.Uint(), 10)
	case asFloat:
		text = appendFloat(text, v.Float(), v.Type().Bits())
	case asDuration:
		text = append(text, time.Duration(v.Int()).String()...)
	case asTime:
		t, ok := timeOf(v)
		if !ok {
			return nil, false
		}
		text = t.AppendFormat(text, time.RFC3339Nano)
	}
	return text, true
}

// appendFloat writes a float as encoding/json does.
func appendFloat(dst []byte, f float64, bits int) []byte {
	format := byte('f')
	if a := max(f, -f); a != 0 {
		if bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21) {
			format = 'e'
		}
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}
