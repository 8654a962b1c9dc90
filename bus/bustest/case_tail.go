package bustest

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A feed from Now has nothing of what was published before, and all that was published after Tail has returned.
func tailNowSeesOnlyLater(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	for round := range 20 {
		a.publish(some("before", 1+round%3)...)
		f := b.from(bus.Now)
		later := some("later", 1+round%3)
		a.publish(later...)
		f.want(caps.Ordered, later...)
		f.close()
	}
}

// A feed from Start has everything, and goes on with what is new.
func tailStart(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	empty := a.from(bus.Start)
	evs := some("start", 50)
	a.publish(evs[:20]...)
	early := b.from(bus.Start)
	a.publish(evs[20:]...)
	for _, f := range []*feed{empty, early, a.from(bus.Start), b.from(bus.Start)} {
		f.want(caps.Ordered, evs...)
	}
	more := some("more", 2)
	a.publish(more...)
	for _, f := range []*feed{empty, early} {
		f.want(caps.Ordered, more...)
	}
}

// A feed from a time has what was accepted then and later.
func tailAtTime(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	begin := time.Now()
	first := some("first", 3)
	c.publish(first...)
	pause()
	between := time.Now()
	pause()
	second := newMaker("second").some(3)
	c.publish(second...)
	c.from(bus.At(between)).want(caps.Ordered, second...)
	c.from(bus.At(begin.Add(-time.Hour))).want(caps.Ordered, append(first, second...)...)
	live := c.from(bus.At(time.Now().Add(quiet)))
	pause()
	pause()
	pause()
	third := newMaker("third").some(2)
	c.publish(third...)
	live.want(caps.Ordered, third...)
}

// pause lets time pass, where time is what is tested.
func pause() { <-time.After(quiet) }

// A feed with Past has what was there, and ends.
func pastEnds(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	evs := some("past", 10)
	a.publish(evs...)
	tokens := a.from(bus.Start).want(caps.Ordered, evs...)
	later := newMaker("later")
	for _, from := range []bus.Position{bus.Start, bus.At(evs[0].Time.Add(-time.Hour)), bus.Now} {
		f := b.tail(bus.Tail{From: from, Past: true})
		ev := later.make()
		a.publish(ev) // after Tail: none of the feed's
		var past []event.Event
		if !from.IsNow() {
			past = evs
		}
		f.want(caps.Ordered, past...)
		f.wantEnd(io.EOF, past...)
		evs = append(evs, ev)
	}
	if caps.Ordered {
		f := b.tail(bus.Tail{From: bus.After(tokens[4].Token), Past: true})
		f.want(true, evs[5:]...)
		f.wantEnd(io.EOF, evs[5:]...)
	}
	f := b.tail(bus.Tail{From: bus.Start, Past: true, Hint: []string{"nobody.has.this.name"}})
	f.wantEnd(io.EOF, evs...)
	head := b.tail(bus.Tail{From: bus.Now, Past: true})
	at := head.token()
	head.wantEnd(io.EOF)
	b.tail(bus.Tail{From: bus.After(at), Past: true}).wantEnd(io.EOF)
}

// The past of a stream in which nothing has happened is short.
func pastOfEmptyStreamEnds(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	for _, from := range []bus.Position{bus.Now, bus.Start, bus.At(time.Now().Add(-time.Hour))} {
		c.tail(bus.Tail{From: from, Past: true}).wantEnd(io.EOF)
	}
}

// What a hint asks for comes. What it does not may come too.
func hintSupersetOnly(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	names := []string{"user.added", "user.removed", "user", "user.mail.sent", "users.added", "order.paid", "order", "a.b.c.d"}
	hints := [][]string{
		nil, {}, {"user.added"}, {"user.*"}, {"user.**"}, {"*"}, {"**"}, {"*.added"}, {"*.*"}, {"*.mail.*"}, {"*.mail.**"}, {"*.**"},
		{"order", "user.mail.*"}, {"user.added", "user.*", "**"}, {"nothing", "order.paid", "order.paid"}, {"*.*.*.*"}, {"user.added."},
	}
	for i := range 40 {
		hints[14] = append(hints[14], fmt.Sprintf("one.of.many%d", i))
	}
	m := newMaker("hint")
	var evs []event.Event
	for range 3 {
		for _, name := range names {
			evs = append(evs, m.of(name))
		}
	}
	var feeds []*feed
	for _, hint := range hints {
		feeds = append(feeds, b.tail(bus.Tail{Hint: hint}))
	}
	a.publish(evs...)
	if a.Caps().Replay {
		for _, hint := range hints {
			feeds = append(feeds, b.tail(bus.Tail{Hint: hint, From: bus.Start}))
		}
		hints = append(hints, hints...)
	}
	for i, f := range feeds {
		wanted := map[string]bool{}
		for _, ev := range evs {
			if bus.Match(hints[i], ev.Type) {
				wanted[ev.ID] = true
			}
		}
		for len(wanted) > 0 {
			d := f.next("events that match its hint")
			if !contains(evs, d.Event.ID) {
				t.Fatalf("%s has brought %s, which nobody has published", f.about, d.Event.ID)
			}
			delete(wanted, d.Event.ID)
		}
		f.close()
	}
}

// Feeds do not share what comes, each has all of it.
func manyFeeds(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	var feeds []*feed
	for range 12 {
		feeds = append(feeds, a.from(bus.Now), b.from(bus.Now))
	}
	evs := some("many", 50)
	for _, ev := range evs {
		a.publish(ev)
	}
	for _, f := range feeds {
		f.want(caps.Ordered, evs...)
	}
}

// A feed that nobody reads stops neither publishers nor other feeds, and misses nothing, or says so.
func slowConsumerBackpressure(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	slow, quick := b.from(bus.Now), b.from(bus.Now)
	m := newMaker("slow")
	var evs []event.Event
	for range 40 {
		batch := m.some(50)
		for i := range batch {
			batch[i].Data = fmt.Appendf(nil, `"%01000d"`, i)
		}
		evs = append(evs, batch...)
		a.publish(batch...)
		quick.drain(evs, batch[len(batch)-1].ID)
	}
	last := evs[len(evs)-1].ID
	if caps.Replay && caps.Ordered {
		slow.want(true, evs...)
		return
	} else if caps.Replay {
		slow.want(false, evs...)
		return
	}
	got, missed := slow.drain(evs, last)
	if missed >= 0 && len(got)+missed < len(evs) {
		t.Fatalf("of %d events a slow feed has brought %d, and gaps of %d: the others are lost without a word", len(evs), len(got), missed)
	}
}
