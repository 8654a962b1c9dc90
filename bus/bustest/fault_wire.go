package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A server that has closed its half of the connections is gone.
func halfClosed(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.publish()
	f := w.feed()
	w.HalfClose()
	disconnected(t, "Next of a feed whose server has closed", nextLimit, func() error { _, err := f.ends(nil); return err })
	w.c.back("after the server has closed its half of the connections")
	f = w.c.from(bus.Now)
	evs := some("half", 3)
	w.c.publish(evs...)
	f.want(w.caps.Ordered, evs...)
}

// A slow wire is no broken one.
func delayed(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.Delay(40 * time.Millisecond)
	f := w.c.from(bus.Now)
	evs := some("slow", 30)
	for i := 0; i < len(evs); i += 10 {
		w.c.publish(evs[i : i+10]...)
	}
	f.want(w.caps.Ordered, evs...)
	if w.caps.Replay {
		w.c.from(bus.Start).want(w.caps.Ordered, evs...)
	}
}

// The pieces in which bytes come mean nothing.
func oneByteAtATime(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.Slice(1)
	f := w.c.from(bus.Now)
	m := newMaker("byte")
	evs := append(m.some(10), m.ofSize(t, 20_000), m.make())
	w.c.publish(evs[:10]...)
	w.c.publish(evs[10:]...)
	f.want(w.caps.Ordered, evs...)
	if w.caps.Replay {
		w.c.from(bus.Start).want(w.caps.Ordered, evs...)
	}
}

// Random bytes in place of answers are an error, for clients that had a connection and for those that make one. When
// there is sense on the wire again, all goes on.
func garbageIsAnError(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	for range 2 {
		w.c.publish(some("before", 1)...)
		f := w.c.from(bus.Now)
		w.Garbage(true)
		var calls []call
		for _, b := range []bus.Bus{w.c.Bus, w.s.clientVia(t, w.Addr()).Bus} {
			calls = append(calls,
				publishCall("Publish of nothing", b),
				publishCall("Publish", b, some("lost", 1)...),
				call{what: "Tail and Next", do: func(ctx context.Context) error {
					f, err := b.Tail(ctx, bus.Tail{})
					if err != nil {
						return err
					}
					defer f.Close()
					return nextCall("", f).do(ctx)
				}})
		}
		calls = append(calls, nextCall("Next of a feed that was open", f.Feed))
		w.direct.publish(some("garbage", 20)...) // makes the server talk
		for _, c := range atOnce(t, calls...) {
			if !isWire(c.err) {
				t.Fatalf("%s, answered by random bytes: %v", c.what, c.err)
			}
		}
		f.close()
		w.Garbage(false)
		w.Drop()
		w.c.back("after the wire makes sense again")
	}
}

// A wire on which nothing moves is as good as cut, and is found out in time.
func freezeEndsInErrDisconnected(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.publish()
	f := w.c.from(bus.Now)
	var at bus.Token
	if w.caps.Replay {
		at = f.token()
	}
	fresh := w.s.clientVia(t, w.Addr())
	w.Freeze()
	missed := some("missed", 3)
	w.direct.publish(missed...)
	for _, c := range atOnce(t,
		nextCall("Next of an idle feed", f.Feed),
		publishCall("Publish", w.c.Bus, some("frozen", 2)...),
		publishCall("Publish of nothing", w.c.Bus),
		tailCall("Tail", w.c.Bus),
		publishCall("the first Publish of a bus", fresh.Bus),
		tailCall("the first Tail of a bus", fresh.Bus),
	) {
		wantError(t, c.what+" on a frozen wire", c.err, bus.ErrDisconnected)
		if c.took > c.limit {
			t.Errorf("%s on a frozen wire has answered after %v, and has to within %v", c.what, c.took.Round(time.Millisecond), c.limit)
		}
	}
	f.close()
	w.Thaw()
	w.c.back("after the wire has thawed")
	fresh.back("after the wire has thawed")
	if w.caps.Replay {
		f = w.c.from(bus.After(at))
		for came := map[string]bool{}; len(came) < len(missed); {
			if d := f.next("the events of while the wire was frozen"); contains(missed, d.Event.ID) {
				came[d.Event.ID] = true // others are of the call above that nobody knows the end of
			}
		}
	}
}

// On a frozen wire the context of a call counts, if it ends before the engine's patience does.
func frozenContextEnds(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.publish()
	f := w.c.from(bus.Now)
	w.Freeze()
	cause := errors.New("the caller has gone")
	for _, c := range []call{
		nextCall("Next", f.Feed),
		publishCall("Publish", w.c.Bus, some("gone", 1)...),
		publishCall("Publish of nothing", w.c.Bus),
		tailCall("Tail", w.c.Bus),
	} {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 200*time.Millisecond, cause)
		begun := time.Now()
		_, err := bounded(t, patience, c.what, func(context.Context) (struct{}, error) { return struct{}{}, c.do(ctx) })
		cancel()
		if took := time.Since(begun); took > 3*time.Second {
			t.Fatalf("%s on a frozen wire has gone on for %v after its context had ended: %v", c.what, took, err)
		}
		wantError(t, c.what+" on a frozen wire", err, cause)
	}
	w.Thaw()
	w.c.back("after the wire has thawed")
}

// Close needs no server.
func closeWhileFrozen(t testing.TB, open func(t testing.TB) Stream) {
	w := newWire(t, open)
	w.c.publish()
	next := w.c.from(bus.Now).waitIn()
	w.Freeze()
	published := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		published <- w.c.Publish(ctx, some("frozen", 1)...)
	}()
	pause()
	begun := time.Now()
	w.c.tryClose(time.Second) // an error may say that it was not kind to the server
	if took := time.Since(begun); took > 3*time.Second {
		t.Fatalf("Close on a frozen wire, with a second to do it, has taken %v", took)
	}
	err := receive(t, next, "Next, whose bus was closed")
	wantError(t, "Next when the bus is closed on a frozen wire", err, bus.ErrClosed)
	if err := receive(t, published, "Publish, whose bus was closed"); !isAny(err, bus.ErrClosed, bus.ErrDisconnected) {
		t.Fatalf("Publish when the bus is closed on a frozen wire: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Fatalf("calls have gone on for %v after Close", took)
	}
	wantError(t, "Publish after Close", w.c.tryPublish(), bus.ErrClosed)
}

// A server that is killed while events are published keeps what it has accepted, if the engine says so.
func restartKeepsAccepted(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	w := &wire{s: s, direct: s.client(t)}
	w.caps = w.direct.caps()
	h := newHistory()
	m := newTeam(t, 5*patience)
	stop := make(chan struct{})
	for _, name := range []string{"a", "b", "c"} {
		p := &publisher{newMaker(name), s.client(t).Bus, h, random(t)}
		m.start(func(ctx context.Context) error { return p.pace(ctx, stop) })
	}
	for range 3 {
		for before, end := h.here(), time.Now().Add(patience); h.here() < before+30; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("publishers do not get on, %v after the server was started", patience)
			}
		}
		s.Restart(t)
	}
	w.direct.publishWithin(patience)
	close(stop)
	m.wait(t, "publishing while the server was killed")
	if w.caps.Durable {
		w.account(t, h)
	}
}
