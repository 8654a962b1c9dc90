package storetest

import (
	"context"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// What a client can do with a store that is more than a Store. A test that calls these needs the ability.

func (c *client) tryFind(q queue.Query) ([]queue.Record, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Find", func(ctx context.Context) ([]queue.Record, error) {
		return c.Store.(queue.Finder).Find(ctx, q)
	})
}

func (c *client) find(q queue.Query) []queue.Record {
	c.t.Helper()
	got, err := c.tryFind(q)
	if err != nil {
		c.t.Fatalf("Find %+v: %v", q, err)
	}
	for _, r := range got {
		if r.Delay != 0 || r.Due.IsZero() || r.Cursor == "" {
			c.t.Fatalf("Find has brought %s with Due %v, Delay %v and Cursor %q: it has to have a Due and Cursor, and no Delay", r.ID, r.Due, r.Delay, r.Cursor)
		}
	}
	return got
}

// record returns the only item of an ID.
func (c *client) record(id string) queue.Record {
	c.t.Helper()
	got := c.find(queue.Query{ID: id})
	if len(got) != 1 {
		c.t.Fatalf("Find by the ID %q has brought %d items", id, len(got))
	}
	if got[0].ID != id {
		c.t.Fatalf("Find by the ID %q has brought %q", id, got[0].ID)
	}
	return got[0]
}

// wantState fails the test if an item does not stand as it has to. Without a Finder it is not looked at.
func (c *client) wantState(id string, state queue.State, fails int) {
	c.t.Helper()
	if _, ok := c.Store.(queue.Finder); !ok {
		return
	}
	if r := c.record(id); r.State != state || r.Fails != fails {
		c.t.Fatalf("item %s is %s with %d fails, and has to be %s with %d", id, r.State, r.Fails, state, fails)
	}
}

// wantGone fails the test if an item is still there. Without a Finder it is not looked at.
func (c *client) wantGone(id string) {
	c.t.Helper()
	if _, ok := c.Store.(queue.Finder); !ok {
		return
	}
	if got := c.find(queue.Query{ID: id}); len(got) > 0 {
		c.t.Fatalf("item %s is still there, %s", id, got[0].State)
	}
}

func (c *client) tryRemove(q queue.Query) (int, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Remove", func(ctx context.Context) (int, error) {
		return c.Store.(queue.Finder).Remove(ctx, q)
	})
}

func (c *client) remove(q queue.Query, want int) {
	c.t.Helper()
	if n, err := c.tryRemove(q); err != nil || n != want {
		c.t.Fatalf("Remove %+v: %d, %v, and has to be %d", q, n, err, want)
	}
}

func (c *client) tryRedrive(q queue.Query) (int, error) {
	c.t.Helper()
	return bounded(c.t, patience, "Redrive", func(ctx context.Context) (int, error) {
		return c.Store.(queue.Redriver).Redrive(ctx, q)
	})
}

func (c *client) redrive(q queue.Query, want int) {
	c.t.Helper()
	if n, err := c.tryRedrive(q); err != nil || n != want {
		c.t.Fatalf("Redrive %+v: %d, %v, and has to be %d", q, n, err, want)
	}
}

func (c *client) stats() queue.Stats {
	c.t.Helper()
	s, err := bounded(c.t, patience, "Stats", c.Store.(queue.Statter).Stats)
	if err != nil {
		c.t.Fatalf("Stats: %v", err)
	}
	return s
}

func (c *client) now() time.Time {
	c.t.Helper()
	now, err := bounded(c.t, patience, "Now", c.Store.(queue.Clock).Now)
	if err != nil {
		c.t.Fatalf("Now: %v", err)
	}
	return now
}

func (c *client) reap() int {
	c.t.Helper()
	n, err := bounded(c.t, patience, "Reap", c.Store.(queue.Maintainer).Reap)
	if err != nil {
		c.t.Fatalf("Reap: %v", err)
	}
	return n
}

func (c *client) tryEnqueueAt(rev queue.Rev, items ...queue.Item) ([]queue.Enqueued, error) {
	c.t.Helper()
	return bounded(c.t, patience, "EnqueueAt", func(ctx context.Context) ([]queue.Enqueued, error) {
		return c.Store.(queue.RevEnqueuer).EnqueueAt(ctx, rev, items)
	})
}

// expired waits until a lease is over by the store's clock, of which this is the only proof without a Clock: that Until
// was made by adding the TTL to it.
func (c *client) expired(ls ...queue.Leased) {
	c.t.Helper()
	begun := time.Now()
	var until time.Time
	for _, l := range ls {
		if l.Until.After(until) {
			until = l.Until
		}
	}
	if _, ok := c.Store.(queue.Clock); ok {
		eventually(c.t, "the end of a lease", func() bool { return c.now().After(until) })
		return
	}
	// The clocks may differ, but run at the same pace; a lease of these tests was taken just now.
	<-time.After(time.Until(begun.Add(shortest)))
}

// shortest is the TTL of leases that have to end in a test.
const shortest = 60 * time.Millisecond
