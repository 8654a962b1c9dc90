package web

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// JSON writes the twin of a page: title, status and summary, and for each
// table an array of objects under its name, with keys in the order of the
// columns. Counts are exact integers, durations are seconds, times are RFC
// 3339, links are their text and what is unknown is null. Tables that hold
// only a part of their rows are named under "partial", with the number of
// rows there are.
func JSON(w io.Writer, v panel.View) error {
	b := append([]byte{}, `{"title":`...)
	b = appendString(b, v.Title)
	b = append(b, `,"status":`...)
	b = appendString(b, v.Status.String())
	b = append(b, `,"summary":`...)
	b = appendString(b, v.Summary)

	used := map[string]bool{"title": true, "status": true, "summary": true, "partial": true}
	var partial []byte
	for i := range v.Tables {
		t := &v.Tables[i]
		name := t.Name
		for used[name] || name == "" { // two values under one key would hide one of them
			name += "_"
		}
		used[name] = true
		b = append(b, ",\n"...)
		b = appendString(b, name)
		b = append(b, ":["...)
		for j, r := range t.Rows {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(b, '\n')
			b = appendRow(b, t.Columns, r)
		}
		b = append(b, ']')
		if t.Total > len(t.Rows) {
			if partial != nil {
				partial = append(partial, ',')
			}
			partial = append(appendString(partial, name), ':')
			partial = strconv.AppendInt(partial, int64(t.Total), 10)
		}
	}
	if partial != nil {
		b = append(b, ",\n\"partial\":{"...)
		b = append(b, partial...)
		b = append(b, '}')
	}
	_, err := w.Write(append(b, "}\n"...))
	return err
}

func appendRow(b []byte, cols []panel.Column, r row) []byte {
	b = append(b, '{')
	for i, col := range cols {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, col.Key)
		b = append(b, ':')
		var v any
		if i < len(r) {
			v = r[i]
		}
		b = read(col.Kind, v).appendJSON(b, col.Kind)
	}
	return append(b, '}')
}

func (c cell) appendJSON(b []byte, kind panel.Kind) []byte {
	switch {
	case !c.known:
		return append(b, "null"...)
	case !c.isNum:
		return appendString(b, c.text)
	case kind == panel.Flag:
		return strconv.AppendBool(b, c.flag)
	case kind == panel.Time:
		return append(c.when.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	case c.isDur:
		return appendSeconds(b, c.took)
	}
	return c.num.append(b)
}

// appendSeconds is exact to the nanosecond, which a float64 is not.
func appendSeconds(b []byte, d time.Duration) []byte {
	n := uint64(d)
	if d < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendUint(b, n/1e9, 10)
	if frac := n % 1e9; frac != 0 {
		digits := strconv.AppendUint(nil, frac+1e9, 10)[1:]
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		b = append(append(b, '.'), digits...)
	}
	return b
}

// appendString escapes <, > and &, the line ends of JavaScript, and what is
// not UTF-8, as encoding/json does.
func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // there is no such string
		return append(b, `""`...)
	}
	return append(b, q...)
}
