package bustest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

var (
	// patience is how long a test waits for what has to happen. It is no measure of speed.
	patience = 20 * time.Second
	// stubborn is how long a call may go on after its context has ended, before the test gives it up.
	stubborn = 10 * time.Second
)

// quiet is how long a test waits for what must not happen.
const quiet = 400 * time.Millisecond

// bounded returns what f returns, and fails the test if it does not return in time. f gets a context that ends before
// the test gives up; it must not use t.
func bounded[T any](t testing.TB, d time.Duration, what string, f func(ctx context.Context) (T, error)) (T, error) {
	t.Helper()
	type result struct {
		v   T
		err error
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		v, err := f(ctx)
		done <- result{v, err}
	}()
	hung := time.NewTimer(d + stubborn)
	defer hung.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-hung.C:
		t.Fatalf("%s has not returned %v after its context ended", what, stubborn)
		panic("unreachable")
	}
}

// A client is a bus in the hands of a test. Its methods fail the test when the engine does, and never hang.
type client struct {
	t testing.TB
	bus.Bus
}

// client opens a bus on the stream, to be closed when the test ends.
func (s Stream) client(t testing.TB) *client { return s.clientVia(t, "") }

func (s Stream) clientVia(t testing.TB, via string) *client {
	t.Helper()
	c := &client{t, s.Open(t, via)}
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.t.Helper()
	if err := c.tryClose(patience); err != nil {
		c.t.Errorf("Close: %v", err)
	}
}

func (c *client) tryClose(d time.Duration) error {
	c.t.Helper()
	_, err := bounded(c.t, d, "Close", func(ctx context.Context) (struct{}, error) { return struct{}{}, c.Bus.Close(ctx) })
	return err
}

// caps returns what the engine claims when it has met its server.
func (c *client) caps() bus.Caps {
	c.t.Helper()
	c.publish()
	return c.Caps()
}

func (c *client) tryPublish(evs ...event.Event) error {
	c.t.Helper()
	_, err := bounded(c.t, patience, "Publish", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.Publish(ctx, evs...)
	})
	return err
}

// publish publishes events, and they have to be accepted.
func (c *client) publish(evs ...event.Event) {
	c.t.Helper()
	if err := c.tryPublish(evs...); err != nil {
		c.t.Fatalf("Publish of %s: %v", list(evs), err)
	}
}

// publishing publishes events in a goroutine. The function it returns waits for that, and they have to be accepted.
func (c *client) publishing(evs ...event.Event) (wait func()) {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	go func() {
		defer cancel()
		done <- c.Publish(ctx, evs...)
	}()
	return func() {
		c.t.Helper()
		if err := receive(c.t, done, "Publish of "+list(evs)); err != nil {
			c.t.Fatalf("Publish of %s: %v", list(evs), err)
		}
	}
}

// receive returns what comes over a channel, and fails the test if nothing does.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	hung := time.NewTimer(patience + stubborn)
	defer hung.Stop()
	select {
	case v := <-ch:
		return v
	case <-hung.C:
		t.Fatalf("waited %v for %s", patience+stubborn, what)
		panic("unreachable")
	}
}

func (c *client) tryTail(tail bus.Tail) (*feed, error) {
	c.t.Helper()
	f, err := bounded(c.t, patience, "Tail", func(ctx context.Context) (bus.Feed, error) { return c.Tail(ctx, tail) })
	if err != nil {
		return nil, err
	}
	if f == nil {
		c.t.Fatalf("Tail from %v: neither feed nor error", tail.From)
	}
	about := "the feed from " + tail.From.String()
	if tail.Past {
		about += " with Past"
	}
	if tail.Hint != nil {
		about += fmt.Sprintf(" with hint %q", tail.Hint)
	}
	return &feed{t: c.t, Feed: f, about: about}, nil
}

// tail opens a feed, to be closed when the test ends.
func (c *client) tail(tail bus.Tail) *feed {
	c.t.Helper()
	f, err := c.tryTail(tail)
	if err != nil {
		c.t.Fatalf("Tail from %v: %v", tail.From, err)
	}
	c.t.Cleanup(func() { f.close() })
	return f
}

// from opens a feed at a position.
func (c *client) from(p bus.Position) *feed {
	c.t.Helper()
	return c.tail(bus.Tail{From: p})
}

func contains(evs []event.Event, id string) bool {
	for _, ev := range evs {
		if ev.ID == id {
			return true
		}
	}
	return false
}

func firstMissing(evs []event.Event, have []bool) string {
	for i, ok := range have {
		if !ok {
			return evs[i].ID
		}
	}
	return "nothing"
}

// list names events, or some if they are many.
func list(evs []event.Event) string {
	if len(evs) == 0 {
		return "no events"
	}
	var ids []string
	for i, ev := range evs {
		if i == 8 {
			ids = append(ids, fmt.Sprintf("… %d in all", len(evs)))
			break
		}
		ids = append(ids, ev.ID)
	}
	return strings.Join(ids, ", ")
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// wantError fails the test if err is not the one it has to be.
func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: the error is %v, and has to be %v", what, err, want)
	}
}
