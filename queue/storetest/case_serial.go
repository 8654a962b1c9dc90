package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Of one serial one item is leased at a time, in order, whatever ends its lease.
func serialOneAtATime(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("serial"), newMaker("other")
	items := m.some(7, serialOf("s"), maxFails(-1))
	free, elsewhere := m.make(), other.make(serialOf("s"))
	c.add(items...)
	c.add(free, elsewhere)
	l := c.take(m.queue, items[0].ID, free.ID)[0]
	c.none("its serial is busy", m.queue)
	c.take(other.queue, elsewhere.ID) // of another queue

	next := func(why string, want int) {
		t.Helper()
		got := c.take(m.queue, items[want].ID)
		c.none(why+": one at a time", m.queue)
		l = got[0]
	}
	c.settle(l.Release(0))
	next("after Release", 0)
	c.settle(l.Ack())
	next("after Ack", 1)
	c.settle(l.Fail(time.Hour, "on purpose"))
	next("after Fail", 2)
	c.settle(l.Bury("on purpose"))
	next("after Bury", 3)
	c.settle(l.Release(time.Hour))
	next("after Release with a delay", 4)
	if c.Caps().Extend {
		c.settle(l.Extend(long))
		c.none("after Extend it is as busy as before", m.queue)
	}
	c.settle(l.Ack())
	ls := c.takeFor(shortest, m.queue, items[5].ID)
	c.expired(ls...)
	next("after a lease has expired", 5)
	c.settle(l.Ack())
	next("the last", 6)
}

// Within one answer as well, and for each serial by priority, due time and order.
func serialInOrder(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("order")
	old := due(time.Now().Add(-time.Hour))
	items := []queue.Item{
		m.make(serialOf("a")), m.make(serialOf("b")), m.make(serialOf("a"), priority(1)), m.make(), m.make(serialOf("b"), old),
		m.make(serialOf("a"), delay(time.Hour), priority(9)), m.make(serialOf("b"), priority(-1)), m.make(serialOf("a"), old),
	}
	c.add(items...)
	for _, want := range [][]int{{2, 4, 3}, {7, 1}, {0, 6}} {
		var ids []string
		for _, i := range want {
			ids = append(ids, items[i].ID)
		}
		c.ackAll(c.take(m.queue, ids...))
	}
	c.none("what is left is due in an hour", m.queue)
}

// An item that waits for its serial is pending like others: it can be found, counted, removed, redriven.
func serialWaitsLikeOthers(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("waits")
	items := m.some(4, serialOf("s"))
	c.add(items...)
	l := c.take(m.queue, items[0].ID)[0]
	c.none("its serial is busy", m.queue) // now the store has met them
	for _, it := range items[1:] {
		c.wantState(it.ID, queue.StatePending, 0)
		c.wantThere(it)
	}
	if _, ok := c.Store.(queue.Statter); ok {
		c.wantStats(queue.QueueStats{Queue: m.queue, Ready: 3, Leased: 1})
	}
	next := items[1].ID
	if _, ok := c.Store.(queue.Finder); ok {
		c.remove(queue.Query{ID: items[1].ID}, 1)
		next = items[2].ID
		if got := c.find(queue.Query{Queue: m.queue, State: queue.StatePending}); len(got) != 2 {
			t.Fatalf("two items wait for their serial, and Find has brought %s", recordNames(got))
		}
	}
	first := m.make(serialOf("s"), priority(3)) // comes late, and is the next all the same
	c.add(first)
	c.settle(l.Ack())
	c.ackAll(c.take(m.queue, first.ID))
	c.take(m.queue, next)
}

// Workers that lease at the same time do not get two items of one serial.
func concurrentSerial(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	clients := []*client{c, c.another(), c.another()}
	m := newMaker("busy")
	serials, each := 6, e.atMost(25, e.Crowd/10)
	var items []queue.Item
	for range each {
		for s := range serials {
			items = append(items, m.make(serialOf(fmt.Sprint("s", s)), maxFails(-1)))
		}
	}
	c.add(items...)
	var mu sync.Mutex
	busy, done := map[string]string{}, 0
	took := func(ls []queue.Leased) error {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range ls {
			if other := busy[l.Serial]; other != "" {
				return fmt.Errorf("%s and %s of the serial %s are leased at the same time", other, l.ID, l.Serial)
			}
			busy[l.Serial] = l.ID
		}
		return nil
	}
	gives := func(ls []queue.Leased, ended bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range ls {
			if delete(busy, l.Serial); ended {
				done++
			}
		}
	}
	atOnce(t, 12, func(ctx context.Context, i int) error {
		for round := i; ; round++ {
			ls, err := clients[i%len(clients)].Lease(ctx, queue.LeaseRequest{Queues: []string{m.queue}, Max: 1 + i%4, TTL: long})
			if err != nil {
				return err
			}
			if err := took(ls); err != nil {
				return err
			}
			mu.Lock()
			all := done == len(items)
			mu.Unlock()
			if all {
				return nil
			}
			if len(ls) == 0 {
				<-time.After(time.Millisecond)
				continue
			}
			var s []queue.Settlement
			ack := round%5 > 0
			for _, l := range ls {
				if ack {
					s = append(s, l.Ack())
				} else {
					s = append(s, l.Release(0))
				}
			}
			<-time.After(time.Millisecond) // the work
			gives(ls, ack)                 // before it is so: others may have it at once
			errs, err := clients[i%len(clients)].Settle(ctx, s)
			if err != nil {
				return err
			}
			for _, err := range errs {
				if err != nil {
					return err
				}
			}
		}
	})
	c.none("all are done", m.queue)
}

// Ten thousand that wait for one serial are in nobody's way.
func serialOfTenThousand(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("crowd")
	crowd := e.atMost(10_000, e.Crowd)
	items := m.some(crowd, serialOf("crowd"))
	for i := 0; i < len(items); i += 1000 {
		c.add(items[i:min(i+1000, len(items))]...)
	}
	others := m.some(3, serialOf("other"))
	free := m.some(40)
	c.add(others...)
	c.add(free...)
	begun := time.Now()
	ls := c.leaseAll(m.queue)
	want := append([]string{items[0].ID, others[0].ID}, idsOf(free)...)
	if !sameIDs(want, ls) {
		t.Fatalf("with %d of one serial before all others Lease has brought %s, and has to bring %s", crowd, leasedNames(ls), list(want))
	}
	first := time.Since(begun)
	begun = time.Now()
	rounds := min(50, crowd-1)
	for i := range rounds {
		c.settle(ls[0].Ack())
		ls = c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 10})
		if len(ls) != 1 || ls[0].ID != items[i+1].ID {
			t.Fatalf("after %d of %d of one serial are done Lease has brought %s", i+1, crowd, leasedNames(ls))
		}
	}
	took := time.Since(begun)
	t.Logf("with %d of one serial: the first Lease %v, then %v for Settle and Lease", crowd, first.Round(time.Microsecond), (took / time.Duration(rounds)).Round(time.Microsecond))
	// It is a bound against looking at all of them each time, not a measure of speed.
	if took > 10*time.Second {
		t.Fatalf("%d times Settle and Lease have taken %v with %d items of one serial", rounds, took, crowd)
	}
}

// A store without serials says so, and stores nothing.
func withoutSerial(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("serialless")
	_, err := c.tryEnqueue(m.make(), m.make(serialOf("s")))
	wantError(t, "Enqueue of an item with a Serial, without Caps.Serial", err, queue.ErrUnsupported)
	c.none("the call was refused", m.queue)
}
