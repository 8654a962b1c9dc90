package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A lease is settled at the moment at which it is taken back: one of the two has happened, never both, and never
// neither.
func reaperRacesAck(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	reaper := c.another()
	m := newMaker("race")
	seed := random(t)
	acked, back := 0, 0
	for range 12 {
		items := m.some(40, maxFails(-1))
		c.add(items...)
		until := time.Now().Add(40 * time.Millisecond)
		ls := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: len(items), TTL: 40 * time.Millisecond})
		if len(ls) == 0 {
			t.Fatalf("Lease has brought none of %d items", len(items))
		}
		order := seed.Perm(len(ls))
		var reaped atomic.Int64
		results := make([]error, len(ls))
		stop := make(chan struct{})
		var reaping sync.WaitGroup
		reaping.Go(func() {
			for {
				n, err := reaper.Store.(queue.Maintainer).Reap(context.Background())
				if err != nil {
					return // the others say what is wrong
				}
				reaped.Add(int64(n))
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		<-time.After(time.Until(until) - time.Duration(seed.Int64N(int64(10*time.Millisecond))))
		atOnce(t, 4, func(ctx context.Context, i int) error {
			for k := i; k < len(order); k += 4 {
				errs, err := c.Settle(ctx, []queue.Settlement{ls[order[k]].Ack()})
				if err != nil {
					return err
				}
				results[order[k]] = errs[0]
			}
			return nil
		})
		c.expired(ls...)
		eventually(t, "what was not acknowledged to be taken back", func() bool {
			n, err := reaper.Store.(queue.Maintainer).Reap(context.Background())
			if err != nil {
				t.Fatalf("Reap: %v", err)
			}
			reaped.Add(int64(n))
			return n == 0
		})
		close(stop)
		reaping.Wait()
		expired, done := map[string]bool{}, map[string]bool{} // of the rest Lease has not brought anything: it may
		for i, err := range results {
			switch {
			case err == nil:
				acked++
				done[ls[i].ID] = true
				c.wantGone(ls[i].ID)
			case errors.Is(err, queue.ErrLeaseLost):
				back++
				expired[ls[i].ID] = true
			default:
				t.Fatalf("Ack of %s: %v", ls[i].ID, err)
			}
		}
		if got := int(reaped.Load()); got != len(expired) {
			t.Fatalf("of %d leases %d were acknowledged and %d were not, and Reap says that it has taken back %d", len(ls), len(done), len(expired), got)
		}
		left := slices.DeleteFunc(idsOf(items), func(id string) bool { return done[id] })
		again := c.take(m.queue, left...)
		for _, l := range again {
			if expired[l.ID] && (l.Fails != 1 || l.Deliveries != 2) {
				t.Fatalf("%s was taken back once, and has Fails %d and Deliveries %d", l.ID, l.Fails, l.Deliveries)
			}
		}
		c.ackAll(again)
	}
	t.Logf("%d leases were settled before, and %d after they were taken back", acked, back)
}

// However many take back at the same time, a lease that has expired is one fail.
func twoReapers(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	clients := []*client{c, c.another()}
	m := newMaker("reapers")
	items := m.some(60, maxFails(3))
	c.add(items...)
	for round := 1; round <= 3; round++ {
		var ls []queue.Leased
		for len(ls) < len(items) {
			got := c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: len(items), TTL: 400 * time.Millisecond})
			if len(got) == 0 {
				t.Fatalf("in round %d %d of %d items could be leased", round, len(ls), len(items))
			}
			for _, l := range got {
				if l.Fails != round-1 {
					t.Fatalf("%s has expired %d times, and has %d fails", l.ID, round-1, l.Fails)
				}
			}
			ls = append(ls, got...)
		}
		c.reapedAt(ls)
		var n atomic.Int64
		atOnce(t, 6, func(ctx context.Context, i int) error {
			for range 3 {
				k, err := clients[i%2].Store.(queue.Maintainer).Reap(ctx)
				if err != nil {
					return err
				}
				n.Add(int64(k))
			}
			return nil
		})
		if got := int(n.Load()); got != len(items) {
			t.Fatalf("%d leases have expired, and those who have taken them back say that they were %d", len(items), got)
		}
	}
	c.none("all have failed as often as they may", m.queue)
	for _, it := range items[:5] {
		c.wantState(it.ID, queue.StateDead, 3)
	}
}

// reapedAt waits for the end of leases of 400 ms.
func (c *client) reapedAt(ls []queue.Leased) {
	c.t.Helper()
	if _, ok := c.Store.(queue.Clock); ok {
		c.expired(ls...)
		return
	}
	<-time.After(410 * time.Millisecond)
}

// Workers that stop give back what they have, all at once, and everything is as if they had not begun.
func drainReleasesAll(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	clients := []*client{c, c.another()}
	m := newMaker("drain")
	items := m.some(200, maxFails(1))
	c.add(items...)
	const workers = 10
	held := make([][]queue.Leased, workers)
	lease := func() {
		t.Helper()
		atOnce(t, workers, func(ctx context.Context, i int) error {
			got, err := clients[i%2].Lease(ctx, queue.LeaseRequest{Queues: []string{m.queue}, Max: 20, TTL: long, Worker: fmt.Sprint("w", i)})
			held[i] = append(held[i], got...)
			return err
		})
	}
	for range 2 {
		lease()
		had := 0
		atOnce(t, workers, func(ctx context.Context, i int) error {
			var s []queue.Settlement
			for _, l := range held[i] {
				s = append(s, l.Release(0))
			}
			if len(s) == 0 {
				return nil
			}
			errs, err := clients[i%2].Settle(ctx, s)
			return errors.Join(append(errs, err)...)
		})
		for i := range held {
			had += len(held[i])
			held[i] = nil
		}
		if had == 0 {
			t.Fatal("ten workers at once have leased nothing of 200 items")
		}
	}
	for _, l := range c.take(m.queue, idsOf(items)...) {
		if l.Fails != 0 {
			t.Fatalf("%s was released, and has %d fails", l.ID, l.Fails)
		}
	}
}

// Many workers, on some clients and in some processes, do at random what one can do; then the whole account. What is
// long is so in parts, so that the history fits into memory.
func randomHistory(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	clients := []*client{c, c.another(), c.another()}
	seed := random(t)
	for rest, part := length(), 0; rest > 0; part++ {
		d := min(rest, 10*time.Second)
		rest -= d
		randomPart(c, clients, seed, fmt.Sprint("part", part), d)
	}
}

func randomPart(c *client, clients []*client, seed *rand.Rand, name string, d time.Duration) {
	t := c.t
	h := NewHistory()
	queues := []string{name + "-a", name + "-b", name + "-c"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	const workers = 6
	done := make(chan error, workers)
	for i := range workers {
		w := c.newWorker(fmt.Sprint(name, "w", i), queues, seed)
		go func() { done <- w.workOn(ctx, h.Watch(clients[i%len(clients)].Store), stop) }()
	}
	var other *child
	if c.e.URL != "" && c.Caps().MultiProcess {
		other = c.e.start(t, h, job{Do: "work", Worker: *c.newWorker(name+"child", queues, seed)})
		other.begin()
	}
	select {
	case err := <-done:
		t.Fatalf("a worker has ended: %v", err)
	case <-time.After(d):
	}
	close(stop)
	for range workers {
		if err := receive(t, done, "workers to stop"); err != nil {
			t.Fatalf("a worker has ended: %v", err)
		}
	}
	if other != nil {
		other.stop()
	}
	c.settleAll(h, queues...)
}
