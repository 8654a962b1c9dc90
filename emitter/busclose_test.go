package emitter_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// The engine is away and the buffer full: Close waits until its deadline, and counts what is lost.
func TestCloseWhileDisconnected(t *testing.T) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, e := away(t, emitter.Options{Buffer: 10, Overflow: policy})
				emit(t, e, "first", nil)
				for range 9 {
					emit(t, e, "a", nil)
				}
				begin := time.Now()
				err := e.Close(within(t, 5*time.Second))
				require.Equal(t, 5*time.Second, time.Since(begin))
				var unsent *emitter.UnsentError
				require.ErrorAs(t, err, &unsent)
				require.Equal(t, 10, unsent.Count)
				require.Zero(t, unsent.Spilled)
				require.Equal(t, "first", unsent.Oldest)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, bus.ErrDisconnected)
				require.ErrorContains(t, err, `10 events not sent, the oldest "first"`)
			})
		})
	}
}

func TestCloseAtOnceWhileDisconnected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, e := away(t, emitter.Options{})
		on(t, e, "a", nothing)
		emit(t, e, "a", nil)
		begin := time.Now()
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(ended()), &unsent)
		require.Equal(t, 1, unsent.Count)
		require.ErrorIs(t, unsent, context.Canceled)
		require.Less(t, time.Since(begin), time.Second)
	})
	inBubble(t, func(t *testing.T) {
		_, e := away(t, emitter.Options{})
		on(t, e, "a", nothing)
		require.NoError(t, e.Close(ended()), "nothing waits")
	})
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		b.Freeze()
		emit(t, e, "in flight", nil)
		synctest.Wait()
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(ended()), &unsent)
		require.Equal(t, 1, unsent.Count)
		require.Equal(t, "in flight", unsent.Oldest)
	})
}

// Without a deadline Close waits as long as it takes.
func TestCloseWaitsForTheEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{})
		for i := range 3 {
			emit(t, e, "a", i)
		}
		done := inBackground(func() error { return e.Close(context.Background()) })
		time.Sleep(time.Hour)
		require.False(t, finished(done))
		b.Fail(nil)
		require.NoError(t, answer(t, done, 2*time.Second))
		require.Equal(t, []string{"a", "a", "a"}, kept(t, b))
	})
}

// Those who wait for room, and for the engine, are told that it is closed.
func TestCloseWhileOthersWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, e := away(t, emitter.Options{Buffer: 2})
		on(t, e, "a", nothing)
		wait := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		synctest.Wait()
		emit(t, e, "a", nil)
		blocked := inBackground(func() error { return e.Emit(context.Background(), "a", nil) })
		also := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		synctest.Wait()
		closing := inBackground(func() error { return e.Close(within(t, 3*time.Second)) })
		require.ErrorIs(t, answer(t, blocked, 0), emitter.ErrClosed, "at once")
		require.ErrorIs(t, answer(t, also, 0), emitter.ErrClosed, "at once")
		var unsent *emitter.UnsentError
		require.ErrorAs(t, answer(t, closing, 4*time.Second), &unsent)
		require.Equal(t, 2, unsent.Count)
		require.ErrorIs(t, answer(t, wait, 0), emitter.ErrClosed)
	})
}

// An EmitWait whose event was accepted and did not come back before Close.
func TestCloseWhileTheFeedIsSlow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		w.onNext(func(ctx context.Context, _ bus.Feed) (bus.Delivery, error) {
			<-ctx.Done()
			return bus.Delivery{}, ctx.Err()
		})
		e := newEmitter(t, emitter.Options{Bus: w})
		on(t, e, "a", nothing)
		wait := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		time.Sleep(time.Second)
		require.False(t, finished(wait))
		require.NoError(t, e.Close(t.Context()))
		require.ErrorIs(t, answer(t, wait, 0), emitter.ErrClosed)
	})
}

// An engine that ignores the end of contexts is left to itself.
func TestCloseDoesNotWaitForADeafEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		stop := make(chan struct{})
		defer close(stop)
		e := newEmitter(t, emitter.Options{Bus: w})
		ready(t, e)
		w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { <-stop; return nil, errors.New("late") })
		on(t, e, "a", nothing)
		begin := time.Now()
		require.NoError(t, e.Close(t.Context()))
		require.LessOrEqual(t, time.Since(begin), 3*time.Second)
	})
}

// A drop a moment before Close is told to those who listen.
func TestDropToldBeforeClose(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, text := logged()
		_, e := away(t, emitter.Options{Logger: logger})
		d := keepDiary(t, e)
		emit(t, e, "a", nil)
		synctest.Wait()
		require.Equal(t, 1, e.Discard())
		require.NoError(t, e.Close(t.Context()))
		require.Contains(t, d.take(), emitter.Drop)
		time.Sleep(time.Second)
		require.Empty(t, text())
	})
}

// The bus belongs to whoever made it.
func TestCloseLeavesTheBus(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		on(t, e, "a", nothing)
		ready(t, e)
		require.NoError(t, e.Close(t.Context()))
		require.NoError(t, b.Publish(t.Context()))
	})
}

// The bus is closed under the emitter: that is said, and Close comes back.
func TestBusIsClosedFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		on(t, e, "a", nothing)
		ready(t, e)
		require.NoError(t, w.Close(t.Context()))
		emit(t, e, "a", nil)
		before := w.publishes.Load() + w.tails.Load()
		time.Sleep(time.Minute)
		require.Less(t, w.publishes.Load()+w.tails.Load()-before, int64(200))
		require.Contains(t, d.take(), "disconnect")
		require.ErrorIs(t, d.of("disconnect")[0].(error), bus.ErrClosed)
		require.Less(t, len(d.of("error")), 3)
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(within(t, time.Second)), &unsent)
		require.ErrorIs(t, unsent, bus.ErrClosed)
	})
}
