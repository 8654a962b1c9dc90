package bustest

import (
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// wantGap reads one *bus.GapError, of so many events if the engine can tell.
func (f *feed) wantGap(missed uint64) {
	f.t.Helper()
	d, err := f.tryNext(patience)
	var gap *bus.GapError
	switch {
	case err == nil:
		f.t.Fatalf("%s has brought %s where %d events are missing, and no *bus.GapError", f.about, d.Event.ID, missed)
	case !errors.As(err, &gap):
		f.t.Fatalf("%s, where %d events are missing: %v is no *bus.GapError", f.about, missed, err)
	case gap.Missed != 0 && gap.Missed != missed:
		f.t.Fatalf("%s: %v, and it is one of %d events", f.about, err, missed)
	}
}

// A feed from a position that is not kept any more says so, once, and goes on with what is.
func gapReported(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	evs := some("gap", 10)
	for _, ev := range evs {
		a.publish(ev)
	}
	order, ds := a.order(caps, evs)
	s.Trim(t, 2)
	for _, c := range []*client{a, b} {
		f := c.from(bus.After(ds[2].Token)) // 3 to 7 are gone
		f.wantGap(5)
		// The token has not moved over the gap: who goes on there hears of it, too.
		c.from(bus.After(f.token())).wantGap(5)
		f.want(caps.Ordered, order[8:]...)
		more := some("more", 1)
		a.publish(more...)
		order = append(order, more...)
		f.want(caps.Ordered, more...)
	}
	// From the oldest that is kept nothing is missing.
	b.from(bus.Start).want(caps.Ordered, order[8:]...)
	b.from(bus.At(evs[0].Time.Add(-time.Hour))).want(caps.Ordered, order[8:]...)
}

// order returns the events of a stream as a feed from Start has them.
func (c *client) order(caps bus.Caps, evs []event.Event) (order []event.Event, ds []bus.Delivery) {
	c.t.Helper()
	f := c.from(bus.Start)
	defer f.close()
	if caps.Ordered {
		return evs, f.want(true, evs...)
	}
	for len(order) < len(evs) {
		d := f.next("the events in the order of the stream")
		if !contains(order, d.Event.ID) {
			order, ds = append(order, d.Event), append(ds, d)
		}
	}
	return order, ds
}

// There is no gap where the next event is the oldest that is kept, and one of one event just before that.
func noGapAtTheEdge(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	evs := some("edge", 6)
	for _, ev := range evs {
		c.publish(ev)
	}
	order, ds := c.order(caps, evs)
	s.Trim(t, 2) // 4 and 5 are kept
	for i := 3; i < 6; i++ {
		f := c.from(bus.After(ds[i].Token))
		f.want(caps.Ordered, order[i+1:]...)
		f.close()
	}
	f := c.from(bus.After(ds[2].Token))
	f.wantGap(1)
	f.want(caps.Ordered, order[4:]...)
}

// A stream that was made anew is another one: a feed on the old one ends, and its tokens open nothing.
func recreatedStreamRejected(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b, idle := s.client(t), s.client(t), s.client(t)
	caps := a.caps()
	idle.caps()
	f := b.from(bus.Now)
	untouched := b.from(bus.Now)
	old := some("old", 5)
	a.publish(old...)
	ds := f.want(caps.Ordered, old...)

	s.Recreate(t)

	// The client that was there goes on with the new stream, if need be after one word about the old one.
	fresh := newMaker("new").some(7) // more than there were: a number of the old stream is one of the new
	begun := time.Now()
	for i := 0; ; i++ {
		err := a.tryPublish(fresh...)
		if err == nil {
			break
		}
		if i == 3 {
			t.Fatalf("Publish to a stream that was made anew, for the %dth time: %v", i+1, err)
		}
	}
	for _, f := range []*feed{f, untouched} {
		f.wantEnd(bus.ErrForeignToken, old...)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Fatalf("a feed on a stream that was made anew has ended after %v; 2 to 5 seconds are right", took)
	}
	if !caps.Replay {
		return
	}
	for _, c := range []*client{a, b, idle, s.client(t)} {
		for _, d := range ds {
			c.refusesToken("a token of the stream that was removed", d.Token)
		}
		c.from(bus.Start).want(caps.Ordered, fresh...)
	}
}

// An engine without replay refuses what it cannot do, and gives out nothing that looks like a token.
func withoutReplay(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	for _, tail := range []bus.Tail{
		{From: bus.Start}, {From: bus.At(time.Now())}, {From: bus.After("v1:x:y:z")}, {From: bus.After("")}, {Past: true},
	} {
		f, err := c.tryTail(tail)
		if err == nil {
			f.close()
		}
		wantError(t, "Tail from "+tail.From.String()+" without Caps.Replay", err, bus.ErrUnsupported)
	}
	f := c.from(bus.Now)
	if p, ok := f.Feed.(bus.Positioned); ok && p.Token() != "" {
		t.Fatalf("the feed has the token %q, and the engine does not claim Replay", p.Token())
	}
	evs := some("plain", 2)
	c.publish(evs...)
	for _, d := range f.want(c.Caps().Ordered, evs...) {
		if d.Token != "" {
			t.Fatalf("%s has the token %q, and the engine does not claim Replay", d.Event.ID, d.Token)
		}
	}
}
