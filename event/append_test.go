package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`

func write(t testing.TB, e event.Event) string {
	t.Helper()
	b, err := e.AppendJSON(nil)
	require.NoError(t, err)
	return string(b)
}

func TestAppendJSONOrder(t *testing.T) {
	e := event.Event{
		ID:              "1",
		Source:          "/s",
		Type:            "t",
		Subject:         "u",
		Time:            time.Date(2026, 11, 20, 13, 0, 0, 120, time.FixedZone("", 3600)),
		DataContentType: "application/json",
		DataSchema:      "urn:x",
		Data:            []byte(" { \"a\" : [ 1 ,\n\"b c\\\" \\\\\" ] }\t"),
		Extensions: map[string]any{
			"b": true, "a": int32(-7), "e": "x\"y", "d": []byte("hi?"), "c": time.Unix(0, 0), "f": 8,
		},
	}
	want := head + `,"subject":"u","time":"2026-11-20T12:00:00.00000012Z",` +
		`"datacontenttype":"application/json","dataschema":"urn:x",` +
		`"a":-7,"b":true,"c":"1970-01-01T00:00:00Z","d":"aGk/","e":"x\"y","f":8,` +
		`"data":{"a":[1,"b c\" \\"]}}`
	for range 50 { // maps are in another order each time
		require.Equal(t, want, write(t, e))
	}
	got, err := e.AppendJSON([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, "before"+want, string(got))
}

func TestAppendJSONManyExtensions(t *testing.T) {
	e := minimal()
	want := head
	for c := 'a'; c <= 'z'; c++ {
		e.SetExtension(string(c), string(c))
		want += `,"` + string(c) + `":"` + string(c) + `"`
	}
	require.Equal(t, want+"}", write(t, e))
}

func TestAppendJSONText(t *testing.T) {
	e := with(func(e *event.Event) { e.Subject = "ä\"\\/<&>\u2028😀" })
	require.Equal(t, head+`,"subject":"ä\"\\/<&>`+"\u2028"+`😀"}`, write(t, e))
}

// What Data becomes, by content type.
func TestAppendJSONData(t *testing.T) {
	for _, c := range []struct{ contentType, data, want string }{
		{"", `null`, `"data":null`},
		{"", `"a string"`, `"data":"a string"`},
		{"", `1e400`, `"data":1e400`},
		{"", `[9007199254740993,1.0,-0,1E+2]`, `"data":[9007199254740993,1.0,-0,1E+2]`},
		{"", `{"b":1,"a":2,"b":3}`, `"data":{"b":1,"a":2,"b":3}`},
		{"", `"<\u003c\/\ud800\u0000"`, `"data":"<\u003c\/\ud800\u0000"`},
		{"", `{ "a b" : " \" " }`, `"data":{"a b":" \" "}`},
		{"", "\r\n[\t]\n", `"data":[]`},
		{"application/json; charset=utf-8", `{}`, `"data":{}`},
		{"TEXT/JSON", `{}`, `"data":{}`},
		{"image/svg.x+Json ;a=b", `{}`, `"data":{}`},
		{"text/plain", `{}`, `"data":"{}"`},
		{"text/plain", "a\"\\\n\r\t\b\x00\x1f\x7fé\u2028", `"data":"a\"\\\n\r\t\u0008\u0000\u001f` + "\x7fé\u2028" + `"`},
		{"text/csv; header=present; charset=\"UTF-8\"", "ä", `"data":"ä"`},
		{"text/plain;charset=us-ascii", "a", `"data":"a"`},
		{"application/xml", `<a b="c"/>`, `"data":"<a b=\"c\"/>"`},
		{"application/atom+xml", `<a/>`, `"data":"<a/>"`},
		{"text/plain; charset=utf-16", "a\x00", `"data_base64":"YQA="`},
		{"text/plain", "\xff", `"data_base64":"/w=="`},
		{"application/octet-stream", "{}", `"data_base64":"e30="`},
		{"application/jsonx", "{}", `"data_base64":"e30="`},
		{"nonsense", "{}", `"data_base64":"e30="`},
	} {
		t.Run(c.contentType+" "+c.data, func(t *testing.T) {
			e := withData(c.contentType, c.data)
			ct := ""
			if c.contentType != "" {
				quoted, err := json.Marshal(c.contentType)
				require.NoError(t, err)
				ct = `,"datacontenttype":` + string(quoted)
			}
			text := write(t, e)
			require.Equal(t, head+ct+","+c.want+"}", text)
			require.True(t, json.Valid([]byte(text)))
		})
	}
	require.Equal(t, head+"}", write(t, withData("", "")), "empty data is no data")
}

func TestAppendJSONAllocates(t *testing.T) {
	e := sample(order)
	e.SetExtension("bytes", []byte("hi"))
	e.SetExtension("number", int32(5))
	text := withData("text/plain", strings.Repeat("line\n", 50))
	bin := withData("application/octet-stream", "\xff\xfe")
	buf := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		for _, e := range []*event.Event{&e, &text, &bin} {
			if _, err := e.AppendJSON(buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	require.Zero(t, n)

	n = testing.AllocsPerRun(100, func() { _, _ = e.MarshalJSON() })
	require.LessOrEqual(t, n, 1.0)
}

func TestMarshalWithEncodingJSON(t *testing.T) {
	e := withData("", `{"a":1e400}`)
	b, err := json.Marshal(map[string]any{"event": e, "pointer": &e})
	require.NoError(t, err)
	require.Equal(t, `{"event":`+write(t, e)+`,"pointer":`+write(t, e)+`}`, string(b))

	var back struct{ Event, Pointer event.Event }
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e, back.Event)
	require.Equal(t, e, back.Pointer)
}
