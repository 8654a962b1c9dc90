package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// Emit waits while the queue is full, goes on when there is room, and says who is in the way.
func TestFullQueue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 3})
		var heard notes
		step := make(chan struct{})
		place := nextLine()
		e.On("slow", func(_ context.Context, ev emitter.Event) error { <-step; heard.add(text(ev)); return nil })
		emit(t, e, "slow", 0)
		synctest.Wait()
		for i := range 3 {
			emit(t, e, "slow", i+1)
		}
		require.Equal(t, 4, e.Stats().Queued)
		require.Equal(t, place, e.Stats().Running)
		cause := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		begin := time.Now()
		err := e.Emit(ctx, "slow", -1)
		require.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, place)
		require.ErrorContains(t, err, `"slow"`)
		require.ErrorContains(t, err, "4 events")
		require.ErrorIs(t, e.EmitWait(ctx, "slow", -1), cause)
		require.ErrorIs(t, emitter.Emit(ctx, e, "slow", -1), cause)
		waits := inBackground(func() error { return e.Emit(context.Background(), "slow", 4) })
		require.False(t, finished(waits))
		emit(t, e, "nobody", nil) // and is not in the way of anybody
		step <- struct{}{}
		require.NoError(t, answer(t, waits, 0))
		close(step)
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, heard.take())
		require.Zero(t, e.Stats().Queued)
		require.Empty(t, e.Stats().Running)
	})
}

// A listener that emits does not wait for itself, however small the queue; the order is kept.
func TestEmitInsideNeverWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 1})
		var heard notes
		on(t, e, "a", func(ctx context.Context, _ emitter.Event) error {
			child, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			for i := range 100 {
				if err := e.Emit(child, "b", i); err != nil {
					return err
				}
			}
			return nil
		})
		on(t, e, "b", heard.note("b"))
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		list := heard.take()
		require.Len(t, list, 100)
		for i, s := range list {
			require.Equal(t, fmt.Sprint("b:", i), s)
		}
	})
}

// Error events have room in a full queue as well: a listener that fails does not wait for itself.
func TestErrorsWithAFullQueue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 1})
		var heard notes
		on(t, e, "a", func(context.Context, emitter.Event) error { return errors.New("oh") })
		on(t, e, emitter.Error, func(context.Context, emitter.Event) error { heard.add("error"); return nil })
		for range 20 {
			emit(t, e, "a", nil)
		}
		require.Len(t, heard.take(), 20)
	})
}

// A listener that blocks is felt by the engine's feed, which is read no further: what waits here is bounded.
func TestBackpressureReachesTheEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		var read atomic.Int64
		w.onNext(func(ctx context.Context, in bus.Feed) (bus.Delivery, error) {
			read.Add(1)
			return in.Next(ctx)
		})
		e := newEmitter(t, emitter.Options{Bus: w, Queue: 10})
		var heard notes
		stop := make(chan struct{})
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { <-stop; heard.add(text(ev)); return nil })
		for i := range 1000 {
			emit(t, e, "a", i)
		}
		require.NoError(t, e.Flush(within(t, time.Second)))
		time.Sleep(time.Minute)
		require.LessOrEqual(t, read.Load(), int64(10+10+2), "deliveries that were taken from the engine")
		require.LessOrEqual(t, e.Stats().Queued, 10+10+2)
		require.True(t, e.Stats().Bus.Up)
		close(stop)
		list := heard.take()
		require.Len(t, list, 1000)
		require.Equal(t, "999", list[999])
	})
}

// The lane's goroutine and subscription go a second after the last listener, and no earlier.
func TestLaneRetires(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		e := newEmitter(t, emitter.Options{Server: s})
		subscriptions := func() (n int) {
			synctest.Wait()
			for range s.Subscriptions() {
				n++
			}
			return n
		}
		require.Zero(t, subscriptions())
		require.False(t, s.Listening(e.Name()))
		a, b := on(t, e, "a", nothing), on(t, e, "b", nothing)
		require.Equal(t, 1, subscriptions())
		e.Off(a)
		time.Sleep(time.Minute)
		require.Equal(t, 1, subscriptions())
		e.Off(b)
		time.Sleep(999 * time.Millisecond)
		require.Equal(t, 1, subscriptions(), "it lingers")
		a = on(t, e, "a", nothing)
		time.Sleep(time.Minute)
		require.Equal(t, 1, subscriptions(), "a new listener keeps it")
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		e.Off(a)
		time.Sleep(1001 * time.Millisecond)
		require.Zero(t, subscriptions())
		require.False(t, s.Listening(e.Name()))
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		var heard notes
		on(t, e, "a", heard.note("again"))
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"again"}, heard.take())
	})
}

// A listener that is at work when its lane goes is waited for by the next lane: never two at a time.
func TestNextLaneWaitsForTheLast(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		stop := make(chan struct{})
		ref := on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; heard.add("first returned"); return nil })
		emit(t, e, "a", nil)
		synctest.Wait()
		e.Off(ref)
		time.Sleep(2 * time.Second)
		on(t, e, "a", heard.note("second"))
		emit(t, e, "a", nil)
		time.Sleep(time.Second)
		require.Empty(t, heard.take())
		close(stop)
		require.Equal(t, []string{"first returned", "second"}, heard.take())
	})
}

// The same when the second one's queue runs full: the one who is in the way is named.
func TestFullQueueBehindTheLastLane(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 2})
		place := nextLine()
		ref, _ := e.On("a", func(ctx context.Context, _ emitter.Event) error { <-ctx.Done(); return nil })
		emit(t, e, "a", nil)
		synctest.Wait()
		e.Off(ref)
		time.Sleep(2 * time.Second)
		on(t, e, "a", nothing)
		for range 4 {
			e.Emit(within(t, time.Second), "a", nil)
		}
		require.ErrorContains(t, e.Emit(within(t, time.Second), "a", nil), place)
	})
}

func TestDefaults(t *testing.T) {
	e := emitter.New(&emitter.Options{Name: t.Name()})
	require.NoError(t, e.Emit(t.Context(), "a", nil))
	require.False(t, earshot.Default().Listening(t.Name()), "nothing runs while nobody listens")
	on(t, e, "a", nothing)
	require.True(t, earshot.Default().Listening(t.Name()))
	require.NoError(t, e.Close(t.Context()))
	require.False(t, earshot.Default().Listening(t.Name()))
	require.NoError(t, emitter.New(nil).Close(t.Context()))
}

func TestOptionsThatCannotWork(t *testing.T) {
	for _, o := range []emitter.Options{{Queue: -1}, {Buffer: -1}, {BufferBytes: -1}, {Overflow: 3}, {Overflow: -1},
		{Source: "with a \x00", Bus: membus.New(nil)}} {
		require.Panics(t, func() { emitter.New(&o) }, "%+v", o)
	}
	require.Equal(t, "block drop-oldest drop-newest Overflow(7)",
		fmt.Sprint(emitter.Block, " ", emitter.DropOldest, " ", emitter.DropNewest, " ", emitter.Overflow(7)))
}

func TestOpen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, url := range []string{"", "mem:"} {
			e, err := emitter.Open(url, &emitter.Options{Server: newServer(t), Bus: membus.New(nil)})
			require.NoError(t, err)
			require.Nil(t, e.Stats().Bus, "it lives in memory")
			require.NoError(t, e.Close(t.Context()))
		}
		_, err := emitter.Open("nosuch://bob:hidden@host", nil)
		require.ErrorIs(t, err, bus.ErrScheme)
		require.NotContains(t, err.Error(), "hidden")
		_, err = emitter.Open("mem:x?no=1", nil)
		require.Error(t, err)
		e, err := emitter.Open("mem:x", &emitter.Options{Server: newServer(t)})
		require.NoError(t, err)
		require.Equal(t, "mem:x", e.Stats().Bus.Engine)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.NoError(t, e.Close(t.Context()))
		for _, err := range e.Timeline(t.Context(), bus.Start) {
			require.ErrorIs(t, err, bus.ErrClosed, "the bus is closed with it")
		}
	})
}
