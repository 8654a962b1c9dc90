package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/queue"
)

const (
	queueName = "jobs"
	queueTTL  = 30 * time.Second
)

// A queueCrew uses package queue as programs do.
type queueCrew struct {
	store queue.Store
	q     *queue.Queue // publishes
}

func openQueueCrew(s *queueServer, name string) (crew, error) {
	c, err := newQueueCrew(s.url(name))
	if err != nil {
		return nil, err
	}
	return c, nil
}

func newQueueCrew(url string) (*queueCrew, error) {
	store, err := queue.Open(url)
	if err != nil {
		return nil, err
	}
	c := &queueCrew{store, newQueue(store)}
	if err := c.q.Bind(ctx, queueName, queue.Name(saleName)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func newQueue(store queue.Store) *queue.Queue {
	return queue.New(store, &queue.Options{
		Server: earshot.NewServer(nil), Logger: slog.New(slog.DiscardHandler), Work: queue.Work{Concurrency: queueWorkers, TTL: queueTTL},
	})
}

func (c *queueCrew) add(n int) error {
	events := make([]queue.Event, n)
	for i := range events {
		events[i] = queue.Event{Name: saleName, TID: "customer 17", Payload: newSale(i)}
	}
	return c.q.Publish(ctx, events...)
}

func (c *queueCrew) work(done func()) (stop func() error, err error) {
	return c.handle(func(l queue.Leased) error {
		var s sale
		defer done()
		return l.Decode(&s)
	})
}

// handle has a handler at work with a Queue of its own.
func (c *queueCrew) handle(f func(queue.Leased) error) (stop func() error, err error) {
	q := newQueue(c.store)
	err = q.Subscribe(ctx, queueName, queue.Name(saleName), func(_ context.Context, l queue.Leased) error { return f(l) })
	return func() error {
		if n := q.Counts(); n.Failed+n.Died+n.Lost+n.Trouble > 0 {
			return errors.Join(fmt.Errorf("the queue counts %+v", n), q.Close(ctx))
		}
		return q.Close(ctx)
	}, err
}

func (c *queueCrew) clear() error { return clearStore(c.store) }

func clearStore(s queue.Store) error {
	_, err := s.(queue.Finder).Remove(ctx, queue.Query{Queue: queueName})
	return err
}

func (c *queueCrew) close() error { return errors.Join(c.q.Close(ctx), c.store.Close(ctx)) }

// A storeCrew calls a store, with nothing on top.
type storeCrew struct{ store queue.Store }

func openStoreCrew(s *queueServer, name string) (crew, error) {
	store, err := queue.Open(s.url(name))
	return storeCrew{store}, err
}

var queueItems atomic.Int64

// newItems returns items for a queue.
func newItems(n int, name string, delay time.Duration) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		payload, err := encodeSale(i)
		must(err)
		items[i] = queue.Item{
			ID: "0e4c1f7a9b2d" + strconv.FormatInt(1e9+queueItems.Add(1), 10), Queue: name, Name: saleName, TID: "customer 17",
			Payload: payload, Delay: delay,
		}
	}
	return items
}

func (c storeCrew) add(n int) error {
	_, err := c.store.Enqueue(ctx, newItems(n, queueName, 0))
	return err
}

// cycle is an item from beginning to end.
func (c storeCrew) cycle() error {
	if err := c.add(1); err != nil {
		return err
	}
	for {
		// Somebody else may have taken it: then there is another one.
		leased, err := c.store.Lease(ctx, queue.LeaseRequest{Queues: []string{queueName}, Max: 1, TTL: queueTTL, Worker: "bench"})
		if err != nil {
			return err
		}
		if len(leased) == 1 {
			return ackAll(c.store, leased)
		}
		runtime.Gosched()
	}
}

// ackAll acknowledges items.
func ackAll(s queue.Store, leased []queue.Leased) error {
	all := make([]queue.Settlement, len(leased))
	for i, l := range leased {
		all[i] = l.Ack()
	}
	errs, err := s.Settle(ctx, all)
	return errors.Join(append(errs, err)...)
}

func (c storeCrew) work(func()) (func() error, error) { return nil, errors.ErrUnsupported } // cycle is in its place

func (c storeCrew) clear() error { return clearStore(c.store) }

func (c storeCrew) close() error { return c.store.Close(ctx) }
