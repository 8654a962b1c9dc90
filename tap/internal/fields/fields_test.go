package fields_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

type (
	inner struct {
		Deep  int
		Same  int `json:"same"`
		Other int
	}
	Left  struct{ Both, OnlyLeft int }
	Right struct{ Both, OnlyRight int }
	Tag1  struct{ Clash int }
	Tag2  struct {
		Clash2 int `json:"Clash"`
	}
	Named struct{ In int }
	Loop  struct {
		*Loop
		Turn int
	}
	number int
	Number int
	named  struct{ Hidden int }
)

var shapes = map[string]any{
	"plain": struct {
		A int
		B string `json:"b"`
		c int
	}{},
	"tags": struct {
		A int `json:"-"`
		//lint:ignore SA5008 odd, and allowed
		B int `json:"-,"`
		C int `json:",omitempty"`
		D int `json:"d d,omitempty"`
		//lint:ignore SA5008 wrong on purpose: encoding/json takes the Go name
		E int `json:"no\"quotes"`
		F int `json:"über"`
		G int `json:"g,string"`
	}{C: 1, D: 1},
	"embedded":         struct{ inner }{},
	"embedded pointer": struct{ *Left }{&Left{}},
	"shallow hides deep": struct {
		inner
		Deep string
		Same string `json:"same"`
	}{},
	"two of a name vanish": struct {
		Left
		Right
	}{},
	"a tag decides": struct {
		Tag1
		Tag2
	}{},
	"embedded with a name": struct {
		Named `json:"named"`
	}{},
	"unexported with a name": struct {
		named `json:"named"`
	}{},
	"embedded not a struct": struct {
		Number
		number
	}{},
	"loop": Loop{},
	"embedded twice": struct {
		L struct{ inner }
		inner
	}{},
	"two ways to one type": struct {
		wrapA
		wrapB
		Own int
	}{},
	"empty": struct{}{},
}

type (
	wrapA struct{ inner }
	wrapB struct{ inner }
)

// What a payload calls a field, and what a filter calls it, is what encoding/json calls it.
func TestNamesAreThoseOfJSON(t *testing.T) {
	for name, v := range shapes {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(v)
			require.NoError(t, err)
			var want map[string]any
			require.NoError(t, json.Unmarshal(text, &want))
			got := []string{}
			for _, f := range fields.Of(reflect.TypeOf(v)) {
				got = append(got, f.Name)
				_, ok := f.In(reflect.ValueOf(v))
				assert.True(t, ok)
			}
			names := []string{}
			for n := range want {
				names = append(names, n)
			}
			slices.Sort(got)
			slices.Sort(names)
			require.Equal(t, names, got, "%s", text)
		})
	}
}

func TestOptionsAndOrder(t *testing.T) {
	fs := fields.Of(reflect.TypeFor[struct {
		B int `json:"b,omitempty"`
		inner
		A int `json:",omitzero"`
	}]())
	require.Equal(t, []fields.Field{
		{Name: "b", GoName: "B", Index: []int{0}, OmitEmpty: true},
		{Name: "Deep", GoName: "Deep", Index: []int{1, 0}},
		{Name: "same", GoName: "Same", Index: []int{1, 1}},
		{Name: "Other", GoName: "Other", Index: []int{1, 2}},
		{Name: "A", GoName: "A", Index: []int{2}, OmitZero: true},
	}, fs)
}

// An embedded time has no field to promote. encoding/json takes the whole struct for a time, since
// its method is promoted; here it is a field.
func TestEmbeddedTimeIsAField(t *testing.T) {
	fs := fields.Of(reflect.TypeFor[struct {
		time.Time
		N int
	}]())
	require.Len(t, fs, 2)
	require.Equal(t, "Time", fs[0].Name)
}

func TestInStopsAtNilPointers(t *testing.T) {
	type event struct{ *Left }
	f := fields.Of(reflect.TypeFor[event]())[0]
	_, ok := f.In(reflect.ValueOf(event{}))
	require.False(t, ok)
	v, ok := f.In(reflect.ValueOf(event{&Left{Both: 7}}))
	require.True(t, ok)
	require.EqualValues(t, 7, v.Int())
}

type Login struct{ User, Where string }

func TestSecretFields(t *testing.T) {
	secret := map[string]bool{}
	for _, f := range fields.Of(reflect.TypeFor[struct {
		Name     string
		Note     string `earshot:"secret"`
		Card     string `json:"card" earshot:"other, secret"`
		Password string `json:"p"`       // its Go name tells
		P2       string `json:"api_key"` // its JSON name tells
		Login    `earshot:"secret"`
		Visible  string `earshot:"public"`
	}]()) {
		secret[f.Name] = f.Secret
	}
	require.Equal(t, map[string]bool{
		"Name": false, "Note": true, "card": true, "p": true, "api_key": true,
		"User": true, "Where": true, // through what they are embedded in
		"Visible": false,
	}, secret)
}

func TestSecretKey(t *testing.T) {
	for _, name := range []string{
		"password", "Password", "PASSWD", "user_password", "passwordHash", "secret", "clientSecret", "token", "accessToken",
		"X-Auth-Token", "refresh_token", "apikey", "APIKey", "api_key", "API-Key", "x-api-key", "api key", "api.key",
		"Authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "credentials", "privateKey", "private_key", "PRIVATE-KEY",
		"pass-phrase", "access_key_id", "bearer", "pwd", "PWD", "_pwd_", "pass", "auth", "jwt", "pin", "otp", "cvv", "cvc",
		"s-e-c-r-e-t", "to\u212aen", "pa\u017f\u017fword", "日本password", "\xffpassword",
	} {
		assert.True(t, fields.SecretKey(name), "%q", name)
	}
	for _, name := range []string{
		"", "name", "amount", "author", "compass", "passenger", "pinned", "authority", "api", "key", "monkey",
		"apike", "secre", "tok", "ｔｏｋｅｎ", "_", "-", "...", "\xff",
	} {
		assert.False(t, fields.SecretKey(name), "%q", name)
	}
}

func TestNoAllocations(t *testing.T) {
	type event struct {
		A int
		B string
	}
	typ := reflect.TypeFor[event]()
	fields.Of(typ)
	require.Zero(t, testing.AllocsPerRun(100, func() { fields.Of(typ) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { fields.SecretKey("X-Some-Header-Of-Some-Length") }))
}

func TestFromManyGoroutines(t *testing.T) {
	type event struct{ A, B, C int }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				assert.Len(t, fields.Of(reflect.TypeFor[event]()), 3)
			}
		})
	}
	wg.Wait()
}

func FuzzSecretKey(f *testing.F) {
	f.Add("a", "password", "b")
	f.Add("\xe2", "api_key", "\xff")
	f.Fuzz(func(t *testing.T, before, _, after string) {
		fields.SecretKey(before)
		require.True(t, fields.SecretKey(before+"-Api-Key-"+after))
	})
}
