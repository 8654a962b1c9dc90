package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErr(t *testing.T) {
	type event struct {
		Err   error
		Other error `json:"why"`
	}
	type texts struct{ Err, Error string }
	type inner struct{ E []error }
	type number struct{ Code syscall.Errno }
	var typedNil *ibanErr
	for _, c := range []struct {
		event any
		want  bool
	}{
		{errors.New("x"), true},
		{event{}, false},
		{event{Err: errors.New("x")}, true},
		{event{Other: errors.New("x")}, true},
		{event{Err: typedNil}, false},
		{&event{Err: &ibanErr{}}, true},
		{texts{}, false},
		{texts{Err: "x"}, true},
		{&texts{Error: "x"}, true},
		{map[string]any{"err": nil, "error": ""}, false},
		{map[string]any{"ERROR": "x"}, true},
		{map[string]any{"error": map[string]any{}}, false},
		{map[string]any{"error": map[string]any{"code": 1}}, true},
		{map[string]any{"deep": []any{map[string]any{"err": 1}}}, true},
		{map[string]any{"error": false}, false},
		{inner{}, false},
		{inner{[]error{nil, errors.New("x")}}, true},
		{number{0}, false},
		{number{syscall.ENOENT}, true},
		{json.RawMessage(`{"error":"x"}`), true},
		{json.RawMessage(`{"error":null}`), false},
		{"err", false},
		{nil, false},
		{5, false},
		{carrier{}, true}, // an event that is an error, though it is empty
	} {
		assert.Equal(t, c.want, matches(t, "err", c.event), "%#v", c.event)
		assert.Equal(t, !c.want, matches(t, "-err", c.event), "%#v", c.event)
	}
}

type panicky struct{ N int }

func (panicky) Error() string { panic("never") }

type promoted struct{ error }

func TestPanicsAreContained(t *testing.T) {
	type event struct {
		E    error
		Name string
	}
	e := event{panicky{1}, "needle"}
	require.True(t, matches(t, "needle", e))
	require.True(t, matches(t, "err", e))
	require.False(t, matches(t, "never", e))
	require.False(t, matches(t, "E=never", e))
	require.True(t, matches(t, "E.N=1", e))
	require.False(t, matches(t, "x", promoted{}))
}

func TestValues(t *testing.T) {
	type level string
	type event struct {
		U8     uint8
		I8     int8
		Ptr    **int
		F      float64
		F32    float32
		Bytes  [3]byte
		Level  level
		Func   func()
		C      complex128
		At     *time.Time
		Any    any
		Num    json.Number
		Raw    json.RawMessage
		Nil    map[string]int
		Errors map[level]int
		Took   any
	}
	n := 7
	p := &n
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	e := event{U8: 255, I8: -128, Ptr: &p, F: math.Inf(1), F32: 16777216, Bytes: [3]byte{'a', 'b', 'c'}, Level: "high", C: 1, At: &at,
		Any: uint64(math.MaxUint64), Num: "1e2", Raw: json.RawMessage(` 9007199254740993 `), Errors: map[level]int{"a": 1}, Took: time.Minute}
	for text, want := range map[string]bool{
		"u8=255": true, "u8<256": true, "i8=-128": true, "i8>-129": true, "ptr=7": true,
		"f>1e308": true, "f=1e309": false, "f>1e309": true, "f<1e309": false, "f~Inf": true,
		"f32=16777216": true, "f32=16777217": true, // rounded to what the field can be
		"bytes=abc": true, "bytes~^ab": true, "bytes.0=97": true, "bytes<abd": true,
		"level=high": true, "level>hi": true, "func=null": true, "func=1": false, "c=1": false, "c~1": false,
		"at=2026-01-02T02:04:05.000000006Z": true, "at>2026-01-02": true, "at<2026-01-02T03:04:05+01:00": false, "at=null": false,
		"any=18446744073709551615": true, "any>18446744073709551614": true, "num=100": true, "num=100.0": true, "num>99.99": true, `num="1e2"`: false,
		"raw=9007199254740993": true, "raw=9007199254740992": false, "raw~3$": true, "nil=null": true, "nil.x=1": false,
		"errors.a=1": true, "errors.b=1": false, "took=1m": true, "took>59.999999999s": true, "took=60000000000": true, "took=60": false,
		"missing~x": false, "missing!~x": true, "-missing!~x": false, "ptr.x=1": false, "ptr~^7$": true,
	} {
		assert.Equal(t, want, matches(t, text, e), "%s", text)
		assert.Equal(t, want, matches(t, text, &e), "%s on a pointer", text)
		assert.Equal(t, want, matches(t, strings.Repeat("-", strings.Count(text[:1], "-"))+"any."+strings.TrimPrefix(text, "-"), map[string]any{"any": e}), "%s in an interface", text)
	}
	for text, want := range map[string]bool{"x>-1e400": false, "x!=1": true, "x=NaN": false, "x~NaN": true, "-x>0": true, "x<0": false} {
		assert.Equal(t, want, matches(t, text, map[string]float64{"x": math.NaN()}), "%s", text)
	}
	for text, want := range map[string]bool{"x>0": false, "x<1e-400": true, "x=1e-400": false, "x>-1e-400": true, "x=0": true, "x=-0.0": true, "x=0e400": true} {
		assert.Equal(t, want, matches(t, text, map[string]float64{"x": 0}), "%s", text)
		assert.Equal(t, want, matches(t, text, map[string]int{"x": 0}), "%s", text)
		assert.Equal(t, want, matches(t, text, map[string]float32{"x": 0}), "%s", text)
	}
	// The event itself may be anything.
	require.True(t, matches(t, "needle", "a needle"))
	require.True(t, matches(t, "0=5", []int{5}))
	require.False(t, matches(t, "a=5", 5))
	require.False(t, matches(t, "a=5", nil))
	require.True(t, matches(t, "-a=5 a!=5 -text -err", nil))
}

// What cannot be read with Interface is compared all the same, or left alone.
func TestUnexportedValues(t *testing.T) {
	type inner struct {
		N    int
		At   time.Time
		Err  error
		S    string
		M    map[string]any
		Card Card
	}
	type outer struct{ in inner }
	o := outer{inner{N: 1, At: time.Now(), Err: errors.New("x"), S: "needle", M: map[string]any{"k": 2}}}
	v := reflect.ValueOf(o).Field(0)
	for text, want := range map[string]bool{"n=1": true, "at>2000-01-01": false, "err": true, "err~x": false, "needle": true, "m.k=2": true, "card.number=1": false} {
		assert.Equal(t, want, parse(t, text).Match(v), "%s", text)
	}
}

type ring struct {
	Next *ring
	Any  any
	M    map[string]any
	L    []any
	S    string
}

type endless *endless

func TestCyclesEnd(t *testing.T) {
	r := &ring{M: map[string]any{}, L: make([]any, 3)}
	r.Next, r.Any, r.M["r"], r.L[0], r.L[1], r.L[2] = r, r, r, r, r, r.M
	var e endless
	e = &e
	for _, event := range []any{r, r.M, r.L, e} {
		require.False(t, matches(t, "needle", event))
		require.False(t, matches(t, "/needle/", event))
		require.False(t, matches(t, "err", event))
		require.False(t, matches(t, strings.Repeat("next.", 31)+"s=x", event))
	}
	require.True(t, matches(t, strings.Repeat("next.", 31)+"s!=x", r))
}

type selfErr struct{ error }

// The Error method of an error that wraps itself would end the program: nothing contains the end of
// a stack.
func TestErrorsInThemselvesAreNotRead(t *testing.T) {
	s := &selfErr{}
	s.error = s
	require.False(t, matches(t, "x", s))
	require.False(t, matches(t, "e~x", map[string]any{"e": errors.Join(s, s)}))
	require.True(t, matches(t, "err", s))
}

func TestDepthAndWidthAreBounded(t *testing.T) {
	deep := func(n int) any {
		var v any = "needle"
		for range n {
			v = []any{v}
		}
		return v
	}
	require.True(t, matches(t, "needle", deep(30)))
	require.False(t, matches(t, "needle", deep(40)))
	require.False(t, matches(t, "needle", deep(100_000)))
	wide := func(n int) []any {
		l := make([]any, n)
		l[n-1] = "needle"
		return l
	}
	require.True(t, matches(t, "needle", wide(9_000)))
	require.False(t, matches(t, "needle", wide(11_000)))
	require.True(t, matches(t, "10999=needle", wide(11_000)), "a path needs no search")
	// Numbers cost nothing.
	require.True(t, matches(t, "needle", []any{make([]int, 1e6), "needle"}))
	raw := json.RawMessage(`{"a":"` + strings.Repeat("x", 70<<10) + `","b":"needle"}`)
	require.False(t, matches(t, "needle", raw))
	require.False(t, matches(t, "b=needle", raw))
	// JSON is bounded each and together, and decoded once for all terms.
	list := make([]any, 6)
	for i := range list {
		list[i] = json.RawMessage(`{"n":` + strconv.Itoa(i) + `,"x":"` + strings.Repeat("x", 60<<10) + `"}`)
	}
	require.True(t, matches(t, strings.Repeat("0.n=0 1.n=1 2.n=2 3.n=3 ", 16), list))
	require.False(t, matches(t, "0.n=0 1.n=1 2.n=2 3.n=3 4.n=4", list))
	nested := json.RawMessage(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000))
	require.False(t, matches(t, "needle", nested))
}

func TestTextIsBounded(t *testing.T) {
	text := strings.Repeat("a", 1<<20-6) + "needle"
	require.True(t, matches(t, "needle", text))
	require.True(t, matches(t, "needle", []byte(text)))
	require.False(t, matches(t, "needle", "x"+text))
	require.False(t, matches(t, "needle", []string{"x", text}))
	require.False(t, matches(t, "needle other", text+" other"))
	limit := 1 << 22 / len("needle") // bytes, for an expression of six instructions
	require.True(t, matches(t, "/needle/", text[len(text)-limit:]))
	require.False(t, matches(t, "/needle/", text[len(text)-limit-1:]))
	require.True(t, matches(t, "s~needle", map[string]string{"s": text[len(text)-limit:]}))
	require.False(t, matches(t, "s~needle", map[string]string{"s": text[len(text)-limit-1:]}))
	large := fmt.Sprintf("s~(x{%d}){30}|needle", 30)
	require.True(t, matches(t, large, map[string]string{"s": text[len(text)-1000:]}))
	require.False(t, matches(t, large, map[string]string{"s": text}), "large expressions see less")

	// A text and an expression of the kind that takes others quadratic time or worse.
	require.False(t, matches(t, strings.Repeat("a", 4000)+"b", text))
	require.False(t, matches(t, "/^(a*)*b/", text))
}

func TestTextIgnoresCase(t *testing.T) {
	for _, c := range [][2]string{{"STRASSE", "strasse"}, {"ÄÖÜ", "äöü"}, {"\u212a", "k"}, {"ſ", "S"}, {"Σ", "ς"}, {"ǅ", "ǆ"}, {"Ж", "ж"}, {`"\xff"`, "a\xffb"}, {`"\xff\xfe"`, "\xff\xff\xfe"}} {
		require.True(t, matches(t, c[0], c[1]), "%q", c)
	}
	for _, c := range [][2]string{{"ß", "ss"}, {"i", "İ"}, {`"\xff"`, "\ufffd"}, {"a", "а"}} {
		require.False(t, matches(t, c[0], c[1]), "%q", c)
	}
}
