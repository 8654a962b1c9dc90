package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// What is done with the items of a store that has few or many.
const (
	crowdEnqueue = "Enqueue"
	crowdLease   = "Lease"
	crowdSettle  = "Settle"
)

var crowdWhat = []string{crowdEnqueue, crowdLease, crowdSettle}

const (
	crowdDue     = "due"
	crowdDelayed = "delayed"
	crowdFill    = "fill"

	crowdFew       = 1000
	crowdMany      = 1_000_000
	crowdManyQuick = 50_000
	crowdCalls     = 10 // in one measurement, of 100 items each
	crowdNever     = 24 * time.Hour
	crowdAtOnce    = 1000 // items in a call that fills a store
	crowdFillers   = 4
)

// A crowded store has items that wait, half of them due, in a queue of their own, and half of them not.
type crowded struct {
	store queue.Store
	items int
}

func newCrowded(url string, items int) (*crowded, error) {
	store, err := queue.Open(url)
	if err != nil {
		return nil, err
	}
	c := &crowded{store, items}
	err = c.fill()
	for _, name := range []string{crowdDue, crowdDelayed} {
		if err == nil {
			_, err = c.work(name) // what is done for the first time
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	return c, nil
}

func (c *crowded) fill() error {
	for _, part := range []struct {
		queue string
		delay time.Duration
	}{{crowdDue, 0}, {crowdDelayed, crowdNever}} {
		var (
			all  sync.WaitGroup
			errs [crowdFillers]error
		)
		left := make(chan int, c.items/crowdAtOnce+1)
		for n := c.items / 2; n > 0; n -= crowdAtOnce {
			left <- min(n, crowdAtOnce)
		}
		close(left)
		for i := range errs {
			all.Go(func() {
				for n := range left {
					if _, err := c.store.Enqueue(ctx, newItems(n, part.queue, part.delay)); err != nil {
						errs[i] = err
						return
					}
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
	}
	return nil
}

// work enqueues, leases and acknowledges some items in one of the queues, and returns what each of that took, in
// nanoseconds for an item.
func (c *crowded) work(name string) (took [3]float64, err error) {
	for range crowdCalls {
		items := newItems(queueBatch, name, 0)
		t0 := time.Now()
		if _, err := c.store.Enqueue(ctx, items); err != nil {
			return took, err
		}
		t1 := time.Now()
		leased, err := c.store.Lease(ctx, queue.LeaseRequest{Queues: []string{name}, Max: queueBatch, TTL: queueTTL})
		if err != nil {
			return took, err
		}
		if len(leased) != queueBatch {
			return took, fmt.Errorf("%d items were leased, and %d are due", len(leased), queueBatch)
		}
		t2 := time.Now()
		if err := ackAll(c.store, leased); err != nil {
			return took, err
		}
		for i, d := range []time.Duration{t1.Sub(t0), t2.Sub(t1), time.Since(t2)} {
			took[i] += float64(d) / queueBatch / crowdCalls
		}
	}
	return took, nil
}

// crowd measures what it costs to have many items wait.
func (e *queueEngine) crowd(r *runner, start func() (*queueServer, error)) error {
	if !e.full {
		return nil
	}
	sizes := []int{crowdFew, r.size(crowdMany, crowdManyQuick)}
	var paths []string
	for _, name := range []string{crowdDue, crowdDelayed} {
		for _, n := range sizes {
			paths = append(paths, e.crowdPath(n, name))
		}
	}
	if !r.wantsAny(paths) {
		return nil
	}
	s, err := start()
	if err != nil {
		return err
	}
	stores := make([]*crowded, len(sizes))
	for i, n := range sizes {
		r.say(true, "queues, %s: %d items", e.name, n)
		begin := time.Now()
		if stores[i], err = newCrowded(s.url(fmt.Sprintf("crowd%d", i)), n); err != nil {
			return err
		}
		r.add(e.crowdPath(n, crowdFill), float64(time.Since(begin))/float64(n))
	}
	r.each("queues, "+e.name, paths, func(i int) {
		name := crowdDue
		if i >= len(sizes) {
			name = crowdDelayed
		}
		took, err := stores[i%len(sizes)].work(name)
		if err != nil {
			must(fmt.Errorf("%s: %w", paths[i], err))
		}
		for k, what := range crowdWhat {
			r.add(paths[i]+"/"+what, took[k])
		}
	})
	for _, c := range stores {
		err = errors.Join(err, c.store.Close(ctx))
	}
	return err
}

func (e *queueEngine) crowdPath(n int, name string) string {
	return e.path(fmt.Sprintf("%d items", n), name)
}
