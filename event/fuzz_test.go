package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// Whatever can be read is a valid event, and is written and read back equal.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{
		head + "}",
		head + `,"subject":"u","time":"2018-04-05T17:31:00.5+02:00","dataschema":"urn:x","data":{"a": [1e400, "\ud800"]}}`,
		head + `,"datacontenttype":"text/plain","data":"a\nb\u00e9\ud83d\ude00"}`,
		head + `,"datacontenttype":"text/xml","data": {"a": 1}}`,
		head + `,"datacontenttype":"a/b","data_base64":"AAH/"}`,
		head + `,"data_base64":"IHsgfSA=","a":1,"b":true,"c":"x","d":null,"_e":[]}`,
		head + `,"\u0073ubject":"x","sequence":"1","time":"2016-12-31T23:59:60z"}`,
		head + `,"data":` + deep(50) + "}",
		"null", "[]", "{", `{"`, `"\u`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		var e event.Event
		err := e.UnmarshalJSON(text)
		require.Equal(t, given, text)
		if err != nil {
			require.ErrorIs(t, err, event.ErrInvalid)
			require.Equal(t, event.Event{}, e)
			return
		}
		require.True(t, json.Valid(text), "taken, and it is no JSON")
		require.NoError(t, e.Validate())
		once := write(t, e)
		require.True(t, json.Valid([]byte(once)), once)
		again := read(t, once)
		require.Equal(t, e, again)
		require.Equal(t, once, write(t, again))

		// encoding/json sees the same.
		var m map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &m))
		var id string
		require.NoError(t, json.Unmarshal(m["id"], &id))
		require.Equal(t, id, e.ID)
		for name, value := range e.Extensions {
			var theirs any
			require.NoError(t, json.Unmarshal(m[name], &theirs))
			if n, ok := value.(int32); ok {
				value = float64(n)
			}
			require.Equal(t, theirs, value)
		}
	})
}

// An event is refused by Validate and AppendJSON alike, or comes back equal.
func FuzzRoundTrip(f *testing.F) {
	f.Add("1", "/s", "t", "u", "", "urn:x", int64(1), int64(2), 3, []byte(`{"a": 1e400}`), "a", "b", int64(-5), true)
	f.Add("1", "/s", "t", "", "text/plain", "", int64(0), int64(0), 0, []byte("é\x00"), "sequence", "", int64(1<<31), false)
	f.Add("1", "/s", "t", "", "text/plain;charset=utf-16", "", int64(-62167219201), int64(0), -86399, []byte("\xff"), "id", "x", int64(0), false)
	f.Add("é", "\x7f", "\ufdd0", "\xff", "a/b+json; x", "", int64(253402300799), int64(999999999), 1, []byte("[1,]"), "A", "\n", int64(0), false)
	f.Fuzz(func(t *testing.T, id, source, typ, subject, contentType, schema string, sec, nano int64, zone int, data []byte, name, text string, number int64, bit bool) {
		at := time.Unix(sec, nano).In(time.FixedZone("", zone))
		e := event.Event{
			ID: id, Source: source, Type: typ, Subject: subject, DataContentType: contentType, DataSchema: schema, Time: at, Data: data,
			Extensions: map[string]any{name: text, "xnumber": int(number), "xbit": bit, "xtime": at, "xdata": data},
		}
		invalid := e.Validate()
		b, err := e.AppendJSON([]byte("before"))
		if invalid != nil {
			require.ErrorIs(t, invalid, event.ErrInvalid)
			require.ErrorIs(t, err, event.ErrInvalid)
			require.Equal(t, "before", string(b))
			return
		}
		require.NoError(t, err)
		b = b[len("before"):]
		require.True(t, json.Valid(b), "%s", b)
		require.NotContains(t, string(b), "\n")
		got := read(t, string(b))
		require.True(t, at.Equal(got.Time) || at.IsZero() && got.Time.IsZero())
		require.Equal(t, time.UTC, got.Time.Location())
		for x := range e.Extensions {
			require.Equal(t, e.Extension(x), got.Extension(x))
		}
		if !bytes.Equal(e.Data, got.Data) {
			var tight bytes.Buffer
			require.NoError(t, json.Compact(&tight, e.Data))
			require.Equal(t, tight.Bytes(), got.Data)
		}
		got.Time, got.Extensions, got.Data = e.Time, e.Extensions, e.Data
		require.Equal(t, e, got)
	})
}

// What is JSON, encoding/json says too, except that it does not mind bytes that are no UTF-8.
func FuzzData(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+7,true,false,null,"x\u00e9\n"]}`, " [ ] ", "{}", "01", "1.", "-", `"`, `"\`, `"\u123`, "nul", "[1 2]", `{"a"}`, "\x00", "\xff",
		deep(64), `"` + strings.Repeat("a", 40) + "\"", "\"1234567\x1f\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := minimal()
		e.Data = data
		err := e.Validate()
		if len(data) == 0 || err != nil && strings.Contains(err.Error(), "too deep") {
			return
		}
		require.Equal(t, json.Valid(data) && utf8.Valid(data), err == nil, "%v", err)
		if err != nil {
			return
		}
		want := bytes.NewBufferString(head + `,"data":`)
		require.NoError(t, json.Compact(want, data))
		require.Equal(t, want.String()+"}", write(t, e))
	})
}
