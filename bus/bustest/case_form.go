package bustest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// travel publishes events and sees to it that they come as they went.
func travel(t testing.TB, open func(t testing.TB) Stream, evs []event.Event) {
	t.Helper()
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	f := b.from(bus.Now)
	for _, ev := range evs {
		if err := a.tryPublish(ev); err != nil {
			t.Fatalf("Publish of %s, whose type is %q and whose data is %s: %v", ev.ID, ev.Type, short(ev.Data), err)
		}
	}
	f.want(caps.Ordered, evs...)
}

// Everything that an event may hold comes as it went.
func fidelity(t testing.TB, open func(t testing.TB) Stream) {
	m := newMaker("form")
	full := m.of("order.paid")
	full.Source = "https://example.com/shops/7?lang=de#till"
	full.Subject = "order/4711 \"quoted\" <&> \u2028 ünïcödé 日本語 😀"
	full.Time = time.Date(2026, 11, 20, 23, 59, 59, 123456789, time.FixedZone("", 5*3600+1800))
	full.DataContentType = "application/json; charset=utf-8"
	full.DataSchema = "https://example.com/schemas/order.json"
	full.Extensions = map[string]any{
		"causationid": "form-0", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"yes": true, "no": false, "zero": int32(0), "least": int32(math.MinInt32), "most": int32(math.MaxInt32),
		"empty": "", "blob": []byte{0, 1, 254, 255}, "when": time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), "text": "日本語 😀 \\ \"",
	}
	bare := m.make()
	bare.Time, bare.Data = time.Time{}, nil
	evs := []event.Event{full, bare}
	for _, data := range []string{
		`null`, `true`, `false`, `0`, `-1`, `""`, `[]`, `{}`, `"text"`, `[1,[2,[3,[]]]]`,
		`9007199254740993`, `-9223372036854775808`, `18446744073709551615`, `123456789012345678901234567890`,
		`0.1`, `1e300`, `3.141592653589793238462643383279`, `{"id":9007199254740993,"in":[9007199254740993]}`,
		`{"":{"a.b":1,"$c":2,"_id":3,"_rev":"4","d\u0000e":"f\u0000g"}}`, `"😀 \ud83d\ude00 \u0000 \u2028 </script>"`,
		`{"z":1,"a":2,"specversion":"0","data":{"data":1},"id":"other"}`,
		`"` + strings.Repeat("deep ", 2000) + `"`, strings.Repeat("[", 60) + strings.Repeat("]", 60),
	} {
		ev := m.make()
		ev.Data = []byte(data)
		evs = append(evs, ev)
	}
	for contentType, data := range map[string]string{
		"text/plain":                "a\ttext,\r\nünïcödé\x00 😀",
		"text/plain; charset=utf-8": "",
		"application/xml":           "<a b=\"c\">&amp;</a>",
		"application/vnd.x+json":    `{"a":[1,2,3]}`,
		"image/png":                 "\x89PNG\r\n\x1a\n\x00\xff",
	} {
		ev := m.make()
		ev.DataContentType, ev.Data = contentType, []byte(data)
		evs = append(evs, ev)
	}
	travel(t, open, evs)
}

// Data may be any bytes.
func nonUTF8Data(t testing.TB, open func(t testing.TB) Stream) {
	m := newMaker("bytes")
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var evs []event.Event
	for _, data := range [][]byte{every, {0}, {0xff, 0xfe}, []byte("cut short: \xe6\x97"), []byte("half: \xed\xa0\x80"), []byte("\xc0\x80")} {
		for _, contentType := range []string{"application/octet-stream", "text/plain"} {
			ev := m.make()
			ev.DataContentType, ev.Data = contentType, data
			evs = append(evs, ev)
		}
	}
	travel(t, open, evs)
}

// What CloudEvents asks every intermediary to carry passes here.
func portableSize(t testing.TB, open func(t testing.TB) Stream) {
	m := newMaker("big")
	evs := []event.Event{m.ofSize(t, event.MaxPortable), m.make(), m.ofSize(t, event.MaxPortable)}
	half := m.make()
	half.DataContentType, half.Data = "application/octet-stream", make([]byte, 40<<10) // in base64 it is a third longer
	travel(t, open, append(evs, half))
}

// The names of events are any text. An engine that makes subjects or paths of them does so without mixing them up.
func oddNames(t testing.TB, open func(t testing.TB) Stream) {
	m := newMaker("name")
	var evs []event.Event
	for _, name := range []string{
		"a", "a.b", "a.*", "a.>", "a.**", "*", ">", "**", "a..b", ".a", "a.", ".", "a b", "a/b?c#d", "a\\b", "a:b", "a'b\"c", "a%2e", "$a.$b",
		"_a", "ünïcödé", "日本語.😀", "A.B", strings.Repeat("long.", 40) + "name",
	} {
		evs = append(evs, m.of(name))
	}
	travel(t, open, evs)

	// Each of them is to be had by its own name, where that is no pattern.
	s := open(t)
	c := s.client(t)
	feeds := map[string]*feed{}
	for _, ev := range evs {
		if !strings.Contains(ev.Type, "*") {
			feeds[ev.Type] = c.tail(bus.Tail{Hint: []string{ev.Type}})
		}
	}
	c.publish(evs...)
	for _, ev := range evs {
		if f := feeds[ev.Type]; f != nil {
			f.drain(evs, ev.ID)
		}
	}
}
