package payload_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestLongStrings(t *testing.T) {
	require.Equal(t, `"`+strings.Repeat("b", 254)+`"`, encodeWith(t, &payload.Encoder{MaxBytes: 1}, strings.Repeat("b", 254)))
	require.Regexp(t, `^"b{200,}… \(255 bytes\)"$`, encodeWith(t, &payload.Encoder{MaxBytes: 1}, strings.Repeat("b", 255)))
	long := strings.Repeat("a", 1<<20)
	out := encode(t, long)
	require.Greater(t, len(out), 64<<10-20, "not much less than what is allowed")
	require.True(t, strings.HasSuffix(out, "aaa… (1048576 bytes)\""), out[len(out)-40:])
	require.Contains(t, encode(t, []byte(long)), "a… (1048576 bytes)\"")
	require.Contains(t, encode(t, strings.Repeat("\x00", 1<<20)), `\u0000… (1048576 bytes)"`)
	require.Contains(t, encode(t, strings.Repeat("世", 1<<20)), `世… (3145728 bytes)"`)
	require.Contains(t, encode(t, []byte(strings.Repeat("世", 1<<20))), `世… (3145728 bytes)"`)
	require.Contains(t, encode(t, json.RawMessage(`"`+long+`"`)), "a… (1048576 bytes)\"")
	require.Contains(t, encode(t, map[string]int{long: 1}), "a… (1048576 bytes)\":1}")
	require.Contains(t, encode(t, strings.Repeat("\xff", 1<<20)), `… (1048576 bytes)"`)
}

// Every length around the limit, with characters of every size at the cut.
func TestCutsAreBetweenCharacters(t *testing.T) {
	for _, unit := range []string{"a", "é", "世", "👍", "\x00", "\xff", "<a", "\U000e0041", "aé世👍\n\u202e"} {
		for _, e := range []*payload.Encoder{{MaxBytes: 256}, {MaxBytes: 257}, {MaxBytes: 258}} {
			for n := range 300 {
				s := strings.Repeat(unit, n)
				var got string
				require.NoError(t, json.Unmarshal([]byte(encodeWith(t, e, s)), &got))
				head, _, cut := strings.Cut(got, "… (")
				require.True(t, strings.HasPrefix(strings.ToValidUTF8(strings.ReplaceAll(s, "\xff", "\ufffd"), ""), head), "%q of %q", got, s)
				if cut {
					require.True(t, strings.HasSuffix(got, fmt.Sprintf("… (%d bytes)", len(s))), got)
					require.Greater(t, len(head)*6, 150, "cut too much: %q", got)
				}
				encodeWith(t, e, []byte(s))
			}
		}
	}
}

func TestLongListsAndMaps(t *testing.T) {
	e := &payload.Encoder{MaxBytes: 256}
	ints := make([]int, 1000)
	out := encodeWith(t, e, ints)
	var all []any
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Equal(t, map[string]any{"!": itoa(1000-(len(all)-1)) + " more"}, all[len(all)-1])
	require.Greater(t, len(all), 50)

	m := map[string]int{}
	for i := range 100_000 {
		m[fmt.Sprintf("%06d", i)] = i
	}
	out = encode(t, m)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, itoa(100_000-(len(got)-1))+" more", got["!"])
	clear(m)
	for i := range 2000 {
		m[fmt.Sprintf("%06d", i)] = i
	}
	out = encodeWith(t, e, m)
	require.Contains(t, out, `{"000000":0,"000001":1,`, "the first in order")
	require.Equal(t, out, encodeWith(t, e, m))

	require.NoError(t, json.Unmarshal([]byte(encodeWith(t, e, json.RawMessage(encode(t, m)))), &got))
	require.Contains(t, got, "!")
}

// A list of a million must not hide the two fields after it.
func TestFieldsAfterALongOne(t *testing.T) {
	out := encode(t, struct {
		Items []int
		Text  string
		Total int
		Note  string
	}{make([]int, 1_000_000), strings.Repeat("x", 1<<20), 7, "last"})
	require.Contains(t, out, `"Total":7,"Note":"last"}`)
	require.Contains(t, out, `… (1048576 bytes)","Total"`)
	require.Regexp(t, `9\d{5} more`, out)
}

func TestManyFields(t *testing.T) {
	var fs []reflect.StructField
	for i := range 500 {
		fs = append(fs, reflect.StructField{Name: fmt.Sprintf("Field%d", i), Type: reflect.TypeFor[int]()})
	}
	fs[0].Tag = reflect.StructTag(`json:"` + strings.Repeat("n", 1000) + `"`)
	v := reflect.New(reflect.StructOf(fs)).Elem()
	require.Contains(t, encodeValue(t, new(payload.Encoder), v), `"Field499":0}`)
	require.Equal(t, `{"!":"500 more"}`, encodeValue(t, &payload.Encoder{MaxBytes: 256}, v))
	fs[0].Tag = ""
	v = reflect.New(reflect.StructOf(fs)).Elem()
	require.Regexp(t, `^\{"Field0":0,"Field1":0,.*,"!":"4\d\d more"\}$`, encodeValue(t, &payload.Encoder{MaxBytes: 256}, v))
}

type node struct {
	Name string
	Next *node
	Kids []*node
	Any  any
}

type pointerLoop *pointerLoop

func TestCyclesAndDepth(t *testing.T) {
	n := &node{Name: "a"}
	n.Next = n
	require.Equal(t, `{"Name":"a","Next":{"!":"a cycle: inside of itself, payload_test.node"},"Kids":null,"Any":null}`, encode(t, n))
	m := map[string]any{}
	m["m"] = m
	require.Equal(t, `{"m":{"!":"a cycle: inside of itself, map[string]interface {}"}}`, encode(t, m))
	l := []any{nil}
	l[0] = l
	require.Equal(t, `[{"!":"a cycle: inside of itself, []interface {}"}]`, encode(t, l))
	l[0] = &l
	encode(t, l)
	var p pointerLoop
	p = &p
	require.Equal(t, `{"!":"pointers to pointers without end"}`, encode(t, p))
	var a any
	a = &a
	require.Equal(t, `{"!":"pointers to pointers without end"}`, encode(t, a))

	// The same thing twice is no cycle, and a struct is not its first field.
	b := &node{Name: "b"}
	require.NotContains(t, encode(t, []*node{b, b}), "cycle")
	type first struct{ In struct{ X *int } }
	require.Equal(t, `{"In":{"X":null}}`, encode(t, &first{}))

	var deep *node
	for range 1000 {
		deep = &node{Next: deep}
	}
	out := encode(t, deep)
	require.Equal(t, 32, strings.Count(out, `"Next":{"Name"`)+1)
	require.Contains(t, out, `{"!":"more than 32 levels deep"}`)
	require.Contains(t, encodeWith(t, &payload.Encoder{MaxDepth: 1000}, deep), `{"!":"more than 64 levels deep"}`)
	require.Equal(t, `[{"!":"more than 1 levels deep"}]`, encodeWith(t, &payload.Encoder{MaxDepth: 1}, [][]int{{1}}))

	// A tree of which every level is twice as wide: only what is shown is walked.
	tree := &node{Name: "leaf"}
	for range 30 {
		tree = &node{Kids: []*node{tree, tree}}
	}
	require.Contains(t, encode(t, tree), " more")
}

// At the smallest size everything there is must still fit its limits; encode checks them.
func TestEveryKindInLittleRoom(t *testing.T) { synctest.Test(t, testEveryKindInLittleRoom) }

func testEveryKindInLittleRoom(t *testing.T) {
	many := []any{}
	for _, x := range []any{
		1, -1.7976931348623157e+308, complex(-1.7976931348623157e+308, 1e-300), strings.Repeat("\x00", 99), []byte(strings.Repeat("\xff", 99)),
		strings.Repeat("a", 99), order{}, node{Kids: []*node{{}, {}}}, map[string]any{strings.Repeat("k", 99): 1}, panicsWith{""}, tellsString{""},
		json.RawMessage(`{"a":[1,2,{"b":"` + strings.Repeat("x", 99) + `"}]}`), json.Number(strings.Repeat("9", 99)), func(int, string, node) (error, bool) { return nil, false },
		time.Date(-1, 1, 1, 1, 1, 1, 123456789, time.FixedZone("", 1<<30)), time.Unix(1<<55, 1).In(time.FixedZone("", -math.MaxInt>>2)), time.Duration(math.MinInt64),
		redactedGroup{}, [9]bool{}, tagged{}, fmt.Errorf("%099d", 1), map[point]point{{1, 2}: {3, 4}}, longNumber{99},
	} {
		for pad := 0; pad < 250; pad += 3 { // and most gives the offsets between
			for _, most := range []int{256, 257, 258} {
				e := &payload.Encoder{MaxBytes: most}
				encodeWith(t, e, []any{strings.Repeat("p", pad), x, x, x})
				encodeWith(t, e, struct {
					Pad  string
					X, Y any
				}{strings.Repeat("p", pad), x, x})
				encodeWith(t, e, map[string]any{strings.Repeat("p", pad): x, "q": []any{x, map[string]any{"r": x}}})
			}
		}
		many = append(many, x)
	}
	encodeWith(t, &payload.Encoder{MaxBytes: 256}, many)
}
