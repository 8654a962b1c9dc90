package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/filter"
)

// An event that keeps a secret in every way there is, and the words one may ask with.
type vault struct {
	Name     string
	Password string
	Renamed  string `json:"token"`
	Tagged   string `json:"tagged" earshot:"secret"`
	Err      error  `earshot:"secret"`
	Left     string `json:"-"`
	inside   string
	Deep     struct{ Login login }
	Ptr      *login
	Card     Card
	CardPtr  *Card
	Any      any
	Text     redacted
	Bytes    hiddenBytes
	Map      map[string]string
	AnyMap   map[any]any
	Keys     map[redacted]string
	Headers  http.Header
	Raw      json.RawMessage
	BadRaw   json.RawMessage
	List     []any
	ErrorToo error
	Wrapped  error
	Joined   error
	Carries  error
	Logged   loggedErr
	login    `earshot:"secret"`
	embedded
	other
	valued
}

type login struct {
	User      string
	APIKey    string `json:"key"`
	PassWdPtr *string
	Password  []string
}

// Two embedded types with LogValue: neither is promoted, both still say what to show.
type (
	embedded struct{ EmbeddedValue string }
	other    struct{ OtherValue string }
	valued   struct{ Plain string }
)

func (embedded) LogValue() slog.Value { return slog.Value{} }
func (other) LogValue() slog.Value    { return slog.Value{} }

type hiddenBytes []byte

func (hiddenBytes) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// loginErr says more than it should.
type loginErr struct{ Password string }

func (e *loginErr) Error() string { return "wrong password " + e.Password }

type loggedErr struct{ s string }

func (e loggedErr) Error() string        { return e.s }
func (e loggedErr) LogValue() slog.Value { return slog.StringValue("an error") }

// carrier has anything in it.
type carrier struct{ With any }

func (c carrier) Error() string { return fmt.Sprint("carries ", c.With) }

func newVault(secret string) *vault {
	l := login{User: "ann", APIKey: secret, PassWdPtr: &secret, Password: []string{secret}}
	v := &vault{
		Name: "box", Password: secret, Renamed: secret, Tagged: secret, Err: errors.New(secret), Left: secret, inside: secret,
		Ptr: &l, Card: Card{secret}, CardPtr: &Card{secret}, Any: Card{secret}, Text: redacted(secret), Bytes: hiddenBytes(secret),
		Map:     map[string]string{"password": secret, "X-Api-Key": secret, "ok": "fine"},
		AnyMap:  map[any]any{"secret": secret, 1: "one"},
		Keys:    map[redacted]string{redacted(secret): "fine"},
		Headers: http.Header{"Authorization": {secret}, "Cookie": {secret}, "Accept": {"any"}},
		Raw:     json.RawMessage(`{"list":[{"privateKey":` + fmt.Sprintf("%q", secret) + `}]}`),
		BadRaw:  json.RawMessage(`{"password":"` + secret + `",}`),
		List:    []any{map[string]any{"passwd": secret}, &l, Card{secret}},
		Logged:  loggedErr{secret},
		login:   l, embedded: embedded{secret}, other: other{secret}, valued: valued{"plain"},
	}
	v.Deep.Login = l
	v.ErrorToo = &loginErr{secret}
	v.Wrapped = fmt.Errorf("cannot: %w", v.ErrorToo)
	v.Joined = errors.Join(errors.New("two"), loggedErr{secret})
	v.Carries = carrier{map[string]string{"password": secret}}
	return v
}

// Whatever is asked, the answer does not depend on a secret: it is the same for two events that
// differ in nothing else.
func TestSecretsCannotBeFoundOut(t *testing.T) {
	one, two := reflect.ValueOf(newVault("hunter2")), reflect.ValueOf(newVault("0"))
	asked := 0
	ask := func(text string) {
		f, err := filter.Parse(text)
		require.NoError(t, err)
		asked++
		require.Equal(t, f.Match(one), f.Match(two), "%s", text)
	}
	for _, text := range []string{"hunter2", "HUNTER2", "hunt", "/hunter/", "/^h/", `/^\d$/`, "0", "err", `/^(?i)HUNTER2$/`, `"wrong password"`} {
		ask(text)
		ask("-" + text)
	}
	for _, path := range paths(reflect.TypeFor[vault](), "", 0) {
		for _, cmp := range []string{"=hunter2", "!=hunter2", ">a", "<a", ">=h", "<=h", "~hunter", "!~^h", "=null", "!=null", "=0", `=""`, ">=0", "~^.{3}"} {
			ask(path + cmp)
			ask("-" + path + cmp)
		}
	}
	require.Greater(t, asked, 1000)

	// And all else can be found.
	for _, text := range []string{"Name=box", "box", "Map.ok=fine", "Headers.Accept.0=any", "Plain=plain", "Deep.Login.User=ann", "ann", "Ptr.user=ann", "AnyMap.1=one"} {
		if text != "AnyMap.1=one" { // its key is no string
			require.True(t, parse(t, text).Match(one), "%s", text)
		}
	}
}

// paths returns all ways into a type, also those that do not lead anywhere.
func paths(t reflect.Type, before string, depth int) (all []string) {
	if depth > 4 {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return paths(t.Elem(), before, depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			for _, name := range []string{f.Name, strings.ToLower(f.Name), tag} {
				if name == "" || name == "-" {
					continue
				}
				all = append(append(all, before+name), paths(f.Type, before+name+".", depth+1)...)
			}
			if f.Anonymous {
				all = append(all, paths(f.Type, before, depth+1)...)
			}
		}
	case reflect.Interface, reflect.Slice, reflect.Map:
		for _, name := range []string{"password", "X-Api-Key", "secret", "hunter2", "Authorization.0", "Cookie.0", "list.0.privateKey", "0.passwd",
			"1.key", "1.Password.0", "2.Number", "0", "Number", "Password", "With.password", "s", "1"} {
			all = append(all, before+name)
		}
	}
	return all
}

func TestErrorsWithoutSecretsAreRead(t *testing.T) {
	type event struct{ Err error }
	type pathError struct {
		event
		Note string
	}
	for _, err := range []error{
		errors.New("needle"), fmt.Errorf("x: %w", errors.New("needle")), errors.Join(errors.New("a"), errors.New("needle")),
		carrier{"needle"}, carrier{errors.New("needle")},
	} {
		require.True(t, matches(t, "needle", event{err}), "%v", err)
		require.True(t, matches(t, "Err~needle", pathError{event{err}, ""}), "%v", err)
	}
	// An error that cannot be read still is one.
	for _, err := range []error{&loginErr{"x"}, loggedErr{"x"}, carrier{map[string]any{}}} {
		require.True(t, matches(t, "err", event{err}), "%v", err)
		require.False(t, matches(t, "Err~.", event{err}), "%v", err)
	}
}

func TestHide(t *testing.T) {
	type base struct{ Salary int }
	type wrapping struct {
		Name string
		base
		Iban string `json:"account"`
		More map[string]any
		Err  error
	}
	event := reflect.ValueOf(wrapping{"ann", base{5000}, "DE00", map[string]any{"salary": 5000, "iban": "DE00", "city": "Ulm"}, nil})
	calls := map[string]bool{}
	secret := func(name string) bool {
		calls[name] = true
		if name == "panics" {
			panic(name)
		}
		return strings.EqualFold(name, "salary") || name == "Iban" || name == "iban"
	}
	for _, text := range []string{"Salary=5000", "salary>1", "account=DE00", "iban=DE00", "More.salary=5000", "More.iban=DE00", "DE00", "/^DE/"} {
		f := parse(t, text)
		require.True(t, f.Match(event), "%s", text)
		h := f.Hide(secret)
		require.False(t, h.Match(event), "%s", text)
		require.Equal(t, f.String(), h.String())
		require.True(t, f.Match(event), "the filter itself has changed")
		require.False(t, h.Hide(func(string) bool { return false }).Match(event), "what is hidden stays hidden")
	}
	require.True(t, parse(t, "Name=ann More.city=Ulm ulm").Hide(secret).Match(event))
	require.False(t, parse(t, "panics=1").Hide(secret).Match(reflect.ValueOf(map[string]int{"panics": 1})))
	require.False(t, parse(t, "/./ Name=ann").Hide(func(string) bool { panic("all") }).Match(event))
	f := parse(t, "a=1")
	require.Same(t, f, f.Hide(nil))

	// The text of an error that has such a field may contain it.
	type holder struct{ Err error }
	v := reflect.ValueOf(holder{&ibanErr{"DE00"}})
	require.True(t, parse(t, "DE00").Match(v))
	require.False(t, parse(t, "DE00").Hide(secret).Match(v))
	require.False(t, parse(t, "Err~DE00").Hide(secret).Match(v))
	require.True(t, parse(t, "err").Hide(secret).Match(v))
}

type ibanErr struct{ Iban string }

func (e *ibanErr) Error() string { return "no account " + e.Iban }

// The parts of an embedded struct can be named through their types only if JSON names them so.
func TestHideThroughEmbedding(t *testing.T) {
	type Private struct{ City string }
	type event struct{ Private }
	v := reflect.ValueOf(event{Private{"Ulm"}})
	require.True(t, parse(t, "City=Ulm").Match(v))
	h := parse(t, "City=Ulm").Hide(func(name string) bool { return name == "Private" })
	assert.False(t, h.Match(v))
}
