package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A context that has ended, or ends, ends the call with its cause.
func contextEnds(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	f := c.from(bus.Now)
	cause := errors.New("the caller has gone")
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	call := func(what string, ctx context.Context, f func(ctx context.Context) error) {
		t.Helper()
		_, err := bounded(t, patience, what, func(context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
		wantError(t, what, err, cause)
	}
	evs := some("gone", 1)
	call("Publish with a context that has ended", gone, func(ctx context.Context) error { return c.Publish(ctx, evs...) })
	call("Tail with a context that has ended", gone, func(ctx context.Context) error {
		f, err := c.Tail(ctx, bus.Tail{})
		if err == nil {
			f.Close()
		}
		return err
	})
	waiting := c.from(bus.Now)
	call("Next with a context that has ended", gone, func(ctx context.Context) error {
		_, err := waiting.Next(ctx)
		return err
	})
	going, cancel := context.WithCancelCause(context.Background())
	waiting = c.from(bus.Now)
	cut := time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	defer cut.Stop()
	call("Next with a context that ends", going, func(ctx context.Context) error {
		_, err := waiting.Next(ctx)
		return err
	})

	// The context of Tail is that of the opening.
	opening, cancelOpening := context.WithCancel(context.Background())
	opened, err := c.Tail(opening, bus.Tail{})
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	lasting := &feed{t: t, Feed: opened, about: "the feed whose opening's context has ended"}
	defer lasting.close()
	cancelOpening()

	// None of this has hurt the bus or its other feeds.
	after := some("after", 2)
	c.publish(after...)
	lasting.want(caps.Ordered, after...)
	f.want(caps.Ordered, after...)
	f.nothing(after...)
}

// Next keeps to a deadline.
func deadlineEnds(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	for _, d := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond} {
		f := c.from(bus.Now)
		begun := time.Now()
		_, err := f.tryNext(d)
		wantError(t, "Next of an idle feed with a deadline", err, context.DeadlineExceeded)
		if took := time.Since(begun); took > d+5*time.Second {
			t.Fatalf("Next with %v to wait has returned after %v", d, took)
		}
		f.close()
	}
}

// waitIn starts Next of a feed and returns the channel of its error.
func (f *feed) waitIn() <-chan error {
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		close(begun)
		_, err := f.Next(ctx)
		done <- err
	}()
	<-begun
	<-time.After(50 * time.Millisecond) // in all likelihood it waits then; if not, the test is only weaker
	return done
}

// Closing a feed ends its Next, from any goroutine.
func closeUnblocksNext(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	f := c.from(bus.Now)
	next := f.waitIn()
	f.close()
	wantError(t, "Next when its feed is closed", receive(t, next, "Next, whose feed was closed"), bus.ErrClosed)
	f.close()
	_, err := f.tryNext(patience)
	wantError(t, "Next after Close", err, bus.ErrClosed)

	evs := some("unread", 5) // and one that has something to give
	f = c.from(bus.Now)
	c.publish(evs...)
	f.next("the first of five")
	f.close()
	_, err = f.tryNext(patience)
	wantError(t, "Next after Close, with events unread", err, bus.ErrClosed)
}

// Closing the bus ends its feeds, those that wait and those that do not.
func closeEndsFeeds(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	c.caps()
	waits, idle, unread := c.from(bus.Now), c.from(bus.Now), c.from(bus.Now)
	next := waits.waitIn()
	if err := c.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantError(t, "Next when the bus is closed", receive(t, next, "Next, whose bus was closed"), bus.ErrClosed)
	for _, f := range []*feed{idle, unread, waits} {
		_, err := f.tryNext(patience)
		wantError(t, "Next after the bus was closed", err, bus.ErrClosed)
		f.close()
	}
}

// A closed bus is closed for everything, also one that was never used. Closing it again is nothing.
func closeIsFinal(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	used, fresh := s.client(t), s.client(t)
	caps := used.caps()
	watch := s.client(t).from(bus.Now)
	for _, c := range []*client{used, fresh} {
		for range 3 {
			if err := c.tryClose(patience); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		ev := some("closed", 1)
		wantError(t, "Publish after Close", c.tryPublish(ev...), bus.ErrClosed)
		wantError(t, "Publish of nothing after Close", c.tryPublish(), bus.ErrClosed)
		tails := []bus.Tail{{}}
		if caps.Replay {
			tails = append(tails, bus.Tail{From: bus.Start}, bus.Tail{From: bus.Start, Past: true})
		}
		for _, tail := range tails {
			f, err := c.tryTail(tail)
			if err == nil {
				f.close()
			}
			wantError(t, "Tail after Close", err, bus.ErrClosed)
		}
		c.Caps() // has nothing to say, but says it
	}
	watch.nothing()
}

// Closing one feed is nothing to another one.
func feedCloseLeavesOthers(t testing.TB, open func(t testing.TB) Stream) {
	c := open(t).client(t)
	caps := c.caps()
	one, two := c.from(bus.Now), c.from(bus.Now)
	evs := some("left", 4)
	c.publish(evs[:2]...)
	one.want(caps.Ordered, evs[:2]...)
	one.close()
	c.publish(evs[2:]...)
	two.want(caps.Ordered, evs...)
	three := c.from(bus.Now)
	two.close()
	more := some("more", 1)
	c.publish(more...)
	three.want(caps.Ordered, more...)
}
