package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Caps can be asked at any time, and tells the same to everybody.
func caps(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	early := c.Caps()
	c.add(newMaker("caps").some(1)...)
	late := c.Caps()
	switch {
	case late.Engine == "" || strings.Contains(late.Engine, ":"):
		t.Fatalf("Caps.Engine is %q: it has to be a name without a colon", late.Engine)
	case late.MaxBytes < 0:
		t.Fatalf("Caps.MaxBytes is %d", late.MaxBytes)
	case early != late:
		t.Fatalf("Caps were %+v before the first call, and are %+v after it", early, late)
	}
	if other := c.another().Caps(); other != late {
		t.Fatalf("two clients of one store claim %+v and %+v", late, other)
	}
}

// Each item has its answer, at its place, and is leased in the order in which it was enqueued.
func enqueueReturnsIDsInOrder(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("order")
	first, second := m.some(1), m.some(50)
	c.add(first...)
	c.add(second...)
	c.ackAll(c.take(m.queue, append(idsOf(first), idsOf(second)...)...))
	c.none("all were acknowledged", m.queue)
}

// No items are no error.
func enqueueEmptyBatch(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	for range 3 {
		c.enqueue()
	}
	got, err := c.tryEnqueue([]queue.Item{}...)
	if err != nil || len(got) != 0 {
		t.Fatalf("Enqueue of no items: %v, %v", got, err)
	}
}

// An ID is known, in whatever queue and state, until its item is acknowledged.
func enqueueSameIDTwiceIsDuplicate(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m, other := newMaker("twice"), newMaker("other")
	it := m.make()
	again := it
	again.Payload = []byte("of the second one")
	elsewhere := again
	elsewhere.Queue = other.queue
	known := func(why string) {
		t.Helper()
		c.wantStatus(again, queue.Duplicate, it.ID, why)
		c.wantStatus(elsewhere, queue.Duplicate, it.ID, why+", from another queue")
	}
	c.add(it)
	known("which is pending")
	l := c.take(m.queue, it.ID)[0]
	if diff := difference(it, l.Item); diff != "" {
		t.Fatalf("a duplicate has changed the item: %s", diff)
	}
	known("which is leased")
	c.settle(l.Bury("to see"))
	known("which is dead")
	c.none("a duplicate is not stored", other.queue)

	// Acknowledged items are forgotten.
	it = m.make()
	c.add(it)
	c.ackAll(c.take(m.queue, it.ID))
	c.add(it)
	c.ackAll(c.take(m.queue, it.ID))
}

// Within one call the first of an ID is the one, and the others find it there. A retry of a call finds all of it.
func enqueueFindsItself(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("itself")
	batch := m.some(4)
	batch[2].ID = batch[0].ID
	want := []queue.Status{queue.Inserted, queue.Inserted, queue.Duplicate, queue.Inserted}
	for round := range 3 {
		for i, got := range c.enqueue(batch...) {
			if got.ID != batch[i].ID || got.Status != want[i] {
				t.Fatalf("item %d of the call, %s, for the %dth time: %v %q, and has to be %v", i, batch[i].ID, round+1, got.Status, got.ID, want[i])
			}
		}
		want = []queue.Status{queue.Duplicate, queue.Duplicate, queue.Duplicate, queue.Duplicate}
	}
	got := c.take(m.queue, batch[0].ID, batch[1].ID, batch[3].ID)
	if diff := difference(batch[0], got[0].Item); diff != "" {
		t.Fatalf("of two items with one ID in a call the first has to be stored: %s", diff)
	}
}

// A call that ends in an error has stored all of its items, or none.
func enqueueBatchAllOrNothing(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("atomic")
	c.enqueue(m.make()) // tables are there
	seed := random(t)
	whole, torn := 0, 0
	for range 25 {
		batch := m.some(60)
		for i := range batch {
			batch[i].TID = batch[0].ID
		}
		ctx, cancel := context.WithCancel(context.Background())
		stop := time.AfterFunc(time.Duration(seed.Int64N(int64(4*time.Millisecond))), cancel)
		_, err := bounded(t, patience, "Enqueue whose context ends", func(context.Context) ([]queue.Enqueued, error) {
			return c.Enqueue(ctx, batch)
		})
		stop.Stop()
		cancel()
		if err == nil {
			whole++
		}
		// What the call has begun may still come to its end.
		n := len(c.find(queue.Query{TID: batch[0].ID, Limit: 1000}))
		if n != 0 && n != len(batch) || err == nil && n == 0 {
			t.Fatalf("%d of %d items are stored after Enqueue has returned %v", n, len(batch), err)
		}
		if err != nil {
			torn++
			for i, got := range c.enqueue(batch...) { // a retry is safe
				if got.ID != batch[i].ID {
					t.Fatalf("a retry: %v %q, and not %q", got.Status, got.ID, batch[i].ID)
				}
			}
			if n := len(c.find(queue.Query{TID: batch[0].ID, Limit: 1000})); n != len(batch) {
				t.Fatalf("%d of %d items are stored after a retry", n, len(batch))
			}
		}
	}
	t.Logf("%d calls were in time, %d were cut short", whole, torn)
}

// An item that makes no sense keeps its whole call back, and the error names what is wrong.
func invalidItemRefused(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("valid")
	longName := strings.Repeat("x", queue.MaxName+1)
	for field, spoil := range map[string]func(*queue.Item){
		"ID is empty":       func(it *queue.Item) { it.ID = "" },
		"Queue is empty":    func(it *queue.Item) { it.Queue = "" },
		"Name is empty":     func(it *queue.Item) { it.Name = "" },
		"ID is long":        func(it *queue.Item) { it.ID = longName },
		"Queue is long":     func(it *queue.Item) { it.Queue = longName },
		"Name is long":      func(it *queue.Item) { it.Name = longName },
		"TID is long":       func(it *queue.Item) { it.TID = longName },
		"Parent is long":    func(it *queue.Item) { it.Parent = longName },
		"Name has a NUL":    func(it *queue.Item) { it.Name = "a\x00b" },
		"TID has a line":    func(it *queue.Item) { it.TID = "a\nb" },
		"ID is not UTF-8":   func(it *queue.Item) { it.ID = "a\xff" },
		"header no name":    func(it *queue.Item) { it.Headers = map[string]string{"": "x"} },
		"headers large":     func(it *queue.Item) { it.Headers = map[string]string{"x": strings.Repeat("x", queue.MaxHeaders)} },
		"header with NUL":   func(it *queue.Item) { it.Headers = map[string]string{"x": "\x00"} },
		"Delay negative":    delay(-1),
		"Delay large":       delay(queue.MaxDelay + 1),
		"Due in year 0":     due(time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)),
		"Due in year 10000": due(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)),
		"Hold without Key":  hold(time.Second),
		"Replace, no Key":   replace,
		"Scope unknown":     func(it *queue.Item) { it.Key, it.Scope = "k", 7 },
	} {
		for at := range 3 {
			batch := m.some(3)
			spoil(&batch[at])
			if _, err := c.tryEnqueue(batch...); !errors.Is(err, queue.ErrInvalid) {
				t.Fatalf("%s: the error is %v, and has to be %v", field, err, queue.ErrInvalid)
			}
		}
	}
	c.none("a call with an item that is not valid stores nothing", m.queue)
}

// MaxBytes bytes pass, and one more keeps the whole call back.
func enqueueMaxSizeAndTooLarge(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("size")
	size := func(n int) queue.Item {
		it := m.make()
		it.Payload = make([]byte, n)
		for i := range it.Payload {
			it.Payload[i] = byte(i * 7)
		}
		return it
	}
	n := c.Caps().MaxBytes
	over := size(n + 1)
	for _, batch := range [][]queue.Item{{over}, {m.make(), over}, {over, m.make()}} {
		_, err := c.tryEnqueue(batch...)
		wantError(t, "Enqueue of one byte more than Caps.MaxBytes", err, queue.ErrTooLarge)
	}
	c.none("a call with an item that is too large stores nothing", m.queue)
	exact := size(n)
	c.add(exact)
	if diff := difference(exact, c.take(m.queue, exact.ID)[0].Item); diff != "" {
		t.Fatalf("an item of Caps.MaxBytes bytes has come changed: %s", diff)
	}
}

// A call may have many items.
func largeBatch(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("batch")
	items := m.some(1500)
	c.add(items...)
	c.ackAll(c.take(m.queue, idsOf(items)...))
	c.none("all were acknowledged", m.queue)
}

// Many may enqueue at once, and each gets the answers to its own items.
func concurrentEnqueueNoLoss(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	clients := []*client{c, c.another()}
	m := newMaker("many")
	const producers, calls, each = 16, 4, 5
	work := make([][][]queue.Item, producers)
	for p := range work {
		for range calls {
			work[p] = append(work[p], m.some(each))
		}
	}
	atOnce(t, producers, func(ctx context.Context, p int) error {
		for _, batch := range work[p] {
			got, err := clients[p%2].Enqueue(ctx, batch)
			if err != nil {
				return err
			}
			for i, g := range got {
				if g != (queue.Enqueued{ID: batch[i].ID}) {
					return fmt.Errorf("Enqueue of the new item %s: %v %q", batch[i].ID, g.Status, g.ID)
				}
			}
		}
		return nil
	})
	got, place := c.leaseAll(m.queue), map[string]int{}
	for i, l := range got {
		place[l.ID] = i
	}
	if len(got) != producers*calls*each || len(place) != len(got) {
		t.Fatalf("%d items were enqueued, and %d of %d leased ones are different", producers*calls*each, len(place), len(got))
	}
	for _, batches := range work { // what one has enqueued stays in order
		last := -1
		for _, batch := range batches {
			for _, it := range batch {
				if place[it.ID] < last {
					t.Fatalf("%s was leased before what its producer has enqueued earlier", it.ID)
				}
				last = place[it.ID]
			}
		}
	}
}

// atOnce makes n calls at the same time, and they have to succeed. f must not use t.
func atOnce(t testing.TB, n int, f func(ctx context.Context, i int) error) {
	t.Helper()
	if err := call(t, patience, fmt.Sprintf("one of %d calls at once", n), func(ctx context.Context) error {
		var jobs sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			jobs.Go(func() { errs[i] = f(ctx, i) })
		}
		jobs.Wait()
		return errors.Join(errs...)
	}); err != nil {
		t.Fatalf("%d calls at once: %v", n, err)
	}
}

// Items of a transaction are there if it is committed, and when.
func enqueueTxCommitVisibleRollbackInvisible(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("tx")
	c.enqueue(m.make()) // tables are there
	c.ackAll(c.leaseAll(m.queue))
	_, finds := c.Store.(queue.Finder)
	enqueue := func(tx Tx, items ...queue.Item) []queue.Enqueued {
		t.Helper()
		got, err := bounded(t, patience, "EnqueueTx", func(ctx context.Context) ([]queue.Enqueued, error) { return tx.Enqueue(ctx, items) })
		if err != nil || len(got) != len(items) {
			t.Fatalf("EnqueueTx of %d items: %d answers, %v", len(items), len(got), err)
		}
		return got
	}
	unseen := func(it queue.Item) { // Lease might have to wait for the transaction
		t.Helper()
		if finds && len(c.find(queue.Query{ID: it.ID})) > 0 {
			t.Fatalf("item %s is seen before its transaction is committed", it.ID)
		}
	}
	a, b := m.make(), m.make()
	tx := e.Begin(t, c.Store)
	enqueue(tx, a)
	unseen(a)
	if err := tx.Rollback(); err != nil {
		t.Fatalf("rollback: %v", err)
	}
	c.none("the transaction was rolled back", m.queue)

	tx = e.Begin(t, c.Store)
	enqueue(tx, a)
	if got := enqueue(tx, a, b); got[0].Status != queue.Duplicate || got[1].Status != queue.Inserted {
		t.Fatalf("EnqueueTx of an item that the transaction has, and of a new one: %v and %v", got[0].Status, got[1].Status)
	}
	unseen(b)
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	c.wantStatus(a, queue.Duplicate, a.ID, "which was committed")
	c.take(m.queue, a.ID, b.ID)

	tx = e.Begin(t, c.Store)
	bad := m.make(delay(-1))
	if _, err := tx.Enqueue(context.Background(), []queue.Item{m.make(), bad}); !errors.Is(err, queue.ErrInvalid) {
		t.Fatalf("EnqueueTx of an item that is not valid: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatalf("rollback: %v", err)
	}
}
