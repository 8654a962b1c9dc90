package event

import (
	"strconv"
	"unicode/utf8"
)

// UnmarshalJSON reads an event in CloudEvents' structured JSON. The result is an event that Validate accepts;
// after an error, which wraps [ErrInvalid], e is as it was. It keeps nothing of text. JSON's null is an error
// too: it is no event.
//
// Members may come in any order. What is no attribute of CloudEvents becomes an extension. An attribute that
// is null, and an optional one that is an empty string, is absent. A member that comes twice is refused, and
// so are an extension that is an object, an array or a number other than an integer of 32 bits, and a name
// that no extension may have, with one exception: members whose names begin with an underscore are left out,
// because databases put their own there. The version has to be 1.0, with or without more after a dot or a
// hyphen, and is not kept.
//
// Data becomes bytes in every form that the specification knows. From data_base64 they are decoded. With a
// JSON content type, data is kept as JSON, white space between tokens dropped. With any other, the text of a
// string is the data, and other values are kept as JSON.
func (e *Event) UnmarshalJSON(text []byte) error {
	if !utf8.Valid(text) {
		return invalid("JSON", "it is not UTF-8")
	}
	r := reader{scan: scan{text: text}}
	if err := r.members(); err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	*e = r.event
	return nil
}

// A reader collects the members of one event.
type reader struct {
	scan
	event   Event
	version []byte
	time    []byte
	data    member
	base64  member
	seen    uint16 // bits of the members that came
}

// A member is a name, or the value after it, as it is written.
type member struct {
	raw             []byte
	spaced, escaped bool
}

func (m member) isNull() bool   { return len(m.raw) == len("null") && m.raw[0] == 'n' }
func (m member) isString() bool { return len(m.raw) > 0 && m.raw[0] == '"' }

// text returns the text of a string. It is part of raw if nothing in it was escaped.
func (m member) text() (text []byte, ok bool) {
	if m.escaped {
		return appendUnquoted(nil, m.raw)
	}
	return m.raw[1 : len(m.raw)-1], true
}

func (r *reader) members() error {
	r.space()
	if !r.take('{') {
		return invalid("JSON", "an event is an object: "+r.problem())
	}
	if r.peek() == '}' {
		return missing("specversion")
	}
	for {
		name, ok := r.name()
		if !ok {
			return r.broken()
		}
		value, ok := r.member()
		if !ok {
			return r.broken()
		}
		if err := r.set(name, value); err != nil {
			return err
		}
		if r.peek() == '}' {
			break
		}
		if !r.take(',') {
			return r.broken()
		}
	}
	r.at++
	if !r.end() {
		return r.broken()
	}
	return nil
}

func (r *reader) broken() error { return invalid("JSON", r.problem()) }

// name passes a name and the colon after it.
func (r *reader) name() (m member, ok bool) {
	from := r.at
	r.escaped = false
	if !r.string() {
		return m, false
	}
	m = member{raw: r.scan.text[from:r.at], escaped: r.escaped}
	r.space()
	return m, r.take(':')
}

// member passes a value and the white space after it.
func (r *reader) member() (m member, ok bool) {
	from := r.at
	r.spaced, r.escaped = false, false
	if !r.value(1) {
		return m, false
	}
	m = member{r.scan.text[from:r.at], r.spaced, r.escaped}
	r.space()
	return m, true
}

func (r *reader) set(name, value member) error {
	key, ok := name.text()
	if !ok {
		return invalid("JSON", "the name of a member has one half of a surrogate pair")
	}
	switch string(key) {
	case "specversion":
		return r.raw(1<<0, "specversion", &r.version, value)
	case "id":
		return r.attribute(1<<1, "id", &r.event.ID, value)
	case "source":
		return r.attribute(1<<2, "source", &r.event.Source, value)
	case "type":
		return r.attribute(1<<3, "type", &r.event.Type, value)
	case "subject":
		return r.attribute(1<<4, "subject", &r.event.Subject, value)
	case "time":
		return r.raw(1<<5, "time", &r.time, value)
	case "datacontenttype":
		return r.attribute(1<<6, "datacontenttype", &r.event.DataContentType, value)
	case "dataschema":
		return r.attribute(1<<7, "dataschema", &r.event.DataSchema, value)
	case "data":
		r.data = value
		return r.once(1<<8, "data")
	case "data_base64":
		if value.isNull() {
			return nil
		}
		r.base64 = value
		return r.once(1<<9, "data_base64")
	}
	return r.extension(key, value)
}

func (r *reader) once(bit uint16, name string) error {
	if r.seen&bit != 0 {
		return invalid(name, "it comes twice")
	}
	r.seen |= bit
	return nil
}

// raw takes the text of an attribute.
func (r *reader) raw(bit uint16, name string, to *[]byte, value member) (err error) {
	if value.isNull() {
		return nil
	}
	if err = r.once(bit, name); err != nil {
		return err
	}
	*to, err = attributeText(name, value)
	return err
}

// attribute takes an attribute that is kept.
func (r *reader) attribute(bit uint16, name string, to *string, value member) error {
	var text []byte
	if err := r.raw(bit, name, &text, value); err != nil {
		return err
	}
	if string(text) == jsonType {
		*to = jsonType // spares an allocation in most events
		return nil
	}
	*to = string(text)
	return checkText(name, *to)
}

func attributeText(name string, value member) ([]byte, error) {
	if !value.isString() {
		return nil, invalid(name, "it is not a string")
	}
	text, ok := value.text()
	if !ok {
		return nil, invalid(name, "one half of a surrogate pair")
	}
	return text, nil
}

func (r *reader) extension(key []byte, value member) error {
	if len(key) > 0 && key[0] == '_' {
		return nil
	}
	name := wellKnown(key)
	if err := checkName(name); err != nil {
		return err
	}
	var v any
	switch c := value.raw[0]; {
	case value.isNull():
		return nil
	case c == '"':
		text, err := attributeText(name, value)
		if err != nil {
			return err
		}
		s := string(text)
		if err = checkText(name, s); err != nil {
			return err
		}
		v = s
	case c == 't' || c == 'f':
		v = c == 't'
	case c == '-' || isDigit(c):
		n, err := strconv.ParseInt(string(value.raw), 10, 32)
		if err != nil {
			return invalid(name, "a number that is not an integer of 32 bits")
		}
		v = int32(n)
	default:
		return invalid(name, "an extension is a string, a boolean or an integer")
	}
	if _, twice := r.event.Extensions[name]; twice {
		return invalid(name, "it comes twice")
	}
	if r.event.Extensions == nil {
		r.event.Extensions = make(map[string]any)
	}
	r.event.Extensions[name] = v
	return nil
}

// finish makes an event of what was collected.
func (r *reader) finish() (err error) {
	e := &r.event
	switch {
	case len(r.version) == 0:
		return missing("specversion")
	case !isVersion1(r.version):
		return invalid("specversion", "it is not 1.0")
	case e.ID == "":
		return missing("id")
	case e.Source == "":
		return missing("source")
	case e.Type == "":
		return missing("type")
	}
	if len(r.time) > 0 {
		var ok bool
		if e.Time, ok = parseTime(r.time); !ok {
			return invalid("time", "it is not a time of RFC 3339")
		}
		if err = checkTime("time", e.Time); err != nil {
			return err
		}
	}
	e.Data, err = r.bytes(kindOf(e.DataContentType))
	return err
}

func isVersion1(v []byte) bool {
	const want = "1.0"
	if len(v) < len(want) || string(v[:len(want)]) != want {
		return false
	}
	return len(v) == len(want) || v[len(want)] == '.' || v[len(want)] == '-'
}
