package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A store that cannot prolong leases says so, and the lease is as it was.
func withoutExtend(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("fixed")
	l := c.takeAdded(m.make())[0]
	errs, err := c.trySettle(l.Extend(long))
	if err == nil && len(errs) == 1 {
		err = errs[0]
	}
	wantError(t, "Extend without Caps.Extend", err, queue.ErrUnsupported)
	c.settle(l.Ack())
}

// Wrong credentials are told apart from no connection, and not told to anybody.
func denied(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	good := e.client(t)
	m := newMaker("denied")
	l := good.takeAdded(m.make())[0]
	c := e.use(t, e.Deny(t))
	for range 2 {
		for _, f := range methods(c.Store, m.make(), l) {
			if f.name == "Wait" {
				continue // may not have asked anybody
			}
			err := call(t, patience, f.name, f.do)
			wantError(t, f.name+" with wrong credentials", err, queue.ErrDenied)
			if errors.Is(err, queue.ErrDisconnected) {
				t.Fatalf("%s with wrong credentials is ErrDisconnected as well, on which one tries again: %v", f.name, err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "wr0ng-secret") {
					t.Fatalf("%s with wrong credentials has the password in its error: %v", f.name, e)
				}
			}
		}
	}
	if text := fmt.Sprintf("%v %+v %s", c.Store, c.Store, c.Store); strings.Contains(text, "wr0ng-secret") {
		t.Fatalf("the store has the password in its text: %s", text)
	}
	good.settle(l.Ack())
}

// An engine that cannot write says what is wrong, and that is not the wire. When it can again it goes on.
func broken(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("broken")
	before, during := m.some(2), m.some(3)
	c.add(before...)
	l := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1})[0]
	mend := e.Break(t)
	mended := false
	defer func() {
		if !mended {
			mend()
		}
	}()
	for range 3 {
		_, err := c.tryEnqueue(during...)
		if !isAny(err, queue.ErrFull, queue.ErrDenied) {
			t.Fatalf("Enqueue on an engine that is there and cannot write: %v, and has to be ErrFull or ErrDenied", err)
		}
		if isAny(err, queue.ErrDisconnected, queue.ErrClosed, queue.ErrInvalid, queue.ErrTooLarge) {
			t.Fatalf("Enqueue on an engine that is there and cannot write is something else as well: %v", err)
		}
	}
	if errs, err := c.trySettle(l.Ack()); err == nil && errs[0] == nil {
		c.wantGone(l.ID) // what frees room may be possible: then it is so
	} else {
		mend()
		mended = true
		c.settle(l.Ack())
	}
	if !mended {
		mend()
		mended = true
	}
	c.add(during...) // again, with the same IDs: nothing was stored
	c.take(m.queue, append([]string{before[1].ID}, idsOf(during)...)...)
}

// What one client has done another one sees, and can go on with.
func twoClients(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	a, b := e.client(t), e.client(t)
	m := newMaker("two")
	items := m.some(3)
	a.add(items[0])
	b.add(items[1:]...)
	b.wantStatus(items[0], queue.Duplicate, items[0].ID, "which another client has enqueued")
	ls := a.take(m.queue, idsOf(items)...)
	b.none("another client has them", m.queue)
	if a.Caps().Fenced {
		b.settle(ls[0].Ack())
		a.lost("of a lease that another client has settled", ls[0].Ack())
		b.settle(ls[1].Release(0))
		a.lost("of a lease that another client has settled", ls[1].Ack())
	} else {
		a.settle(ls[0].Ack(), ls[1].Release(0))
	}
	b.wantGone(items[0].ID)
	got := b.takeFor(shortest, m.queue, items[1].ID)
	b.expired(got...)
	if again := a.take(m.queue, items[1].ID); again[0].Fails != 1 {
		t.Fatalf("an item whose lease by another client has expired has Fails %d", again[0].Fails)
	}
	if err := b.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	a.settle(ls[2].Ack()) // the other one's end is nothing to this one
}

// Clients that come at the same time, to a store in which nobody has been, do not disturb each other.
func firstUseByMany(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	m := newMaker("first")
	const clients = 8
	var cs []*client
	for range clients {
		cs = append(cs, e.client(t))
	}
	items := m.some(clients)
	var jobs sync.WaitGroup
	errs := make([]error, clients)
	for i, c := range cs {
		jobs.Go(func() { errs[i] = methods(c.Store, items[i], queue.Leased{})[0].do(t.Context()) })
	}
	jobs.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("the first calls of %d clients at once: %v", clients, err)
	}
	if got := cs[0].leaseAll(m.queue); len(got) != clients {
		t.Fatalf("%d clients have enqueued one item each at once, and %s could be leased", clients, leasedNames(got))
	}
}

// What a durable store has answered is there when it is opened again.
func keptWhenOpenedAgain(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	k := keep(c)
	if err := c.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	k.check(e.client(t))
}

// kept is what a test has stored before something happens to the engine.
type kept struct {
	m                                           *maker
	pending, delayed, gone, failed, dead, keyed queue.Item
	leased                                      queue.Leased
	bound                                       queue.Binding
	rev                                         queue.Rev
}

func keep(c *client) *kept {
	c.t.Helper()
	m := newMaker("kept")
	k := &kept{m: m, pending: m.make(priority(1)), delayed: m.make(delay(time.Hour)), gone: m.make(), failed: m.make(), dead: m.make(), keyed: m.make(delay(time.Hour))}
	if c.Caps().Unique {
		k.keyed.Key = "k"
	}
	leased := m.make()
	c.add(k.gone, k.failed, k.dead, leased)
	ls := c.take(m.queue, k.gone.ID, k.failed.ID, k.dead.ID, leased.ID)
	c.settle(ls[0].Ack(), ls[1].Fail(0, "before"), ls[2].Bury("before"))
	k.leased = ls[3]
	c.add(k.pending, k.delayed, k.keyed)
	k.bound = queue.Binding{Queue: m.queue, Selector: queue.Regexp("^a")}
	k.rev = c.bind([]queue.Binding{k.bound, {Queue: m.queue, Selector: queue.All()}}, nil)
	k.rev = c.bind(nil, []queue.Binding{{Queue: m.queue, Selector: queue.All()}})
	return k
}

func (k *kept) check(c *client) {
	c.t.Helper()
	if rev := c.wantBindings("from before", k.bound); rev != k.rev {
		c.t.Fatalf("the revision of the bindings was %d, and is %d", k.rev, rev)
	}
	c.wantGone(k.gone.ID)
	c.wantState(k.dead.ID, queue.StateDead, 0)
	c.wantState(k.leased.ID, queue.StateLeased, 0)
	c.found(k.pending)
	c.found(k.delayed)
	for _, it := range []queue.Item{k.pending, k.delayed, k.failed, k.dead, k.keyed, k.leased.Item} {
		it.Key = ""
		c.wantThere(it)
	}
	if c.Caps().Unique {
		c.wantStatus(k.m.make(key("k")), queue.Duplicate, k.keyed.ID, "whose key is held since before")
	}
	ls := c.take(k.m.queue, k.pending.ID, k.failed.ID)
	if ls[1].Fails != 1 || ls[1].Deliveries != 2 {
		c.t.Fatalf("an item that had failed once before has Fails %d and Deliveries %d", ls[1].Fails, ls[1].Deliveries)
	}
	for _, l := range ls {
		if l.Receipt == k.leased.Receipt {
			c.t.Fatalf("the receipt %q was had before", l.Receipt)
		}
	}
	c.ackAll(ls)
	if c.Caps().Fenced {
		c.settle(k.leased.Ack())
		c.wantGone(k.leased.ID)
	}
}
