package emitter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// away returns a bus that nothing gets through to, and an emitter on it that has been connected.
func away(t *testing.T, opts emitter.Options) (*membus.Bus, *emitter.Emitter) {
	t.Helper()
	b := membus.New(nil)
	opts.Bus = b
	e := newEmitter(t, opts)
	ready(t, e)
	b.Fail(bus.ErrDisconnected)
	return b, e
}

// numbers returns the data of all events that the engine has, in its order.
func numbers(t *testing.T, e *emitter.Emitter) (list []int) {
	t.Helper()
	for ev, err := range e.Timeline(context.Background(), bus.Start) {
		require.NoError(t, err)
		n, err := decode[int](ev)
		require.NoError(t, err)
		list = append(list, n)
	}
	return list
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func TestBufferedUntilConnected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		b.Fail(bus.ErrDisconnected)
		e := newEmitter(t, emitter.Options{Bus: b})
		for i := range 2000 {
			emit(t, e, "a", i)
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, 2000, e.Stats().Bus.Buffered)
		require.Greater(t, e.Stats().Bus.BufferedBytes, 2000*100)
		require.Zero(t, e.Stats().Bus.Published)
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(2000), numbers(t, e), "in the order of the emits")
		s := e.Stats().Bus
		require.Equal(t, []int{0, 0}, []int{s.Buffered, s.BufferedBytes})
		require.EqualValues(t, 2000, s.Published)
	})
}

// Order is kept over an outage, and each event is there once if no answer got lost.
func TestFlushKeepsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		for i := range 3000 {
			if i%700 == 100 {
				b.Fail(bus.ErrDisconnected)
			} else if i%700 == 600 {
				b.Fail(nil)
			}
			emit(t, e, "a", i)
			if i%50 == 0 {
				time.Sleep(30 * time.Millisecond)
			}
		}
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(3000), numbers(t, e))
	})
}

func TestBlock(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{Buffer: 3})
		d := keepDiary(t, e)
		for i := range 3 {
			emit(t, e, "a", i)
		}
		cause := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		err := e.Emit(ctx, "a", -1)
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, "3 events wait for the engine")
		require.ErrorIs(t, e.EmitWait(ctx, "a", -1), cause)
		waits := inBackground(func() error { return e.Emit(context.Background(), "a", 3) })
		time.Sleep(time.Hour)
		require.False(t, finished(waits))
		b.Fail(nil)
		require.NoError(t, answer(t, waits, 2*time.Second))
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(4), numbers(t, e))
		require.NotContains(t, d.take(), "drop")
	})
}

func TestDropOldest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{Buffer: 3, Overflow: emitter.DropOldest})
		d := keepDiary(t, e)
		waits := inBackground(func() error { return e.EmitWait(context.Background(), "first", 0) })
		synctest.Wait()
		for i := range 9 {
			emit(t, e, "a", i+1)
		}
		err := answer(t, waits, time.Second)
		require.ErrorIs(t, err, emitter.ErrDropped)
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		time.Sleep(time.Second)
		require.Equal(t, []int{7, 8, 9}, numbers(t, e))
		drops := d.of(emitter.Drop)
		require.Len(t, drops, 1, "told together")
		drop := drops[0].(*emitter.Dropped)
		require.Equal(t, 7, drop.Count)
		require.Equal(t, "first", drop.Oldest)
		require.ErrorIs(t, drop, emitter.ErrDropped)
		require.ErrorContains(t, drop, `7 events dropped, the first "first"`)
		require.EqualValues(t, 7, e.Stats().Bus.Dropped)
	})
}

func TestDropNewest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{Buffer: 3, Overflow: emitter.DropNewest})
		d := keepDiary(t, e)
		for i := range 3 {
			emit(t, e, "a", i)
		}
		for range 5 {
			err := e.Emit(t.Context(), "new", -1)
			require.ErrorIs(t, err, emitter.ErrFull)
			require.ErrorContains(t, err, `"new"`)
		}
		require.ErrorIs(t, e.EmitWait(t.Context(), "new", -1), emitter.ErrFull)
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(3), numbers(t, e))
		time.Sleep(time.Second)
		require.Len(t, d.of(emitter.Drop), 1)
		require.Equal(t, 6, d.of(emitter.Drop)[0].(*emitter.Dropped).Count)
		require.Equal(t, "new", d.of(emitter.Drop)[0].(*emitter.Dropped).Oldest)
		require.ErrorIs(t, d.of(emitter.Drop)[0].(error), emitter.ErrFull)
	})
}

// The bytes are a bound of their own; one event has always room.
func TestBufferBytes(t *testing.T) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, e := away(t, emitter.Options{BufferBytes: 100_000, Overflow: policy})
				require.NoError(t, e.Emit(t.Context(), "large", strings.Repeat("x", 200_000)))
				synctest.Wait() // what is being sent is not discarded
				require.Equal(t, 1, e.Discard())
				refused := 0
				for range 30 {
					if err := e.Emit(within(t, time.Millisecond), "a", strings.Repeat("x", 10_000)); err != nil {
						refused++
					}
				}
				s := e.Stats().Bus
				require.Equal(t, 9, s.Buffered)
				require.LessOrEqual(t, s.BufferedBytes, 100_000)
				require.Greater(t, s.BufferedBytes, 9*10_000)
				if policy == emitter.DropOldest {
					require.Zero(t, refused)
				} else {
					require.Equal(t, 21, refused)
				}
				b.Fail(nil)
				require.NoError(t, e.Flush(within(t, 2*time.Second)))
				require.Zero(t, e.Stats().Bus.BufferedBytes)
			})
		})
	}
}

// What is being sent at the moment is not dropped: it may have been accepted.
func TestEventsInFlightAreNotDropped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b, Buffer: 4, Overflow: emitter.DropOldest})
		ready(t, e)
		b.Freeze()
		emit(t, e, "a", 0)
		synctest.Wait()
		for i := range 9 {
			emit(t, e, "a", i+1)
		}
		require.Equal(t, 3, e.Discard())
		emit(t, e, "a", 10)
		b.Thaw()
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []int{0, 10}, numbers(t, e))
		require.Zero(t, e.Stats().Bus.BufferedBytes)
	})
}

// The same without a Discard: the ones behind it are dropped, the oldest first.
func TestDropOldestBehindWhatIsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b, Buffer: 4, Overflow: emitter.DropOldest})
		d := keepDiary(t, e)
		ready(t, e)
		b.Freeze()
		emit(t, e, "in flight", 0)
		synctest.Wait()
		emit(t, e, "the oldest behind it", 1)
		for i := range 8 {
			emit(t, e, "a", i+2)
		}
		b.Thaw()
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []int{0, 7, 8, 9}, numbers(t, e))
		require.EqualValues(t, 6, e.Stats().Bus.Dropped)
		time.Sleep(time.Second)
		require.Equal(t, "the oldest behind it", d.of(emitter.Drop)[0].(*emitter.Dropped).Oldest)
	})
}

func TestDiscard(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{Buffer: 5})
		d := keepDiary(t, e)
		require.Zero(t, e.Discard())
		waits := inBackground(func() error { return e.EmitWait(context.Background(), "first", 0) })
		synctest.Wait()
		for i := range 4 {
			emit(t, e, "a", i)
		}
		room := inBackground(func() error { return e.Emit(context.Background(), "a", 100) })
		require.False(t, finished(room))
		require.Equal(t, 5, e.Discard())
		require.NoError(t, answer(t, room, 0), "there is room now")
		require.ErrorIs(t, answer(t, waits, 0), emitter.ErrDropped)
		time.Sleep(time.Second)
		require.Equal(t, 5, d.of(emitter.Drop)[0].(*emitter.Dropped).Count)
		require.Equal(t, "first", d.of(emitter.Drop)[0].(*emitter.Dropped).Oldest)
		require.Equal(t, 1, e.Stats().Bus.Buffered)
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []int{100}, numbers(t, e))
	})
}

// A drop event that nobody listens to is logged.
func TestDropIsLogged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, text := logged()
		b := membus.New(nil)
		b.Fail(bus.ErrDisconnected)
		e := newEmitter(t, emitter.Options{Bus: b, Logger: logger})
		time.Sleep(2 * time.Second)
		emit(t, e, "a", nil)
		synctest.Wait()
		require.Equal(t, 1, e.Discard())
		time.Sleep(2 * time.Second)
		require.Contains(t, text(), "1 events dropped")
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, e := away(t, emitter.Options{})
		require.NoError(t, e.Flush(t.Context()), "nothing waits")
		emit(t, e, "a", 0)
		err := e.Flush(within(t, 2*time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, bus.ErrDisconnected.Error())
		var all []<-chan error
		for range 3 {
			all = append(all, inBackground(func() error { return e.Flush(context.Background()) }))
		}
		closed := inBackground(func() error { return e.Ready(context.Background()) })
		time.Sleep(time.Minute)
		b.Fail(nil)
		for _, done := range append(all, closed) {
			require.NoError(t, answer(t, done, 2*time.Second))
		}
		b.Fail(bus.ErrDisconnected)
		emit(t, e, "a", 1)
		flush := inBackground(func() error { return e.Flush(context.Background()) })
		wait := inBackground(func() error { time.Sleep(time.Second); return e.Ready(context.Background()) })
		time.Sleep(2 * time.Second)
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(ended()), &unsent)
		require.ErrorIs(t, answer(t, flush, time.Second), emitter.ErrClosed)
		require.ErrorIs(t, answer(t, wait, time.Second), emitter.ErrClosed)
		require.ErrorIs(t, e.Ready(t.Context()), emitter.ErrClosed)
	})
}
