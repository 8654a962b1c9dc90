package bustest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A feed is a bus.Feed in the hands of a test.
type feed struct {
	t testing.TB
	bus.Feed
	about string
	last  string // the ID of the event that came last
}

func (f *feed) close() {
	f.t.Helper()
	if _, err := bounded(f.t, patience, "Close of "+f.about, func(context.Context) (struct{}, error) { return struct{}{}, f.Feed.Close() }); err != nil {
		f.t.Errorf("Close of %s: %v", f.about, err)
	}
}

// tryNext waits for d at most.
func (f *feed) tryNext(d time.Duration) (bus.Delivery, error) {
	f.t.Helper()
	got, err := bounded(f.t, d, "Next of "+f.about, f.Next)
	if err == nil {
		f.last = got.Event.ID
	}
	return got, err
}

// next returns the next delivery, and one has to come.
func (f *feed) next(what string) bus.Delivery {
	f.t.Helper()
	d, err := f.tryNext(patience)
	if err != nil {
		f.t.Fatalf("waiting for %s on %s%s: %s", what, f.about, f.where(), inVain(err))
	}
	return d
}

// inVain is the error of a Next that waited for something, for as long as the test does.
func inVain(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing within %v", patience)
	}
	return err.Error()
}

func (f *feed) where() string {
	if f.last == "" {
		return ", which has had nothing"
	}
	return ", which had " + f.last + " last"
}

// want reads until all of these events have come, and returns their deliveries in the order of evs. They may come
// more than once, but nothing else may; in their order, if ordered.
func (f *feed) want(ordered bool, evs ...event.Event) []bus.Delivery {
	f.t.Helper()
	got := make([]bus.Delivery, len(evs))
	have := make([]bool, len(evs))
	at := map[string]int{}
	for i, ev := range evs {
		at[ev.ID] = i
	}
	for missing := len(evs); missing > 0; {
		d := f.next(firstMissing(evs, have))
		i, known := at[d.Event.ID]
		switch {
		case !known:
			f.t.Fatalf("%s has brought %s, which is none of the %d that are expected: %s", f.about, d.Event.ID, len(evs), list(evs))
		case have[i]:
			sameEvent(f.t, evs[i], d.Event)
			continue
		case ordered && i > 0 && !have[i-1]:
			f.t.Fatalf("%s has brought %s before %s", f.about, d.Event.ID, evs[i-1].ID)
		}
		sameEvent(f.t, evs[i], d.Event)
		got[i], have[i] = d, true
		missing--
	}
	return got
}

// wantEOF reads to the end of a feed with Past. Nothing but further copies of these events may come before.
func (f *feed) wantEnd(end error, evs ...event.Event) {
	f.t.Helper()
	for {
		d, err := f.tryNext(patience)
		switch {
		case err != nil && errors.Is(err, end):
			return
		case err != nil:
			f.t.Fatalf("%s has ended with %v, not %v", f.about, err, end)
		case !contains(evs, d.Event.ID):
			f.t.Fatalf("%s has brought %s in place of its end, %v", f.about, d.Event.ID, end)
		}
	}
}

// nothing sees to it that the feed brings nothing for a while but further copies of evs. The feed is of no more use
// then.
func (f *feed) nothing(evs ...event.Event) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), quiet)
	defer cancel()
	for {
		d, err := bounded(f.t, patience, "Next of "+f.about, func(context.Context) (bus.Delivery, error) { return f.Next(ctx) })
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			f.t.Fatalf("%s, on which nothing happens: %v", f.about, err)
		}
		if !contains(evs, d.Event.ID) {
			f.t.Fatalf("%s has brought %s, which is none of its events", f.about, d.Event.ID)
		}
	}
}

// drain reads until an event has come. Of the others, which are all that may come, any may be missing; gaps may be
// reported, and are counted: missed is -1 if the engine could not tell how large one was.
func (f *feed) drain(evs []event.Event, last string) (got []string, missed int) {
	f.t.Helper()
	known := make(map[string]event.Event, len(evs))
	for _, ev := range evs {
		known[ev.ID] = ev
	}
	for {
		d, err := f.tryNext(patience)
		var gap *bus.GapError
		switch {
		case errors.As(err, &gap):
			if gap.Missed == 0 || missed < 0 {
				missed = -1
			} else {
				missed += int(gap.Missed)
			}
			continue
		case err != nil:
			f.t.Fatalf("waiting for %s on %s%s: %s", last, f.about, f.where(), inVain(err))
		}
		ev, ok := known[d.Event.ID]
		if !ok {
			f.t.Fatalf("%s has brought %s, which is none of the %d that are expected: %s", f.about, d.Event.ID, len(evs), list(evs))
		}
		sameEvent(f.t, ev, d.Event)
		if got = append(got, ev.ID); ev.ID == last {
			return got, missed
		}
	}
}

// token returns the position at which the feed stands.
func (f *feed) token() bus.Token {
	f.t.Helper()
	p, ok := f.Feed.(bus.Positioned)
	if !ok {
		f.t.Fatalf("%s is a %T and no bus.Positioned, and the engine claims Replay", f.about, f.Feed)
	}
	token := p.Token()
	if token == "" {
		f.t.Fatalf("%s: Token is empty, and the engine claims Replay", f.about)
	}
	return token
}
