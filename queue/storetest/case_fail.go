package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Work that has failed comes again, when it has to, and is counted.
func failReschedulesAndCountsFail(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("fail")
	it := m.make()
	it.Parent = "the event before"
	c.add(it)
	l := c.take(m.queue, it.ID)[0]
	c.settle(l.Fail(0, "the first time"))
	l = c.take(m.queue, it.ID)[0]
	if l.Fails != 1 || l.Deliveries != 2 {
		t.Fatalf("after one Fail: Fails %d, Deliveries %d", l.Fails, l.Deliveries)
	}
	if diff := difference(it, l.Item); diff != "" {
		t.Fatalf("an item that has failed is changed: %s", diff)
	}
	failed := time.Now()
	c.settle(l.Fail(150*time.Millisecond, "the second time"))
	l, had := c.takeSoon(long, m.queue, it.ID, "the delay of Fail")
	if early := 150*time.Millisecond - had.Sub(failed); early > 20*time.Millisecond {
		t.Fatalf("an item that failed and is due again after 150 ms was leased %v too early", early)
	}
	if l.Fails != 2 {
		t.Fatalf("after two Fails: Fails %d", l.Fails)
	}
	if _, ok := c.Store.(queue.Finder); ok {
		if r := c.record(it.ID); r.Reason != "the second time" {
			t.Fatalf("the reason of the last Fail is %q", r.Reason)
		}
	}

	// At a time, in the past and in the future.
	past, future := time.Date(1999, 1, 2, 3, 4, 5, 6000, time.UTC), time.Date(2999, 1, 2, 3, 4, 5, 6000, time.UTC)
	s := l.Fail(0, "the third time")
	s.At = past
	c.settle(s)
	c.add(m.make())
	ls := c.take(m.queue, it.ID, m.queue+"-2")
	if !near(ls[0].Due, past) {
		t.Fatalf("an item that failed and was due again at %v is due at %v", past, ls[0].Due)
	}
	s = ls[0].Fail(time.Millisecond, "the fourth time")
	s.At = future
	c.settle(s)
	c.none("it is due in the year 2999", m.queue)
	it.Due = future
	c.found(it)
}

// What was not begun is no fail, and is as it was: at its place, if there is no delay.
func releaseDoesNotCountFail(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("release")
	items := m.some(4, maxFails(1))
	c.add(items...)
	for round := range 4 {
		ls := c.take(m.queue, idsOf(items)...)
		for _, l := range ls {
			if l.Fails != 0 || l.Deliveries != round+1 {
				t.Fatalf("%s was released %d times: Fails %d, Deliveries %d", l.ID, round, l.Fails, l.Deliveries)
			}
		}
		c.settle(ls[2].Release(0), ls[0].Release(0), ls[3].Release(0), ls[1].Release(0))
	}
	ls := c.take(m.queue, idsOf(items)...)
	released := time.Now()
	c.settle(ls[0].Release(120*time.Millisecond), ls[1].Release(0))
	for _, id := range []string{items[1].ID, items[0].ID} {
		l, had := c.takeSoonAny(m.queue, id)
		if l.ID == items[0].ID && had.Sub(released) < 100*time.Millisecond {
			t.Fatalf("an item that was released for 120 ms was leased after %v", had.Sub(released))
		}
		if l.Fails != 0 {
			t.Fatalf("an item that was released has Fails %d", l.Fails)
		}
	}
}

// A worker that was not heard of again is a fail.
func expiryCountsFail(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("expiry")
	it := m.make()
	c.add(it)
	c.settle(c.take(m.queue, it.ID)[0].Fail(0, "before"))
	l := c.takeFor(shortest, m.queue, it.ID)
	c.expired(l...)
	if _, ok := c.Store.(queue.Finder); ok {
		if r := c.record(it.ID); r.State == queue.StateLeased && (r.Fails != 1 || r.Worker != "storetest") {
			t.Fatalf("a lease that was not yet taken back: %+v", r)
		}
	}
	again := c.take(m.queue, it.ID)[0]
	if again.Fails != 2 || again.Deliveries != 3 {
		t.Fatalf("after a Fail and a lease that has expired: Fails %d, Deliveries %d", again.Fails, again.Deliveries)
	}
	if !near(again.Due, l[0].Due) {
		t.Fatalf("an item whose lease has expired is due at %v, and was at %v", again.Due, l[0].Due)
	}
	if _, ok := c.Store.(queue.Finder); ok {
		if r := c.record(it.ID); r.Reason == "" || r.Reason == "before" {
			t.Fatalf("the reason of a fail by expiry is %q: it has to say so", r.Reason)
		}
	}
}

// So many fails, and not one more.
func deadAfterMaxFails(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	for _, limit := range []int{1, 3, 0, -1} {
		m := newMaker("max")
		it := m.make(maxFails(limit))
		c.add(it)
		lives := limit
		if limit == 0 {
			lives = queue.DefaultMaxFails
		}
		if limit < 0 {
			lives = queue.DefaultMaxFails + 5
		}
		for n := range lives {
			l := c.take(m.queue, it.ID)[0]
			if l.Fails != n {
				t.Fatalf("with MaxFails %d, after %d fails: Fails %d", limit, n, l.Fails)
			}
			c.settle(l.Fail(0, "on purpose"))
		}
		if limit < 0 {
			c.take(m.queue, it.ID)
			continue
		}
		c.none("it has failed as often as it may", m.queue)
		c.wantState(it.ID, queue.StateDead, lives)
		c.wantThere(it)
		if _, ok := c.Store.(queue.Finder); ok {
			if r := c.record(it.ID); r.Reason != "on purpose" {
				t.Fatalf("the reason of an item that died by its fails is %q", r.Reason)
			}
		}
	}
}

// A lease that has expired once too often is the end, without anybody who settles.
func deadByExpiry(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("expiry")
	last, again, never := m.make(maxFails(1)), m.make(maxFails(2)), m.make(maxFails(-1))
	c.add(last, again, never)
	c.expired(c.takeFor(shortest, m.queue, last.ID, again.ID, never.ID)...)
	c.expired(c.takeFor(shortest, m.queue, again.ID, never.ID)...)
	c.take(m.queue, never.ID)
	c.wantState(last.ID, queue.StateDead, 1)
	c.wantState(again.ID, queue.StateDead, 2)
	c.wantState(never.ID, queue.StateLeased, 2)
	c.wantThere(last)
	if _, ok := c.Store.(queue.Finder); ok {
		if r := c.record(last.ID); r.Reason == "" {
			t.Fatal("an item that died by expiry has no reason")
		}
	}
}

// What is buried stays, with the reason, and is not leased.
func buryMovesToDeadWithReason(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	for _, reason := range []string{
		"it makes no sense", "", "größer als '12' 🚀\nsecond line\t\"quoted\" \\ $1 %s", "not UTF-8 \xff\xfe", "with a NUL \x00 in it",
		strings.Repeat("long ", 2000), strings.Repeat("ü", queue.MaxReason/2), strings.Repeat("x", queue.MaxReason-1) + "€€",
	} {
		m := newMaker("bury")
		it := m.make()
		c.settle(c.takeAdded(it)[0].Bury(reason))
		c.none("it is buried", m.queue)
		c.wantThere(it)
		c.wantState(it.ID, queue.StateDead, 0)
		if _, ok := c.Store.(queue.Finder); !ok {
			continue
		}
		r := c.record(it.ID)
		if want := queue.CutReason(reason); r.Reason != want {
			t.Fatalf("the reason %.60q… of %d bytes has become %.60q… of %d bytes, and has to be cut to %d", reason, len(reason), r.Reason, len(r.Reason), len(want))
		}
		if diff := difference(it, r.Item); diff != "" {
			t.Fatalf("a dead item is changed: %s", diff)
		}
		if r.Deliveries != 1 || r.Worker != "storetest" || r.Until.IsZero() {
			t.Fatalf("a dead item has to say how often it was leased, by whom, and when it died: %+v", r)
		}
	}
}

// Fail gives the item to its queue again, and to no other one that its event would go to.
func failDoesNotFanOutAgain(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	c.bind([]queue.Binding{{Queue: "crm", Selector: queue.Name("user.added")}, {Queue: "mail", Selector: queue.Name("user.added")}}, nil)
	c.fanOut("e1", "user.added")
	c.ackAll(c.take("mail", "e1/mail"))
	l := c.take("crm", "e1/crm")[0]
	c.bind([]queue.Binding{{Queue: "late", Selector: queue.All()}}, nil)
	c.settle(l.Fail(0, "on purpose"))
	c.none("others have done their work, or came later", "mail", "late")
	c.take("crm", "e1/crm")
}

// Items of the same event, name and TID are works of their own.
func ackDoesNotTouchSiblingsSameNameTID(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("sibling"), newMaker("cousin")
	same := func(it *queue.Item) { it.Name, it.TID, it.Parent = "user.added", "user 17", "e0" }
	a, b, x := m.make(same), m.make(same), other.make(same)
	c.add(a, b, x)
	ls := c.take(m.queue, a.ID, b.ID)
	c.settle(ls[0].Ack())
	c.settle(ls[1].Release(0))
	l := c.take(m.queue, b.ID)[0]
	c.settle(l.Bury("alone"))
	c.ackAll(c.take(other.queue, x.ID))
	c.wantState(b.ID, queue.StateDead, 0)
}

// Who is dead gets another chance, under the same ID, and with a clean record.
func redriveKeepsIDAndResetsFails(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("redrive")
	dead, waits, leased, gone := m.make(maxFails(2)), m.make(delay(time.Hour)), m.make(due(time.Now().Add(-time.Hour))), m.make()
	c.add(dead)
	for range 2 {
		c.settle(c.take(m.queue, dead.ID)[0].Fail(0, "on purpose"))
	}
	c.add(leased)
	held := c.take(m.queue, leased.ID)[0]
	c.add(waits, gone)
	c.ackAll(c.take(m.queue, gone.ID))
	c.redrive(queue.Query{ID: "nobody"}, 0)
	c.redrive(queue.Query{Queue: m.queue, State: queue.StateLeased}, 0)
	c.redrive(queue.Query{Queue: m.queue}, 2)
	got := map[string]queue.Leased{}
	for _, l := range c.leaseAll(m.queue) {
		got[l.ID] = l
	}
	if len(got) != 2 || got[dead.ID].ID == "" || got[waits.ID].ID == "" {
		t.Fatalf("after Redrive of a dead item, one that waits and one that is leased, %d could be leased: %v", len(got), got)
	}
	if l := got[dead.ID]; l.Fails != 0 {
		t.Fatalf("an item that was redriven has %d fails", l.Fails)
	}
	if diff := difference(dead, got[dead.ID].Item); diff != "" {
		t.Fatalf("an item that was redriven is changed: %s", diff)
	}
	c.settle(held.Ack()) // nothing was done to it
	for range 2 {        // it has all of its fails again
		c.settle(got[dead.ID].Fail(0, "again"))
		if l := c.leaseAll(m.queue); len(l) > 0 {
			got[dead.ID] = l[0]
		}
	}
	c.none("it has failed as often as it may, again", m.queue)
	c.settle(got[waits.ID].Release(0))
	c.take(m.queue, waits.ID)
}

// A query says which, and Limit how many.
func redriveByQuery(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("a"), newMaker("b")
	items := m.some(6, maxFails(1))
	items[1].Name, items[2].TID = "storetest.other", "thing of another"
	c.add(items...)
	c.add(other.some(2)...)
	for _, l := range c.leaseAll(m.queue, other.queue) {
		c.settle(l.Bury("on purpose"))
	}
	wait := m.make(delay(time.Hour))
	c.add(wait)
	for _, q := range []queue.Query{{}, {Limit: 3}, {After: "x"}, {ID: "x", State: "gone"}, {Queue: m.queue, Limit: -1}} {
		_, err := c.tryRedrive(q)
		wantError(t, "Redrive of everything, or of nonsense", err, queue.ErrInvalid)
	}
	c.none("nothing was redriven until now", m.queue, other.queue)
	c.redrive(queue.Query{ID: items[0].ID}, 1)
	c.take(m.queue, items[0].ID)
	c.redrive(queue.Query{Name: "storetest.other"}, 1)
	c.take(m.queue, items[1].ID)
	c.redrive(queue.Query{TID: "thing of another", Queue: m.queue}, 1)
	c.take(m.queue, items[2].ID)
	c.redrive(queue.Query{Queue: m.queue, State: queue.StateDead, Limit: 2}, 2)
	if got := c.leaseAll(m.queue); len(got) != 2 {
		t.Fatalf("after Redrive with Limit 2 %s could be leased", leasedNames(got))
	}
	c.redrive(queue.Query{Queue: m.queue, State: queue.StatePending}, 1)
	c.take(m.queue, wait.ID)
	c.redrive(queue.Query{State: queue.StateDead}, 3)
	if got := c.leaseAll(m.queue, other.queue); len(got) != 3 {
		t.Fatalf("after Redrive of all that was dead %s could be leased", leasedNames(got))
	}
}

// Reap takes back what has expired: all of it, once.
func reapTakesBack(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("a"), newMaker("b")
	const ttl = time.Second
	items := append(other.some(3), m.some(1200)...)
	c.add(items...)
	c.reapExpect(0, "nothing is leased")
	n := len(items) - len(c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 5})) // those stay leased
	var ls []queue.Leased
	// However slow the engine is, no lease is over before the last one is had.
	for begun := time.Now(); len(ls) < n && (len(ls) < 3 || time.Since(begun) < ttl/2); {
		got := c.lease(queue.LeaseRequest{Queues: []string{m.queue, other.queue}, Max: 2000, TTL: ttl})
		if len(got) == 0 {
			t.Fatalf("%d of %d items could be leased", len(ls), n)
		}
		ls = append(ls, got...)
	}
	c.expiredAt(ls)
	c.reapExpect(len(ls), "all those leases have expired")
	c.reapExpect(0, "they were taken back")
	c.lost("of a lease that was taken back", ls[0].Ack())
	for _, l := range c.take(other.queue, idsOf(items[:3])...) {
		if l.Fails != 1 || l.Deliveries != 2 {
			t.Fatalf("%s was taken back once, and has Fails %d and Deliveries %d", l.ID, l.Fails, l.Deliveries)
		}
	}
}

// expiredAt is expired for leases of a second.
func (c *client) expiredAt(ls []queue.Leased) {
	c.t.Helper()
	if _, ok := c.Store.(queue.Clock); ok {
		c.expired(ls...)
		return
	}
	<-time.After(time.Second)
}

func (c *client) reapExpect(want int, why string) {
	c.t.Helper()
	if n := c.reap(); n != want {
		c.t.Fatalf("Reap has taken back %d, and has to take back %d: %s", n, want, why)
	}
}

// An item whose lease has expired once too often is dead, and so it is for everybody.
func reapKillsAfterMaxFails(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("kill")
	var with []func(*queue.Item)
	if c.Caps().Unique {
		with = append(with, key("k"))
	}
	if c.Caps().Serial {
		with = append(with, serialOf("s"))
	}
	it := m.make(append(with, maxFails(1))...)
	c.add(it)
	c.expired(c.takeFor(shortest, m.queue, it.ID)...)
	c.reapExpect(1, "one lease has expired")
	c.none("it is dead", m.queue)
	c.wantState(it.ID, queue.StateDead, 1)
	next := m.make(with...)
	c.add(next)
	c.take(m.queue, next.ID)
}
