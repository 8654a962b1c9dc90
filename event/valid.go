package event

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// ErrInvalid: an event, or what was read as one, breaks a rule of CloudEvents. The error that wraps it names
// the attribute.
var ErrInvalid = errors.New("invalid event")

func invalid(attribute, what string) error {
	return fmt.Errorf("event: %w: %s: %s", ErrInvalid, attribute, what)
}

// Validate returns nil if the event can be written, or an error that wraps [ErrInvalid] and names the first
// attribute that prevents it:
//
//   - ID, Source and Type are not empty;
//   - text is UTF-8 without control characters and without the code points that Unicode calls noncharacters;
//   - times are of the years 0 to 9999 in UTC;
//   - names of extensions consist of a-z and 0-9 and are not those of CloudEvents' own attributes, nor "data"
//     (up to 20 characters are portable);
//   - values of extensions are string, bool, int32, []byte or time.Time, or an int that fits in an int32;
//   - Data is valid JSON in UTF-8 if DataContentType says JSON: when it is empty, or its subtype is "json" or
//     ends in "+json". Nesting deeper than encoding/json reads is not valid.
//
// It does not parse Source, DataSchema and DataContentType, and does not look at the size; see [MaxPortable].
// AppendJSON does the same by itself.
func (e Event) Validate() error {
	for _, a := range [...]struct {
		name, value string
		required    bool
	}{
		{"id", e.ID, true},
		{"source", e.Source, true},
		{"type", e.Type, true},
		{"subject", e.Subject, false},
		{"datacontenttype", e.DataContentType, false},
		{"dataschema", e.DataSchema, false},
	} {
		if a.required && a.value == "" {
			return missing(a.name)
		}
		if err := checkText(a.name, a.value); err != nil {
			return err
		}
	}
	if err := checkTime("time", e.Time); err != nil {
		return err
	}
	for name, value := range e.Extensions {
		if err := checkName(name); err != nil {
			return err
		}
		if err := checkValue(name, value); err != nil {
			return err
		}
	}
	if len(e.Data) > 0 && kindOf(e.DataContentType) == jsonKind {
		_, err := checkJSON(e.Data)
		return err
	}
	return nil
}

func missing(attribute string) error {
	return invalid(attribute, "CloudEvents requires it, and it is not there")
}

// checkText applies the rules of CloudEvents for strings.
func checkText(attribute, s string) error {
	if isPlain(s) {
		return nil
	}
	for i, r := range s {
		switch {
		case r < 0x20, r >= 0x7f && r <= 0x9f:
			return invalid(attribute, fmt.Sprintf("control character %U at byte %d", r, i))
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return invalid(attribute, fmt.Sprintf("no UTF-8 at byte %d", i))
			}
		case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return invalid(attribute, fmt.Sprintf("noncharacter %U at byte %d", r, i))
		}
	}
	return nil
}

// The years that RFC 3339 can write, 0 to 9999, in seconds since 1970.
const firstSecond, lastSecond = -62_167_219_200, 253_402_300_799

func checkTime(attribute string, t time.Time) error {
	if s := t.Unix(); s < firstSecond || s > lastSecond {
		return invalid(attribute, fmt.Sprintf("the year %d cannot be written in RFC 3339", t.UTC().Year()))
	}
	return nil
}

// checkValue reports what is wrong with the value of an extension.
func checkValue(name string, value any) error {
	switch v := value.(type) {
	case string:
		return checkText(name, v)
	case time.Time:
		return checkTime(name, v)
	case int:
		if v < math.MinInt32 || v > math.MaxInt32 {
			return invalid(name, fmt.Sprintf("%d does not fit in 32 bits; make it a string", v))
		}
	case bool, int32, []byte:
	default:
		return invalid(name, fmt.Sprintf("an extension is string, bool, int32, []byte or time.Time, and this is %T", value))
	}
	return nil
}

// checkName reports what is wrong with the name of an extension.
func checkName(name string) error {
	switch name {
	case "":
		return invalid("extension", "its name is empty")
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data":
		return invalid(name, "no extension may have this name: CloudEvents uses it")
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return invalid(fmt.Sprintf("extension %.40q", name), "a name consists of a-z and 0-9")
		}
	}
	return nil
}
