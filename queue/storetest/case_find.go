package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// wantFound fails the test if Find does not bring these, in this order.
func (c *client) wantFound(q queue.Query, ids ...string) {
	c.t.Helper()
	if got := recordIDs(c.find(q)); !slices.Equal(got, ids) {
		c.t.Fatalf("Find %+v has brought %s, and has to bring %s", q, list(got), list(ids))
	}
}

// All fields of a query that are not empty have to fit.
func findByIDNameTIDQueue(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	a, b := newMaker("a"), newMaker("b")
	items := []queue.Item{a.make(priority(1)), b.make(), a.make(priority(2)), b.make(delay(time.Hour)), a.make(due(time.Now().Add(-time.Hour))), b.make()}
	for i := range items {
		items[i].TID = fmt.Sprint("user ", i%2)
		items[i].Name = []string{"user.added", "user.gone", "user.added"}[i%3]
	}
	c.add(items[:3]...)
	c.add(items[3:]...)
	id := func(is ...int) (ids []string) {
		for _, i := range is {
			ids = append(ids, items[i].ID)
		}
		return ids
	}
	c.wantFound(queue.Query{}, idsOf(items)...) // in the order of enqueueing, whatever their priority
	for i, it := range items {
		c.wantFound(queue.Query{ID: it.ID}, it.ID)
		c.wantFound(queue.Query{ID: it.ID, Queue: it.Queue, Name: it.Name, TID: it.TID, State: queue.StatePending}, it.ID)
		c.wantFound(queue.Query{ID: it.ID, Queue: items[(i+1)%6].Queue})
		c.wantFound(queue.Query{ID: it.ID, State: queue.StateDead})
	}
	c.wantFound(queue.Query{Queue: a.queue}, id(0, 2, 4)...)
	c.wantFound(queue.Query{Queue: b.queue}, id(1, 3, 5)...)
	c.wantFound(queue.Query{Name: "user.gone"}, id(1, 4)...)
	c.wantFound(queue.Query{Name: "user.added"}, id(0, 2, 3, 5)...)
	c.wantFound(queue.Query{TID: "user 1"}, id(1, 3, 5)...)
	c.wantFound(queue.Query{TID: "user 1", Name: "user.added"}, id(3, 5)...)
	c.wantFound(queue.Query{Queue: a.queue, TID: "user 0", Name: "user.added"}, id(0, 2)...)
	c.wantFound(queue.Query{Queue: a.queue, TID: "user 1"})
	for _, q := range []queue.Query{{ID: "x"}, {Queue: "x"}, {Name: "user"}, {TID: "user"}, {Name: "user.%"}, {TID: "user *"}} {
		c.wantFound(q)
	}

	ls := c.take(a.queue, id(2, 0, 4)...)
	c.settle(ls[0].Bury("on purpose"))
	other := c.another() // sees all that was answered before
	other.wantFound(queue.Query{State: queue.StateDead}, id(2)...)
	other.wantFound(queue.Query{State: queue.StateLeased}, id(0, 4)...)
	other.wantFound(queue.Query{State: queue.StatePending}, id(1, 3, 5)...)
	other.wantFound(queue.Query{State: queue.StateLeased, TID: "user 0", Name: "user.gone"}, id(4)...)
	c.settle(ls[1].Release(0), ls[2].Ack())
	other.wantFound(queue.Query{Queue: a.queue}, id(0, 2)...) // at its place
	for _, q := range []queue.Query{{State: "gone"}, {Limit: -1}} {
		_, err := c.tryFind(q)
		wantError(t, "Find of nonsense", err, queue.ErrInvalid)
	}
}

// A record says how its item stands.
func findTellsHowItStands(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("stands")
	it := m.make(maxFails(2))
	before := time.Now()
	if _, ok := c.Store.(queue.Clock); ok {
		before = c.now()
	}
	c.add(it)
	check := func(why string, state queue.State, deliveries, fails int, worker, reason string) queue.Record {
		t.Helper()
		r := c.record(it.ID)
		if r.State != state || r.Deliveries != deliveries || r.Fails != fails || r.Worker != worker || r.Reason != reason {
			t.Fatalf("%s: the record is %s, Deliveries %d, Fails %d, Worker %q, Reason %q; it has to be %s, %d, %d, %q, %q",
				why, r.State, r.Deliveries, r.Fails, r.Worker, r.Reason, state, deliveries, fails, worker, reason)
		}
		if off := r.Created.Sub(before); off < -time.Millisecond || off > time.Minute {
			t.Fatalf("%s: an item that was enqueued at %v is said to be of %v", why, before, r.Created)
		}
		return r
	}
	check("new", queue.StatePending, 0, 0, "", "")
	l := c.take(m.queue, it.ID)[0]
	if r := check("leased", queue.StateLeased, 1, 0, "storetest", ""); !near(r.Until, l.Until) {
		t.Fatalf("the lease is until %v, and Find says %v", l.Until, r.Until)
	}
	c.settle(l.Fail(0, "not today"))
	check("failed", queue.StatePending, 1, 1, "storetest", "not today")
	got := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1, Worker: "somebody else"})
	if len(got) != 1 {
		t.Fatal("an item that has failed could not be leased")
	}
	check("leased again", queue.StateLeased, 2, 1, "somebody else", "not today")
	c.settle(got[0].Fail(0, "never"))
	r := check("dead", queue.StateDead, 2, 2, "somebody else", "never")
	if off := r.Until.Sub(before); off < -time.Millisecond || off > time.Minute {
		t.Fatalf("an item that has died after %v is said to have died at %v", before, r.Until)
	}
}

// A query with Limit and After reads page by page, also while items go.
func findPages(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("page"), newMaker("other")
	items := m.some(250)
	for i := 0; i < len(items); i += 50 {
		c.add(items[i : i+50]...)
		c.add(other.some(1)...)
	}
	c.wantFound(queue.Query{Queue: m.queue}, idsOf(items[:100])...)
	c.wantFound(queue.Query{Queue: m.queue, Limit: 1000}, idsOf(items)...)
	c.wantFound(queue.Query{Queue: m.queue, Limit: 1}, items[0].ID)
	for _, size := range []int{7, 100, 250} {
		var ids []string
		q := queue.Query{Queue: m.queue, Limit: size}
		for {
			page := c.find(q)
			if len(page) == 0 {
				break
			}
			if len(page) > size || len(ids) > len(items) {
				t.Fatalf("a page of %d items has %d, after %d", size, len(page), len(ids))
			}
			ids, q.After = append(ids, recordIDs(page)...), page[len(page)-1].Cursor
		}
		if !slices.Equal(ids, idsOf(items)) {
			t.Fatalf("pages of %d have brought %s, and have to bring %s", size, list(ids), names(items))
		}
	}
	page := c.find(queue.Query{Queue: m.queue, Limit: 10})
	c.remove(queue.Query{ID: items[9].ID}, 1) // whose cursor is the last one
	c.remove(queue.Query{ID: items[10].ID}, 1)
	c.wantFound(queue.Query{Queue: m.queue, Limit: 3, After: page[9].Cursor}, idsOf(items[11:14])...)
	l := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1}) // its place does not change
	c.settle(l[0].Fail(0, "on purpose"))
	c.wantFound(queue.Query{Queue: m.queue, Limit: 2}, idsOf(items[:2])...)
	c.wantFound(queue.Query{ID: items[20].ID, After: page[0].Cursor}, items[20].ID)
	c.wantFound(queue.Query{ID: items[0].ID, After: page[3].Cursor})
}

// What waits or is dead can be removed, not what is in somebody's hands.
func removePendingOnly(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("remove")
	items := m.some(5)
	items[3].Delay = time.Hour
	c.add(items[:3]...)
	ls := c.take(m.queue, idsOf(items[:3])...)
	c.settle(ls[0].Bury("on purpose"), ls[1].Release(0))
	c.add(items[3:]...)
	c.remove(queue.Query{ID: "nobody"}, 0)
	c.remove(queue.Query{State: queue.StateLeased}, 0)
	c.remove(queue.Query{ID: items[2].ID}, 0)
	c.wantState(items[2].ID, queue.StateLeased, 0)
	c.remove(queue.Query{Queue: m.queue}, 4) // dead, released, delayed, new
	c.wantFound(queue.Query{Queue: m.queue}, items[2].ID)
	c.none("they were removed", m.queue)
	if _, ok := c.Store.(queue.Redriver); ok {
		c.redrive(queue.Query{Queue: m.queue}, 0)
	}
	c.settle(ls[2].Release(0)) // nothing was done to it
	c.take(m.queue, items[2].ID)
	c.add(items[0], items[1]) // forgotten, and new
	got := c.take(m.queue, items[0].ID, items[1].ID)
	if got[0].Deliveries != 1 {
		t.Fatalf("an item with the ID of one that was removed has Deliveries %d", got[0].Deliveries)
	}
	if c.Caps().Fenced {
		c.lost("of an item of the same ID that was removed", ls[1].Ack())
	}
}

// A query says which, and Limit how many.
func removeByQuery(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("a"), newMaker("b")
	items := m.some(20)
	items[1].Name, items[2].TID = "storetest.other", "thing of another"
	c.add(items...)
	c.add(other.some(4)...)
	for _, q := range []queue.Query{{}, {Limit: 3}, {After: "x"}, {ID: "x", State: "gone"}, {Queue: m.queue, Limit: -1}} {
		_, err := c.tryRemove(q)
		wantError(t, "Remove of everything, or of nonsense", err, queue.ErrInvalid)
	}
	c.remove(queue.Query{ID: items[0].ID, Queue: other.queue}, 0)
	c.remove(queue.Query{ID: items[0].ID}, 1)
	c.remove(queue.Query{Name: "storetest.other"}, 1)
	c.remove(queue.Query{TID: "thing of another"}, 1)
	c.remove(queue.Query{Queue: m.queue, Limit: 5}, 5)
	if got := c.find(queue.Query{Queue: m.queue}); len(got) != 12 {
		t.Fatalf("%d of 20 items are left after 8 were removed", len(got))
	}
	c.remove(queue.Query{Queue: m.queue}, 12)
	c.remove(queue.Query{State: queue.StatePending}, 4)
	c.wantFound(queue.Query{})
}

// Who is removed holds nothing any more.
func removeFreesKey(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("frees")
	done, held, leased := m.make(key("done")), m.make(key("held"), hold(time.Hour)), m.make(key("leased"), scope(queue.UntilLeased))
	c.add(done, held, leased)
	c.remove(queue.Query{Queue: m.queue}, 3)
	c.add(m.make(key("done")), m.make(key("held")), m.make(key("leased")))

	c.remove(queue.Query{Queue: m.queue}, 3)
	dead := m.make(key("k"))
	c.settle(c.takeAdded(dead)[0].Bury("on purpose"))
	next := m.make(key("k"))
	c.add(next)
	c.remove(queue.Query{ID: dead.ID}, 1) // does not free the key of the next one
	c.wantStatus(m.make(key("k")), queue.Duplicate, next.ID, "whose key is held by the one after a dead one that was removed")
}
