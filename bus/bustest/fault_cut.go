package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A bus may be opened before its server is there, and connects to nothing until it is used.
func absentThenPresent(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.Caps()
	if _, opened := w.Conns(); opened != 0 {
		t.Fatalf("Open, or Caps, has made %d connections", opened)
	}
	w.Cut()
	begun := time.Now()
	w.c.Caps()
	if took := time.Since(begun); took > time.Second {
		t.Fatalf("Caps has taken %v without a server", took)
	}
	for range 2 {
		disconnected(t, "Publish of nothing without a server", publishLimit, func() error { return w.c.tryPublish() })
		disconnected(t, "Publish without a server", publishLimit, func() error { return w.c.tryPublish(some("absent", 2)...) })
		disconnected(t, "Tail without a server", publishLimit, w.c.tailFails)
	}
	w.Mend()
	w.c.back("after the server has come")
	f := w.c.from(bus.Now)
	evs := some("present", 3)
	w.c.publish(evs...)
	f.want(w.caps.Ordered, evs...)
}

// A feed on which nothing happens notices that its wire was cut. Nothing reconnects by itself, and nothing is left
// after Close.
func cutWhileIdle(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.publish()
	idle, f := w.c.from(bus.Now), w.feed()
	w.Cut()
	disconnected(t, "Next of a feed whose wire was cut", nextLimit, func() error { _, err := f.ends(nil); return err })
	disconnected(t, "Next of another feed whose wire was cut", nextLimit, func() error { return nextCall("", idle.Feed).bounded(t) })
	disconnected(t, "Publish on a wire that was cut", publishLimit, func() error { return w.c.tryPublish(some("cut", 1)...) })
	disconnected(t, "Tail on a wire that was cut", publishLimit, w.c.tailFails)
	f.close()
	idle.close()

	w.Mend()
	_, before := w.Conns()
	pause()
	pause()
	if _, after := w.Conns(); after != before {
		t.Fatalf("the engine has made %d connections though nobody has called it: the layer above says when to try again", after-before)
	}
	w.c.back("after the wire was mended")
	f = w.c.from(bus.Now)
	evs := some("mended", 3)
	w.c.publish(evs...)
	f.want(w.caps.Ordered, evs...)
	if err := w.c.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for end := time.Now().Add(patience / 2); ; <-time.After(10 * time.Millisecond) {
		left, _ := w.Conns()
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are left after Close", left)
		}
	}
}

// What happens while a wire is cut is there for the feed that goes on where the last one stopped.
func noLossAcrossCut(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	m := newMaker("cut")
	f := w.c.from(bus.Now)
	all, came := m.some(0), map[string]bool{}
	at := f.token()
	read := func(ds []bus.Delivery) {
		for _, d := range ds {
			came[d.Event.ID], at = true, d.Token
		}
	}
	publish := func(n int) {
		evs := m.some(n)
		w.direct.publish(evs...)
		all = append(all, evs...)
	}
	for round := range 6 {
		publish(round) // none at first: a token of before the first event
		for i := 0; i < round/2; i++ {
			read([]bus.Delivery{f.next("the events of before the cut")})
		}
		w.Cut()
		publish(3)
		ds, err := f.ends(all)
		wantError(t, "Next of a feed whose wire was cut", err, bus.ErrDisconnected)
		read(ds)
		f.close()
		if round%2 == 1 {
			w.Mend()
			publish(1)
		} else {
			publish(1)
			w.Mend()
		}
		w.c.back("after the wire was mended")
		f = w.c.from(bus.After(at))
		for len(came) < len(all) {
			d := f.next("the events of while the wire was cut")
			if !contains(all, d.Event.ID) {
				t.Fatalf("%s has brought %s, which nobody has published", f.about, d.Event.ID)
			}
			if w.caps.Ordered && !came[d.Event.ID] && d.Event.ID != all[len(came)].ID {
				t.Fatalf("%s has brought %s, and %s is the next", f.about, d.Event.ID, all[len(came)].ID)
			}
			read([]bus.Delivery{d})
		}
	}
}

// When the wire is back so is the bus, at the latest with the second call, however many connections it had.
func mendedAtOnce(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	for range 4 {
		m := newTeam(t, patience)
		for range 8 { // as many connections as it will have
			m.start(func(ctx context.Context) error { return w.c.Publish(ctx, some("pool", 2)...) })
		}
		m.wait(t, "Publish by eight at once")
		f, g := w.c.from(bus.Now), w.c.from(bus.Now)
		w.Cut()
		disconnected(t, "Publish on a wire that was cut", publishLimit, func() error { return w.c.tryPublish() })
		w.Mend()
		w.c.back("after the wire was mended")
		f.close()
		g.close()

		w.c.from(bus.Now)
		w.Drop() // and without anybody having noticed
		w.c.back("after the connections were reset")
		for range 10 {
			w.c.publish(some("again", 1)...)
		}
	}
}

// What is accepted while the wire is cut at any moment is kept, and a retry with the same IDs is safe.
func cutDuringPublish(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	h := newHistory()
	m := newTeam(t, 5*patience)
	stop := make(chan struct{})
	for _, name := range []string{"a", "b"} {
		p := &publisher{newMaker(name), w.c.Bus, h, random(t)}
		if name == "b" {
			p.bus = w.s.clientVia(t, w.Addr()).Bus
		}
		m.start(func(ctx context.Context) error { return p.pace(ctx, stop) })
	}
	w.chaos(t, m, random(t), cuts(), h.here)
	close(stop)
	m.wait(t, "publishing over a wire that was cut")
	w.account(t, h)
}

// A reader whose wire is cut at any moment misses nothing.
func cutDuringTail(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	h := newHistory()
	m := newTeam(t, 5*patience)
	stop := make(chan struct{})
	p := &publisher{newMaker("p"), w.direct.Bus, h, random(t)}
	publishing := make(chan struct{})
	m.start(func(ctx context.Context) error {
		defer close(publishing)
		return p.pace(ctx, stop)
	})
	r := &reader{bus: w.c.Bus, h: h, caps: w.caps, rand: random(t), at: bus.Start}
	m.start(func(ctx context.Context) error { return r.read(ctx, allOf(h, publishing)) })
	w.chaos(t, m, random(t), cuts(), func() int { return int(r.n.Load()) })
	close(stop)
	m.wait(t, "reading over a wire that was cut")
	r.account(t)
}

// allOf stops a reader when publishers are done, and it has all of it.
func allOf(h *history, published <-chan struct{}) func(r *reader) bool {
	return func(r *reader) bool {
		select {
		case <-published:
			return len(r.seen) >= h.here() && len(h.missing(r.came, nil)) == 0
		default:
			return false
		}
	}
}

// account fails the test if the reader has missed something.
func (r *reader) account(t testing.TB) {
	t.Helper()
	t.Logf("%d feeds have brought %d deliveries of %d events", r.opened, len(r.came), len(r.seen))
	if lost := r.h.missing(r.came, nil); len(lost) > 0 {
		t.Fatalf("a reader has missed %d events: %s", len(lost), lost[0])
	}
	if wrong := r.h.misplaced(r.came); r.caps.Ordered && wrong != "" {
		t.Fatalf("a reader: %s", wrong)
	}
}

// Publishers and readers behind the same bad wire, for as long as EARSHOT_CUTS says.
func cutAgainAndAgain(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	h := newHistory()
	m := newTeam(t, 5*patience+time.Duration(cuts())*time.Second)
	stop, published := make(chan struct{}), make(chan struct{})
	p := &publisher{newMaker("p"), w.c.Bus, h, random(t)}
	m.start(func(ctx context.Context) error {
		defer close(published)
		return p.pace(ctx, stop)
	})
	var readers []*reader
	for i := range 2 {
		r := &reader{bus: w.c.Bus, h: h, caps: w.caps, rand: random(t), at: bus.Start}
		if i == 1 {
			r.bus = w.s.clientVia(t, w.Addr()).Bus
		}
		readers = append(readers, r)
		m.start(func(ctx context.Context) error { return r.read(ctx, allOf(h, published)) })
	}
	w.chaos(t, m, random(t), cuts(), func() int { return h.here() + int(readers[0].n.Load()) })
	close(stop)
	m.wait(t, "publishing and reading over a wire that was cut")
	for _, r := range readers {
		r.account(t)
	}
	w.account(t, h)
}
