package bustest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"mime"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
)

// A maker makes the events of one publisher: "shy-1", "shy-2", …
type maker struct {
	name string
	n    int
}

// newMaker returns a maker whose events nobody else has had.
func newMaker(name string) *maker { return &maker{name: name + "-" + rand.Text()[:6]} }

// make returns an event of the type "bustest.tick".
func (m *maker) make() event.Event { return m.of("bustest.tick") }

func (m *maker) of(name string) event.Event {
	m.n++
	return event.Event{
		ID:     fmt.Sprintf("%s-%d", m.name, m.n),
		Source: "/bustest/" + m.name,
		Type:   name,
		Time:   time.Now().UTC(),
		Data:   fmt.Appendf(nil, `{"n":%d}`, m.n),
	}
}

// some returns n events.
func (m *maker) some(n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = m.make()
	}
	return evs
}

// some returns n events of a publisher of their own.
func some(name string, n int) []event.Event { return newMaker(name).some(n) }

// size is the length of an event as Caps.MaxBytes counts it.
func size(t testing.TB, ev event.Event) int {
	t.Helper()
	text, err := ev.AppendJSON(nil)
	if err != nil {
		t.Fatalf("event %s: %v", ev.ID, err)
	}
	return len(text)
}

// ofSize returns an event of n bytes of JSON.
func (m *maker) ofSize(t testing.TB, n int) event.Event {
	t.Helper()
	ev := m.make()
	ev.Data = []byte(`""`)
	pad := n - size(t, ev)
	if pad < 0 {
		t.Fatalf("an event cannot be as small as %d bytes", n)
	}
	ev.Data = []byte(`"` + strings.Repeat("x", pad) + `"`)
	if got := size(t, ev); got != n {
		t.Fatalf("an event of %d bytes has %d", n, got)
	}
	return ev
}

// sameEvent fails the test if an event has not come as it went.
func sameEvent(t testing.TB, want, got event.Event) {
	t.Helper()
	if diff := difference(want, got); diff != "" {
		t.Fatalf("event %s has come changed: %s", want.ID, diff)
	}
}

// difference tells in what got is not want, or returns "". An engine may write JSON in another way, if it has the same
// meaning.
func difference(want, got event.Event) string {
	for _, f := range []struct {
		name      string
		want, got string
	}{
		{"ID", want.ID, got.ID},
		{"Source", want.Source, got.Source},
		{"Type", want.Type, got.Type},
		{"Subject", want.Subject, got.Subject},
		{"DataSchema", want.DataSchema, got.DataSchema},
		{"DataContentType", contentType(want), contentType(got)},
	} {
		if f.want != f.got {
			return fmt.Sprintf("%s is %q and was %q", f.name, f.got, f.want)
		}
	}
	if !want.Time.Equal(got.Time) {
		return fmt.Sprintf("Time is %v and was %v", got.Time, want.Time)
	}
	if w, g := extensions(want), extensions(got); !reflect.DeepEqual(w, g) {
		return fmt.Sprintf("Extensions are %v and were %v", g, w)
	}
	if (len(want.Data) == 0) != (len(got.Data) == 0) || !sameData(contentType(want), want.Data, got.Data) {
		return fmt.Sprintf("Data is %s and was %s", short(got.Data), short(want.Data))
	}
	return ""
}

func contentType(ev event.Event) string {
	if ev.DataContentType == "" {
		return "application/json"
	}
	return ev.DataContentType
}

// extensions are those of an event as they look after a journey in JSON, which has no bytes and no times.
func extensions(ev event.Event) map[string]any {
	there := event.Event{ID: "1", Source: "/", Type: "t", Extensions: ev.Extensions}
	text, err := there.AppendJSON(nil)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	var back event.Event
	if err := back.UnmarshalJSON(text); err != nil {
		return map[string]any{"error": err.Error()}
	}
	if back.Extensions == nil {
		return map[string]any{}
	}
	return back.Extensions
}

func sameData(contentType string, want, got []byte) bool {
	if bytes.Equal(want, got) {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return false
	}
	w, errW := decoded(want)
	g, errG := decoded(got)
	return errW == nil && errG == nil && sameJSON(w, g)
}

func decoded(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// sameJSON compares values, numbers by what they are worth to the last digit.
func sameJSON(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for key, value := range w {
			other, ok := g[key]
			if !ok || !sameJSON(value, other) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !sameJSON(w[i], g[i]) {
				return false
			}
		}
		return true
	case json.Number:
		g, ok := got.(json.Number)
		if !ok {
			return false
		}
		a, okA := new(big.Rat).SetString(w.String())
		b, okB := new(big.Rat).SetString(g.String())
		return okA && okB && a.Cmp(b) == 0
	}
	return want == got
}

func short(data []byte) string {
	switch {
	case data == nil:
		return "nil"
	case len(data) > 80:
		return fmt.Sprintf("%.80q… of %d bytes", data, len(data))
	}
	return fmt.Sprintf("%q", data)
}
