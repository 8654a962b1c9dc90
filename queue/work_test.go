package queue_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// only returns the one item that the store has.
func only(t *testing.T, q *queue.Queue) queue.Record {
	t.Helper()
	all, err := q.Find(context.Background(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

func TestFailComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var at []time.Duration
		begin := time.Now()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(_ context.Context, l queue.Leased) error {
			at = append(at, time.Since(begin))
			if l.Fails < 3 {
				return errors.New("not yet")
			}
			return nil
		}, queue.Work{Backoff: func(n int) time.Duration { return time.Duration(n) * time.Minute }}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute}, at)
		c := q.Counts()
		require.EqualValues(t, 3, c.Failed)
		require.EqualValues(t, 1, c.Done)
	})
}

func TestDeadAfterMaxFailsAndRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var calls, broken atomic.Int32
		broken.Store(1)
		var other diary
		require.NoError(t, q.Subscribe(ctx, "other", queue.All(), other.handle))
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			calls.Add(1)
			if broken.Load() == 1 {
				return errors.New("boom")
			}
			return nil
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", MaxFails: 4}))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 4, calls.Load())
		r := only(t, q)
		require.Equal(t, queue.StateDead, r.State)
		require.Equal(t, "boom", r.Reason)
		require.Equal(t, 4, r.Fails)
		broken.Store(0)
		n, err := q.Redrive(ctx, queue.Query{State: queue.StateDead})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		synctest.Wait()
		require.EqualValues(t, 5, calls.Load())
		require.Equal(t, 1, other.count(), "nobody else hears of a retry")
	})
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		begin := time.Now()
		seen := map[string][]time.Duration{}
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(_ context.Context, l queue.Leased) error {
			seen[l.Name] = append(seen[l.Name], time.Since(begin))
			if l.Deliveries > 1 {
				return nil
			}
			switch l.Name {
			case "retry":
				return queue.RetryAfter(time.Hour, errors.New("later"))
			case "later":
				return queue.Later(2 * time.Hour)
			case "dead":
				return queue.Dead(errors.New("never"))
			case "panic":
				panic("oh")
			case "goexit":
				runtime.Goexit()
			}
			return nil
		}, queue.Work{Concurrency: 1}))
		for _, name := range []string{"retry", "later", "dead", "panic", "goexit"} {
			require.NoError(t, q.Publish(ctx, queue.Event{Name: name}))
		}
		time.Sleep(time.Minute)
		all, err := q.Find(ctx, queue.Query{})
		require.NoError(t, err)
		require.Len(t, all, 3)
		require.Equal(t, 1, all[0].Fails)
		require.Equal(t, 0, all[1].Fails, "later does not count")
		require.Equal(t, queue.StateDead, all[2].State)
		require.Equal(t, "never", all[2].Reason)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		require.Equal(t, []time.Duration{0, time.Hour}, seen["retry"])
		require.Equal(t, []time.Duration{0, 2 * time.Hour}, seen["later"])
		require.Len(t, seen["panic"], 2)
		require.Len(t, seen["goexit"], 2)
		require.EqualValues(t, 2, q.Counts().Panics)
	})
}

func TestLeaseIsExtendedWhileTheHandlerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var calls atomic.Int32
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, _ queue.Leased) error {
			calls.Add(1)
			select {
			case <-time.After(time.Hour):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, queue.Work{TTL: 3 * time.Second}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(2 * time.Hour)
		require.EqualValues(t, 1, calls.Load())
		require.EqualValues(t, 1, q.Counts().Done)
		require.Zero(t, q.Counts().Lost)
	})
}

func TestHandlerHearsThatItsLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		var cause error
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			if l.Deliveries > 1 {
				return nil
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		}, queue.Work{TTL: 3 * time.Second}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		store.Freeze()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.ErrorIs(t, cause, queue.ErrLeaseLost)
		store.Thaw()
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, q.Counts().Lost)
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		release := make(chan struct{})
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			switch {
			case l.Deliveries > 1:
				return nil
			case l.Name == "polite":
				<-ctx.Done()
				return ctx.Err()
			}
			<-release // deaf to its context
			return nil
		}, queue.Work{TTL: 3 * time.Second, Timeout: time.Minute}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "polite"}, queue.Event{Name: "deaf"}))
		time.Sleep(time.Minute)
		synctest.Wait()
		all, err := q.Find(ctx, queue.Query{Name: "polite"})
		require.NoError(t, err)
		require.Contains(t, all[0].Reason, "more than 1m0s")
		time.Sleep(time.Minute)
		require.EqualValues(t, 2, q.Counts().Done, "somebody else has done it by now")
		require.Equal(t, 1, q.Counts().Running["q"])
		close(release)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		release := make(chan struct{})
		handler := func(ctx context.Context, l queue.Leased) error {
			switch l.Name {
			case "quick":
				time.Sleep(time.Second)
				return nil
			case "polite":
				<-ctx.Done()
				return ctx.Err()
			}
			<-release
			return nil
		}
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), handler))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "quick"}, queue.Event{Name: "polite"}, queue.Event{Name: "deaf"}))
		synctest.Wait()
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		begin := time.Now()
		err := q.Drain(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 6*time.Second, time.Since(begin))
		all, err := store.Find(ctx, queue.Query{})
		require.NoError(t, err)
		require.Len(t, all, 2)
		for _, r := range all {
			require.Equal(t, queue.StatePending, r.State)
			require.Zero(t, r.Fails)
		}
		require.ErrorIs(t, q.Subscribe(ctx, "q2", queue.All(), handler), queue.ErrClosed)
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "more"}))
		close(release)
		synctest.Wait()
		all, err = store.Find(ctx, queue.Query{})
		require.NoError(t, err)
		require.Len(t, all, 3, "what was given back does not go by what its handler returned later")
	})
}
