package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A key is held from the enqueueing until the work is done, however often it fails.
func keyUntilDoneBlocksThenFrees(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("key")
	first := m.make(key("k"))
	blocked := func(why string) {
		t.Helper()
		c.wantStatus(m.make(key("k")), queue.Duplicate, first.ID, why)
	}
	c.add(first)
	blocked("whose key is held by an item that waits")
	l := c.take(m.queue, first.ID)[0]
	blocked("whose key is held by an item that is leased")
	c.settle(l.Fail(0, "on purpose"))
	blocked("whose key is held by an item that has failed")
	ls := c.takeFor(shortest, m.queue, first.ID)
	c.expired(ls...)
	blocked("whose key is held by an item whose lease has expired")
	l = c.take(m.queue, first.ID)[0]
	c.settle(l.Release(0))
	blocked("whose key is held by an item that was released")

	// Others are other keys.
	other := newMaker("other")
	c.add(m.make(key("K")), m.make(key("k ")), m.make(key("k2")), m.make(), m.make())
	elsewhere := other.make(key("k"))
	c.add(elsewhere)

	for _, l := range c.leaseAll(m.queue) {
		c.settle(l.Ack())
	}
	second := m.make(key("k"))
	c.add(second)
	first = second
	blocked("whose key is held by the next item")
	c.ackAll(c.take(other.queue, elsewhere.ID))
	blocked("whose key an item of another queue has had")
}

// A key that is for the time of waiting is free with the first lease, and does not come back.
func keyUntilLeased(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("leased")
	first := m.make(key("k"), scope(queue.UntilLeased))
	c.add(first)
	c.wantStatus(m.make(key("k"), scope(queue.UntilLeased)), queue.Duplicate, first.ID, "whose key is held by an item that waits")
	c.wantStatus(m.make(key("k")), queue.Duplicate, first.ID, "whose key is held by an item of another scope that waits")
	l := c.take(m.queue, first.ID)[0]
	second := m.make(key("k"), scope(queue.UntilLeased))
	c.add(second)
	c.settle(l.Fail(0, "it waits again, without a key"))
	c.wantStatus(m.make(key("k")), queue.Duplicate, second.ID, "whose key is held by the second one")
	ls := c.leaseAll(m.queue)
	if len(ls) != 2 {
		t.Fatalf("two items could be leased, and %s were", leasedNames(ls))
	}
	third := m.make(key("k"), delay(time.Hour)) // until it is done, this one
	c.add(third)
	c.ackAll(ls)
	c.wantStatus(m.make(key("k"), scope(queue.UntilLeased)), queue.Duplicate, third.ID, "whose key is held by the third one: the end of the others has not freed it")
}

// Within one call the first item with a key is the one.
func keyWithinOneCall(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("call")
	batch := m.some(5, key("k"))
	batch[1].Key = "another"
	batch[3].Queue = m.queue + "x"
	batch[4].Replace = true
	batch[4].Payload = []byte("the last")
	want := []queue.Enqueued{{ID: batch[0].ID}, {ID: batch[1].ID}, {ID: batch[0].ID, Status: queue.Duplicate}, {ID: batch[3].ID}, {ID: batch[0].ID, Status: queue.Replaced}}
	for i, got := range c.enqueue(batch...) {
		if got != want[i] {
			t.Fatalf("item %d of the call: %v %q, and has to be %v %q", i, got.Status, got.ID, want[i].Status, want[i].ID)
		}
	}
	if _, ok := c.Store.(queue.Finder); ok {
		for _, i := range []int{2, 4} {
			c.wantGone(batch[i].ID)
		}
	}
	got := map[string]string{}
	for _, l := range c.leaseAll(m.queue) {
		got[l.ID] = string(l.Payload)
	}
	if len(got) != 2 || got[batch[0].ID] != "the last" {
		t.Fatalf("after a call whose last item replaces its first: %v", got)
	}
}

// Of many who enqueue with one key at the same time one has done it, and all the others know who.
func concurrentKeyOneWinner(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	clients := []*client{c, c.another(), c.another()}
	m := newMaker("winner")
	for round := range 3 {
		items := m.some(32, key(fmt.Sprint("k", round)))
		var mu sync.Mutex
		winner, names := map[string]bool{}, map[string]bool{}
		atOnce(t, len(items), func(ctx context.Context, i int) error {
			got, err := clients[i%len(clients)].Enqueue(ctx, items[i:i+1])
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			switch names[got[0].ID] = true; got[0].Status {
			case queue.Inserted:
				winner[got[0].ID] = true
			case queue.Replaced:
				return errors.New("an item without Replace has replaced another")
			}
			return nil
		})
		if len(winner) != 1 || len(names) != 1 {
			t.Fatalf("%d of 32 items with one key were inserted, and %d are said to hold it", len(winner), len(names))
		}
		for id := range winner {
			c.take(m.queue, id)
		}
	}
}

// Who is dead holds no key, and does not get it back.
func deadItemFreesKey(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("dead")
	buried, failed, reaped := m.make(key("a")), m.make(key("b"), maxFails(1)), m.make(key("c"), maxFails(1))
	c.add(buried, failed)
	ls := c.take(m.queue, buried.ID, failed.ID)
	c.settle(ls[0].Bury("on purpose"), ls[1].Fail(0, "on purpose"))
	c.add(reaped)
	c.expired(c.takeFor(shortest, m.queue, reaped.ID)...)
	c.none("it is dead", m.queue)
	next := []queue.Item{m.make(key("a"), delay(time.Hour)), m.make(key("b"), delay(time.Hour)), m.make(key("c"), delay(time.Hour))}
	c.add(next...)
	if _, ok := c.Store.(queue.Redriver); !ok {
		return
	}
	c.redrive(queue.Query{Queue: m.queue, State: queue.StateDead}, 3)
	if got := c.leaseAll(m.queue); len(got) != 3 {
		t.Fatalf("three items were redriven, and %s could be leased", leasedNames(got))
	} else {
		c.ackAll(got) // does not free the keys of others
	}
	for i, k := range []string{"a", "b", "c"} {
		c.wantStatus(m.make(key(k)), queue.Duplicate, next[i].ID, "whose key is held by the one after the dead one")
	}
}

// A key may be held for a time, whatever becomes of the item.
func keyHold(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("hold")
	const d = 400 * time.Millisecond
	done, leased := m.make(key("done"), hold(d)), m.make(key("leased"), hold(d), scope(queue.UntilLeased))
	outlives := m.make(key("outlives"), hold(time.Millisecond), delay(time.Hour))
	begun := time.Now()
	c.add(done, leased, outlives)
	c.ackAll(c.take(m.queue, done.ID, leased.ID))
	for _, it := range []queue.Item{done, leased} {
		eventually(t, "the end of a Hold", func() bool {
			got := c.enqueue(m.make(key(it.Key)))[0]
			if got.Status == queue.Duplicate && got.ID != it.ID {
				t.Fatalf("the key that %s holds is said to be held by %s", it.ID, got.ID)
			}
			return got.Status == queue.Inserted
		})
		if early := d - time.Since(begun); early > 20*time.Millisecond {
			t.Fatalf("a Hold of %v was over %v too early", d, early)
		}
	}
	c.wantStatus(m.make(key("outlives")), queue.Duplicate, outlives.ID, "whose key is held by an item that waits, though its Hold is over")
}

// A Hold of another key is none of this one, and one that is over is forgotten for good.
func keyHoldAgain(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("again")
	for range 3 {
		it := m.make(key("k"), hold(30*time.Millisecond))
		eventually(t, "the end of the Hold of before", func() bool { return c.enqueue(it)[0].Status == queue.Inserted })
		c.ackAll(c.take(m.queue, it.ID))
	}
	plain := m.make(key("other"))
	c.ackAll(c.takeAdded(plain))
	c.add(m.make(key("other")))
}

// OnceEvery, the first wins: what comes while it waits for its time is a duplicate.
func onceEveryFirstWins(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("first")
	const every = 150 * time.Millisecond
	for range 2 {
		first := m.make(key("report"), delay(every), hold(every), scope(queue.UntilLeased), payload("first"))
		eventually(t, "the next period", func() bool { return c.enqueue(first)[0].Status == queue.Inserted })
		c.wantStatus(m.make(key("report"), delay(every), hold(every), scope(queue.UntilLeased), payload("second")), queue.Duplicate, first.ID, "in the same period")
		l, _ := c.takeSoon(long, m.queue, first.ID, "the end of the period")
		if string(l.Payload) != "first" {
			t.Fatalf("the first has to win, and the payload is %q", l.Payload)
		}
		c.settle(l.Ack())
		c.none("there was one item in this period", m.queue)
	}
}

// OnceEvery, the last wins: it replaces what waits, and its time begins again.
func onceEveryLastWins(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("last")
	first := m.make(key("report"), delay(time.Hour), payload("first"), maxFails(3), priority(2))
	c.add(first)
	second := m.make(key("report"), replace, delay(2*time.Hour), payload("second"))
	second.Name, second.Priority = "another.name", 7
	c.wantStatus(second, queue.Replaced, first.ID, "which replaces the first")
	third := m.make(key("report"), replace, payload("third"))
	third.Headers = map[string]string{"n": "3"}
	third.Due = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	c.wantStatus(third, queue.Replaced, first.ID, "which replaces the second")
	c.wantStatus(m.make(key("report"), payload("fourth")), queue.Duplicate, first.ID, "which replaces nothing")
	want := first
	want.Payload, want.Headers, want.Due = third.Payload, third.Headers, third.Due
	c.found(want)
	l := c.take(m.queue, first.ID)[0]
	if diff := difference(want, l.Item); diff != "" {
		t.Fatalf("the item under the key, with the payload, headers and time of the last: %s", diff)
	}
	if _, ok := c.Store.(queue.Finder); ok {
		for _, it := range []queue.Item{second, third} {
			c.wantGone(it.ID)
		}
	}
	soon := m.make(key("soon"), delay(time.Hour))
	c.add(soon)
	c.wantStatus(m.make(key("soon"), replace, delay(80*time.Millisecond)), queue.Replaced, soon.ID, "which is due sooner")
	c.takeSoon(long, m.queue, soon.ID, "what was replaced by something that is due sooner")
	later := m.make(key("later"))
	c.add(later)
	c.wantStatus(m.make(key("later"), replace, delay(time.Hour)), queue.Replaced, later.ID, "which is due later")
	c.none("what was replaced is due later", m.queue)
}

// Only what waits can be replaced, not what is in somebody's hands, or gone.
func replaceOnlyPending(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("replace")
	first := m.make(key("k"), replace, payload("first"), hold(time.Hour))
	c.add(first) // nothing is there to be replaced
	again := func(p string) queue.Item { return m.make(key("k"), replace, payload(p)) }
	l := c.take(m.queue, first.ID)[0]
	c.wantStatus(again("second"), queue.Duplicate, first.ID, "while the one that it would replace is leased")
	c.settle(l.Release(0))
	c.wantStatus(again("third"), queue.Replaced, first.ID, "when it was released")
	l = c.take(m.queue, first.ID)[0]
	if string(l.Payload) != "third" || l.Deliveries != 2 {
		t.Fatalf("an item that was replaced when it waited again has payload %q and Deliveries %d", l.Payload, l.Deliveries)
	}
	c.settle(l.Ack())
	c.wantStatus(again("fourth"), queue.Duplicate, first.ID, "while its key is held by one that is gone")
	c.none("there is nothing any more", m.queue)

	dead := m.make(key("d"))
	c.settle(c.takeAdded(dead)[0].Bury("on purpose"))
	next := m.make(key("d"), replace)
	c.add(next)
	c.take(m.queue, next.ID)
}

// Replace does not make a Hold longer.
func replaceKeepsHold(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("prolong")
	first := m.make(key("k"), hold(time.Millisecond), scope(queue.UntilLeased))
	c.add(first)
	c.wantStatus(m.make(key("k"), replace, hold(time.Hour)), queue.Replaced, first.ID, "with another Hold")
	c.take(m.queue, first.ID)
	eventually(t, "the end of a Hold of a millisecond", func() bool { return c.enqueue(m.make(key("k")))[0].Status == queue.Inserted })
}

// A store without keys says so, and stores nothing.
func withoutUnique(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("keyless")
	_, err := c.tryEnqueue(m.make(), m.make(key("k")))
	wantError(t, "Enqueue of an item with a Key, without Caps.Unique", err, queue.ErrUnsupported)
	c.none("the call was refused", m.queue)
}
