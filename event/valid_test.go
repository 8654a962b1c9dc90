package event_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

func minimal() event.Event { return event.Event{ID: "1", Source: "/s", Type: "t"} }

// with returns a minimal event after a change.
func with(change func(*event.Event)) event.Event {
	e := minimal()
	change(&e)
	return e
}

func withData(contentType, data string) event.Event {
	return with(func(e *event.Event) { e.DataContentType, e.Data = contentType, []byte(data) })
}

func withExtension(name string, value any) event.Event {
	return with(func(e *event.Event) { e.SetExtension(name, value) })
}

// deep is JSON nested n times.
func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// What is refused, Validate and AppendJSON refuse alike.
func TestInvalid(t *testing.T) {
	early := time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC)
	late := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		e     event.Event
		names string // what the error has to name
	}{
		{"no id", with(func(e *event.Event) { e.ID = "" }), "id"},
		{"no source", with(func(e *event.Event) { e.Source = "" }), "source"},
		{"no type", with(func(e *event.Event) { e.Type = "" }), "type"},
		{"newline in id", with(func(e *event.Event) { e.ID = "a\nb" }), "id: control character U+000A at byte 1"},
		{"NUL in source", with(func(e *event.Event) { e.Source = "\x00" }), "source: control character U+0000 at byte 0"},
		{"DEL in type", with(func(e *event.Event) { e.Type = "abcdefgh\x7f" }), "type: control character U+007F at byte 8"},
		{"DEL in the first eight", with(func(e *event.Event) { e.Type = "a\x7fcdefgh" }), "type: control character U+007F at byte 1"},
		{"C1 in subject", with(func(e *event.Event) { e.Subject = "\u0085" }), "subject: control character U+0085"},
		{"half a letter in subject", with(func(e *event.Event) { e.Subject = "abcdefgh\xc3" }), "subject: no UTF-8 at byte 8"},
		{"surrogate in subject", with(func(e *event.Event) { e.Subject = "\xed\xa0\x80" }), "subject: no UTF-8 at byte 0"},
		{"noncharacter in subject", with(func(e *event.Event) { e.Subject = "\ufdd0" }), "subject: noncharacter U+FDD0"},
		{"last of a plane in subject", with(func(e *event.Event) { e.Subject = "\U0001ffff" }), "subject: noncharacter U+1FFFF"},
		{"tab in content type", with(func(e *event.Event) { e.DataContentType = "text/plain;\tq=1" }), "datacontenttype"},
		{"bad schema", with(func(e *event.Event) { e.DataSchema = "\xff" }), "dataschema"},
		{"early time", with(func(e *event.Event) { e.Time = early }), "time: the year -1"},
		{"late time", with(func(e *event.Event) { e.Time = late }), "time: the year 10000"},
		{"late in UTC only", with(func(e *event.Event) {
			e.Time = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("", -3600))
		}), "time: the year 10000"},

		{"extension without name", withExtension("", "x"), "extension"},
		{"capital in name", withExtension("traceParent", "x"), "traceParent"},
		{"underscore in name", withExtension("data_base64", "x"), "data_base64"},
		{"letter beyond ASCII in name", withExtension("naïve", "x"), "naïve"},
		{"own name", withExtension("specversion", "1.0"), "specversion"},
		{"own name data", withExtension("data", "x"), "data"},
		{"own name subject", withExtension("subject", "x"), "subject"},
		{"control character in extension", withExtension("ext", "\r"), "ext: control character"},
		{"late extension", withExtension("ext", late), "ext: the year 10000"},
		{"float", withExtension("ext", 1.5), "ext: an extension is string, bool, int32, []byte or time.Time, and this is float64"},
		{"int64", withExtension("ext", int64(1)), "this is int64"},
		{"nil", with(func(e *event.Event) { e.Extensions = map[string]any{"ext": nil} }), "this is <nil>"},
		{"map", withExtension("ext", map[string]any{}), "ext"},

		{"no JSON", withData("", `{"a":}`), "data: it is not JSON, and the content type says so: no value at byte 5"},
		{"two values", withData("", `1 2`), "data"},
		{"only space", withData("", " \n"), "data"},
		{"text with a JSON type", withData("application/json", "hello"), "data"},
		{"text with a +json type", withData("Application/Vnd.X+JSON; v=1", "hello"), "data"},
		{"text with text/json", withData("text/json", "hello"), "data"},
		{"bytes in a JSON string", withData("", "\"\xff\""), "data: it is not UTF-8"},
		{"byte order mark", withData("", "\ufeff{}"), "data"},
		{"NUL in JSON", withData("", "\x00"), "data"},
		{"too deep", withData("", deep(10_000)), "data: it is not JSON, and the content type says so: nested too deep"},
		{"much too deep", withData("", strings.Repeat("[", 100_000)), "nested too deep"},
		{"much too deep in objects", withData("", strings.Repeat(`{"a":`, 100_000)), "nested too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.e.Validate()
			require.ErrorIs(t, err, event.ErrInvalid)
			require.ErrorContains(t, err, c.names)

			dst := append(make([]byte, 0, 1000), "before"...)
			got, again := c.e.AppendJSON(dst)
			require.EqualError(t, again, err.Error())
			require.Equal(t, "before", string(got))

			_, again = c.e.MarshalJSON()
			require.ErrorIs(t, again, event.ErrInvalid)
		})
	}
	if math.MaxInt > math.MaxInt32 {
		big := math.MaxInt32
		big++
		require.ErrorContains(t, withExtension("ext", big).Validate(), "ext: 2147483648 does not fit in 32 bits")
	}
}

func TestValid(t *testing.T) {
	for name, e := range map[string]event.Event{
		"minimal":           minimal(),
		"all letters":       with(func(e *event.Event) { e.Subject = "ä€😀 \" \\ / < > & ' \u2028\u00a0\ufffd" }),
		"any source":        with(func(e *event.Event) { e.Source = "1-555-123-4567" }),
		"year 0":            with(func(e *event.Event) { e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"last second":       with(func(e *event.Event) { e.Time = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC) }),
		"long name":         withExtension(strings.Repeat("a", 100), "x"),
		"digits as a name":  withExtension("0", "x"),
		"int":               withExtension("ext", math.MinInt32),
		"no data":           withData("application/json", ""),
		"deepest":           withData("", deep(9_999)),
		"huge number":       withData("", "1e400"),
		"long number":       withData("", "-"+strings.Repeat("9", 100_000)+"."+strings.Repeat("0", 1000)),
		"half a pair":       withData("", `"\ud800"`),
		"same member twice": withData("", `{"a":1,"a":2}`),
		"json-seq":          withData("application/json-seq", "\x1e{}\n"),
		"no media type":     withData("json", "{"),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, e.Validate())
			_, err := e.AppendJSON(nil)
			require.NoError(t, err)
		})
	}
}
