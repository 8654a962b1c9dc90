package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// seedOf returns that of EARSHOT_SEED, or a new one.
func seedOf() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("EARSHOT_SEED"), 10, 64); err == nil {
		return n
	}
	return rand.Uint64()
}

// random returns the choices of a test. The seed is in its log.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := seedOf()
	t.Logf("EARSHOT_SEED=%d repeats the choices of this test", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// What workers use: short enough that a history comes to its end, and long enough that most leases do not expire.
const (
	shortLease = 30 * time.Millisecond
	longLease  = 300 * time.Millisecond
	longDelay  = 30 * time.Millisecond
)

// A worker enqueues, leases and settles at random. Its fields are told to children as JSON.
type worker struct {
	Name   string
	Queues []string
	Seed   uint64
	Mortal bool // items may die: somebody can find them
	Unique bool
	Serial bool
	Extend bool

	store  queue.Store
	bad    bool // ErrDisconnected happens, and means nothing
	rand   *rand.Rand
	n      int
	stale  []queue.Leased // of before
	before []queue.Item   // an Enqueue whose answer was lost
}

// newWorker returns one that does what the store claims.
func (c *client) newWorker(name string, queues []string, seed *rand.Rand) *worker {
	caps := c.Caps()
	_, finds := c.Store.(queue.Finder)
	return &worker{Name: name, Queues: queues, Seed: seed.Uint64(), Mortal: finds, Unique: caps.Unique, Serial: caps.Serial, Extend: caps.Extend, store: c.Store}
}

// workOn sets a worker to work on a store until stop is closed; an error is the store's.
func (w *worker) workOn(ctx context.Context, s queue.Store, stop <-chan struct{}) error {
	w.store, w.rand = s, rand.New(rand.NewPCG(w.Seed, 2))
	for {
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		err := w.step(ctx)
		if err == nil {
			continue
		}
		if !w.bad || !isAny(err, queue.ErrDisconnected) {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-stop:
		}
	}
}

func (w *worker) step(ctx context.Context) error {
	if len(w.before) > 0 || w.rand.IntN(5) < 2 {
		return w.produce(ctx)
	}
	return w.consume(ctx)
}

func (w *worker) queue() string { return w.Queues[w.rand.IntN(len(w.Queues))] }

// produce enqueues some items; again, if nobody knows what became of the last ones.
func (w *worker) produce(ctx context.Context) error {
	items := w.before
	if len(items) == 0 {
		for range 1 + w.rand.IntN(4) {
			items = append(items, w.item())
		}
	}
	w.before = items
	_, err := w.store.Enqueue(ctx, items)
	if err == nil {
		w.before = nil
	}
	return err
}

func (w *worker) item() queue.Item {
	w.n++
	id := fmt.Sprintf("%s-%d", w.Name, w.n)
	it := queue.Item{
		ID: id, Queue: w.queue(), Name: "storetest.work", TID: "of " + w.Name, Payload: []byte("payload of " + id), MaxFails: -1,
		Priority: int8(w.rand.IntN(3)), Headers: map[string]string{"n": strconv.Itoa(w.n)},
	}
	if w.rand.IntN(4) == 0 {
		it.Delay = time.Duration(w.rand.Int64N(int64(longDelay)))
	}
	if w.Mortal && w.rand.IntN(3) == 0 {
		it.MaxFails = 1 + w.rand.IntN(3)
	}
	if w.Unique && w.rand.IntN(6) == 0 {
		it.Key = fmt.Sprint("k", w.rand.IntN(4))
		if w.rand.IntN(3) == 0 {
			it.Scope = queue.UntilLeased
		}
	}
	if w.Serial && w.rand.IntN(4) == 0 {
		it.Serial = fmt.Sprint("s", w.rand.IntN(4))
	}
	return it
}

// consume leases some items and settles them, in time or not, once or again.
func (w *worker) consume(ctx context.Context) error {
	r := queue.LeaseRequest{Queues: []string{w.queue(), w.queue()}, Max: 1 + w.rand.IntN(6), TTL: longLease, Worker: w.Name}
	if w.rand.IntN(4) == 0 {
		r.TTL = shortLease + time.Duration(w.rand.Int64N(int64(longLease-shortLease)))
	}
	ls, err := w.store.Lease(ctx, r)
	if err != nil {
		return err
	}
	var s []queue.Settlement
	for _, l := range ls {
		s = w.settle(s, l)
	}
	if len(w.stale) > 0 && w.rand.IntN(4) == 0 { // one of before, which is settled, or expired
		i := w.rand.IntN(len(w.stale))
		s = append(s, w.stale[i].Ack())
	}
	w.stale = append(w.stale, ls...)
	w.stale = w.stale[max(0, len(w.stale)-20):]
	if len(s) == 0 {
		if len(ls) == 0 {
			<-time.After(time.Millisecond)
		}
		return nil
	}
	_, err = w.store.Settle(ctx, s)
	if err == nil && w.rand.IntN(8) == 0 {
		_, err = w.store.Settle(ctx, s) // once more
	}
	return err
}

func (w *worker) settle(s []queue.Settlement, l queue.Leased) []queue.Settlement {
	after := time.Duration(0)
	if w.rand.IntN(2) == 0 {
		after = time.Duration(w.rand.Int64N(int64(longDelay)))
	}
	switch n := w.rand.IntN(20); {
	case n < 12:
		return append(s, l.Ack())
	case n < 14:
		return append(s, l.Fail(after, "of worker "+w.Name))
	case n < 16:
		return append(s, l.Release(after))
	case n < 17 && w.Mortal:
		return append(s, l.Bury("of worker "+w.Name))
	case n < 18 && w.Extend:
		return append(s, l.Extend(longLease), l.Ack())
	case n < 19 && w.Extend:
		return append(s, l.Extend(longLease)) // and forgets it
	}
	return s // forgets it
}

// settleAll has one client bring a history to its end: it does all that is left in these queues, tells the history what
// is dead, and fails the test if something must not be.
func (c *client) settleAll(h *History, queues ...string) {
	c.t.Helper()
	s := h.Watch(c.Store)
	f, finds := c.Store.(queue.Finder)
	last := time.Now()
	for end := time.Now().Add(2 * patience); ; {
		if time.Now().After(end) {
			text := "some"
			if finds {
				text = recordNames(c.find(queue.Query{State: queue.StatePending})) + ", leased are " + recordNames(c.find(queue.Query{State: queue.StateLeased}))
			}
			c.t.Fatalf("%v after all have stopped there are items that nobody can bring to an end: pending are %s", 2*patience, text)
		}
		ls, err := bounded(c.t, patience, "Lease", func(ctx context.Context) ([]queue.Leased, error) {
			return s.Lease(ctx, queue.LeaseRequest{Queues: queues, Max: 500, TTL: long, Worker: "storetest"})
		})
		if err != nil {
			c.t.Fatalf("Lease of what is left: %v", err)
		}
		if len(ls) > 0 {
			var ack []queue.Settlement
			for _, l := range ls {
				ack = append(ack, l.Ack())
			}
			errs, err := bounded(c.t, patience, "Settle", func(ctx context.Context) ([]error, error) { return s.Settle(ctx, ack) })
			if err != nil {
				c.t.Fatalf("Settle of what is left: %v", err)
			}
			for i, err := range errs {
				if err != nil {
					c.t.Fatalf("Ack of %s, which was leased just now: %v", ls[i].ID, err)
				}
			}
			last = time.Now()
			continue
		}
		if finds {
			if c.alive(queues) == 0 {
				break
			}
		} else if time.Since(last) > 2*longLease {
			break
		}
		<-time.After(3 * time.Millisecond)
	}
	if finds {
		var left []queue.Record
		for _, name := range queues {
			for q := (queue.Query{Queue: name, Limit: 1000}); ; {
				page, err := bounded(c.t, patience, "Find", func(ctx context.Context) ([]queue.Record, error) { return f.Find(ctx, q) })
				if err != nil {
					c.t.Fatalf("Find of what is left: %v", err)
				}
				if len(page) == 0 {
					break
				}
				left, q.After = append(left, page...), page[len(page)-1].Cursor
			}
		}
		h.Left(left)
	}
	c.judge(h)
}

// alive returns how many of these queues have items that are not dead.
func (c *client) alive(queues []string) (n int) {
	c.t.Helper()
	for _, name := range queues {
		for _, state := range []queue.State{queue.StatePending, queue.StateLeased} {
			n += len(c.find(queue.Query{Queue: name, State: state, Limit: 1}))
		}
	}
	return n
}

// judge fails the test with what is wrong with a history.
func (c *client) judge(h *History) {
	c.t.Helper()
	wrongs := h.Check(c.Caps())
	for _, wrong := range wrongs[:min(len(wrongs), 10)] {
		c.t.Error(wrong)
	}
	c.t.Logf("%d items were acknowledged in %d calls", h.Acknowledged(), h.calls())
	if len(wrongs) > 0 {
		c.t.Fatalf("%d things must not be in this history", len(wrongs))
	}
}
