package event

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AppendJSON appends the event in CloudEvents' structured JSON, as one line without white space, and returns
// the longer slice. Equal events give equal bytes: the attributes come in a fixed order, then the extensions
// by name, then the data. It does not allocate if dst has room, keeps nothing of it, and does not change the
// event.
//
// Data is written as it is if DataContentType says JSON, as a string if it is a text in UTF-8 (text/*,
// */xml, *+xml), and as data_base64 otherwise.
//
// An event that is not valid is an error as of Validate, and dst is returned as it was.
func (e Event) AppendJSON(dst []byte) ([]byte, error) {
	b, err := e.appendJSON(dst)
	if err != nil {
		return dst, err
	}
	return b, nil
}

func (e *Event) appendJSON(b []byte) (_ []byte, err error) {
	switch {
	case e.ID == "":
		return nil, missing("id")
	case e.Source == "":
		return nil, missing("source")
	case e.Type == "":
		return nil, missing("type")
	}
	b = append(b, `{"specversion":"1.0","id":`...)
	if b, err = appendText(b, "id", e.ID); err != nil {
		return nil, err
	}
	b = append(b, `,"source":`...)
	if b, err = appendText(b, "source", e.Source); err != nil {
		return nil, err
	}
	b = append(b, `,"type":`...)
	if b, err = appendText(b, "type", e.Type); err != nil {
		return nil, err
	}
	if e.Subject != "" {
		b = append(b, `,"subject":`...)
		if b, err = appendText(b, "subject", e.Subject); err != nil {
			return nil, err
		}
	}
	if !e.Time.IsZero() {
		if err = checkTime("time", e.Time); err != nil {
			return nil, err
		}
		b = append(b, `,"time":"`...)
		b = append(appendTime(b, e.Time), '"')
	}
	if e.DataContentType != "" {
		b = append(b, `,"datacontenttype":`...)
		if b, err = appendText(b, "datacontenttype", e.DataContentType); err != nil {
			return nil, err
		}
	}
	if e.DataSchema != "" {
		b = append(b, `,"dataschema":`...)
		if b, err = appendText(b, "dataschema", e.DataSchema); err != nil {
			return nil, err
		}
	}
	if b, err = appendExtensions(b, e.Extensions); err != nil {
		return nil, err
	}
	if b, err = appendData(b, e.Data, kindOf(e.DataContentType)); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

// appendText checks and appends an attribute's text, which is looked at once if it is plain.
func appendText(b []byte, name, s string) ([]byte, error) {
	if isPlain(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"'), nil
	}
	if err := checkText(name, s); err != nil {
		return nil, err
	}
	return appendQuoted(b, s), nil
}

func appendExtensions(b []byte, extensions map[string]any) (_ []byte, err error) {
	type extension struct {
		name  string
		value any
	}
	var few [8]extension // events with more of them cost an allocation
	all := few[:0]
	for name, value := range extensions {
		all = append(all, extension{name, value})
	}
	slices.SortFunc(all, func(x, y extension) int { return strings.Compare(x.name, y.name) })
	for _, x := range all {
		if err := checkName(x.name); err != nil {
			return nil, err
		}
		b = append(b, ',', '"')
		b = append(b, x.name...)
		b = append(b, '"', ':')
		if s, ok := x.value.(string); ok {
			if b, err = appendText(b, x.name, s); err != nil {
				return nil, err
			}
			continue
		}
		if err := checkValue(x.name, x.value); err != nil {
			return nil, err
		}
		switch x.value.(type) {
		case bool, int32, int:
			b = appendValue(b, x.value)
		default:
			b = append(b, '"')
			b = append(appendValue(b, x.value), '"')
		}
	}
	return b, nil
}

// appendValue appends the text of an extension, without quotes.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	case int32:
		return strconv.AppendInt(b, int64(v), 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []byte:
		return base64.StdEncoding.AppendEncode(b, v)
	case time.Time:
		return appendTime(b, v)
	}
	return b
}

// MarshalJSON is AppendJSON for package encoding/json.
func (e Event) MarshalJSON() ([]byte, error) {
	return e.AppendJSON(make([]byte, 0, e.room()))
}

// room is about how long the JSON of an event is.
func (e *Event) room() int {
	const members = `{"specversion":"1.0","id":"","source":"","type":"","subject":"","time":"2006-01-02T15:04:05.999999999Z","datacontenttype":"","dataschema":"","data_base64":""}`
	n := len(members) + len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.DataContentType) + len(e.DataSchema)
	for name, value := range e.Extensions {
		n += len(name) + 48
		switch v := value.(type) {
		case string:
			n += len(v)
		case []byte:
			n += base64.StdEncoding.EncodedLen(len(v))
		}
	}
	data := len(e.Data)
	if kindOf(e.DataContentType) != jsonKind && data < math.MaxInt/2 {
		data = base64.StdEncoding.EncodedLen(data)
	}
	return n + data
}
