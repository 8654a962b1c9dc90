package earshottest

import (
	"fmt"
	"reflect"
	"strings"
)

// A report is what an expectation has come to, for the text of its failure.
type report[T any] struct {
	w     *Watcher[T]
	call  string
	wants []want
	notes map[int]string // what a function said about an event that did not meet it
	from  int            // the first event that the call could see
}

func (w *Watcher[T]) report(call string, given []any) *report[T] {
	w.t.Helper()
	w.mu.Lock()
	r := &report[T]{w: w, call: call, notes: map[int]string{}, from: w.next}
	w.mu.Unlock()
	for i, g := range given {
		parsed, err := parse(g, reflect.TypeFor[T]())
		if err != nil {
			w.t.Fatalf("earshottest: %s: want[%d] %v", call, i, err)
		}
		r.wants = append(r.wants, parsed)
	}
	return r
}

// meets asks whether event i meets want n, and notes what comes of it.
func (r *report[T]) meets(n, i int, e event) bool {
	ok, err := r.wants[n].meet(e)
	if ok {
		r.wants[n].by = i
	} else if err != nil {
		r.notes[i] = fmt.Sprintf("want[%d]: %v", n, err)
	}
	return ok
}

// fail ends the test with what was expected and what was received.
func (r *report[T]) fail(why string) {
	r.w.t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "earshottest: %s on %s: %s", r.call, r.w.what, why)
	for n, want := range r.wants {
		fmt.Fprintf(&text, "\n  want[%d]  %s", n, want.text)
		if want.by >= 0 {
			fmt.Fprintf(&text, "  <- event %d", want.by)
		}
	}
	r.w.mu.Lock()
	events := r.w.events
	r.w.mu.Unlock()
	if r.from > 0 {
		fmt.Fprintf(&text, "\n  (%d events went to earlier expectations)", r.from)
	}
	if len(events) == r.from {
		text.WriteString("\n  received nothing")
	}
	for i := r.from; i < len(events); i++ {
		if i == r.from+most {
			fmt.Fprintf(&text, "\n  … and %d more", len(events)-i)
			break
		}
		e := events[i]
		fmt.Fprintf(&text, "\n  event %d  %s", i, show(e.value))
		if strings.HasPrefix(r.w.what, "pattern") {
			fmt.Fprintf(&text, " on channel %#v", e.channel)
		}
		if !e.fits {
			fmt.Fprintf(&text, "  (not a %v)", reflect.TypeFor[T]())
		}
		if note := r.notes[i]; note != "" {
			fmt.Fprintf(&text, "  (%s)", note)
		}
	}
	r.w.t.Fatalf("%s", text.String())
}

// most is how many events a failure lists.
const most = 50
