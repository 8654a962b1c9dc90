package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

func read(t testing.TB, text string) event.Event {
	t.Helper()
	var e event.Event
	require.NoError(t, e.UnmarshalJSON([]byte(text)))
	return e
}

// The examples of the specification: attributes in any order, with white space, null for what is not set.
func TestReadExamples(t *testing.T) {
	const attributes = `
		"specversion" : "1.0",
		"type" : "com.example.someevent",
		"source" : "/mycontext",
		"subject": null,
		"id" : "A234-1234-1234",
		"time" : "2018-04-05T17:31:00Z",
		"comexampleextension1" : "value",
		"comexampleothervalue" : 5,
		"unsetextension": null`
	want := event.Event{
		ID:     "A234-1234-1234",
		Source: "/mycontext",
		Type:   "com.example.someevent",
		Time:   time.Date(2018, 4, 5, 17, 31, 0, 0, time.UTC),
		Extensions: map[string]any{
			"comexampleextension1": "value",
			"comexampleothervalue": int32(5),
		},
	}
	for _, c := range []struct{ rest, contentType, data string }{
		{`"datacontenttype" : "application/vnd.apache.thrift.binary", "data_base64" : "AAH/"`, "application/vnd.apache.thrift.binary", "\x00\x01\xff"},
		{`"datacontenttype" : "application/xml", "data" : "<much wow=\"xml\"/>"`, "application/xml", `<much wow="xml"/>`},
		{`"datacontenttype" : "application/json", "data" : {
			"appinfoA" : "abc",
			"appinfoB" : 123,
			"appinfoC" : true
		}`, "application/json", `{"appinfoA":"abc","appinfoB":123,"appinfoC":true}`},
		{`"data" : "I'm just a string"`, "", `"I'm just a string"`},
	} {
		want.DataContentType, want.Data = c.contentType, []byte(c.data)
		require.Equal(t, want, read(t, "{"+attributes+",\n"+c.rest+"}\n"))
		require.Equal(t, want, read(t, "{"+c.rest+",\n"+attributes+"}"), "the other way round")
	}
	want.DataContentType, want.Data = "", nil
	require.Equal(t, want, read(t, "{"+attributes+"}"))
}

func TestReadData(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{`"data":null`, `null`},
		{`"data":1e400`, `1e400`},
		{`"data":[9007199254740993, 1.0, -0, 1E+2]`, `[9007199254740993,1.0,-0,1E+2]`},
		{`"data":{"b":1,"a":2,"b":3}`, `{"b":1,"a":2,"b":3}`},
		{`"data":"\ud800 \u0000 \/"`, `"\ud800 \u0000 \/"`},
		{`"data":"{}"`, `"{}"`}, // a string stays one
		{`"data":""`, `""`},
		{`"data":` + deep(9_999), deep(9_999)},
		{`"data_base64":null,"data":1`, `1`},
		{`"data_base64":""`, ``},
		{`"data_base64":"e30="`, `{}`},
		{`"data_base64":"IHsgfSA="`, `{}`}, // " { } "
		{`"datacontenttype":"application/json","data_base64":"bnVsbA\u003d="`, `null`},
		{`"datacontenttype":"application/octet-stream","data_base64":"\/w=="`, "\xff"},
		{`"datacontenttype":"application/octet-stream","data":"text"`, "text"},
		{`"datacontenttype":"text/plain","data_base64":"aGk="`, "hi"},
		{`"datacontenttype":"text/plain","data":""`, ""},
		{`"datacontenttype":"text/plain","data":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000\uFFFF"`, "\"\\/\b\f\n\r\té😀\x00\uffff"},
		{`"datacontenttype":"text/plain","data":"{ }"`, "{ }"},
		{`"datacontenttype":"text/plain","data":{ "a" : 1 }`, `{"a":1}`},
		{`"datacontenttype":"text/plain","data":null`, `null`},
		{`"datacontenttype":"text/plain","data":12.50`, `12.50`},
		{`"datacontenttype":null,"data":{}`, `{}`},
		{`"datacontenttype":"","data":{}`, `{}`},
	} {
		t.Run(c.members, func(t *testing.T) {
			e := read(t, head+","+c.members+"}")
			require.Equal(t, c.want, string(e.Data))
			require.Equal(t, c.want == "", e.Data == nil, "no data is nil")
			require.Equal(t, e, read(t, write(t, e)))
		})
	}
}

func TestReadAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want event.Event
	}{
		"space around":       {" \r\n\t" + head + "} \n", minimal()},
		"patch version":      {strings.Replace(head, "1.0", "1.0.2", 1) + "}", minimal()},
		"candidate":          {strings.Replace(head, "1.0", "1.0-rc1", 1) + "}", minimal()},
		"escaped name":       {strings.Replace(head, `"id"`, `"\u0069d"`, 1) + "}", minimal()},
		"escaped value":      {strings.Replace(head, `"/s"`, `"\/s"`, 1) + "}", minimal()},
		"nulls":              {head + `,"subject":null,"time":null,"dataschema":null,"datacontenttype":null,"x":null}`, minimal()},
		"empty optional":     {head + `,"subject":"","time":"","dataschema":"","datacontenttype":""}`, minimal()},
		"null beside a text": {head + `,"subject":null,"subject":"u","x":null,"x":true}`, with(func(e *event.Event) { e.Subject = "u"; e.SetExtension("x", true) })},
		"a database's own":   {`{"_id":"a","_rev":{"n":[1]},"_":1,"_":1,` + head[1:] + `}`, minimal()},
		"zero time":          {head + `,"time":"0001-01-01T00:00:00Z"}`, minimal()},
		"smallest integer":   {head + `,"n":-2147483648}`, withExtension("n", int32(-2147483648))},
		"minus zero":         {head + `,"n":-0}`, withExtension("n", int32(0))},
		"empty extension":    {head + `,"n":""}`, withExtension("n", "")},
		"false":              {head + `,"n":false}`, withExtension("n", false)},
		"known extension":    {head + `,"sequence":"0001"}`, withExtension(event.Sequence, "0001")},
		"pair":               {head + `,"subject":"\uD83D\ude00"}`, with(func(e *event.Event) { e.Subject = "😀" })},
		"datacontentencoding of version 0.3 is an extension": {head + `,"datacontentencoding":"base64"}`, withExtension("datacontentencoding", "base64")},
	} {
		t.Run(name, func(t *testing.T) {
			e := read(t, c.text)
			require.Equal(t, c.want, e)
			require.NoError(t, e.Validate())
			require.Equal(t, e, read(t, write(t, e)))
		})
	}
}

func TestReadRefuses(t *testing.T) {
	without := func(name string) string {
		m := map[string]string{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
		delete(m, name)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		return string(b)
	}
	for name, c := range map[string]struct{ text, names string }{
		"nothing":             {``, "JSON: an event is an object"},
		"null":                {`null`, "JSON"}, // not an event that is empty
		"array":               {`[` + head + `}]`, "JSON"},
		"empty object":        {`{}`, "specversion"},
		"cut":                 {head, "JSON: want ',' at byte 54"},
		"more":                {head + `}{`, "JSON: more text at byte 55"},
		"comma":               {head + `,}`, "JSON: no string at byte 55"},
		"no comma":            {head + ` "a":1}`, "JSON: want ','"},
		"no colon":            {head + `,"a" 1}`, "JSON: want ':'"},
		"no value":            {head + `,"a":}`, "JSON: no value"},
		"single quotes":       {head + `,'a':1}`, "JSON"},
		"byte order mark":     {"\ufeff" + head + `}`, "JSON"},
		"NUL":                 {head + ",\x00}", "JSON"},
		"NUL in a string":     {head + ",\"a\":\"\x00\"}", "JSON: control character in a string"},
		"no UTF-8":            {head + ",\"a\":\"\xff\"}", "JSON: it is not UTF-8"},
		"no UTF-8 in data":    {head + ",\"data\":\"\xff\"}", "JSON: it is not UTF-8"},
		"open string":         {head + `,"data":"abc`, "JSON: no end of the string"},
		"bad escape":          {head + `,"data":"\x"}`, "JSON: bad escape"},
		"short escape":        {head + `,"data":"\u12"}`, "JSON: bad escape"},
		"escape at the end":   {head + `,"data":"\u`, "JSON: bad escape"},
		"backslash at end":    {head + `,"data":"\`, "JSON: bad escape"},
		"leading zero":        {head + `,"data":01}`, "JSON"},
		"plus":                {head + `,"data":+1}`, "JSON: no value"},
		"no digit":            {head + `,"data":-}`, "JSON: no digit"},
		"no fraction":         {head + `,"data":1.}`, "JSON: no digit"},
		"no exponent":         {head + `,"data":1e}`, "JSON: no digit"},
		"not a word":          {head + `,"data":nul}`, "JSON: no value"},
		"NaN":                 {head + `,"data":NaN}`, "JSON: no value"},
		"too deep":            {head + `,"data":` + deep(10_000) + `}`, "JSON: nested too deep"},
		"much too deep":       {head + `,"data":` + strings.Repeat("[", 100_000), "JSON: nested too deep"},
		"much too deep, name": {strings.Repeat(`{"a":`, 100_000), "JSON: nested too deep"},

		"no specversion":      {without("specversion"), "specversion"},
		"no id":               {without("id"), "id"},
		"no source":           {without("source"), "source"},
		"no type":             {without("type"), "type"},
		"null id":             {strings.Replace(head, `"1"`, `null`, 1) + "}", "id"},
		"empty id":            {strings.Replace(head, `"1"`, `""`, 1) + "}", "id"},
		"number as id":        {strings.Replace(head, `"1"`, `1`, 1) + "}", "id: it is not a string"},
		"version 0.3":         {strings.Replace(head, "1.0", "0.3", 1) + "}", "specversion: it is not 1.0"},
		"version 1.01":        {strings.Replace(head, "1.0", "1.01", 1) + "}", "specversion"},
		"version as a number": {strings.Replace(head, `"1.0"`, "1.0", 1) + "}", "specversion: it is not a string"},
		"capital":             {strings.Replace(head, `"id"`, `"ID"`, 1) + "}", "ID"},
		"subject twice":       {head + `,"subject":"a","subject":"a"}`, "subject: it comes twice"},
		"id twice, escaped":   {head + `,"\u0069d":"1"}`, "id: it comes twice"},
		"version twice":       {head + `,"specversion":"1.0"}`, "specversion: it comes twice"},
		"time twice":          {head + `,"time":"2018-04-05T17:31:00Z","time":"2018-04-05T17:31:00Z"}`, "time: it comes twice"},
		"extension twice":     {head + `,"a":"1","a":"1"}`, "a: it comes twice"},
		"data twice":          {head + `,"data":null,"data":null}`, "data: it comes twice"},
		"data_base64 twice":   {head + `,"data_base64":"","data_base64":""}`, "data_base64: it comes twice"},
		"data in both forms":  {head + `,"data":null,"data_base64":""}`, "data_base64: there is data as well"},

		"subject is an object":    {head + `,"subject":{}}`, "subject: it is not a string"},
		"half a pair":             {head + `,"subject":"\ud83d"}`, "subject: one half of a surrogate pair"},
		"half a pair, then x":     {head + `,"subject":"\ud83dx23456"}`, "subject: one half"},
		"half a pair, then ude00": {head + `,"subject":"\ud83dxude00"}`, "subject: one half"},
		"half a pair, then \\n":   {head + `,"subject":"\ud83d\nde00"}`, "subject: one half"},
		"two second halves":       {head + `,"subject":"\ude00\ude00"}`, "subject: one half"},
		"two first halves":        {head + `,"subject":"\ud83d\ud83d"}`, "subject: one half"},
		"the second half":         {head + `,"subject":"\ude00"}`, "subject: one half"},
		"half a pair in a name":   {head + `,"\ud83d":1}`, "JSON"},
		"half a pair as text":     {head + `,"datacontenttype":"text/plain","data":"\ud83d"}`, "data: one half"},
		"half a pair in base64":   {head + `,"data_base64":"\ud83d"}`, "data_base64"},
		"escaped newline":         {head + `,"subject":"a\nb"}`, "subject: control character U+000A"},
		"escaped NUL":             {head + `,"x":"\u0000"}`, "x: control character U+0000"},
		"noncharacter":            {head + `,"x":"\uffff"}`, "x: noncharacter"},

		"array as extension":  {head + `,"x":[]}`, "x: an extension is"},
		"object as extension": {head + `,"x":{}}`, "x: an extension is"},
		"fraction":            {head + `,"x":1.0}`, "x: a number that is not"},
		"exponent":            {head + `,"x":1e2}`, "x: a number that is not"},
		"33 bits":             {head + `,"x":2147483648}`, "x: a number that is not"},
		"huge number":         {head + `,"x":` + strings.Repeat("9", 100_000) + `}`, "x: a number that is not"},
		"name with a dash":    {head + `,"x-y":1}`, "x-y"},
		"empty name":          {head + `,"":1}`, "extension"},

		"time is no time":       {head + `,"time":"yesterday"}`, "time: it is not a time of RFC 3339"},
		"time is a number":      {head + `,"time":1}`, "time: it is not a string"},
		"time before the years": {head + `,"time":"0000-01-01T00:00:00+00:01"}`, "time: the year -1"},

		"base64 is no base64":     {head + `,"data_base64":"?"}`, "data_base64"},
		"base64 without its end":  {head + `,"data_base64":"e30"}`, "data_base64"},
		"base64 is a number":      {head + `,"data_base64":1}`, "data_base64: it is not a string"},
		"base64 of no JSON":       {head + `,"data_base64":"/w=="}`, "data: it is not UTF-8"},
		"base64 of a JSON's half": {head + `,"data_base64":"ew=="}`, "data: it is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			before := sample(order)
			e := before
			err := e.UnmarshalJSON([]byte(c.text))
			require.ErrorIs(t, err, event.ErrInvalid)
			require.ErrorContains(t, err, c.names)
			require.Equal(t, before, e, "left as it was")
			require.Less(t, len(err.Error()), 300, "does not repeat what was sent")
		})
	}
}

func TestReadTime(t *testing.T) {
	at := func(y int, mo time.Month, d, h, mi, s, n int) time.Time {
		return time.Date(y, mo, d, h, mi, s, n, time.UTC)
	}
	for text, want := range map[string]time.Time{
		"2018-04-05T17:31:00Z":                at(2018, 4, 5, 17, 31, 0, 0),
		"2018-04-05t17:31:00z":                at(2018, 4, 5, 17, 31, 0, 0),
		"2018-04-05T17:31:00.5Z":              at(2018, 4, 5, 17, 31, 0, 500_000_000),
		"2018-04-05T17:31:00.123456789Z":      at(2018, 4, 5, 17, 31, 0, 123456789),
		"2018-04-05T17:31:00.1234567899Z":     at(2018, 4, 5, 17, 31, 0, 123456789),
		"2018-04-05T17:31:00+02:00":           at(2018, 4, 5, 15, 31, 0, 0),
		"2018-04-05T17:31:00.25-23:59":        at(2018, 4, 6, 17, 30, 0, 250_000_000),
		"2018-04-05T17:31:00-00:00":           at(2018, 4, 5, 17, 31, 0, 0),
		"2016-12-31T23:59:60Z":                at(2017, 1, 1, 0, 0, 0, 0),
		"2016-12-31T15:59:60.5-08:00":         at(2017, 1, 1, 0, 0, 0, 500_000_000),
		"2024-02-29T00:00:00Z":                at(2024, 2, 29, 0, 0, 0, 0),
		"0000-01-01T00:00:00Z":                at(0, 1, 1, 0, 0, 0, 0),
		"9999-12-31T23:59:59.999999999+00:00": at(9999, 12, 31, 23, 59, 59, 999999999),
	} {
		e := read(t, head+`,"time":"`+text+`"}`)
		require.Equal(t, want, e.Time, text)
		require.Equal(t, e, read(t, write(t, e)), text)
	}
	for _, text := range []string{
		"2018-04-05", "2018-04-05T17:31:00", "2018-04-05 17:31:00Z", "2018-04-05T17:31Z", "2018-04-05T7:31:00Z",
		"2018-04-05T17:31:00,5Z", "2018-04-05T17:31:00.Z", "2018-04-05T17:31:00.5", "2018-04-05T17:31:00ZZ",
		"2018-13-05T17:31:00Z", "2018-00-05T17:31:00Z", "2018-04-31T17:31:00Z", "2018-04-00T17:31:00Z",
		"2023-02-29T00:00:00Z", "2018-04-05T24:00:00Z", "2018-04-05T17:60:00Z", "2018-04-05T17:31:61Z",
		"2018-04-05T17:31:00+0200", "2018-04-05T17:31:00+02", "2018-04-05T17:31:00+24:00", "2018-04-05T17:31:00+02:60",
		"2018-04-05T17:31:00*02:00", "+018-04-05T17:31:00Z", "12018-04-05T17:31:00Z", "2018-04-05T17:31:0xZ",
		"2018-04-05T17:31:00+0x:00", "9999-12-31T23:59:60Z", " 2018-04-05T17:31:00Z",
	} {
		var e event.Event
		require.ErrorContains(t, e.UnmarshalJSON([]byte(head+`,"time":"`+text+`"}`)), "time: ", text)
	}
}

// An event does not hold on to the bytes it was read from.
func TestReadKeepsNothing(t *testing.T) {
	text := []byte(head + `,"subject":"abc","x":"abc","data":{"a":"abc"}}`)
	var e event.Event
	require.NoError(t, e.UnmarshalJSON(text))
	clear(text)
	require.Equal(t, head+`,"subject":"abc","x":"abc","data":{"a":"abc"}}`, write(t, e))
}
