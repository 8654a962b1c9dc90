package filter_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type cheap struct {
	Amount int64 `json:"amount"`
	Total  float64
	Name   string
	Took   time.Duration
	At     time.Time
	Paid   bool
	Who    *struct{ Name string }
	Any    any
	Lines  []struct{ N uint64 }
	Err    error
	Data   []byte
	Nested struct{ A, B struct{ C int } }
}

// What a filter looks at for each event must not make work for the garbage collector.
func TestNoAllocations(t *testing.T) {
	e := &cheap{Amount: 150, Total: 1.5, Name: "a name", Took: time.Second, At: time.Now(), Who: &struct{ Name string }{"ann"},
		Any: 5, Lines: make([]struct{ N uint64 }, 3), Data: []byte("data")}
	for _, text := range []string{
		"amount>100", "amount=151", "amount!=1.5", "amount>1e30", "AMOUNT>100", "missing=1", "total>1.4", "name=x", `name!="a name"`, "took>20ms",
		"at>2026-01-01", "paid=false", "who.name=ann", "any=5", "lines.2.n=0", "err=null", "data=data", "nested.b.c=0", "-amount>200 took>1ms total<2",
		"name~^x", "type:cheap", "type:filter_test.*", "-type:Other amount>1", "nothing", `"a name"`, "/nothing/", "err", "-err -x",
	} {
		f := parse(t, text)
		for what, v := range map[string]reflect.Value{"pointer": reflect.ValueOf(e), "value": reflect.ValueOf(*e), "field": reflect.ValueOf(&struct{ E cheap }{*e}).Elem().Field(0)} {
			f.Match(v)
			require.Zero(t, testing.AllocsPerRun(50, func() { f.Match(v) }), "%s on a %s", text, what)
		}
	}
	f := parse(t, "chan:orders.* chan:**.x.* -chan:*.y")
	require.Zero(t, testing.AllocsPerRun(50, func() { f.ChannelText("a.b.c.x.d") }))
	require.Zero(t, testing.AllocsPerRun(50, func() { f.ChannelText("orders.y") }))
}

func BenchmarkMatch(b *testing.B) {
	e := reflect.ValueOf(&cheap{Amount: 150, Name: "a name", Who: &struct{ Name string }{"ann"}})
	m := reflect.ValueOf(map[string]any{"amount": 150, "who": map[string]any{"name": "ann"}})
	for _, text := range []string{"amount>100", "who.name=bob", "took>20ms", "name~^x", "nothing", "err"} {
		f := parse(b, text)
		b.Run(text+"/struct", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(e)
			}
		})
		b.Run(text+"/map", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(m)
			}
		})
	}
}
