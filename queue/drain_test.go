package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// Without hurry, Drain waits for what runs, and nothing more begins.
func TestDrainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			time.Sleep(time.Hour)
			return nil
		}, queue.Work{Concurrency: 2}))
		require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@every 60s", Event: queue.Event{Name: "tick"}}))
		for range 5 {
			require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		}
		synctest.Wait()
		begin := time.Now()
		took := make(chan time.Duration, 3)
		for range cap(took) {
			go func() {
				if q.Drain(ctx) == nil {
					took <- time.Since(begin)
				}
			}()
		}
		for range cap(took) {
			require.Equal(t, time.Hour, <-took)
		}
		require.Len(t, items(t, q), 3, "no crons either")
		require.EqualValues(t, 2, q.Counts().Done)
		require.Zero(t, q.Counts().Released+q.Counts().Trouble)
		require.NoError(t, q.Drain(ctx))
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, q.Drain(ended), "nothing is left")
		require.ErrorIs(t, q.Cron(queue.Schedule{Name: "d", Spec: "@daily", Event: queue.Event{Name: "tick"}}), queue.ErrClosed)
		bs, _, err := q.Store().Bindings(ctx, -1)
		require.NoError(t, err)
		require.ErrorIs(t, q.Subscribe(ctx, "new", queue.All(), new(diary).handle), queue.ErrClosed)
		after, _, err := q.Store().Bindings(ctx, -1)
		require.NoError(t, err)
		require.Equal(t, bs, after, "what is refused leaves no binding")
	})
}

// What a handler has decided by itself counts, also when it was cancelled.
func TestDrainHeedsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		results := map[string]func(context.Context) error{
			"nil":    func(context.Context) error { return nil },
			"ctx":    func(ctx context.Context) error { return ctx.Err() },
			"other":  func(context.Context) error { return errors.New("cut short") },
			"dead":   func(context.Context) error { return queue.Dead(errors.New("never")) },
			"retry":  func(context.Context) error { return queue.RetryAfter(time.Hour, errors.New("busy")) },
			"later":  func(context.Context) error { return queue.Later(time.Hour) },
			"panics": func(context.Context) error { panic("oh") },
		}
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return results[l.Name](ctx)
		}))
		for name := range results {
			require.NoError(t, q.Publish(ctx, queue.Event{ID: name, Name: name}))
		}
		synctest.Wait()
		gone := errors.New("no time")
		hurry, cancel := context.WithCancelCause(ctx)
		cancel(gone)
		begin := time.Now()
		require.ErrorIs(t, q.Drain(hurry), gone)
		require.Equal(t, time.Millisecond, time.Since(begin), "the patience is not used up")
		for name, want := range map[string]struct {
			state queue.State
			fails int
			in    time.Duration
		}{
			"ctx": {queue.StatePending, 0, 0}, "other": {queue.StatePending, 0, 0}, "dead": {queue.StateDead, 0, 0},
			"retry": {queue.StatePending, 1, time.Hour}, "later": {queue.StatePending, 0, time.Hour}, "panics": {queue.StatePending, 1, time.Second},
		} {
			all, err := store.Find(ctx, queue.Query{ID: queue.ItemID(name, "q")})
			require.NoError(t, err)
			require.Equal(t, want.state, all[0].State, name)
			require.Equal(t, want.fails, all[0].Fails, name)
			require.InDelta(t, want.in, max(0, time.Until(all[0].Due)), float64(time.Second), name)
		}
		require.Len(t, items(t, q), 6)
		require.EqualValues(t, 3, q.Counts().Released)
	})
}

// Given back items are with others at once.
func TestDrainGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memstore.New(nil)
		spy := newSpy(engine)
		q, another := over(t, spy, &queue.Options{Patience: time.Minute}), over(t, engine, nil)
		ctx := t.Context()
		release := make(chan struct{})
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			<-release
			return nil
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", MaxFails: 1}))
		synctest.Wait()
		var d diary
		require.NoError(t, another.Subscribe(ctx, "q", queue.All(), d.handle))
		hurry, cancel := context.WithCancel(ctx)
		cancel()
		begin := time.Now()
		require.ErrorIs(t, q.Close(hurry), context.Canceled)
		require.Equal(t, time.Minute, time.Since(begin))
		synctest.Wait()
		require.Equal(t, 1, d.count())
		require.EqualValues(t, 1, q.Counts().Released)
		settled := spy.count("settle")
		close(release)
		synctest.Wait()
		require.Zero(t, q.Counts().Done)
		require.Equal(t, settled, spy.count("settle"), "the store does not hear of it: it may not be fenced")
	})
}

// A store that is silent, or away, holds Drain and Close up for some seconds at most.
func TestDrainWithoutStore(t *testing.T) {
	for name, disturb := range map[string]func(*memstore.Store){
		"silent":       func(s *memstore.Store) { s.Freeze() },
		"disconnected": func(s *memstore.Store) { s.Fail(queue.ErrDisconnected) },
		"closed":       func(s *memstore.Store) { s.Close(context.Background()) },
	} {
		for _, busy := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", busy ", busy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q, store := open(t, &queue.Options{Work: queue.Work{TTL: time.Hour}})
					ctx := t.Context()
					release := make(chan struct{})
					defer close(release)
					require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
						<-release
						return nil
					}))
					require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@every 60s", Event: queue.Event{Name: "tick"}}))
					if busy {
						require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
					}
					synctest.Wait()
					disturb(store)
					time.Sleep(90 * time.Second)
					short, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					begin := time.Now()
					err := q.Close(short)
					require.LessOrEqual(t, time.Since(begin), 16*time.Second)
					if busy {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					} else {
						require.NoError(t, err)
					}
					store.Thaw()
					store.Fail(nil)
					if name != "closed" && busy {
						r, err := store.Find(ctx, queue.Query{})
						require.NoError(t, err)
						require.NotEmpty(t, r, "it comes again when its lease ends")
					}
				})
			})
		}
	}
}

// What comes from a Lease that Drain has overtaken is given back, unseen.
func TestDrainDuringLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		spy.when(onlyOn("lease", func(_ context.Context, do func() error) error {
			time.Sleep(time.Second)
			return do()
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "q"}))
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		synctest.Wait()
		require.NoError(t, q.Drain(ctx))
		require.Zero(t, d.count())
		r := only(t, q)
		require.Equal(t, queue.StatePending, r.State)
		require.Equal(t, 1, r.Deliveries)
		require.Zero(t, r.Fails)
	})
}

// A Lease that hangs is hung up on when Drain has no more time; that is no trouble of the store.
func TestDrainHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), new(diary).handle))
		synctest.Wait()
		spy.when(onlyOn("lease", func(ctx context.Context, _ func() error) error { return silent(ctx, "", nil) }))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		begin := time.Now()
		require.NoError(t, q.Drain(short))
		require.Equal(t, time.Second, time.Since(begin))
		require.Zero(t, q.Counts().Trouble)
	})
}

// After Close no call of the store is under way, so that the store may be closed as well.
func TestCloseWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		release := make(chan struct{})
		defer close(release)
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			<-release
			return nil
		}, queue.Work{TTL: time.Minute}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		var within atomic.Int32
		spy.when(onlyOn("extend", func(_ context.Context, do func() error) error {
			within.Add(1)
			defer within.Add(-1)
			time.Sleep(20 * time.Second) // whatever its context says
			return do()
		}))
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, within.Load(), "a heartbeat")
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, q.Close(ended), context.Canceled)
		require.Zero(t, within.Load())
	})
}

// Closing twice at the same time, and from a handler's goroutine that nobody waits for.
func TestCloseIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var n atomic.Int32
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			go q.Close(context.Background())
			time.Sleep(time.Second)
			n.Add(1)
			return nil
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		done := make(chan error, 4)
		for range cap(done) {
			go func() { done <- q.Close(ctx) }()
		}
		for range cap(done) {
			require.NoError(t, <-done)
		}
		require.EqualValues(t, 1, n.Load())
		require.Empty(t, items(t, q))
	})
	q := queue.New(memstore.New(nil), nil)
	require.NoError(t, q.Close(context.Background()), "nothing was ever begun")
	require.NoError(t, q.Close(context.Background()))
}

// What a handler has done, and the store did not yet take note of, is not given back to be done again.
func TestDrainSettlesWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(memstore.New(nil))
		q := over(t, store, &queue.Options{Patience: 10 * time.Second})
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error { return nil },
			queue.Work{TTL: time.Hour}))
		store.when(func(_ context.Context, call string, do func() error) error {
			if call == "settle" {
				return queue.ErrDisconnected
			}
			return do()
		})
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(10 * time.Second)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		time.AfterFunc(10*time.Second-time.Millisecond, func() { store.when(nil) })
		require.ErrorContains(t, q.Drain(ended), "of 1 items that were left 1 were")
		all, err := store.Find(ctx, queue.Query{})
		require.NoError(t, err)
		require.Empty(t, all)
	})
}

// The error of Drain counts what was given back, not what was to be.
func TestDrainCountsWhatWasGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		release := make(chan struct{})
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			<-release
			return nil
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		store.Fail(queue.ErrDisconnected)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorContains(t, q.Drain(ended), "of 1 items that were left 0 were")
		store.Fail(nil)
		close(release)
	})
}
