package bustest

import (
	"strings"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// Caps can be asked at any time, and tells the same to everybody.
func caps(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	early, late := a.Caps(), a.caps()
	switch {
	case late.Engine == "" || strings.Contains(late.Engine, ":"):
		t.Fatalf("Caps.Engine is %q: it has to be a name without a colon", late.Engine)
	case late.MaxBytes < 0:
		t.Fatalf("Caps.MaxBytes is %d", late.MaxBytes)
	case early.Engine != late.Engine:
		t.Fatalf("Caps.Engine was %q at first and is %q now", early.Engine, late.Engine)
	case early.Durable && !late.Durable, early.Replay && !late.Replay, early.Ordered && !late.Ordered,
		early.Dedupe && !late.Dedupe, early.MultiProcess && !late.MultiProcess:
		t.Fatalf("Caps before the first call, %+v, promise more than after it, %+v", early, late)
	}
	if other := b.caps(); other != late {
		t.Fatalf("two clients of one stream claim %+v and %+v", late, other)
	}
	f := a.from(bus.Now)
	ev := some("caps", 1)
	a.publish(ev...)
	d := f.want(late.Ordered, ev...)[0]
	if prefix := "v1:" + late.Engine + ":"; late.Replay && !strings.HasPrefix(string(d.Token), prefix) {
		t.Fatalf("the token %q does not begin with %q", d.Token, prefix)
	}
	if now := a.Caps(); now != late {
		t.Fatalf("Caps were %+v and are %+v", late, now)
	}
}

// Publish without events says yes, and nothing comes of it.
func publishNothing(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	for range 3 {
		if err := c.tryPublish(); err != nil {
			t.Fatalf("Publish of no events: %v", err)
		}
	}
	f := c.from(bus.Now)
	c.publish()
	f.nothing()
}

// What is published comes, on this client and on others, with a token if there is replay.
func publishThenTail(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	first := some("one", 3)
	feeds := []*feed{a.from(bus.Now), b.from(bus.Now)}
	a.publish(first[0])
	a.publish(first[1:]...)
	if caps.Replay {
		feeds = append(feeds, a.from(bus.Start), b.from(bus.Start))
	}
	second := some("two", 2)
	b.publish(second...)
	for _, f := range feeds {
		for _, d := range f.want(caps.Ordered, append(first, second...)...) {
			if caps.Replay != (d.Token != "") {
				t.Fatalf("%s: the token of %s is %q, and Caps.Replay is %v", f.about, d.Event.ID, d.Token, caps.Replay)
			}
		}
	}
}

// An event that is not valid keeps its whole batch back.
func invalidEventRefused(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	m := newMaker("valid")
	for _, spoil := range []func(*event.Event){
		func(ev *event.Event) { ev.ID = "" },
		func(ev *event.Event) { ev.Source = "" },
		func(ev *event.Event) { ev.Type = "" },
		func(ev *event.Event) { ev.Extensions = map[string]any{"Not A Name": "x"} },
	} {
		batch := m.some(3)
		spoil(&batch[1])
		if err := c.tryPublish(batch...); err == nil {
			t.Fatalf("an event that is not valid was published: %+v", batch[1])
		} else if refused(err) {
			t.Fatalf("an event that is not valid: %v, which is no word about the event", err)
		}
	}
	after := some("after", 1)
	c.publish(after...)
	f.want(caps.Ordered, after...)
	f.nothing(after...)
}

// refused reports whether an error speaks of the engine and not of an event.
func refused(err error) bool {
	return isAny(err, bus.ErrDisconnected, bus.ErrDenied, bus.ErrTooLarge, bus.ErrUnsupported, bus.ErrClosed)
}

// MaxBytes bytes pass, and one more keeps the whole batch back.
func maxBytes(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	m := newMaker("size")
	over := m.ofSize(t, caps.MaxBytes+1)
	for _, batch := range [][]event.Event{{over}, {m.make(), over}, {over, m.make()}} {
		wantError(t, "Publish of one byte more than Caps.MaxBytes", c.tryPublish(batch...), bus.ErrTooLarge)
	}
	exact := m.ofSize(t, caps.MaxBytes)
	c.publish(exact)
	f.want(caps.Ordered, exact)
	f.nothing(exact)
}

// A batch may be long.
func largeBatch(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	batch := some("batch", 2000)
	published := c.publishing(batch...) // beside the reading: without replay a feed holds only so much
	if caps.Replay {
		f.want(caps.Ordered, batch...)
	} else {
		f.drain(batch, batch[len(batch)-1].ID)
	}
	published()
}

// An event that is published again is the same event: kept once, if the engine claims so, or coming as a copy.
func duplicateCarriesSameID(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	f := a.from(bus.Now)
	evs := some("twice", 3)
	a.publish(evs[0], evs[0])
	a.publish(evs[1])
	a.publish(evs[1])
	a.publish(evs[2])
	b.publish(evs...)
	last := some("last", 1)
	b.publish(last...)
	all, copies := append(evs, last...), map[string]int{}
	for copies[last[0].ID] == 0 || len(copies) < len(all) {
		d := f.next("the copies")
		for _, ev := range all {
			if ev.ID == d.Event.ID {
				sameEvent(t, ev, d.Event)
			}
		}
		if copies[d.Event.ID]++; !contains(all, d.Event.ID) {
			t.Fatalf("%s has brought %s, which nobody has published", f.about, d.Event.ID)
		}
		if caps.Dedupe && copies[d.Event.ID] > 1 {
			t.Fatalf("the engine claims Dedupe and has kept %s twice", d.Event.ID)
		}
	}
	if caps.Dedupe {
		f.nothing()
	}
}

// A client hears itself, and not with two ears.
func selfEchoOnce(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	evs := some("echo", 20)
	for _, ev := range evs {
		c.publish(ev)
	}
	f.want(caps.Ordered, evs...)
	f.nothing()
}
