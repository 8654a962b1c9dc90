package queue_test

import (
	"context"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// bare hides what a store can do besides.
type bare struct{ queue.Store }

// capped is a bare store with other promises.
type capped struct {
	queue.Store
	caps queue.Caps
}

func (c capped) Caps() queue.Caps { return c.caps }

// A spy is the store of one process: a test stands between it and the engine.
type spy struct {
	*memstore.Store

	mu    sync.Mutex
	calls map[string]int
	on    func(ctx context.Context, call string, do func() error) error // nil: do
}

func newSpy(engine *memstore.Store) *spy { return &spy{Store: engine, calls: map[string]int{}} }

// when has f called in place of each call.
func (s *spy) when(f func(ctx context.Context, call string, do func() error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = f
}

func (s *spy) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

func via[T any](ctx context.Context, s *spy, call string, do func() (T, error)) (out T, err error) {
	s.mu.Lock()
	s.calls[call]++
	on := s.on
	s.mu.Unlock()
	if on == nil {
		return do()
	}
	err = on(ctx, call, func() (err error) {
		out, err = do()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

func (s *spy) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	return via(ctx, s, "enqueue", func() ([]queue.Enqueued, error) { return s.Store.Enqueue(ctx, items) })
}

func (s *spy) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return via(ctx, s, "enqueue", func() ([]queue.Enqueued, error) { return s.Store.EnqueueAt(ctx, rev, items) })
}

func (s *spy) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	return via(ctx, s, "lease", func() ([]queue.Leased, error) { return s.Store.Lease(ctx, r) })
}

func (s *spy) Settle(ctx context.Context, ss []queue.Settlement) ([]error, error) {
	call := "settle"
	if ss[0].Action == queue.Extend {
		call = "extend"
	}
	return via(ctx, s, call, func() ([]error, error) { return s.Store.Settle(ctx, ss) })
}

func (s *spy) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	return via(ctx, s, "bind", func() (queue.Rev, error) { return s.Store.Bind(ctx, add, remove) })
}

func (s *spy) Bindings(ctx context.Context, since queue.Rev) (all []queue.Binding, rev queue.Rev, err error) {
	all, err = via(ctx, s, "bindings", func() (all []queue.Binding, err error) {
		all, rev, err = s.Store.Bindings(ctx, since)
		return all, err
	})
	return all, rev, err
}

func (s *spy) Now(ctx context.Context) (time.Time, error) {
	return via(ctx, s, "now", func() (time.Time, error) { return s.Store.Now(ctx) })
}

func (s *spy) Wait(ctx context.Context, queues []string) error {
	_, err := via(ctx, s, "wait", func() (struct{}, error) { return struct{}{}, s.Store.Wait(ctx, queues) })
	return err
}

// silent is a process whose wire is cut without a word.
func silent(ctx context.Context, _ string, _ func() error) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// answers has all calls answer an error, and have no effect.
func answers(err error) func(context.Context, string, func() error) error {
	return func(context.Context, string, func() error) error { return err }
}

// only has f called in place of one call, and leaves the others alone.
func onlyOn(call string, f func(ctx context.Context, do func() error) error) func(context.Context, string, func() error) error {
	return func(ctx context.Context, name string, do func() error) error {
		if name != call {
			return do()
		}
		return f(ctx, do)
	}
}
