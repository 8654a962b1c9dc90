package payload_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
)

type order struct {
	ID     int64   `json:"id"`
	Item   string  `json:"item"`
	Amount float64 `json:"amount,omitempty"`
	Paid   bool
	hidden string
}

type status int

func (s status) String() string { return [...]string{"new", "paid"}[s] }

type name string

type id [4]byte

func (i id) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", i[:]), nil }

type base struct{ Kind string }

type derived struct {
	base
	*order `json:"-"`
	Name   string
}

type viaPointer struct{ n int }

func (v *viaPointer) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{ "n": %d }`, v.n), nil }

type opaque struct{ n int }

func (o opaque) String() string { return fmt.Sprint("opaque ", o.n) }

type stringerWithFields struct{ A int }

func (stringerWithFields) String() string { return "no" }

type strs []string

func (strs) String() string { return "a,b" }

type zeros struct {
	E  string    `json:"e,omitempty"`
	M  []int     `json:"m,omitempty"`
	Z  time.Time `json:"z,omitzero"`
	Z2 order     `json:"z2,omitzero"`
	Z3 int       `json:"z3,omitzero"`
	P  *int      `json:"p,omitempty"`
	S  order     `json:"s,omitempty"`
}

type listenError struct {
	Op  string
	Err error
}

func (e *listenError) Error() string { return e.Op + ": " + e.Err.Error() }

type point struct{ X, Y int }

type numbers struct {
	I8  int8
	U64 uint64
	F32 float32
}

func TestValues(t *testing.T) { synctest.Test(t, testValues) }

func testValues(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
	n := 7
	pn := &n
	for _, c := range []struct {
		give any
		want string
	}{
		{nil, `null`},
		{true, `true`},
		{int64(math.MaxInt64), `9223372036854775807`},
		{int64(math.MinInt64), `-9223372036854775808`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{uintptr(5), `5`},
		{numbers{-8, math.MaxUint64, 0.1}, `{"I8":-8,"U64":18446744073709551615,"F32":0.1}`},
		{0.1, `0.1`}, {1e21, `1e+21`}, {1e20, `100000000000000000000`}, {1e-7, `1e-7`}, {math.Copysign(0, -1), `-0`},
		{math.MaxFloat64, `1.7976931348623157e+308`}, {math.SmallestNonzeroFloat64, `5e-324`}, {float32(3.4e38), `3.4e+38`},
		{math.NaN(), `"NaN"`}, {math.Inf(1), `"+Inf"`}, {math.Inf(-1), `"-Inf"`}, {float32(math.Inf(1)), `"+Inf"`},
		{complex(1, -2), `"(1-2i)"`}, {complex64(1i), `"(0+1i)"`},
		{"plain", `"plain"`}, {"", `""`},
		{"\"\\/\b\f\n\r\t", `"\"\\/\u0008\u000c\n\r\t"`},
		{"<b>&\u2028\u2029", `"\u003cb\u003e\u0026\u2028\u2029"`},
		{"\x00\x1b[31m\x7f\u009b", `"\u0000\u001b[31m\u007f\u009b"`},
		{"a\u202eb\u2066c\u200fd\ufeff", `"a\u202eb\u2066c\u200fd\ufeff"`},
		{"\U000e0041", `"\udb40\udc41"`},
		{"ok\xff\xfe", `"ok\ufffd\ufffd"`}, {"\ufffd", "\"\ufffd\""},
		{"héllo 世界 👩‍👩‍👧 \u200c", "\"héllo 世界 👩‍👩‍👧 \u200c\""},
		{[]byte("text"), `"text"`}, {[]byte{}, `""`}, {[]byte(nil), `null`},
		{[]byte{0xff, 0, 1}, `{"base64":"/wAB"}`},
		{[3]byte{1, 2, 3}, `[1,2,3]`},
		{[]int{1, 2}, `[1,2]`}, {[]int(nil), `null`}, {[]int{}, `[]`}, {[0]int{}, `[]`},
		{[]any{1, "a", nil, pn}, `[1,"a",null,7]`},
		{&pn, `7`}, {(*order)(nil), `null`},
		{map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}`}, {map[string]int(nil), `null`}, {map[string]int{}, `{}`},
		{map[int]string{10: "x", 9: "y"}, `{"10":"x","9":"y"}`}, {map[uint8]bool{255: true}, `{"255":true}`},
		{map[id]int{{1, 2, 3, 4}: 5}, `{"01020304":5}`},
		{map[point]int{{1, 2}: 3}, `{"{\"X\":1,\"Y\":2}":3}`},
		{map[any]int{"s": 1, 2: 2, nil: 3}, `{"2":2,"null":3,"s":1}`},
		{map[bool]int{true: 1}, `{"true":1}`}, {map[float64]int{0.5: 1}, `{"0.5":1}`},
		{map[*point]int{{1, 2}: 3}, `{"{\"X\":1,\"Y\":2}":3}`},
		{map[status]int{1: 2}, `{"1":2}`}, {map[rune]int{65: 2}, `{"65":2}`}, {map[name]int{"n": 1}, `{"n":1}`},
		{order{1, "tea", 0, true, "x"}, `{"id":1,"item":"tea","Paid":true}`},
		{&order{1, "tea", 2.5, true, "x"}, `{"id":1,"item":"tea","amount":2.5,"Paid":true}`},
		{derived{base: base{"k"}, Name: "n"}, `{"Kind":"k","Name":"n"}`},
		{struct{ *base }{nil}, `{}`}, {struct{ *base }{&base{"k"}}, `{"Kind":"k"}`},
		{&zeros{}, `{"s":{"id":0,"item":"","Paid":false}}`}, {zeros{}, `{"s":{"id":0,"item":"","Paid":false}}`},
		{status(1), `"paid"`}, {struct{ S status }{1}, `{"S":"paid"}`},
		{id{0xde, 0xad, 0xbe, 0xef}, `"deadbeef"`},
		{viaPointer{3}, `{"n":3}`}, {&viaPointer{3}, `{"n":3}`}, {[]viaPointer{{4}}, `[{"n":4}]`}, {(*viaPointer)(nil), `null`},
		{opaque{5}, `"opaque 5"`}, {stringerWithFields{5}, `{"A":5}`}, {strs{"a", "b"}, `"a,b"`},
		{at, `"2026-11-21T10:00:00.123456789Z"`}, {&at, `"2026-11-21T10:00:00.123456789Z"`}, {struct{ At time.Time }{at}, `{"At":"2026-11-21T10:00:00.123456789Z"}`},
		{time.Time{}, `"0001-01-01T00:00:00Z"`}, {at.In(time.FixedZone("", 3600)), `"2026-11-21T11:00:00.123456789+01:00"`},
		{1500 * time.Millisecond, `"1.5s"`}, {time.Duration(math.MinInt64), `"-2562047h47m16.854775808s"`},
		{[]time.Duration{0}, `["0s"]`},
		{errors.New("no <tea>"), `"no \u003ctea\u003e"`}, {fmt.Errorf("a: %w", fs.ErrNotExist), `"a: file does not exist"`},
		{struct{ Err error }{nil}, `{"Err":null}`}, {struct{ Err error }{(*listenError)(nil)}, `{"Err":null}`},
		{&listenError{"listen", errors.New("in use")}, `"listen: in use"`},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, `"open x: file does not exist"`},
		{errors.Join(errors.New("a"), errors.New("b")), `"a\nb"`},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, Err: errors.New("refused")}, `"dial tcp 10.0.0.1:80: refused"`},
		{json.Unmarshal([]byte(`"a"`), new(int)), `"json: cannot unmarshal string into Go value of type int"`},
		{json.Number("12345678901234567890.5"), `12345678901234567890.5`}, {json.Number("no"), `"no"`}, {json.Number(""), `""`}, {json.Number(" 1"), `" 1"`}, {json.Number("1\n"), `"1\n"`}, {json.Number("true"), `"true"`},
		{json.RawMessage("{ \"a\" : [ 1 , 2.50, \"<\\u0041\\n\" ,null ], \"b\":{} , \"c\":[]}\n"), `{"a":[1,2.50,"\u003cA\n",null],"b":{},"c":[]}`},
		{json.RawMessage(nil), `null`}, {json.RawMessage(`{"a":`), `"{\"a\":"`}, {json.RawMessage(""), `""`}, {json.RawMessage(" -1.0e5 "), `-1.0e5`},
		{big.NewInt(0).Lsh(big.NewInt(1), 100), `1267650600228229401496703205376`},
		{netip.MustParseAddr("::1"), `"::1"`}, {net.IPv4(1, 2, 3, 4), `"1.2.3.4"`}, {time.March, `"March"`},
		{func(int) {}, `"(func(int))"`}, {(func())(nil), `null`}, {make(chan int), `"(chan int)"`}, {(chan int)(nil), `null`}, {unsafe.Pointer(nil), `"(unsafe.Pointer)"`},
		{slog.GroupValue(slog.Uint64("u", math.MaxUint64), slog.Float64("f", 0.5), slog.Bool("b", true), slog.Time("t", at)), `{"u":18446744073709551615,"f":0.5,"b":true,"t":"2026-11-21T10:00:00.123456789Z"}`},
		{struct{}{}, `{}`}, {slog.IntValue(3), `3`}, {slog.GroupValue(slog.Int("a", 1), slog.Group("", slog.Int("b", 2))), `{"a":1,"b":2}`},
		{[]slog.Attr{slog.Duration("took", time.Second), slog.Any("x", point{1, 2})}, `[{"took":"1s"},{"x":{"X":1,"Y":2}}]`},
		{reflect.ValueOf(5), `"\u003cint Value\u003e"`},
	} {
		if got := encode(t, c.give); got != c.want {
			t.Errorf("%T: got %s, want %s", c.give, got, c.want)
		}
	}
}

func TestInvalidValueIsNull(t *testing.T) {
	require.Equal(t, "null", string(new(payload.Encoder).Append(nil, reflect.Value{})))
}

// encoding/json is the reference where we do not mean to differ.
func TestSameAsEncodingJSON(t *testing.T) { synctest.Test(t, testSameAsEncodingJSON) }

func testSameAsEncodingJSON(t *testing.T) {
	for _, x := range []any{
		order{1, "tea", 2.5, true, ""}, derived{Name: "x"}, numbers{1, 2, 3.5}, map[string][]float64{"a": {1.5, 1e-9, 1e22, 123456789}},
		float32(1e-7), float32(16777216), float32(1e21), 1e-6, 9.99e-7, 999999999999999999999.0,
		[]any{nil, true, "é", map[string]any{"z": 1, "a": []int{}}}, zeros{E: "x", Z: time.Unix(0, 0).UTC()},
	} {
		want, err := json.Marshal(x)
		require.NoError(t, err)
		require.Equal(t, string(want), encode(t, x))
	}
}

func TestUnexportedValuesAreWalkedWithoutTheirMethods(t *testing.T) {
	type inner struct {
		S   status
		T   time.Time
		O   opaque
		Err error
		D   time.Duration
		ID  id
	}
	v := reflect.ValueOf(struct{ in inner }{inner{S: 1, Err: errors.New("x"), D: time.Second}}).Field(0)
	require.False(t, v.CanInterface())
	require.Equal(t, `{"S":1,"T":{"!":"time.Time in an unexported field"},"O":{},"Err":{},"D":"1s","ID":[0,0,0,0]}`,
		encodeValue(t, new(payload.Encoder), v))
}

func TestSize(t *testing.T) {
	s := "12345"
	for _, c := range []struct {
		give any
		want int
	}{
		{nil, 0}, {"12345", 5}, {[]byte("123"), 3}, {[]int64{1, 2}, 16}, {int32(1), 4}, {point{}, int(unsafe.Sizeof(point{}))},
		{&point{}, int(unsafe.Sizeof(point{}))}, {(*point)(nil), int(unsafe.Sizeof(uintptr(0)))}, {map[int64]int64{1: 1}, 16}, {&s, int(unsafe.Sizeof(s))},
	} {
		require.Equal(t, c.want, payload.Size(reflect.ValueOf(c.give)), "%T", c.give)
	}
	require.Equal(t, 5, payload.Size(reflect.ValueOf(&[]any{"12345"}).Elem().Index(0)))
}

func TestNoAllocations(t *testing.T) {
	type line struct {
		SKU   string `json:"sku"`
		Count int
	}
	x := &struct {
		ID    int64
		Name  string
		Price float64
		Took  time.Duration
		At    time.Time
		OK    bool
		Lines []line
		Next  *line
		Tiny  string
		Err   error
		Errf  error
	}{1 << 60, "tea <hot> \u202e", 1.5, time.Second, time.Now(), true, []line{{"a", 1}, {"b", 2}}, &line{"c", 3}, "é", errors.New("no"), fmt.Errorf("no: %w", fs.ErrExist)}
	e := new(payload.Encoder)
	v := reflect.ValueOf(x)
	dst := e.Append(nil, v)
	if n := testing.AllocsPerRun(100, func() { dst = e.Append(dst[:0], v) }); n > 0 {
		t.Errorf("Append allocates %v times for a plain struct", n)
	}
	dst = e.Append(dst[:0], v.Elem())
	if n := testing.AllocsPerRun(100, func() { payload.Size(v) }); n > 0 {
		t.Errorf("Size allocates %v times", n)
	}
}

func TestBase64IsExact(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(255 - i)
	}
	var got struct {
		Base64 string
		Bytes  int
	}
	require.NoError(t, json.Unmarshal([]byte(encode(t, b)), &got))
	require.Equal(t, base64.StdEncoding.EncodeToString(b), got.Base64)

	out := encodeWith(t, &payload.Encoder{MaxBytes: 256}, b)
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, 300, got.Bytes)
	part, err := base64.StdEncoding.DecodeString(got.Base64)
	require.NoError(t, err)
	require.Greater(t, len(part), 100)
	require.Equal(t, b[:len(part)], part)
}
