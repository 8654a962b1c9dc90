package event

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// A kind is how data is put into JSON.
type kind uint8

const (
	jsonKind   kind = iota // as a JSON value
	textKind               // as a JSON string, if it is UTF-8
	binaryKind             // in base64
)

// kindOf looks at a content type. It takes any text: what is not understood is binary, which loses nothing.
func kindOf(contentType string) kind {
	if contentType == "" || contentType == jsonType {
		return jsonKind
	}
	media, params, _ := strings.Cut(contentType, ";")
	top, sub, ok := strings.Cut(strings.Trim(media, " \t"), "/")
	if !ok {
		return binaryKind
	}
	switch {
	case hasSyntax(sub, "json"):
		return jsonKind
	case (strings.EqualFold(top, "text") || hasSyntax(sub, "xml")) && isUnicode(params):
		return textKind
	}
	return binaryKind
}

const jsonType = "application/json"

// hasSyntax reports whether a subtype is the syntax, or ends in it after a plus.
func hasSyntax(sub, syntax string) bool {
	if len(sub) > len(syntax) && sub[len(sub)-len(syntax)-1] == '+' {
		sub = sub[len(sub)-len(syntax):]
	}
	return strings.EqualFold(sub, syntax)
}

// isUnicode reports whether parameters of a content type leave the text in UTF-8. In another encoding its
// bytes mean something else, even if they happen to be valid UTF-8.
func isUnicode(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
		if !strings.EqualFold(name, "charset") {
			continue
		}
		value = strings.Trim(value, `"`)
		return strings.EqualFold(value, "utf-8") || strings.EqualFold(value, "us-ascii")
	}
	return true
}

func appendData(b, data []byte, k kind) ([]byte, error) {
	switch {
	case len(data) == 0:
		return b, nil
	case k == jsonKind:
		spaced, err := checkJSON(data)
		if err != nil {
			return nil, err
		}
		b = append(b, `,"data":`...)
		if spaced {
			return appendCompact(b, data), nil
		}
		return append(b, data...), nil
	case k == textKind && utf8.Valid(data):
		b = append(b, `,"data":`...)
		return appendQuoted(b, data), nil
	}
	b = append(b, `,"data_base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"'), nil
}

// bytes returns the data.
func (r *reader) bytes(k kind) (data []byte, err error) {
	m := r.data
	switch {
	case r.base64.raw != nil:
		if m.raw != nil {
			return nil, invalid("data_base64", "there is data as well")
		}
		return r.decode(k)
	case m.raw == nil:
		return nil, nil
	case k == jsonKind || !m.isString():
		data = make([]byte, 0, len(m.raw))
		if m.spaced {
			return appendCompact(data, m.raw), nil
		}
		return append(data, m.raw...), nil
	case len(m.raw) == len(`""`):
		return nil, nil
	}
	data, ok := appendUnquoted(make([]byte, 0, len(m.raw)-2), m.raw)
	if !ok {
		return nil, invalid("data", "one half of a surrogate pair")
	}
	return data, nil
}

func (r *reader) decode(k kind) (data []byte, err error) {
	if !r.base64.isString() {
		return nil, invalid("data_base64", "it is not a string")
	}
	text, ok := r.base64.text()
	if !ok {
		return nil, invalid("data_base64", "one half of a surrogate pair")
	}
	data, err = base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil, invalid("data_base64", err.Error())
	}
	if len(data) == 0 {
		return nil, nil
	}
	if k == jsonKind {
		spaced, err := checkJSON(data)
		if err != nil {
			return nil, err
		}
		if spaced {
			data = appendCompact(data[:0], data)
		}
	}
	return data, nil
}
