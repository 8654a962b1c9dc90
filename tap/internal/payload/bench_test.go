package payload_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/earshot-go/earshot/tap/internal/payload"
)

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name string
		x    any
	}{
		{"struct", &order{1 << 40, "tea", 2.5, true, ""}},
		{"map", map[string]any{"id": 1, "item": "tea", "lines": []any{1, 2, 3}}},
		{"error", struct{ Err error }{errors.New("no tea")}},
		{"method", struct{ S status }{1}},
	} {
		b.Run(c.name+"/payload", func(b *testing.B) {
			b.ReportAllocs()
			e, v := new(payload.Encoder), reflect.ValueOf(c.x)
			var dst []byte
			for b.Loop() {
				dst = e.Append(dst[:0], v)
			}
		})
		b.Run(c.name+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := json.Marshal(c.x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
