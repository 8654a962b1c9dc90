package storetest

import (
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// wantStats fails the test if these are not the counts, but for OldestReady.
func (c *client) wantStats(want ...queue.QueueStats) queue.Stats {
	c.t.Helper()
	s := c.stats()
	got := slices.Clone(s.Queues)
	for i := range got {
		if got[i].OldestReady.IsZero() != (got[i].Ready == 0) {
			c.t.Fatalf("of the queue %s %d items are ready, the oldest since %v", got[i].Queue, got[i].Ready, got[i].OldestReady)
		}
		got[i].OldestReady = time.Time{}
	}
	if !slices.Equal(got, want) {
		c.t.Fatalf("Stats are %+v, and have to be %+v", got, want)
	}
	return s
}

// The counts are those of what was done, at every time.
func statsMatchGroundTruth(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	c.wantStats()
	a, b := newMaker("a"), newMaker("b")
	truth := map[string]*queue.QueueStats{a.queue: {Queue: a.queue}, b.queue: {Queue: b.queue}}
	check := func() {
		t.Helper()
		var want []queue.QueueStats
		for _, q := range truth {
			if *q != (queue.QueueStats{Queue: q.Queue}) {
				want = append(want, *q)
			}
		}
		sort.Slice(want, func(i, j int) bool { return want[i].Queue < want[j].Queue })
		c.wantStats(want...)
	}
	seed := random(t)
	for range 12 {
		m := []*maker{a, b}[seed.IntN(2)]
		q := truth[m.queue]
		n := 1 + seed.IntN(5)
		c.add(m.some(n)...)
		q.Ready += n
		if seed.IntN(2) == 0 {
			c.add(m.make(delay(time.Hour)))
			q.Delayed++
		}
		ls := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 1 + seed.IntN(4)})
		q.Ready, q.Leased = q.Ready-len(ls), q.Leased+len(ls)
		for _, l := range ls {
			switch seed.IntN(7) {
			case 0:
				continue // keeps it
			case 1:
				c.settle(l.Ack())
			case 2:
				c.settle(l.Fail(0, "on purpose"))
				q.Ready++
			case 3:
				c.settle(l.Fail(time.Hour, "on purpose"))
				q.Delayed++
			case 4:
				c.settle(l.Release(0))
				q.Ready++
			case 5:
				c.settle(l.Bury("on purpose"))
				q.Dead++
			case 6:
				c.settle(l.Release(time.Hour))
				q.Delayed++
			}
			q.Leased--
		}
		check()
	}
	if _, ok := c.Store.(queue.Redriver); ok {
		for _, q := range truth {
			c.redrive(queue.Query{Queue: q.Queue}, q.Dead+q.Delayed)
			q.Ready, q.Dead, q.Delayed = q.Ready+q.Dead+q.Delayed, 0, 0
		}
		check()
	}
	if _, ok := c.Store.(queue.Finder); ok {
		for _, q := range truth {
			c.remove(queue.Query{Queue: q.Queue}, q.Ready+q.Dead+q.Delayed)
			q.Ready, q.Dead, q.Delayed = 0, 0, 0
		}
		check()
	}
}

// Queues that only have bindings are there, and what waits becomes ready by itself.
func statsOfBindingsAndTimes(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("m")
	empty := queue.Binding{Queue: "empty", Selector: queue.All()}
	c.bind([]queue.Binding{empty, {Queue: m.queue, Selector: queue.All()}}, nil)
	c.wantStats(queue.QueueStats{Queue: "empty"}, queue.QueueStats{Queue: m.queue})
	old := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	before := time.Now()
	c.add(m.make(), m.make(due(old)), m.make(due(old.Add(time.Hour))), m.make(delay(100*time.Millisecond)))
	eventually(t, "an item that waits to be ready", func() bool {
		q := c.stats().Queues[1]
		return q.Ready == 4 && q.Delayed == 0
	})
	if had := time.Since(before); had < 80*time.Millisecond {
		t.Fatalf("an item with a delay of 100 ms is ready after %v", had)
	}
	s := c.wantStats(queue.QueueStats{Queue: "empty"}, queue.QueueStats{Queue: m.queue, Ready: 4})
	if got := s.Queues[1].OldestReady; !near(got, old) {
		t.Fatalf("the oldest item is due since %v, and Stats say %v", old, got)
	}
	if _, ok := c.Store.(queue.Clock); ok {
		if now := c.now(); s.Now.After(now) || now.Sub(s.Now) > time.Minute {
			t.Fatalf("the clock of Stats is at %v, and Now says %v after it", s.Now, now)
		}
	}
	ls := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 4, TTL: shortest})
	c.expired(ls...)
	c.wantStats(queue.QueueStats{Queue: "empty"}, queue.QueueStats{Queue: m.queue, Ready: 4 - len(ls), Leased: len(ls)}) // nobody has taken them back
	c.ackAll(c.leaseAll(m.queue))
	c.bind(nil, []queue.Binding{empty})
	c.wantStats(queue.QueueStats{Queue: m.queue})
}
