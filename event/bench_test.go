package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
)

// flat is an event as encoding/json takes it, for comparison. It checks nothing.
type flat struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	CausationID     string          `json:"causationid,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

const order = `{"order":4711,"who":"ann@example.org","paid":true,"lines":[{"sku":"a-1","n":2,"price":"12.50"},{"sku":"b-7","n":1,"price":"3.99"}]}`

func sample(data string) event.Event {
	return event.Event{
		ID:      event.NewID(),
		Source:  "/shop/7c21",
		Type:    "order.paid",
		Subject: "order-4711",
		Time:    time.Date(2026, 11, 20, 12, 30, 15, 123456789, time.UTC),
		Data:    []byte(data),
		Extensions: map[string]any{
			event.CausationID: "03evkexhg8gv0hks0000000001",
			event.TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		},
	}
}

func flatten(e event.Event) flat {
	return flat{"1.0", e.ID, e.Source, e.Type, e.Subject, e.Time, e.DataContentType,
		e.Extension(event.CausationID), e.Extension(event.TraceParent), e.Data}
}

var samples = []struct{ name, data string }{
	{"data=none", ""},
	{"data=132B", order},
	{"data=8KB", "[" + strings.Repeat(order+",", 60) + order + "]"},
}

func BenchmarkWrite(b *testing.B) {
	for _, s := range samples {
		e := sample(s.data)
		f := flatten(e)
		size := func(b *testing.B, text []byte, err error) {
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
		}
		b.Run("AppendJSON/"+s.name, func(b *testing.B) {
			buf, err := e.AppendJSON(nil)
			size(b, buf, err)
			for b.Loop() {
				buf, _ = e.AppendJSON(buf[:0])
			}
		})
		b.Run("MarshalJSON/"+s.name, func(b *testing.B) {
			text, err := e.MarshalJSON()
			size(b, text, err)
			for b.Loop() {
				_, _ = e.MarshalJSON()
			}
		})
		b.Run("json.Marshal/"+s.name, func(b *testing.B) {
			text, err := json.Marshal(&f)
			size(b, text, err)
			for b.Loop() {
				_, _ = json.Marshal(&f)
			}
		})
		b.Run("json.Encoder/"+s.name, func(b *testing.B) {
			text, err := json.Marshal(&f)
			size(b, text, err)
			var buf bytes.Buffer
			enc := json.NewEncoder(&buf)
			enc.SetEscapeHTML(false)
			for b.Loop() {
				buf.Reset()
				_ = enc.Encode(&f)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, s := range samples {
		text, err := sample(s.data).AppendJSON(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("UnmarshalJSON/"+s.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var e event.Event
				if err := e.UnmarshalJSON(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("json.Unmarshal/"+s.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var f flat
				if err := json.Unmarshal(text, &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	e := sample(order)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = event.NewID()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				_ = event.NewID()
			}
		})
	})
}
