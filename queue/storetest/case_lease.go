package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Where nothing is, nothing comes, and at once.
func leaseEmptyReturnsNone(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("empty")
	begun := time.Now()
	for range 5 {
		c.none("a queue of which nobody has heard", m.queue)
		c.none("some of them", m.queue, m.queue+"x", m.queue+"y")
	}
	c.ackAll(c.takeAdded(m.make()))
	for range 5 {
		c.none("an empty queue", m.queue)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Fatalf("fifteen calls of Lease have taken %v: it has to answer at once if nothing is due", took)
	}
}

// takeAdded enqueues an item and leases it.
func (c *client) takeAdded(it queue.Item) []queue.Leased {
	c.t.Helper()
	c.add(it)
	return c.take(it.Queue, it.ID)
}

// Not more than Max, but not none if there is something.
func leaseRespectsMax(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("max")
	items := m.some(40)
	c.add(items...)
	var all []queue.Leased
	for _, n := range []int{1, 3, 2, 7, 1, math.MaxInt, math.MaxInt} {
		if len(all) == len(items) {
			break
		}
		got := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: n})
		if len(got) == 0 {
			t.Fatalf("Lease of %d has brought nothing, and %d items are due", n, len(items)-len(all))
		}
		all = append(all, got...)
	}
	all = append(all, c.leaseAll(m.queue)...)
	if !sameIDs(idsOf(items), all) {
		t.Fatalf("Lease has brought %s, and has to bring %s", leasedNames(all), names(items))
	}
}

// Only what was asked for, from one queue or some.
func leaseOnlyRequestedQueues(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	a, b, x := newMaker("a"), newMaker("b"), newMaker("x")
	one, two, not := a.some(3), b.some(3), x.some(3)
	c.add(not...)
	c.add(one...)
	c.add(two...)
	c.none("other queues", a.queue+"x", strings.ToUpper(a.queue), a.queue[:3])
	got := leasedIDs(c.leaseAll(b.queue, a.queue, b.queue))
	if want := append(idsOf(one), idsOf(two)...); !slices.Equal(got, want) {
		t.Fatalf("Lease from two queues, one of them named twice, has brought %s, and has to bring %s", list(got), list(want))
	}
	c.take(x.queue, idsOf(not)...)
}

// A request that makes no sense is refused.
func invalidLeaseRefused(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("request")
	it := m.make()
	c.add(it)
	good := queue.LeaseRequest{Queues: []string{m.queue}, Max: 1, TTL: long}
	for what, spoil := range map[string]func(*queue.LeaseRequest){
		"no queues":        func(r *queue.LeaseRequest) { r.Queues = nil },
		"an empty queue":   func(r *queue.LeaseRequest) { r.Queues = []string{m.queue, ""} },
		"a long queue":     func(r *queue.LeaseRequest) { r.Queues = []string{strings.Repeat("x", queue.MaxName+1)} },
		"Max 0":            func(r *queue.LeaseRequest) { r.Max = 0 },
		"Max -1":           func(r *queue.LeaseRequest) { r.Max = -1 },
		"no TTL":           func(r *queue.LeaseRequest) { r.TTL = 0 },
		"a TTL too short":  func(r *queue.LeaseRequest) { r.TTL = time.Millisecond - 1 },
		"a TTL too long":   func(r *queue.LeaseRequest) { r.TTL = queue.MaxLeaseTTL + 1 },
		"a NUL in Worker":  func(r *queue.LeaseRequest) { r.Worker = "a\x00" },
		"a Worker as long": func(r *queue.LeaseRequest) { r.Worker = strings.Repeat("x", queue.MaxName+1) },
	} {
		r := good
		spoil(&r)
		if got, err := c.tryLease(r); !errors.Is(err, queue.ErrInvalid) {
			t.Fatalf("Lease with %s: %d items and the error %v, which has to be %v", what, len(got), err, queue.ErrInvalid)
		}
	}
	c.take(m.queue, it.ID)
}

// By priority, then by due time, then in the order of enqueueing.
func leaseOrderPriorityDueSeq(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("sort")
	old, older := time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour)
	items := []queue.Item{
		m.make(), m.make(priority(1)), m.make(due(old)), m.make(priority(-128)), m.make(priority(127), due(old)), m.make(priority(1)),
		m.make(due(older)), m.make(due(old)), m.make(priority(127), due(older)), m.make(priority(-1)), m.make(), m.make(priority(1), due(old)),
	}
	c.add(items...)
	var want []string
	for _, i := range []int{8, 4, 11, 1, 5, 6, 2, 7, 0, 10, 9, 3} {
		want = append(want, items[i].ID)
	}
	ls := c.take(m.queue, want...)
	for i := range ls { // once more, one by one, and settled in another order
		c.settle(ls[(i*7)%len(ls)].Release(0))
	}
	for _, id := range want {
		if l := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1}); len(l) != 1 || l[0].ID != id {
			t.Fatalf("Lease of one has brought %s, and has to bring %s", leasedNames(l), id)
		}
	}
}

// The order is over all the queues that are asked for.
func leaseOrderOverQueues(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	a, b, x := newMaker("a"), newMaker("b"), newMaker("x")
	at := func(n int) func(*queue.Item) { return due(time.Date(2020, 1, 1, 0, 0, n, 0, time.UTC)) }
	items := []queue.Item{ // in the order in which they have to come
		b.make(priority(5), at(9)), a.make(priority(4), at(1)), x.make(priority(4), at(2)), b.make(priority(4), at(2)),
		a.make(at(1)), x.make(at(3)), a.make(at(4)), b.make(at(4)), x.make(at(4)), b.make(at(5)), a.make(priority(-3), at(0)),
	}
	for i := len(items) - 1; i >= 0; i-- { // of the same priority and time: in the order of enqueueing
		if i > 0 && items[i].Priority == items[i-1].Priority && items[i].Due.Equal(items[i-1].Due) {
			continue
		}
		n := 1
		for i+n < len(items) && items[i+n].Priority == items[i].Priority && items[i+n].Due.Equal(items[i].Due) {
			n++
		}
		c.add(items[i : i+n]...)
	}
	for _, size := range []int{1000, 1, 4} {
		var got []queue.Leased
		for len(got) < len(items) {
			part := c.lease(queue.LeaseRequest{Queues: []string{a.queue, b.queue, x.queue}, Max: size})
			if len(part) == 0 {
				break
			}
			got = append(got, part...)
		}
		if !sameIDs(idsOf(items), got) {
			t.Fatalf("Lease from three queues, %d at a time, has brought %s, and has to bring %s", size, leasedNames(got), names(items))
		}
		for _, l := range got {
			c.settle(l.Release(0))
		}
	}
}

// However many ask at once, each item is given to one of them.
func concurrentLeaseNoOverlap(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	clients := []*client{c, c.another(), c.another()}
	m := newMaker("overlap")
	items := m.some(e.atMost(320, 2*e.Crowd))
	c.add(items...)
	var mu sync.Mutex
	had := map[string]int{}
	receipts := map[string]bool{}
	atOnce(t, 64, func(ctx context.Context, i int) error {
		for {
			got, err := clients[i%len(clients)].Lease(ctx, queue.LeaseRequest{Queues: []string{m.queue}, Max: 1 + i%5, TTL: long, Worker: fmt.Sprint("w", i)})
			if err != nil || len(got) == 0 {
				return err
			}
			mu.Lock()
			for _, l := range got {
				had[l.ID]++
				receipts[l.Receipt] = true
			}
			mu.Unlock()
		}
	})
	for _, l := range c.leaseAll(m.queue) { // a call beside others may bring none too early
		had[l.ID]++
		receipts[l.Receipt] = true
	}
	for _, it := range items {
		if had[it.ID] != 1 {
			t.Fatalf("item %s was leased %d times at once", it.ID, had[it.ID])
		}
	}
	if len(had) != len(items) || len(receipts) != len(items) {
		t.Fatalf("%d items were leased with %d receipts, and %d were enqueued", len(had), len(receipts), len(items))
	}
}

// When a lease is over, the next call of Lease gives the item to somebody else.
func leaseExpiresAndRedelivers(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("expire")
	items := m.some(3)
	c.add(items...)
	receipts := map[string]bool{}
	for round := range 3 {
		ls := c.takeFor(shortest, m.queue, idsOf(items)...)
		for _, l := range ls {
			if l.Deliveries != round+1 || l.Fails != round {
				t.Fatalf("%s is leased for the %dth time, every lease has expired, and it has Deliveries %d and Fails %d", l.ID, round+1, l.Deliveries, l.Fails)
			}
			if receipts[l.Receipt] {
				t.Fatalf("the receipt %q was had before", l.Receipt)
			}
			receipts[l.Receipt] = true
		}
		c.expired(ls...)
	}
	c.take(m.queue, idsOf(items)...) // at once: it takes back first
}

// A lease lasts as long as it was asked for, and not longer than it has to.
func leaseLasts(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("lasts")
	it := m.make()
	c.add(it)
	const ttl = 400 * time.Millisecond
	begun := time.Now()
	first := c.takeFor(ttl, m.queue, it.ID)[0]
	begin := time.Now()
	again, had := c.takeSoon(long, m.queue, it.ID, "the end of the lease")
	if early := ttl - had.Sub(begun); early > 20*time.Millisecond {
		t.Fatalf("a lease of %v was over %v too early", ttl, early)
	}
	if late := had.Sub(begin) - ttl; late > 3*e.late() {
		t.Fatalf("a lease of %v was over %v too late", ttl, late)
	}
	if gap := again.Until.Sub(first.Until); gap < long-20*time.Millisecond {
		t.Fatalf("the first lease was until %v, and the second, of %v, began after its end and is until %v", first.Until, long, again.Until)
	}
}

// A call whose context has ended leases nothing.
func cancelledContextLeasesNothing(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("cancel")
	items := m.some(3)
	c.add(items...)
	cause := errors.New("the caller has gone")
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	for range 3 {
		_, err := bounded(t, patience, "Lease with a context that has ended", func(context.Context) ([]queue.Leased, error) {
			return c.Lease(gone, queue.LeaseRequest{Queues: []string{m.queue}, Max: 10, TTL: long})
		})
		wantError(t, "Lease with a context that has ended", err, cause)
	}
	for _, l := range c.take(m.queue, idsOf(items)...) {
		if l.Deliveries != 1 {
			t.Fatalf("%s was leased %d times, and only once with a context that had not ended", l.ID, l.Deliveries)
		}
	}
}
