package queue

import (
	"context"
	"fmt"
	"time"
)

// Work says how a queue is worked on here. Fields that are zero have the value of Options.Work, and those of that the
// default.
type Work struct {
	// Concurrency is how many items are worked on at a time. Default 16.
	Concurrency int
	// TTL is how long an item stays hidden from others after this process has died or lost its connection. While a
	// handler runs the lease is extended, three times in that time. Default 30 s, at least 100 ms.
	TTL time.Duration
	// Timeout is how long a handler may run. After that its context ends, and its lease is extended no more: if it
	// does not return, others get the item when the TTL has passed, and it keeps its place among Concurrency until it
	// does. Default: none, so that a handler which blocks for ever keeps its item for ever.
	Timeout time.Duration
	// Backoff says how long an item waits after a fail. Default DefaultBackoff.
	Backoff Backoff
}

// over returns w with the fields of base where it has none.
func (w Work) over(base Work) Work {
	if w.Concurrency == 0 {
		w.Concurrency = base.Concurrency
	}
	if w.TTL == 0 {
		w.TTL = base.TTL
	}
	if w.Timeout == 0 {
		w.Timeout = base.Timeout
	}
	if w.Backoff == nil {
		w.Backoff = base.Backoff
	}
	return w
}

func (w Work) check() error {
	if w.Concurrency < 1 || w.TTL < 100*time.Millisecond || w.TTL > MaxLeaseTTL || w.Timeout < 0 {
		return fmt.Errorf("%w: Concurrency %d, TTL %v, Timeout %v: a Concurrency is 1 or more, a TTL between 100ms and %v, a Timeout 0 or more",
			ErrInvalid, w.Concurrency, w.TTL, w.Timeout, MaxLeaseTTL)
	}
	return nil
}

// Subscribe binds a queue to a selector, as Bind does, and has this process work on the queue: the handler is called with
// the items whose names are selected. A queue may be subscribed to more than once, with other selectors: of several
// handlers that want an item the first gets it, and the same selector again replaces its handler. An item that none of
// them wants, such as one that a binding of another program brought, is given back, uncounted and for longer each time, so
// that a process which has a handler for it may get it; it dies when it has been delivered DefaultMaxFails times.
//
// Processes that subscribe to the same queue share its items, and each item is worked on by one. Subscribe blocks on the
// store until the binding is there; the work begins then. It ends with Drain or Close, the binding does not: see Unbind.
// A Work says how the queue is worked on; the first call for the queue decides, and one that says something else later
// is ErrInvalid.
func (q *Queue) Subscribe(ctx context.Context, queue string, selector Selector, handler Handler, how ...Work) error {
	match, err := selector.Compile()
	if err != nil {
		return err
	}
	if handler == nil {
		return fmt.Errorf("queue: subscribe %q to %v: %w: the handler is nil", queue, selector, ErrInvalid)
	}
	q.mu.Lock()
	_, err = q.workLocked(queue, how)
	q.mu.Unlock()
	if err != nil {
		return err
	}
	if err := q.Bind(ctx, queue, selector); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	work, err := q.workLocked(queue, how) // it may have changed
	if err != nil {
		return err
	}
	w := q.workers[queue]
	if w == nil {
		w = newWorker(q, queue, work)
		q.workers[queue] = w
		defer q.running.Go(w.run) // ends with Drain
	}
	w.add(selector, match, handler)
	return nil
}

// workLocked returns how the queue is to be worked on, or why a subscription that wants it so cannot be.
func (q *Queue) workLocked(queue string, how []Work) (Work, error) {
	if q.drained {
		return Work{}, q.closedError()
	}
	w := q.workers[queue]
	if w != nil {
		return w.work, w.agrees(how)
	}
	work := q.opts.Work
	if len(how) > 0 {
		work = how[0].over(work)
	}
	if err := work.check(); err != nil {
		return work, fmt.Errorf("queue: subscribe %q: %w", queue, err)
	}
	return work, nil
}
