package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// What is acknowledged is gone.
func ackRemoves(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("ack")
	items := m.some(5)
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	c.settle(ls[1].Ack())
	c.settle(ls[4].Ack(), ls[0].Ack(), ls[2].Ack())
	for _, i := range []int{0, 1, 2, 4} {
		c.wantGone(items[i].ID)
	}
	c.wantState(items[3].ID, queue.StateLeased, 0)
	c.settle(ls[3].Release(0))
	c.take(m.queue, items[3].ID)
}

// To acknowledge twice is told, and hurts nobody.
func ackTwiceIsHarmless(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("twice")
	a, b := m.make(), m.make()
	c.add(a)
	l := c.take(m.queue, a.ID)[0]
	c.settle(l.Ack())
	c.add(b)
	twice := func(s queue.Settlement) {
		t.Helper()
		err := c.settled(s)[0]
		if c.Caps().Fenced && !errors.Is(err, queue.ErrLeaseLost) || err != nil && !errors.Is(err, queue.ErrLeaseLost) {
			t.Fatalf("%v of an item that was acknowledged: %v", s.Action, err)
		}
	}
	twice(l.Ack())
	twice(l.Fail(0, "too late"))
	twice(l.Release(0))
	twice(l.Bury("too late"))
	c.wantGone(a.ID)
	c.take(m.queue, b.ID)
}

// A settlement of a lease that is over has no effect on the next one. Another item may even have the ID by then.
func staleReceiptRejected(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("stale")
	it := m.make(maxFails(-1))
	c.add(it)
	stale := c.takeFor(shortest, m.queue, it.ID)
	c.expired(stale...)
	reject := func(why string, l queue.Leased) {
		t.Helper()
		for _, s := range []queue.Settlement{l.Ack(), l.Fail(0, "stale"), l.Release(0), l.Bury("stale"), l.Release(time.Hour)} {
			c.lost(why, s)
		}
	}
	now := c.take(m.queue, it.ID)[0]
	reject("of a lease that was taken back", stale[0])
	c.wantState(it.ID, queue.StateLeased, 1)
	c.settle(now.Fail(0, "on purpose"))
	reject("of a lease that was settled", now)
	c.wantState(it.ID, queue.StatePending, 2)
	again := c.take(m.queue, it.ID)[0]
	reject("of the lease before", now)
	forged := again
	forged.Receipt += "0"
	reject("that was never given", forged)
	forged.Receipt = "nonsense '; --"
	reject("that is nonsense", forged)
	elsewhere := again
	elsewhere.ID = "nobody"
	reject("of another item", elsewhere)
	c.settle(again.Ack())
	reject("of an item that is gone", again)

	c.add(it)
	reject("of an item of the same ID that is gone", again)
	reject("of the first lease of an item of the same ID that is gone", stale[0])
	last := c.take(m.queue, it.ID)[0]
	for _, l := range []queue.Leased{again, now, stale[0]} {
		reject("of an item of the same ID that is gone", l)
		if l.Receipt == last.Receipt {
			t.Fatalf("the receipt %q was had before", l.Receipt)
		}
	}
	c.settle(last.Ack())
}

// A receipt that was good for a lease is good for no other action afterwards, whatever ended it.
func staleAfterEachEnd(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("ends")
	for _, end := range []func(l queue.Leased) queue.Settlement{
		func(l queue.Leased) queue.Settlement { return l.Release(0) },
		func(l queue.Leased) queue.Settlement { return l.Release(time.Hour) },
		func(l queue.Leased) queue.Settlement { return l.Fail(time.Hour, "x") },
		func(l queue.Leased) queue.Settlement { return l.Bury("x") },
	} {
		it := m.make()
		l := c.takeAdded(it)[0]
		c.settle(end(l))
		c.lost("of a lease that was ended by "+end(l).Action.String(), l.Ack())
		c.lost("of a lease that was ended by "+end(l).Action.String(), l.Release(0))
		c.wantThere(it)
		m = newMaker("ends")
	}
}

// wantThere fails the test if an item is not known any more.
func (c *client) wantThere(it queue.Item) {
	c.t.Helper()
	c.wantStatus(it, queue.Duplicate, it.ID, "which is there")
}

// A lease that is over can be settled as long as nobody has taken it back.
func expiredNotTakenBackCanBeSettled(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("over")
	items := m.some(3)
	c.add(items...)
	ls := c.takeFor(shortest, m.queue, idsOf(items)...)
	c.expired(ls...)
	// Nothing has called Lease since: no store has a reason to take anything back. One may do so all the same, if
	// it has a clockwork of its own; then it says so.
	errs := c.settled(ls[0].Ack(), ls[1].Fail(time.Hour, "late"), ls[2].Release(0))
	for i, err := range errs {
		if err != nil {
			t.Fatalf("settlement %d of a lease that has expired, and that nobody has taken back: %v", i, err)
		}
	}
	c.wantGone(items[0].ID)
	c.wantState(items[1].ID, queue.StatePending, 1)
	if l := c.take(m.queue, items[2].ID)[0]; l.Fails != 0 {
		t.Fatalf("an item that was released in time, if only just, has %d fails", l.Fails)
	}
}

// A worker that goes on to say so keeps its item.
func extendKeepsLease(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("extend")
	it := m.make()
	c.add(it)
	l := c.takeFor(200*time.Millisecond, m.queue, it.ID)[0]
	c.settle(l.Extend(long)) // the receipt stays good
	<-time.After(300 * time.Millisecond)
	c.none("its lease was extended", m.queue)
	c.settle(l.Extend(shortest)) // and shorter
	again, _ := c.takeSoon(long, m.queue, it.ID, "the end of a lease that was made shorter")
	if again.Fails != 1 || again.Deliveries != 2 {
		t.Fatalf("a lease has expired after it was extended: Fails %d, Deliveries %d", again.Fails, again.Deliveries)
	}
	c.settle(again.Extend(time.Minute), again.Extend(time.Hour))
	if _, ok := c.Store.(queue.Finder); ok {
		if r := c.record(it.ID); r.Until.Sub(again.Until) < 50*time.Minute {
			t.Fatalf("a lease until %v was extended to an hour from now, and is until %v", again.Until, r.Until)
		}
	}
	c.settle(again.Ack())
	c.wantGone(it.ID)
}

// What is over cannot be extended.
func staleExtendRejected(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("stale")
	it := m.make()
	c.add(it)
	stale := c.takeFor(shortest, m.queue, it.ID)
	c.expired(stale...)
	now := c.takeFor(300*time.Millisecond, m.queue, it.ID)[0]
	c.lost("of a lease that was taken back", stale[0].Extend(time.Hour))
	c.takeSoon(long, m.queue, it.ID, "the end of a lease that a stale receipt must not extend")
	c.lost("of a lease that was taken back", now.Extend(time.Hour))
	c.ackAll([]queue.Leased{c.takeAdded(m.make())[0]})
}

// Settlements of one call are judged one by one.
func mixedSettlements(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("mixed")
	items := m.some(9, maxFails(-1))
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	c.settle(ls[1].Ack())
	nonsense := ls[5].Ack()
	nonsense.Action = 77
	noReceipt := ls[6].Ack()
	noReceipt.Receipt = ""
	badTime := ls[7].Fail(0, "x")
	badTime.At = time.Date(10_001, 1, 1, 0, 0, 0, 0, time.UTC)
	s := []queue.Settlement{
		ls[0].Ack(), ls[1].Release(0), ls[2].Fail(time.Hour, "mixed"), ls[3].Release(0), ls[4].Bury("mixed"),
		nonsense, noReceipt, badTime, ls[8].Release(-1), ls[8].Release(time.Hour),
	}
	want := []error{nil, queue.ErrLeaseLost, nil, nil, nil, queue.ErrInvalid, queue.ErrInvalid, queue.ErrInvalid, queue.ErrInvalid, nil}
	if !c.Caps().Fenced {
		s, want = append(s[:1:1], s[2:]...), append(want[:1:1], want[2:]...)
	}
	for i, err := range c.settled(s...) {
		if !errors.Is(err, want[i]) {
			t.Fatalf("settlement %d of %d, %v of %s: %v, and has to be %v", i, len(s), s[i].Action, s[i].ID, err, want[i])
		}
	}
	c.wantGone(items[0].ID)
	c.wantGone(items[1].ID)
	c.wantState(items[2].ID, queue.StatePending, 1)
	c.wantState(items[3].ID, queue.StatePending, 0)
	c.wantState(items[4].ID, queue.StateDead, 0)
	for _, i := range []int{5, 6, 7} {
		c.wantState(items[i].ID, queue.StateLeased, 0)
	}
	c.wantState(items[8].ID, queue.StatePending, 0)
	c.take(m.queue, items[3].ID)
	c.ackAll([]queue.Leased{ls[5], ls[6], ls[7]})
}

// Settlements of one lease in one call: the first that ends it is the one.
func sameLeaseInOneCall(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("same")
	items := m.some(4)
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	errs := c.settled(ls[0].Ack(), ls[0].Ack(), ls[1].Release(0), ls[1].Ack(), ls[2].Ack(), ls[3].Release(time.Hour))
	for i, lost := range []bool{false, true, false, true, false, false} {
		if lost != errors.Is(errs[i], queue.ErrLeaseLost) || !lost && errs[i] != nil {
			t.Fatalf("settlement %d of a call in which two are of one lease: %v", i, errs[i])
		}
	}
	l := c.take(m.queue, items[1].ID)[0]
	if c.Caps().Extend { // a heartbeat and the end of the work may come together
		errs := c.settled(l.Extend(long), l.Ack())
		if errs[0] != nil || errs[1] != nil {
			t.Fatalf("Extend and Ack of one lease in one call: %v", errs)
		}
	} else {
		c.settle(l.Ack())
	}
	c.wantGone(items[1].ID)
}

// Nothing to settle is no error, and a large call is one call.
func settleManyOrNone(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	if errs, err := c.trySettle(); err != nil || len(errs) != 0 {
		t.Fatalf("Settle of nothing: %v, %v", errs, err)
	}
	m := newMaker("all")
	items := m.some(700)
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	var s []queue.Settlement
	for i, l := range ls {
		switch i % 3 {
		case 0:
			s = append(s, l.Ack())
		case 1:
			s = append(s, l.Fail(time.Hour, "many"))
		case 2:
			s = append(s, l.Release(0))
		}
	}
	c.settle(s...)
	var want []string
	for i := 2; i < len(items); i += 3 {
		want = append(want, items[i].ID)
	}
	c.take(m.queue, want...)
}

// Many settle the same lease at once, and one of them has done it.
func concurrentSettleOneWinner(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	clients := []*client{c, c.another()}
	m := newMaker("winner")
	items := m.some(10)
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	wins := make([]atomic.Int32, len(ls))
	atOnce(t, 16, func(ctx context.Context, i int) error {
		for k, l := range ls {
			s := l.Ack()
			if i%2 == 1 {
				s = l.Fail(time.Hour, "lost the race")
			}
			errs, err := clients[i%2].Settle(ctx, []queue.Settlement{s})
			switch {
			case err != nil:
				return err
			case errs[0] == nil:
				wins[k].Add(1)
			case !errors.Is(errs[0], queue.ErrLeaseLost):
				return errs[0]
			}
		}
		return nil
	})
	for k := range wins {
		if n := wins[k].Load(); n != 1 {
			t.Fatalf("%d of 16 have settled one lease of %s", n, ls[k].ID)
		}
	}
	c.none("all are gone, or are due in an hour", m.queue)
}
