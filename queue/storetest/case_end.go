package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

func bindCall(s queue.Store, add, remove []queue.Binding) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.Bind(ctx, add, remove)
		return err
	}
}

// A method is a method of a store as a call that has an effect, if it has one: on items and leases that are given.
type method struct {
	name string
	do   func(ctx context.Context) error
}

// methods returns all methods that a store has, for this queue. l is a lease that some of them would settle, dead an
// item that some would redrive.
func methods(s queue.Store, it queue.Item, l queue.Leased) []method {
	all := []method{
		{"Enqueue", func(ctx context.Context) error { _, err := s.Enqueue(ctx, []queue.Item{it}); return err }},
		{"Lease", func(ctx context.Context) error {
			_, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{it.Queue}, Max: 10, TTL: long})
			return err
		}},
		{"Settle", func(ctx context.Context) error { _, err := s.Settle(ctx, []queue.Settlement{l.Ack()}); return err }},
		{"Bind", bindCall(s, []queue.Binding{{Queue: it.Queue, Selector: queue.All()}}, nil)},
		{"Bindings", func(ctx context.Context) error { _, _, err := s.Bindings(ctx, 0); return err }},
	}
	if f, ok := s.(queue.Finder); ok {
		all = append(all,
			method{"Find", func(ctx context.Context) error { _, err := f.Find(ctx, queue.Query{}); return err }},
			method{"Remove", func(ctx context.Context) error { _, err := f.Remove(ctx, queue.Query{Queue: it.Queue}); return err }})
	}
	if r, ok := s.(queue.Redriver); ok {
		all = append(all, method{"Redrive", func(ctx context.Context) error { _, err := r.Redrive(ctx, queue.Query{Queue: it.Queue}); return err }})
	}
	if st, ok := s.(queue.Statter); ok {
		all = append(all, method{"Stats", func(ctx context.Context) error { _, err := st.Stats(ctx); return err }})
	}
	if w, ok := s.(queue.Waker); ok {
		all = append(all, method{"Wait", func(ctx context.Context) error { return w.Wait(ctx, []string{it.Queue}) }})
	}
	if c, ok := s.(queue.Clock); ok {
		all = append(all, method{"Now", func(ctx context.Context) error { _, err := c.Now(ctx); return err }})
	}
	if r, ok := s.(queue.RevEnqueuer); ok {
		all = append(all, method{"EnqueueAt", func(ctx context.Context) error { _, err := r.EnqueueAt(ctx, 1, []queue.Item{it}); return err }})
	}
	if m, ok := s.(queue.Maintainer); ok {
		all = append(all, method{"Reap", func(ctx context.Context) error { _, err := m.Reap(ctx); return err }})
	}
	return all
}

// A call whose context has ended before it has no effect, and says why.
func endedContextHasNoEffect(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("gone")
	held, waits := m.make(), m.make()
	c.add(held)
	l := c.take(m.queue, held.ID)[0]
	c.add(waits)
	cause := errors.New("the caller has gone")
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	it := m.make()
	for _, f := range methods(c.Store, it, l) {
		err := call(t, patience, f.name, func(context.Context) error { return f.do(gone) })
		wantError(t, f.name+" with a context that has ended", err, cause)
	}
	// None of it was done.
	if got, _ := c.bindings(0); len(got) > 0 {
		t.Fatalf("Bind with a context that has ended has bound %v", got)
	}
	if ls := c.take(m.queue, waits.ID); ls[0].Deliveries != 1 {
		t.Fatalf("an item was leased %d times, and only once with a context that had not ended", ls[0].Deliveries)
	}
	c.add(it) // is new
	c.settle(l.Release(0))
	c.take(m.queue, held.ID, it.ID)
}

// A closed store is closed for everything, also one that was never used. Closing it again is nothing.
func closedIsFinal(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	used := e.client(t)
	m := newMaker("closed")
	held := m.make()
	used.add(held)
	l := used.take(m.queue, held.ID)[0]
	closed := []*client{used}
	if used.Caps().MultiProcess {
		closed = append(closed, e.client(t))
	}
	for _, c := range closed {
		for range 3 {
			if err := c.tryClose(patience); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		var at sync.WaitGroup
		for range 4 {
			at.Go(func() { c.Store.Close(context.Background()) })
		}
		at.Wait()
		for _, f := range methods(c.Store, m.make(), l) {
			wantError(t, f.name+" after Close", call(t, patience, f.name, f.do), queue.ErrClosed)
		}
		c.Caps() // has nothing to say, but says it
	}
	if !used.Caps().MultiProcess {
		return
	}
	c := e.client(t)
	c.none("the only item is leased", m.queue)
	c.settle(l.Ack()) // the items of a store that was closed stay leased, and can be settled by others
}

// Calls that are under way when the store is closed end, with an answer or with ErrClosed.
func closeEndsCalls(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("under way")
	c.add(m.some(1)...)
	const callers = 8
	items := m.some(callers)
	done, begun := make(chan error, callers), make(chan struct{}, callers)
	for i := range callers {
		go func() {
			for first := true; ; first = false {
				_, err := c.Enqueue(context.Background(), items[i:i+1])
				if err == nil {
					_, err = c.Lease(context.Background(), queue.LeaseRequest{Queues: []string{m.queue}, Max: 1, TTL: time.Millisecond})
				}
				if first {
					begun <- struct{}{}
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range callers {
		receive(t, begun, "callers to begin")
	}
	if err := c.tryClose(patience); err != nil {
		t.Fatalf("Close while calls are under way: %v", err)
	}
	for range callers {
		wantError(t, "a call that was under way when the store was closed, or the next one", receive(t, done, "a call whose store was closed"), queue.ErrClosed)
	}
}

// Nothing of a store runs on after Close.
func closeLeavesNothing(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	round := func() {
		c := e.client(t)
		m := newMaker("left")
		c.add(m.some(2)...)
		c.ackAll(c.leaseAll(m.queue))
		if w, ok := c.Store.(queue.Waker); ok {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			w.Wait(ctx, []string{m.queue})
			cancel()
		}
		if err := c.tryClose(patience); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	round() // what the engine's library starts once and keeps is no leak
	const rounds = 12
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
	t.Fatalf("there were %d goroutines, and are %d after %d stores were opened and closed", before, after, rounds)
}
