package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

func TestWhenInAllForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		now := time.Now().UTC()
		for _, c := range []struct {
			at  any
			due time.Time
		}{
			{nil, now}, {"", now}, {"now", now}, {time.Duration(0), now}, {time.Time{}, now},
			{90 * time.Minute, now.Add(90 * time.Minute)}, {"in 90 minutes", now.Add(90 * time.Minute)}, {"1h30m", now.Add(90 * time.Minute)},
			{"7 days", now.Add(7 * 24 * time.Hour)}, {"P7D", now.Add(7 * 24 * time.Hour)},
			{now.Add(time.Hour).In(time.FixedZone("", 3600)), now.Add(time.Hour)},
			{"2026-12-24T18:00:00+01:00", time.Date(2026, 12, 24, 17, 0, 0, 0, time.UTC)},
			{"1999-12-24T18:00:00Z", time.Date(1999, 12, 24, 18, 0, 0, 0, time.UTC)},
			{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		} {
			require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x", Queue: "q", When: c.at}), "%v", c.at)
			r := only(t, q)
			require.Equal(t, c.due, r.Due, "%v", c.at)
			_, err := q.Remove(t.Context(), queue.Query{ID: r.ID})
			require.NoError(t, err)
		}
	})
}

// payloads is a handler that notes when it was called with what.
type payloads struct {
	begin time.Time
	mu    sync.Mutex
	all   []string
	takes time.Duration
}

func (p *payloads) handle(_ context.Context, l queue.Leased) error {
	p.mu.Lock()
	p.all = append(p.all, fmt.Sprint(time.Since(p.begin), " ", string(l.Payload)))
	p.mu.Unlock()
	time.Sleep(p.takes)
	return nil
}

func TestOnceEvery(t *testing.T) {
	for name, c := range map[string]struct {
		once queue.Once
		want []string
	}{
		// One event at 0, 20, 40 seconds and so on; the handler takes 30 seconds.
		"first": {queue.OnceEvery(time.Minute), []string{"1m0s 0", "2m0s 60", "3m0s 120", "4m0s 180"}},
		"last":  {queue.OnceEvery(time.Minute).Last(), []string{"4m40s 220"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := open(t, nil)
				ctx := t.Context()
				d := payloads{begin: time.Now(), takes: 30 * time.Second}
				require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
				for at := 0; at < 240; at += 20 {
					require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Payload: []byte(fmt.Sprint(at)), Once: c.once}))
					time.Sleep(20 * time.Second)
					synctest.Wait()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, c.want, d.all)
			})
		})
	}
}

func TestOnceEveryIsForNameAndTIDOrKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		once := queue.OnceEvery(time.Minute)
		for _, ev := range []queue.Event{
			{Name: "a", TID: "1"}, {Name: "a", TID: "1"}, {Name: "a", TID: "2"}, {Name: "b", TID: "1"}, {Name: "a1"},
			{Name: "a", TID: "1", Key: "k"}, {Name: "c", TID: "9", Key: "k"},
			{Name: "a", TID: "1", Queue: "another"},
		} {
			ev.Once = once
			if ev.Queue == "" {
				ev.Queue = "q"
			}
			require.NoError(t, q.Publish(t.Context(), ev))
		}
		require.Len(t, items(t, q), 6)
		require.EqualValues(t, 2, q.Counts().Repeated)
	})
}

func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		release := make(chan struct{})
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			<-release
			return nil
		}))
		publish := func(ev queue.Event) uint64 { // how many new items that makes
			before := q.Counts().Published
			ev.Name, ev.Queue = "x", "q"
			require.NoError(t, q.Publish(ctx, ev))
			return q.Counts().Published - before
		}
		require.EqualValues(t, 1, publish(queue.Event{Key: "done"}))
		require.EqualValues(t, 1, publish(queue.Event{Key: "leased", Scope: queue.UntilLeased}))
		require.EqualValues(t, 1, publish(queue.Event{Key: "hold", Hold: time.Hour}))
		synctest.Wait() // they are leased
		require.EqualValues(t, 0, publish(queue.Event{Key: "done"}))
		require.EqualValues(t, 1, publish(queue.Event{Key: "leased", Scope: queue.UntilLeased}))
		require.EqualValues(t, 0, publish(queue.Event{Key: "hold", Hold: time.Hour}))
		close(release)
		synctest.Wait()
		require.EqualValues(t, 1, publish(queue.Event{Key: "done"}))
		require.EqualValues(t, 0, publish(queue.Event{Key: "hold"}))
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, publish(queue.Event{Key: "hold"}))

		require.EqualValues(t, 1, publish(queue.Event{Key: "r", When: time.Hour, Payload: []byte("1")}))
		require.EqualValues(t, 1, publish(queue.Event{Key: "r", When: 2 * time.Hour, Payload: []byte("2"), Replace: true}))
		synctest.Wait() // the one before is done
		r := only(t, q)
		require.Equal(t, "2", string(r.Payload))
		require.Equal(t, time.Now().Add(2*time.Hour).UTC(), r.Due)
	})
}

func TestFollowUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		another := over(t, store, nil)
		ctx := t.Context()
		for _, name := range []string{"a", "b"} {
			require.NoError(t, q.Bind(ctx, name, queue.Name("child")))
		}
		at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		follow := func(q *queue.Queue, l queue.Leased, zone *time.Location) {
			require.NoError(t, q.FollowUp(ctx, l,
				queue.Event{Name: "child", Payload: map[string]int{"n": 1}},
				queue.Event{Name: "child", Payload: map[string]int{"n": 2}},
				queue.Event{Name: "child", Payload: map[string]int{"n": 2}},
				queue.Event{Name: "child", TID: "another", Payload: map[string]int{"n": 1}},
				queue.Event{Name: "child", Payload: map[string]int{"n": 1}, When: "1 day"},
				queue.Event{Name: "child", Payload: map[string]int{"n": 1}, When: "2 days"},
				queue.Event{Name: "child", When: at.In(zone)},
				queue.Event{Name: "child", Queue: "direct"},
				queue.Event{Name: "child", Headers: map[string]string{"h": "1", "g": "2"}},
				queue.Event{Name: "child", Headers: map[string]string{"h": "2", "g": "2"}},
				queue.Event{Name: "child", Serial: "s"},
				queue.Event{Name: "child", Priority: 1},
				queue.Event{Name: "child", ID: l.ID + " own"},
				queue.Event{Name: "child", ID: l.ID + " own 2"},
			))
		}
		const perQueue = 13
		parent := queue.Leased{Item: queue.Item{ID: "parent", TID: "17"}}
		follow(q, parent, time.UTC)
		all := items(t, q)
		require.Len(t, all, 2*perQueue+1)
		for _, r := range all {
			require.Equal(t, "parent", r.Parent)
			if r.TID != "another" {
				require.Equal(t, "17", r.TID)
			}
		}
		follow(q, parent, time.FixedZone("", 3600))
		follow(another, parent, time.Local)
		require.Len(t, items(t, q), 2*perQueue+1, "the same handler again publishes nothing new")
		parent.ID = "another"
		follow(q, parent, time.UTC)
		require.Len(t, items(t, q), 2*(2*perQueue+1))
		require.ErrorIs(t, q.FollowUp(ctx, parent, queue.Event{Name: "x", Payload: func() {}}), queue.ErrInvalid)
	})
}

func TestFollowUpOfRepeatedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var calls atomic.Int32
		require.NoError(t, q.Bind(ctx, "mail", queue.Name("user.welcomed")))
		require.NoError(t, q.Subscribe(ctx, "crm", queue.Name("user.added"), func(ctx context.Context, l queue.Leased) error {
			err := q.FollowUp(ctx, l, queue.Event{Name: "user.welcomed"})
			if calls.Add(1) == 1 {
				panic("after the follow-up")
			}
			return err
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "user.added", TID: "17"}))
		time.Sleep(time.Minute)
		require.EqualValues(t, 2, calls.Load())
		require.Equal(t, "17", only(t, q).TID)
	})
}

// Of one Serial one item is worked on at a time, whoever works; others are not held up.
func TestSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memstore.New(nil)
		ctx := t.Context()
		var mu sync.Mutex
		within, most, order := map[string]int{}, map[string]int{}, map[string]string{}
		handler := func(_ context.Context, l queue.Leased) error {
			mu.Lock()
			within[l.Serial]++
			most[l.Serial] = max(most[l.Serial], within[l.Serial])
			order[l.Serial] += string(l.Payload)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			within[l.Serial]--
			mu.Unlock()
			return nil
		}
		var last *queue.Queue
		for range 3 {
			last = over(t, engine, nil)
			require.NoError(t, last.Subscribe(ctx, "q", queue.All(), handler))
		}
		begin := time.Now()
		for i := range 9 {
			for _, serial := range []string{"a", "b", ""} {
				require.NoError(t, last.Publish(ctx, queue.Event{Name: "x", Serial: serial, Payload: []byte(fmt.Sprint(i))}))
			}
		}
		for len(items(t, last)) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		require.InDelta(t, 9, time.Since(begin).Seconds(), 0.2)
		require.Equal(t, 1, most["a"])
		require.Equal(t, 1, most["b"])
		require.Equal(t, 9, most[""])
		require.Equal(t, "012345678", order["a"])
	})
}

func TestPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		for i, p := range []int8{0, 5, -5, 127, 5, -128, 0} {
			require.NoError(t, q.Publish(ctx, queue.Event{Name: fmt.Sprint(p, " ", i), Queue: "q", Priority: p}))
		}
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle, queue.Work{Concurrency: 1}))
		synctest.Wait()
		require.Equal(t, []string{"127 3", "5 1", "5 4", "0 0", "0 6", "-5 2", "-128 5"}, d.names())
	})
}

func TestSubscribeRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		h := new(diary).handle
		long := make([]byte, queue.MaxName+1)
		for i := range long {
			long[i] = 'x'
		}
		for name, err := range map[string]error{
			"no handler":        q.Subscribe(ctx, "q", queue.All(), nil),
			"no queue":          q.Subscribe(ctx, "", queue.All(), h),
			"long queue":        q.Subscribe(ctx, string(long), queue.All(), h),
			"no name":           q.Subscribe(ctx, "q", queue.Name(""), h),
			"long name":         q.Subscribe(ctx, "q", queue.Name(string(long)), h),
			"no pattern":        q.Subscribe(ctx, "q", queue.Pattern("a.**.b"), h),
			"no regexp":         q.Subscribe(ctx, "q", queue.Regexp("("), h),
			"long regexp":       q.Subscribe(ctx, "q", queue.Regexp(string(long)), h),
			"no kind":           q.Subscribe(ctx, "q", queue.Selector{}, h),
			"concurrency":       q.Subscribe(ctx, "q", queue.All(), h, queue.Work{Concurrency: -1}),
			"short TTL":         q.Subscribe(ctx, "q", queue.All(), h, queue.Work{TTL: time.Millisecond}),
			"long TTL":          q.Subscribe(ctx, "q", queue.All(), h, queue.Work{TTL: queue.MaxLeaseTTL + 1}),
			"timeout":           q.Subscribe(ctx, "q", queue.All(), h, queue.Work{Timeout: -1}),
			"bind, no queue":    q.Bind(ctx, "", queue.All()),
			"bind, no regexp":   q.Bind(ctx, "q", queue.Regexp("(")),
			"bind, a text":      q.Bind(ctx, "q", queue.Selector{Kind: queue.KindAll, Text: "x"}),
			"bind, not a name ": q.Bind(ctx, "q", queue.Name("a\x00")),
		} {
			require.ErrorIs(t, err, queue.ErrInvalid, name)
		}
		all, _, err := store.Bindings(ctx, -1)
		require.NoError(t, err)
		require.Empty(t, all, "what is refused leaves no binding")

		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("a"), h, queue.Work{Concurrency: 3}))
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("b"), h))
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("b"), h, queue.Work{Concurrency: 3, TTL: 30 * time.Second}))
		for _, w := range []queue.Work{{Concurrency: 4}, {TTL: time.Second}, {Timeout: time.Second}} {
			require.ErrorIs(t, q.Subscribe(ctx, "q", queue.Name("c"), h, w), queue.ErrInvalid)
		}
		all, _, err = store.Bindings(ctx, -1)
		require.NoError(t, err)
		require.Len(t, all, 2)
	})
}

func TestNewRefuses(t *testing.T) {
	for _, opts := range []queue.Options{
		{Patience: -1}, {Poll: -1}, {Worker: "a\nb"}, {Work: queue.Work{Concurrency: -1}}, {Work: queue.Work{TTL: 1}},
	} {
		require.Panics(t, func() { queue.New(memstore.New(nil), &opts) }, "%+v", opts)
	}
}

func TestSeveralHandlersOfAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var user, all, old, again diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.Pattern("user.*"), user.handle))
		require.NoError(t, q.Subscribe(ctx, "q", queue.Regexp("^(user|order)"), all.handle))
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("mail"), old.handle))
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("mail"), again.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "user.added"}, queue.Event{Name: "order.paid"}, queue.Event{Name: "mail"}))
		synctest.Wait()
		require.Equal(t, []string{"user.added"}, user.names(), "the first of two gets it, and one item there is")
		require.Equal(t, []string{"order.paid"}, all.names())
		require.Empty(t, old.names())
		require.Equal(t, []string{"mail"}, again.names())
		require.Empty(t, items(t, q))
	})
}

// An item that no handler here wants goes to a process that has one.
func TestItemWithoutHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		var mine, theirs diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("a"), mine.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "b", Queue: "q"}))
		synctest.Wait()
		r := only(t, q)
		require.Equal(t, 1, r.Deliveries)
		require.Zero(t, r.Fails, "it is not its fault")
		another := over(t, store, nil)
		require.NoError(t, another.Subscribe(ctx, "q", queue.Name("b"), theirs.handle))
		time.Sleep(time.Hour)
		require.Zero(t, mine.count())
		require.Equal(t, 1, theirs.count())
	})
}

// What brings an item back without a fail does not bring it nearer to death in a process without its handler.
func TestItemWithoutHandlerAfterManyDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, store := open(t, nil)
		ctx := t.Context()
		require.NoError(t, first.Subscribe(ctx, "q", queue.Name("a"), func(context.Context, queue.Leased) error { return queue.Later(time.Minute) }))
		require.NoError(t, first.Publish(ctx, queue.Event{Name: "a"}))
		time.Sleep(time.Hour)
		require.NoError(t, first.Close(ctx))
		second := over(t, store, nil)
		require.NoError(t, second.Subscribe(ctx, "q", queue.Name("b"), (&diary{}).handle))
		time.Sleep(time.Hour)
		synctest.Wait()
		r := only(t, second)
		require.Greater(t, r.Deliveries, 60)
		require.Equal(t, queue.StatePending, r.State)
	})
}

// An item that nobody has a handler for is not carried around for ever.
func TestItemWithoutAnyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var mine diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("a"), mine.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "b", Queue: "q"}))
		time.Sleep(14 * 24 * time.Hour)
		synctest.Wait()
		r := only(t, q)
		require.Equal(t, queue.StateDead, r.State)
		require.Equal(t, queue.DefaultMaxFails, r.Deliveries)
		require.Contains(t, r.Reason, `no handler of worker w1 selects "b"`)
	})
}

// The store keeps the bindings: a queue has what came while nobody worked on it.
func TestBindingsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.Name("x"), d.handle))
		require.NoError(t, q.Close(ctx))
		second := over(t, store, nil)
		require.NoError(t, second.Publish(ctx, queue.Event{Name: "x"}))
		third := over(t, store, nil)
		require.NoError(t, third.Subscribe(ctx, "q", queue.Name("x"), d.handle))
		synctest.Wait()
		require.Equal(t, []string{"x"}, d.names())
	})
}

func TestFindRemoveRedriveStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "a", Queue: "q", TID: "1", When: "1 day"}, queue.Event{Name: "b", Queue: "q"}))
		all, err := q.Find(ctx, queue.Query{TID: "1"})
		require.NoError(t, err)
		require.Len(t, all, 1)
		n, err := q.Redrive(ctx, queue.Query{TID: "1"})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, s.Queues[0].Ready)
		n, err = q.Remove(ctx, queue.Query{Queue: "q"})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		_, err = q.Remove(ctx, queue.Query{})
		require.ErrorIs(t, err, queue.ErrInvalid)
		_, err = q.Find(ctx, queue.Query{State: "sleepy"})
		require.ErrorIs(t, err, queue.ErrInvalid)
	})
}
