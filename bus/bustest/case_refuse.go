package bustest

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// Wrong credentials are told apart from no connection, and not told to anybody.
func denied(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	good := s.client(t)
	good.caps()
	c := &client{t, s.Deny(t)}
	t.Cleanup(c.close)
	for range 2 {
		calls := map[string]error{
			"Publish":            c.tryPublish(some("denied", 1)...),
			"Publish of nothing": c.tryPublish(),
		}
		f, err := c.tryTail(bus.Tail{})
		if err == nil {
			f.close()
		}
		calls["Tail"] = err
		for what, err := range calls {
			wantError(t, what+" with wrong credentials", err, bus.ErrDenied)
			if errors.Is(err, bus.ErrDisconnected) {
				t.Fatalf("%s with wrong credentials is ErrDisconnected as well, on which one tries again: %v", what, err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "wr0ng-secret") {
					t.Fatalf("%s with wrong credentials has the password in its error: %v", what, e)
				}
			}
		}
	}
	good.publish(some("good", 1)...)
}

// An engine that cannot accept events says what is wrong, and that is not the wire. When it can again it goes on.
func broken(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	before, during, after := some("before", 5), some("during", 3), some("after", 5)
	c.publish(before...)
	mend := s.Break(t)
	mended := false
	defer func() {
		if !mended {
			mend()
		}
	}()
	for range 3 {
		err := c.tryPublish(during...)
		if err == nil {
			t.Fatal("Publish was accepted by an engine that refuses to")
		}
		if isAny(err, bus.ErrDisconnected, bus.ErrClosed, bus.ErrTooLarge, bus.ErrUnsupported) {
			t.Fatalf("Publish to an engine that is there and refuses: %v", err)
		}
	}
	mend()
	mended = true
	c.publish(after...)
	c.publish(during...) // again, with the same IDs
	all := append(append(before, during...), after...)
	if !caps.Replay {
		return
	}
	s.client(t).from(bus.Start).want(false, all...)
	f.close()
}

// What a durable engine has accepted is there after its server was killed. One that is not durable does not pretend.
func resumeAfterServerRestart(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	evs := some("kept", 20)
	c.publish(evs[:10]...)
	ds := f.want(caps.Ordered, evs[:10]...)
	c.publish(evs[10:]...)

	s.Restart(t)

	c.publishWithin(patience) // it comes back by itself, with the calls above it
	if _, err := f.tryNextUntilError(patience); !isAny(err, bus.ErrDisconnected, bus.ErrForeignToken) {
		t.Fatalf("a feed whose server was killed: %v", err)
	}
	later := some("later", 3)
	c.publish(later...)
	if !caps.Replay {
		return
	}
	if !caps.Durable {
		// All, some or nothing may be left, but no token leads astray without a word.
		f, err := c.tryTail(bus.Tail{From: bus.After(ds[9].Token)})
		if err != nil {
			wantError(t, "Tail after a token from before the restart of an engine that keeps nothing", err, bus.ErrForeignToken)
			return
		}
		if _, err := f.tryNext(patience); err == nil {
			f.close()
		}
		return
	}
	for _, c := range []*client{c, s.client(t)} {
		if caps.Ordered {
			c.from(bus.After(ds[9].Token)).want(true, append(evs[10:], later...)...)
		}
		c.from(bus.Start).want(caps.Ordered, append(evs, later...)...)
	}
}

// publishWithin asks until the engine accepts.
func (c *client) publishWithin(d time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(d); ; {
		err := c.tryPublish()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the engine does not accept events again after %v: %v", d, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// tryNextUntilError reads on until the feed ends.
func (f *feed) tryNextUntilError(d time.Duration) (n int, err error) {
	f.t.Helper()
	var gap *bus.GapError
	for end := time.Now().Add(d); ; n++ {
		if _, err := f.tryNext(time.Until(end)); err != nil && !errors.As(err, &gap) {
			return n, err
		}
	}
}

// Nothing of a bus runs on after Close.
func closeLeavesNothing(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	round := func() {
		c := s.client(t)
		caps := c.caps()
		f, g := c.from(bus.Now), c.from(bus.Now)
		evs := some("left", 3)
		c.publish(evs...)
		f.want(caps.Ordered, evs...)
		g.close()
		if err := c.tryClose(patience); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	round() // what the engine's library starts once and keeps is no leak
	const rounds = 15
	before := runtime.NumGoroutine()
	for range rounds {
		round()
	}
	after := 0
	for end := time.Now().Add(patience / 2); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		// Half a goroutine for each: what runs beside the test comes and goes.
		if after = runtime.NumGoroutine(); after < before+rounds/2 {
			return
		}
	}
	t.Fatalf("there were %d goroutines, and are %d after %d buses with two feeds were opened and closed", before, after, rounds)
}

// Feeds on which nothing happens do next to nothing.
func idleFeedsRest(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	var ended []<-chan error
	var feeds []*feed
	for range 5 {
		f := c.from(bus.Now)
		feeds, ended = append(feeds, f), append(ended, f.waitIn())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	<-time.After(time.Second)
	runtime.ReadMemStats(&after)
	for i, f := range feeds {
		f.close()
		wantError(t, "Next when its feed is closed", receive(t, ended[i], "Next, whose feed was closed"), bus.ErrClosed)
	}
	// That is a poll every 10 ms with a hundred allocations, for each of them.
	if n := after.Mallocs - before.Mallocs; n > 50_000 {
		t.Fatalf("five idle feeds have made %d allocations in a second: something goes round in circles", n)
	}
}
