package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A worker that is killed with items in its hands loses none of them: when their leases are over others have them.
func killWorkerMidHandler(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	m := newMaker("killed")
	items := m.some(3, maxFails(-1))
	const ttl = 300 * time.Millisecond
	c := e.client(t)
	multi := c.Caps().MultiProcess
	if c.add(items...); !multi {
		c.close()
	}
	for round := range 3 {
		h := NewHistory()
		worker := e.start(t, h, job{Do: "hang", Worker: worker{Name: "to be killed", Queues: []string{m.queue}}, TTL: ttl})
		worker.begin()
		eventually(t, "a child process to lease", func() bool {
			worker.says(0)
			return h.leased() > 0
		})
		worker.kill()
		if !multi {
			c = e.client(t)
		}
		begun := time.Now()
		had := map[string]bool{}
		for len(had) < len(items) {
			for _, l := range c.lease(queue.LeaseRequest{Queues: []string{m.queue}, Max: 10}) {
				if had[l.ID] = true; l.Fails != round+1 && l.Fails != round {
					t.Fatalf("after %d workers with %s were killed it has %d fails", round+1, l.ID, l.Fails)
				}
				c.settle(l.Release(time.Millisecond))
			}
			if time.Since(begun) > ttl+e.late()+patience/2 {
				t.Fatalf("%v after a worker with %d items was killed, whose lease was for %v, only %d can be leased", time.Since(begun), len(items), ttl, len(had))
			}
			c.waitOrPause(m.queue)
		}
		if late := time.Since(begun) - ttl; late > 3*e.late() {
			t.Fatalf("the items of a worker that was killed could be leased %v after the end of its leases", late)
		}
		for _, it := range items {
			if !had[it.ID] {
				t.Fatalf("%s was not leased again after its worker was killed", it.ID)
			}
		}
		if round < 2 && !multi {
			c.close()
		}
	}
}

// leased returns how many items were leased.
func (h *History) leased() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acts {
		n += len(a.Leased)
	}
	return n
}

// A producer that is killed when its items are stored, and before it knows, enqueues them again: each is there once.
func killProducerAfterCommitBeforeReply(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	m := newMaker("producer")
	batch := m.some(7)
	for i := range batch {
		if i > 0 && e.uniqueKeys(t) {
			batch[i].Key = fmt.Sprint("k", i)
		}
	}
	for range 2 {
		producer := e.start(t, NewHistory(), job{Do: "die", Items: batch})
		producer.begin()
		producer.ends()
		if producer.cmd.ProcessState.Exited() {
			producer.fail("was to be killed by itself, after Enqueue, and has ended with " + producer.cmd.ProcessState.String())
		}
	}
	c := e.client(t)
	for i, got := range c.enqueue(batch...) {
		if got != (queue.Enqueued{ID: batch[i].ID, Status: queue.Duplicate}) {
			t.Fatalf("%s was enqueued by a producer that was killed after that, and the retry is %v %q", batch[i].ID, got.Status, got.ID)
		}
	}
	for _, l := range c.take(m.queue, idsOf(batch)...) {
		if l.Deliveries != 1 {
			t.Fatalf("%s is leased for the first time, and has Deliveries %d", l.ID, l.Deliveries)
		}
		c.settle(l.Ack())
	}
	c.none("each of the items was there once", m.queue)
}

// uniqueKeys asks the store, and closes it: others may have to open it.
func (e Engine) uniqueKeys(t testing.TB) bool {
	t.Helper()
	s := e.Open(t, "")
	defer s.Close(t.Context())
	return s.Caps().Unique
}

// Processes that enqueue, lease and settle are killed again and again, at any moment, and nothing is lost, done twice, or
// torn. With a store in the process itself, that is the store's death.
func killStoreProcessLoop(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	n := kills()
	if e.Server != "" {
		n = max(5, n/10) // the store is in the server: F6RestartServer kills that
	}
	seed := random(t)
	h := NewHistory()
	c := e.client(t)
	queues := []string{"kill-a", "kill-b"}
	proto := c.newWorker("", queues, seed)
	multi := c.Caps().MultiProcess
	if c.none("nothing was enqueued", queues...); !multi {
		c.close()
	}
	children := 0
	start := func() *child {
		w := *proto
		w.Name, w.Seed = fmt.Sprint("child", children), seed.Uint64()
		children++
		return e.start(t, h, job{Do: "work", Worker: w})
	}
	begun := time.Now()
	current, next := start(), start() // one is always ready, so that nobody waits for the start of a process
	current.begin()
	for range n {
		current.says(6 + seed.IntN(8))
		if multi { // another one is at work meanwhile
			next.begin()
		}
		pause(seed, 15*time.Millisecond)
		current.kill()
		if !multi {
			next.begin()
		}
		current, next = next, start()
	}
	next.kill()
	current.says(1)
	current.stop()
	t.Logf("%d processes were killed in %v", n, time.Since(begun).Round(time.Millisecond))
	if !multi {
		c = e.client(t)
	}
	c.settleAll(h, queues...)
}

// pause waits for a random time.
func pause(seed *rand.Rand, most time.Duration) {
	<-time.After(time.Duration(seed.Int64N(int64(most))))
}
