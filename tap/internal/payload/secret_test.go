package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
)

// canary is what must never be seen, whichever way it is wrapped. Its reverse would be as bad, but
// nobody reverses.
const canary = "CANARY-7f3a"

type tagged struct {
	Name string
	Note string `json:"note" earshot:"secret"`
}

type byName struct {
	User     string
	Password string
	APIKey   []byte            `json:"k"`
	Headers  map[string]string // Authorization
}

// redacted says itself what may be seen of it.
type redacted struct{ Inside string }

func (redacted) LogValue() slog.Value { return slog.StringValue("***") }

type redactedPtr struct{ Inside string }

func (r *redactedPtr) LogValue() slog.Value { return slog.StringValue("***") }

// redactedCopy returns itself with a hole: the usual way for structs.
type redactedCopy struct{ Name, Inside string }

func (r *redactedCopy) LogValue() slog.Value {
	c := *r
	c.Inside = "***"
	return slog.AnyValue(c)
}

type redactedKey string

func (redactedKey) LogValue() slog.Value { return slog.StringValue("***") }

type redactedPanic struct{ Inside string }

func (r redactedPanic) LogValue() slog.Value { panic("cannot log " + r.Inside) }

type redactedPanicErr struct{ Inside string }

func (r redactedPanicErr) LogValue() slog.Value { panic(errors.New(r.Inside)) }

type redactedLoop struct{ Inside string }

func (r redactedLoop) LogValue() slog.Value { return slog.AnyValue(r) }

type redactedGroup struct{ Inside string }

func (r redactedGroup) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", "n"), slog.String("password", r.Inside), slog.Any("more", redacted(r)),
		slog.Group("", slog.String("api_key", r.Inside)), slog.Any("m", map[string]string{"token": r.Inside}))
}

// Types whose methods tell what their fields do not.

type tellsJSON struct {
	Note string `earshot:"secret"`
}

func (t tellsJSON) MarshalJSON() ([]byte, error) { return json.Marshal([]string{"x", t.Note}) }

type tellsText struct{ secret string }

func (t tellsText) MarshalText() ([]byte, error) { return []byte(t.secret), nil }

type tellsString struct{ password string }

func (t tellsString) String() string { return "pw " + t.password }

type tellsError struct{ Token string }

func (t *tellsError) Error() string { return "bad token " + t.Token }

type tellsNested struct {
	n     int
	inner *[]redacted
}

func (t tellsNested) String() string { return fmt.Sprint((*t.inner)[0].Inside) }

type tellsAny struct{ v any }

func (t tellsAny) MarshalJSON() ([]byte, error) { return json.Marshal(t.v) }

type tellsMap struct{ m map[string]string }

func (t tellsMap) String() string { return fmt.Sprint(t.m) }

type tellsMapJSON map[string]string

func (t tellsMapJSON) MarshalJSON() ([]byte, error) {
	var all []string
	for k, v := range t {
		all = append(all, k+"="+v)
	}
	return json.Marshal(all)
}

type tellsNumbered struct{ m map[int]redacted }

func (t tellsNumbered) String() string { return t.m[1].Inside }

// A LogValuer of any type may be in it, and fmt does not ask for its LogValue.
type holdsLogValuer struct{ v slog.LogValuer }

func (h holdsLogValuer) Error() string { return fmt.Sprint(h.v) }

type manyErrors []error

func (m manyErrors) Error() string { return errors.Join(m...).Error() }

type listError struct{ all []error }

func (l listError) Error() string { return errors.Join(l.all...).Error() }

type responseError struct{ r *http.Response }

func (r *responseError) Error() string { return fmt.Sprint("status ", r.r.StatusCode) }

type wraps struct {
	Op  string
	Err error
}

func (w *wraps) Error() string { return w.Op + ": " + w.Err.Error() }

type holdsAny struct{ v any }

func (h holdsAny) Error() string { return fmt.Sprint("bad value ", h.v) }

type holdsURL struct{ U *url.Userinfo }

func (h holdsURL) Error() string { return fmt.Sprint("bad ", h.U) }

type panicsWith struct{ v string }

func (p panicsWith) MarshalJSON() ([]byte, error) { panic(p.v) }

type failsWith struct{ v string }

func (p failsWith) MarshalText() ([]byte, error) { return nil, errors.New(p.v) }

// A canaryError has the secret in a panic's type's text, too.
type canaryError struct{ v string }

func (c canaryError) Error() string { return c.v }
func (c canaryError) RuntimeError() {}

type panicsError struct{ v string }

func (p panicsError) String() string { panic(canaryError(p)) }

type lyingJSON struct{ v string }

func (l lyingJSON) MarshalJSON() ([]byte, error) {
	return []byte(`{"ok":1,"pass\u0077ord":"` + l.v + `","in":[{"Session-Token":{"deep":"` + l.v + `"}}]}`), nil
}

type brokenJSON struct{ v string }

func (b brokenJSON) MarshalJSON() ([]byte, error) { return []byte(`{"password":"` + b.v), nil }

type redactedA struct{ A string }

func (redactedA) LogValue() slog.Value { return slog.StringValue("***") }

type redactedB struct{ B string }

func (redactedB) LogValue() slog.Value { return slog.StringValue("***") }

func TestCanary(t *testing.T) {
	s := canary
	for name, x := range map[string]any{
		"tag":                      tagged{"n", s},
		"tag, pointer":             &tagged{"n", s},
		"name":                     byName{"u", s, []byte(s), map[string]string{"Authorization": s, "x-api-key": s, "Set-Cookie": s}},
		"map key":                  map[string]any{"password": s, "a": map[string]any{"clientSecret": []string{s}}},
		"map of any key":           map[any]any{"password": s},
		"own string type as key":   map[redactedKey]int{redactedKey(s): 1},
		"LogValuer as key":         map[redacted]int{{s}: 1},
		"pointer LogValuer as key": map[*redactedPtr]int{{s}: 1},
		"tells as key":             map[tellsText]int{{s}: 1},
		"tagged as key":            map[tagged]int{{"n", s}: 1},
		"interface key":            map[any]int{redacted{s}: 1, tellsString{s}: 2},
		"LogValuer":                redacted{s},
		"LogValuer, pointer":       &redacted{s},
		"LogValuer in list":        []any{redacted{s}, &redacted{s}, []redacted{{s}}, map[string]redacted{"a": {s}}},
		"LogValuer of pointer":     redactedPtr{s},
		"… in list":                []redactedPtr{{s}},
		"… in array in any":        any([1]redactedPtr{{s}}),
		"… in map":                 map[string]redactedPtr{"a": {s}},
		"… in field":               struct{ R redactedPtr }{redactedPtr{s}},
		"LogValuer copy":           redactedCopy{"n", s},
		"LogValuer copy, pointer":  &redactedCopy{"n", s},
		"LogValue panics":          redactedPanic{s},
		"LogValue panics, error":   &redactedPanicErr{s},
		"LogValue loops":           redactedLoop{s},
		"LogValue group":           redactedGroup{s},
		"slog.Value":               slog.AnyValue(redacted{s}),
		"slog.Attr":                slog.String("password", s),
		"slog.Attrs":               []slog.Attr{slog.Group("g", slog.String("token", s)), slog.Any("x", redactedPtr{s})},
		"two embedded LogValuers": struct {
			redactedA
			redactedB
			*redactedCopy
		}{redactedA{s}, redactedB{s}, &redactedCopy{"n", s}},
		"MarshalJSON tells":          tellsJSON{s},
		"MarshalJSON tells, inside":  []any{&tellsJSON{s}, map[string]tellsJSON{"a": {s}}},
		"MarshalText tells":          tellsText{s},
		"String tells":               tellsString{s},
		"Error tells":                &tellsError{s},
		"Error tells, wrapped":       &wraps{"op", &tellsError{s}},
		"Error tells, wrapped twice": &wraps{"op", &wraps{"op", &tellsError{s}}},
		"fmt.Errorf":                 fmt.Errorf("op: %w", &tellsError{s}),
		"fmt.Errorf, two":            fmt.Errorf("op: %w, %w", errors.New("x"), &tellsError{s}),
		"errors.Join":                errors.Join(errors.New("x"), &tellsError{s}),
		"error of errors":            manyErrors{errors.New("x"), &tellsError{s}},
		"error with errors":          listError{append(make([]error, 300), &tellsError{s})},
		"String tells numbered":      tellsNumbered{map[int]redacted{1: {s}}},
		"error holds a LogValuer":    holdsLogValuer{redacted{s}},
		"error holds LogValuer":      holdsAny{redacted{s}},
		"error holds tagged":         holdsAny{&tagged{"n", s}},
		"error holds a map":          holdsAny{map[string]string{"password": s}},
		"error holds userinfo":       holdsURL{url.UserPassword("u", s)},
		"String tells nested":        tellsNested{1, &[]redacted{{s}}},
		"MarshalJSON of any":         tellsAny{redacted{s}},
		"MarshalJSON of tagged":      tellsAny{tagged{"n", s}},
		"String of a map":            tellsMap{map[string]string{"password": s}},
		"MarshalJSON of a map":       tellsMapJSON{"password": s},
		"panic text":                 panicsWith{s},
		"panic runtime error":        panicsError{s},
		"error text of MarshalText":  failsWith{s},
		"… as key":                   map[failsWith]int{{s}: 1},
		"keys of MarshalJSON":        lyingJSON{s},
		"invalid MarshalJSON":        brokenJSON{s},
		"raw":                        json.RawMessage(`{"a":[{"p\u0061ssword" : {"x":"` + s + `"}}],"pin":"` + s + `"}`),
		"invalid raw":                json.RawMessage(`{"password":"` + s + `"`),
		"invalid raw, short name":    json.RawMessage(`{"pin":"` + s + `"`),
		"invalid raw, escapes":       json.RawMessage(`{"p\u0061ssword":"` + s + `"`),
		"url":                        url.URL{Scheme: "https", Host: "h", User: url.UserPassword("u", s)},
		"embedded":                   struct{ tagged }{tagged{"n", s}},
		"embedded pointer":           struct{ *tagged }{&tagged{"n", s}},
		"secret struct": struct {
			Credentials struct{ Login string }
			Auth        *tagged
		}{struct{ Login string }{s}, &tagged{"n", s}},
		"secret of odd kinds": struct {
			A error            `earshot:"secret"`
			B func() string    `earshot:"secret"`
			C []any            `earshot:"secret"`
			D map[string]int   `earshot:"secret"`
			E json.RawMessage  `json:"token"`
			F panicsWith       `json:"secret_key,omitempty"`
			G redactedPanicErr `json:"cookies"`
		}{errors.New(s), nil, []any{s}, map[string]int{s: 1}, json.RawMessage(`"` + s + `"`), panicsWith{s}, redactedPanicErr{s}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, e := range []*payload.Encoder{{}, {MaxDepth: 1}, {MaxBytes: 256}, {Secret: func(string) bool { return false }}} {
					out := encodeWith(t, e, x)
					require.NotContains(t, out, canary)
					out = encodeWith(t, e, []any{x, struct{ X any }{x}, map[string]any{"x": x, "y": &x}})
					require.NotContains(t, out, canary)
				}
				// What cannot be asked for its redacted form is not shown at all.
				if v := reflect.ValueOf(struct{ x any }{x}).Field(0); strings.Contains(name, "LogValue") {
					require.NotContains(t, encodeValue(t, new(payload.Encoder), v), canary)
				}
			})
		})
	}
}

// Redaction that hides everything would pass the test above.
func TestWhatIsShownBesideSecrets(t *testing.T) { synctest.Test(t, testWhatIsShownBesideSecrets) }

func testWhatIsShownBesideSecrets(t *testing.T) {
	s := canary
	for _, c := range []struct {
		give any
		want string
	}{
		{tagged{"n", s}, `{"Name":"n","note":"[secret]"}`},
		{struct { // whether there is one is nobody's business either
			Password string `json:",omitempty"`
		}{}, `{"Password":"[secret]"}`},
		// The headers of the response would be secrets, but are not this error's.
		{&responseError{&http.Response{StatusCode: 500}}, `"status 500"`},
		{byName{User: "u", Headers: map[string]string{"Authorization": s, "Accept": "a"}}, `{"User":"u","Password":"[secret]","k":"[secret]","Headers":{"Accept":"a","Authorization":"[secret]"}}`},
		{redacted{s}, `"***"`}, {redactedPtr{s}, `"***"`}, {map[redacted]int{{s}: 1}, `{"***":1}`},
		{redactedCopy{"n", s}, `{"Name":"n","Inside":"***"}`}, {&redactedCopy{"n", s}, `{"Name":"n","Inside":"***"}`},
		{redactedGroup{s}, `{"name":"n","password":"[secret]","more":"***","api_key":"[secret]","m":{"token":"[secret]"}}`},
		{redactedPanic{s}, `{"!":"LogValue of payload_test.redactedPanic panicked with a string"}`},
		{redactedLoop{s}, `{"!":"LogValue of payload_test.redactedLoop returns LogValuers without end"}`},
		{tellsJSON{s}, `{"Note":"[secret]"}`}, {&tellsError{s}, `{"Token":"[secret]"}`},
		{&wraps{"op", &tellsError{s}}, `{"Op":"op","Err":{"Token":"[secret]"}}`},
		{tellsString{s}, `{"!":"String of payload_test.tellsString is not called: it could tell a secret. Give it a LogValue"}`},
		{fmt.Errorf("op: %w", &tellsError{s}), `{"!":"Error of fmt.wrapError is not called: it could tell a secret. Give it a LogValue"}`},
		{lyingJSON{s}, `{"ok":1,"password":"[secret]","in":[{"Session-Token":"[secret]"}]}`},
		{brokenJSON{s}, `{"!":"MarshalJSON of payload_test.brokenJSON is not valid JSON"}`},
		{panicsWith{s}, `{"!":"MarshalJSON of payload_test.panicsWith panicked with a string"}`},
		{panicsError{s}, `{"!":"String of payload_test.panicsError panicked with a payload_test.canaryError"}`},
		{failsWith{s}, `{"!":"MarshalText of payload_test.failsWith failed with a *errors.errorString"}`},
		{tellsMapJSON{"password": s, "a": "b"}, `{"a":"b","password":"[secret]"}`},
		{holdsAny{1}, `"bad value 1"`},
		{struct {
			redactedA
			redactedB
			N int
		}{N: 1}, `{"A":"[secret]","B":"[secret]","N":1}`},
	} {
		if got := encode(t, c.give); got != c.want {
			t.Errorf("%T: got %s, want %s", c.give, got, c.want)
		}
	}
}

type account struct {
	Name string
	IBAN string `json:"iban"`
}

func (a account) MarshalText() ([]byte, error) { return []byte(a.Name + " " + a.IBAN), nil }

type opaqueAccount struct{ iban string }

func (a opaqueAccount) String() string { return a.iban }

type billing struct{ Street string }

func TestMoreSecretNames(t *testing.T) { synctest.Test(t, testMoreSecretNames) }

func testMoreSecretNames(t *testing.T) {
	more := &payload.Encoder{Secret: func(name string) bool { return strings.EqualFold(name, "iban") || name == "billing" }}
	for _, c := range []struct {
		give              any
		plainly, secretly string
	}{
		{account{"n", canary}, `"n ` + canary + `"`, `{"Name":"n","iban":"[secret]"}`},
		{map[account]int{{"n", canary}: 1}, `{"n ` + canary + `":1}`, `{"{\"Name\":\"n\",\"iban\":\"[secret]\"}":"[secret]"}`},
		{opaqueAccount{canary}, `"` + canary + `"`, `{"!":"String of payload_test.opaqueAccount is not called: it could tell a secret. Give it a LogValue"}`},
		{map[string]string{"Iban": canary}, `{"Iban":"` + canary + `"}`, `{"Iban":"[secret]"}`},
		{json.RawMessage(`{"iban":"` + canary + `"}`), `{"iban":"` + canary + `"}`, `{"iban":"[secret]"}`},
		{slog.GroupValue(slog.String("iban", canary)), `{"iban":"` + canary + `"}`, `{"iban":"[secret]"}`},
		{struct{ billing }{billing{canary}}, `{"Street":"` + canary + `"}`, `{"Street":"[secret]"}`},
		{holdsAny{opaqueAccount{canary}}, `"bad value ` + canary + `"`, `{"!":"Error of payload_test.holdsAny is not called: it could tell a secret. Give it a LogValue"}`},
	} {
		require.Equal(t, c.plainly, encode(t, c.give))
		require.Equal(t, c.secretly, encodeWith(t, more, c.give))
		require.Equal(t, c.secretly, encodeWith(t, more, c.give), "again, from what was remembered")
	}
	panics := &payload.Encoder{Secret: func(name string) bool { panic(name) }}
	require.Equal(t, `{"a":"[secret]"}`, encodeWith(t, panics, map[string]int{"a": 1}))
	require.Equal(t, `{"X":"[secret]","Y":"[secret]"}`, encodeWith(t, panics, point{1, 2}))
}
