package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"
)

// A Handler does the work of an item. It returns nil when that is done: the item is acknowledged and gone. An error is a
// fail: the item comes again after a while, or is dead after too many; RetryAfter, Dead and Later say otherwise. A
// panic is a fail too.
//
// It may be called more than once for an item, as when a process dies in the middle of the work or just after it: it
// should do no harm then. The context ends when the lease is lost, with a cause that wraps ErrLeaseLost; when Timeout
// has passed; and when the queue is closed and its patience is over. What the handler returns after the lease was lost
// has no effect, except that nil still acknowledges an item which the store has not taken back.
type Handler func(ctx context.Context, l Leased) error

// A verdict is an error of a handler that says what becomes of the item.
type verdict struct {
	action Action
	delay  time.Duration
	err    error
}

func (v *verdict) Error() string {
	switch {
	case v.err != nil:
		return v.err.Error()
	case v.action == Bury:
		return "buried"
	}
	return fmt.Sprintf("again in %v", v.delay)
}

func (v *verdict) Unwrap() error { return v.err }

// RetryAfter returns an error with which a handler fails, and has the item come again after a time of its own choice.
func RetryAfter(d time.Duration, err error) error { return &verdict{Fail, d, err} }

// Dead returns an error with which a handler says that to try again is of no use: the item is dead at once.
func Dead(err error) error { return &verdict{Bury, 0, err} }

// Later returns an error with which a handler has the item come again after a time. It does not count as a fail.
func Later(d time.Duration) error { return &verdict{Release, d, nil} }

// Backoff says how long an item waits after it has failed for the nth time, 1 being the first.
type Backoff func(fails int) time.Duration

// Exponential returns a backoff that doubles from first up to most, and draws each delay at random between the half and
// the whole of that, so that what failed together does not come again together.
func Exponential(first, most time.Duration) Backoff {
	return func(fails int) time.Duration {
		d := most
		if shift := min(max(fails, 1)-1, 62); first > 0 && first <= most>>shift {
			d = first << shift
		}
		if d <= 0 {
			return 0
		}
		return d/2 + rand.N(d/2+1)
	}
}

// DefaultBackoff is about a second after the first fail, and 24 hours after the 18th and all later ones: with
// DefaultMaxFails an item is given up after about a week.
var DefaultBackoff = Exponential(time.Second, 24*time.Hour)

// settlement makes of what a handler returned what becomes of the item.
func settlement(l Leased, err error, backoff Backoff) Settlement {
	if err == nil {
		return l.Ack()
	}
	v, ok := errors.AsType[*verdict](err)
	if !ok {
		v = &verdict{action: Fail, delay: backoff(l.Fails + 1)}
	}
	delay := min(max(v.delay, 0), MaxDelay)
	switch v.action {
	case Bury:
		return l.Bury(err.Error())
	case Release:
		return l.Release(delay)
	}
	return l.Fail(delay, err.Error())
}

// decided reports whether an error is a handler's own decision, or a panic, and does not come from the end of its context.
func decided(err error) bool {
	_, verdict := errors.AsType[*verdict](err)
	return verdict || errors.Is(err, ErrPanic)
}

// ErrPanic: a handler has panicked. The error has the value and where it was.
var ErrPanic = errors.New("the handler panicked")

// call calls a handler and tells what it returned, or that it panicked or ended its goroutine by runtime.Goexit: after
// that the goroutine ends, and with it whoever calls call.
func call(ctx context.Context, h Handler, l Leased, tell func(error)) {
	err := fmt.Errorf("%w: it ended its goroutine", ErrPanic)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, v, where(debug.Stack()))
		}
		tell(err)
	}()
	if err = h(ctx, l); err != nil {
		_ = err.Error() // a nil pointer in it would panic later, where nobody catches it
	}
}

// where returns the part of a stack in which the panic is.
func where(stack []byte) string {
	text := string(stack)
	if i := strings.Index(text, "panic("); i >= 0 {
		text = text[i:]
	}
	lines := strings.SplitN(text, "\n", 13)
	if len(lines) > 12 {
		lines = lines[:12]
	}
	return strings.Join(lines, "\n")
}
