package memstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/stretchr/testify/require"
)

// Whatever is done to it in whatever order, the store answers what the plain one does.
func TestRandom(t *testing.T) {
	rounds, seed := 40, rand.Uint64()
	if text := os.Getenv("EARSHOT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		rounds = 1
	}
	for range rounds {
		t.Run(fmt.Sprint("EARSHOT_SEED=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &random{
					T: t, Rand: rand.New(rand.NewPCG(seed, 0)), s: memstore.New(nil),
					plain: plain{keys: map[[2]string]*plainKey{}}, receipts: map[string]bool{},
				}
				for range 400 {
					r.step()
				}
				r.same()
			})
		})
		seed = rand.Uint64()
	}
}

type random struct {
	*testing.T
	*rand.Rand
	s        *memstore.Store
	plain    plain
	ids      int
	leased   []queue.Leased // those of before as well
	receipts map[string]bool
}

func (r *random) step() {
	switch now, n := time.Now().UTC(), r.IntN(100); {
	case n < 35:
		r.enqueue(now)
	case n < 60:
		r.lease(now)
	case n < 80:
		r.settle(now)
	case n < 84:
		q := r.query()
		q.Limit = r.IntN(3)
		got, err := r.s.Remove(ctx, q)
		require.NoError(r, err)
		require.Equal(r, r.plain.remove(q), got, "Remove %+v", q)
	case n < 88:
		q := r.query()
		q.Limit = r.IntN(3)
		got, err := r.s.Redrive(ctx, q)
		require.NoError(r, err)
		require.Equal(r, r.plain.redrive(q, now), got, "Redrive %+v", q)
	case n < 90:
		got, err := r.s.Reap(ctx)
		require.NoError(r, err)
		require.Equal(r, r.plain.reap(nil, now), got)
	case n < 94:
		time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
	case n < 97:
		r.wait()
	default:
		r.same()
	}
}

func (r *random) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r *random) queues() []string {
	return [][]string{{"a"}, {"b"}, {"a", "b"}, {"b", "a", "b"}, {"c", "a"}}[r.IntN(5)]
}

func (r *random) item() queue.Item {
	r.ids++
	it := queue.Item{
		ID: fmt.Sprint("i", r.ids), Queue: r.pick("a", "a", "b"), Name: r.pick("n", "m"), TID: r.pick("", "t"),
		Payload: []byte(fmt.Sprint(r.ids)), Priority: []int8{0, 0, 0, 1, -1, 127, -128}[r.IntN(7)],
		MaxFails: []int{0, 1, 2, -1}[r.IntN(4)], Serial: r.pick("", "", "s", "t"),
	}
	switch r.IntN(4) {
	case 0:
		it.Delay = time.Duration(r.IntN(5)) * time.Second
	case 1:
		it.Due = time.Now().UTC().Add(time.Duration(r.IntN(10)-5) * time.Second)
	}
	if r.IntN(10) == 0 {
		it.ID = fmt.Sprint("i", r.IntN(r.ids))
	}
	if r.IntN(3) == 0 {
		it.Key, it.Scope, it.Replace = r.pick("k", "l"), queue.Scope(r.IntN(2)), r.IntN(2) == 0
		it.Hold = time.Duration(r.IntN(3)) * time.Second
	}
	return it
}

func (r *random) enqueue(now time.Time) {
	var items []queue.Item
	var want []queue.Enqueued
	for range 1 + r.IntN(3) {
		it := r.item()
		items = append(items, it)
		want = append(want, r.plain.enqueue(it, now))
	}
	got, err := r.s.Enqueue(ctx, items)
	require.NoError(r, err)
	require.Equal(r, want, got)
}

func (r *random) lease(now time.Time) []queue.Leased {
	request := queue.LeaseRequest{
		Queues: r.queues(), Max: 1 + r.IntN(4), TTL: time.Duration(1+r.IntN(5000)) * time.Millisecond, Worker: r.pick("v", "w"),
	}
	return r.leaseThis(request, now)
}

func (r *random) leaseThis(request queue.LeaseRequest, now time.Time) []queue.Leased {
	got, err := r.s.Lease(ctx, request)
	require.NoError(r, err)
	want := r.plain.lease(request, now)
	require.Len(r, got, len(want), "%+v", request)
	for i, l := range got {
		w := want[i]
		require.Equal(r, queue.Leased{Item: w.Item, Receipt: l.Receipt, Until: w.Until, Deliveries: w.Deliveries, Fails: w.Fails}, l)
		require.False(r, r.receipts[l.Receipt], "the receipt %s was there before", l.Receipt)
		r.receipts[l.Receipt] = true
		w.receipt = l.Receipt
	}
	r.leased = append(r.leased, got...)
	return got
}

func (r *random) settle(now time.Time) {
	var ss []queue.Settlement
	var want []bool
	for range 1 + r.IntN(3) {
		if len(r.leased) == 0 {
			return
		}
		l := r.leased[max(0, len(r.leased)-1-r.IntN(8))]
		s := []queue.Settlement{
			l.Ack(), l.Fail(time.Duration(r.IntN(3))*time.Second, "on purpose"), l.Release(time.Duration(r.IntN(2)) * time.Second),
			l.Bury("for good"), l.Extend(time.Duration(1+r.IntN(4000)) * time.Millisecond),
		}[r.IntN(5)]
		if r.IntN(20) == 0 {
			s.Queue = "c"
		}
		if s.Action == queue.Fail && r.IntN(2) == 0 {
			s.At = now.Add(time.Duration(r.IntN(6)-3) * time.Second)
		}
		ss, want = append(ss, s), append(want, r.plain.settle(s, now))
	}
	got, err := r.s.Settle(ctx, ss)
	require.NoError(r, err)
	for i := range ss {
		if want[i] {
			require.NoError(r, got[i], "%+v", ss[i])
		} else {
			require.ErrorIs(r, got[i], queue.ErrLeaseLost, "%+v", ss[i])
		}
	}
}

// wait does as a worker does: it waits until there is something, and looks no more often than it has to.
func (r *random) wait() {
	queues := r.queues()
	_, at := r.plain.next(queues, time.Now().UTC())
	in := time.Hour
	if !at.IsZero() {
		in = max(0, time.Until(at)) + time.Microsecond
	}
	ctx, cancel := context.WithTimeout(ctx, in)
	defer cancel()
	for looks := 0; ; looks++ {
		require.Less(r, looks, 4, "looks in vain")
		err := r.s.Wait(ctx, queues)
		if at.IsZero() && err != nil {
			require.ErrorIs(r, err, context.DeadlineExceeded)
			return
		}
		require.NoError(r, err, "there is something at %v, and it is %v", at, time.Now().UTC())
		got := r.leaseThis(queue.LeaseRequest{Queues: queues, Max: 100, TTL: time.Hour, Worker: "w"}, time.Now().UTC())
		if len(got) > 0 || !at.IsZero() && !time.Now().Before(at) {
			return
		}
	}
}

func (r *random) query() queue.Query {
	return []queue.Query{
		{ID: fmt.Sprint("i", r.IntN(r.ids+1))}, {Queue: "b", Name: "n"}, {TID: "t", Queue: "a"},
		{State: queue.StateDead}, {State: queue.StatePending, Name: "m"}, {State: queue.StateLeased},
	}[r.IntN(6)]
}

// same compares all that can be seen.
func (r *random) same() {
	for _, q := range []queue.Query{{}, r.query()} {
		want := r.plain.find(q)
		q.Limit = 1 + r.IntN(50)
		var got []queue.Record
		for {
			page, err := r.s.Find(ctx, q)
			require.NoError(r, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(r, len(page), q.Limit)
			got = append(got, page...)
			q.After = page[len(page)-1].Cursor
		}
		require.Len(r, got, len(want))
		for i := range got {
			got[i].Cursor = ""
			require.Equal(r, want[i].Record, got[i])
		}
	}
	stats, err := r.s.Stats(ctx)
	require.NoError(r, err)
	require.Equal(r, r.plain.stats(stats.Now), stats.Queues)
}
