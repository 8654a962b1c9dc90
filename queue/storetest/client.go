package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var (
	// patience is how long a test waits for what has to happen. It is no measure of speed.
	patience = 20 * time.Second
	// stubborn is how long a call may go on after its context has ended, before the test gives it up.
	stubborn = 10 * time.Second
)

const (
	quiet = 80 * time.Millisecond // how long a test waits for what must not happen
	long  = time.Minute           // a lease that does not end within a test
)

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

// call is bounded for what returns only an error.
func call(t testing.TB, d time.Duration, what string, f func(ctx context.Context) error) error {
	t.Helper()
	_, err := bounded(t, d, what, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
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

// eventually fails the test if something does not become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// A client is a store in the hands of a test. Its methods fail the test when the store does, and never hang.
type client struct {
	t testing.TB
	queue.Store
	e Engine
}

// client opens the store, to be closed when the test ends.
func (e Engine) client(t testing.TB) *client { return e.clientVia(t, "") }

func (e Engine) clientVia(t testing.TB, via string) *client {
	t.Helper()
	if e.Open == nil {
		t.Fatal("storetest: Engine.Open is nil")
	}
	return e.use(t, e.Open(t, via))
}

func (e Engine) use(t testing.TB, s queue.Store) *client {
	t.Helper()
	c := &client{t, s, e}
	t.Cleanup(c.close)
	return c
}

// another returns a client that another process could have, if the store is for several, or else the same.
func (c *client) another() *client {
	c.t.Helper()
	if !c.Caps().MultiProcess {
		return c
	}
	return c.e.client(c.t)
}

func (c *client) close() {
	c.t.Helper()
	if err := c.tryClose(patience); err != nil {
		c.t.Errorf("Close: %v", err)
	}
}

func (c *client) tryClose(d time.Duration) error {
	c.t.Helper()
	return call(c.t, d, "Close", c.Store.Close)
}

func (c *client) tryEnqueue(items ...queue.Item) ([]queue.Enqueued, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Enqueue", func(ctx context.Context) ([]queue.Enqueued, error) {
		return c.Enqueue(ctx, items)
	})
}

// enqueue enqueues, and has to get an answer for each item.
func (c *client) enqueue(items ...queue.Item) []queue.Enqueued {
	c.t.Helper()
	got, err := c.tryEnqueue(items...)
	if err != nil {
		c.t.Fatalf("Enqueue of %s: %v", names(items), err)
	}
	if len(got) != len(items) {
		c.t.Fatalf("Enqueue of %d items has %d answers", len(items), len(got))
	}
	return got
}

// add enqueues what has to be new.
func (c *client) add(items ...queue.Item) {
	c.t.Helper()
	for i, got := range c.enqueue(items...) {
		if want := (queue.Enqueued{ID: items[i].ID}); got != want {
			c.t.Fatalf("Enqueue of the new item %s: %v %q", items[i].ID, got.Status, got.ID)
		}
	}
}

// wantStatus enqueues one item, and says what has to become of it.
func (c *client) wantStatus(it queue.Item, want queue.Status, id, why string) {
	c.t.Helper()
	got := c.enqueue(it)[0]
	if got.Status != want || got.ID != id {
		c.t.Fatalf("Enqueue of %s, %s: %v %q, and has to be %v %q", it.ID, why, got.Status, got.ID, want, id)
	}
}

func (c *client) tryLease(r queue.LeaseRequest) ([]queue.Leased, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Lease", func(ctx context.Context) ([]queue.Leased, error) { return c.Lease(ctx, r) })
}

// lease leases once.
func (c *client) lease(r queue.LeaseRequest) []queue.Leased {
	c.t.Helper()
	if r.TTL == 0 {
		r.TTL = long
	}
	got, err := c.tryLease(r)
	if err != nil {
		c.t.Fatalf("Lease from %q: %v", r.Queues, err)
	}
	if len(got) > r.Max {
		c.t.Fatalf("Lease of %d items has brought %d", r.Max, len(got))
	}
	for i, l := range got {
		switch {
		case l.Receipt == "" || l.ID == "" || l.Deliveries < 1 || l.Fails < 0 || l.Until.IsZero():
			c.t.Fatalf("Lease has brought an item without Receipt, ID, Deliveries or Until: %+v", l)
		case l.Delay != 0 || l.Due.IsZero():
			c.t.Fatalf("Lease has brought %s with Due %v and Delay %v: it has to have a Due, and no Delay", l.ID, l.Due, l.Delay)
		}
		for _, m := range got[:i] {
			if l.Receipt == m.Receipt || l.ID == m.ID {
				c.t.Fatalf("one answer of Lease has %s with receipt %q and %s with receipt %q", l.ID, l.Receipt, m.ID, m.Receipt)
			}
		}
	}
	return got
}

// leaseAll leases all there is, for a long time.
func (c *client) leaseAll(queues ...string) (all []queue.Leased) {
	c.t.Helper()
	for {
		got := c.lease(queue.LeaseRequest{Queues: queues, Max: 1000, Worker: "storetest"})
		if len(got) == 0 {
			return all
		}
		if all = append(all, got...); len(all) > 100_000 {
			c.t.Fatalf("Lease does not end to bring items: %d until now", len(all))
		}
	}
}

// take leases all there is for a long time, which has to be these items in this order.
func (c *client) take(queueName string, ids ...string) []queue.Leased {
	c.t.Helper()
	return c.takeFor(long, queueName, ids...)
}

// takeFor is take with a TTL. It does not look whether there is more if that may be what it has taken, again.
func (c *client) takeFor(ttl time.Duration, queueName string, ids ...string) []queue.Leased {
	c.t.Helper()
	var all []queue.Leased
	for len(all) < len(ids) || ttl == long {
		got := c.lease(queue.LeaseRequest{Queues: []string{queueName}, Max: 1000, TTL: ttl, Worker: "storetest"})
		if len(got) == 0 {
			break
		}
		if all = append(all, got...); len(all) > 100_000 {
			c.t.Fatalf("Lease does not end to bring items: %d until now", len(all))
		}
	}
	if !sameIDs(ids, all) {
		c.t.Fatalf("Lease from %q has brought %s, and has to bring %s", queueName, leasedNames(all), list(ids))
	}
	return all
}

// takeSoon waits for one item, which has to be this one, with Wait if there is one. It returns when it had it, too.
func (c *client) takeSoon(ttl time.Duration, queueName, id, why string) (queue.Leased, time.Time) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; c.waitOrPause(queueName) {
		got := c.lease(queue.LeaseRequest{Queues: []string{queueName}, Max: 10, TTL: ttl, Worker: "storetest"})
		if len(got) == 1 && got[0].ID == id {
			return got[0], time.Now()
		}
		if len(got) > 0 {
			c.t.Fatalf("%s: Lease from %q has brought %s, and has to bring %s", why, queueName, leasedNames(got), id)
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: nothing was to be leased for %v", why, patience)
		}
	}
}

// waitOrPause waits until it may be worthwhile to lease, though not for long: how long Wait takes is for other tests.
func (c *client) waitOrPause(queueName string) {
	w, ok := c.Store.(queue.Waker)
	if !ok {
		<-time.After(3 * time.Millisecond)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	w.Wait(ctx, []string{queueName})
}

// none fails the test if something can be leased.
func (c *client) none(why string, queues ...string) {
	c.t.Helper()
	if got := c.lease(queue.LeaseRequest{Queues: queues, Max: 10}); len(got) > 0 {
		c.t.Fatalf("%s: Lease from %q has brought %s", why, queues, leasedNames(got))
	}
}

func (c *client) trySettle(s ...queue.Settlement) ([]error, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Settle", func(ctx context.Context) ([]error, error) { return c.Settle(ctx, s) })
}

// settled settles, and returns what became of each.
func (c *client) settled(s ...queue.Settlement) []error {
	c.t.Helper()
	errs, err := c.trySettle(s...)
	if err != nil {
		c.t.Fatalf("Settle, %v of %s and %d more: %v", s[0].Action, s[0].ID, len(s)-1, err)
	}
	if len(errs) != len(s) {
		c.t.Fatalf("Settle of %d settlements has %d answers", len(s), len(errs))
	}
	return errs
}

// settle settles what has to have an effect.
func (c *client) settle(s ...queue.Settlement) {
	c.t.Helper()
	for i, err := range c.settled(s...) {
		if err != nil {
			c.t.Fatalf("Settle, %v of %s: %v", s[i].Action, s[i].ID, err)
		}
	}
}

// lost settles with a receipt that is stale.
func (c *client) lost(why string, s queue.Settlement) {
	c.t.Helper()
	if err := c.settled(s)[0]; !errors.Is(err, queue.ErrLeaseLost) {
		c.t.Fatalf("%v with the receipt %s: the error is %v, and has to be %v", s.Action, why, err, queue.ErrLeaseLost)
	}
}

func (c *client) ackAll(ls []queue.Leased) {
	c.t.Helper()
	var s []queue.Settlement
	for _, l := range ls {
		s = append(s, l.Ack())
	}
	if len(s) > 0 {
		c.settle(s...)
	}
}

func (c *client) bind(add, remove []queue.Binding) queue.Rev {
	c.t.Helper()
	rev, err := bounded(c.t, patience, "Bind", func(ctx context.Context) (queue.Rev, error) { return c.Bind(ctx, add, remove) })
	if err != nil {
		c.t.Fatalf("Bind of %v without %v: %v", add, remove, err)
	}
	return rev
}

func (c *client) bindings(since queue.Rev) (bs []queue.Binding, rev queue.Rev) {
	c.t.Helper()
	bs, err := bounded(c.t, patience, "Bindings", func(ctx context.Context) (bs []queue.Binding, err error) {
		bs, rev, err = c.Bindings(ctx, since)
		return bs, err
	})
	if err != nil {
		c.t.Fatalf("Bindings: %v", err)
	}
	return bs, rev
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
