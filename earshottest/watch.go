package earshottest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
)

// A Watcher receives the events of a channel, or of those that match a pattern, for a test to check. Its
// methods are for the test's own goroutine.
type Watcher[T any] struct {
	// Timeout is how long Expect and ExpectExactly wait for an event that does not come, and how long
	// they and ExpectNothing wait for handlers to return. 0 means Patience.
	Timeout time.Duration

	t     testing.TB
	srv   *earshot.Server
	what  string // for people: channel or pattern, and its name
	box   *earshot.Mailbox[any]
	ended chan struct{} // closed when its goroutine has ended

	mu      sync.Mutex // guards the fields below
	events  []event
	next    int           // the first event that no expectation has gone past
	arrived chan struct{} // closed, and replaced, with each event
}

// event is what was received.
type event struct {
	channel any
	value   any
	fits    bool // it is a T
}

// Watch starts to watch the channel with the given name for events of type T. Watch[any] takes all.
// Events of other types are listed in failures and otherwise ignored. A nil s means earshot.Default().
// It stops when the test ends.
func Watch[T any](t testing.TB, s *earshot.Server, name any) *Watcher[T] {
	t.Helper()
	what := fmt.Sprintf("channel %#v", name)
	return watch[T](t, s, what, func(m *earshot.Mailbox[any]) (earshot.Ref, error) { return m.Subscribe(name) })
}

// WatchPattern is Watch for all channels whose name matches a pattern, such as "db.*". Use [On] to
// expect an event on a certain one of them.
func WatchPattern[T any](t testing.TB, s *earshot.Server, pattern string) *Watcher[T] {
	t.Helper()
	what := fmt.Sprintf("pattern %q", pattern)
	return watch[T](t, s, what, func(m *earshot.Mailbox[any]) (earshot.Ref, error) { return m.SubscribePattern(pattern) })
}

func watch[T any](t testing.TB, s *earshot.Server, what string, subscribe func(*earshot.Mailbox[any]) (earshot.Ref, error)) *Watcher[T] {
	t.Helper()
	if s == nil {
		s = earshot.Default()
	}
	w := &Watcher[T]{t: t, srv: s, what: what, ended: make(chan struct{}), arrived: make(chan struct{})}
	// It takes every type, to be able to tell of those that do not fit, and is never too full.
	w.box = earshot.NewMailbox[any](context.Background(), s, &earshot.MailboxOptions{
		Name: "watcher of " + what + " in " + t.Name(), Overflow: earshot.Unbounded,
	})
	if _, err := subscribe(w.box); err != nil {
		w.box.Close()
		t.Fatalf("earshottest: cannot watch %s: %v", what, err)
	}
	go w.receive()
	t.Cleanup(func() {
		w.box.Close()
		<-w.ended
	})
	return w
}

// receive runs until the mailbox is closed. It is a loop over messages so that Sync waits for its body.
func (w *Watcher[T]) receive() {
	defer close(w.ended)
	for name, msg := range w.box.Named(context.Background()) {
		_, fits := msg.Event.(T)
		if !fits && msg.Event == nil {
			_, fits = any((*T)(nil)).(*any)
		}
		w.mu.Lock()
		w.events = append(w.events, event{name, msg.Event, fits})
		close(w.arrived)
		w.arrived = make(chan struct{})
		w.mu.Unlock()
	}
}

// Received returns all events of type T so far, those that met an expectation included.
func (w *Watcher[T]) Received() (all []T) {
	w.catchUp()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.fits {
			v, _ := e.value.(T)
			all = append(all, v)
		}
	}
	return all
}

// catchUp waits until what has been sent has come through the mailbox.
func (w *Watcher[T]) catchUp() {
	for offered := w.box.Stats().Offered; ; {
		w.mu.Lock()
		n, arrived := uint64(len(w.events)), w.arrived
		w.mu.Unlock()
		if n >= offered {
			return
		}
		select {
		case <-arrived:
		case <-w.ended:
			return // the server has been closed
		}
	}
}

func (w *Watcher[T]) timeout() (context.Context, context.CancelFunc) {
	d := w.Timeout
	if d <= 0 {
		d = Patience
	}
	return context.WithTimeout(context.Background(), d)
}

// take returns the next event of type T, waiting for it, and goes past it.
func (w *Watcher[T]) take(ctx context.Context) (e event, i int, err error) {
	for {
		w.mu.Lock()
		for w.next < len(w.events) {
			i = w.next
			e = w.events[i]
			w.next++
			if e.fits {
				w.mu.Unlock()
				return e, i, nil
			}
		}
		arrived := w.arrived
		w.mu.Unlock()
		select {
		case <-arrived:
		case <-w.ended:
			w.mu.Lock()
			more := w.next < len(w.events)
			w.mu.Unlock()
			if !more {
				return e, -1, w.box.Err()
			}
		case <-ctx.Done():
			return e, -1, context.Cause(ctx)
		}
	}
}

// Expect waits for events that meet what is wanted, in this order. Others may come before, in between
// and after; those before and in between are passed over for good.
func (w *Watcher[T]) Expect(want ...any) {
	w.t.Helper()
	r := w.report("Expect", want)
	ctx, cancel := w.timeout()
	defer cancel()
	for n := range r.wants {
		for {
			e, i, err := w.take(ctx)
			if err != nil {
				r.fail(fmt.Sprintf("no event meets want[%d] (%v)", n, err))
			}
			if r.meets(n, i, e) {
				break
			}
		}
	}
}

// ExpectExactly waits for events that meet what is wanted, in this order, with no other event of type T
// before or in between, nor after when all handlers have dealt with what was sent.
func (w *Watcher[T]) ExpectExactly(want ...any) {
	w.t.Helper()
	r := w.report("ExpectExactly", want)
	ctx, cancel := w.timeout()
	defer cancel()
	for n := range r.wants {
		e, i, err := w.take(ctx)
		if err != nil {
			r.fail(fmt.Sprintf("no event for want[%d] (%v)", n, err))
		}
		if !r.meets(n, i, e) {
			r.fail(fmt.Sprintf("event %d does not meet want[%d]", i, n))
		}
	}
	w.expectNoMore(ctx, r)
}

// ExpectNothing checks that there is no event of type T behind those of earlier expectations, when all
// handlers have dealt with what was sent.
func (w *Watcher[T]) ExpectNothing() {
	w.t.Helper()
	ctx, cancel := w.timeout()
	defer cancel()
	w.expectNoMore(ctx, w.report("ExpectNothing", nil))
}

// errNone is why no event is there at once.
var errNone = errors.New("none")

func (w *Watcher[T]) expectNoMore(ctx context.Context, r *report[T]) {
	w.t.Helper()
	if err := settle(ctx, w.srv); err != nil {
		r.fail(fmt.Sprintf("cannot tell whether more will come: %v", err))
	}
	over, cancel := context.WithCancelCause(context.Background())
	cancel(errNone)
	switch _, i, err := w.take(over); err {
	case nil:
		r.fail(fmt.Sprintf("event %d was not expected", i))
	case errNone:
	default: // the watcher has ended, and so no more will come
	}
}
