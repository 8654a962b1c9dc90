package storetest_test

import (
	"context"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// able is a store that can do all.
type able interface {
	queue.Store
	queue.Finder
	queue.Redriver
	queue.Statter
	queue.Waker
	queue.Clock
	queue.RevEnqueuer
	queue.Maintainer
}

// An odd store is a right one with a fault. What is nil works as it should.
type odd struct {
	able
	caps      func(c queue.Caps) queue.Caps
	enqueue   func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error)
	lease     func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error)
	settle    func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error)
	bind      func(ctx context.Context, s able, add, remove []queue.Binding) (queue.Rev, error)
	bindings  func(ctx context.Context, s able, since queue.Rev) ([]queue.Binding, queue.Rev, error)
	find      func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error)
	remove    func(ctx context.Context, s able, q queue.Query) (int, error)
	redrive   func(ctx context.Context, s able, q queue.Query) (int, error)
	stats     func(ctx context.Context, s able) (queue.Stats, error)
	wait      func(ctx context.Context, s able, queues []string) error
	now       func(ctx context.Context, s able) (time.Time, error)
	enqueueAt func(ctx context.Context, s able, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error)
	reap      func(ctx context.Context, s able) (int, error)
	close     func(ctx context.Context, s able) error
}

func (o *odd) Caps() queue.Caps {
	if o.caps != nil {
		return o.caps(o.able.Caps())
	}
	return o.able.Caps()
}

func (o *odd) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	if o.enqueue != nil {
		return o.enqueue(ctx, o.able, items)
	}
	return o.able.Enqueue(ctx, items)
}

func (o *odd) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	if o.lease != nil {
		return o.lease(ctx, o.able, r)
	}
	return o.able.Lease(ctx, r)
}

func (o *odd) Settle(ctx context.Context, ss []queue.Settlement) ([]error, error) {
	if o.settle != nil {
		return o.settle(ctx, o.able, ss)
	}
	return o.able.Settle(ctx, ss)
}

func (o *odd) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	if o.bind != nil {
		return o.bind(ctx, o.able, add, remove)
	}
	return o.able.Bind(ctx, add, remove)
}

func (o *odd) Bindings(ctx context.Context, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
	if o.bindings != nil {
		return o.bindings(ctx, o.able, since)
	}
	return o.able.Bindings(ctx, since)
}

func (o *odd) Find(ctx context.Context, q queue.Query) ([]queue.Record, error) {
	if o.find != nil {
		return o.find(ctx, o.able, q)
	}
	return o.able.Find(ctx, q)
}

func (o *odd) Remove(ctx context.Context, q queue.Query) (int, error) {
	if o.remove != nil {
		return o.remove(ctx, o.able, q)
	}
	return o.able.Remove(ctx, q)
}

func (o *odd) Redrive(ctx context.Context, q queue.Query) (int, error) {
	if o.redrive != nil {
		return o.redrive(ctx, o.able, q)
	}
	return o.able.Redrive(ctx, q)
}

func (o *odd) Stats(ctx context.Context) (queue.Stats, error) {
	if o.stats != nil {
		return o.stats(ctx, o.able)
	}
	return o.able.Stats(ctx)
}

func (o *odd) Wait(ctx context.Context, queues []string) error {
	if o.wait != nil {
		return o.wait(ctx, o.able, queues)
	}
	return o.able.Wait(ctx, queues)
}

func (o *odd) Now(ctx context.Context) (time.Time, error) {
	if o.now != nil {
		return o.now(ctx, o.able)
	}
	return o.able.Now(ctx)
}

func (o *odd) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	if o.enqueueAt != nil {
		return o.enqueueAt(ctx, o.able, rev, items)
	}
	return o.able.EnqueueAt(ctx, rev, items)
}

func (o *odd) Reap(ctx context.Context) (int, error) {
	if o.reap != nil {
		return o.reap(ctx, o.able)
	}
	return o.able.Reap(ctx)
}

func (o *odd) Close(ctx context.Context) error {
	if o.close != nil {
		return o.close(ctx, o.able)
	}
	return o.able.Close(ctx)
}

// enqueueing makes an enqueue that changes the items.
func enqueueing(change func(it *queue.Item)) func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
	return func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
		return s.Enqueue(ctx, changed(items, change))
	}
}

func changed(items []queue.Item, change func(it *queue.Item)) []queue.Item {
	items = append([]queue.Item(nil), items...)
	for i := range items {
		change(&items[i])
	}
	return items
}

// leasing makes a lease that changes what it brings.
func leasing(change func(l *queue.Leased)) func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
	return func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
		got, err := s.Lease(ctx, r)
		for i := range got {
			change(&got[i])
		}
		return got, err
	}
}

// settling makes a settle that changes settlements.
func settling(change func(s *queue.Settlement)) func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
	return func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
		ss = append([]queue.Settlement(nil), ss...)
		for i := range ss {
			change(&ss[i])
		}
		return s.Settle(ctx, ss)
	}
}

// finding makes a find that changes records.
func finding(change func(r *queue.Record)) func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
	return func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
		got, err := s.Find(ctx, q)
		for i := range got {
			change(&got[i])
		}
		return got, err
	}
}

// skewed is a store whose clock is another one.
func skewed(s able, by time.Duration) *odd {
	shift := func(t *time.Time, by time.Duration) {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	return &odd{
		able:    s,
		enqueue: enqueueing(func(it *queue.Item) { shift(&it.Due, -by) }),
		lease: leasing(func(l *queue.Leased) {
			shift(&l.Due, by)
			shift(&l.Until, by)
		}),
		settle: settling(func(s *queue.Settlement) { shift(&s.At, -by) }),
		now: func(ctx context.Context, s able) (time.Time, error) {
			now, err := s.Now(ctx)
			return now.Add(by), err
		},
	}
}
