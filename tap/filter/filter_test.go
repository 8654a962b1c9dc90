package filter_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/filter"
)

func parse(t testing.TB, text string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(text)
	require.NoError(t, err)
	return f
}

func matches(t testing.TB, text string, event any) bool {
	t.Helper()
	return parse(t, text).Match(reflect.ValueOf(event))
}

func TestRateAndSample(t *testing.T) {
	f := parse(t, "rate:7/m 3/10")
	n, per, ok := f.Rate()
	require.Equal(t, []any{7, time.Minute, true}, []any{n, per, ok})
	keep, of, ok := f.Sample()
	require.Equal(t, []any{3, 10, true}, []any{keep, of, ok})

	f = parse(t, "rate:1/h")
	_, per, _ = f.Rate()
	require.Equal(t, time.Hour, per)
	_, _, ok = f.Sample()
	require.False(t, ok)
	_, _, ok = parse(t, "").Rate()
	require.False(t, ok)
}

type userID int

type named struct{ a, b string }

type loud string

func (l loud) String() string { return "loud." + strings.ToUpper(string(l)) }

type broken struct{}

func (broken) String() string { panic("no name") }

func TestChannelNamesThatAreNoStrings(t *testing.T) {
	require.True(t, parse(t, "chan:42").Channel(42))
	require.True(t, parse(t, "chan:4*").Channel(userID(42)))
	require.False(t, parse(t, "chan:42").Channel(43))
	require.True(t, parse(t, `chan:"{x y}"`).Channel(named{"x", "y"}))
	require.True(t, parse(t, "chan:x").Channel(loud("x")), "no method of a name is called")
	require.True(t, parse(t, "").Channel(42))
	require.NotPanics(t, func() { parse(t, "").Channel(broken{}) })
	require.NotPanics(t, func() { parse(t, "").Channel(nil) })
}

func TestZeroFilter(t *testing.T) {
	var f filter.Filter
	require.True(t, f.Channel("x"))
	require.False(t, f.Channel("earshot.slow"))
	require.True(t, f.Type(nil))
	require.True(t, f.Match(reflect.Value{}))
	require.Equal(t, "", f.String())
}

func TestChannelKey(t *testing.T) {
	key := parse(t, `chan:a chan:b.* -chan:c amount>1`).ChannelKey()
	require.Equal(t, key, parse(t, `text -chan:"c" chan:"b.*" chan:a chan:a`).ChannelKey())
	require.NotEqual(t, key, parse(t, `chan:a chan:b.*`).ChannelKey())
	require.NotEqual(t, parse(t, "chan:a").ChannelKey(), parse(t, "-chan:a").ChannelKey())
	// A name with blanks is not two names.
	require.NotEqual(t, parse(t, `chan:"a chan:b"`).ChannelKey(), parse(t, "chan:a chan:b").ChannelKey())
	require.Equal(t, "", parse(t, "amount>1").ChannelKey())
}

func TestLooksInside(t *testing.T) {
	for _, text := range []string{"", "chan:a -chan:b", "type:A -type:B", "rate:5 1/10"} {
		require.False(t, parse(t, text).LooksInside(), "%s", text)
	}
	for _, text := range []string{"a=1", "-a~x", "text", `"t"`, "/re/", "err", "-err", "chan:a x"} {
		require.True(t, parse(t, text).LooksInside(), "%s", text)
	}
}

type Box[T any] struct{ V T }

type self *self

func TestTypes(t *testing.T) {
	type local struct{}
	for _, c := range []struct {
		filter string
		event  any
		want   bool
	}{
		{"type:Box", Box[int]{}, true},
		{"type:Box", &Box[Box[string]]{}, true},
		{"type:Box[int]", Box[int]{}, true},
		{"type:Box[int]", Box[string]{}, false},
		{"type:filter_test.Box", Box[int]{}, true},
		{"type:filter_test.Box[*]", Box[named]{}, true},
		{"type:other.Box", Box[int]{}, false},
		{"type:local", local{}, true},
		{"type:int", 1, true},
		{"type:int", new(int), true},
		{"type:int64", 1, false},
		{"type:[]int", []int{}, true},
		{`type:"struct { A int }"`, struct{ A int }{}, true},
		{"type:time.Time", time.Time{}, true},
		{"type:Time", time.Time{}, true},
		{"type:self", self(nil), true},
		{"type:nil", nil, true},
		{"type:int", nil, false},
		{"-type:int", nil, true},
		{"-type:nil", nil, false},
		{"type:nil", 1, false},
	} {
		assert.Equal(t, c.want, matches(t, c.filter, c.event), "%s %T", c.filter, c.event)
		assert.Equal(t, c.want, parse(t, c.filter).Type(reflect.TypeOf(c.event)), "%s %T", c.filter, c.event)
	}
	// An event's type is that of its value, also in an interface.
	var v any = Box[int]{}
	require.True(t, parse(t, "type:Box").Match(reflect.ValueOf(&v).Elem()))
}

func TestQuote(t *testing.T) {
	for _, name := range []string{"orders.paid", "", "a b", `a"b`, "a..b", "tab\t", "\xff", "日本", "-x", "a**", "\u202eevil", "earshot.slow"} {
		f := parse(t, "chan:"+filter.Quote(name))
		require.True(t, f.Channel(name), "%q %s", name, f)
		require.Equal(t, strings.Contains(name, "*"), f.Channel(name+"x"), "%q", name)
	}
	require.Equal(t, "orders.paid", filter.Quote("orders.paid"))
}

func TestLimits(t *testing.T) {
	_, err := filter.Parse(strings.Repeat("x", filter.MaxBytes+1))
	var e *filter.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, []int{filter.MaxBytes, 1}, []int{e.Pos, e.Len})
	parse(t, strings.Repeat("x", filter.MaxBytes))

	parse(t, strings.Repeat("x ", filter.MaxTerms))
	_, err = filter.Parse(strings.Repeat("x ", filter.MaxTerms+1))
	require.ErrorAs(t, err, &e)
	require.Equal(t, 2*filter.MaxTerms, e.Pos)

	_, err = filter.Parse(strings.Repeat("a.", 32) + "b=1")
	require.ErrorContains(t, err, "more than 32 parts")
	parse(t, strings.Repeat("a.", 31)+"b=1")

	// Escapes make the canonical form longer, and that has to parse too.
	_, err = filter.Parse(`"` + strings.Repeat("\u00a0", 1000) + `"`)
	require.ErrorContains(t, err, "with its escapes")

	half := "a~(x{50}){9} "
	parse(t, half+half)
	_, err = filter.Parse(half + half + half)
	require.ErrorContains(t, err, "too large together")
}

// All 64 terms can be of the kinds that share one walk.
func TestManySearches(t *testing.T) {
	words := make([]string, filter.MaxTerms)
	for i := range words {
		words[i] = fmt.Sprintf("w%dw", i)
	}
	text := strings.Join(words, " ")
	require.True(t, matches(t, text, words))
	for i := range words {
		some := append([]string(nil), words...)
		some[i] = "other"
		require.False(t, matches(t, text, some))
	}
	require.False(t, matches(t, "-"+strings.Join(words, " -"), words[63:]))
	require.True(t, matches(t, "-"+strings.Join(words, " -"), "none"))
}

// Many types through one filter, from many goroutines: what is remembered is bounded and shared.
func TestFromManyGoroutines(t *testing.T) {
	f := parse(t, "a.b>1 x -err type:struct*")
	var events []any
	for i := range 40 {
		inner := reflect.StructOf([]reflect.StructField{
			{Name: fmt.Sprintf("X%d", i), Type: reflect.TypeFor[int]()},
			{Name: "B", Type: reflect.TypeFor[int64](), Tag: `json:"b"`},
			{Name: "S", Type: reflect.TypeFor[string]()},
		})
		outer := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "A", Type: inner, Tag: `json:"a"`}})).Elem()
		outer.Field(0).Field(1).SetInt(int64(i))
		outer.Field(0).Field(2).SetString("xyz")
		events = append(events, outer.Interface())
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for i, e := range events {
					assert.Equal(t, i > 1, f.Match(reflect.ValueOf(e)))
				}
			}
		})
	}
	wg.Wait()
}
