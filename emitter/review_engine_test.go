package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// Others emit without a pause: Flush waits for what was there before it, and for nothing else.
func TestFlushWhileOthersEmit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			time.Sleep(10 * time.Millisecond)
			return w.Bus.Publish(ctx, events...)
		})
		e := newEmitter(t, emitter.Options{Bus: w})
		ready(t, e)
		quit, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for i := 0; ; i++ {
				select {
				case <-quit:
					return
				case <-time.After(time.Millisecond):
					e.Emit(context.Background(), "others", i)
				}
			}
		}()
		for range 5 {
			time.Sleep(time.Second + 3*time.Millisecond)
			require.NoError(t, e.Emit(t.Context(), "mine", nil))
			begin := time.Now()
			require.NoError(t, e.Flush(within(t, time.Minute)))
			require.Less(t, time.Since(begin), 100*time.Millisecond)
			names := kept(t, w.Bus)
			require.Contains(t, names[max(0, len(names)-100):], "mine")
		}
		close(quit)
		<-over
		w.onPublish(nil)
	})
}

// Events that came after Flush are dropped meanwhile: those that are being sent are waited for all the same.
func TestFlushWhileOthersAreDropped(t *testing.T) {
	for name, drop := range map[string]func(t *testing.T, e *emitter.Emitter){
		"drop-oldest": func(t *testing.T, e *emitter.Emitter) {
			for i := range 9 {
				emit(t, e, "late", i)
			}
		},
		"discard": func(t *testing.T, e *emitter.Emitter) {
			for i := range 9 {
				emit(t, e, "late", i)
				e.Discard()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := membus.New(nil)
				e := newEmitter(t, emitter.Options{Bus: b, Buffer: 4, Overflow: emitter.DropOldest})
				ready(t, e)
				b.Freeze()
				emit(t, e, "first", 0)
				synctest.Wait() // and now it is being sent
				done := inBackground(func() error { return e.Flush(within(t, time.Minute)) })
				require.False(t, finished(done))
				drop(t, e)
				require.False(t, finished(done), "the engine has accepted nothing")
				b.Thaw()
				require.NoError(t, answer(t, done, time.Second))
				require.Contains(t, kept(t, b), "first")
			})
		})
	}
}

// The engine takes events and answers nothing but garbage to those who listen. That is told, said by Stats and Flush,
// and over as soon as it answers properly.
func TestListeningFailsForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		garbage := errors.New("garbage: <html>")
		e := newEmitter(t, emitter.Options{Bus: w, Buffer: 10})
		d := keepDiary(t, e)
		ready(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, garbage })
		var heard notes
		on(t, e, "a", heard.note("a"))
		for i := range 10 {
			emit(t, e, "a", i)
		}
		time.Sleep(10 * time.Minute)
		require.ElementsMatch(t, []string{"disconnect", "error"}, d.take(), "each once")
		require.ErrorIs(t, d.of("disconnect")[0].(error), garbage)
		require.ErrorIs(t, d.of("error")[0].(error), garbage)
		s := e.Stats().Bus
		require.False(t, s.Up)
		require.False(t, s.Listening)
		require.Contains(t, s.Reason, garbage.Error())
		require.ErrorIs(t, e.Flush(within(t, time.Second)), garbage)
		require.ErrorIs(t, e.Ready(within(t, time.Second)), garbage)
		w.onTail(nil)
		ready(t, e)
		require.NoError(t, e.Flush(within(t, time.Second)))
		require.Equal(t, []string{"reconnect"}, d.take())
		require.Len(t, heard.take(), 10)
	})
}

// Large events in the spill: no Publish is larger than one from the buffer would be, so that it has a chance to be
// done in time.
func TestSpillIsSentInBatchesOfBoundedSize(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		var most, batches atomic.Int64
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			size := 0
			for _, ev := range events {
				size += len(ev.Data)
			}
			most.Store(max(most.Load(), int64(size)))
			batches.Add(1)
			return w.Bus.Publish(ctx, events...)
		})
		w.Fail(bus.ErrDisconnected)
		c := &cellar{}
		e := newEmitter(t, emitter.Options{Bus: w, Buffer: 4, Spill: c})
		large := strings.Repeat("x", 500_000)
		for range 100 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", large))
		}
		synctest.Wait()
		require.Greater(t, c.Len(), 90)
		w.Fail(nil)
		most.Store(0)
		batches.Store(0)
		require.NoError(t, e.Flush(within(t, time.Minute)))
		require.Len(t, kept(t, w.Bus), 100)
		require.LessOrEqual(t, most.Load(), int64(4<<20+500_000))
		require.Greater(t, most.Load(), int64(500_010), "several at a time")
		require.Less(t, batches.Load(), int64(60), "several at a time")
	})
}

// Both sides find the same thing wrong, one after the other: it is said once.
func TestDeniedIsSaidOnce(t *testing.T) {
	for name, wrong := range map[string]error{"denied": bus.ErrDenied, "disconnected": bus.ErrDisconnected} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				var port atomic.Int64
				begin := make(chan struct{})
				fault := func() error { <-begin; return fmt.Errorf("127.0.0.1:%d: %w", 40_000+port.Add(1), wrong) }
				w.onPublish(func(context.Context, []event.Event) error { return fault() })
				w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, fault() })
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				close(begin)
				emit(t, e, "a", 1)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"error"}, d.take())
				on(t, e, "a", nothing)
				time.Sleep(time.Hour)
				require.Empty(t, d.take(), "the listener's side says the same")
				require.ErrorIs(t, d.of("error")[0].(error), wrong)
				w.onPublish(nil)
				w.onTail(nil)
				require.NoError(t, e.Ready(within(t, 15*time.Second)))
				require.Equal(t, []string{"connect"}, d.take())
			})
		})
	}
}

// Each side finds something else wrong, for hours: each is said once, and not again and again in turn.
func TestDifferentFaultsAreSaidOnceEach(t *testing.T) {
	for name, faults := range map[string][2]error{
		"publish denied":  {bus.ErrDenied, bus.ErrDisconnected},
		"listen denied":   {bus.ErrDisconnected, bus.ErrDenied},
		"denied and disk": {errDisk, bus.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				on(t, e, "a", nothing)
				ready(t, e)
				require.NoError(t, e.EmitWait(t.Context(), "a", nil))
				w.onPublish(func(context.Context, []event.Event) error { return faults[0] })
				w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, faults[1] })
				w.Fail(bus.ErrDisconnected) // breaks the feed
				w.Fail(nil)
				emit(t, e, "a", 1)
				time.Sleep(time.Hour)
				require.Len(t, d.of("disconnect"), 1)
				require.LessOrEqual(t, len(d.of("error")), 2)
				w.onPublish(nil)
				w.onTail(nil)
				require.NoError(t, e.Flush(within(t, time.Minute)))
			})
		})
	}
}

// Everything in the buffer was waiting when the engine came back, and the engine hangs now: there are some that can be
// dropped, so Emit does not wait.
func TestDropOldestNeverWaits(t *testing.T) {
	for name, o := range map[string]emitter.Options{
		"events":    {Buffer: 8},
		"two":       {Buffer: 2},
		"one":       {Buffer: 1},
		"bytes":     {BufferBytes: 10_000},
		"one large": {BufferBytes: 2_000},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o.Overflow = emitter.DropOldest
				b, e := away(t, o)
				data := strings.Repeat("x", 2_000)
				for range 20 {
					emit(t, e, "a", data)
				}
				before := e.Stats().Bus.Buffered
				b.Freeze()
				b.Fail(nil) // it answers no more, in place of saying that it is away
				time.Sleep(3 * time.Second)
				begin := time.Now()
				for range 20 {
					require.NoError(t, e.Emit(within(t, time.Minute), "a", data))
				}
				require.Zero(t, time.Since(begin), "Emit has waited")
				require.LessOrEqual(t, e.Stats().Bus.Buffered, before+1)
				b.Thaw()
				require.NoError(t, e.Flush(within(t, time.Minute)))
				s := e.Stats().Bus
				require.Len(t, kept(t, b), int(s.Published))
				require.EqualValues(t, 40, s.Published+s.Dropped)
				require.Zero(t, s.BufferedBytes)
			})
		})
	}
}

// A context that has ended: nothing is emitted, in memory and over a bus, though there is room.
func TestEmitWithAnEndedContext(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		on(t, e, "a", heard.note("a"))
		require.NoError(t, e.Ready(t.Context()))
		cause := errors.New("the caller has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		require.ErrorIs(t, e.Emit(ctx, "a", nil), cause)
		require.ErrorIs(t, emitter.Emit(ctx, e, "a", 1), cause)
		require.ErrorIs(t, e.EmitWait(ctx, "a", nil), cause)
		require.ErrorContains(t, e.Emit(ctx, "a", nil), `emit "a"`)
		time.Sleep(time.Minute)
		require.Empty(t, heard.take())
		if s := e.Stats().Bus; s != nil {
			require.Zero(t, s.Published)
			require.Zero(t, s.Buffered)
			require.Zero(t, s.Dropped)
		}
	})
}

// What a failing listener of error events is logged as.
func TestLogOfAnErrorListener(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, text := logged()
		e := newEmitter(t, emitter.Options{Logger: logger})
		place := nextLine()
		e.On(emitter.Error, func(context.Context, emitter.Event) error { return errors.New("bad listener of errors") })
		on(t, e, "a", func(context.Context, emitter.Event) error { return errors.New("oh") })
		emit(t, e, "a", nil)
		synctest.Wait()
		require.Contains(t, text(), "a listener of the emitter's error events has failed")
		require.NotContains(t, text(), "nobody listens")
		require.Contains(t, text(), "bad listener of errors")
		require.Contains(t, text(), place)
	})
}
