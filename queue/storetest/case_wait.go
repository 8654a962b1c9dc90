package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// waitFor waits, with Wait and Lease in turns as a worker does, until something comes or the context ends. It must not
// use t.
func waitFor(ctx context.Context, s queue.Store, r queue.LeaseRequest) ([]queue.Leased, error) {
	for {
		got, err := s.Lease(ctx, r)
		if err != nil || len(got) > 0 {
			return got, err
		}
		if err := s.(queue.Waker).Wait(ctx, r.Queues); err != nil {
			return nil, err
		}
	}
}

// A waiting is a worker that waits.
type waiting struct {
	t    testing.TB
	done chan arrival
}

type arrival struct {
	ls  []queue.Leased
	at  time.Time
	err error
}

// waiting starts a worker, which has looked once, found nothing, and waits when it returns.
func (c *client) waiting(queues ...string) waiting {
	c.t.Helper()
	c.none("nothing was enqueued", queues...)
	w := waiting{c.t, make(chan arrival, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	go func() {
		defer cancel()
		ls, err := waitFor(ctx, c.Store, queue.LeaseRequest{Queues: queues, Max: 1, TTL: long})
		w.done <- arrival{ls, time.Now(), err}
	}()
	<-time.After(20 * time.Millisecond) // in all likelihood it waits then; if not, the test is only weaker
	return w
}

// had returns when the worker had its item.
func (w waiting) had(what string) (queue.Leased, time.Time) {
	w.t.Helper()
	a := receive(w.t, w.done, what)
	if a.err != nil {
		w.t.Fatalf("a worker that waits for %s: %v", what, a.err)
	}
	return a.ls[0], a.at
}

// middle is the one in the middle.
func middle(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// A lateness is how late workers that wait had their items, of several sorts.
type lateness map[string][]time.Duration

func (l lateness) add(sort string, d time.Duration) { l[sort] = append(l[sort], d) }

// prompt reports whether each sort was in time at least once: the machine may be busy.
func (l lateness) prompt(limit time.Duration) bool {
	for _, ds := range l {
		if slices.Min(ds) > limit {
			return false
		}
	}
	return true
}

// inTime does something until it was in time, three times at least. 10 ms is what stores aim at; a machine that does
// other things as well, or an engine that is slow, needs some more.
func (c *client) inTime(round func(late lateness)) {
	c.t.Helper()
	limit := 50*time.Millisecond + 2*c.cost()
	late := lateness{}
	for n := range 12 {
		round(late)
		if n >= 2 && late.prompt(limit) {
			c.t.Logf("late were %v", late)
			return
		}
	}
	c.t.Fatalf("workers that wait had items late by %v, each time more than %v: they have to be told at once", late, limit)
}

// cost is how long it takes at best to enqueue an item and lease it.
func (c *client) cost() time.Duration {
	c.t.Helper()
	m := newMaker("cost")
	best := patience
	for range 3 {
		begun := time.Now()
		c.add(m.make())
		ls := c.leaseAll(m.queue)
		best = min(best, time.Since(begun))
		c.ackAll(ls)
	}
	return best
}

// What is enqueued on the same store, or given back to it, is told at once.
func leaseWakesOnEnqueue(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("wake")
	c.inTime(func(late lateness) {
		w := c.waiting(m.queue+"x", m.queue)
		begun := time.Now()
		c.add(m.make())
		l, at := w.had("an item that was enqueued")
		late.add("enqueued", at.Sub(begun))
		for name, s := range map[string]queue.Settlement{"released": l.Release(0), "failed": l.Fail(0, "on purpose")} {
			w = c.waiting(m.queue)
			begun = time.Now()
			s.Receipt = l.Receipt
			c.settle(s)
			l, at = w.had("an item that was " + name)
			late.add(name, at.Sub(begun))
		}
		c.settle(l.Ack())
	})
}

// What another process enqueues is told within a second.
func wakesOnEnqueueOfOthers(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c, other := e.client(t), e.client(t)
	m := newMaker("others")
	var took []time.Duration
	for range 3 {
		w := c.waiting(m.queue)
		begun := time.Now()
		other.add(m.make())
		l, at := w.had("an item that another client has enqueued")
		took = append(took, at.Sub(begun))
		c.settle(l.Ack())
	}
	t.Logf("from Enqueue on one client to Lease on another: %v", took)
	if m := middle(took); m > time.Second+e.late() {
		t.Fatalf("a worker that waits has an item %v after another client has enqueued it; it has to be told within 1 s", m)
	}
}

// Nothing that comes between Lease and Wait is missed.
func waitMissesNothing(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("miss")
	soon := func(why string) {
		t.Helper()
		begun := time.Now()
		err := call(t, patience, "Wait", func(ctx context.Context) error { return c.Store.(queue.Waker).Wait(ctx, []string{m.queue}) })
		if err != nil {
			t.Fatalf("Wait when %s: %v", why, err)
		}
		if took := time.Since(begun); took > time.Second+5*e.late() {
			t.Fatalf("Wait when %s has taken %v", why, took)
		}
	}
	for range 3 {
		c.none("all was taken", m.queue)
		it := m.make()
		c.add(it)
		soon("an item was enqueued since Lease")
		l := c.take(m.queue, it.ID)[0]
		c.settle(l.Release(0))
		soon("an item was released since Lease")
		l = c.take(m.queue, it.ID)[0]
		c.settle(l.Fail(0, "on purpose"))
		soon("an item has failed since Lease")
		l = c.take(m.queue, it.ID)[0]
		if _, ok := c.Store.(queue.Redriver); ok {
			c.settle(l.Bury("on purpose"))
			c.none("it is dead", m.queue)
			c.redrive(queue.Query{ID: it.ID}, 1)
			soon("an item was redriven since Lease")
			l = c.take(m.queue, it.ID)[0]
		}
		c.settle(l.Ack())
	}
	// More than one Lease takes: the rest is not missed.
	c.add(m.some(3)...)
	for n := 3; n > 0; n-- {
		soon("items are left that Lease has not taken")
		if ls := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1}); len(ls) != 1 {
			t.Fatalf("%d items are left, and Lease has brought none", n)
		}
	}
	if c.Caps().Serial {
		a, b := m.make(serialOf("s")), m.make(serialOf("s"))
		c.add(a, b)
		l := c.take(m.queue, a.ID)[0]
		c.settle(l.Ack())
		soon("the serial of an item has become free since Lease")
		c.take(m.queue, b.ID)
	}
}

// Every Wait is for itself: what one worker has looked at another one has not.
func waitersAreMany(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m, other := newMaker("many"), newMaker("other")
	var ws []waiting
	for range 6 {
		ws = append(ws, c.waiting(m.queue))
	}
	idle := c.waiting(other.queue)
	begun := time.Now()
	c.add(m.some(6)...)
	for _, w := range ws {
		if _, at := w.had("one of six items"); at.Sub(begun) > time.Second+5*e.late() {
			t.Fatalf("of six items, enqueued for six workers that wait, one was had after %v", at.Sub(begun))
		}
	}
	c.add(other.make())
	idle.had("an item of another queue")
}

// A worker that waits is told when an item that is there becomes due.
func wakesWhenDue(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("due")
	c.inTime(func(late lateness) {
		check := func(why string, begun time.Time, d time.Duration, at time.Time) {
			t.Helper()
			late.add(why, at.Sub(begun)-d)
			if early := d - at.Sub(begun); early > 20*time.Millisecond {
				t.Fatalf("%s: an item that is due after %v was had %v too early", why, d, early)
			}
		}
		begun := time.Now()
		c.add(m.make(delay(100 * time.Millisecond)))
		l, at := waitingAnyway(c, m.queue).had("an item that was there before the worker") // it may be due by now
		check("an item that was there before the worker", begun, 100*time.Millisecond, at)

		w := c.waiting(m.queue)
		begun = time.Now()
		hour := m.make(delay(time.Hour))
		c.add(hour, m.make(delay(80*time.Millisecond)))
		other, at := w.had("an item that has come while the worker waits")
		check("an item that has come while the worker waits", begun, 80*time.Millisecond, at)
		c.settle(other.Ack())

		w = c.waiting(m.queue)
		begun = time.Now()
		c.settle(l.Fail(90*time.Millisecond, "on purpose"))
		l, at = w.had("an item that has failed")
		check("an item that has failed", begun, 90*time.Millisecond, at)

		w = c.waiting(m.queue)
		begun = time.Now()
		c.settle(l.Release(70 * time.Millisecond))
		l, at = w.had("an item that was released for some time")
		check("an item that was released for some time", begun, 70*time.Millisecond, at)
		c.settle(l.Ack())
	})
}

// A worker that waits is told when the lease of another one is over.
func wakesOnExpiry(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("over")
	const ttl = 150 * time.Millisecond
	c.inTime(func(late lateness) {
		it := m.make()
		c.add(it)
		c.takeFor(ttl, m.queue, it.ID)
		begun := time.Now() // its end is before begun + ttl
		l, at := waitingAnyway(c, m.queue).had("an item whose lease was to end")
		if late.add("an item whose lease was over", at.Sub(begun)-ttl); l.Fails != 1 {
			t.Fatalf("an item whose lease has expired once has %d fails", l.Fails)
		}
		c.settle(l.Ack())
	})
}

// waitingAnyway is waiting without a look before.
func waitingAnyway(c *client, queues ...string) waiting {
	w := waiting{c.t, make(chan arrival, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	go func() {
		defer cancel()
		ls, err := waitFor(ctx, c.Store, queue.LeaseRequest{Queues: queues, Max: 1, TTL: long})
		w.done <- arrival{ls, time.Now(), err}
	}()
	return w
}

// Wait ends with its context, and with the store.
func waitEnds(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("ends")
	wait := func(ctx context.Context) error {
		for { // it may return early
			if err := c.Store.(queue.Waker).Wait(ctx, []string{m.queue}); err != nil {
				return err
			}
			if _, err := c.Lease(ctx, queue.LeaseRequest{Queues: []string{m.queue}, Max: 1, TTL: long}); err != nil {
				return err
			}
		}
	}
	c.none("nothing was enqueued", m.queue)
	cause := errors.New("the worker has gone")
	for _, after := range []time.Duration{0, 50 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(context.Background())
		if after == 0 {
			cancel(cause)
		}
		stop := time.AfterFunc(after, func() { cancel(cause) })
		begun := time.Now()
		err := call(t, patience, "Wait", func(context.Context) error { return wait(ctx) })
		stop.Stop()
		cancel(nil)
		wantError(t, "Wait whose context ends", err, cause)
		if took := time.Since(begun); took > after+3*time.Second {
			t.Fatalf("Wait has returned %v after its context ended", took-after)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	wantError(t, "Wait with a deadline", call(t, patience, "Wait", func(context.Context) error { return wait(ctx) }), context.DeadlineExceeded)

	var ends []chan error
	for range 3 {
		done := make(chan error, 1)
		ends = append(ends, done)
		go func() { done <- wait(context.Background()) }()
	}
	<-time.After(30 * time.Millisecond)
	if err := c.tryClose(patience); err != nil {
		t.Fatalf("Close while others wait: %v", err)
	}
	for _, done := range ends {
		wantError(t, "Wait when the store is closed", receive(t, done, "Wait, whose store was closed"), queue.ErrClosed)
	}
}

// Workers for whom nothing comes do next to nothing, and ask the engine for next to nothing.
func idleWaitersRest(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	var sent *meter
	via := ""
	if e.Server != "" {
		sent = newMeter(t, e.Server)
		via = sent.addr()
	}
	c := e.clientVia(t, via)
	m := newMaker("idle")
	c.add(m.make(delay(time.Hour)))
	ctx, cancel := context.WithCancel(context.Background())
	var looks atomic.Int64
	done := make(chan error, 5)
	for range cap(done) {
		go func() {
			for {
				if _, err := c.Lease(ctx, queue.LeaseRequest{Queues: []string{m.queue}, Max: 1, TTL: long}); err != nil {
					done <- err
					return
				}
				looks.Add(1)
				if err := c.Store.(queue.Waker).Wait(ctx, []string{m.queue}); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	<-time.After(300 * time.Millisecond)
	var before, after runtime.MemStats
	first, spoken := looks.Load(), sent.times()
	runtime.ReadMemStats(&before)
	<-time.After(2 * time.Second)
	runtime.ReadMemStats(&after)
	n, spoken := looks.Load()-first, sent.times()-spoken
	cancel()
	for range cap(done) {
		wantError(t, "Wait whose context ends", receive(t, done, "a worker whose context has ended"), context.Canceled)
	}
	t.Logf("in 2 s five workers for whom nothing comes have looked %d times, and have sent something %d times", n, spoken)
	// Once a second and worker would be right, and the machine may be busy.
	if n > 50 {
		t.Fatalf("five workers for whom nothing comes have looked %d times in 2 s", n)
	}
	// A question may be sent in parts, and a driver has something to say of its own.
	if spoken > 40 {
		t.Fatalf("five workers for whom nothing comes have sent the server something %d times in 2 s: all together may ask once a second", spoken)
	}
	if n := after.Mallocs - before.Mallocs; n > 100_000 {
		t.Fatalf("five workers for whom nothing comes have made %d allocations in 2 s: something goes round in circles", n)
	}
}
