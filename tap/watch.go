package tap

import (
	"context"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// A watch is what a page does between two looks: it keeps the server's slow channel open, and remembers
// what it said. It begins with a look, and rests half a minute after the last one. It has no goroutine.
//
// It listens by a tap, not by a mailbox: that is on no list of subscribers, neither Sync nor Shutdown
// waits until somebody looks again, and it knows when a thing was said.
type watch struct {
	srv *earshot.Server
	observer

	mu      sync.Mutex   // guards the fields below
	tap     *earshot.Tap // nil while it rests
	since   time.Time    // of tap
	touched time.Time    // the last look
	timer   *time.Timer
	slow    map[earshot.Ref]incident
	past    []incident // newest last
	closed  bool
}

// An incident is a time during which a subscriber was slow.
type incident struct {
	earshot.Slow
	since, until time.Time // until is zero if it still is
	depth        int       // the most that waited
}

const (
	restAfter = 30 * time.Second
	mostPast  = 100
)

// touch says that somebody looks.
func (w *watch) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.tap == nil {
		t := w.srv.Tap(context.Background(), &earshot.TapOptions{Match: func(name string) bool { return name == earshot.SlowChannel }})
		if t.Err() != nil {
			return // the server has been closed: nothing is slow any more
		}
		w.tap, w.since, w.slow = t, time.Now(), map[earshot.Ref]incident{}
	}
	w.touched = time.Now()
	if w.timer == nil {
		w.timer = time.AfterFunc(restAfter, w.rest)
	} else {
		w.timer.Reset(restAfter)
	}
}

// rest ends the watch until the next look, unless there was one a moment ago.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.touched) >= restAfter {
		w.restLocked()
	}
}

func (w *watch) restLocked() {
	if w.tap != nil {
		w.tap.Close()
		w.tap, w.slow = nil, nil
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	w.forget()
}

// end is rest for good.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.restLocked()
}

// incidents returns who is slow now, of the subscriptions that there are, and who was; and since when
// somebody watches.
func (w *watch) incidents(subs []subRow) (slow, past []incident, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tap == nil {
		return nil, w.past, time.Now()
	}
	now := time.Now()
	said := make([]earshot.Heard, 32)
	for n, _ := w.tap.Take(said); n > 0; n, _ = w.tap.Take(said) {
		for _, h := range said[:n] {
			e, ok := h.Event().(earshot.Slow)
			switch {
			case !ok: // somebody else's joke
			case e.Recovered:
				w.overLocked(e.Ref, h.Time())
			default:
				w.slow[e.Ref] = incident{Slow: e, since: h.Time().Add(-e.Running), depth: e.Depth}
			}
		}
	}
	there := map[earshot.Ref]bool{}
	for _, sub := range subs {
		in, ok := w.slow[sub.Ref]
		if !ok {
			continue
		}
		there[sub.Ref] = true
		in.Depth, in.Missed, in.Running = sub.Depth, sub.Missed, now.Sub(in.since)
		in.depth = max(in.depth, sub.Depth)
		w.slow[sub.Ref] = in
		slow = append(slow, in)
	}
	for ref := range w.slow {
		if !there[ref] { // it has ended
			w.overLocked(ref, now)
		}
	}
	return slow, append([]incident(nil), w.past...), w.since
}

func (w *watch) overLocked(ref earshot.Ref, at time.Time) {
	in, ok := w.slow[ref]
	if !ok {
		return
	}
	delete(w.slow, ref)
	in.until, in.Depth = at, in.depth
	in.Running = at.Sub(in.since)
	w.past = append(w.past, in)
	if len(w.past) > mostPast {
		w.past = append([]incident(nil), w.past[len(w.past)-mostPast:]...)
	}
}
